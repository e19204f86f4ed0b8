"""The API takes bodies as large as the setting of payloads needs them."""

from collections.abc import Callable

import httpx
import msgspec
import pytest
from msgspec.structs import replace
from starlette.types import ASGIApp

from stepwell.engine import Engine
from tests.api.asgi import ask
from tests.api.histories import Histories

EIGHT_MIB = 2**23
INSTANCES = "workflows/order/instances"


def _quoted(size: int) -> bytes:
    """Return a JSON string of so many bytes."""
    return b'"' + b"x" * (size - 2) + b'"'


def _in_json(text: bytes) -> bytes:
    return b'{"params":' + text + b"}"


def _in_string(text: bytes) -> bytes:
    """As SDKs send it: JSON in a string, which makes it longer."""
    return b'{"params":' + msgspec.json.encode(text.decode()) + b"}"


@pytest.fixture(autouse=True)
def _raised(engine: Engine) -> None:
    engine.settings = replace(engine.settings, payload_size=EIGHT_MIB)


@pytest.mark.parametrize("form", [pytest.param(_in_json, id="JSON"), pytest.param(_in_string, id="in a string")])
async def test_params_at_the_setting_are_taken(client: httpx.AsyncClient, form: Callable[[bytes], bytes]) -> None:
    """Params of exactly the setting are taken, though no body could be as large by default; one byte more is 400."""
    taken = await client.post(INSTANCES, content=form(_quoted(EIGHT_MIB)))
    refused = await client.post(INSTANCES, content=form(_quoted(EIGHT_MIB + 1)))

    assert taken.status_code == 200
    assert (refused.status_code, refused.json()["errors"][0]["message"]) == (
        400,
        "workflows.api.error.body: params is 8,388,609 bytes as JSON; at most 8,388,608 are allowed",
    )


async def test_event_at_the_setting_is_taken(client: httpx.AsyncClient, histories: Histories) -> None:
    """An event's payload of exactly the setting is taken; one byte more is 400."""
    await histories.queued("order", "a")

    taken = await client.post(f"{INSTANCES}/a/events/sent", content=_quoted(EIGHT_MIB))
    refused = await client.post(f"{INSTANCES}/a/events/sent", content=_quoted(EIGHT_MIB + 1))

    assert (taken.status_code, refused.status_code) == (200, 400)
    assert "event payload is 8,388,609 bytes as JSON; at most 8,388,608 are allowed" in refused.text


@pytest.mark.parametrize(
    ("payload_bytes", "most"),
    [pytest.param(2**23, "33,554,432", id="raised"), pytest.param(16, "4,194,304", id="small")],
)
async def test_bound_of_bodies_follows(
    app: ASGIApp, histories: Histories, engine: Engine, payload_bytes: int, most: str
) -> None:
    """A body beyond what any valid one needs is 413; a small setting leaves room for bodies of other routes."""
    engine.settings = replace(engine.settings, payload_size=payload_bytes)
    headers = {"host": "localhost", "content-length": str(2**30)}

    answer = await ask(app, INSTANCES, "POST", iter([b""]), headers)

    assert answer.refusal()[0] == 413
    assert f"larger than {most} bytes" in answer.refusal()[2]
