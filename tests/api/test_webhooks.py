"""Webhooks over HTTP: who is told of what instances do. Stepwell's own routes."""

from typing import Any

import httpx
import pytest

from stepwell.engine import Engine
from stepwell.store.webhook_operations import EndAttempt, TakeDeliveries
from tests.api.conftest import NOW
from tests.api.histories import Histories

WEBHOOKS = "stepwell/webhooks"
URL = "https://receiver.example/hook"


async def made(client: httpx.AsyncClient, **asked: Any) -> Any:
    """Make a webhook; return what the route answers."""
    answer = await client.post(WEBHOOKS, json={"url": URL, **asked})
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


async def result(client: httpx.AsyncClient, method: str, path: str, **more: Any) -> Any:
    """Ask for something of a webhook; return what the route answers."""
    answer = await client.request(method, f"{WEBHOOKS}/{path}", **more)
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


async def test_webhook_is_shown_without_its_secret(client: httpx.AsyncClient) -> None:
    """That is in the answer alone that has made it."""
    begun = await made(client, workflows=["order", "order"], events=["errored"])
    found = await result(client, "GET", begun["id"])
    (listed,) = (await client.get(WEBHOOKS)).json()["result"]

    assert begun == {
        "id": begun["id"],
        "url": URL,
        "workflows": ["order"],
        "events": ["errored"],
        "enabled": True,
        "disabled_on": None,
        "disabled_as": None,
        "created_on": "2026-11-23T10:00:00.000Z",
        "created_by": "local",
        "earlier_secret_until": None,
        "secret": begun["secret"],
    }
    del begun["secret"]
    assert listed == begun
    assert found == {**begun, "pending": 0}


async def test_webhook_is_changed_and_deleted(client: httpx.AsyncClient) -> None:
    """What is left out stays; another secret is another, and the one before signs for a day."""
    begun = await made(client, events=["errored"])
    refused = await client.patch(f"{WEBHOOKS}/{begun['id']}", json={"workflows": ["a\0"]})
    changed = await result(client, "PATCH", begun["id"], json={"enabled": False, "workflows": ["order"]})
    rotated = await result(client, "POST", f"{begun['id']}/secret")
    again = await result(client, "PATCH", begun["id"], json={"enabled": True, "url": f"{URL}/b"})
    gone = await result(client, "DELETE", begun["id"])

    assert refused.status_code == 400
    assert (changed["enabled"], changed["disabled_as"], changed["events"]) == (False, "by_hand", ["errored"])
    assert rotated["secret"] not in {begun["secret"], None}
    assert rotated["earlier_secret_until"] == "2026-11-24T10:00:00.000Z"
    assert (again["enabled"], again["url"], again["workflows"]) == (True, f"{URL}/b", ["order"])
    assert gone == {"id": begun["id"]}
    assert (await client.get(f"{WEBHOOKS}/{begun['id']}")).status_code == 404


async def test_deliveries_are_listed_with_their_attempts(
    client: httpx.AsyncClient, histories: Histories, engine: Engine
) -> None:
    """Newest first, a page at a time, by what has come of them; and one is sent once more."""
    webhook = await made(client)
    for id in ("a", "b", "c"):
        await histories.queued("order", id)
    (due, *_) = await engine.store.run(TakeDeliveries(NOW + 99, NOW + 999, 1, 1))
    await engine.store.run(EndAttempt(due.row, due.attempt, NOW + 107, 204, outcome="delivered"))

    first = (await client.get(f"{WEBHOOKS}/{webhook['id']}/deliveries?per_page=2")).json()
    cursor = first["result_info"]["cursor"]
    rest = await result(client, "GET", f"{webhook['id']}/deliveries", params={"per_page": "2", "cursor": cursor})
    (done,) = await result(client, "GET", f"{webhook['id']}/deliveries", params={"outcome": "delivered"})
    again = await result(client, "POST", f"{webhook['id']}/deliveries/{done['id']}/redeliver")

    assert [one["instance_id"] for one in [*first["result"], *rest]] == ["c", "b", "a"]
    assert (done["type"], done["outcome"]) == ("cf.workflows.workflow.instance.queued", "delivered")
    assert [(one["duration_ms"], one["status"], one["problem"]) for one in done["attempts"]] == [(8, 204, None)]
    assert (again["outcome"], again["attempts"]) == ("pending", done["attempts"])
    assert (await result(client, "GET", webhook["id"]))["pending"] == 3


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "missing required field `url`"),
        ({"url": URL, "event": ["errored"]}, "unknown field `event`"),
        ({"url": URL, "events": ["failed"]}, "one of"),
        ({"url": URL, "workflows": ["order", "a\0"]}, r"no workflow can be called 'a\x00': letters, digits"),
        ({"url": "http://receiver.example/"}, "has to begin with https://"),
        ({"url": "https://169.254.169.254/"}, "it is at a reserved address"),
    ],
)
async def test_wrong_webhook_is_refused(client: httpx.AsyncClient, body: Any, problem: str) -> None:
    """With what is wrong with it, before anything is made."""
    answer = await client.post(WEBHOOKS, json=body)

    assert answer.status_code == 400
    assert problem in answer.json()["errors"][0]["message"]
    assert (await client.get(WEBHOOKS)).json()["result"] == []


@pytest.mark.parametrize("row", [str(2**63), "9" * 19, "9" * 18, "0", "-1", "1"])
async def test_delivery_that_is_none_is_not_found(client: httpx.AsyncClient, row: str) -> None:
    """Whatever number its id has."""
    webhook = await made(client)

    answer = await client.post(f"{WEBHOOKS}/{webhook['id']}/deliveries/msg_{webhook['id']}_{row}/redeliver")

    assert answer.status_code == 404


async def test_account_has_so_many_webhooks_and_no_more(client: httpx.AsyncClient) -> None:
    """As each event looks at all of them."""
    for _ in range(50):
        await made(client)

    answer = await client.post(WEBHOOKS, json={"url": URL})

    assert answer.status_code == 400
    assert "the account has 50 webhooks, and may have no more" in answer.text


async def test_disabled_webhook_is_not_tried_out(client: httpx.AsyncClient) -> None:
    """It would wait for ever, and nobody would know why."""
    webhook = await made(client)
    await result(client, "PATCH", webhook["id"], json={"enabled": False})

    answer = await client.post(f"{WEBHOOKS}/{webhook['id']}/test")

    assert answer.status_code == 400
    assert "is disabled; enable it first" in answer.text


async def test_webhook_that_is_made_twice_under_a_key_is_one(client: httpx.AsyncClient) -> None:
    """Who has not heard the answer asks again; the secret is not told twice, and is not another one either."""
    headers = {"idempotency-key": "k"}
    first, second = [await client.post(WEBHOOKS, json={"url": URL}, headers=headers) for _ in range(2)]
    other = await client.post(WEBHOOKS, json={"url": URL, "events": ["errored"]}, headers=headers)
    without = await client.post(WEBHOOKS, json={"url": URL})

    begun = first.json()["result"]
    assert begun.pop("secret").startswith("whsec_")
    assert second.json()["result"] == begun
    assert (other.status_code, other.json()["errors"][0]["code"]) == (400, 10002)
    ids = [one["id"] for one in (await client.get(WEBHOOKS)).json()["result"]]
    assert ids == [begun["id"], without.json()["result"]["id"]]
    entries = (await client.get("stepwell/audit", params={"action": "webhook.create"})).json()["result"]
    assert len(entries) == 2


async def test_page_of_webhooks_is_one_answer(client: httpx.AsyncClient) -> None:
    """Each with what waits for it, and its newest message."""
    silent, told = await made(client), await made(client)
    await result(client, "POST", f"{told['id']}/test")

    shown = (await client.get("http://localhost:8787/ui/webhooks")).json()["result"]

    assert [(one["id"], one["pending"]) for one in shown] == [(silent["id"], 0), (told["id"], 1)]
    assert [one["newest"] and one["newest"]["outcome"] for one in shown] == [None, "pending"]
    assert "secret" not in shown[0]
