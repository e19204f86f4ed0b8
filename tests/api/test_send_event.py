"""`POST .../instances/{id}/events/{type}`."""

import httpx
import pytest

from stepwell.core.records import EventReceived
from stepwell.engine import Engine
from stepwell.store import codec
from stepwell.store.operations import GetInstance
from tests.api.histories import ACCOUNT, Histories

EVENTS = "workflows/order/instances/a/events"


async def _received(engine: Engine) -> list[tuple[str, object]]:
    found = await engine.store.run(GetInstance(ACCOUNT, "order", "a"))
    records = [recorded.record for recorded in codec.from_rows(found.records)]
    return [(record.event_type, record.value) for record in records if isinstance(record, EventReceived)]


async def test_event_is_acknowledged(client: httpx.AsyncClient, histories: Histories) -> None:
    """An event is answered with the instance and the moment of its receipt, in Cloudflare's spelling."""
    await histories.queued("order", "a")

    answer = await client.post(f"{EVENTS}/approved", json={"by": "ann"})

    assert (answer.status_code, answer.json()["result"]) == (
        200,
        {"instanceId": "a", "timestamp": "2026-11-23T10:00:00.010Z"},
    )


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"{}", id="empty object"),
        pytest.param(b"null", id="null"),
        pytest.param(b"0", id="zero"),
        pytest.param(b'"text"', id="text"),
        pytest.param(b"[12345678901234567890123, 1.10]", id="numbers as they are written"),
        pytest.param(b'"' + b"x" * (2**20 - 2) + b'"', id="1 MiB"),
    ],
)
async def test_any_json_is_a_payload(
    client: httpx.AsyncClient, engine: Engine, histories: Histories, payload: bytes
) -> None:
    """The body is the payload, whatever JSON it is, and is kept as it was written."""
    await histories.queued("order", "a")

    answer = await client.post(f"{EVENTS}/e", content=b"\n" + payload + b"\n")

    ((event_type, value),) = await _received(engine)
    assert (answer.status_code, event_type) == (200, "e")
    assert value == payload.decode() or value.preview == payload.decode()[:1024]  # type: ignore[attr-defined]  # a reference


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        pytest.param(b"", "event payload is missing", id="none"),
        pytest.param(b" \n", "event payload is missing", id="white space"),
        pytest.param(b"{", "event payload is not JSON", id="cut off"),
        pytest.param(b"Infinity", "event payload is not JSON", id="infinity"),
        pytest.param(b'"\\ud800"', "event payload has a lone surrogate", id="lone surrogate"),
        pytest.param(b'"\xff"', "event payload is not UTF-8", id="not UTF-8"),
        pytest.param(b"[" * 100_000, "event payload is nested more than 256 deep", id="100,000 brackets"),
        pytest.param(b'"' + b"x" * (2**20 - 1) + b'"', "event payload is 1,048,577 bytes", id="too large"),
    ],
)
async def test_wrong_payload_is_refused(
    client: httpx.AsyncClient, engine: Engine, histories: Histories, body: bytes, problem: str
) -> None:
    """A body that is no payload is 400 with code 10002 and says what is wrong; nothing is stored."""
    await histories.queued("order", "a")

    answer = await client.post(f"{EVENTS}/e", content=body)

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (400, 10002)
    assert error["message"].startswith(f"workflows.api.error.body: {problem}")
    assert await _received(engine) == []


@pytest.mark.parametrize(
    ("target", "code"),
    [
        pytest.param("workflows/order/instances/none/events/e", 10400, id="instance"),
        pytest.param("workflows/none/instances/a/events/e", 10200, id="workflow"),
        pytest.param("workflows/order/instances/*/30%20*-1/events/e", 10400, id="slash not escaped"),
        pytest.param("workflows/order/instances/a/events/e/events/e", 10400, id="tail inside the id"),
    ],
)
async def test_event_for_nobody_is_404(client: httpx.AsyncClient, target: str, code: int) -> None:
    """An event for an instance that is not there is 404."""
    answer = await client.post(target, json={})

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, code)


async def test_missing_body_wins_over_missing_instance(client: httpx.AsyncClient) -> None:
    """An event without a body is 400 even for an instance that is not there, as at Cloudflare."""
    answer = await client.post("workflows/none/instances/none/events/e")

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 10002)


@pytest.mark.parametrize(
    "event_type",
    [
        pytest.param("a.b", id="dot"),
        pytest.param("x" * 101, id="101 characters"),
        pytest.param("-a", id="leading dash"),
        pytest.param("a%20b", id="space"),
        pytest.param("a%2Fb", id="escaped slash"),
    ],
)
async def test_odd_event_type_is_refused(client: httpx.AsyncClient, histories: Histories, event_type: str) -> None:
    """A type that no event can have is 400, under Cloudflare's key for it."""
    await histories.queued("order", "a")

    answer = await client.post(f"{EVENTS}/{event_type}", json={})

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (400, 10002)
    assert error["message"].startswith("workflows.api.error.workflow.invalid_event_type: ")


@pytest.mark.parametrize(
    "event_type", [pytest.param("x", id="one character"), pytest.param("x" * 100, id="100 characters")]
)
async def test_event_type_at_the_bounds_is_taken(
    client: httpx.AsyncClient, histories: Histories, event_type: str
) -> None:
    """Event types have 1 to 100 characters."""
    await histories.queued("order", "a")

    answer = await client.post(f"{EVENTS}/{event_type}", json={})

    assert answer.status_code == 200


async def test_event_for_a_finished_instance_is_refused(client: httpx.AsyncClient, histories: Histories) -> None:
    """An instance that has ended takes no event: 400 with code 10401."""
    await histories.errored("order", "a")

    answer = await client.post(f"{EVENTS}/e", json={})

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (400, 10401)
    assert error["message"].startswith("workflows.api.error.instance.finished: ")
