"""What a step returns that is `sensitive`: no way out of the API has it."""

import pytest
from msgspec.structs import replace
from starlette.types import ASGIApp

from stepwell.api.routes import DASHBOARD, ROUTES, Route
from stepwell.core.records import Action, AttemptStarted, StepForced, StepSucceeded, StreamRef
from stepwell.store import codec
from stepwell.store.stream_operations import BeginStream, WritePiece
from tests.api.asgi import ask
from tests.api.histories import CONFIG, Histories, do
from tests.api.test_auth import path_of

SENSITIVE = replace(CONFIG, sensitive="output")
# Too long to lie in its record.
LONG = f'"{"s3cret" * 1_000}"'
READS = [route for route in (*ROUTES, *DASHBOARD) if route.method == "GET" and route.pattern != "/ui/live"]
STEPS = ["short-1", "long-1", "by-hand-1", "stream-1"]


@pytest.fixture
async def hiding(app: ASGIApp, histories: Histories) -> ASGIApp:
    """The application over an instance whose steps have all returned something sensitive."""
    turn = await histories.turn("order", "a")
    await turn.step(do("short"), '{"pin":"s3cret"}', SENSITIVE)
    await turn.step(do("long"), LONG, SENSITIVE)
    by_hand, stream = do("by-hand"), do("stream")
    await turn.write(
        AttemptStarted(turn.now(), by_hand, 1, SENSITIVE),
        StepForced(turn.now(), by_hand, Action.COMPLETE, "ann", value='"s3cret"'),
        StepSucceeded(turn.now(), by_hand, 1, '"s3cret"'),
    )
    await turn.write(AttemptStarted(turn.now(), stream, 1, SENSITIVE))
    id = await turn.store.run(BeginStream(turn.claim.row, turn.claim.turn, codec.to_step(stream), 1))
    await turn.store.run(WritePiece(turn.claim.row, turn.claim.turn, id, 1, b"s3cret"))
    await turn.write(StepSucceeded(turn.now(), stream, 1, '"s3cret"', StreamRef(id, 6)))
    await turn.complete()
    return app


@pytest.mark.parametrize("route", READS, ids=lambda route: route.pattern)
async def test_no_route_tells_what_is_sensitive(hiding: ASGIApp, route: Route) -> None:
    """Whatever is read of an instance, of its workflow and of its account, by whoever may read."""
    queries = [f"?type=step&name={step}" for step in STEPS] if route.pattern.endswith("/step") else [""]

    answers = [await ask(hiding, path_of(route) + query) for query in queries]

    assert not [answer.body for answer in answers if b"s3cret" in answer.body]
