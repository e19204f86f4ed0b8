"""Subscriptions: the past of an instance and then what happens, through the handle of a binding."""

import asyncio
import gc
from typing import Any

import pytest

from stepwell import WorkflowEntrypoint
from stepwell.core.notices import NoticeType
from stepwell.engine import Engine
from stepwell.errors import InstanceNotFound, InvalidInput, StoreDamaged
from stepwell.store.operations import GetInstance, Operation, ReadHistory, ReadPayload
from stepwell.store.sql.store import SqlStore
from stepwell.subscriptions import RECORDS_AT_ONCE, Subscription, Wanted
from stepwell.testing import TestEngine
from tests.engine.stores import CheckedStore


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do()
        async def charge():
            return {"paid": True}

        @step.do(config={"sensitive": "output"})
        async def secret():
            return "hidden"

        await charge()
        await secret()
        await step.sleep("cool down", "1 minute")
        return await step.wait_for_event("approval", "approved")


class Many(WorkflowEntrypoint):
    async def run(self, event, step):
        for number in range(event["payload"]["steps"]):
            await step.do("part", lambda number=number: "x" * 5_000 if number == 0 else number)


class Watcher(WorkflowEntrypoint):
    async def run(self, event, step):
        async def watch():
            order = await self.env.ORDER.get("a")
            with await order.subscribe(filter=["step_completed"]) as subscription:
                return [told["stepName"] async for told in subscription]

        return await step.do("watch", watch)


CONFIG = {"retries": {"limit": 5, "delay": 10_000, "backoff": "exponential"}, "timeout": "10 minutes"}
WHOLE = [
    {"type": "workflow_queued"},
    {"type": "workflow_started", "params": {"id": 7}},
    {"type": "workflow_running"},
    {"type": "step_started", "stepName": "charge-1", "config": CONFIG},
    {"type": "attempt_started", "stepName": "charge-1", "attempt": 1},
    {"type": "attempt_completed", "stepName": "charge-1", "attempt": 1},
    {"type": "step_completed", "stepName": "charge-1", "output": {"paid": True}},
    {"type": "step_started", "stepName": "secret-1", "config": {**CONFIG, "sensitive": "output"}},
    {"type": "attempt_started", "stepName": "secret-1", "attempt": 1},
    {"type": "attempt_completed", "stepName": "secret-1", "attempt": 1},
    {"type": "step_completed", "stepName": "secret-1", "output": "[REDACTED]"},
    {"type": "sleep_started", "stepName": "cool down-1", "durationMs": 60_000},
    {"type": "workflow_waiting"},
    {"type": "workflow_running"},
    {"type": "sleep_completed", "stepName": "cool down-1"},
    {"type": "wait_started", "stepName": "approval-1", "eventType": "approved"},
    {"type": "workflow_waiting"},
    {"type": "workflow_running"},
    {"type": "wait_completed", "stepName": "approval-1"},
]


def what(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return events without what they all have."""
    common = ("instanceId", "eventId", "timestamp")
    return [{name: value for name, value in event.items() if name not in common} for event in events]


def types(events: list[dict[str, Any]]) -> list[str]:
    """Return the types of events."""
    return [event["type"] for event in events]


async def collect(subscription: Any) -> list[dict[str, Any]]:
    """Return all events to the end."""
    return [event async for event in subscription]


async def finish(engine: TestEngine, instance: Any) -> None:
    """Let an order come to its end."""
    await engine.advance("1 minute")
    await instance.send_event("approved", 5)
    await engine.run_until_idle()


async def test_subscriber_is_told_the_past_and_then_what_happens() -> None:
    """History first, then live, to the end; numbers ascend, and are the same for who comes later."""
    async with TestEngine.open([Order]) as engine:
        instance = await engine.create(Order, id="a", params={"id": 7})
        await engine.run_until_idle()
        handle = await engine.env.ORDER.get("a")
        live = asyncio.create_task(collect(await handle.subscribe()))

        await finish(engine, instance)
        events = await live
        later = await collect(await handle.subscribe())

    assert what(events[:-1]) == WHOLE
    assert (events[-1]["type"], events[-1]["output"]["payload"]) == ("workflow_completed", 5)
    assert events == later
    assert {event["instanceId"] for event in events} == {"a"}
    assert [event["eventId"] for event in events] == sorted({event["eventId"] for event in events})


async def test_next_tells_whether_it_is_done() -> None:
    """`next()` gives `done` and `value`, and goes on saying that it is done."""
    async with TestEngine.open([Many]) as engine:
        await engine.create(Many, id="a", params={"steps": 0})
        await engine.run_until_idle()
        subscription = await (await engine.env.MANY.get("a")).subscribe({"filter": ["workflow_completed"]})

        first, second, third = [await subscription.next() for _ in range(3)]

    assert (first["done"], first["value"]["type"]) == (False, "workflow_completed")
    assert second == third == {"done": True, "value": None}


async def test_cursor_goes_on_behind_what_was_handled() -> None:
    """From any event on, the rest comes, and nothing twice; behind the end nothing does."""
    async with TestEngine.open([Order]) as engine:
        instance = await engine.create(Order, id="a", params={"id": 7})
        await engine.run_until_idle()
        await finish(engine, instance)
        handle = await engine.env.ORDER.get("a")
        events = await collect(await handle.subscribe())

        rests = [await collect(await handle.subscribe(cursor=event["eventId"])) for event in events]
        whole = await collect(await handle.subscribe(cursor=0))

    assert rests == [events[place + 1 :] for place in range(len(events))]
    assert whole == events


async def test_filter_hides_and_the_end_comes_all_the_same() -> None:
    """Only the types that are wanted come, also where the end is not among them."""
    async with TestEngine.open([Order]) as engine:
        instance = await engine.create(Order, id="a")
        await engine.run_until_idle()
        handle = await engine.env.ORDER.get("a")
        live = asyncio.create_task(collect(await handle.subscribe(filter=["step_completed", "sleep_completed"])))

        await finish(engine, instance)

        assert types(await live) == ["step_completed", "step_completed", "sleep_completed"]


async def test_restart_goes_on_in_the_same_stream() -> None:
    """Who was told of the end is done; who comes later is told of both lives in their order, to the last end."""
    async with TestEngine.open([Many]) as engine:
        instance = await engine.create(Many, id="a", params={"steps": 1})
        await engine.run_until_idle()
        handle = await engine.env.MANY.get("a")
        before = await collect(await handle.subscribe())
        await instance.restart()
        await engine.run_until_idle()

        after = await collect(await handle.subscribe())

    assert types(before).count("workflow_completed") == 1
    assert after[: len(before)] == before
    assert types(after[len(before) :]) == types(before)
    assert after[-1]["eventId"] > before[-1]["eventId"]


async def test_end_that_a_restart_follows_is_none() -> None:
    """Who has been told of an end, and asks again after a restart, is told of that."""
    async with TestEngine.open([Many]) as engine:
        instance = await engine.create(Many, id="a", params={"steps": 0})
        await engine.run_until_idle()
        subscription = await (await engine.env.MANY.get("a")).subscribe(
            filter=["workflow_completed", "workflow_queued"]
        )
        before = [(await subscription.next())["value"] for _ in range(2)]

        await instance.restart()
        await engine.run_until_idle()

        assert types(before) == ["workflow_queued", "workflow_completed"]
        assert types(await collect(subscription)) == ["workflow_queued", "workflow_completed"]


async def test_termination_ends_it() -> None:
    """A subscriber of a waiting instance is told that it was terminated."""
    async with TestEngine.open([Order]) as engine:
        instance = await engine.create(Order, id="a")
        await engine.run_until_idle()
        handle = await engine.env.ORDER.get("a")
        live = asyncio.create_task(collect(await handle.subscribe(filter=["workflow_terminated"])))
        await engine.run_until_idle()

        await instance.terminate()

        assert types(await live) == ["workflow_terminated"]


async def test_deletion_ends_it() -> None:
    """Whether it waits or has not begun to read, a subscription of a deleted instance is over, without an error."""
    async with TestEngine.open([Order]) as engine:
        instance = await engine.create(Order, id="a")
        await engine.run_until_idle()
        handle = await engine.env.ORDER.get("a")
        begun, unread = await handle.subscribe(cursor=10_000), await handle.subscribe()
        waiting = asyncio.create_task(begun.next())
        await engine.run_until_idle()

        await instance.delete()
        await engine.create(Order, id="a")

        assert [await waiting, await unread.next()] == [{"done": True, "value": None}] * 2
        with pytest.raises(InstanceNotFound):
            await engine.instance(Order, "b").engine.subscriptions.open("local", "order", "b", Wanted())


async def test_disposal_ends_it() -> None:
    """Whoever waits is told that it is done, and nobody watches the instance any more, nor for one that was dropped."""
    async with TestEngine.open([Order]) as engine:
        assert isinstance(engine.store, SqlStore)
        watching = engine.store._listeners.watchers._watching
        before = dict(watching)
        await engine.create(Order, id="a")
        await engine.run_until_idle()
        handle = await engine.env.ORDER.get("a")
        with await handle.subscribe(cursor=10_000) as disposed:
            waiting = asyncio.create_task(disposed.next())
            await engine.run_until_idle()
        dropped = await handle.subscribe()
        await dropped.next()

        del dropped
        gc.collect()

        assert await waiting == {"done": True, "value": None}
        assert watching == before


class SlowStore(CheckedStore):
    """A store whose answers take a pass of the loop, once it is told to be slow."""

    is_slow = False

    def run(self, operation: Operation[Any]) -> Any:
        return asyncio.ensure_future(self._later(operation)) if self.is_slow else super().run(operation)

    async def _later(self, operation: Operation[Any]) -> Any:
        await asyncio.sleep(0)
        return await super().run(operation)


@pytest.mark.parametrize("passes", range(8))
async def test_call_that_is_cancelled_as_something_happens_loses_nothing(passes: int) -> None:
    """What a cancelled call was about to read is read by the next one, wherever it was."""
    store = SlowStore()
    async with TestEngine.open([Order], store=store) as engine:
        instance = await engine.create(Order, id="a")
        await engine.run_until_idle()
        subscription = await (await engine.env.ORDER.get("a")).subscribe(cursor=10_000)
        call = asyncio.ensure_future(subscription.next())
        await engine.run_until_idle()
        await instance.terminate()
        store.is_slow = True

        for _ in range(passes):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait([call])

        assert await asyncio.wait_for(subscription.next(), 5) == {"done": True, "value": None}
        store.is_slow = False
    await store.close()


async def test_cancelled_call_loses_nothing() -> None:
    """A call that was cancelled while it read the history is made up for by the next one."""
    store = SlowStore()
    async with TestEngine.open([Order], store=store) as engine:
        await engine.create(Order, id="a")
        await engine.run_until_idle()
        handle = await engine.env.ORDER.get("a")
        expected = [(await s.next())["value"] for s in [await handle.subscribe()] for _ in range(13)]
        subscription = await handle.subscribe()
        store.is_slow = True

        seen = []
        for passes in [0, 1, 2, 3, 4, 5, 6, 7] * 10:
            call = asyncio.ensure_future(subscription.next())
            for _ in range(passes):
                await asyncio.sleep(0)
            if not call.done():
                call.cancel()
            result = (await asyncio.gather(call, return_exceptions=True))[0]
            if isinstance(result, dict):
                seen.append(result["value"])
            if len(seen) == 13:
                break
        subscription.dispose()
        store.is_slow = False
    await store.close()

    assert seen == expected


async def test_history_is_read_in_pieces_and_large_values_one_at_a_time() -> None:
    """However long a history is, one piece of it is in memory; a value that lies apart comes whole."""
    store = CheckedStore()
    reads: list[ReadHistory] = []

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def run(self, operation: Operation[Any]) -> Any:
            reads.extend([operation] if isinstance(operation, ReadHistory) else [])
            return store.run(operation)

    async with TestEngine.open([Many], store=store) as engine:
        await engine.create(Many, id="a", params={"steps": 120})
        await engine.run_until_idle()
        counting: Any = Counting()
        subscription = await Engine(counting).subscriptions.open("local", "many", "a", Wanted())

        told, most = [], 0
        while (one := await subscription.next()) is not None:
            told.append(one)
            most = max(most, len(subscription._pending))

    assert [read.limit for read in reads] == [RECORDS_AT_ONCE] * len(reads)
    assert [read.after for read in reads] == [0, 100, 200, 243]
    assert most < 2 * RECORDS_AT_ONCE
    outputs = [one.value for one in told if one.notice.type is NoticeType.STEP_COMPLETED]
    assert (outputs[0], outputs[1:]) == ('"' + "x" * 5_000 + '"', [str(number) for number in range(1, 120)])


async def test_deletion_while_a_history_is_read_ends_it() -> None:
    """A history that is being deleted has gaps; they are no damage."""
    store = CheckedStore()

    async with TestEngine.open([Many], store=store) as engine:
        instance = await engine.create(Many, id="a", params={"steps": 120})
        await engine.run_until_idle()
        row = (await store.run(GetInstance("local", "many", "a"))).row
        subscription = Subscription(store, row, Wanted(types=frozenset({NoticeType.STEP_COMPLETED})))
        first = await subscription.next()

        await instance.delete()
        rest = 0
        while await subscription.next() is not None:
            rest += 1

    assert first is not None
    assert rest < 60


class DamagedStore(CheckedStore):
    """A store that answers reads of a kind as if it were damaged, or as it did before."""

    damaged: type[Operation[Any]] | None = None
    kept: Any = None

    def run(self, operation: Operation[Any]) -> Any:
        answer = super().run(operation)
        if isinstance(operation, ReadHistory) and self.kept is not None:
            answer = asyncio.get_running_loop().create_future()
            answer.set_result(self.kept)
        if self.damaged is not None and isinstance(operation, self.damaged):
            answer = asyncio.get_running_loop().create_future()
            answer.set_exception(StoreDamaged("tests"))
        return answer


@pytest.mark.parametrize("damaged", [ReadHistory, ReadPayload])
async def test_damage_is_told_unless_the_instance_is_gone(damaged: type[Operation[Any]]) -> None:
    """What cannot be read is an error where the instance is there, and the end where it is being deleted."""
    store = DamagedStore()
    async with TestEngine.open([Many], store=store) as engine:
        instance = await engine.create(Many, id="a", params={"steps": 1})
        await engine.run_until_idle()
        subscription = await (await engine.env.MANY.get("a")).subscribe(filter=["step_completed"])
        store.kept = (await store.run(GetInstance("local", "many", "a"))).records
        store.damaged = damaged

        with pytest.raises(StoreDamaged):
            await subscription.next()
        await instance.delete()

        assert await subscription.next() == {"done": True, "value": None}
    await store.close()


async def test_instance_that_is_gone_before_it_is_watched_is_not_waited_for() -> None:
    """Its records may still be there for a while; nobody would ever tell of more."""
    store = DamagedStore()
    async with TestEngine.open([Order], store=store) as engine:
        instance = await engine.create(Order, id="a")
        await engine.run_until_idle()
        subscription = await (await engine.env.ORDER.get("a")).subscribe(cursor=10_000)
        store.kept = (await store.run(GetInstance("local", "order", "a"))).records

        await instance.delete()

        assert await asyncio.wait_for(subscription.next(), 5) == {"done": True, "value": None}
    await store.close()


async def test_workflow_follows_another() -> None:
    """Author code is told of an instance as it runs."""
    async with TestEngine.open([Order, Watcher]) as engine:
        order = await engine.create(Order, id="a")
        watcher = await engine.create(Watcher)
        await engine.run_until_idle()

        await finish(engine, order)

        assert await watcher.output() == ["charge-1", "secret-1"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        pytest.param({"cursor": -1}, "`cursor` must be the eventId", id="negative cursor"),
        pytest.param({"cursor": "5"}, "`cursor` must be the eventId", id="cursor that is a text"),
        pytest.param({"cursor": True}, "`cursor` must be the eventId", id="cursor that is a bool"),
        pytest.param({"filter": "step_completed"}, "`filter` must be a list", id="filter that is a text"),
        pytest.param({"filter": ["done"]}, 'filter must be any of: workflow_queued.*got "done"', id="unknown type"),
        pytest.param({"after": 1}, 'the option "after" is not known', id="unknown option"),
    ],
)
async def test_what_cannot_be_subscribed_to_is_refused(options: dict[str, Any], problem: str) -> None:
    """A wrong option is an error that names it and what is right."""
    async with TestEngine.open([Order]) as engine:
        handle = await engine.env.ORDER.create()

        with pytest.raises(InvalidInput, match=problem):
            await handle.subscribe(options)
