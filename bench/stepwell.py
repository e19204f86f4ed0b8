"""Stepwell, as it is measured: over HTTP, like anybody's server. `python -m bench.stepwell FOLDER --variant ...`.

- `dev`: `stepwell dev` on a file. Author code never runs in the server's own process, so this is the least that there
  can be of processes: the server and one worker.
- `serve`: `stepwell serve` on a file, with two workers, and a token.
- `postgres`: `stepwell serve` on a PostgreSQL database, with one worker, and a token.

Its work `large` is done once: the sizes that take a minute each.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing

import apsw

from bench.connection import Connection
from bench.driver import CLIENTS, READ_STEPS, WORKS, Driver, Figures, Options, drive, growth, percentiles, rate
from bench.processes import memory_mb
from bench.server import INSTANCES, WORKFLOWS, complete, ms, serving, token
from bench.work import ACCOUNT
from stepwell import __version__
from stepwell.engine import Engine
from stepwell.store.opening import open_store
from tests import postgres

BATCH = 100
LARGE_STEPS, LARGE_SLEEPERS = 10_000, 100_000
# Of the many sleepers of the large size so many are due soon, and waited for.
_LARGE_WOKEN = 10_000
_CREATED_PER_S, _RESTARTING_S = 1_000, 20.0
_LOOK_EVERY_S = 0.02
# To look at many instances, or at a long one, takes the server a while itself.
_LOOK_SELDOM_S = 0.5
# Of what has slept so many are asked how late they were.
_ASKED = 500
_CHANGES_PER_S = 20
_SIZE = """
    select sum(pg_total_relation_size(oid))
    from pg_class
    where relkind = 'r' and relnamespace = 'public'::regnamespace
    """
_TRANSACTIONS = "select sum(xact_commit + xact_rollback) from pg_stat_database where datname = current_database()"


class Stepwell(Driver):
    """A server and its workers, and connections to it that are kept open."""

    works = (*WORKS, "large")

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._file = self.folder / "data" / "stepwell.db"
        self._opened = AsyncExitStack()
        self._connections: list[Connection] = []
        self._ids = iter(range(10**9))
        self._steps = 0
        self._asleep: list[str] = []
        self._woken = 0
        self._waiting: list[str] = []

    async def start(self) -> dict[str, str]:
        """Start it on the store that there is; the version is its own."""
        store, headers = None, ""
        if self.variant != "dev":
            store = self.database or f"sqlite:///{self._file}"
            self._file.parent.mkdir(exist_ok=True)
            headers = f"authorization: Bearer {await asyncio.to_thread(token, store)}\r\n"
        workers = () if store is None else ("--workers", "2" if self.variant == "serve" else "1")
        begun = time.perf_counter()
        port, self._pid = await self._opened.enter_async_context(serving(self.folder, store, *workers))
        self.started_s = time.perf_counter() - begun
        self._connections = [await Connection.open(port, headers) for _ in range(CLIENTS + 1)]
        return {"stepwell": __version__}

    async def stop(self) -> None:
        """Stop the server."""
        for connection in self._connections:
            connection.close()
        await self._opened.aclose()

    def pids(self) -> list[int]:
        """Return the server, whose children the workers are, and the database."""
        return [self._pid, *super().pids()]

    async def many(self, instances: int, steps: int) -> None:
        """Create them a hundred at a time, and look whether all are complete."""
        before = await self._count("steps", "complete")
        await self._create("steps", [{"params": {"steps": steps}} for _ in range(instances)])
        while await self._count("steps", "complete") < before + instances:
            await asyncio.sleep(_LOOK_EVERY_S)
        self._steps += instances * steps

    async def one(self) -> None:
        """Create it, and wait for its end: two requests."""
        created = json.loads(await self._ask("POST", INSTANCES, {"params": {"steps": 1}}))
        await complete(self._connections[0], f"{INSTANCES}/{created['result']['id']}")

    async def sequence(self, steps: int) -> Sequence[float]:
        """Read from its log when each step ended."""
        return await self._ends(await self._run("steps", {"steps": steps}))

    async def parallel(self, steps: int) -> None:
        """Wait for its end."""
        await self._run("parallel", {"steps": steps})

    async def sleep(self, moments: Sequence[float]) -> None:
        """Create them, and wait until none runs."""
        before = await self._count("sleeps", "waiting")
        self._woken = await self._count("sleeps", "complete")
        self._asleep = await self._create("sleeps", [{"params": {"until": moment * 1000}} for moment in moments])
        while await self._count("sleeps", "waiting") < before + len(moments):
            await asyncio.sleep(_LOOK_SELDOM_S)

    async def woken(self) -> int:
        """Return how many have ended."""
        return await self._count("sleeps", "complete") - self._woken

    async def lateness(self) -> Sequence[float]:
        """Ask some of them."""
        return await self._late(self._asleep)

    async def reads(self) -> Figures:
        """Read an instance that has ended, one that changes, and a file of the dashboard's that is as large."""
        seconds = self.sizes.seconds / 3
        still = await self._run("steps", {"steps": READ_STEPS})
        page = (await self._ask("GET", "/", headers="accept: text/html\r\n")).decode()
        constant = next(part for part in page.split('"') if part.endswith("/style.css"))
        body, same = await self._ask("GET", still), await self._ask("GET", constant)
        figures = {"per_s": await self._rate(seconds, still), "constant_per_s": await self._rate(seconds, constant)}
        every_s = 1 / _CHANGES_PER_S
        params = {"steps": READ_STEPS, "changes": round(seconds * _CHANGES_PER_S) + 1, "every_s": every_s}
        (changing,) = await self._create("changes", [{"params": params}])
        path = f"{WORKFLOWS}/changes/instances/{changing}"
        while len(json.loads(await self._ask("GET", path))["result"]["steps"]) < READ_STEPS:
            await asyncio.sleep(_LOOK_EVERY_S)
        figures["changing_per_s"] = await self._rate(seconds, path)
        return {**figures, "kb": len(body) / 1024, "constant_kb": len(same) / 1024}

    async def wait(self, instances: int) -> None:
        """Create them, and wait until none runs."""
        before = await self._count("waits", "waiting")
        self._waiting = await self._create("waits", [{} for _ in range(instances)])
        while await self._count("waits", "waiting") < before + instances:
            await asyncio.sleep(_LOOK_EVERY_S)

    async def wake(self, number: int) -> float:
        """Ask what its step has returned."""
        path = f"{WORKFLOWS}/waits/instances/{self._waiting[number]}"
        await self._ask("POST", f"{path}/events/go", 1)
        await complete(self._connections[0], path)
        return await self._output(path) / 1000

    async def also(self, work: str) -> Figures:
        """Return how much of the disk a step takes, what an idle server asks of a database, and how two hosts do."""
        if work == "W1":
            return {"bytes": await self._size() / self._steps}
        if work == "idle" and self.database:
            before = await self._query(_TRANSACTIONS)
            await asyncio.sleep(self.sizes.seconds)
            return {"transactions_per_s": (await self._query(_TRANSACTIONS) - before) / self.sizes.seconds}
        if work == "W7" and self.database:
            return percentiles(await self._across_hosts(), "hosts_")
        return await super().also(work)

    async def measure(self, work: str) -> tuple[str, Figures]:
        """Do a work; `large` is only for Stepwell."""
        return await (self._large() if work == "large" else super().measure(work))

    async def _across_hosts(self) -> list[float]:
        """Return how soon steps begin whose event another host has taken, which has no workers of its own."""
        await self.wait(self.sizes.events)
        store = await asyncio.to_thread(open_store, self.database)
        took = []
        try:
            for name in self._waiting:
                path = f"{WORKFLOWS}/waits/instances/{name}"
                sent = time.time()
                await Engine(store).send_event(ACCOUNT, "waits", name, "go", "1")
                await complete(self._connections[0], path)
                took.append(await self._output(path) / 1000 - sent)
        finally:
            await store.close()
        return took

    async def _large(self) -> tuple[str, Figures]:
        """Measure a long instance, a broad one, and many that sleep."""
        scale = self.sizes.sequence / Driver.sizes.sequence
        steps, sleepers = max(8, round(LARGE_STEPS * scale)), max(8, round(LARGE_SLEEPERS * scale))
        begun = time.perf_counter()
        await self._run("parallel", {"steps": steps})
        figures = {"parallel_per_s": steps / (time.perf_counter() - begun)}
        figures |= await self._long(steps)
        figures |= await self._many_asleep(sleepers, max(4, round(_LARGE_WOKEN * scale)))
        return f"{steps:,} steps, {sleepers:,} sleepers", figures

    async def _long(self, steps: int) -> Figures:
        """Measure an instance of many steps: how fast they are, who waits while it is read, and its replay."""
        # Behind its wait is one more, and it may have no more than that.
        (name,) = await self._create("waits", [{"params": {"steps": steps - 1}}])
        path = f"{WORKFLOWS}/waits/instances/{name}"
        while json.loads(await self._ask("GET", f"{path}?simple=true"))["result"]["status"] != "waiting":
            await asyncio.sleep(_LOOK_SELDOM_S)
        ends = await self._ends(path)
        figures = {"sequence_per_s": (len(ends) - 1) / (ends[-1] - ends[0]), "sequence_growth": growth(ends)}
        # Neither its log nor the instance is in anybody's memory then.
        await self._restart()
        figures |= await self._beside(path)
        sent = time.time()
        await self._ask("POST", f"{path}/events/go", 1)
        await complete(self._connections[0], path)
        return {**figures, "replay_ms": await self._output(path) - sent * 1000}

    async def _beside(self, path: str) -> Figures:
        """Return how long other requests take while somebody reads a long instance again and again."""
        reading = asyncio.create_task(self._read_on(self._connections[1], path))
        took = []
        until = time.perf_counter() + self.sizes.seconds
        while time.perf_counter() < until:
            begun = time.perf_counter()
            await self._ask("GET", "/healthz")
            took.append(time.perf_counter() - begun)
            await asyncio.sleep(0.002)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        return {**percentiles(took, "beside_"), "beside_longest_ms": max(took) * 1000}

    async def _read_on(self, connection: Connection, path: str) -> None:
        while True:
            await connection.ask("GET", path)

    async def _many_asleep(self, sleepers: int, woken: int) -> Figures:
        """Measure many of which some are due soon, and the others in an hour."""
        before = memory_mb(self.pids())
        await self.sleep([time.time() + 3600] * (sleepers - woken))
        first = time.time() + woken / _CREATED_PER_S + _RESTARTING_S
        await self.sleep([first + number / self.sizes.wakes_per_s for number in range(woken)])
        await asyncio.sleep(1)
        asleep = memory_mb(self.pids()) - before
        figures = {"asleep_mb": asleep, "kb_each": asleep * 1024 / sleepers, "restart_s": await self._restart()}
        if first < time.time():
            raise TimeoutError(f"the server was ready {time.time() - first:.0f} s after the first was due")
        while await self.woken() < woken:
            await asyncio.sleep(_LOOK_SELDOM_S)
        return {**figures, **percentiles(await self._late(self._asleep), "late_")}

    async def _restart(self) -> float:
        """Stop the server and start it; return how long it took until it was ready."""
        await self.stop()
        await self.start()
        return self.started_s

    async def _late(self, names: Sequence[str]) -> list[float]:
        asked = names[:: max(1, len(names) // _ASKED)]
        return [await self._output(f"{WORKFLOWS}/sleeps/instances/{name}") / 1000 for name in asked]

    async def _rate(self, seconds: float, path: str) -> float:
        return await rate(seconds, lambda number: self._connections[number + 1].ask("GET", path))

    async def _run(self, workflow: str, params: object) -> str:
        """Run an instance to its end, and return its path."""
        (name,) = await self._create(workflow, [{"params": params}])
        path = f"{WORKFLOWS}/{workflow}/instances/{name}"
        # Not by a wait, which is answered at each change: with each step, that is.
        while json.loads(await self._ask("GET", f"{path}?simple=true"))["result"]["status"] != "complete":
            await asyncio.sleep(_LOOK_EVERY_S)
        return path

    async def _ends(self, path: str) -> list[float]:
        """Return when each step has ended, in seconds."""
        log = json.loads(await self._ask("GET", path))["result"]["steps"]
        return [ms(step["end"]) / 1000 for step in log if step["type"] == "step"]

    async def _create(self, workflow: str, wanted: Sequence[dict[str, object]]) -> list[str]:
        """Create instances, a hundred at a time, and return their ids."""
        named = [{"instance_id": f"{workflow}-{next(self._ids)}", **one} for one in wanted]
        for first in range(0, len(named), BATCH):
            await self._ask("POST", f"{WORKFLOWS}/{workflow}/instances/batch", named[first : first + BATCH])
        return [str(one["instance_id"]) for one in named]

    async def _count(self, workflow: str, status: str) -> int:
        return int(json.loads(await self._ask("GET", f"{WORKFLOWS}/{workflow}"))["result"]["instances"][status])

    async def _output(self, path: str) -> float:
        return float(json.loads(await self._ask("GET", path))["result"]["output"])

    async def _ask(self, method: str, path: str, body: object = None, headers: str = "") -> bytes:
        sent = b"" if body is None else json.dumps(body).encode()
        return await self._connections[0].ask(method, path, sent, headers)

    async def _size(self) -> float:
        """Return how large the store is, with what of a file still lies in its log."""
        if self.database:
            return await self._query(_SIZE)
        with closing(apsw.Connection(str(self._file), apsw.SQLITE_OPEN_READONLY)) as file:
            return float(file.pragma("page_count") * file.pragma("page_size"))

    async def _query(self, sql: str) -> float:
        ((found,),) = await asyncio.to_thread(postgres.query, self.database, sql)
        return float(found)


if __name__ == "__main__":
    drive(Stepwell)
