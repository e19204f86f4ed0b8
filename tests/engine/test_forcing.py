"""Steps that are tried again, slept no longer, completed or failed by hand, in a real engine."""

import asyncio
import json
import threading
from typing import Any

import pytest

from stepwell import WorkflowEntrypoint
from stepwell.core.failures import Failure
from stepwell.core.records import (
    Action,
    AttemptInterrupted,
    AttemptStarted,
    StepFailed,
    StepForced,
    StepSucceeded,
    WaitEnded,
)
from stepwell.core.steplog import StepEntry, WaitEntry
from stepwell.core.why import Queued
from stepwell.errors import InstanceFinished, InstanceNotFound, InvalidInput
from stepwell.forcing import Decision, Forcing
from stepwell.settings import TurnSettings
from stepwell.store import codec
from stepwell.store.operations import GetInstance
from stepwell.testing import TestEngine, TestInstance
from stepwell.values import encode_json
from tests.engine.flows import NOW, opened, workflow
from tests.engine.stores import CheckedStore
from tests.engine.ways import Hand, Job, Sending, every_way

SLOWLY = {"retries": {"limit": 3, "delay": "1 day", "backoff": "constant"}, "timeout": "2 days"}


def failing(step: str, type: Any = "step") -> Decision:
    """Return the decision that a step fails."""
    return Decision(step, Action.FAIL, type, error=Failure("ValueError", "by hand"), by="ann")


RETRY = Decision("charge-1", Action.RETRY, by="ann")
SKIP = Decision("nap-1", Action.SKIP, "sleep", by="ann")
COMPLETE = Decision("charge-1", Action.COMPLETE, value='{"paid":true}', by="ann")
GIVE = Decision("approval-1", Action.COMPLETE, "waitForEvent", value='{"ok":1}', by="ann")


class Unlucky:
    """A body that fails until it has been called so often."""

    def __init__(self, fails: int) -> None:
        self.calls = 0
        self._fails = fails

    async def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self._fails:
            raise ConnectionError("away")
        return f"call {self.calls}"


async def records(instance: TestInstance) -> list[Any]:
    """Return an instance's records."""
    found = await instance.engine.store.run(GetInstance("local", instance.workflow, instance.id))
    return [recorded.record for recorded in codec.from_rows(found.records)]


# ---- each action


async def test_step_is_tried_again_at_once() -> None:
    """Its next attempt begins, and who said so is in the history."""
    body = Unlucky(1)

    async def run(event, step):
        return await step.do("charge", body.__call__, config=SLOWLY)

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        await instance.force(RETRY)
        await engine.run_until_idle()

        assert (await instance.output(), body.calls) == ("call 2", 2)
        (forced,) = [record for record in await records(instance) if isinstance(record, StepForced)]
        assert (forced.at, forced.by, forced.action, forced.attempt) == (NOW, "ann", Action.RETRY, 1)


async def test_retry_by_hand_counts_like_any_other() -> None:
    """It begins one attempt, and the step fails for good when its attempts are used up."""
    body = Unlucky(9)

    async def run(event, step):
        return await step.do("charge", body.__call__, config=SLOWLY)

    async with opened(run) as (engine, instance):
        for _ in range(3):
            await engine.run_until_idle()
            await instance.force(RETRY)
        await engine.run_until_idle()

        assert (await instance.status(), body.calls) == ("errored", 4)
        begun = [record.attempt for record in await records(instance) if isinstance(record, AttemptStarted)]
        assert begun == [1, 2, 3, 4]


async def test_sleep_ends_at_once() -> None:
    """And so do the sleeps beside it not."""

    async def run(event, step):
        await asyncio.gather(step.sleep("nap", "1 day"), step.sleep("night", "2 days"))

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        await instance.force(SKIP)
        await engine.run_until_idle()

        nap, night = (await instance.log()).called
        assert (nap.end, getattr(nap, "finished", None)) == (NOW, True)
        assert getattr(night, "finished", None) is False


async def test_step_that_waits_for_an_attempt_is_completed() -> None:
    """The author gets the value; the body runs no more."""
    body = Unlucky(9)

    async def run(event, step):
        return await step.do("charge", body.__call__, config=SLOWLY)

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        await instance.force(COMPLETE)
        await engine.advance("10 days")

        assert (await instance.output(), body.calls) == ({"paid": True}, 1)


async def test_step_that_waits_for_an_attempt_is_failed() -> None:
    """The author catches the error by its class."""

    async def run(event, step):
        try:
            await step.do("charge", Unlucky(9).__call__, config=SLOWLY)
        except ValueError as error:
            return f"caught {error}"

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        await instance.force(failing("charge-1"))
        await engine.run_until_idle()

        assert await instance.output() == "caught by hand"


async def test_attempt_in_flight_is_cancelled_and_recorded_as_interrupted() -> None:
    """Its body gets the cancellation, and what it returns then is nobody's."""
    heard: list[str] = []

    async def stuck() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            heard.append("cancelled")
        return "never"

    async def run(event, step):
        paid = await step.do("charge", stuck, config=SLOWLY)
        await step.sleep("nap", "1 day")
        return paid

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()
        await instance.force(COMPLETE)
        await engine.run_until_idle()
        assert heard == ["cancelled"]
        kinds = [type(record) for record in await records(instance)]
        assert kinds.index(StepForced) < kinds.index(AttemptInterrupted) < kinds.index(StepSucceeded)

        await engine.advance("3 days")

        assert await instance.output() == {"paid": True}
        entry = (await instance.log()).entries[0]
        assert isinstance(entry, StepEntry)
        assert [attempt.error and attempt.error.name for attempt in entry.attempts] == ["AttemptInterrupted"]


async def test_attempt_in_a_thread_is_failed_and_left_behind() -> None:
    """What hangs in a thread cannot be ended; nothing comes of it."""
    begun, gate = threading.Event(), threading.Event()

    def stuck() -> str:
        begun.set()
        gate.wait(10)
        return "too late"

    async def run(event, step):
        await step.do("charge", stuck, config=SLOWLY)

    async with opened(run) as (engine, instance):
        await asyncio.to_thread(begun.wait, 10)
        await instance.force(failing("charge-1"))
        for _ in range(100):
            await asyncio.sleep(0)
        gate.set()
        await engine.run_until_idle()

        error = await instance.error()
        assert error is not None
        assert (error.name, error.message) == ("ValueError", "by hand")
        assert not [record for record in await records(instance) if isinstance(record, StepSucceeded)]


async def test_nested_steps_end_with_the_outer_one() -> None:
    """What the body of an attempt had begun is interrupted with it."""

    async def inner() -> None:
        await asyncio.Event().wait()

    async def run(event, step):
        async def outer() -> None:
            await asyncio.gather(step.do("inner", inner, config=SLOWLY), step.sleep("nap", "1 day"))

        paid = await step.do("charge", outer, config=SLOWLY)
        await step.sleep("after", "1 hour")
        return paid

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()
        await instance.force(COMPLETE)
        await engine.advance("3 days")

        assert await instance.output() == {"paid": True}
        interrupted = [record.key.name for record in await records(instance) if isinstance(record, AttemptInterrupted)]
        assert interrupted == ["charge", "inner"]


async def test_wait_is_completed_with_a_payload() -> None:
    """As if an event had come; the type is the wait's."""

    async def run(event, step):
        got = await step.wait_for_event("approval", "approved", timeout="1 day")
        return [got["payload"], got["type"], got["timestamp"].isoformat()]

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        await instance.force(GIVE)
        await engine.run_until_idle()

        assert await instance.output() == [{"ok": 1}, "approved", "2026-09-21T14:13:20"]
        (entry,) = (await instance.log()).entries
        assert isinstance(entry, WaitEntry)
        assert entry.output == '{"type":"approved","timestamp":"2026-09-21T14:13:20.000Z","payload":{"ok":1}}'


async def test_wait_is_failed() -> None:
    """With the error that was given, not with a time-out."""

    async def run(event, step):
        try:
            await step.wait_for_event("approval", "approved", timeout="1 day")
        except ValueError as error:
            return f"caught {error}"

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        await instance.force(failing("approval-1", "waitForEvent"))
        await engine.run_until_idle()

        assert await instance.output() == "caught by hand"


async def test_rollback_is_completed() -> None:
    """A rollback that cannot succeed is done by hand; those behind it run."""
    undone: list[str] = []

    async def run(event, step):
        await step.do("book", lambda: 1, rollback=lambda: undone.append("book"))
        await step.do("charge", lambda: 2, rollback=Unlucky(9).__call__, rollback_config=SLOWLY)
        raise LookupError("no seats")

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()
        assert await instance.status() == "rollingBack"

        await instance.force(Decision("charge-1", Action.COMPLETE, "rollback", value="null"))
        await engine.run_until_idle()

        rollback = (await instance.log()).rollback
        assert (await instance.status(), undone, rollback and rollback.outcome) == ("errored", ["book"], "complete")


@pytest.mark.parametrize("size", [10, 5_000, 100_000])
async def test_value_by_hand_is_what_the_author_gets(size: int) -> None:
    """Also where it lies apart, on a replay, and with a `$` in it that is no form of ours."""
    value = {"$": "bytes", "text": "é" * size}

    async def run(event, step):
        got = await step.do("charge", Unlucky(9).__call__, config=SLOWLY)
        event = await step.wait_for_event("approval", "approved", timeout="1 day")
        await step.sleep("night", "1 hour")
        return got == value == event["payload"]

    store = CheckedStore()
    async with opened(run, store=store) as (engine, instance):
        await engine.run_until_idle()
        await instance.force(Decision("charge-1", Action.COMPLETE, value=encode_json(value)))
        await engine.run_until_idle()
        await instance.force(Decision("approval-1", Action.COMPLETE, "waitForEvent", value=encode_json(value)))
        await engine.advance("2 hours")

        assert await instance.output() is True
    await store.close()


# ---- in other states


async def test_decision_in_a_pause_is_met_when_it_is_over() -> None:
    """The instance stays paused; resumed, it goes on at once."""

    async def run(event, step):
        await step.sleep("nap", "1 day")
        return "rested"

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()
        await instance.pause()
        await instance.force(SKIP)
        await engine.advance("1 hour")
        assert await instance.status() == "paused"

        await instance.resume()
        await engine.run_until_idle()

        assert await instance.output() == "rested"


async def test_stuck_attempt_that_holds_up_a_pause_is_ended() -> None:
    """The instance is paused then."""

    async def run(event, step):
        paid = await step.do("charge", asyncio.Event().wait, config=SLOWLY)
        await step.sleep("nap", "1 hour")
        return paid

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()
        await instance.pause()
        await engine.run_until_idle()
        assert await instance.status() == "waitingForPause"

        await instance.force(COMPLETE)
        await engine.run_until_idle()
        assert await instance.status() == "paused"

        await instance.resume()
        await engine.advance("2 hours")
        assert await instance.output() == {"paid": True}


async def test_decision_without_a_worker_is_kept() -> None:
    """It is due at once, and met by the next worker."""

    async def run(event, step):
        await step.sleep("nap", "1 day")
        return "rested"

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()
        await engine.stop()
        await instance.force(SKIP)
        assert (await instance.why()).reasons[0] == Queued(NOW, 0)

        await engine.start_worker()
        await engine.run_until_idle()

        assert await instance.output() == "rested"


async def test_restart_forgets_decisions() -> None:
    """The step that begins again is asked for anew."""
    body = Unlucky(9)

    async def run(event, step):
        return await step.do("charge", body.__call__, config=SLOWLY)

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()
        await instance.force(COMPLETE)
        await engine.run_until_idle()
        assert await instance.status() == "complete"

        await instance.restart()
        await engine.run_until_idle()

        assert (await instance.status(), body.calls) == ("waiting", 2)


# ---- what is refused


@pytest.mark.parametrize(
    ("decision", "text"),
    [
        pytest.param(
            Decision("ship-1", Action.RETRY),
            'step.cannot_force: cannot retry: instance "a" of workflow "flow": '
            'it has begun no step "ship-1"; its log has the names, '
            "each with its count",
            id="unknown step",
        ),
        pytest.param(
            Decision("book-1", Action.COMPLETE, value="1"),
            'step.cannot_force: cannot complete: instance "a" of workflow "flow": step "book-1" has ended',
            id="step that has ended",
        ),
        pytest.param(
            RETRY,
            'step.cannot_force: cannot retry: instance "a" of workflow "flow": '
            'step "charge-1" does not wait for an attempt: attempt '
            "1 is in flight",
            id="attempt in flight",
        ),
        pytest.param(
            SKIP,
            'step.cannot_force: cannot skip: instance "a" of workflow "flow": '
            'it has begun no sleep "nap-1"; its log has the names, '
            "each with its count",
            id="no sleep",
        ),
        pytest.param(
            Decision("charge-1", Action.COMPLETE, value='"' + "x" * 99 + '"'),
            "body: value is 101 bytes as JSON; at most 100 are allowed",
            id="too large",
        ),
    ],
)
async def test_what_does_not_fit_is_refused(decision: Decision, text: str) -> None:
    """With a sentence; nothing is written."""

    async def run(event, step):
        await step.do("book", lambda: 1)
        await step.do("charge", asyncio.Event().wait)

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()
        before = await records(instance)

        with pytest.raises(InvalidInput) as refused:
            await Forcing(engine.store, engine.clock, result_bytes=100).force("local", "flow", "a", decision)

        assert str(refused.value) == text
        assert await records(instance) == before


async def test_instance_that_has_ended_is_refused() -> None:
    """And so is one that is not there."""

    async def run(event, step):
        pass

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        with pytest.raises(InstanceFinished, match=r"instance\.finished: cannot retry a step: .* is complete"):
            await instance.force(RETRY)
        with pytest.raises(InstanceNotFound):
            await engine.engine.forcing.force("local", "flow", "b", RETRY)


# ---- every way


class Decided(WorkflowEntrypoint):
    """Needs a decision of each kind; what is random in it shows a step that ran twice."""

    async def run(self, event, step):
        async def away():
            raise ConnectionError("away")

        async def charge():
            return await step.do("charge", away, config=SLOWLY)

        async def stuck():
            return await step.do("stuck", asyncio.Event().wait, config=SLOWLY)

        async def approval():
            return (await step.wait_for_event("approval", "approved", timeout="1 day"))["payload"]

        async def refused(call):
            try:
                return await call
            except ValueError as error:
                return str(error)

        order: list[str] = []

        async def noted(name, call):
            result = await call
            order.append(name)
            return result

        results = await asyncio.gather(
            noted("charge", charge()),
            noted("nap", step.sleep("nap", "1 day")),
            noted("stuck", stuck()),
            noted("approval", approval()),
            noted("other", refused(step.wait_for_event("other", "approved", timeout="1 day"))),
            noted("ship", refused(step.do("ship", away, config=SLOWLY))),
        )
        # A replay has to come to the order that was met first.
        met = await step.do("met", lambda: list(order))
        await step.sleep("later", 10)
        return [results, met == order]


DECISIONS = (
    Hand(COMPLETE),
    Hand(SKIP),
    Hand(Decision("stuck-1", Action.COMPLETE, value="[1]")),
    Hand(GIVE),
    Hand(failing("other-1", "waitForEvent")),
    Hand(failing("ship-1")),
)


async def test_decisions_are_the_same_in_every_way() -> None:
    """Straight, replayed at each wait, and with a crash after every write: what was decided once is so for ever."""
    results, is_one_order = await every_way(Job(Decided, sendings=DECISIONS))

    assert results == [{"paid": True}, None, [1], {"ok": 1}, "by hand", "by hand"]
    assert is_one_order is True


async def test_decision_races_an_event_once() -> None:
    """Whichever the turn meets first; the other is left, however often it is replayed."""

    async def run(event, step):
        first = await step.wait_for_event("approval", "approved", timeout="1 day")
        await step.sleep("between", 10)
        second = await step.wait_for_event("approval", "approved", timeout="1 day")
        return [first["payload"], second["payload"]]

    job = Job(workflow(run), sendings=(Hand(GIVE), Sending("approved", "event", is_late=True)))

    assert await every_way(job) == [{"ok": 1}, "event"]


async def test_retries_by_hand_are_the_same_in_every_way() -> None:
    """A retry that a crash cuts off is tried again by the next worker."""

    async def run(event, step):
        @step.do("charge", config=SLOWLY)
        async def charge(ctx):
            if ctx["attempt"] < 2:
                raise ConnectionError("away")
            return "paid"

        return await charge()

    assert await every_way(Job(workflow(run), sendings=(Hand(RETRY),))) == "paid"


async def test_each_outcome_by_hand_is_on_record_once() -> None:
    """As a record of the turn that names the decision."""
    store = CheckedStore()
    async with TestEngine.open([Decided], store=store) as engine:
        instance = await engine.create(Decided, id="a")
        await engine.run_until_idle()
        for hand in DECISIONS:
            await instance.force(hand.decision)
        await engine.advance("1 minute")

        history = await records(instance)
        forced = [seq for seq, record in enumerate(history, 1) if isinstance(record, StepForced)]
        waits = [(record.key.name, record.event_seq) for record in history if isinstance(record, WaitEnded)]
        assert len(forced) == len(DECISIONS)
        assert waits == [("approval", forced[3]), ("other", None)]
        assert len([record for record in history if isinstance(record, StepFailed)]) == 1
    await store.close()


@pytest.mark.parametrize(("most", "is_taken"), [(107, True), (106, False)])
async def test_value_for_which_there_is_no_room_is_refused(most: int, *, is_taken: bool) -> None:
    """Params and value fit exactly, or it is refused: taken, it would end the instance. Of a wait any is taken."""

    async def run(event, step):
        first = asyncio.ensure_future(step.do("work", asyncio.Event().wait))
        await step.wait_for_event("wait", "go")
        return len(await first)

    async with opened(run, params=[1, 2], settings=TurnSettings(instance_bytes=most)) as (engine, instance):
        await engine.run_until_idle()
        forcing = Forcing(engine.store, engine.clock, instance_bytes=most)
        value = json.dumps("x" * 100)

        if is_taken:
            await forcing.force("local", "flow", "a", Decision("work-1", Action.COMPLETE, value=value))
        else:
            with pytest.raises(InvalidInput, match=r"would hold 107 bytes; at most 106 are allowed \(the setting inst"):
                await forcing.force("local", "flow", "a", Decision("work-1", Action.COMPLETE, value=value))
        await forcing.force("local", "flow", "a", Decision("wait-1", Action.COMPLETE, "waitForEvent", value=value))
        await engine.run_until_idle()

        assert await instance.status() == ("complete" if is_taken else "running")
