"""What drives an engine: a program that starts it, does the works W1 to W7 with it, and stops it.

It runs in the engine's own environment, which has nothing of Stepwell's: all that it imports from here is of the
standard library alone. An engine says how it does each thing that is asked of it; what is timed, and how, is here and
the same for all. Each line that a driver prints is an answer, as JSON:

    {"versions": {"dbos": "3.4.0"}}
    {"work": "W1", "size": "1,000 x 10", "figures": {"per_s": 512.3, "cpu_s": 31.2, ...}}
    {"work": "W3", "failed": "TimeoutError: ..."}
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bench.processes import Meter, end, memory_mb

WORKS = ("idle", "W1", "W2", "W3", "W4", "W5", "W6", "W7")
STEPS, READ_STEPS, CLIENTS = 10, 100, 8
_START_S = 60.0
_WARM_UP = 3
# What is late by more than this has not been woken at all.
_PATIENCE_S = 20.0

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of each work is done; less where an engine takes too long for it."""

    instances: int = 1_000  # W1
    single: int = 200  # W2
    sequence: int = 2_000  # W3
    parallel: int = 500  # W4
    sleepers: int = 5_000  # W5
    wakes_per_s: int = 1_000
    falling_asleep_s: float = 7.0
    seconds: float = 2.0  # W6, and idle
    events: int = 100  # W7

    def scaled(self, scale: float) -> "Sizes":
        """Return a part of them: the rate of W5 stays."""
        return replace(
            self,
            instances=max(2, round(self.instances * scale)),
            single=max(4, round(self.single * scale)),
            sequence=max(8, round(self.sequence * scale)),
            parallel=max(4, round(self.parallel * scale)),
            sleepers=max(4, round(self.sleepers * scale)),
            falling_asleep_s=3 + (self.falling_asleep_s - 3) * scale,
            seconds=max(0.2, self.seconds * scale),
            events=max(4, round(self.events * scale)),
        )


@dataclass(frozen=True, slots=True)
class Options:
    """What a driver is told."""

    folder: Path
    database: str
    database_pid: int | None
    scale: float = 1.0
    variant: str = ""


class Driver:
    """An engine that is measured. One that cannot do a work leaves it out of `works`, and its methods as they are."""

    works: Sequence[str] = WORKS
    sizes = Sizes()

    def __init__(self, options: Options) -> None:
        self.folder = options.folder
        self.database = options.database
        self.variant = options.variant
        self.sizes = self.sizes.scaled(options.scale)
        self._database_pids = [] if options.database_pid is None else [options.database_pid]
        self._children: list[subprocess.Popen[bytes]] = []
        # Where workflows that have slept note how late they run again, in seconds, a line each.
        self.late = self.folder / "late"
        self.started_s = 0.0

    async def start(self) -> dict[str, str]:
        """Start the engine, wait until it does its work, and return the versions of what it is made of."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Stop it; nothing that it has started is left."""
        for child in reversed(self._children):
            await asyncio.to_thread(end, child)
        self._children.clear()

    async def many(self, instances: int, steps: int) -> None:
        """Run instances of so many steps each, all at once, from their creation until all are complete."""
        raise NotImplementedError

    async def one(self) -> None:
        """Create an instance of one step, and return when its creator sees that it is complete."""
        raise NotImplementedError

    async def sequence(self, steps: int) -> Sequence[float]:
        """Run an instance of so many steps, one after the other; return when each has ended, in seconds."""
        raise NotImplementedError

    async def parallel(self, steps: int) -> None:
        """Run an instance of so many steps at once."""
        raise NotImplementedError

    async def sleep(self, moments: Sequence[float]) -> None:
        """Create an instance for each moment, which sleeps until then."""
        raise NotImplementedError

    async def woken(self) -> int:
        """Return how many of them run again, or have ended."""
        return len(self._noted())

    async def lateness(self) -> Sequence[float]:
        """Return how late, in seconds, they ran again, or some of them."""
        return self._noted()

    def _noted(self) -> list[float]:
        return [float(line) for line in self.late.read_text().splitlines()] if self.late.exists() else []

    async def reads(self) -> Figures:
        """Return how often in a second an instance of READ_STEPS steps is read, by CLIENTS clients at once."""
        raise NotImplementedError

    async def wait(self, instances: int) -> None:
        """Create instances that wait for an event, and return when they do."""
        raise NotImplementedError

    async def wake(self, number: int) -> float:
        """Send one of them its event; return when the step behind the wait has begun, in seconds since 1970."""
        raise NotImplementedError

    async def also(self, work: str) -> Figures:
        """Return what else there is to know when a work has been done."""
        return {}

    def pids(self) -> list[int]:
        """Return the processes that are the engine's, with the database's."""
        return [child.pid for child in self._children] + self._database_pids

    def child(
        self, *command: str | Path, environment: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> int:
        """Start a program whose processes end with this driver's, and return its process id."""
        with (self.folder / "log").open("ab") as log:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env={**os.environ, **(environment or {})},
            )
        self._children.append(child)
        return child.pid

    async def measure(self, work: str) -> tuple[str, Figures]:
        """Do a work; return its size in words, and what was found."""
        size, figures = await self._works()[work]()
        return size, {**figures, **await self.also(work)}

    def _works(self) -> Mapping[str, Callable[[], Awaitable[tuple[str, Figures]]]]:
        return {
            "idle": self._idle,
            "W1": self._w1,
            "W2": self._w2,
            "W3": self._w3,
            "W4": self._w4,
            "W5": self._w5,
            "W6": self._w6,
            "W7": self._w7,
        }

    async def _idle(self) -> tuple[str, Figures]:
        await asyncio.sleep(self.sizes.seconds / 3)
        with Meter(self.pids) as used:
            await asyncio.sleep(self.sizes.seconds)
        figures = {"start_s": self.started_s, "core_percent": used.cpu_s / self.sizes.seconds * 100}
        return f"{self.sizes.seconds:g} s", {**figures, "idle_mb": used.peak_mb}

    async def _w1(self) -> tuple[str, Figures]:
        await self.many(max(1, self.sizes.instances // 50), STEPS)
        with Meter(self.pids) as used:
            begun = time.perf_counter()
            await self.many(self.sizes.instances, STEPS)
            took = time.perf_counter() - begun
        return f"{self.sizes.instances:,} x {STEPS}", _rate(self.sizes.instances * STEPS, took, used)

    async def _w2(self) -> tuple[str, Figures]:
        for _ in range(_WARM_UP):
            await self.one()
        took = []
        with Meter(self.pids) as used:
            for _ in range(self.sizes.single):
                begun = time.perf_counter()
                await self.one()
                took.append(time.perf_counter() - begun)
        return f"{self.sizes.single:,}", _delays(took, used)

    async def _w3(self) -> tuple[str, Figures]:
        with Meter(self.pids) as used:
            ends = await self.sequence(self.sizes.sequence)
        return f"{len(ends):,}", {**_rate(len(ends) - 1, ends[-1] - ends[0], used), "growth": growth(ends)}

    async def _w4(self) -> tuple[str, Figures]:
        await self.parallel(2)
        with Meter(self.pids) as used:
            begun = time.perf_counter()
            await self.parallel(self.sizes.parallel)
            took = time.perf_counter() - begun
        return f"{self.sizes.parallel:,}", _rate(self.sizes.parallel, took, used)

    async def _w5(self) -> tuple[str, Figures]:
        count, rate = self.sizes.sleepers, self.sizes.wakes_per_s
        before = memory_mb(self.pids())
        first = time.time() + self.sizes.falling_asleep_s
        with Meter(self.pids) as used:
            await self.sleep([first + number / rate for number in range(count)])
            spare = first - time.time()
            if spare < 1:
                raise TimeoutError(f"only {1 - spare:.1f} s later all would have been asleep before the first was due")
            await asyncio.sleep(spare / 2)
            asleep = memory_mb(self.pids())
            until = first + count / rate + _PATIENCE_S
            while (woken := await self.woken()) < count and time.time() < until:
                await asyncio.sleep(0.2)
        if woken < count:
            raise TimeoutError(f"{count - woken:,} of {count:,} were not woken in {_PATIENCE_S:.0f} s")
        late = await self.lateness()
        figures = {"asleep_mb": asleep - before, "kb_each": (asleep - before) * 1024 / count}
        # Not all may have been asked how late they were.
        figures["cpu_ms"] = used.cpu_s * 1000 / count
        return f"{count:,}, {rate:,}/s", {**_delays(late, used), **figures}

    async def _w6(self) -> tuple[str, Figures]:
        with Meter(self.pids) as used:
            figures = await self.reads()
        return f"{READ_STEPS} steps, {CLIENTS} clients", {**figures, "cpu_s": used.cpu_s, "peak_mb": used.peak_mb}

    async def _w7(self) -> tuple[str, Figures]:
        await self.wait(self.sizes.events)
        took = []
        with Meter(self.pids) as used:
            for number in range(self.sizes.events):
                sent = time.time()
                took.append(await self.wake(number) - sent)
        return f"{self.sizes.events:,}", _delays(took, used)


def _rate(steps: int, took: float, used: Meter) -> Figures:
    return {"per_s": steps / took, "cpu_s": used.cpu_s, "cpu_ms": used.cpu_s * 1000 / steps, "peak_mb": used.peak_mb}


def _delays(took: Sequence[float], used: Meter) -> Figures:
    figures = {"cpu_s": used.cpu_s, "cpu_ms": used.cpu_s * 1000 / len(took), "peak_mb": used.peak_mb}
    return {**percentiles(took), **figures}


def percentiles(took: Sequence[float], name: str = "") -> Figures:
    """Return p50 and p99 of some seconds, in milliseconds."""
    cuts = statistics.quantiles(took, n=100, method="inclusive")
    return {f"{name}p50_ms": cuts[49] * 1000, f"{name}p99_ms": cuts[98] * 1000}


def growth(ends: Sequence[float]) -> float:
    """Return how long one of the last 200 steps takes, where one of the first 200 takes 1; of few steps, a quarter."""
    width = min(200, len(ends) // 4)
    return (ends[-1] - ends[-1 - width]) / (ends[width] - ends[0])


async def rate(seconds: float, ask: Callable[[int], Awaitable[object]], clients: int = CLIENTS) -> float:
    """Return how often something is asked in a second by clients at once; each is told its number."""
    until = time.perf_counter() + seconds

    async def client(number: int) -> int:
        asked = 0
        while time.perf_counter() < until:
            await ask(number)
            asked += 1
        return asked

    return sum(await asyncio.gather(*map(client, range(clients)))) / seconds


def free_port() -> int:
    """Return a port that nobody has."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def listening(port: int) -> None:
    """Wait until somebody listens on a port. Raises TimeoutError."""
    async with asyncio.timeout(_START_S):
        while True:
            with suppress(OSError):
                (await asyncio.open_connection("127.0.0.1", port))[1].close()
                return
            await asyncio.sleep(0.05)


def drive(engine: type[Driver]) -> None:
    """Do what the command line asks of an engine, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where all is kept that is written; it is empty")
    parser.add_argument("--works", default=",".join(WORKS))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--variant", default="")
    parser.add_argument("--database", default="", help="the URL of an empty database")
    parser.add_argument("--database-pid", type=int, default=None)
    told = parser.parse_args()
    options = Options(told.folder.resolve(), told.database, told.database_pid, told.scale, told.variant)
    # Cancelled: asked to end.
    with suppress(asyncio.CancelledError):
        asyncio.run(_drive(engine(options), told.works.split(",")))


async def _drive(driver: Driver, works: Sequence[str]) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        begun = time.perf_counter()
        versions = await driver.start()
        driver.started_s = driver.started_s or time.perf_counter() - begun
        _print({"versions": versions})
        for work in works:
            if work in driver.works:
                _print({"work": work, **await _answer(driver, work)})
    finally:
        await driver.stop()


async def _answer(driver: Driver, work: str) -> dict[str, object]:
    try:
        size, figures = await driver.measure(work)
    except Exception as error:  # whatever an engine raises, its other works are measured
        return {"failed": f"{type(error).__name__}: {error}"[:300]}
    return {"size": size, "figures": figures}


def _print(answer: Mapping[str, object]) -> None:
    print(json.dumps(answer), flush=True)
