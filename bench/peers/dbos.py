"""DBOS, a library: caller, engine and workflows are one process. On a database, or on a file.

W1 runs workflows on eight threads, on PostgreSQL in two processes: the fastest of the shapes tried. W2, W3 and W7 call
in the same process; from another one DBOS would poll.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

from dbos import DBOS, DBOSConfig, WorkflowHandleAsync

from bench.driver import CLIENTS, READ_STEPS, Driver, Figures, Options, Sizes, drive, rate
from bench.processes import end

_THREADS, _STARTING = 8, 50
ends: list[float] = []
late: list[float] = []


@DBOS.step()
def work(number: int) -> int:
    """Do nothing."""
    return number


@DBOS.step()
async def async_work(number: int) -> int:
    """Do nothing, on the loop."""
    return number


@DBOS.step()
async def now() -> float:
    """Return the time."""
    return time.time()


@DBOS.workflow()
def steps(count: int) -> int:
    """Run steps one after the other."""
    return sum(work(number) for number in range(count))


@DBOS.workflow()
def timed_steps(count: int) -> None:
    """Run steps one after the other, and note when each has ended."""
    for number in range(count):
        work(number)
        ends.append(time.perf_counter())


@DBOS.workflow()
async def parallel(count: int) -> int:
    """Run steps at once."""
    return sum(await asyncio.gather(*map(async_work, range(count))))


@DBOS.workflow()
async def sleeper(until: float) -> None:
    """Sleep until a moment, and note how late that ended."""
    await DBOS.sleep_async(until - await now())
    late.append(time.time() - until)


@DBOS.workflow()
async def waiter() -> float:
    """Wait for a message; return when the step behind it began."""
    await DBOS.recv_async("go", timeout_seconds=120)
    return await now()


class Dbos(Driver):
    """This process; for W1 on PostgreSQL two more."""

    sizes = Sizes(instances=120, single=100, sequence=500, sleepers=100, wakes_per_s=50, falling_asleep_s=6, events=30)

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._url = self.database.replace("postgresql:", "postgresql+psycopg:") or f"sqlite:///{self.folder}/dbos.db"
        self._others: list[subprocess.Popen[bytes]] = []
        self._waiting: list[WorkflowHandleAsync[float]] = []

    async def start(self) -> dict[str, str]:
        """Launch it in this process."""
        launch(self._url)
        return {name: version(name) for name in ("dbos", "sqlalchemy", "psycopg")}

    async def stop(self) -> None:
        """Destroy it."""
        for other in self._others:
            end(other)
        await asyncio.to_thread(DBOS.destroy)

    def pids(self) -> list[int]:
        """Return this process, and those that work beside it."""
        return [os.getpid(), *(other.pid for other in self._others), *super().pids()]

    async def many(self, instances: int, steps: int) -> None:
        """Run them on threads."""
        if not self.database:
            await asyncio.to_thread(run_on_threads, instances, steps)
            return
        if not self._others:
            self._others = [self._other() for _ in range(2)]
        parts = (instances // 2, (instances + 1) // 2)
        orders = (asyncio.to_thread(_order, *told, steps) for told in zip(self._others, parts, strict=True))
        await asyncio.gather(*orders)

    async def one(self) -> None:
        """Start a workflow, and get its result."""
        handle = await asyncio.to_thread(DBOS.start_workflow, steps, 1)
        await asyncio.to_thread(handle.get_result)

    async def sequence(self, steps: int) -> Sequence[float]:
        """Run it in a thread."""
        ends.clear()
        await asyncio.to_thread(timed_steps, steps)
        return ends

    async def parallel(self, steps: int) -> None:
        """Gather them on the loop."""
        await (await DBOS.start_workflow_async(parallel, steps)).get_result()

    async def sleep(self, moments: Sequence[float]) -> None:
        """Start some at a time."""
        late.clear()
        room = asyncio.Semaphore(_STARTING)

        async def begin(moment: float) -> None:
            async with room:
                await DBOS.start_workflow_async(sleeper, moment)

        await asyncio.gather(*map(begin, moments))

    async def woken(self) -> int:
        """Return how many have noted it."""
        return len(late)

    async def lateness(self) -> Sequence[float]:
        """Return what they have noted."""
        return late

    async def reads(self) -> Figures:
        """List the steps of an instance, in threads of this process."""
        handle = await asyncio.to_thread(DBOS.start_workflow, steps, READ_STEPS)
        await asyncio.to_thread(handle.get_result)
        name = handle.get_workflow_id()
        with ThreadPoolExecutor(CLIENTS) as pool:
            loop = asyncio.get_running_loop()
            found = await rate(self.sizes.seconds, lambda _: loop.run_in_executor(pool, DBOS.list_workflow_steps, name))
        return {"per_s": found}

    async def wait(self, instances: int) -> None:
        """Start them, and give them a second."""
        self._waiting = [await DBOS.start_workflow_async(waiter) for _ in range(instances)]
        await asyncio.sleep(1)

    async def wake(self, number: int) -> float:
        """Send a message, and get the result."""
        waiting = self._waiting[number]
        await DBOS.send_async(waiting.get_workflow_id(), "1", topic="go")
        return await waiting.get_result()

    def _other(self) -> "subprocess.Popen[bytes]":
        """Start a process that runs workflows of the same database when it is told."""
        command = [sys.executable, "-m", "bench.peers.dbos", "beside", self._url]
        with (self.folder / "log").open("ab") as log:
            other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        _order(other, 1, 1)
        return other


def launch(url: str) -> None:
    """Launch DBOS in this process."""
    config = DBOSConfig(
        name="bench",
        system_database_url=url,
        log_level="ERROR",
        executor_id=str(os.getpid()),
        # On a file it polls for messages, by default once in a second.
        notification_listener_polling_interval_sec=0.01,
    )
    DBOS(config=config)
    DBOS.launch()


def run_on_threads(instances: int, count: int) -> None:
    """Run workflows on threads, until all are done."""
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(lambda _: steps(count), range(instances)))


def _order(other: "subprocess.Popen[bytes]", instances: int, count: int) -> None:
    assert other.stdin is not None
    assert other.stdout is not None
    other.stdin.write(f"{instances} {count}\n".encode())
    other.stdin.flush()
    other.stdout.readline()


def work_beside(url: str) -> None:
    """Run what the lines of the standard input ask for."""
    launch(url)
    for line in sys.stdin:
        run_on_threads(*map(int, line.split()))
        print("done", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "beside":
        work_beside(sys.argv[2])
    else:
        drive(Dbos)
