"""How commits fare while 100,000 instances expire: `python -m bench.retention [--instances N]`.

Eight clients commit a step each, one after the other, for a while without and then with a purge under way. The store is
a file on this machine's disk, and then a PostgreSQL server of this run's own, which waits for the disk.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from bench import postgres as database
from stepwell.clock import SystemClock
from stepwell.core.records import AttemptStarted, Completed, Created, Key, StepConfig, StepKind, StepSucceeded
from stepwell.expiry import Expiry
from stepwell.server_settings import Settings
from stepwell.store import Store, codec
from stepwell.store.opening import open_store
from stepwell.store.operations import (
    Claim,
    ClaimDue,
    Commit,
    CreateInstance,
    RegisterWorker,
    RegisterWorkflow,
    Release,
)
from tests import postgres

ACCOUNT, WORKFLOW, CLIENTS, STEPS, USUAL_S = "local", "steps", 8, 5, 20.0
_AT_ONCE = 500
# So long before now they have ended.
_AGO_MS = 3_600_000


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=100_000)
    parser.add_argument("--store", choices=("sqlite", "postgres"), default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stepwell-bench-") as folder:
        if options.store != "postgres":
            print("SQLite", asyncio.run(measure(f"sqlite:///{folder}/stepwell.db", options.instances)), flush=True)
            print(f"  file afterwards: {Path(folder, 'stepwell.db').stat().st_size / 2**20:.1f} MiB", flush=True)
        if options.store != "sqlite" and postgres.is_local():
            server = postgres.Server()
            try:
                server.start(settings=database.DURABLE)
                print("PostgreSQL", asyncio.run(measure(database.made(server, "kept"), options.instances)), flush=True)
            finally:
                server.remove()


async def measure(url: str, instances: int) -> str:
    """Return the figures of one store, in words."""
    store = await asyncio.to_thread(open_store, url)
    await _fill(store, instances)
    turns = await _turns(store)
    usual, _ = await _committing(store, turns, asyncio.sleep(USUAL_S))
    expiry = Expiry(store, SystemClock(), Settings(success_retention=0, error_retention=0))
    purging, seconds = await _committing(store, turns, expiry.look())
    await store.close()
    ratio = _p99(purging) / _p99(usual)
    return (
        f"{instances:,} instances expired in {seconds:.0f} s; commits usually: {_words(usual, USUAL_S)}; "
        f"meanwhile: {_words(purging, seconds)}; p99 {ratio:.2f} times the usual"
    )


async def _fill(store: Store, instances: int) -> None:
    now = SystemClock().now() - _AGO_MS
    await store.run(RegisterWorkflow(ACCOUNT, WORKFLOW, "bench", "Steps", "0" * 64, "workflow", "version", now))
    worker = await store.run(RegisterWorker("filling", 2**60, now))
    for first in range(0, instances, _AT_ONCE):
        wanted = range(first, min(first + _AT_ONCE, instances))
        created = codec.to_row(Created(now, "api", json.dumps({"n": first})))
        creations = [CreateInstance(ACCOUNT, WORKFLOW, f"old-{n}", "api", created, now) for n in wanted]
        await asyncio.gather(*map(store.run, creations))
        turns = (await store.run(ClaimDue(worker, now, _AT_ONCE))).turns
        await asyncio.gather(*(store.run(_end(turn, now)) for turn in turns))


def _end(turn: Claim, now: int) -> Release:
    records = [codec.to_row(record) for number in range(STEPS) for record in _step(number, now)]
    records.append(codec.to_row(Completed(now, '"done"')))
    return Release(turn.row, turn.turn, turn.n, 2, records, STEPS, "complete", None, now, now)


def _step(number: int, now: int) -> Iterator[AttemptStarted | StepSucceeded]:
    key, config = Key(StepKind.DO, f"step {number}", 1), StepConfig(5, 1_000, "exponential", 60_000)
    yield AttemptStarted(now, key, 1, config)
    yield StepSucceeded(now, key, 1, json.dumps("r" * 100))


async def _turns(store: Store) -> list[Claim]:
    now = SystemClock().now()
    created = codec.to_row(Created(now, "api", "{}"))
    worker = await store.run(RegisterWorker("bench", 2**60, now))
    for n in range(CLIENTS):
        await store.run(CreateInstance(ACCOUNT, WORKFLOW, f"new-{n}", "api", created, now))
    return (await store.run(ClaimDue(worker, now, CLIENTS))).turns


async def _committing(store: Store, turns: list[Claim], meanwhile: object) -> tuple[list[float], float]:
    """Commit until something else is done; return how long each commit took, in ms, and all of it, in seconds."""
    took: list[float] = []
    done = asyncio.Event()
    start = time.perf_counter()
    async with asyncio.TaskGroup() as clients:
        for place in range(len(turns)):
            clients.create_task(_commit_until(store, turns, place, done, took))
        await meanwhile  # type: ignore[misc]  # whatever can be awaited
        done.set()
    return took, time.perf_counter() - start


async def _commit_until(store: Store, turns: list[Claim], place: int, done: asyncio.Event, took: list[float]) -> None:
    turn = turns[place]
    seen = turn.n + 1
    while not done.is_set():
        now = SystemClock().now()
        records = [codec.to_row(record) for record in _step(turn.n, now)]
        start = time.perf_counter()
        committed = await store.run(Commit(turn.row, turn.turn, turn.n, seen, records, 1, now))
        took.append((time.perf_counter() - start) * 1_000)
        turn, seen = replace(turn, n=turn.n + len(records)), committed.seq
        await asyncio.sleep(0.001)
    turns[place] = turn


def _p99(took: list[float]) -> float:
    return statistics.quantiles(took, n=100)[98]


def _words(took: list[float], seconds: float) -> str:
    return f"p50 {statistics.median(took):.1f} ms, p99 {_p99(took):.1f} ms, {len(took) / seconds:,.0f} a second"


if __name__ == "__main__":
    main()
