"""`make steady`: an hour under a load that stays the same; memory, file, latency and CPU time are to stay so, too.

    python -m tests.soak.steady [--minutes 60] [--store sqlite|postgres] [--rate 40] [--csv FILE] [--output FILE]

Instances of ten steps are created at a steady rate against `stepwell serve`, each is read once, and all expire a while
after their end. Every minute it is written down how large everything is. When that has settled the slope is reckoned by
least squares: a figure is *flat* if it changes by no more than its tolerance in an hour (`TOLERANCES`), *unclear* if it
seems to change more than that and less than twice the standard error of the slope (a longer run tells), else it *rises*
or *falls*. With `--strict` the exit code is 1 if one rises.
"""

import argparse
import asyncio
import csv
import io
import math
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from stepwell.sdk.aclient import AsyncClient
from stepwell.sdk.models import Instance
from tests import postgres
from tests.crash.fleet import FleetServer
from tests.crash.server import make_token
from tests.soak.figures import machine, percentile, table

WORKFLOW, STEPS = "steps", 10
RETENTION_S = 120
# How much of its mean a figure may change in an hour and still be flat.
TOLERANCES = {
    "parent, MB": 0.05,
    "parent, PSS MB": 0.05,
    "worker, MB": 0.05,
    "worker, PSS MB": 0.05,
    "store, MB": 0.05,
    "log, MB": 0.05,
    "instances kept": 0.05,
    "create p50, ms": 0.2,
    "create p99, ms": 0.2,
    "get p50, ms": 0.2,
    "get p99, ms": 0.2,
    "CPU us a step": 0.05,
    "% of a core": 0.05,
    "parent, descriptors": 0.05,
    "worker, descriptors": 0.05,
}
_READ_AFTER_S = 1.0
_TABLE_SIZE = "select pg_database_size(current_database())"


class Steady:
    """A server under a load that stays the same."""

    def __init__(self, server: FleetServer, client: AsyncClient, store: str, rate: float) -> None:
        self.samples: list[dict[str, float]] = []
        self.failed = 0
        self._server, self._client, self._store, self._rate = server, client, store, rate
        self._created: list[float] = []
        self._read: list[float] = []
        self._count = 0
        self._last = (time.monotonic(), self._cpu_s(), 0)

    async def run(self, seconds: float, every_s: float) -> None:
        """Load the server, and take a sample now and then."""
        async with asyncio.TaskGroup() as tasks:
            load = tasks.create_task(self._load(tasks))
            began = time.monotonic()
            while time.monotonic() - began < seconds:
                await asyncio.sleep(every_s)
                await self._sample((time.monotonic() - began) / 60)
            load.cancel()

    async def _load(self, tasks: asyncio.TaskGroup) -> None:
        """Begin instances at moments that do not depend on how long anything takes."""
        began = time.monotonic()
        while True:
            tasks.create_task(self._one())
            self._count += 1
            await asyncio.sleep(max(0.0, began + self._count / self._rate - time.monotonic()))

    async def _one(self) -> None:
        instances = self._client.workflows.instances
        start = time.perf_counter()
        created = await instances.create(WORKFLOW, params={"steps": STEPS})
        self._created.append((time.perf_counter() - start) * 1_000)
        await asyncio.sleep(_READ_AFTER_S)
        start = time.perf_counter()
        found: Instance = await instances.get(WORKFLOW, created.id)
        self._read.append((time.perf_counter() - start) * 1_000)
        # Two cores that others use may take longer; what never ends is seen in the size of the store.
        self.failed += found.status == "errored"

    async def _sample(self, minutes: float) -> None:
        now, cpu_s, count = time.monotonic(), self._cpu_s(), self._count
        seconds, used_s, steps = (new - old for new, old in zip((now, cpu_s, count), self._last, strict=True))
        self._last = (now, cpu_s, count)
        kept = (await self._client.workflows.get(WORKFLOW)).instances
        store_mb, log_mb = await asyncio.to_thread(self._sizes)
        sample = {
            "minute": minutes,
            **{f"parent, {name}": value for name, value in _process([self._server.process.pid]).items()},
            **{f"worker, {name}": value for name, value in _process(self._server.workers()).items()},
            "store, MB": store_mb,
            "log, MB": log_mb,
            "instances kept": float(sum(kept.values())),
            **_latencies("create", self._created),
            **_latencies("get", self._read),
            "CPU us a step": used_s * 1e6 / max(steps * STEPS, 1),
            "% of a core": used_s / seconds * 100,
        }
        self.samples.append(sample)
        print(", ".join(f"{name} {_shown(value)}" for name, value in sample.items()), flush=True)

    def _sizes(self) -> tuple[float, float]:
        """Return how large the store is, and its log, in MB."""
        if self._store.startswith("postgres"):
            return postgres.query(self._store, _TABLE_SIZE)[0][0] / 2**20, 0.0
        file = Path(self._store.removeprefix("sqlite:///"))
        log = file.with_name(f"{file.name}-wal")
        return file.stat().st_size / 2**20, log.stat().st_size / 2**20 if log.exists() else 0.0

    def _cpu_s(self) -> float:
        ticks = 0
        for pid in (self._server.process.pid, *self._server.workers()):
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def _process(pids: Sequence[int]) -> dict[str, float]:
    """Return the memory and the descriptors of processes together; PSS counts a part of what they share."""
    found = {"MB": 0.0, "PSS MB": 0.0, "descriptors": 0.0}
    for pid in pids:
        place = Path(f"/proc/{pid}")
        found["MB"] += int((place / "status").read_text().partition("VmRSS:")[2].split()[0]) / 1024
        found["PSS MB"] += int((place / "smaps_rollup").read_text().partition("Pss:")[2].split()[0]) / 1024
        found["descriptors"] += len(list((place / "fd").iterdir()))
    return found


def _latencies(what: str, took: list[float]) -> dict[str, float]:
    """Return how long calls took since the last sample, and forget them."""
    found = {f"{what} p50, ms": percentile(took, 50), f"{what} p99, ms": percentile(took, 99)}
    took.clear()
    return found


def verdict(hours: Sequence[float], values: Sequence[float], tolerance: float) -> tuple[float, float, str]:
    """Return the slope of a figure for each hour, the standard error of that, and in a word what it means."""
    slope, error = _slope(hours, values)
    if abs(slope) <= tolerance * abs(statistics.fmean(values)):
        return slope, error, "flat"
    if abs(slope) < 2 * error:
        return slope, error, "unclear"
    return slope, error, "rises" if slope > 0 else "falls"


def _slope(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float]:
    """Return the slope of the line through points by least squares, and its standard error."""
    if len(xs) < 3:
        return 0.0, math.inf
    slope, intercept = statistics.linear_regression(xs, ys)
    rest = sum((y - slope * x - intercept) ** 2 for x, y in zip(xs, ys, strict=True))
    spread = sum((x - statistics.fmean(xs)) ** 2 for x in xs)
    return slope, math.sqrt(rest / (len(xs) - 2) / spread)


def render(store: str, rate: float, samples: Sequence[dict[str, float]]) -> tuple[str, list[str]]:
    """Return the tables as Markdown, and which figures rise."""
    settled = _settled(samples[-1]["minute"])
    later = [sample for sample in samples if sample["minute"] > settled]
    rows, rising = [], []
    for name, tolerance in TOLERANCES.items():
        values = [sample[name] for sample in later]
        if not any(values):
            continue
        slope, error, word = verdict([sample["minute"] / 60 for sample in later], values, tolerance)
        spread = f"{_shown(statistics.fmean(values))} ({_shown(min(values))} to {_shown(max(values))})"
        rows.append([name, spread, f"{slope:+.3g} ± {2 * error:.2g}", f"{tolerance:.0%}", word])
        rising += [name] if word == "rises" else []
    names = list(samples[0])
    every = max(len(samples) // 20, 1)
    shown = [[_shown(sample[name]) for name in names] for sample in samples[::every]]
    parts = [
        f"### {store}: {samples[-1]['minute']:.0f} minutes of {rate:g} instances of {STEPS} steps a second",
        f"{machine()} Instances are kept for {RETENTION_S} s; slopes leave out the first {settled:.0f} minutes.",
        table(["figure", "mean (least to most)", "slope an hour ± 2 standard errors", "tolerance", "is"], rows),
        table(names, shown),
    ]
    return "\n\n".join(parts) + "\n", rising


def _settled(minutes: float) -> float:
    """Return after how many minutes of a run nothing is to grow any more.

    The first instances have expired by then, and there is nothing left to be filled: the parent keeps up to 32 MiB of
    answers, which takes some minutes.
    """
    return max((RETENTION_S + 60) / 60, min(10.0, minutes / 3))


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def measure(folder: Path, store: str, options: argparse.Namespace) -> list[dict[str, float]]:
    """Serve, load, and return the samples."""
    (folder / "app").mkdir()
    shutil.copy(Path(__file__).parents[2] / "bench" / "workflows.py", folder / "app" / "flows.py")
    token = make_token(folder, store, "write")
    # The client's creations have keys, which are kept for a day by themselves.
    kept = ("success_retention", "error_retention", "idempotency_key_retention")
    told = ("--workers", "1", *(part for name in kept for part in ("--set", f"{name}={RETENTION_S} seconds")))
    with FleetServer(folder, store, "app", *told) as server:
        return asyncio.run(_measure(server, token, store, options))


async def _measure(server: FleetServer, token: str, store: str, options: argparse.Namespace) -> list[dict[str, float]]:
    async with AsyncClient(server.url, api_token=token) as client:
        steady = Steady(server, client, store, options.rate)
        await steady.run(options.minutes * 60, options.every)
    if steady.failed:
        sys.exit(f"{steady.failed} instances have errored")
    return steady.samples


def main() -> None:
    """Measure, and print and write the tables."""
    options = _options()
    # Whoever ends this, as `timeout` does, is to have no server left by it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="sw-steady-") as folder, _store(options.store, Path(folder)) as store:
        samples = measure(Path(folder), store, options)
    text, rising = render("SQLite" if options.store == "sqlite" else "PostgreSQL", options.rate, samples)
    print(text)
    if options.output is not None:
        options.output.write_text(f"# Under steady load\n\n{text}", encoding="utf-8")
    if options.csv is not None:
        options.csv.write_text(_as_csv(samples), encoding="utf-8")
    if options.strict and rising:
        sys.exit(f"what should be flat rises: {', '.join(rising)}")


@contextmanager
def _store(name: str, folder: Path) -> Iterator[str]:
    """Give the URL of a new store."""
    if name == "sqlite":
        yield f"sqlite:///{folder}/store.db"
        return
    server = postgres.Server()
    try:
        # As it is by itself: it waits for the disk, and tidies up.
        server.start(settings={"listen_addresses": ""})
        yield server.url
    finally:
        server.remove()


def _as_csv(samples: Sequence[dict[str, float]]) -> str:
    written = io.StringIO()
    writer = csv.DictWriter(written, list(samples[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(samples)
    return written.getvalue()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--rate", type=float, default=40.0, help="instances a second (40)")
    parser.add_argument("--every", type=float, default=60.0, help="seconds between samples (60)")
    parser.add_argument("--csv", type=Path, help="write the samples to this file")
    parser.add_argument("--output", type=Path, help="write the tables to this file")
    parser.add_argument("--strict", action="store_true", help="fail if a figure rises")
    return parser.parse_args()


if __name__ == "__main__":
    main()
