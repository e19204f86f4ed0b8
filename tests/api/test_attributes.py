"""`GET .../attributes`: what attempts say of themselves, and the sums."""

import httpx
import pytest
from starlette.types import ASGIApp

from stepwell.api import attributes
from stepwell.core.records import AttemptFailed, AttemptStarted, StepFailed, StepSucceeded
from tests.api.asgi import ask
from tests.api.histories import BROKEN, CONFIG, Histories, do

OWN = "stepwell/workflows/order/instances/i"
PATH = f"{OWN}/attributes"
TOKENS = "gen_ai.usage.input_tokens"


async def _described(histories: Histories) -> None:
    """Write an instance with a step of two attempts, one that failed for good, and one that has said nothing."""
    turn = await histories.turn("order", "i")
    await turn.write(
        AttemptStarted(turn.now(), do("think"), 1, CONFIG),
        AttemptFailed(turn.now(), do("think"), 1, BROKEN, turn.now(), {TOKENS: 5, "model": "m"}),
        AttemptStarted(turn.now(), do("think"), 2),
        StepSucceeded(turn.now(), do("think"), 2, "1", None, {TOKENS: 7, "cost": 0.5}),
        AttemptStarted(turn.now(), do("act"), 1, CONFIG),
        StepFailed(turn.now(), do("act"), 1, BROKEN, {TOKENS: 100}),
        AttemptStarted(turn.now(), do("rest"), 1, CONFIG),
        StepSucceeded(turn.now(), do("rest"), 1, "1"),
    )


async def test_attributes_of_attempts_are_told_and_summed(client: httpx.AsyncClient, histories: Histories) -> None:
    """Of all attempts that have said something, in the order of the log, or of one step."""
    await _described(histories)

    whole = (await client.get(PATH)).json()["result"]
    of_step = (await client.get(PATH, params={"step": "think-1"})).json()["result"]

    of_think = [
        {"step": "think-1", "type": "step", "attempt": 1, "attributes": {TOKENS: 5, "model": "m"}},
        {"step": "think-1", "type": "step", "attempt": 2, "attributes": {TOKENS: 7, "cost": 0.5}},
    ]
    of_act = {"step": "act-1", "type": "step", "attempt": 1, "attributes": {TOKENS: 100}}
    assert whole == {"totals": {TOKENS: 112, "cost": 0.5}, "attempts": [*of_think, of_act], "is_whole": True}
    assert of_step == {"totals": {TOKENS: 12, "cost": 0.5}, "attempts": of_think, "is_whole": True}


async def test_sums_are_of_more_attempts_than_are_told(
    client: httpx.AsyncClient, histories: Histories, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An instance may have many."""
    monkeypatch.setattr(attributes, "MOST_ATTEMPTS", 2)
    await _described(histories)

    found = (await client.get(PATH)).json()["result"]

    assert (found["totals"][TOKENS], len(found["attempts"]), found["is_whole"]) == (112, 2, False)


@pytest.mark.parametrize("path", ["", "/step?name=think-1&type=step"])
async def test_no_route_of_cloudflares_tells_attributes(
    client: httpx.AsyncClient, histories: Histories, path: str
) -> None:
    """Their form is closed."""
    await _described(histories)

    answer = await client.get(f"workflows/order/instances/i{path}")

    assert answer.status_code == 200
    assert "think-1" in answer.text or "output" in answer.text
    assert "gen_ai" not in answer.text
    assert "attributes" not in answer.text


async def test_attributes_of_an_unknown_instance_are_404(app: ASGIApp, histories: Histories) -> None:
    """As everything of it."""
    status, code, _ = (await ask(app, PATH)).refusal()

    assert (status, code) == (404, 10400)
