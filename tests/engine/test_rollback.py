"""Rollbacks: which run, in which order, and what becomes of the instance.

Source: developers.cloudflare.com/workflows/build/workers-api/#rollback
"""

import asyncio
import gc
from typing import Any

import pytest

from stepwell import WorkflowEntrypoint, step
from stepwell.core.open_calls import fold_calls
from stepwell.core.records import AttemptLost, RollbackStarted
from stepwell.core.steplog import RollbackOutcome, SleepEntry, StepEntry, WaitEntry
from stepwell.core.why import EventAwaited
from stepwell.errors import NoFailedRollback, NonRetryableError, StepNotInHistory, WorkflowFatalError
from stepwell.testing import TestEngine, TestInstance
from tests.engine.flows import NOW, restart
from tests.engine.stores import CheckedStore
from tests.engine.ways import Job, every_way

ONCE = {"retries": {"limit": 0, "delay": 0}}
AGAIN_IN_AN_HOUR = {"retries": {"limit": 9, "delay": "1 hour", "backoff": "constant"}}
done: list[Any] = []
healed: list[bool] = []


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    done.clear()
    healed.clear()


async def _work(value: Any) -> Any:
    done.append(f"do {value}")
    return value


def _undo(context: Any) -> None:
    done.append(f"undo {context.output}")


class Trip(WorkflowEntrypoint):
    """Books what its params list, each with a rollback, then does what they say."""

    async def run(self, event, step):
        for what in event["payload"]["books"]:
            await step.do(what, _work, what, rollback=_undo)
        match event["payload"].get("then"):
            case "fail":
                raise ValueError("no seats")
            case "nap":
                await step.sleep("nap", "1 hour")
            case "step fails":

                @step.do("car", config=ONCE, rollback=_undo)
                async def car():
                    raise NonRetryableError("no car")

                await car()
        return "travelled"


async def _ended(engine: TestEngine, **params: Any) -> TestInstance:
    instance = await engine.create(Trip, params=params)
    await engine.advance("1 day")
    return instance


async def _rollbacks(instance: TestInstance) -> list[tuple[str, bool | None]]:
    """Return the log's rollbacks, and whether they succeeded."""
    entries = [entry for entry in (await instance.log()).entries if isinstance(entry, StepEntry)]
    return [(entry.name, entry.success) for entry in entries if entry.type == "rollback"]


async def test_escaped_error_rolls_back_the_latest_first() -> None:
    """Each step that has a rollback is undone once, in the reverse order of the starts; the error stays the first."""
    async with TestEngine.open([Trip]) as engine:
        instance = await _ended(engine, books=["flight", "hotel"], then="fail")

        assert done == ["do flight", "do hotel", "undo hotel", "undo flight"]
        log = await instance.log()
        assert (await instance.status(), log.rollback) == ("errored", RollbackOutcome("complete"))
        assert log.error is not None
        assert (log.error.name, log.error.message) == ("ValueError", "no seats")
        assert await _rollbacks(instance) == [("hotel-1", True), ("flight-1", True)]
        assert (await instance.view()).row.step_count == len(log.entries) == 4


async def test_success_rolls_nothing_back() -> None:
    """An instance that completes runs no rollback, and shows none."""
    async with TestEngine.open([Trip]) as engine:
        instance = await _ended(engine, books=["flight"])

        assert done == ["do flight"]
        assert (await instance.status(), (await instance.log()).rollback) == ("complete", None)


async def test_failed_step_is_rolled_back_too() -> None:
    """A step that has failed is undone as those that succeeded are; it has no output."""
    async with TestEngine.open([Trip]) as engine:
        instance = await _ended(engine, books=["flight"], then="step fails")

        assert done == ["do flight", "undo None", "undo flight"]
        assert await _rollbacks(instance) == [("car-1", True), ("flight-1", True)]


async def test_error_that_is_caught_rolls_nothing_back() -> None:
    """Only an error that escapes `run` begins the rollback."""

    class Careful(WorkflowEntrypoint):
        async def run(self, event, step):
            try:
                await step.do("flight", _fails, config=ONCE, rollback=_undo)
            except ValueError:
                return "stayed"

    async with TestEngine.open([Careful]) as engine:
        instance = await engine.create(Careful)
        await engine.run_until_idle()

        assert (await instance.output(), done) == ("stayed", [])


async def _fails() -> None:
    raise ValueError("no")


async def test_unfinished_step_is_ended_and_then_rolled_back() -> None:
    """An attempt in flight when `run` fails is ended before the first rollback runs."""

    class Both(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do("slow", rollback=_undo)
            async def slow():
                try:
                    await asyncio.Event().wait()
                finally:
                    done.append("slow ended")

            task = asyncio.ensure_future(slow())
            await step.do("flight", _work, "flight", rollback=_undo)
            await asyncio.sleep(0)
            assert not task.done()
            raise ValueError("no")

    async with TestEngine.open([Both]) as engine:
        instance = await engine.create(Both)
        await engine.run_until_idle()

        assert done == ["do flight", "slow ended", "undo None", "undo flight"]
        assert await instance.status() == "errored"


async def test_rollback_receives_what_cloudflares_does() -> None:
    """It gets the step's context, the error as it was, the output with its type, and the step's name with its count."""
    got: list[Any] = []

    class Told(WorkflowEntrypoint):
        async def run(self, event, step):
            def undo(rollback):
                got.append(rollback)

            await step.do("book", lambda: {1, 2}, rollback=undo)
            raise LookupError("gone")

    async with TestEngine.open([Told]) as engine:
        await engine.create(Told, id="a")
        await engine.run_until_idle()

    (context,) = got
    assert (context["stepName"], context.step_name, context.output) == ("book-1", "book-1", {1, 2})
    assert (type(context.error), str(context["error"])) == (LookupError, "gone")
    assert (context.ctx["step"], context.ctx.attempt) == ({"name": "book", "count": 1}, 1)
    assert context.attempt == 1
    assert context.idempotency_key != context.ctx.idempotency_key


@pytest.mark.parametrize("form", ["decorator", "marked", "no argument", "async", "thread"])
async def test_rollback_in_every_form(form: str) -> None:
    """Decorated, marked and direct steps take a rollback; it may be async or not, and take nothing."""

    async def undo_later(context: Any) -> None:
        await asyncio.sleep(0)
        done.append("undo")

    @step(rollback=_undo)
    async def marked() -> str:
        return "marked"

    class Forms(WorkflowEntrypoint):
        async def run(self, event, step):
            match form:
                case "decorator":

                    @step.do("a", rollback=_undo)
                    async def decorated():
                        return "decorator"

                    await decorated()
                case "marked":
                    await marked()
                case "no argument":
                    await step.do("a", _work, 1, rollback=lambda: done.append("undo"))
                case "async":
                    await step.do("a", _work, 1, rollback=undo_later)
                case "thread":
                    await step.do("a", lambda: "thread", rollback=_undo)
            raise ValueError("no")

    async with TestEngine.open([Forms]) as engine:
        instance = await engine.create(Forms)
        await engine.run_until_idle()

        assert done[-1].startswith("undo")
        assert (await instance.log()).rollback == RollbackOutcome("complete")


async def test_rollback_is_tried_again_by_its_config() -> None:
    """A rollback that fails is tried again as its config says, while the instance is rolling back."""

    class Stubborn(WorkflowEntrypoint):
        async def run(self, event, step):
            def undo(context):
                done.append(context.attempt)
                if context.attempt < 3:
                    raise ValueError("busy")

            config = {"retries": {"limit": 2, "delay": "1 hour", "backoff": "constant"}}
            await step.do("book", _work, 1, rollback=undo, rollback_config=config)
            raise LookupError("gone")

    async with TestEngine.open([Stubborn]) as engine:
        instance = await engine.create(Stubborn)
        await engine.advance("30 minutes")
        assert (await instance.status(), done) == ("rollingBack", ["do 1", 1])
        assert (await instance.log()).rollback is None

        await engine.advance("2 hours")

        assert (await instance.status(), done) == ("errored", ["do 1", 1, 2, 3])
        entry = (await instance.log()).called[-1]
        assert isinstance(entry, StepEntry)
        assert [attempt.success for attempt in entry.attempts] == [False, False, True]


def _cannot() -> None:
    done.append("cannot")
    if not healed:
        raise OSError("the hotel does not answer")


class Broken(WorkflowEntrypoint):
    """Does three steps and fails; the rollback of the second fails too, until it is healed."""

    async def run(self, event, step):
        await step.do("flight", _work, "flight", rollback=_undo)
        await step.do("hotel", _work, "hotel", rollback=_cannot, rollback_config=ONCE)
        await step.do("car", _work, "car", rollback=_undo)
        raise LookupError("gone")


async def test_first_failure_ends_the_rollback() -> None:
    """A rollback that fails for good ends the chain; its error is told beside the instance's own."""
    async with TestEngine.open([Broken]) as engine:
        instance = await engine.create(Broken)
        await engine.run_until_idle()

        log = await instance.log()
        assert done[3:] == ["undo car", "cannot"]
        assert log.error is not None
        assert log.rollback is not None
        assert log.rollback.error is not None
        assert (log.error.name, log.rollback.outcome, log.rollback.error.name) == ("LookupError", "failed", "OSError")
        assert await _rollbacks(instance) == [("car-1", True), ("hotel-1", False)]
        brief = await engine.engine.get("local", "broken", instance.id, with_steps=False)
        assert (brief.log.rollback, brief.log.error) == (log.rollback, log.error)


async def test_failed_rollback_goes_on_when_it_is_asked_to() -> None:
    """What failed is tried again, what was undone stays so, and the rest is undone; then the outcome is another."""
    store = CheckedStore()
    async with TestEngine.open([Broken], store=store) as engine:
        instance = await engine.create(Broken, id="a")
        await engine.run_until_idle()
        healed.append(True)

        assert await instance.resume_rollback() == "rollingBack"
        await engine.run_until_idle()

        log = await instance.log()
        assert done[3:] == ["undo car", "cannot", "cannot", "undo flight"]
        assert (await instance.status(), log.rollback) == ("errored", RollbackOutcome("complete"))
        assert log.error is not None
        assert log.error.name == "LookupError"
        brief = await engine.engine.get("local", "broken", "a", with_steps=False)
        assert (brief.log.rollback, brief.log.error) == (log.rollback, log.error)
        store.check("local", "broken", "a")
        with pytest.raises(NoFailedRollback, match="no_failed_rollback"):
            await instance.resume_rollback()
    await store.close()


async def test_wait_that_made_a_rollback_fail_is_begun_again() -> None:
    """It has timed out inside of the rollback; where that goes on it waits anew, and may get its event."""

    class Asking(WorkflowEntrypoint):
        async def run(self, event, step):
            async def undo():
                answer = await step.wait_for_event("allowed", "allowed", timeout="1 hour")
                done.append(answer["payload"])

            once = {"retries": {"limit": 0, "delay": 0}, "timeout": "1 day"}
            await step.do("flight", _work, "flight", rollback=undo, rollback_config=once)
            raise LookupError("no")

    store = CheckedStore()
    async with TestEngine.open([Asking], store=store) as engine:
        instance = await engine.create(Asking, id="a")
        await engine.advance("2 hours")
        outcome = (await instance.log()).rollback
        assert outcome is not None
        assert outcome.outcome == "failed"

        await instance.resume_rollback()
        await engine.run_until_idle()
        (reason,) = [reason for reason in (await instance.why()).reasons if isinstance(reason, EventAwaited)]
        await instance.send_event("allowed", "yes")
        await engine.run_until_idle()

        assert (reason.step, reason.event_type) == ("allowed-1", "allowed")
        assert done[-1] == "yes"
        assert ((await instance.log()).rollback, await instance.status()) == (RollbackOutcome("complete"), "errored")
        store.check("local", "asking", "a")
    await store.close()


async def test_terminate_with_rollback_undoes_what_was_done() -> None:
    """What runs is ended at once, the rollbacks run with an error named Terminated, and then it is terminated."""
    got: list[Any] = []

    class Waiting(WorkflowEntrypoint):
        async def run(self, event, step):
            await step.do("flight", _work, "flight", rollback=lambda context: got.append(context.error))
            await step.sleep("nap", "1 hour")

    store = CheckedStore()
    async with TestEngine.open([Waiting], store=store) as engine:
        instance = await engine.create(Waiting, id="a")
        await engine.run_until_idle()

        assert await instance.terminate(rollback=True) == "rollingBack"
        assert await instance.terminate(rollback=True) == "rollingBack"
        await engine.run_until_idle()

        (error,) = got
        assert (error.name, str(error)) == ("Terminated", "Instance terminated during rollback")
        log = await instance.log()
        assert (await instance.status(), log.error, log.rollback) == ("terminated", None, RollbackOutcome("complete"))
        assert [entry.type for entry in log.entries] == ["step", "sleep", "rollback", "termination"]
        store.check("local", "waiting", "a")
    await store.close()


async def test_terminate_with_rollback_of_an_attempt_in_flight() -> None:
    """The attempt is cancelled, and shown as ended at once, and then undone."""
    gate = asyncio.Event()

    async def undo() -> None:
        await gate.wait()
        done.append("undo slow")

    class Slow(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do("slow", rollback=undo)
            async def slow():
                try:
                    await asyncio.Event().wait()
                finally:
                    done.append("slow ended")

            await slow()

    async with TestEngine.open([Slow]) as engine:
        instance = await engine.create(Slow)
        await engine.run_until_idle()

        await instance.terminate(rollback=True)
        await engine.run_until_idle()

        slow = (await instance.log()).called[0]
        assert isinstance(slow, StepEntry)
        assert [attempt.error and attempt.error.name for attempt in slow.attempts] == ["AttemptInterrupted"]
        gate.set()
        await engine.run_until_idle()
        assert (await instance.status(), done) == ("terminated", ["slow ended", "undo slow"])


@pytest.mark.parametrize("state", ["queued", "without rollbacks"])
async def test_terminate_with_rollback_where_there_is_none_is_immediate(state: str) -> None:
    """An instance without rollbacks never shows `rollingBack`: it is terminated at once."""
    async with TestEngine.open([Trip]) as engine:
        if state == "queued":
            await engine.stop()
        instance = await engine.create(Trip, params={"books": [], "then": "nap"})
        await engine.run_until_idle()

        assert await instance.terminate(rollback=True) == "terminated"

        assert (await instance.log()).rollback is None


async def test_plain_terminate_undoes_nothing_and_cuts_a_rollback_short() -> None:
    """Without rollback a termination is immediate; one in the middle of a rollback leaves that failed."""

    class Slow(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do("book", rollback=_never)
            async def book():
                return 1

            await book()
            raise ValueError("no")

    async def _never() -> None:
        done.append("began")
        await asyncio.Event().wait()

    async with TestEngine.open([Slow]) as engine:
        instance = await engine.create(Slow)
        await engine.run_until_idle()
        assert (await instance.status(), done) == ("rollingBack", ["began"])

        assert await instance.terminate() == "terminated"
        await engine.run_until_idle()

        log = await instance.log()
        assert (log.error, log.rollback and log.rollback.outcome) == (None, "failed")
        brief = await engine.engine.get("local", "slow", instance.id, with_steps=False)
        assert (brief.log.rollback, brief.log.error) == (log.rollback, log.error)


async def test_lost_worker_does_not_lose_the_rollback() -> None:
    """After a crash in the middle the replay finds the rollbacks again, and goes on with the one that was lost."""
    gate = asyncio.Event()

    class Crashing(WorkflowEntrypoint):
        async def run(self, event, step):
            await step.do("flight", _work, "flight", rollback=_undo)

            async def undo(context):
                done.append("undo hotel began")
                await gate.wait()
                done.append("undo hotel")

            await step.do("hotel", _work, "hotel", rollback=undo)
            await step.sleep("nap", "1 second")
            await step.do("car", _work, "car", rollback=_undo)
            raise LookupError("gone")

    store = CheckedStore()
    async with TestEngine.open([Crashing], store=store) as engine:
        instance = await engine.create(Crashing, id="a")
        await engine.advance("2 seconds")
        assert (await instance.status(), done[-1]) == ("rollingBack", "undo hotel began")

        await restart(engine)
        gate.set()
        await engine.run_until_idle()

        assert done == [
            "do flight",
            "do hotel",
            "do car",
            "undo car",
            "undo hotel began",
            "undo hotel began",
            "undo hotel",
            "undo flight",
        ]
        assert (await instance.status(), (await instance.log()).rollback) == ("errored", RollbackOutcome("complete"))
        kinds = [type(recorded.record) for recorded in store.history("local", "crashing", "a")]
        assert kinds.count(RollbackStarted) == 1
    await store.close()


@pytest.mark.parametrize("then", ["fail", "step fails"])
async def test_every_crash_of_a_rollback_leads_to_the_same_end(then: str) -> None:
    """Whichever write is the last of a worker, the next one brings the instance to the same end."""
    error = await every_way(Job(Trip, {"books": ["flight", "hotel"], "then": then}))

    assert error.message == ("no seats" if then == "fail" else "no car")


async def test_rollback_that_the_code_no_longer_has_is_missing() -> None:
    """A step that began with a rollback, in code that gives it none any more, fails the rollback and is named."""
    gives = [True]

    class Changed(WorkflowEntrypoint):
        async def run(self, event, step):
            await step.do("flight", _work, "flight", **({"rollback": _undo} if gives[0] else {}))
            await step.sleep("nap", "1 hour")
            raise ValueError("no")

    async with TestEngine.open([Changed]) as engine:
        instance = await engine.create(Changed)
        await engine.run_until_idle()
        gives[0] = False

        await engine.advance("2 hours")

        log = await instance.log()
        assert log.rollback is not None
        assert log.rollback.error is not None
        assert (log.rollback.outcome, log.rollback.error.name) == ("failed", "RollbackMissing")
        assert 'step "flight-1"' in log.rollback.error.message
        assert (await instance.status(), log.error and log.error.name) == ("errored", "ValueError")


async def test_value_that_cannot_be_stored_ends_without_rollback() -> None:
    """What the engine ends by itself rolls nothing back, as on Cloudflare."""

    class Fatal(WorkflowEntrypoint):
        async def run(self, event, step):
            await step.do("flight", _work, "flight", rollback=_undo)
            await step.do("broken", object)

    async with TestEngine.open([Fatal]) as engine:
        instance = await engine.create(Fatal)
        await engine.run_until_idle()

        assert (await instance.status(), (await instance.log()).rollback) == ("errored", None)
        assert done == ["do flight"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        pytest.param({"rollback": 5}, 'Rollback for "flight" must be a function', id="no function"),
        pytest.param({"rollback_config": ONCE}, 'Rollback for "flight" must be a function', id="config alone"),
        pytest.param({"rollback": _undo, "rollback_config": {"timeout": "soon"}}, "timeout must be", id="config"),
    ],
)
async def test_wrong_rollback_is_refused_at_the_call(options: dict[str, Any], problem: str) -> None:
    """What cannot be a rollback fails the call before the step begins, and can be caught."""

    class Wrong(WorkflowEntrypoint):
        async def run(self, event, step):
            try:
                await step.do("flight", _work, "flight", **options)
            except WorkflowFatalError as error:
                return str(error)

    async with TestEngine.open([Wrong]) as engine:
        instance = await engine.create(Wrong)
        await engine.run_until_idle()

        assert problem in await instance.output()
        assert done == []


async def test_step_inside_a_step_has_no_rollback() -> None:
    """A replay does not run the outer body, so it could not find the rollback: it is refused, with the remedy."""

    class Nested(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do(config=ONCE)
            async def outer():
                await step.do("inner", _work, 1, rollback=_undo)

            await outer()

    async with TestEngine.open([Nested]) as engine:
        instance = await engine.create(Nested)
        await engine.run_until_idle()

        error = await instance.error()
        assert error is not None
        assert "give it to the outer step" in error.message


async def test_restart_forgets_the_rollback() -> None:
    """A restarted instance has not been rolled back; from a step, too, steps that stay can be rolled back again."""
    async with TestEngine.open([Trip]) as engine:
        instance = await _ended(engine, books=["flight", "hotel"], then="fail")
        done.clear()

        await instance.restart("hotel")
        await engine.run_until_idle()

        assert done == ["do hotel", "undo hotel", "undo flight"]
        log = await instance.log()
        assert (log.rollback, len(log.entries)) == (RollbackOutcome("complete"), 4)
        await instance.restart()
        assert ((await instance.log()).rollback, await instance.status()) == (None, "queued")


async def test_pause_and_resume_do_nothing_to_a_rollback() -> None:
    """A rollback is brought to its end; a restart ends it."""
    gate = asyncio.Event()

    class Slow(WorkflowEntrypoint):
        async def run(self, event, step):
            await step.do("book", _work, 1, rollback=gate.wait)
            raise ValueError("no")

    async with TestEngine.open([Slow]) as engine:
        instance = await engine.create(Slow)
        await engine.run_until_idle()

        assert [await instance.pause(), await instance.resume()] == ["rollingBack", "rollingBack"]
        gate.set()
        await engine.run_until_idle()

        assert await instance.status() == "errored"
        assert (await instance.view()).row.ended_at == NOW


async def test_rollback_waits_for_a_worker_that_has_the_workflow() -> None:
    """A worker whose files lack the workflow rests an instance that is rolled back, and loses nothing of it."""
    store = CheckedStore()
    async with TestEngine.open([Trip], store=store) as engine:
        instance = await engine.create(Trip, id="a", params={"books": ["flight"], "then": "nap"})
        await engine.run_until_idle()
        trip, engine._workflows = dict(engine._workflows), {}
        await restart(engine)
        await instance.terminate(rollback=True)
        await engine.run_until_idle()
        assert await instance.status() == "rollingBack"
        store.check("local", "trip", "a")

        engine._workflows = trip
        await restart(engine)
        await engine.advance("2 minutes")

        assert (await instance.status(), done) == ("terminated", ["do flight", "undo flight"])
    await store.close()


async def test_replay_for_a_rollback_runs_nothing_new() -> None:
    """Code that no longer fails where it had failed gets no further: a call that is not on record never returns."""
    fails = [True]
    gate = asyncio.Event()

    class Healed(WorkflowEntrypoint):
        async def run(self, event, step):
            await step.do("flight", _work, "flight", rollback=gate.wait)
            if fails[0]:
                raise ValueError("no")
            await step.sleep("nap", 1)
            await step.do("hotel", _work, "hotel", rollback=_undo)
            done.append("beyond")

    async with TestEngine.open([Healed]) as engine:
        instance = await engine.create(Healed)
        await engine.run_until_idle()
        fails[0] = False
        await restart(engine)
        gate.set()
        await engine.advance("1 hour")

        assert (await instance.status(), done) == ("errored", ["do flight"])
        log = await instance.log()
        assert (log.error and log.error.message, [entry.name for entry in log.called]) == ("no", ["flight-1"] * 2)


async def test_error_that_a_replay_meets_again_is_no_news() -> None:
    """Asyncio reports errors that nobody has looked at: this one is in the history."""
    reported: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["message"]))

    class Fails(WorkflowEntrypoint):
        async def run(self, event, step):
            await step.do("flight", _work, "flight", rollback=asyncio.Event().wait)
            raise ValueError("no")

    async with TestEngine.open([Fails]) as engine:
        instance = await engine.create(Fails)
        await engine.run_until_idle()
        await restart(engine)
        await engine.run_until_idle()
        assert await instance.status() == "rollingBack"
    gc.collect()

    assert reported == []


async def test_nothing_of_run_ends_while_it_is_rolled_back() -> None:
    """Its sleeps and waits are over with it, also in the turn in which the rollback began."""

    class Left(WorkflowEntrypoint):
        async def run(self, event, step):
            await step.do("pay", lambda: 1, rollback=asyncio.Event().wait)
            left = [step.wait_for_event("answer", "go"), step.sleep("nap", "1 minute")]
            tasks = [asyncio.ensure_future(one) for one in left]
            await step.do("begun", lambda: len(tasks))
            raise LookupError("no seats")

    store = CheckedStore()
    async with TestEngine.open([Left], store=store) as engine:
        instance = await engine.create(Left, id="a")
        await engine.run_until_idle()
        await instance.send_event("go")
        await engine.advance("2 minutes")

        entries = [entry for entry in (await instance.log()).entries if isinstance(entry, SleepEntry | WaitEntry)]
        assert [(entry.name, entry.finished) for entry in entries] == [("answer-1", False), ("nap-1", False)]
    await store.close()


async def test_pause_ends_where_the_rollback_begins() -> None:
    """The waits of a rollback are as long as they say, however long the instance was paused before it."""

    class Paused(WorkflowEntrypoint):
        async def run(self, event, step):
            await step.do("flight", _work, "flight", rollback=_cannot, rollback_config=AGAIN_IN_AN_HOUR)
            await step.sleep("nap", "9 days")

    store = CheckedStore()
    async with TestEngine.open([Paused], store=store) as engine:
        instance = await engine.create(Paused, id="a")
        await engine.run_until_idle()
        await instance.pause()
        await engine.advance("2 days")

        await instance.terminate(rollback=True)
        await engine.advance("59 minutes")
        assert done[1:] == ["cannot"]
        nap = (await instance.log()).called[1]
        assert nap.end == NOW + 11 * 86_400_000
        (retry,) = fold_calls(store.history("local", "paused", "a")).live()
        assert retry.until == NOW + 2 * 86_400_000 + 3_600_000
        await engine.advance("1 minute")

        assert done[1:] == ["cannot", "cannot"]
        store.check("local", "paused", "a")
    await store.close()


async def test_restart_from_a_step_after_pause_and_rollback() -> None:
    """What the turn of the rollback has left in the history does not stand behind a pause."""
    store = CheckedStore()
    async with TestEngine.open([Trip], store=store) as engine:
        instance = await engine.create(Trip, id="a", params={"books": ["flight", "hotel"], "then": "nap"})
        await engine.run_until_idle()
        await instance.pause()
        await instance.terminate(rollback=True)
        await engine.run_until_idle()
        assert await instance.status() == "terminated"

        await instance.restart("hotel")
        store.check("local", "trip", "a")
        await engine.advance("1 day")

        assert (await instance.status(), done[-1]) == ("complete", "do hotel")
        store.check("local", "trip", "a")
    await store.close()


async def test_step_that_failed_inside_a_rollback_is_tried_again_when_it_goes_on() -> None:
    """A rollback that failed because of a step of its own can be gone on with like any other."""

    class Nested(WorkflowEntrypoint):
        async def run(self, event, step):
            async def undo() -> None:
                await step.do("refund", _cannot, config=ONCE)

            await step.do("flight", _work, "flight", rollback=undo, rollback_config=ONCE)
            raise LookupError("gone")

    store = CheckedStore()
    async with TestEngine.open([Nested], store=store) as engine:
        instance = await engine.create(Nested, id="a")
        await engine.run_until_idle()
        assert done[1:] == ["cannot"]
        healed.append(True)

        await instance.resume_rollback()
        await engine.run_until_idle()

        assert (done[1:], (await instance.log()).rollback) == (["cannot", "cannot"], RollbackOutcome("complete"))
        with pytest.raises(StepNotInHistory):
            await instance.restart("refund")
        store.check("local", "nested", "a")
    await store.close()


async def test_attempt_that_a_termination_ended_is_not_lost() -> None:
    """A rollback that was cut short and goes on has all the attempts that it may have."""
    lets_go = asyncio.Event()

    class Cut(WorkflowEntrypoint):
        async def run(self, event, step):
            async def undo() -> None:
                done.append("undo")
                await lets_go.wait()

            await step.do("flight", _work, "flight", rollback=undo, rollback_config=ONCE)
            raise LookupError("gone")

    store = CheckedStore()
    async with TestEngine.open([Cut], store=store) as engine:
        instance = await engine.create(Cut, id="a")
        await engine.run_until_idle()
        await instance.terminate()
        await engine.run_until_idle()
        lets_go.set()

        await instance.resume_rollback()
        await engine.run_until_idle()

        assert (done[1:], (await instance.log()).rollback) == (["undo", "undo"], RollbackOutcome("complete"))
        assert not any(isinstance(each.record, AttemptLost) for each in store.history("local", "cut", "a"))
    await store.close()


async def test_nothing_comes_of_what_a_rollback_returns() -> None:
    """It may return what cannot be stored: the answer of a client, mostly."""
    got: list[Any] = []

    class Returns(WorkflowEntrypoint):
        async def run(self, event, step):
            async def undo() -> object:
                got.append("async")
                return object()

            def plain() -> object:
                got.append("plain")
                return object()

            await step.do("flight", _work, "flight", rollback=plain)
            await step.do("hotel", _work, "hotel", rollback=undo)
            raise LookupError("gone")

    async with TestEngine.open([Returns]) as engine:
        instance = await engine.create(Returns)
        await engine.run_until_idle()

        log = await instance.log()
        assert (got, log.rollback) == (["async", "plain"], RollbackOutcome("complete"))
        assert log.error is not None
        assert log.error.name == "LookupError"


async def test_nothing_is_kept_of_the_rollback_of_a_sensitive_step() -> None:
    """It is given the output of which nothing is kept."""

    class Secret(WorkflowEntrypoint):
        async def run(self, event, step):
            await step.do("key", _work, "s3cret", config={"sensitive": "output"}, rollback=lambda: None)
            raise LookupError("gone")

    async with TestEngine.open([Secret]) as engine:
        instance = await engine.create(Secret)
        await engine.run_until_idle()

        _, undone = (await instance.log()).called
        assert isinstance(undone, StepEntry)
        assert (undone.type, undone.config.sensitive) == ("rollback", "output")
