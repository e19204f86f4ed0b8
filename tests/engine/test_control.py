"""Pause, resume, terminate, restart and delete, in every state of an instance."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from stepwell import WorkflowEntrypoint
from stepwell.core.steplog import StepEntry, TerminationEntry, WaitEntry
from stepwell.errors import InstanceFinished, InstanceNotFound, StepNotInHistory
from stepwell.testing import TestEngine, TestInstance
from tests.engine.flows import NOW, restart
from tests.engine.stores import CheckedStore


class Shop(WorkflowEntrypoint):
    """Does what its params say, after a first step; `calls` tells which bodies have run, `gate` holds `slow`."""

    calls: list[str]
    gate: asyncio.Event

    async def run(self, event, step):
        @step.do()
        async def first():
            Shop.calls.append("first")
            return 1

        @step.do(config={"retries": {"limit": 0, "delay": 0}})
        async def slow():
            Shop.calls.append("slow")
            await Shop.gate.wait()
            return 2

        await first()
        match event["payload"]:
            case "nap":
                await step.sleep("nap", "1 hour")
            case "slow":
                await slow()
            case "wait":
                await step.wait_for_event("answer", "go", timeout="1 hour")
            case "fail":
                raise ValueError("no")
            case "undo":
                await step.do("booked", lambda: 1, rollback=Shop.gate.wait)
                raise ValueError("no")
        return "done"


@pytest.fixture(autouse=True)
def _fresh() -> None:
    Shop.calls = []
    Shop.gate = asyncio.Event()


async def _bring(engine: TestEngine, state: str) -> TestInstance:
    """Return an instance in a state."""
    if state == "queued":
        await engine.stop()
    params = {
        "rollingBack": "undo",
        "running": "slow",
        "waiting": "nap",
        "waitingForPause": "slow",
        "paused": "nap",
        "errored": "fail",
    }
    instance = await engine.create(Shop, id="a", params=params.get(state, "nothing" if state == "complete" else "nap"))
    if state != "queued":
        await engine.run_until_idle()
    if state in ("waitingForPause", "paused"):
        await instance.pause()
    if state == "terminated":
        await instance.terminate()
    assert await instance.status() == state
    return instance


STATES = (
    "queued",
    "running",
    "waiting",
    "waitingForPause",
    "paused",
    "rollingBack",
    "complete",
    "errored",
    "terminated",
)
FINAL = STATES[6:]
REFUSED = "refused"

# What each operation answers in each of the states above.
TABLE: dict[str, tuple[str, ...]] = {
    "pause": ("queued", "waitingForPause", "paused", "waitingForPause", "paused", "rollingBack", *(REFUSED,) * 3),
    "resume": ("queued", "running", "waiting", "running", "queued", "rollingBack", *FINAL),
    "terminate": (*("terminated",) * 6, *(REFUSED,) * 3),
    "restart": ("queued",) * 9,
}
OPERATIONS: dict[str, Callable[[TestInstance], Any]] = {
    "pause": TestInstance.pause,
    "resume": TestInstance.resume,
    "terminate": TestInstance.terminate,
    "restart": TestInstance.restart,
}


@pytest.mark.parametrize(
    ("operation", "state", "answer"),
    [
        pytest.param(operation, state, answer, id=f"{operation} {state}")
        for operation, answers in TABLE.items()
        for state, answer in zip(STATES, answers, strict=True)
    ],
)
async def test_operation_in_every_state(operation: str, state: str, answer: str) -> None:
    """Each operation does in each state what the table says, and the row says what the history says."""
    store = CheckedStore()
    async with TestEngine.open([Shop], store=store) as engine:
        instance = await _bring(engine, state)

        if answer == REFUSED:
            with pytest.raises(InstanceFinished, match=f"cannot_{operation}: .* is {state}"):
                await OPERATIONS[operation](instance)
        else:
            assert await OPERATIONS[operation](instance) == answer

        expected = state if answer == REFUSED else answer
        assert (await instance.view()).row.status == expected
        store.check("local", "shop", "a")
    await store.close()


@pytest.mark.parametrize("state", STATES)
async def test_deleted_instance_is_gone_and_its_id_free(state: str) -> None:
    """An instance can be deleted in every state; nothing of it is left, and its id can be used again."""
    async with TestEngine.open([Shop]) as engine:
        instance = await _bring(engine, state)

        await instance.delete()

        with pytest.raises(InstanceNotFound):
            await instance.view()
        await engine.start_worker()
        again = await engine.create(Shop, id="a", params="nothing")
        await engine.run_until_idle()
        assert await again.output() == "done"


@pytest.mark.parametrize("state", STATES)
async def test_event_in_every_state(state: str) -> None:
    """An event is stored as long as the instance has not ended; then it is refused."""
    async with TestEngine.open([Shop]) as engine:
        instance = await _bring(engine, state)

        if state in FINAL:
            with pytest.raises(InstanceFinished, match=r"instance\.finished: cannot send an event"):
                await instance.send_event("go")
        else:
            await instance.send_event("go")
            assert await instance.status() == state


async def test_pause_lets_an_attempt_in_flight_end() -> None:
    """Its result is stored; an instance that has nothing to do after it ends, and is not paused any more."""
    async with TestEngine.open([Shop]) as engine:
        instance = await engine.create(Shop, params="slow")
        await engine.run_until_idle()
        await instance.pause()
        await engine.run_until_idle()
        assert await instance.status() == "waitingForPause"

        Shop.gate.set()
        await engine.run_until_idle()

        slow = (await instance.log()).entries[-1]
        assert isinstance(slow, StepEntry)
        assert (slow.success, slow.output, len(slow.attempts)) == (True, "2", 1)
        assert (await instance.output(), Shop.calls) == ("done", ["first", "slow"])


class Two(WorkflowEntrypoint):
    """Two steps, one after the other; the first is held by `Shop.gate`."""

    async def run(self, event, step):
        @step.do()
        async def one():
            Shop.calls.append("one")
            await Shop.gate.wait()
            return "one"

        @step.do()
        async def two():
            Shop.calls.append("two")
            return "two"

        return [await one(), await two()]


async def test_no_step_begins_in_a_pause() -> None:
    """A step that is called while the instance is being paused begins only when it is resumed."""
    async with TestEngine.open([Two]) as engine:
        instance = await engine.create(Two)
        await engine.run_until_idle()
        await instance.pause()
        Shop.gate.set()
        await engine.run_until_idle()
        assert (await instance.status(), Shop.calls) == ("paused", ["one"])

        assert await instance.resume() == "queued"
        await engine.run_until_idle()

        assert (await instance.output(), Shop.calls) == (["one", "two"], ["one", "two"])


async def test_pending_pause_is_cancelled_by_resume() -> None:
    """An instance that was to be paused, and is resumed before it is, goes on as if nothing had been."""
    async with TestEngine.open([Two]) as engine:
        instance = await engine.create(Two)
        await engine.run_until_idle()
        await instance.pause()
        await engine.run_until_idle()

        assert await instance.resume() == "running"
        Shop.gate.set()
        await engine.run_until_idle()

        assert (await instance.output(), Shop.calls) == (["one", "two"], ["one", "two"])


async def test_pause_of_a_lost_turn_is_complete_when_its_loss_is_known() -> None:
    """An instance that is being paused when its worker dies is paused by the next turn; its attempt is tried again."""
    async with TestEngine.open([Two]) as engine:
        instance = await engine.create(Two)
        await engine.run_until_idle()
        await instance.pause()
        await restart(engine)
        await engine.run_until_idle()
        assert (await instance.status(), Shop.calls) == ("paused", ["one"])

        Shop.gate.set()
        await instance.resume()
        await engine.run_until_idle()

        assert (await instance.output(), Shop.calls) == (["one", "two"], ["one", "one", "two"])


async def test_pause_ends_an_attempt_that_waits_for_steps_of_its_own() -> None:
    """A body that sleeps durably stands still as the rest does: its attempt is interrupted, and does not count."""

    class Outer(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do(config={"retries": {"limit": 0, "delay": 0}})
            async def outer(ctx):
                await step.sleep("nap", "5 minutes")
                return ctx["attempt"]

            return await outer()

    async with TestEngine.open([Outer]) as engine:
        instance = await engine.create(Outer)
        await engine.run_until_idle()
        await instance.pause()
        await engine.run_until_idle()
        assert await instance.status() == "paused"

        await instance.resume()
        await engine.advance("5 minutes")

        assert await instance.output() == 1


@pytest.mark.parametrize(
    ("params", "kind"),
    [pytest.param("nap", "sleep", id="sleep"), pytest.param("wait", "waitForEvent", id="wait for an event")],
)
async def test_waits_stand_still_in_a_pause(params: str, kind: str) -> None:
    """A sleep and the time-out of a wait end as much later as the pause took; the log says so at once."""
    async with TestEngine.open([Shop]) as engine:
        instance = await engine.create(Shop, params=params)
        await engine.advance("30 minutes")
        await instance.pause()
        await engine.advance("10 hours")
        assert await instance.status() == "paused"
        await instance.resume()
        entry = (await instance.log()).entries[-1]
        assert (entry.type, getattr(entry, "end", 0) - NOW) == (kind, 11 * 3_600_000)

        await engine.advance("29 minutes")
        assert await instance.status() == "waiting"
        await engine.advance("1 minute")

        assert await instance.status() == ("complete" if params == "nap" else "errored")


async def test_retry_delay_stands_still_in_a_pause() -> None:
    """What is left of the wait for the next attempt is waited after the resume."""

    class Retrying(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do(config={"retries": {"limit": 1, "delay": "1 hour"}})
            async def flaky(ctx):
                Shop.calls.append(f"attempt {ctx['attempt']}")
                if ctx["attempt"] == 1:
                    raise ValueError("not yet")
                return "now"

            return await flaky()

    async with TestEngine.open([Retrying]) as engine:
        instance = await engine.create(Retrying)
        await engine.advance("20 minutes")
        await instance.pause()
        await engine.advance("5 hours")
        await instance.resume()
        await engine.advance("39 minutes")
        assert Shop.calls == ["attempt 1"]

        await engine.advance("1 minute")

        assert await instance.output() == "now"


async def test_failure_in_a_pause_waits_its_whole_delay_after_it() -> None:
    """An attempt that fails while the instance is being paused is tried again its whole delay after the resume."""

    class Failing(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do(config={"retries": {"limit": 1, "delay": "1 hour"}})
            async def flaky(ctx):
                Shop.calls.append(f"attempt {ctx['attempt']}")
                await Shop.gate.wait()
                if ctx["attempt"] == 1:
                    raise ValueError("not yet")

            await flaky()

    async with TestEngine.open([Failing]) as engine:
        instance = await engine.create(Failing)
        await engine.run_until_idle()
        await instance.pause()
        await engine.advance("5 minutes")
        Shop.gate.set()
        await engine.advance("5 hours")
        assert await instance.status() == "paused"
        await instance.resume()
        await engine.advance("59 minutes")
        assert Shop.calls == ["attempt 1"]

        await engine.advance("1 minute")

        assert await instance.status() == "complete"


async def test_attempt_that_was_lost_in_a_pause_is_tried_again_at_once() -> None:
    """An attempt whose worker dies minutes after the pause was asked for does not wait minutes after the resume."""
    async with TestEngine.open([Two]) as engine:
        instance = await engine.create(Two)
        await engine.run_until_idle()
        await instance.pause()
        await engine.advance("5 minutes")
        await restart(engine)
        await engine.advance("1 hour")
        assert await instance.status() == "paused"
        Shop.gate.set()

        await instance.resume()
        await engine.run_until_idle()

        assert (await instance.output(), Shop.calls) == (["one", "two"], ["one", "one", "two"])


async def test_attempt_that_was_interrupted_in_a_pause_is_tried_again_at_once() -> None:
    """An attempt that ends as the rest of a pause's attempts has ended waits for nothing after the resume."""

    class Siblings(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do()
            async def outer():
                Shop.calls.append("outer")
                await step.sleep("nap", "1 minute")

            @step.do()
            async def slow():
                await Shop.gate.wait()

            await asyncio.gather(outer(), slow())

    async with TestEngine.open([Siblings]) as engine:
        instance = await engine.create(Siblings)
        await engine.run_until_idle()
        await instance.pause()
        await engine.advance("5 minutes")
        Shop.gate.set()
        await engine.advance("1 hour")
        assert (await instance.status(), Shop.calls) == ("paused", ["outer"])

        await instance.resume()
        await engine.run_until_idle()

        assert Shop.calls == ["outer", "outer"]


async def test_event_in_a_pause_is_met_after_it() -> None:
    """An event is stored while the instance is paused, and delivered when it is resumed."""
    async with TestEngine.open([Shop]) as engine:
        instance = await engine.create(Shop, params="wait")
        await engine.run_until_idle()
        await instance.pause()
        await instance.send_event("go")
        await engine.advance("1 day")
        assert await instance.status() == "paused"

        await instance.resume()
        await engine.run_until_idle()

        assert await instance.output() == "done"


async def test_event_meets_no_wait_while_an_attempt_keeps_the_pause_pending() -> None:
    """A wait beside an attempt in flight stands still too: the event that comes meanwhile is met after the resume."""

    class Siblings(WorkflowEntrypoint):
        async def run(self, event, step):
            async def answered():
                await step.wait_for_event("answer", "go", timeout="1 hour")
                Shop.calls.append("answered")

            await asyncio.gather(answered(), step.do("slow", Shop.gate.wait))

    async with TestEngine.open([Siblings]) as engine:
        instance = await engine.create(Siblings)
        await engine.run_until_idle()
        await instance.pause()
        await instance.send_event("go")
        await engine.run_until_idle()
        assert (await instance.status(), Shop.calls) == ("waitingForPause", [])
        Shop.gate.set()
        await engine.run_until_idle()
        assert (await instance.status(), Shop.calls) == ("paused", [])

        await instance.resume()
        await engine.run_until_idle()

        assert (await instance.status(), Shop.calls) == ("complete", ["answered"])


async def test_terminate_abandons_what_is_in_flight() -> None:
    """A terminated instance has ended: its attempt is cancelled and recorded as interrupted, nothing comes after it."""
    cancelled = []

    class Slow(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do()
            async def slow():
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    cancelled.append("slow")
                    raise

            await slow()

    async with TestEngine.open([Slow]) as engine:
        instance = await engine.create(Slow)
        await engine.run_until_idle()
        await engine.advance(100)

        await instance.terminate()
        await engine.run_until_idle()

        view = await instance.view()
        slow, termination = view.log.entries
        assert isinstance(slow, StepEntry)
        assert (slow.end, slow.success) == (None, None)
        assert [(a.end, a.success, a.error and a.error.name) for a in slow.attempts] == [
            (NOW + 100, False, "AttemptInterrupted")
        ]
        assert termination == TerminationEntry("api")
        assert (view.row.status, view.row.ended_at, view.row.step_count) == ("terminated", NOW + 100, 2)
        assert (cancelled, view.log.error) == (["slow"], None)


async def test_thread_of_a_terminated_instance_is_told() -> None:
    """A function in a thread, which cannot be stopped, learns through its context that nothing comes of it."""
    begun, told = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    class Threaded(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do()
            def slow(ctx):
                loop.call_soon_threadsafe(begun.set)
                while not ctx.cancelled:
                    time.sleep(0.001)
                loop.call_soon_threadsafe(told.set)

            await slow()

    async with TestEngine.open([Threaded]) as engine:
        instance = await engine.create(Threaded)
        await asyncio.wait_for(begun.wait(), 10)

        await instance.terminate()

        await asyncio.wait_for(told.wait(), 10)
        assert await instance.status() == "terminated"


async def test_restart_as_a_whole_runs_everything_again() -> None:
    """Steps, results, events and the end are forgotten; params and id stay, and times are those of the new run."""
    async with TestEngine.open([Shop]) as engine:
        instance = await engine.create(Shop, id="a", params="wait")
        await instance.send_event("go")
        await engine.run_until_idle()
        assert await instance.output() == "done"
        await engine.advance(500)

        assert await instance.restart() == "queued"
        await engine.run_until_idle()

        view = await instance.view()
        assert (view.row.status, Shop.calls) == ("waiting", ["first", "first"])
        assert [(entry.type, getattr(entry, "name", "")) for entry in view.log.entries] == [
            ("step", "first-1"),
            ("waitForEvent", "answer-1"),
        ]
        assert (view.row.created_at, view.row.renewed_at, view.row.started_at) == (NOW, NOW + 500, NOW + 500)
        assert (view.row.ended_at, view.output, view.params) == (None, None, '"wait"')


async def test_restart_while_an_attempt_is_in_flight() -> None:
    """What is in flight is cancelled and comes to nothing; the instance begins anew."""
    async with TestEngine.open([Shop]) as engine:
        instance = await engine.create(Shop, params="slow")
        await engine.run_until_idle()

        await instance.restart()
        await engine.run_until_idle()
        Shop.gate.set()
        await engine.run_until_idle()

        assert (await instance.output(), Shop.calls) == ("done", ["first", "slow", "first", "slow"])


class Loop(WorkflowEntrypoint):
    """Calls `work` four times, a nap behind the second; each tells its key."""

    async def run(self, event, step):
        keys = []
        for nth in range(1, 5):

            @step.do("work")
            async def work(ctx):
                Shop.calls.append(f"work {ctx['step']['count']}")
                return ctx["idempotency_key"]

            keys.append(await work())
            if nth == 2:
                await step.sleep("nap", 10)
        return keys


@pytest.mark.parametrize(
    ("name", "count", "type", "again"),
    [
        pytest.param("work", 1, "do", [1, 2, 3, 4], id="first"),
        pytest.param("work", 3, "do", [3, 4], id="third"),
        pytest.param("nap", 1, "sleep", [3, 4], id="sleep"),
        pytest.param("work", 4, "do", [4], id="last"),
    ],
)
async def test_restart_from_a_step_keeps_what_began_before_it(
    name: str, count: int, type: str, again: list[int]
) -> None:
    """The step and those that began after it run again, with new idempotency keys; earlier ones keep their results."""
    async with TestEngine.open([Loop]) as engine:
        instance = await engine.create(Loop)
        await engine.advance("1 minute")
        before = await instance.output()
        Shop.calls.clear()

        await instance.restart(name, count, type)
        await engine.advance("1 minute")

        after = await instance.output()
        assert Shop.calls == [f"work {nth}" for nth in again]
        assert [nth for nth in range(1, 5) if after[nth - 1] != before[nth - 1]] == again
        view = await instance.view()
        assert (len(view.log.entries), view.row.step_count, view.row.renewed_at) == (5, 5, None)


async def test_restart_from_a_step_goes_by_the_order_of_starts() -> None:
    """A sibling that began earlier keeps its result, though it ended later."""

    class Siblings(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do()
            async def left():
                Shop.calls.append("left")
                await Shop.gate.wait()

            @step.do()
            async def right():
                Shop.calls.append("right")

            await asyncio.gather(left(), right())

    async with TestEngine.open([Siblings]) as engine:
        instance = await engine.create(Siblings)
        await engine.run_until_idle()
        Shop.gate.set()
        await engine.run_until_idle()
        assert Shop.calls == ["left", "right"]

        await instance.restart("right")
        await engine.run_until_idle()

        assert (await instance.status(), Shop.calls) == ("complete", ["left", "right", "right"])


async def test_restart_from_a_step_keeps_an_earlier_one_that_had_not_ended() -> None:
    """An earlier sibling in flight is interrupted by the restart and tried again, under the same idempotency key."""
    keys: list[str] = []

    class Siblings(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do(config={"retries": {"limit": 0, "delay": 0}})
            async def left(ctx):
                keys.append(ctx["idempotency_key"])
                await Shop.gate.wait()
                return ctx["attempt"]

            @step.do()
            async def right():
                Shop.calls.append("right")

            return await asyncio.gather(left(), right())

    async with TestEngine.open([Siblings]) as engine:
        instance = await engine.create(Siblings)
        await engine.run_until_idle()

        await instance.restart("right")
        await engine.run_until_idle()
        Shop.gate.set()
        await engine.run_until_idle()

        assert (await instance.output(), Shop.calls) == ([1, None], ["right", "right"])
        assert (len(keys), len(set(keys))) == (2, 1)


async def test_restart_from_a_step_inside_a_step_runs_the_outer_one_again() -> None:
    """A step that was called in the body of another can only be reached by running that body."""

    class Outer(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do()
            async def outer():
                @step.do()
                async def inner():
                    Shop.calls.append("inner")

                Shop.calls.append("outer")
                await inner()

            await outer()

    async with TestEngine.open([Outer]) as engine:
        instance = await engine.create(Outer)
        await engine.run_until_idle()

        await instance.restart("inner")
        await engine.run_until_idle()

        assert (await instance.status(), Shop.calls) == ("complete", ["outer", "inner"] * 2)


async def test_restart_from_a_step_loses_events_that_nobody_had_met() -> None:
    """Buffered events are gone after a restart; one that an earlier wait had met stays with it."""

    class Waiting(WorkflowEntrypoint):
        async def run(self, event, step):
            met = await step.wait_for_event("first", "go")
            await step.do("between", lambda: None)
            await step.wait_for_event("second", "go", timeout="1 hour")
            return met["payload"]

    async with TestEngine.open([Waiting]) as engine:
        instance = await engine.create(Waiting)
        await instance.send_event("go", 1)
        await instance.send_event("other", 2)
        await engine.run_until_idle()

        await instance.restart("between")
        await engine.run_until_idle()
        assert await instance.status() == "waiting"
        await instance.send_event("go", 3)
        await engine.run_until_idle()

        assert await instance.output() == 1
        wait = (await instance.log()).entries[-1]
        assert isinstance(wait, WaitEntry)
        assert wait.output is not None
        assert '"payload":3' in wait.output


async def test_restart_from_a_step_loses_the_event_of_a_wait_that_is_forgotten() -> None:
    """An event that was met by a wait behind the step is not met again, nor is one that no wait had met."""

    class Waiting(WorkflowEntrypoint):
        async def run(self, event, step):
            await step.do("before", lambda: None)
            return (await step.wait_for_event("answer", "go", timeout="1 hour"))["payload"]

    async with TestEngine.open([Waiting]) as engine:
        instance = await engine.create(Waiting)
        await instance.send_event("go", 1)
        await instance.send_event("go", 2)
        await engine.run_until_idle()
        assert await instance.output() == 1

        await instance.restart("before")
        await engine.run_until_idle()
        assert await instance.status() == "waiting"
        await instance.send_event("go", 3)
        await engine.run_until_idle()

        assert await instance.output() == 3


@pytest.mark.parametrize(
    ("name", "count", "type"),
    [
        pytest.param("work", 5, "do", id="beyond the last"),
        pytest.param("work-1", 1, "do", id="with its count"),
        pytest.param("work", 1, "sleep", id="of another type"),
    ],
)
async def test_restart_from_an_unknown_step_is_refused(name: str, count: int, type: str) -> None:
    """A restart from a step that has not begun is refused, names it, and changes nothing."""
    async with TestEngine.open([Loop]) as engine:
        instance = await engine.create(Loop)
        await engine.advance("1 minute")

        with pytest.raises(StepNotInHistory, match=f'instance.cannot_restart: Step "{name}" not found'):
            await instance.restart(name, count, type)

        assert await instance.status() == "complete"


async def test_each_line_of_a_restarted_run_appears_again() -> None:
    """A restart as a whole says everything again; one from a step says what comes behind that step."""

    class Talking(WorkflowEntrypoint):
        async def run(self, event, step):
            step.log("before")
            await step.sleep("nap", 10)
            step.log("after")
            await step.sleep("another", 10)
            await step.do("work", lambda: None)
            step.log("end")

    async with TestEngine.open([Talking]) as engine:
        instance = await engine.create(Talking)
        await engine.advance("1 minute")
        await instance.restart("work")
        await engine.advance("1 minute")
        await instance.restart()
        await engine.advance("1 minute")

        page = await engine.engine.log("local", "talking", instance.id, 0, 100)
        assert [line.text for line in page.lines] == ["before", "after", "end", "end", "before", "after", "end"]


async def test_instance_may_delete_itself() -> None:
    """A step may delete the instance that it belongs to; nothing comes after it."""

    class Fleeting(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do()
            async def leave():
                await self.env.ENGINE.control.delete("local", "fleeting", "a")

            await leave()
            Shop.calls.append("after")

    async with TestEngine.open([Fleeting]) as engine:
        vars(engine.env)["ENGINE"] = engine.engine
        instance = await engine.create(Fleeting, id="a")
        await engine.run_until_idle()

        with pytest.raises(InstanceNotFound):
            await instance.view()
        assert Shop.calls == []
