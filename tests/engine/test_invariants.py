"""The invariants of the engine, each by its sentence; the hard cases of some have modules of their own.

What needs a real process, a real disk or a real clock is tested with those.
"""

import asyncio
import gc
import weakref
from datetime import UTC, datetime
from typing import Any

import pytest

from stepwell import NonRetryableError, WorkflowEntrypoint
from stepwell.core.records import AttemptInterrupted, AttemptLost, PayloadRef, StepSucceeded, Waiting
from stepwell.store.operations import EndLease, Release
from stepwell.testing import TestEngine
from tests.engine.stores import CheckedStore, RefusingStore
from tests.engine.ways import Job, Sending, every_way

seen: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


class Two(WorkflowEntrypoint):
    """Charges, then ships."""

    async def run(self, event, step):
        @step.do()
        async def charge(ctx):
            seen.append(("charge", ctx["attempt"]))
            return 1

        @step.do()
        async def ship():
            seen.append("ship")
            return 2

        result = await charge()
        seen.append("charged")
        return result + await ship()


async def test_commit_before_return() -> None:
    """Commit before return. A value reaches the author only after the store has it durably."""
    store = RefusingStore()
    async with TestEngine.open([Two], store=store) as engine:
        instance = await engine.create(Two, id="1")
        store.holds_answers = True
        await asyncio.sleep(0)
        while ("charge", 1) not in seen:
            store.let_answers_go()
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        assert "charged" not in seen

        store.holds_answers = False
        store.let_answers_go()
        await engine.run_until_idle()

        assert seen == [("charge", 1), "charged", "ship"]
        assert await instance.output() == 3
    await store.close()


async def test_every_prefix_is_a_crash() -> None:
    """Every prefix is a crash. From any prefix of a history the instance reaches the same result.

    Random programs show the same in tests/crash/test_prefixes.py.
    """

    class Order(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do(config={"retries": {"limit": 3, "delay": 1000}})
            async def charge(ctx):
                if ctx["attempt"] < 3:
                    raise ValueError("declined")
                return "charged"

            @step.do(concurrent=True)
            async def ship(charge):
                return [charge, "shipped"]

            shipped = await ship()
            await step.sleep("cool down", "3 seconds")
            approval = await step.wait_for_event("approval", "approved")
            return [shipped, approval["payload"]]

    output = await every_way(Job(Order, {"item": 1}, [Sending("approved", "by ann", is_late=True)]))

    assert output == [["charged", "shipped"], "by ann"]


async def test_one_order_live_and_on_replay() -> None:
    """One order, live and on replay. Results go to the author one at a time in the order of the records.

    The cases that break naive engines are in test_one_order.py.
    """

    class Branches(WorkflowEntrypoint):
        async def run(self, event, step):
            order = []

            async def branch(name, nap):
                for i in range(3):
                    await step.sleep(f"{name} {i}", nap)
                    order.append(name)

            await asyncio.gather(branch("slow", 5000), branch("quick", 2000), branch("middle", 3000))
            return order

    output = await every_way(Job(Branches))

    expected = ["quick", "middle", "quick", "slow", "middle", "quick", "middle", "slow", "slow"]
    assert output == expected


async def test_finished_turn_is_closed() -> None:
    """A finished turn is closed. Park first, then cancel every task of the instance.

    What author code may do about it is in test_closing.py.
    """

    class Sleeper(WorkflowEntrypoint):
        async def run(self, event, step):
            seen.append(weakref.ref(self))
            try:
                await asyncio.gather(step.sleep("long", "1 day"), step.wait_for_event("never", "never"))
            finally:
                seen.append("closed")

    async with TestEngine.open([Sleeper]) as engine:
        instance = await engine.create(Sleeper)
        tasks = asyncio.all_tasks()
        await engine.run_until_idle()

        assert await instance.status() == "waiting"
        assert seen[1:] == ["closed"]
        assert asyncio.all_tasks() <= tasks
        gc.collect()
        assert seen[0]() is None


async def test_no_lost_wake_up() -> None:
    """No lost wake-up. `park` succeeds only if `seq` is what the turn last saw; else read on and continue."""

    class Approval(WorkflowEntrypoint):
        async def run(self, event, step):
            return (await step.wait_for_event("approval", "approved"))["payload"]

    class EventBeforePark(CheckedStore):
        """Lets an event come between a worker's decision to park and the release, and tells nobody of it."""

        instance: Any = None

        def run(self, operation):
            if isinstance(operation, Release) and self.instance is not None:
                instance, self.instance = self.instance, None
                asyncio.ensure_future(instance.send_event("approved", "yes")).add_done_callback(lambda _: None)
                return self._after_event(operation)
            return super().run(operation)

        def _after_event(self, operation):
            async def later():
                await asyncio.sleep(0)
                return await CheckedStore.run(self, operation)

            return asyncio.ensure_future(later())

    store = EventBeforePark()
    async with TestEngine.open([Approval], store=store) as engine:
        instance = store.instance = await engine.create(Approval)
        await engine.run_until_idle()

        assert await instance.output() == "yes"
        # It never slept over the event.
        assert not [r for r in store.history("local", "approval", instance.id) if isinstance(r.record, Waiting)]
    await store.close()


async def test_one_owner() -> None:
    """One owner. An old turn gets `TurnLost`, stops, and nothing it does is recorded."""

    class Gate(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do()
            async def pass_gate(ctx):
                seen.append(ctx["attempt"])
                if ctx["attempt"] == 1:
                    await gate.wait()
                return ctx["attempt"]

            return await pass_gate()

    gate = asyncio.Event()
    store = CheckedStore()
    async with TestEngine.open([Gate], store=store) as engine:
        instance = await engine.create(Gate)
        await engine.run_until_idle()
        old, _ = engine._take_worker()
        assert old is not None
        # The parent believes the worker dead, while it lives on.
        await store.run(EndLease(old.number))
        await engine.start_worker()
        await engine.run_until_idle()
        assert await instance.output() == 2

        gate.set()
        await engine.run_until_idle()

        assert old.turns == {}
        assert seen == [1, 2]
        assert await instance.output() == 2
        history = store.history("local", "gate", instance.id)
        assert len([r for r in history if isinstance(r.record, StepSucceeded)]) == 1
        old.drain()
    await store.close()


async def test_row_is_the_fold() -> None:
    """The row is the fold. After every commit, status, step count and times equal the fold of the history.

    Every test with a CheckedStore sees to that; this one sees that the store does check.
    """
    store = CheckedStore()
    async with TestEngine.open([Two], store=store) as engine:
        await engine.create(Two)
        await engine.run_until_idle()

    assert store.writes > 3
    await store.close()


async def test_value_or_error_is_the_same_the_first_time_and_on_replay() -> None:
    """A value or error is the same the first time and on replay, type included."""

    class CardDeclined(Exception):
        pass

    class Values(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do()
            async def values():
                return {"pair": (1, 2), "big": 2**80, "float": 1.0, "none": None, "text": "é"}

            def raising(error):
                @step.do(config={"retries": {"limit": 0, "delay": 0}})
                async def fails():
                    raise error

                return fails()

            told = [repr(await values())]
            for error in (KeyError("a"), CardDeclined("no"), NonRetryableError("stop"), OSError(2, "gone")):
                try:
                    await raising(error)
                except Exception as raised:  # as an author may catch it
                    told.append(f"{type(raised).__name__} {raised} {getattr(raised, 'name', '')}")
            seen.append(told)
            await step.sleep("a while", "1 day")
            return told

    output = await every_way(Job(Values), crashes=False)

    assert output == [
        "{'pair': (1, 2), 'big': 1208925819614629174706176, 'float': 1.0, 'none': None, 'text': 'é'}",
        "KeyError 'a' ",
        "StepFailed no CardDeclined",
        "NonRetryableError stop NonRetryableError",
        "FileNotFoundError [Errno 2] gone ",
    ]
    assert seen == [output] * len(seen)
    assert len(seen) > 2


async def test_bounded_memory() -> None:
    """Bounded memory. Payloads above 4 KiB lie apart and are read when delivered."""

    class Large(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do()
            async def fetch():
                return "x" * 5000

            length = len(await fetch())
            await step.sleep("a while", "1 day")
            answer = await step.wait_for_event("answer", "answer")
            return [length, len(answer["payload"]), len(event["payload"])]

    store = CheckedStore()
    async with TestEngine.open([Large], store=store) as engine:
        instance = await engine.create(Large, params="p" * 6000)
        await engine.run_until_idle()
        await engine.crash()
        await engine.start_worker()
        await instance.send_event("answer", "y" * 7000)
        await engine.advance("2 days")

        assert await instance.output() == [5000, 7000, 6000]
        values = [r.record.value for r in store.history("local", "large", instance.id) if hasattr(r.record, "value")]
        assert [isinstance(value, PayloadRef) for value in values] == [True, True, True, False]
    await store.close()


async def test_interrupted_is_not_failed() -> None:
    """Interrupted is not failed. An attempt ended by the engine does not count and is tried again at once.

    An attempt whose worker died is lost: it counts.
    """

    class Slow(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do(config={"retries": {"limit": 0, "delay": "1 day"}})
            async def slow(ctx):
                seen.append(ctx["attempt"])
                if len(seen) < 3:
                    await asyncio.Event().wait()
                return "done"

            return await slow()

    store = CheckedStore()
    async with TestEngine.open([Slow], store=store) as engine:
        instance = await engine.create(Slow)
        await engine.run_until_idle()
        await engine.stop()
        await engine.start_worker()
        await engine.run_until_idle()
        await engine.crash()
        await engine.start_worker()
        await engine.run_until_idle()

        assert await instance.output() == "done"
        assert seen == [1, 1, 2]
        ended = [
            type(r.record)
            for r in store.history("local", "slow", instance.id)
            if isinstance(r.record, AttemptInterrupted | AttemptLost)
        ]
        assert ended == [AttemptInterrupted, AttemptLost]
    await store.close()


async def test_sent_twice_is_done_once() -> None:
    """Sent twice is done once. Re-sending a commit whose outcome is unknown is a no-op."""
    store = RefusingStore()
    async with TestEngine.open([Two], store=store) as engine:
        instance = await engine.create(Two)
        store.loses_answers = True
        await engine.advance("10 seconds")
        store.loses_answers = False
        await engine.advance("10 seconds")

        assert await instance.output() == 3
        assert seen == [("charge", 1), "charged", "ship"]
        history = store.history("local", "two", instance.id)
        assert len([r for r in history if isinstance(r.record, StepSucceeded)]) == 2
    await store.close()


async def test_time_is_handed_in() -> None:
    """Time is handed in: an instance sees the clock that its engine was given."""

    class Now(WorkflowEntrypoint):
        async def run(self, event, step):
            await step.sleep("a year", "365 days")
            return event["timestamp"].isoformat()

    async with TestEngine.open([Now]) as engine:
        instance = await engine.create(Now)
        created_at = datetime.fromtimestamp(engine.clock.now() / 1000, UTC)
        await engine.advance("366 days")

        assert datetime.fromisoformat(await instance.output()) == created_at.replace(tzinfo=None)
