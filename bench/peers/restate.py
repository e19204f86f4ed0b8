"""Restate: its server, and a Python worker that Granian serves to it, which is twice as fast as Hypercorn.

Callers ask the server's ingress over HTTP. All settings are as they come: 24 partitions, a log that waits for the disk,
and a suspension of what has waited for a minute, so sleepers and waiters of this benchmark stay in the worker's memory.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import restate

from bench.connection import Connection
from bench.driver import CLIENTS, READ_STEPS, Driver, Figures, Options, Sizes, drive, free_port, listening, rate

SERVER = "node_modules/@restatedev/restate-server-linux-x64/bin/restate-server"
_CALLERS, _SENDERS = 512, 64
_JSON = "content-type: application/json\r\n"
_LATE = os.environ.get("LATE", "")

service = restate.Service("Bench")


async def _one() -> int:
    return 1


async def _now() -> float:
    return time.time()


@service.handler()
async def steps(ctx: restate.Context, count: int) -> int:
    """Run steps one after the other."""
    return sum([await ctx.run_typed("work", _one) for _ in range(count)])


@service.handler()
async def timed(ctx: restate.Context, count: int) -> list[float]:
    """Run steps one after the other, and return when each has ended."""
    ends = []
    for _ in range(count):
        await ctx.run_typed("work", _one)
        ends.append(time.perf_counter())
    return ends


@service.handler()
async def parallel(ctx: restate.Context, count: int) -> int:
    """Run steps at once."""
    done = await restate.gather(*(ctx.run_typed("work", _one) for _ in range(count)))
    return sum([await one for one in done])


@service.handler()
async def sleeper(ctx: restate.Context, until: float) -> None:
    """Sleep until a moment, and note how late that ended."""
    await ctx.sleep(timedelta(seconds=until - await ctx.run_typed("now", _now)))
    with Path(_LATE).open("a") as lines:
        lines.write(f"{time.time() - until}\n")


@service.handler()
async def waiter(ctx: restate.Context, number: int) -> float:
    """Wait for a callback whose id is noted; return when the step behind it began."""
    name, called = ctx.awakeable()
    with Path(f"{_LATE}-{number}").open("w") as file:
        file.write(name)
    await called
    return await ctx.run_typed("woken", _now)


app = restate.app([service])


class Server(Driver):
    """The server, the worker, and connections to the ingress."""

    sizes = Sizes(sleepers=2_000, falling_asleep_s=5)

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._ingress, self._admin = free_port(), free_port()
        self._connections: list[Connection] = []
        self._waiting: list[asyncio.Task[bytes]] = []

    async def start(self) -> dict[str, str]:
        """Start both, and register the worker."""
        program = Path(sys.prefix) / SERVER
        node, port = free_port(), free_port()
        self.child(
            *(program, "--base-dir", str(self.folder / "db"), "--node-name", "bench", "--no-logo"),
            *("--bind-ip", "127.0.0.1", "--listen-mode", "tcp", "--bind-port", str(node), "--log-filter", "warn"),
            environment={
                "RESTATE_INGRESS__BIND_PORT": str(self._ingress),
                "RESTATE_ADMIN__BIND_PORT": str(self._admin),
                "RESTATE_DISABLE_TELEMETRY": "true",
            },
        )
        self.child(
            *(sys.executable, "-m", "granian", "bench.peers.restate:app", "--interface", "asgi", "--http", "2"),
            *("--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--log-level", "error"),
            environment={"LATE": str(self.late)},
        )
        for each in (self._ingress, self._admin, port):
            await listening(each)
        await self._register(f"http://127.0.0.1:{port}")
        self._connections = [await Connection.open(self._ingress, _JSON) for _ in range(_CALLERS)]
        found = json.loads((program.parent.parent / "package.json").read_text())
        return {"restate-server": found["version"], **{name: version(name) for name in ("restate-sdk", "granian")}}

    async def _register(self, uri: str) -> None:
        connection = await Connection.open(self._admin, _JSON)
        async with asyncio.timeout(30):
            while True:
                try:
                    await connection.ask("POST", "/deployments", json.dumps({"uri": uri}).encode())
                    break
                except OSError:  # it listens before it is ready
                    await asyncio.sleep(0.2)
        connection.close()

    async def stop(self) -> None:
        """Hang up, and stop both."""
        for task in self._waiting:
            task.cancel()
        for connection in self._connections:
            connection.close()
        await super().stop()

    async def many(self, instances: int, steps: int) -> None:
        """Call it on as many connections as are best."""
        numbers = iter(range(instances))

        async def caller(connection: Connection) -> None:
            for _ in numbers:
                await self._call(connection, "steps", steps)

        await asyncio.gather(*map(caller, self._connections[:instances]))

    async def one(self) -> None:
        """Call it: a request whose answer is its result."""
        await self._call(self._connections[0], "steps", 1)

    async def sequence(self, steps: int) -> Sequence[float]:
        """Let it tell when its steps have ended."""
        ends: list[float] = json.loads(await self._call(self._connections[0], "timed", steps))
        return ends

    async def parallel(self, steps: int) -> None:
        """Call it."""
        await self._call(self._connections[0], "parallel", steps)

    async def sleep(self, moments: Sequence[float]) -> None:
        """Send them, and give them a second."""
        left = iter(moments)

        async def caller(connection: Connection) -> None:
            for moment in left:
                await self._call(connection, "sleeper/send", moment)

        await asyncio.gather(*map(caller, self._connections[:_SENDERS]))
        await asyncio.sleep(1)

    async def reads(self) -> Figures:
        """Ask the admin's SQL for the steps of an invocation; the ingress tells only whether it has ended."""
        sent = json.loads(await self._call(self._connections[0], "steps/send", READ_STEPS))
        name = sent["invocationId"]
        await self._connections[0].ask("GET", f"/restate/invocation/{name}/attach")
        query = f"select index, entry_type, name from sys_journal where id = '{name}'"
        body = json.dumps({"query": query}).encode()
        clients = [await Connection.open(self._admin, f"{_JSON}accept: application/json\r\n") for _ in range(CLIENTS)]
        found = await rate(self.sizes.seconds, lambda number: clients[number].ask("POST", "/query", body))
        for client in clients:
            client.close()
        return {"per_s": found}

    async def wait(self, instances: int) -> None:
        """Call them, each on a connection of its own, and give them a second."""
        self._waiting = [
            asyncio.create_task(self._call(self._connections[number + 1], "waiter", number))
            for number in range(instances)
        ]
        await asyncio.sleep(1)

    async def wake(self, number: int) -> float:
        """Resolve its callback, and wait for its answer."""
        name = Path(f"{self.late}-{number}").read_text()
        await self._connections[0].ask("POST", f"/restate/awakeables/{name}/resolve", b"1")
        return float(json.loads(await self._waiting[number]))

    async def _call(self, connection: Connection, handler: str, argument: object) -> bytes:
        return await connection.ask("POST", f"/Bench/{handler}", json.dumps(argument).encode())


if __name__ == "__main__":
    drive(Server)
