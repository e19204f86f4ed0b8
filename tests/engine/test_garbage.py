"""What an instance leaves in a worker when its turn is over: nothing that only a garbage collector finds."""

import asyncio
import gc
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from stepwell import WorkflowEntrypoint
from stepwell.clock import SystemClock
from stepwell.engine import Engine, NewInstance
from stepwell.settings import TurnContext, TurnSettings
from stepwell.store.operations import RegisterWorkflow
from stepwell.store.sqlite import SqliteStore
from stepwell.threads import Threads
from stepwell.waits import wait_for_end
from stepwell.worker import Worker

INSTANCES = 20


class Decorated(WorkflowEntrypoint):
    """Steps that depend on each other."""

    async def run(self, event, step):
        @step.do()
        async def first():
            return 1

        @step.do(concurrent=True)
        async def second(first):
            return first + 1

        return await second()


class Direct(WorkflowEntrypoint):
    """Steps at once, in threads, and with a context."""

    async def run(self, event, step):
        await asyncio.gather(*(step.do(f"work {number}", lambda: 1) for number in range(3)))
        return await step.do("told", lambda ctx: ctx["attempt"])


class Parked(WorkflowEntrypoint):
    """Sleeps, and is replayed behind that."""

    async def run(self, event, step):
        await step.do("before", lambda: 1)
        await step.sleep("nap", "0.3 seconds")
        return await step.do("after", lambda: 2)


WORKFLOWS: dict[str, type[WorkflowEntrypoint[Any]]] = {
    "decorated": Decorated,
    "direct": Direct,
    "parked": Parked,
}


@pytest.fixture
def keeping_garbage() -> Iterator[None]:
    """What a collection finds is kept, and there is none but those that are asked for."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    yield
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()
    gc.collect()


@pytest.mark.parametrize("workflow", WORKFLOWS)
@pytest.mark.usefixtures("keeping_garbage")
async def test_instance_leaves_no_garbage(workflow: str) -> None:
    """What its turns were made of is gone with them.

    A worker with many instances at once collects seldom: what cycles hold grows by megabytes, and the collection that
    finds it all holds up everybody.
    """
    store = SqliteStore.in_memory()
    await store.run(RegisterWorkflow("local", workflow, "flows", WORKFLOWS[workflow].__name__, "aa", "w", "v", 1))
    worker = Worker(TurnContext(store, SystemClock(), Threads(), TurnSettings()), WORKFLOWS)
    await worker.start()
    running, engine = asyncio.create_task(worker.run()), Engine(store)

    async def run(number: int) -> None:
        row = await engine.create("local", workflow, NewInstance(f"i{number}", "{}"))
        await wait_for_end(store, row, 20)

    await run(0)
    await asyncio.sleep(0.05)
    gc.collect()
    gc.garbage.clear()
    await asyncio.gather(*(run(1 + number) for number in range(INSTANCES)))
    await asyncio.sleep(0.05)
    gc.collect()
    left = Counter(type(thing).__name__ for thing in gc.garbage if type(thing).__module__.startswith("stepwell"))
    gc.garbage.clear()
    worker.drain()
    await running
    await store.close()

    # A few things that others have left; of an instance there would be one of a kind at least.
    assert {name: count for name, count in left.items() if count >= INSTANCES} == {}
