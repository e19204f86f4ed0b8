"""`GET .../retention`, and instances that go when it is over."""

from typing import Any

import httpx
from starlette.types import ASGIApp

from stepwell.clock import VirtualClock
from stepwell.expiry import Expiry
from stepwell.server_settings import DEFAULT_SETTINGS
from stepwell.store import Store
from tests.api.asgi import ask
from tests.api.histories import Histories

INSTANCES = "workflows/order/instances"
WEEK = 604_800_000
MINUTE = 60_000


async def _retention(client: httpx.AsyncClient, id: str) -> Any:
    return (await client.get(f"stepwell/workflows/order/instances/{id}/retention")).json()["result"]


async def test_retention_is_told(client: httpx.AsyncClient, histories: Histories) -> None:
    """In milliseconds, what the instance itself said and what others say; until when, once it has ended."""
    await histories.register("order")
    own = {"success_retention": "1 minute", "error_retention": 0}
    await client.post(INSTANCES, json={"instance_id": "a", "instance_retention": own})
    before = await _retention(client, "a")

    await client.patch(f"{INSTANCES}/a/status", json={"status": "terminate"})
    after = await _retention(client, "a")

    assert before == {"success_retention": MINUTE, "error_retention": WEEK, "kept_until": None}
    assert after == {**before, "kept_until": "2026-11-30T10:00:00.000Z"}


async def test_retention_of_an_unknown_instance_is_404(app: ASGIApp, histories: Histories) -> None:
    """As everything of it."""
    await histories.register("order")

    status, code, _ = (await ask(app, "stepwell/workflows/order/instances/i/retention")).refusal()

    assert (status, code) == (404, 10400)


async def test_expired_instance_is_gone_and_its_id_is_free(
    client: httpx.AsyncClient, histories: Histories, store: Store, clock: VirtualClock
) -> None:
    """It is found by no route, and can be created anew, which before was refused."""
    await histories.register("order")
    body = {"instance_id": "a", "instance_retention": {"error_retention": "1 minute"}}
    await client.post(INSTANCES, json=body)
    await client.patch(f"{INSTANCES}/a/status", json={"status": "terminate"})
    refused = (await client.post(INSTANCES, json=body)).json()["errors"][0]["code"]
    kept = (await client.get(f"{INSTANCES}/a")).status_code

    clock.move_to(clock.now() + MINUTE)
    await Expiry(store, clock, DEFAULT_SETTINGS, pause_s=0).look()

    gone = [(await client.get(path)).status_code for path in (f"{INSTANCES}/a", f"stepwell/{INSTANCES}/a/logs")]
    listed = (await client.get(INSTANCES)).json()["result"]
    again = await client.post(INSTANCES, json=body)
    assert (refused, kept) == (10405, 200)
    assert (gone, listed, again.status_code) == ([404, 404], [], 200)
