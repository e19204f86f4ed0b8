"""Invariant 3, one order live and on replay: the cases that break naive engines."""

import asyncio
from contextvars import Context
from typing import Any

import pytest

from stepwell import WorkflowEntrypoint
from stepwell.core.records import StepCancelled, StepSucceeded
from stepwell.core.steplog import StepEntry
from stepwell.errors import Diverged
from stepwell.settings import TurnSettings
from stepwell.testing import TestEngine
from tests.engine.clocks import SettableClock
from tests.engine.stores import CheckedStore, RefusingStore
from tests.engine.ways import Job, Sending, every_way

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
ran: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


async def test_two_branches_go_on_to_a_step_of_the_same_name() -> None:
    """The count of a name goes to the branch that asked first, on replay too."""

    class Same(WorkflowEntrypoint):
        async def run(self, event, step):
            async def branch(mine, nap):
                await step.sleep(f"nap {mine}", nap)

                @step.do("pay")
                async def pay(ctx):
                    return [mine, ctx["step"]["count"]]

                return await pay()

            return await asyncio.gather(branch("slow", 5000), branch("quick", 2000), branch("quicker", 1500))

    assert await every_way(Job(Same)) == [["slow", 3], ["quick", 2], ["quicker", 1]]


async def test_two_results_in_one_commit_and_a_nested_gather_in_one_branch() -> None:  # noqa: C901 - many small functions
    """A branch that needs many loop passes to go on still goes on before the next result is delivered."""

    class Nested(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do("first")
            async def first():
                return 1

            @step.do("second")
            async def second():
                return 2

            def next_step(mine):
                @step.do("next")
                async def after(ctx):
                    return [mine, ctx["step"]["count"]]

                return after()

            async def deep(depth):
                if depth == 0:
                    return await first()
                return (await asyncio.gather(deep(depth - 1)))[0]

            async def one():
                await deep(20)
                return await next_step("one")

            async def two():
                # Asked after the other branch, which has twenty tasks to go through first.
                for _ in range(50):
                    await asyncio.sleep(0)
                await second()
                return await next_step("two")

            return await asyncio.gather(one(), two())

    assert await every_way(Job(Nested)) == [["one", 1], ["two", 2]]


async def test_results_of_one_group_commit_are_delivered_one_at_a_time() -> None:
    """Results whose answers arrive together are met one after the other, each by all tasks until they are blocked."""

    class Race(WorkflowEntrypoint):
        async def run(self, event, step):
            def racer(name):
                @step.do(name)
                async def run():
                    return name

                return asyncio.create_task(run())

            done, pending = await asyncio.wait([racer("a"), racer("b")], return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            return [len(done), [task.result() for task in done]]

    store = RefusingStore()
    async with TestEngine.open([Race], store=store) as engine:
        instance = await engine.create(Race)
        store.holds_answers = True
        for _ in range(3):
            await asyncio.sleep(0.005)
            store.let_answers_go()
        store.holds_answers = False
        store.let_answers_go()
        await engine.run_until_idle()

        assert await instance.output() == [1, ["a"]]
    await store.close()


async def test_first_completed_with_cancelled_loser() -> None:
    """The winner of a race stays the winner, and its loser is cancelled in the same place."""

    class Race(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do("hang")
            async def hang():
                ran.append("hang")
                await asyncio.Event().wait()

            @step.do("win")
            async def win():
                return "won"

            tasks = [
                asyncio.create_task(hang()),
                asyncio.create_task(win()),
                asyncio.create_task(step.sleep("a", "1 day")),
            ]
            done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            cancelled = await asyncio.gather(*pending, return_exceptions=True)
            await step.sleep("b", "2 days")
            return [[task.result() for task in done], [type(error).__name__ for error in cancelled]]

    assert await every_way(Job(Race)) == [["won"], ["CancelledError", "CancelledError"]]


async def test_step_called_inside_a_step() -> None:
    """A step inside a step is recorded by itself; the other calls of its name are counted the same without it."""

    class Nested(WorkflowEntrypoint):
        async def run(self, event, step):
            def pay(amount):
                @step.do("pay")
                async def pay_it(ctx):
                    return [amount, ctx["step"]["count"]]

                return pay_it()

            @step.do("order", config={"retries": {"limit": 3, "delay": 1000, "backoff": "constant"}})
            async def order(ctx):
                ran.append(("order", ctx["attempt"]))
                first = await pay(1)
                if ctx["attempt"] == 1:
                    raise ValueError("again")
                return [first, await pay(2)]

            paid = await asyncio.gather(order(), pay(3))
            return [paid, await pay(4)]

    assert await every_way(Job(Nested), crashes=False) == [[[[1, 2], [2, 3]], [3, 1]], [4, 4]]


async def test_step_inside_a_step_survives_crashes() -> None:
    """However the parent's attempts end, what is inside of it is done once and reaches the right call."""

    class Nested(WorkflowEntrypoint):
        async def run(self, event, step):
            def pay(amount):
                @step.do("pay")
                async def pay_it():
                    ran.append(amount)
                    return amount

                return pay_it()

            @step.do("order", config={"retries": {"limit": 3, "delay": 1000, "backoff": "constant"}})
            async def order(ctx):
                paid = await asyncio.gather(pay(1), pay(2))
                await step.sleep("nap", 100)
                if ctx["attempt"] == 1:
                    raise ValueError("again")
                return paid

            return [await asyncio.gather(order(), pay(3)), await pay(4)]

    assert await every_way(Job(Nested)) == [[[1, 2], 3], 4]


async def test_call_that_a_body_cancelled_is_made_again_by_its_next_attempt() -> None:
    """What an attempt cancelled is no outcome for the next attempt of the same body."""

    class Body(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do("inner")
            async def inner():
                ran.append("inner")
                if len(ran) == 1:
                    await asyncio.Event().wait()
                return "inner"

            @step.do("outer", config={"retries": {"limit": 1, "delay": 10_000}})
            async def outer(ctx):
                if ctx["attempt"] == 1:
                    task = asyncio.create_task(inner())
                    await step.sleep("a moment", 10)
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
                    raise ValueError("again")
                return await inner()

            return await outer()

    store = CheckedStore()
    async with TestEngine.open([Body], store=store) as engine:
        instance = await engine.create(Body)
        await engine.advance("1 minute")

        assert await instance.output() == "inner"
        ended = [type(r.record) for r in store.history("local", "body", instance.id) if getattr(r.record, "key", None)]
        assert ended.count(StepCancelled) == 1
        inner = (await instance.log()).entries[2]
        assert isinstance(inner, StepEntry)
        assert (inner.name, inner.success, [a.success for a in inner.attempts]) == ("inner-1", True, [False, True])
    await store.close()


async def test_recorded_step_that_new_code_no_longer_calls() -> None:
    """A result that nobody asks for is set aside; the others reach their calls."""
    version = 1

    class Changing(WorkflowEntrypoint):
        async def run(self, event, step):
            async def do(name):
                @step.do(name)
                async def body():
                    ran.append(name)
                    return name

                return await body()

            if version == 1:
                results = [await do("a"), await do("dropped"), await do("b")]
            else:
                results = [await do("b"), await do("a"), await do("new")]
            await step.sleep("a while", "1 day")
            return results

    async with TestEngine.open([Changing]) as engine:
        instance = await engine.create(Changing)
        await engine.run_until_idle()
        version = 2
        with pytest.raises(Diverged):
            await engine.advance("1 day")
        await engine.advance("2 days")

        assert await instance.output() == ["b", "a", "new"]
        assert ran == ["a", "dropped", "b", "new"]


async def test_as_completed() -> None:
    """`asyncio.as_completed` yields in the order of the records, and begins with the first of what it is given."""

    class Completed(WorkflowEntrypoint):
        async def run(self, event, step):
            async def branch(mine, nap):
                @step.do("begin")
                async def begin(ctx):
                    return ctx["step"]["count"]

                count = await begin()
                await step.sleep(f"nap {mine}", nap)
                return [mine, count]

            naps = [5000, 2000, 9000, 1500, 3000]
            return [await result for result in asyncio.as_completed([branch(i, nap) for i, nap in enumerate(naps)])]

    assert await every_way(Job(Completed)) == [[3, 4], [1, 2], [4, 5], [0, 1], [2, 3]]


async def test_task_group_with_a_failing_child() -> None:
    """A failing child cancels its siblings, in the same place on replay."""

    class Group(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do("fails", config={"retries": {"limit": 0, "delay": 0}})
            async def fails():
                raise ValueError("no")

            @step.do("hangs")
            async def hangs():
                await asyncio.Event().wait()

            told = []
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(step.sleep("long", "100 days"))
                    group.create_task(hangs())
                    group.create_task(step.wait_for_event("never", "never"))
                    group.create_task(fails())
            except ExceptionGroup as errors:
                told = [repr(error) for error in errors.exceptions]
            await step.sleep("after", "1 day")
            return told

    assert await every_way(Job(Group)) == ["ValueError('no')"]


async def test_timeout_round_a_step_is_replayed() -> None:
    """A step that the author's own timer has cancelled stays cancelled, and a replay need not wait as long again."""

    class Timed(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do("hangs")
            async def hangs():
                ran.append("hangs")
                await asyncio.Event().wait()

            @step.do("plan b")
            async def plan_b():
                ran.append("plan b")
                return "plan b"

            result = "none"
            try:
                async with asyncio.timeout(0.2):
                    await hangs()
            except TimeoutError:
                result = await plan_b()
            for i in range(3):
                await step.sleep(f"nap {i}", "1 day")
            return result

    store = CheckedStore()
    loop = asyncio.get_running_loop()
    async with TestEngine.open([Timed], store=store) as engine:
        instance = await engine.create(Timed)
        await engine.run_until_idle()
        began = loop.time()
        await engine.advance("4 days")

        assert await instance.output() == "plan b"
        assert ran == ["hangs", "plan b"]
        assert loop.time() - began < 0.2
    await store.close()


async def test_cancellation_by_something_foreign_is_waited_for() -> None:
    """What the author cancelled because of something outside of his steps is cancelled by it on replay too."""

    class Foreign(WorkflowEntrypoint):
        async def run(self, event, step):
            async def do(name):
                @step.do(name)
                async def body():
                    ran.append(name)
                    if name == "hangs":
                        await asyncio.Event().wait()

                await body()

            hangs = asyncio.create_task(do("hangs"))
            await foreign
            hangs.cancel()
            await asyncio.gather(hangs, return_exceptions=True)
            await do("after")
            return [hangs.cancelled(), await step.sleep("long", "1 day")]

    foreign = asyncio.get_running_loop().create_future()
    async with TestEngine.open([Foreign]) as engine:
        instance = await engine.create(Foreign)
        await engine.run_until_idle()
        foreign.set_result(None)
        await engine.run_until_idle()
        foreign = asyncio.get_running_loop().create_future()
        await engine.advance("1 day")
        assert await instance.status() == "running"

        foreign.set_result(None)
        await engine.run_until_idle()

        assert await instance.output() == [True, None]
        assert ran == ["hangs", "after"]


@pytest.mark.parametrize("behind_ms", [pytest.param(HOUR_MS, id="far"), pytest.param(0, id="by what had passed")])
async def test_timeout_round_a_step_is_replayed_though_the_clock_was_set_back(behind_ms: int) -> None:
    """A step that was cancelled, by the clock, before its timer can have run out is cancelled by that timer again."""
    clock = SettableClock()

    class Timed(WorkflowEntrypoint):
        async def run(self, event, step):
            limit = asyncio.timeout(60)

            @step.do("hangs")
            async def hangs():
                clock.behind_ms = behind_ms
                limit.reschedule(asyncio.get_running_loop().time())
                await asyncio.Event().wait()

            try:
                async with limit:
                    await hangs()
            except TimeoutError:
                clock.behind_ms = 0
            await step.sleep("long", "1 day")
            return "too late"

    async with TestEngine.open([Timed], clock=clock) as engine:
        instance = await engine.create(Timed)
        await engine.advance("1 day")

        assert await instance.output() == "too late"


def done_by_others() -> "asyncio.Future[None]":
    """Return what is done soon, by something outside of the engine."""
    loop = asyncio.get_running_loop()
    foreign: asyncio.Future[None] = loop.create_future()
    loop.call_later(0.01, foreign.set_result, None, context=Context())
    return foreign


@pytest.mark.parametrize("behind_ms", [pytest.param(0, id="right"), pytest.param(HOUR_MS, id="set back")])
async def test_timer_that_had_not_run_out_rings_for_no_cancellation(behind_ms: int) -> None:
    """What something foreign has cancelled waits for that on replay: no longer timer takes its place."""
    clock = SettableClock()

    class Watched(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do("hangs")
            async def hangs():
                clock.behind_ms = behind_ms
                await asyncio.Event().wait()

            async with asyncio.timeout(60):
                task = asyncio.create_task(hangs())
                await done_by_others()
                task.cancel()
                await asyncio.wait([task])
            clock.behind_ms = 0
            await step.sleep("long", "1 day")
            return "cancelled"

    async with TestEngine.open([Watched], clock=clock) as engine:
        instance = await engine.create(Watched)
        await engine.advance("1 day")

        assert await instance.output() == "cancelled"


async def test_cancellation_that_nothing_brings_about_any_more_ends_the_call() -> None:
    """A call that was cancelled, and that new code does not cancel, is cancelled as it was the first time."""
    version = 1

    class Changing(WorkflowEntrypoint):
        async def run(self, event, step):
            task = asyncio.create_task(step.wait_for_event("answer", "answer"))
            await step.sleep("short", 10)
            if version == 1:
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await step.sleep("long", "1 day")
            return task.cancelled()

    async with TestEngine.open([Changing]) as engine:
        instance = await engine.create(Changing)
        await engine.advance("1 second")
        version = 2
        await engine.advance("1 day")

        assert await instance.output() is True


async def test_timer_that_meets_a_result_on_record_loses() -> None:
    """A step whose result is on record, but not delivered, returns it even if the author's timer rings first."""

    class Timed(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do("quick")
            async def quick():
                return "in time"

            try:
                async with asyncio.timeout(0.02):
                    result = await quick()
            except TimeoutError:
                result = "too late"
            ran.append(result)
            await step.sleep("a while", "1 day")
            return result

    store = RefusingStore()
    async with TestEngine.open([Timed], store=store) as engine:
        instance = await engine.create(Timed)
        while not [r for r in store.history("local", "timed", instance.id) if isinstance(r.record, StepSucceeded)]:
            await asyncio.sleep(0)
            store.holds_answers = store.writes > 0
            if store.writes == 1:
                store.let_answers_go()
        await asyncio.sleep(0.04)
        store.holds_answers = False
        store.let_answers_go()
        await engine.advance("2 days")

        assert await instance.output() == "in time"
        assert ran == ["in time", "in time"]
    await store.close()


async def test_cancellation_is_on_record_before_the_author_goes_on() -> None:
    """A call that the author cancels ends when that is durable, and a replay meets it in its turn."""

    class Cancelling(WorkflowEntrypoint):
        async def run(self, event, step):
            task = asyncio.create_task(step.sleep("long", "1 day"))
            await step.sleep("short", 10)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            ran.append("cancelled")
            return "done"

    store = RefusingStore()
    async with TestEngine.open([Cancelling], store=store) as engine:
        instance = await engine.create(Cancelling)
        await engine.run_until_idle()
        store.holds_answers = True
        await engine.advance(10)
        # The end of the short sleep is on record; its answer brings the cancellation about.
        store.let_answers_go()
        await engine.run_until_idle()
        assert ran == []
        assert store.held == 1

        store.holds_answers = False
        store.let_answers_go()
        await engine.run_until_idle()

        assert ran == ["cancelled"]
        assert await instance.output() == "done"
    await store.close()


async def test_second_cancellation_in_the_moment_of_the_first_ones_delivery_ends_the_call() -> None:
    """A call that is cancelled again just when its cancellation is delivered is not waited for once more."""
    tasks: list[asyncio.Task[Any]] = []

    class Twice(WorkflowEntrypoint):
        async def run(self, event, step):
            tasks.append(asyncio.create_task(step.sleep("long", "1 day")))
            await step.sleep("short", 10)
            tasks[0].cancel()
            await asyncio.gather(tasks[0], return_exceptions=True)
            return tasks[0].cancelled()

    store = RefusingStore()
    async with TestEngine.open([Twice], store=store, settings=TurnSettings(hibernate_after_ms=DAY_MS)) as engine:
        instance = await engine.create(Twice)
        await engine.run_until_idle()
        store.holds_answers = True
        await engine.advance(10)
        store.let_answers_go()
        await engine.run_until_idle()
        # The cancellation is on record.
        assert store.held == 1

        store.holds_answers = False
        store.let_answers_go()
        asyncio.get_running_loop().call_soon(tasks[0].cancel)
        await engine.run_until_idle()

        assert await instance.output() is True
    await store.close()


async def test_timer_in_the_moment_of_a_delivery_loses() -> None:
    """A call that a timer cancels just when its result is delivered returns the result, as it will on replay."""
    tasks: list[asyncio.Task[Any]] = []

    class Timed(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do()
            async def work():
                return "worked"

            tasks.append(asyncio.create_task(work()))
            result = (await asyncio.gather(tasks[-1], return_exceptions=True))[0]
            ran.append(repr(result))
            await step.sleep("a while", "1 day")

    store = RefusingStore()
    async with TestEngine.open([Timed], store=store) as engine:
        instance = await engine.create(Timed)
        while not tasks:  # noqa: ASYNC110 - the loop is never quiet
            await asyncio.sleep(0)
        store.holds_answers = True
        await engine.run_until_idle()
        store.holds_answers = False
        store.let_answers_go()
        asyncio.get_running_loop().call_soon(tasks[0].cancel)
        await engine.advance("1 day")

        assert await instance.status() == "complete"
        assert ran == ["'worked'", "'worked'"]
    await store.close()


async def test_call_cancelled_before_it_began_does_not_shift_the_others() -> None:
    """A step that was cancelled before its first attempt leaves no record, and takes no other call's count."""

    class Hasty(WorkflowEntrypoint):
        async def run(self, event, step):
            def pay(amount):
                @step.do("pay")
                async def pay_it():
                    ran.append(amount)
                    return amount

                return pay_it()

            first = asyncio.create_task(pay(1))
            second = asyncio.create_task(pay(2))
            await asyncio.sleep(0)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            result = await second
            await step.sleep("a while", "1 day")
            return [result, await pay(3)]

    assert await every_way(Job(Hasty), crashes=False) == [2, 3]
    assert ran == [2, 3, 2, 3]


async def test_refused_call_does_not_shift_the_others() -> None:
    """A call that was refused takes no other call's count, though it left no record."""

    class Refused(WorkflowEntrypoint):
        async def run(self, event, step):
            def pay(amount, config):
                @step.do("pay", config=config)
                async def pay_it():
                    return amount

                return pay_it()

            refused = []
            for amount, config in [(1, {"timeout": "soon"}), (2, None)]:
                try:
                    refused.append(await pay(amount, config))
                except Exception as error:  # as an author may catch it
                    refused.append(type(error).__name__)
            await step.sleep("a while", "1 day")
            return refused

    assert await every_way(Job(Refused)) == ["InvalidStepConfig", 2]


async def test_dependency_that_a_body_ran_is_not_the_workflows() -> None:
    """What a step's body has called is not remembered for `run`: a replay does not run that body."""

    class Memo(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do()
            async def rate(ctx):
                return ctx["step"]["count"]

            @step.do()
            async def quote():
                return ["quoted", await rate()]

            @step.do()
            async def total(rate):
                return ["total", rate]

            return [await quote(), await total()]

    assert await every_way(Job(Memo)) == [["quoted", 1], ["total", 2]]


async def test_race_of_event_and_deadline_is_decided_once() -> None:
    """An event in time beats the deadline; what was decided stays so."""

    class Race(WorkflowEntrypoint):
        async def run(self, event, step):
            told = []
            for i in range(3):
                try:
                    got = await step.wait_for_event(f"wait {i}", "go", timeout="40 minutes")
                    told.append(got["payload"])
                except Exception as error:  # as an author may catch it
                    told.append(str(error))
            return told

    output = await every_way(Job(Race, sendings=[Sending("go", 1), Sending("go", 2, is_late=True)]))

    assert output == [1, "Execution timed out after 2400000ms", 2]
