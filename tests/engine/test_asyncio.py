"""asyncio as people write it: each of its tools gives the same straight, replayed at each wait, and after any crash."""

import asyncio
from contextvars import ContextVar
from typing import Any

import anyio
import pytest

from stepwell import WorkflowEntrypoint
from stepwell.core.steplog import StepEntry
from stepwell.testing import TestEngine
from tests.engine.flows import workflow
from tests.engine.ways import Job, every_way

CUSTOMER: ContextVar[str] = ContextVar("customer", default="nobody")
RETRIES = {"retries": {"limit": 9, "delay": 1000, "backoff": "constant"}}


async def same(value: Any) -> Any:
    return value


async def gathers(event, step):
    return await asyncio.gather(*(step.do(f"part {n}", same, n) for n in range(4)), step.sleep("nap", 2000))


async def gathers_errors(event, step):
    async def fail():
        raise ValueError("bad")

    once = {"retries": {"limit": 0, "delay": 0}}
    results = await asyncio.gather(
        step.do("fails", fail, config=once), step.do("works", same, 1), return_exceptions=True
    )
    # A crash may be what the only attempt fails of.
    return [type(results[0]).__name__ in {"ValueError", "WorkflowInternalError"}, results[1]]


async def groups(event, step):
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(step.do("part", same, n)) for n in range(3)]
    await step.sleep("nap", 5000)
    return [task.result() for task in tasks]


async def races(event, step):
    async def after(name: str, ms: int) -> Any:
        await step.sleep(name, ms)
        return await step.do(name, same, name)

    tasks = [asyncio.create_task(after("slow", 60_000)), asyncio.create_task(after("fast", 3000))]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await step.sleep("nap", 5000)
    return [task.result() for task in done]


async def comes_in_order(event, step):
    async def after(ms: int) -> int:
        await step.sleep(f"{ms}", ms)
        return ms

    return [await result for result in asyncio.as_completed([after(30_000), after(2000), after(9000)])]


async def times_out(event, step):
    try:
        async with asyncio.timeout(0.01):
            await step.sleep("long", "1 hour")
    except TimeoutError:
        await step.sleep("nap", 5000)
        return "too slow"


async def shields(event, step):
    inner = asyncio.ensure_future(step.do("kept", same, 5))
    try:
        async with asyncio.timeout(0):
            await asyncio.shield(inner)
    except TimeoutError:
        pass
    await step.sleep("nap", 5000)
    return await inner


async def limits_itself(event, step):
    limit, active, most = asyncio.Semaphore(2), 0, 0

    async def part(n: int) -> Any:
        nonlocal active, most
        async with limit:
            active += 1
            most = max(most, active)
            await step.sleep(f"nap {n}", 2000)
            active -= 1
            return await step.do(f"part {n}", same, n)

    return [await asyncio.gather(*(part(n) for n in range(5))), most]


async def queues(event, step):
    queue: asyncio.Queue[int | None] = asyncio.Queue(maxsize=2)

    async def produce() -> None:
        for n in range(5):
            await queue.put(await step.do("produce", same, n))
        await queue.put(None)

    producer = asyncio.create_task(produce())
    taken = []
    while (n := await queue.get()) is not None:
        taken.append(await step.do("consume", same, n * n))
    await producer
    return taken


async def locks_and_events(event, step):
    lock, ready, order = asyncio.Lock(), asyncio.Event(), []

    async def worker(name: str) -> None:
        await ready.wait()
        async with lock:
            order.append(await step.do(name, same, name))
            await step.sleep(f"nap {name}", 2000)

    tasks = [asyncio.create_task(worker(name)) for name in "abc"]
    await step.do("prepare", same, 0)
    ready.set()
    await asyncio.gather(*tasks)
    return order


async def leaves_tasks_behind(event, step):
    async def forever() -> None:
        while True:
            await step.sleep("tick", "1 day")

    task = asyncio.create_task(forever(), name="ticker")
    await step.do("work", same, 1)
    return task.get_name()


async def has_contexts(event, step):
    async def who() -> str:
        return CUSTOMER.get()

    def who_in_thread() -> str:
        found = CUSTOMER.get()
        CUSTOMER.set("changed in a step")
        return found

    async def branch(name: str) -> list[str]:
        CUSTOMER.set(name)
        await step.sleep(f"nap {name}", 2000)
        return [await step.do(f"async {name}", who), await step.do(f"plain {name}", who_in_thread), CUSTOMER.get()]

    return [*await asyncio.gather(branch("ann"), branch("bob")), CUSTOMER.get()]


async def groups_of_anyio(event, step):
    done = []

    async def part(n):
        await step.sleep(f"nap {n}", (3 - n) * 1000)
        done.append(await step.do("part", same, n))

    async with anyio.create_task_group() as group:
        for n in range(3):
            group.start_soon(part, n)
    return done


@pytest.mark.parametrize(
    ("run", "output"),
    [
        pytest.param(gathers, [0, 1, 2, 3, None], id="gather"),
        pytest.param(gathers_errors, [True, 1], id="gather of errors"),
        pytest.param(groups, [0, 1, 2], id="TaskGroup"),
        pytest.param(groups_of_anyio, [2, 1, 0], id="task group of AnyIO"),
        pytest.param(races, ["fast"], id="wait for the first"),
        pytest.param(comes_in_order, [2000, 9000, 30_000], id="as_completed"),
        pytest.param(times_out, "too slow", id="timeout"),
        pytest.param(shields, 5, id="shield"),
        pytest.param(limits_itself, [[0, 1, 2, 3, 4], 2], id="Semaphore"),
        pytest.param(queues, [0, 1, 4, 9, 16], id="Queue"),
        pytest.param(locks_and_events, ["a", "b", "c"], id="Lock and Event"),
        pytest.param(leaves_tasks_behind, "ticker", id="task that outlives run"),
        pytest.param(
            has_contexts,
            [["ann", "ann", "ann"], ["bob", "bob", "bob"], "nobody"],
            id="contextvars",
        ),
    ],
)
async def test_tool_of_asyncio_gives_the_same_every_time(run: Any, output: Any) -> None:
    """What authors write with it comes to the same in every way an instance can come to its end."""
    flow: type[WorkflowEntrypoint] = workflow(run)

    assert await every_way(Job(flow)) == output


async def test_instance_whose_group_of_anyio_sleeps_is_put_back() -> None:
    """Such a group waits for its tasks, which wait for the engine: nothing keeps the turn open."""

    async def run(event, step):
        async with anyio.create_task_group() as group:
            group.start_soon(step.sleep, "night", "8 hours")

    flow = workflow(run)
    async with TestEngine.open([flow]) as engine:
        instance = await engine.create(flow)
        await engine.run_until_idle()

        assert await instance.status() == "waiting"
        assert not engine.is_held(instance.workflow, instance.id)


async def test_body_that_reads_a_socket_of_anyio_waits_for_something_foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    """AnyIO waits for what comes by an event of asyncio's, which no task of the author's sets."""
    monkeypatch.setattr(TestEngine, "keeps_turns", True)

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.1)
        writer.write(b"hello")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]

        async def read():
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                return (await stream.receive()).decode()

        async def run(event, step):
            return await step.do("read", read, config={"timeout": "1 second"})

        flow = workflow(run)
        async with TestEngine.open([flow]) as engine:
            instance = await engine.create(flow)
            output = await instance.wait_for_output()
            (entry,) = (await instance.log()).called

    assert output == "hello"
    assert isinstance(entry, StepEntry)
    assert len(entry.attempts) == 1
