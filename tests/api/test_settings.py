"""Settings that the API goes by: each limit at its exact place, with another value than the default."""

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from starlette.types import ASGIApp

from stepwell.clock import VirtualClock
from stepwell.engine import Engine
from stepwell.server_settings import SETTINGS
from tests.api.asgi import ask, begun
from tests.api.histories import Histories

INSTANCES = "workflows/order/instances"
PUT = {"script_name": "shop", "class_name": "Order"}
TWO_HOURS_MS = 7_200_000

Tell = Callable[..., None]


@pytest.fixture
def tell(engine: Engine) -> Tell:
    """Tell the server a setting."""

    def change(**settings: Any) -> None:
        engine.settings = replace(engine.settings, **settings)

    return change


@pytest.fixture
async def watched(client: httpx.AsyncClient, histories: Histories) -> httpx.AsyncClient:
    """A client of a server with an instance `a`."""
    await histories.queued("order", "a")
    return client


# ---- batches


async def test_batch_has_as_many_instances_as_it_may_have(app: ASGIApp, histories: Histories, tell: Tell) -> None:
    """As many as the setting are created, more than by default; one more is refused with the setting."""
    tell(batch_instances=101)

    created = (await ask(app, f"{INSTANCES}/batch", "POST", json.dumps([{}] * 101).encode())).json()
    refused = await ask(app, f"{INSTANCES}/batch", "POST", json.dumps([{}] * 102).encode())

    assert (created["result_info"]["count"], created["result_info"]["per_page"]) == (101, 101)
    assert refused.refusal() == (
        400,
        10002,
        "workflows.api.error.body: the request body must be an array of 1 to 101 instances, got 102",
    )


# ---- workflows


async def _put(client: httpx.AsyncClient, settings: dict[str, Any], name: str = "order") -> tuple[int, str]:
    answer = await client.put(f"workflows/{name}", json={**PUT, **settings})
    return answer.status_code, answer.text


async def test_limit_of_steps_may_be_raised_as_far_as_the_setting(client: httpx.AsyncClient, tell: Tell) -> None:
    """A PUT may ask for as many steps as the setting; one more is refused with it."""
    tell(most_steps_per_instance=30_000)

    assert (await _put(client, {"limits": {"steps": 30_000}}))[0] == 200
    status, text = await _put(client, {"limits": {"steps": 30_001}})

    assert (status, "limits.steps must be from 1 to 30,000, got 30,001" in text) == (400, True)


async def test_account_has_as_many_schedules_as_it_may_have(client: httpx.AsyncClient, tell: Tell) -> None:
    """Cron expressions of all workflows count to the setting, which may be above the default; one more is refused."""
    tell(schedules_per_account=103)

    crons = [{"cron": f"{n % 60} {n // 60} * * *"} for n in range(101)]
    first = await _put(client, {"schedules": crons})
    second = await _put(client, {"schedules": crons[:2]}, "order-eu")
    status, text = await _put(client, {"schedules": crons[:3]}, "order-eu")

    assert (first[0], second[0], status) == (200, 200, 400)
    assert "may have 103 cron expressions; the other workflows have 101, and here are 3" in text


# ---- the account


async def test_account_that_has_said_nothing_has_the_servers_retention(client: httpx.AsyncClient, tell: Tell) -> None:
    """What the account has not been told is the setting's; what it has been told stays."""
    tell(success_retention=86_400_000, error_retention=5)
    before = (await client.get("workflows/settings")).json()["result"]["default_retention"]

    changed = await client.patch("workflows/settings", json={"default_retention": {"error_retention": 7}})
    tell(success_retention=1, error_retention=2)
    after = (await client.get("workflows/settings")).json()["result"]["default_retention"]

    assert before == {"success_retention": 86_400_000, "error_retention": 5}
    assert changed.json()["result"]["default_retention"] == {"success_retention": 86_400_000, "error_retention": 7}
    assert after == {"success_retention": 1, "error_retention": 7}


# ---- wishes


@pytest.mark.parametrize("path", [INSTANCES, f"{INSTANCES}/a/events/go"], ids=["create", "event"])
async def test_idempotency_key_stands_as_long_as_the_setting(
    client: httpx.AsyncClient, histories: Histories, clock: VirtualClock, tell: Tell, path: str
) -> None:
    """The same request is done once within that time, and again after it."""
    tell(idempotency_key_retention=TWO_HOURS_MS)
    await histories.queued("order", "a")
    answers = []

    for wait_ms in (0, TWO_HOURS_MS - 1, 1):
        clock.move_to(clock.now() + wait_ms)
        answers.append((await client.post(path, json={}, headers={"idempotency-key": "k"})).json())

    assert answers[0] == answers[1]
    assert answers[1] != answers[2]


@pytest.mark.parametrize(
    ("longest_ms", "applied"),
    [
        pytest.param(90_000, "wait=90", id="longer"),
        pytest.param(5_999, "wait=5", id="whole seconds"),
        pytest.param(0, None, id="nobody waits"),
    ],
)
async def test_request_waits_no_longer_than_the_setting(
    watched: httpx.AsyncClient, histories: Histories, tell: Tell, longest_ms: int, applied: str | None
) -> None:
    """A longer wish is cut to it."""
    await histories.complete("order", "done")
    tell(longest_poll=longest_ms)

    answer = await watched.get(f"{INSTANCES}/done", headers={"prefer": "wait=86400"})

    assert answer.headers.get("preference-applied") == applied


async def test_so_many_requests_wait_at_a_time(watched: httpx.AsyncClient, tell: Tell) -> None:
    """One more than the setting is answered at once, and waits again when another has been answered."""
    tell(waiting_requests=1)
    asked = partial(watched.get, f"{INSTANCES}/a", headers={"prefer": "wait=30"})

    first, second = await begun(asked()), await begun(asked())
    waited = [first.done(), second.done()]
    await watched.post(f"{INSTANCES}/a/events/go", json={})
    await asyncio.wait_for(first, 10)
    third = await begun(asked())

    assert (waited, third.done()) == ([False, True], False)
    assert "preference-applied" not in second.result().headers
    third.cancel()


# ---- the document


async def test_document_tells_the_settings_of_the_server(client: httpx.AsyncClient, tell: Tell) -> None:
    """Bounds and texts are those of the server that was asked, in the document as in the pages."""
    tell(batch_instances=250, schedules_per_account=7, most_steps_per_instance=500, payload_size=4_000_000)
    tell(idempotency_key_retention=TWO_HOURS_MS, longest_poll=90_000, success_retention=5_000)

    document = (await client.get("http://localhost:8787/openapi.json")).json()
    page = (await client.get("http://localhost:8787/docs/workflows-instances-bulk")).text

    batch = document["paths"]["/client/v4/accounts/{account_id}/workflows/{workflow_name}/instances/batch"]["post"]
    schemas = document["components"]["schemas"]
    assert batch["summary"] == "Create up to 250 instances"
    assert batch["requestBody"]["content"]["application/json"]["schema"]["maxItems"] == 250
    assert "Creates 1 to 250 instances of a workflow" in page
    assert schemas["WorkflowBody"]["properties"]["schedules"]["maxItems"] == 7
    assert schemas["StepLimitBody"]["properties"]["steps"]["maximum"] == 500
    text = json.dumps(document)
    for told in (
        "up to 4 MB (a setting)",
        "within 2 hours does nothing",
        "after 90 seconds at most",
        "5 seconds after",
    ):
        assert told in text
    assert [name for name in SETTINGS if f"{{{name}}}" in text] == []
