"""Absurd: a PostgreSQL database with its functions, and Python workers with a connection each.

W1, W4 and W5 have four async workers, the others one that is synchronous: the fastest of the shapes tried. Workers poll
every 10 ms, where Absurd's own default is 250; its client waits 50 ms and more between two looks at a result.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from absurd_sdk import Absurd, AsyncAbsurd

from bench.driver import CLIENTS, READ_STEPS, Driver, Figures, Options, Sizes, drive, rate

# Each kind of worker has a queue: what one claims that is just being ended is nobody's for minutes.
KINDS = {"async": 4, "sync": 1}
_POLL_S = 0.01
_LOOK_EVERY_S = 0.02


class Workers(Driver):
    """Workers of one kind at a time, and a client in this process."""

    sizes = Sizes(instances=500, single=30, sleepers=500, wakes_per_s=200, falling_asleep_s=5, events=30)

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._kind = ""
        self._clients: dict[str, Any] = {}
        self._waiting: list[str] = []

    async def start(self) -> dict[str, str]:
        """Put its functions into the database, and start the workers of the first works."""
        programs = Path(sys.executable).parent
        environment = {**os.environ, "ABSURD_DATABASE_URL": self.database}
        for command in (("init",), *(("create-queue", kind) for kind in KINDS)):
            ended = subprocess.run(
                [programs / "absurdctl", *command], env=environment, capture_output=True, text=True, check=False
            )
            if ended.returncode:
                raise RuntimeError(ended.stderr)
        await self._work_by("sync")
        return {name: version(name) for name in ("absurd-sdk", "psycopg")}

    async def stop(self) -> None:
        """Stop the workers, and close the client."""
        await super().stop()
        for client in self._clients.values():
            client.close()

    async def measure(self, work: str) -> tuple[str, Figures]:
        """Do a work with the workers that are best for it."""
        await self._work_by("async" if work in {"W1", "W4", "W5"} else "sync")
        return await super().measure(work)

    async def _work_by(self, kind: str) -> None:
        """End the workers that there are, unless they are of this kind, and start those."""
        if self._kind == kind:
            return
        self._kind = kind
        await super().stop()
        for _ in range(KINDS[kind]):
            self.child(sys.executable, "-m", "bench.peers.absurd", kind, self.database, str(self.late))
        await asyncio.to_thread(self._run, "steps", {"steps": 1})

    @property
    def _client(self) -> Any:
        if self._kind not in self._clients:
            self._clients[self._kind] = Absurd(self.database, queue_name=self._kind)
        return self._clients[self._kind]

    async def many(self, instances: int, steps: int) -> None:
        """Spawn them one after the other, and count those that are complete."""
        before = await asyncio.to_thread(self._completed)
        for _ in range(instances):
            await asyncio.to_thread(self._spawn, "steps", {"steps": steps})
        while await asyncio.to_thread(self._completed) < before + instances:
            await asyncio.sleep(_LOOK_EVERY_S)

    async def one(self) -> None:
        """Spawn it, and wait for its result."""
        await asyncio.to_thread(self._run, "steps", {"steps": 1})

    async def sequence(self, steps: int) -> Sequence[float]:
        """Let the task tell when its steps have ended."""
        ends: list[float] = await asyncio.to_thread(self._run, "timed", {"steps": steps})
        return ends

    async def parallel(self, steps: int) -> None:
        """Gather them, on the one connection that a worker has."""
        await asyncio.to_thread(self._run, "parallel", {"steps": steps})

    async def sleep(self, moments: Sequence[float]) -> None:
        """Spawn them, and give them a second."""
        self.late.write_text("")
        for moment in moments:
            await asyncio.to_thread(self._spawn, "sleeper", {"until": moment})
        await asyncio.sleep(1)

    async def reads(self) -> Figures:
        """Read the steps of a task by SQL, in threads with a connection each: there is no call for it."""
        name = await asyncio.to_thread(self._spawn, "steps", {"steps": READ_STEPS})
        await asyncio.to_thread(self._client.await_task_result, name)
        clients = [Absurd(self.database, queue_name=self._kind) for _ in range(CLIENTS)]
        found = await rate(self.sizes.seconds, lambda number: asyncio.to_thread(_read, clients[number], name))
        for client in clients:
            client.close()
        return {"per_s": found}

    async def wait(self, instances: int) -> None:
        """Spawn them, and give them a second."""
        self._waiting = [
            await asyncio.to_thread(self._spawn, "waiter", {"event": f"go-{number}"}) for number in range(instances)
        ]
        await asyncio.sleep(1)

    async def wake(self, number: int) -> float:
        """Emit the event that only this task waits for."""
        await asyncio.to_thread(self._client.emit_event, f"go-{number}", 1)
        return float((await asyncio.to_thread(self._client.await_task_result, self._waiting[number])).result)

    def _spawn(self, task: str, params: object) -> str:
        return str(self._client.spawn(task, params, queue=self._kind)["task_id"])

    def _run(self, task: str, params: object) -> Any:
        found = self._client.await_task_result(self._spawn(task, params), timeout=120)
        assert found.state == "completed", found
        return found.result

    def _completed(self) -> int:
        with self._client._conn.cursor() as cursor:
            cursor.execute(f"select count(*) from absurd.t_{self._kind} where state = 'completed'")
            return int(cursor.fetchone()[0])


def _read(client: Any, name: str) -> None:
    with client._conn.cursor() as cursor:
        cursor.execute(
            "select checkpoint_name, state, status, updated_at from absurd.c_sync where task_id = %s", [name]
        )
        cursor.fetchall()


def _note(file: str, until: float) -> None:
    with Path(file).open("a") as lines:
        lines.write(f"{time.time() - until}\n")


def work(url: str, late: str) -> None:
    """Be a synchronous worker."""
    app = Absurd(url, queue_name="sync")

    @app.register_task("steps")
    def steps(params: Any, ctx: Any) -> int:
        return sum(ctx.step("work", lambda: 1) for _ in range(params["steps"]))

    @app.register_task("timed")
    def timed(params: Any, ctx: Any) -> list[float]:
        ends = []
        for _ in range(params["steps"]):
            ctx.step("work", lambda: 1)
            ends.append(time.perf_counter())
        return ends

    @app.register_task("waiter")
    def waiter(params: Any, ctx: Any) -> float:
        ctx.await_event(params["event"])
        return float(ctx.step("woken", time.time))

    app.start_worker(concurrency=1, poll_interval=_POLL_S)


async def work_async(url: str, late: str) -> None:
    """Be an async worker, which runs ten tasks at a time."""
    app = AsyncAbsurd(url, queue_name="async")

    async def one() -> int:
        return 1

    @app.register_task("steps")
    async def steps(params: Any, ctx: Any) -> int:
        return sum([await ctx.step("work", one) for _ in range(params["steps"])])

    @app.register_task("parallel")
    async def parallel(params: Any, ctx: Any) -> int:
        return sum(await asyncio.gather(*(ctx.step(f"work {number}", one) for number in range(params["steps"]))))

    @app.register_task("sleeper")
    async def sleeper(params: Any, ctx: Any) -> None:
        async def left() -> float:
            return float(params["until"]) - time.time()

        await ctx.sleep_for("nap", await ctx.step("left", left))
        _note(late, params["until"])

    await app.start_worker(concurrency=10, poll_interval=_POLL_S)


if __name__ == "__main__":
    match sys.argv[1]:
        case "sync":
            work(*sys.argv[2:])
        case "async":
            asyncio.run(work_async(*sys.argv[2:]))
        case _:
            drive(Workers)
