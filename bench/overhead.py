"""What traces or metrics cost W1: `python -m bench.overhead traces|metrics [--pairs N] [--per-thousand N]`.

Two deployments are there at once, one with and one without, and take turns with a fourth of W1 each: 250 instances of
ten steps at once, on the processes of a server without its HTTP. A machine that others use changes its speed by the
minute, so only what lies side by side is compared. Told is the median of all pairs and, in brackets, the interval that
its true value is in 95 times of 100 (bootstrap). CPU time is that of server and worker.

- `traces`: until the last span was sent. The receiver is a process of its own, and takes no part. The export's part is
  held against the very turn that it follows, and so is told more exactly. What an instance costs that is traced, and
  one that is not, is then measured alone: to export what has ended, nothing else running.
- `metrics`: all is counted, and all of it is told once a second, and at least once in each turn. What counting took is
  held against the very turn, as is what it takes to tell all once a second, which is measured when nothing else runs.
"""

import argparse
import asyncio
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from msgspec import structs

from bench.work import Deployment, deployment
from stepwell import metrics
from stepwell.clock import SystemClock
from stepwell.host_metrics import HostMetrics
from stepwell.otlp import OtlpExporter
from stepwell.store.operations import Operation
from stepwell.store.tally import Tally
from stepwell.trace_export import TraceExport, begin_traces
from stepwell.traces import ENDPOINTS, Tracing

INSTANCES, STEPS = 250, 10
_ALONE = 10
_SCRAPED_EVERY_S = 1.0
_RECEIVER = """
import http.server

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""

# A turn of a deployment.
Turn = Callable[[], Coroutine[Any, Any, object]]


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("traces", "metrics"))
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--per-thousand", type=int, default=100, help="how many instances are traced")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stepwell-bench-") as folder, _receiving() as url:
        if told.what == "traces":
            asyncio.run(_traces(Path(folder), told.pairs, Tracing(True, told.per_thousand), url))
        else:
            asyncio.run(_metrics(Path(folder), told.pairs))


async def _traces(folder: Path, pairs: int, tracing: Tracing, url: str) -> None:
    os.environ[ENDPOINTS[1]] = ""
    async with deployment(folder / "without") as without:
        # Its workers are told by the variable.
        os.environ[ENDPOINTS[1]] = url
        async with deployment(folder / "with") as deployed:
            export = TraceExport(deployed.engine.store, SystemClock(), tracing, OtlpExporter())
            await begin_traces(export.store, export.clock, tracing)

            shares = []

            async def traced() -> None:
                begun = deployed.cpu_seconds()
                await deployed.run(INSTANCES, STEPS)
                ran_s, before = deployed.cpu_seconds() - begun, time.process_time()
                await export.look()
                shares.append((time.process_time() - before) / ran_s * 100)

            await _compare(pairs, deployed, traced, without)
            print(f"of that the export: {_told(shares, '+.1f')} %")
            for per_thousand, which in ((1_000, "traced"), (0, "not traced")):
                alone = replace(export, tracing=structs.replace(tracing, per_thousand=per_thousand))
                await _alone(deployed, alone, which)


class _TimedTally(Tally):
    """Knows how much CPU time counting has taken."""

    counted_s = 0.0

    def wrote(self, operations: Sequence[Operation[Any]], outcomes: Sequence[object], took_s: float) -> None:
        begun = time.thread_time()
        super().wrote(operations, outcomes, took_s)
        self.counted_s += time.thread_time() - begun


async def _metrics(folder: Path, pairs: int) -> None:
    tally = _TimedTally()
    async with deployment(folder / "without") as without, deployment(folder / "with", tally) as deployed:
        own = HostMetrics(deployed.engine.store, tally, deployed.supervisor, folder, "sqlite")
        # Of each turn: its CPU time, how long it was, the CPU time of counting, and how often all was told.
        turns = []

        async def scraped() -> None:
            begun, began_at, counted_s = deployed.cpu_seconds(), time.monotonic(), tally.counted_s
            async with _scraping(own) as sizes:
                await deployed.run(INSTANCES, STEPS)
            lasted_s = time.monotonic() - began_at
            turns.append((deployed.cpu_seconds() - begun, lasted_s, tally.counted_s - counted_s, len(sizes)))

        await _compare(pairs, deployed, scraped, without)
        before = time.process_time()
        for _ in range(_ALONE):
            await _scrape(own)
        told_s = (time.process_time() - before) / _ALONE
        shares = []
        for whole_s, lasted_s, counted_s, times in turns:
            rest_s = whole_s - counted_s - told_s * times
            shares.append((counted_s + told_s * lasted_s / _SCRAPED_EVERY_S) / rest_s * 100)
        print(f"to count, and to tell once a second: {_told(shares, '+.1f')} %")
        await own.stop()


async def _compare(pairs: int, deployed: Deployment, turn: Turn, without: Deployment) -> None:
    """Let both take turns, and print by how much the first takes more."""
    sides: tuple[tuple[Deployment, Turn], ...] = (
        (without, lambda: without.run(INSTANCES, STEPS)),
        (deployed, turn),
    )
    used: tuple[list[float], list[float]] = ([], [])
    for number in range(-2, pairs):
        # Which is first changes, as does what the machine has to do beside.
        for side in (0, 1) if number % 2 else (1, 0):
            found = await _cpu_us(*sides[side])
            # The first turns load what is loaded once.
            if number >= 0:
                used[side].append(found)
    more = [(on / off - 1) * 100 for off, on in zip(*used, strict=True)]
    off, on = (statistics.median(each) for each in used)
    print(f"CPU us a step: {off:.0f} -> {on:.0f}; in the median of {pairs} pairs {_told(more, '+.1f')} %", flush=True)


async def _cpu_us(deployed: Deployment, turn: Turn) -> float:
    before = deployed.cpu_seconds()
    await turn()
    return (deployed.cpu_seconds() - before) * 1_000_000 / (INSTANCES * STEPS)


async def _alone(deployed: Deployment, export: TraceExport, which: str) -> None:
    """Print what it takes to export each instance of several that have ended."""
    used = []
    for _ in range(_ALONE):
        await deployed.run(INSTANCES, STEPS)
        before = time.process_time()
        await export.look()
        used.append((time.process_time() - before) * 1_000_000 / INSTANCES)
    print(f"to export an instance of {STEPS} steps, alone, {which}: {_told(used, '.0f')} us")


@asynccontextmanager
async def _scraping(own: HostMetrics) -> AsyncIterator[list[int]]:
    """Have all told again and again; what it yields has the size of each, in characters."""
    sizes: list[int] = []

    async def scrape() -> None:
        while True:
            sizes.append(await _scrape(own))
            await asyncio.sleep(_SCRAPED_EVERY_S)

    async with AsyncExitStack() as entered:
        scraping = asyncio.create_task(scrape())
        entered.callback(scraping.cancel)
        yield sizes


async def _scrape(own: HostMetrics) -> int:
    return len(await asyncio.to_thread(metrics.text, await own.all()))


def _told(values: Sequence[float], form: str) -> str:
    """Return the median, and between what its true value is in 95 times of 100."""
    draw = random.Random(1)  # noqa: S311 - the same values are told in the same words
    medians = sorted(statistics.median(draw.choices(values, k=len(values))) for _ in range(2_000))
    return f"{statistics.median(values):{form}} ({medians[50]:{form}} to {medians[-51]:{form}})"


@contextmanager
def _receiving() -> Iterator[str]:
    with subprocess.Popen([sys.executable, "-c", _RECEIVER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.kill()


if __name__ == "__main__":
    main()
