"""`DELETE .../workflows/{name}`: a workflow goes with its instances."""

import httpx
import pytest
from starlette.types import ASGIApp

from tests.api.asgi import ask
from tests.api.histories import Histories


async def test_delete_is_acknowledged(client: httpx.AsyncClient, histories: Histories) -> None:
    """The answer is Cloudflare's."""
    await histories.running("order", "i")

    answer = await client.delete("workflows/order")

    assert (answer.status_code, answer.json()) == (
        200,
        {"success": True, "errors": [], "messages": [], "result": {"status": "ok", "success": True}},
    )


@pytest.mark.parametrize(
    ("method", "target"),
    [
        pytest.param("GET", "", id="workflow"),
        pytest.param("DELETE", "", id="delete"),
        pytest.param("GET", "/versions", id="versions"),
        pytest.param("GET", "/instances", id="list"),
        pytest.param("POST", "/instances", id="create"),
        pytest.param("POST", "/instances/batch", id="batch"),
        pytest.param("GET", "/instances/i", id="instance"),
        pytest.param("GET", "/instances/i/step?name=charge-1&type=step", id="step"),
        pytest.param("POST", "/instances/i/events/approved", id="event"),
    ],
)
async def test_everything_of_a_deleted_workflow_is_404(
    app: ASGIApp, histories: Histories, method: str, target: str
) -> None:
    """From the answer on, the workflow and its instances are unknown."""
    await histories.running("order", "i")
    await ask(app, "workflows/order", "DELETE")

    answer = await ask(app, f"workflows/order{target}", method, b"[{}]" if target.endswith("batch") else b"{}")

    assert answer.refusal()[:2] == (404, 10200)


async def test_name_can_be_used_again_at_once(client: httpx.AsyncClient, histories: Histories) -> None:
    """A PUT of the same name makes a workflow without instances, and their ids are free."""
    await histories.complete("order", "i")
    old = (await client.get("workflows/order")).json()["result"]["id"]
    await client.delete("workflows/order")

    made = await client.put("workflows/order", json={"script_name": "shop", "class_name": "Order"})
    created = await client.post("workflows/order/instances", json={"instance_id": "i"})

    listed = (await client.get("workflows/order/instances")).json()["result"]
    assert made.json()["result"]["id"] != old
    assert created.status_code == 200
    assert [(instance["id"], instance["status"]) for instance in listed] == [("i", "queued")]


async def test_unknown_workflow_cannot_be_deleted(app: ASGIApp, histories: Histories) -> None:
    """A workflow that is not there is 404 with code 10200."""
    assert (await ask(app, "workflows/none", "DELETE")).refusal()[:2] == (404, 10200)
