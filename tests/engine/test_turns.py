"""When a turn parks, when it does not, and what becomes of it when something goes wrong."""

import asyncio
import itertools
import json
import logging
from contextvars import Context
from typing import Any, TypeVar

import pytest

from stepwell import WorkflowEntrypoint
from stepwell.bodies import QuickBodies
from stepwell.core.records import AttemptStarted, EventReceived, Running, StepSucceeded, Waiting
from stepwell.durations import DAY_MS
from stepwell.errors import StoreError, WorkflowFatalError
from stepwell.settings import TurnSettings
from stepwell.store.operations import Commit, Operation, ReadHistory, ReadPayload, Release
from stepwell.testing import TestEngine, TestInstance
from tests.engine.flows import opened, restart
from tests.engine.stores import CheckedStore, RefusingStore, refused

A = TypeVar("A")

seen: list[Any] = []

# Of such a step it is on record that an attempt has begun before its body runs.
ONCE = {"retries": {"limit": 0, "delay": 0}}


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


def count(store: CheckedStore, instance: TestInstance, kind: type) -> int:
    """Count records of a kind."""
    history = store.history("local", instance.workflow, instance.id)
    return sum(isinstance(recorded.record, kind) for recorded in history)


class Napping(WorkflowEntrypoint):
    """Sleeps as long as it is told."""

    async def run(self, event, step):
        await step.sleep("nap", event["payload"])
        return "rested"


@pytest.mark.parametrize(("nap_ms", "status"), [(500, "running"), (2000, "waiting"), (86_400_000, "waiting")])
async def test_waiting_is_shown_only_when_parked(nap_ms: int, status: str) -> None:
    """An instance is waiting when everything waits and nothing will happen for a second; else it stays running."""
    store = CheckedStore()
    async with TestEngine.open([Napping], store=store) as engine:
        instance = await engine.create(Napping, params=nap_ms)
        await engine.run_until_idle()
        assert await instance.status() == status

        await engine.advance(nap_ms)

        assert await instance.output() == "rested"
        assert count(store, instance, Waiting) == (status == "waiting")
    await store.close()


async def test_claim_whose_answer_was_lost_is_not_held_for_ever() -> None:
    """A worker that may hold more than it knows of has that claimed again."""
    store = RefusingStore()
    async with TestEngine.open([Napping], store=store) as engine:
        store.loses_claims = 1
        instance = await engine.create(Napping, params=500)
        await engine.run_until_idle()

        await engine.advance("2 seconds")

        assert await instance.output() == "rested"
        assert count(store, instance, Running) == 2
    await store.close()


async def test_instance_with_an_attempt_in_flight_does_not_park() -> None:
    """A branch that waits for a year does not put the instance back while another one works."""
    done = asyncio.Event()

    class Busy(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do()
            async def work():
                await done.wait()

            await asyncio.gather(work(), step.sleep("year", "360 days"))

    async with TestEngine.open([Busy]) as engine:
        instance = await engine.create(Busy)
        await engine.run_until_idle()
        assert await instance.status() == "running"

        done.set()
        await engine.run_until_idle()

        assert await instance.status() == "waiting"


async def test_events_sleep_and_wait_inside_a_step_need_nothing_else_to_happen() -> None:
    """A body that sleeps or waits durably, and calls no step, goes on by itself."""

    class Inside(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do(config={"timeout": "1 year"})
            async def outer():
                await step.sleep("inside", "10 seconds")
                return (await step.wait_for_event("go", "go"))["payload"]

            return await outer()

    async with TestEngine.open([Inside]) as engine:
        instance = await engine.create(Inside)
        await engine.advance("10 seconds")
        await instance.send_event("go", "gone")
        await engine.run_until_idle()

        assert await instance.output() == "gone"


@pytest.mark.parametrize("events", [1, 2])
async def test_wait_that_two_attempts_of_a_body_ask_for_takes_one_event(events: int) -> None:
    """A second attempt of a body that waits goes on with the wait of the first, which takes a single event."""

    class Twice(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do(config={"timeout": 1000, "retries": {"limit": 3, "delay": 0}})
            async def outer():
                return (await step.wait_for_event("go", "go"))["payload"]

            first = await outer()
            return [first, (await step.wait_for_event("go on", "go"))["payload"]]

    async with TestEngine.open([Twice]) as engine:
        instance = await engine.create(Twice)
        await engine.advance(1500)
        for i in range(events):
            await instance.send_event("go", i)
        await engine.run_until_idle()

        assert await instance.output() == ([0, 1] if events == 2 else None)


async def test_retry_that_two_attempts_of_a_body_wait_for_is_one_attempt() -> None:
    """A step inside a step that two attempts of its parent wait for is tried once when its retry is due."""

    class Twice(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do(config={"timeout": "1 year", "retries": {"limit": 1, "delay": 10_000}})
            async def inner(ctx):
                seen.append(ctx["attempt"])
                if ctx["attempt"] == 1:
                    raise ValueError("not yet")
                return "inner"

            @step.do(config={"timeout": 3000, "retries": {"limit": 9, "delay": 0}})
            async def outer():
                return await inner()

            # Something else that is due before the retry keeps its first timer alive.
            return (await asyncio.gather(outer(), step.sleep("other", 9900)))[0]

    async with TestEngine.open([Twice]) as engine:
        instance = await engine.create(Twice)
        await engine.advance("1 minute")

        assert await instance.output() == "inner"
        assert seen == [1, 2]


async def test_event_that_comes_with_the_answer_to_a_commit_holds_up_nothing() -> None:
    """A result and an event that arrive together are both met before it is decided whether to park."""

    class Both(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do()
            async def first():
                await begin.wait()
                return 1

            @step.do()
            async def second():
                seen.append("second")
                return 2

            async def branch():
                return [await first(), await second()]

            return await asyncio.gather(branch(), step.sleep("day", "1 day"))

    begin = asyncio.Event()
    store = RefusingStore()
    async with TestEngine.open([Both], store=store) as engine:
        instance = await engine.create(Both)
        await engine.run_until_idle()
        store.ignore(1)
        await instance.send_event("unheard", 1)
        begin.set()
        await engine.run_until_idle()

        assert seen == ["second"]
        assert await instance.status() == "waiting"
    await store.close()


async def test_event_that_is_told_while_the_turn_decides_to_park_is_met() -> None:
    """An event that the worker is told of in the very moment of parking is not slept over."""

    class Approval(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do()
            async def ask():
                return 1

            await ask()
            return (await step.wait_for_event("approval", "approved"))["payload"]

    class Telling(CheckedStore):
        """Sends an event so many passes of the loop after a success is on record."""

        instance: Any = None
        passes = 0

        def run(self, operation):
            answer = super().run(operation)
            if isinstance(operation, Commit) and any(row.kind == "step_succeeded" for row in operation.records):
                self.sending = asyncio.ensure_future(self._send())
            return answer

        async def _send(self):
            for _ in range(self.passes):
                await asyncio.sleep(0)
            await self.instance.send_event("approved", 1)

    for passes in range(20):
        store = Telling()
        store.passes = passes
        async with TestEngine.open([Approval], store=store, settings=TurnSettings(parks_always=True)) as engine:
            store.instance = await engine.create(Approval)
            await engine.run_until_idle()
            assert await store.instance.output() == 1
        await store.close()


async def test_foreign_wait_closes_the_turn_after_five_minutes(caplog: pytest.LogCaptureFixture) -> None:
    """A turn that waits outside of its steps is closed after 5 minutes, with a warning that names the await."""

    class Foreign(WorkflowEntrypoint):
        async def run(self, event, step):
            seen.append("run")
            if len(seen) == 1:
                await asyncio.get_running_loop().create_future()
            return "done"

    async with TestEngine.open([Foreign]) as engine:
        instance = await engine.create(Foreign)
        await engine.advance("299 seconds")
        assert (await instance.status(), caplog.text) == ("running", "")

        await engine.advance("1 second")
        assert await instance.status() == "waiting"
        assert "Foreign.run (" in caplog.text
        assert "test_turns.py, line " in caplog.text

        await engine.advance("5 minutes")
        assert await instance.output() == "done"


async def test_foreign_wait_that_is_over_does_not_close_the_turn_later(caplog: pytest.LogCaptureFixture) -> None:
    """A step that runs long after a foreign wait is left in peace."""

    class Foreign(WorkflowEntrypoint):
        async def run(self, event, step):
            await foreign

            @step.do(config={"timeout": "1 hour"})
            async def long():
                seen.append("long")
                await done.wait()
                return "done"

            return await long()

    foreign = asyncio.get_running_loop().create_future()
    done = asyncio.Event()
    async with TestEngine.open([Foreign]) as engine:
        instance = await engine.create(Foreign)
        await engine.advance("1 minute")
        foreign.set_result(None)
        await engine.advance("10 minutes")
        done.set()
        await engine.run_until_idle()

        assert await instance.output() == "done"
        assert (seen, caplog.text) == (["long"], "")


async def test_instance_with_a_timer_of_its_own_does_not_park() -> None:
    """A turn stays open while a timer of the author's is armed."""

    class Timed(WorkflowEntrypoint):
        async def run(self, event, step):
            seen.append("run")
            sleep = asyncio.create_task(step.sleep("long", "1 day"))
            await asyncio.sleep(0.01)
            sleep.cancel()
            return "done"

    async with TestEngine.open([Timed]) as engine:
        instance = await engine.create(Timed)
        await engine.run_until_idle()

        assert await instance.output() == "done"
        assert seen == ["run"]


async def test_callback_that_is_cancelled_after_it_ran_holds_up_nothing() -> None:
    """Author code may cancel a callback of the loop that has run already, or cancel it twice."""

    class Handles(WorkflowEntrypoint):
        async def run(self, event, step):
            loop = asyncio.get_running_loop()
            ran, cancelled = loop.call_soon(seen.append, "ran"), loop.call_soon(seen.append, "never")
            cancelled.cancel()
            cancelled.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            ran.cancel()
            await step.sleep("nap", 2000)
            return "rested"

    async with TestEngine.open([Handles]) as engine:
        instance = await engine.create(Handles)
        await engine.run_until_idle()
        assert (await instance.status(), seen) == ("waiting", ["ran"])

        await engine.advance("2 seconds")

        assert await instance.output() == "rested"


async def test_await_that_nothing_can_end_is_told_as_such(caplog: pytest.LogCaptureFixture) -> None:
    """Author code that waits for itself is closed with a warning too."""

    class Deadlock(WorkflowEntrypoint):
        async def run(self, event, step):
            await asyncio.Event().wait()

    async with TestEngine.open([Deadlock]) as engine:
        instance = await engine.create(Deadlock)
        await engine.advance("5 minutes")

        assert await instance.status() == "waiting"
        assert "only the workflow's own code can bring about" in caplog.text


async def test_drain_lets_attempts_end_and_begins_no_more() -> None:
    """A worker that drains waits for attempts in flight; the next step begins in the next worker."""

    class Steps(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do()
            async def first():
                await done.wait()
                return 1

            @step.do()
            async def second():
                seen.append("second")
                return 2

            return [await first(), await second()]

    done = asyncio.Event()
    async with TestEngine.open([Steps]) as engine:
        instance = await engine.create(Steps)
        await engine.run_until_idle()
        worker, task = engine._take_worker()
        assert worker is not None
        assert task is not None
        worker.drain()
        await engine.run_until_idle()
        assert not task.done()

        done.set()
        await engine.run_until_idle()
        assert task.done()
        assert (await instance.status(), seen) == ("running", [])

        await engine.start_worker()
        await engine.run_until_idle()
        assert (await instance.output(), seen) == ([1, 2], ["second"])


async def test_instance_whose_worker_is_lost_again_and_again_is_given_up() -> None:
    """After ten lost turns in a row the instance ends with an error that says so."""

    class Poison(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do()
            async def explodes(ctx):
                seen.append(ctx["attempt"])
                await asyncio.Event().wait()

            await explodes()

    async with TestEngine.open([Poison]) as engine:
        instance = await engine.create(Poison)
        for _ in range(10):
            await engine.run_until_idle()
            assert await instance.status() == "running"
            await engine.crash()
            await engine.start_worker()
        await engine.run_until_idle()

        error = await instance.error()
        assert error is not None
        assert error.name == "WorkflowInternalError"
        assert error.message.startswith("The worker process was lost 10 times in a row")
        assert seen == list(range(1, 11))


async def test_start_is_durable_before_the_body_in_a_turn_after_a_lost_one() -> None:
    """After a lost turn an attempt is on record before its body runs, so that a body that kills is counted."""
    store = RefusingStore()

    class Counting(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do()
            async def work():
                history = store.history("local", "counting", "1")
                seen.append(sum(isinstance(recorded.record, AttemptStarted) for recorded in history))
                await asyncio.Event().wait()

            await work()

    async with TestEngine.open([Counting], store=store) as engine:
        await engine.create(Counting, id="1")
        await engine.run_until_idle()
        await engine.crash()
        await engine.start_worker()
        await engine.run_until_idle()

        assert seen[1] == 2
    await store.close()


async def test_turn_that_is_lost_before_a_body_begins_does_not_begin_it() -> None:
    """A body that waits for its start to be durable does not run if the turn is lost meanwhile."""

    class Work(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do()
            async def work():
                seen.append("worked")
                await asyncio.Event().wait()

            await work()

    store = RefusingStore()
    async with TestEngine.open([Work], store=store) as engine:
        await engine.create(Work)
        await engine.run_until_idle()
        await engine.crash()
        assert seen == ["worked"]
        await engine.start_worker()
        while store.writes < 3:  # noqa: ASYNC110 - the loop is never quiet
            await asyncio.sleep(0)
        store.holds_answers = True
        await engine.run_until_idle()
        await engine.crash()
        store.let_answers_go()
        await asyncio.sleep(0)

        assert seen == ["worked"]
    await store.close()


class Paying(WorkflowEntrypoint):
    """Two steps, of which the first is told when the second may begin."""

    async def run(self, event, step):
        @step.do(config=ONCE)
        async def pay():
            seen.append("pay")
            return 1

        @step.do()
        async def ship():
            seen.append("ship")
            return 2

        return [await pay(), await ship()]


async def test_refused_commit_is_tried_again_and_nothing_is_given_before(caplog: pytest.LogCaptureFixture) -> None:
    """While the store refuses to write the author gets nothing; when it can again, everything goes on."""
    store = RefusingStore()

    class Paid(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do()
            async def pay():
                store.refuses = True
                return "paid"

            seen.append(await pay())

    async with TestEngine.open([Paid], store=store) as engine:
        instance = await engine.create(Paid)
        await engine.advance("1 minute")
        assert seen == []
        assert caplog.text.count("refuses to write") == 1

        store.refuses = False
        await engine.advance("2 seconds")

        assert seen == ["paid"]
        assert await instance.status() == "complete"
    await store.close()


async def test_lost_answer_is_asked_for_again_though_later_ones_came() -> None:
    """A commit whose answer is lost is sent again even if the commits behind it were answered."""
    store = RefusingStore()
    async with TestEngine.open([Paying], store=store) as engine:
        instance = await engine.create(Paying)
        while store.writes < 1:  # noqa: ASYNC110 - the loop is never quiet
            await asyncio.sleep(0)
        store.holds_answers = True
        await engine.run_until_idle()
        assert (seen, store.held) == (["pay"], 2)

        store.holds_answers = False
        store.let_answers_go(losing=1)
        await engine.advance("2 seconds")

        assert seen == ["pay", "ship"]
        assert await instance.output() == [1, 2]
    await store.close()


@pytest.mark.parametrize(
    ("options", "failures", "begun"),
    [
        pytest.param({}, 0, [1, 1], id="the first of several"),
        pytest.param({"config": {"retries": {"limit": 1, "delay": 0}}}, 1, [1, 2, 2], id="another one"),
        pytest.param({"config": ONCE}, 0, [1, 2], id="the only one"),
        pytest.param({"rollback": lambda: None}, 0, [1, 2], id="with a rollback"),
    ],
)
async def test_what_is_on_record_of_an_attempt_while_its_body_holds_up_the_loop(
    options: dict[str, Any], failures: int, begun: list[int]
) -> None:
    """Only the beginning of an attempt that may be made once more, as the first, waits for the end of its body.

    A process that is killed in a body which blocks the loop has all others counted, and undone. Nor does that of a body
    wait which has not been seen to end at once.
    """
    store = CheckedStore()

    class Working(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do("work", **options)
            async def work():
                seen.append(count(store, instance, AttemptStarted))
                if len(seen) <= failures:
                    raise ValueError("once more")

            await work()
            await work()

    async with TestEngine.open([Working], store=store) as engine:
        instance = await engine.create(Working)
        await engine.run_until_idle()
        assert await instance.status() == "complete"
    assert seen == begun
    await store.close()


@pytest.mark.parametrize(("took_ms", "is_quick"), [([9], True), ([10], False), ([9, 500], False), ([500, 9], True)])
def test_body_is_as_quick_as_it_was_last(took_ms: list[int], is_quick: bool) -> None:
    """It is known by its code: a closure is another function each time."""
    known = QuickBodies()

    def body() -> Any:
        return lambda: took_ms

    for ms in took_ms:
        known.ran(body(), ms)
    known.ran(len, 0)

    assert (body() in known, len in known) == (is_quick, False)


async def test_beginning_of_a_body_that_waits_is_stored_at_once() -> None:
    """What may wait for the end of an attempt waits for no longer than a pass of the loop."""
    store, done = CheckedStore(), asyncio.get_running_loop().create_future()

    class Working(WorkflowEntrypoint):
        async def run(self, event, step):
            await step.do("work", lambda: 1)
            return await step.do("wait", waiting)

    async def waiting() -> Any:
        return await done

    async with TestEngine.open([Working], store=store) as engine:
        instance = await engine.create(Working)
        await engine.run_until_idle()
        assert count(store, instance, AttemptStarted) == 2
        done.set_result(3)
        await engine.run_until_idle()
        assert await instance.output() == 3
    await store.close()


async def test_what_ends_in_one_pass_of_the_loop_goes_in_one_commit() -> None:
    """Its beginning goes with it, once the body is known to be quick."""
    store = CheckedStore()

    async def one() -> int:
        return 1

    class Many(WorkflowEntrypoint):
        async def run(self, event, step):
            for _ in range(2):
                seen.extend(await asyncio.gather(*(step.do("work", one) for _ in range(20))))

    async with TestEngine.open([Many], store=store) as engine:
        await engine.create(Many)
        await engine.run_until_idle()
    commits = [len(written.records) for written in store.written if isinstance(written, Commit)]
    assert (len(seen), commits) == (40, [20, 20, 40])
    await store.close()


async def test_body_is_no_slower_for_another_one_that_held_the_loop() -> None:
    """What counts is when it began itself, not when it could have."""
    store = CheckedStore()

    async def quick() -> None:
        seen.append("quick")

    async def holding() -> None:
        engine.clock.move_to(engine.clock.now() + 500)

    class Held(WorkflowEntrypoint):
        async def run(self, event, step):
            await asyncio.gather(step.do("hold", holding), step.do("quick", quick))
            await step.do("again", quick)
            await step.do("hold again", holding)

    async with TestEngine.open([Held], store=store) as engine:
        await engine.create(Held)
        await engine.run_until_idle()
    commits = [len(written.records) for written in store.written if isinstance(written, Commit)]
    assert (seen, commits) == (["quick", "quick"], [2, 2, 2, 1, 1])
    await store.close()


@pytest.mark.parametrize("what", ["do", "sleep"])
async def test_replay_of_one_task_has_the_loop_for_a_hundred_results_at_a_time(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each result by way of the loop takes twice as long; all of them at once would hold up every other turn."""
    loop: Any = asyncio.get_running_loop()
    run_once, passes = loop._run_once, itertools.count()

    def counted() -> None:
        next(passes)
        run_once()

    class Long(WorkflowEntrypoint):
        async def run(self, event, step):
            begun = next(passes)
            for _ in range(450):
                await (step.do("work", lambda: 1) if what == "do" else step.sleep("nap", 1))
            seen.append(next(passes) - begun)
            await step.sleep("a long one", "1 hour")

    monkeypatch.setattr(loop, "_run_once", counted)
    async with TestEngine.open([Long]) as engine:
        await engine.create(Long)
        await engine.advance("2 hours")
    live, replayed = seen
    assert live > 450
    assert 4 <= replayed < 20


async def test_wide_fan_out_begins_a_hundred_at_a_time() -> None:
    """Others have the loop in between, and the store: two such lots are the most in a row, and in a commit."""
    store = CheckedStore()

    async def body(number: int) -> int:
        seen.append("body")
        return number

    class Wide(WorkflowEntrypoint):
        async def run(self, event, step):
            others.append(loop.create_task(looking(), context=Context()))
            return sum(await asyncio.gather(*(step.do("work", body, number) for number in range(450))))

    async def looking() -> None:
        while seen.count("body") < 450:
            seen.append("other")
            await asyncio.sleep(0)

    loop, others = asyncio.get_running_loop(), list[asyncio.Task[None]]()
    async with TestEngine.open([Wide], store=store) as engine:
        instance = await engine.create(Wide)
        await engine.run_until_idle()
        assert await instance.output() == sum(range(450))
    begun = [
        sum(record.kind == "attempt_started" for record in written.records)
        for written in store.written
        if isinstance(written, Commit)
    ]
    assert sum(begun) == 450
    assert max(begun) <= 200
    in_a_row = [len(list(run)) for what, run in itertools.groupby(seen) if what == "body"]
    assert sum(in_a_row) == 450
    assert max(in_a_row) <= 200
    await store.close()


async def test_rest_of_a_wide_fan_out_begins_in_the_next_turn() -> None:
    """What had not begun when the worker died is begun by the next turn, and no step has two results."""
    store, hundred = CheckedStore(), asyncio.Event()

    async def body(number: int) -> int:
        seen.append(number)
        if number == 99:
            hundred.set()
        return number

    class Wide(WorkflowEntrypoint):
        async def run(self, event, step):
            return await asyncio.gather(*(step.do("work", body, number) for number in range(1_000)))

    async with TestEngine.open([Wide], store=store) as engine:
        instance = await engine.create(Wide)
        await hundred.wait()
        begun = len(seen)
        await restart(engine)
        await engine.run_until_idle()
        assert await instance.output() == [*range(1_000)]
    assert begun < 1_000
    assert count(store, instance, StepSucceeded) == 1_000
    await store.close()


async def test_result_that_cannot_be_decoded_is_no_error_of_the_authors(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It ends the turn, also where results are given without the loop, and the instance goes on when it can."""
    store = CheckedStore()

    class Catching(WorkflowEntrypoint):
        async def run(self, event, step):
            found = None
            try:
                await step.do("first", lambda: 1)
                found = await step.do("second", lambda: 2)
            except ValueError as error:
                seen.append(error)
            await step.sleep("nap", "1 hour")
            return found

    def broken(text: str) -> Any:
        if text == "1":
            raise ValueError(f"{text} is damaged")
        return json.loads(text)

    async with TestEngine.open([Catching], store=store) as engine:
        instance = await engine.create(Catching)
        await engine.run_until_idle()
        with monkeypatch.context() as patch:
            patch.setattr("stepwell.delivery.values.decode_json", broken)
            await engine.advance("1 hour")
        assert await instance.status() == "running"
        assert "1 is damaged" in caplog.text
        await engine.advance("1 day")
        assert await instance.output() == 2
    assert seen == []
    await store.close()


async def test_event_that_a_lost_answer_told_of_is_told_again() -> None:
    """What came from outside before a commit whose answer is lost is heard, though later ones were answered."""
    paid = asyncio.get_running_loop().create_future()

    class Waiting(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do()
            async def pay():
                return await paid

            approval = asyncio.create_task(step.wait_for_event("approval", "approved"))
            return [await pay(), (await approval)["payload"]]

    store = RefusingStore()
    async with TestEngine.open([Waiting], store=store) as engine:
        instance = await engine.create(Waiting)
        await engine.run_until_idle()
        store.holds_answers = True
        await instance.send_event("approved", "yes")
        await engine.run_until_idle()
        paid.set_result("paid")
        await engine.run_until_idle()
        await instance.send_event("other")
        await engine.run_until_idle()
        assert store.held == 3

        store.holds_answers = False
        store.let_answers_go(losing=2)
        await engine.advance("2 seconds")

        assert await instance.output() == ["paid", "yes"]
    await store.close()


@pytest.mark.parametrize("what", ["first answer", "all answers"])
async def test_lost_answer_is_asked_for_again(what: str) -> None:
    """A commit whose answer is lost is sent again, and what was written already stays as it is."""

    class FirstLost(CheckedStore):
        """Does a commit but loses its answer, once."""

        lost = False

        def run(self, operation):
            answer = super().run(operation)
            loses = not self.lost or (what == "all answers" and engine.clock.now() < until)
            if isinstance(operation, Commit) and operation.records and loses:
                self.lost = True
                return refused("lost")
            return answer

    class Parallel(WorkflowEntrypoint):
        async def run(self, event, step):
            async def do(name):
                @step.do(name)
                async def body():
                    seen.append(name)
                    return name

                return await body()

            return await asyncio.gather(*(do(name) for name in "abc"))

    store = FirstLost()
    async with TestEngine.open([Parallel], store=store) as engine:
        until = engine.clock.now() + 5000
        instance = await engine.create(Parallel)
        await engine.advance("10 seconds")

        assert await instance.output() == ["a", "b", "c"]
        assert seen == ["a", "b", "c"]
        assert count(store, instance, StepSucceeded) == 3
    await store.close()


@pytest.mark.usefixtures("bare_claims")
async def test_store_that_cannot_be_read_is_asked_again() -> None:
    """A turn whose history or payload cannot be read for now waits and asks again."""

    class Unreadable(CheckedStore):
        fails = 3

        def run(self, operation):
            if isinstance(operation, ReadHistory | ReadPayload) and self.fails:
                self.fails -= 1
                return refused("busy")
            return super().run(operation)

    class Reading(WorkflowEntrypoint):
        async def run(self, event, step):
            return len(event["payload"])

    store = Unreadable()
    async with TestEngine.open([Reading], store=store) as engine:
        instance = await engine.create(Reading, params="p" * 5000)
        await engine.advance("10 seconds")

        assert await instance.output() == 5000
    await store.close()


@pytest.mark.usefixtures("bare_claims")
async def test_damaged_history_rests_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """An instance whose history makes no sense rests for a minute and stays as it is; the others go on."""

    class Damaged(CheckedStore):
        def run(self, operation):
            answer = super().run(operation)
            if isinstance(operation, ReadHistory) and self.is_damaged:
                damaged: Any = asyncio.get_running_loop().create_future()
                damaged.set_result([*answer.result(), answer.result()[0]])
                return damaged
            return answer

        is_damaged = True

    caplog.set_level(logging.CRITICAL, "stepwell.endings")
    store = Damaged()
    async with TestEngine.open([Napping], store=store) as engine:
        instance = await engine.create(Napping, params=0)
        await engine.advance("30 seconds")
        assert await instance.status() == "running"
        assert count(store, instance, Running) == 1

        store.is_damaged = False
        await engine.advance("30 seconds")

        assert await instance.output() == "rested"
    await store.close()


async def test_replay_always_parks_at_each_wait() -> None:
    """With `parks_always` each wait is a replay, however short."""

    class Naps(WorkflowEntrypoint):
        async def run(self, event, step):
            seen.append("run")
            for i in range(3):
                await step.sleep(f"nap {i}", 10)
            return "rested"

    store = CheckedStore()
    async with TestEngine.open([Naps], store=store, settings=TurnSettings(parks_always=True)) as engine:
        instance = await engine.create(Naps)
        await engine.advance("1 second")

        assert await instance.output() == "rested"
        assert seen == ["run"] * 4
    await store.close()


async def test_instance_of_an_unknown_workflow_is_put_back() -> None:
    """A worker that does not have a workflow rests its instances instead of failing them."""
    async with TestEngine.open([Napping, Paying]) as engine:
        await engine.crash()
        known = dict(engine._workflows)
        del engine._workflows["paying"]
        await engine.start_worker()
        instance = await engine.create(Paying)
        await engine.run_until_idle()
        assert (await instance.status(), seen) == ("waiting", [])

        engine._workflows.update(known)
        await engine.advance("1 minute")

        assert await instance.output() == [1, 2]


async def test_instance_that_the_store_does_not_take_back_is_put_back_later() -> None:
    """A worker that cannot run an instance, and cannot put it back now, tries again: another worker waits for it."""

    class Away(CheckedStore):
        refusals = 0

        def run(self, operation: Operation[A]) -> asyncio.Future[A]:
            if isinstance(operation, Release) and self.refusals < 5:
                self.refusals += 1
                return refused("the disk is full")
            return super().run(operation)

    store = Away()
    async with TestEngine.open([Napping, Paying], store=store) as engine:
        await engine.crash()
        known = dict(engine._workflows)
        del engine._workflows["paying"]
        await engine.start_worker()
        instance = await engine.create(Paying)
        await engine.run_until_idle()
        assert (await instance.status(), store.refusals) == ("running", 1)

        engine._workflows.update(known)
        await engine.advance("65 seconds")

        assert (await instance.output(), store.refusals) == ([1, 2], 5)
    await store.close()


async def test_events_before_the_first_turn_are_inputs() -> None:
    """An event that comes before the worker is part of the first turn's history."""
    store = CheckedStore()
    async with TestEngine.open([Napping], store=store) as engine:
        instance = await engine.create(Napping, params=0)
        await instance.send_event("early", 1)
        await engine.run_until_idle()

        assert count(store, instance, EventReceived) == 1
        assert await instance.output() == "rested"
    await store.close()


async def test_event_in_a_resumed_turn_leaves_the_step_count() -> None:
    """A turn whose first write has no record of its own keeps the count of the steps before it."""

    async def run(event, step):
        await step.do("work", lambda: 1)
        await step.wait_for_event("wait", "go", timeout="1 day")

    async with opened(run, settings=TurnSettings(hibernate_after_ms=2 * DAY_MS)) as (engine, instance):
        await engine.run_until_idle()
        await restart(engine)
        await engine.run_until_idle()
        await instance.send_event("other")
        await engine.run_until_idle()

        assert (await instance.view()).row.step_count == 2


async def test_defect_behind_a_commit_puts_the_instance_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn that ends by a defect after it has written rests its instance, and the row says what the history says."""

    class Working(WorkflowEntrypoint):
        async def run(self, event, step):
            await step.do("work", lambda: 1)
            await step.sleep("nap", "1 hour")

    async def broken(*_: object) -> bool:
        raise RuntimeError("a defect")

    store = CheckedStore()
    async with TestEngine.open([Working], store=store) as engine:
        with monkeypatch.context() as patch:
            patch.setattr("stepwell.endings.Endings.end", broken)
            instance = await engine.create(Working, id="a")
            await engine.run_until_idle()
            assert await instance.status() == "waiting"
            store.check("local", "working", "a")

        await engine.advance("2 hours")

        assert await instance.status() == "complete"
    await store.close()


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(StoreError("the store failed: a defect"), id="of the store"),
        pytest.param(ValueError("a"), id="other"),
    ],
)
async def test_record_that_the_store_refuses_for_good_puts_the_instance_back(error: Exception) -> None:
    """It rests for a minute, as it is on record, and goes on; it is not held for as long as its worker lives."""

    class Refusing(CheckedStore):
        refusal: Exception | None = error

        def run(self, operation: Operation[A]) -> asyncio.Future[A]:
            if isinstance(operation, Commit) and self.refusal is not None:
                answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
                answer.set_exception(self.refusal)
                self.refusal = None
                return answer
            return super().run(operation)

    async def run(event, step):
        return await step.do("work", lambda: 1)

    store = Refusing()
    async with opened(run, store=store) as (engine, instance):
        await engine.run_until_idle()
        assert await instance.status() == "waiting"
        store.check("local", "flow", "a")

        await engine.advance("1 minute")

        assert (await instance.status(), await instance.output()) == ("complete", 1)
    await store.close()


async def test_fatal_error_wins_over_a_wish_to_let_go() -> None:
    """A result that cannot be stored ends the instance also while it is put back: no replay lets it be caught."""
    engines: list[TestEngine] = []

    class Catching(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do()
            async def unstorable():
                worker = engines[0]._worker
                assert worker is not None
                worker.interrupt()
                return object()

            try:
                await unstorable()
            except WorkflowFatalError as error:
                return f"caught {error}"

    async with TestEngine.open([Catching]) as engine:
        engines.append(engine)
        instance = await engine.create(Catching)
        await engine.run_until_idle()

        assert await instance.status() == "errored"
