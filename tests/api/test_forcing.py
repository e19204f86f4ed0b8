"""The route that decides by hand what becomes of a step."""

from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from stepwell.core.failures import Failure
from stepwell.core.records import (
    Action,
    AttemptFailed,
    AttemptStarted,
    Key,
    Record,
    RollbackStarted,
    SleepStarted,
    StepForced,
    StepKind,
    WaitStarted,
)
from stepwell.engine import Engine
from stepwell.store import codec
from stepwell.store.operations import GetInstance
from stepwell.tokens import Permission, Tokens
from tests.api.histories import BROKEN, CONFIG, Histories, do, sleep, wait

STEP = "stepwell/workflows/order/instances/a/step"


async def begin(histories: Histories) -> None:
    """Write an instance that waits in every way, and is held."""
    turn = await histories.turn("order", "a")
    await turn.write(
        AttemptStarted(turn.now(), do("charge"), 1, CONFIG),
        AttemptFailed(turn.now(), do("charge"), 1, BROKEN, histories.clock.now() + 10_000),
        SleepStarted(turn.now(), sleep("nap"), histories.clock.now() + 10_000),
        WaitStarted(turn.now(), wait("approval"), "approved", histories.clock.now() + 10_000, 10_000),
    )


async def last(engine: Engine) -> Record:
    """Return the last record of the instance."""
    found = await engine.store.run(GetInstance("local", "order", "a"))
    return codec.from_row(found.records[-1]).record


@pytest.mark.parametrize(
    ("body", "record"),
    [
        pytest.param(
            {"action": "retry", "step": "charge-1"},
            StepForced(0, do("charge"), Action.RETRY, "local", 1),
            id="retry",
        ),
        pytest.param({"action": "skip", "step": "nap-1"}, StepForced(0, sleep("nap"), Action.SKIP, "local"), id="skip"),
        pytest.param(
            {"action": "complete", "step": "charge-1", "value": {"paid": [1.0, None]}},
            StepForced(0, do("charge"), Action.COMPLETE, "local", value='{"paid":[1.0,null]}'),
            id="complete",
        ),
        pytest.param(
            {"action": "complete", "step": "charge-1", "value": None},
            StepForced(0, do("charge"), Action.COMPLETE, "local", value="null"),
            id="complete with null",
        ),
        pytest.param(
            {"action": "complete", "step": "approval-1", "type": "waitForEvent", "value": 12345678901234567890123},
            StepForced(0, wait("approval"), Action.COMPLETE, "local", value="12345678901234567890123"),
            id="complete a wait",
        ),
        pytest.param(
            {"action": "fail", "step": "charge-1", "error": {"name": "CardDeclined", "message": "no"}},
            StepForced(0, do("charge"), Action.FAIL, "local", error=Failure("CardDeclined", "no")),
            id="fail",
        ),
        pytest.param(
            {"action": "fail", "step": "approval-1", "type": "waitForEvent", "error": {"name": "Late"}},
            StepForced(0, wait("approval"), Action.FAIL, "local", error=Failure("Late", "")),
            id="fail a wait",
        ),
    ],
)
async def test_decision_is_on_record(
    client: httpx.AsyncClient, engine: Engine, histories: Histories, body: dict[str, Any], record: StepForced
) -> None:
    """With who decided it and when; the answer says so."""
    await begin(histories)
    histories.clock.move_to(histories.clock.now() + 5)

    answer = await client.post(STEP, json=body)

    found = await last(engine)
    assert isinstance(found, StepForced)
    assert found == StepForced(
        histories.clock.now(), record.key, record.action, "local", record.attempt, record.value, record.error
    )
    told = {
        "step": body["step"],
        "type": "sleep" if body["action"] == "skip" else body.get("type", "step"),
        "action": body["action"],
        "by": "local",
        "timestamp": "2026-11-23T10:00:00.055Z",
    }
    assert answer.json()["result"] == told
    assert (await client.get(STEP.removesuffix("/step"))).json()["result"]["decisions"] == [told]


async def test_latest_decision_is_told_first(client: httpx.AsyncClient, histories: Histories) -> None:
    """That of a step that has ended since is still there."""
    await begin(histories)

    bodies = [{"action": "retry", "step": "charge-1"}, {"action": "skip", "step": "nap-1"}]
    for body in bodies:
        assert (await client.post(STEP, json=body)).status_code == 200

    decisions = (await client.get(STEP.removesuffix("/step"))).json()["result"]["decisions"]
    assert [decision["action"] for decision in decisions] == ["skip", "retry"]


async def test_rollback_is_named_by_its_type(client: httpx.AsyncClient, engine: Engine, histories: Histories) -> None:
    """It has the name of its step."""
    undo = Key(StepKind.ROLLBACK, "pay", 1)
    turn = await histories.turn("order", "a")
    await turn.write(AttemptStarted(turn.now(), do("pay"), 1, CONFIG, rollback=True))
    await turn.write(RollbackStarted(turn.now(), BROKEN))
    await turn.write(AttemptStarted(turn.now(), undo, 1, CONFIG))

    body = {"action": "complete", "step": "pay-1", "type": "rollback", "value": 1}
    answer = await client.post(STEP, json=body)

    found = await last(engine)
    assert answer.status_code == 200
    assert isinstance(found, StepForced)
    assert found.key == undo


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param({}, "body: the request body: Object missing required field `action`", id="nothing"),
        pytest.param(
            {"action": "dance", "step": "a-1"},
            "body: the request body: Invalid value 'dance' - at `$.action`",
            id="action",
        ),
        pytest.param(
            {"action": "complete", "step": "charge-1"},
            "body: the request body: Object missing required field `value`",
            id="no value",
        ),
        pytest.param(
            {"action": "fail", "step": "charge-1"},
            "body: the request body: Object missing required field `error`",
            id="no error",
        ),
        pytest.param(
            {"action": "retry", "step": "charge-1", "value": 1},
            "body: the request body: Object contains unknown field `value`",
            id="value of a retry",
        ),
        pytest.param(
            {"action": "skip", "step": ""},
            "body: the request body: Expected `str` of length >= 1 - at `$.step`",
            id="no name",
        ),
        pytest.param(
            {"action": "skip", "step": "night-1"},
            'step.cannot_force: cannot skip: instance "a" of workflow "order": '
            'it has begun no sleep "night-1"; its log '
            "has the names, each with its count",
            id="unknown",
        ),
    ],
)
async def test_what_is_no_decision_is_refused(
    client: httpx.AsyncClient, engine: Engine, histories: Histories, body: dict[str, Any], message: str
) -> None:
    """With 400 and a sentence; nothing is written."""
    await begin(histories)

    answer = await client.post(STEP, json=body)

    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"code": 10002, "message": f"workflows.api.error.{message}"}]
    assert not isinstance(await last(engine), StepForced)


async def test_instance_that_has_ended_is_refused(client: httpx.AsyncClient, histories: Histories) -> None:
    """As an event to it is."""
    await histories.complete("order", "a")

    answer = await client.post(STEP, json={"action": "skip", "step": "cool down-1"})

    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        {
            "code": 10401,
            "message": "workflows.api.error.instance.finished: cannot skip a step: instance "
            '"a" of workflow "order" is complete',
        }
    ]


@pytest.mark.parametrize("name", ["ann", ""])
async def test_decision_names_the_token(
    guarded: ASGIApp, engine: Engine, tokens: Tokens, histories: Histories, name: str
) -> None:
    """By its name; by its id if it has none."""
    await begin(histories)
    secret = await tokens.create("local", [Permission.SCRIPTS_WRITE], name=name)
    url = f"http://localhost:8787/client/v4/accounts/local/{STEP}"
    body = {"action": "skip", "step": "nap-1"}

    async with httpx.AsyncClient(transport=httpx.ASGITransport(guarded)) as client:
        answer = await client.post(url, json=body, headers={"authorization": f"Bearer {secret}"})

    found = await last(engine)
    assert isinstance(found, StepForced)
    assert found.by == answer.json()["result"]["by"] == (name or secret.split("_")[1])
