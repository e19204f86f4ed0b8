"""Instances on the processes of `stepwell dev`, without its web server."""

import asyncio
import json
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.processes import cpu_s
from bench.server import SOURCE
from stepwell.engine import Engine, NewInstance
from stepwell.store.opening import open_store
from stepwell.store.tally import Tally
from stepwell.supervisor import Supervisor
from stepwell.worker_child import SupervisorSettings
from stepwell.worker_options import CodeOptions

ACCOUNT, WORKFLOW = "local", "steps"
# How often it is looked whether all have ended: seldom enough not to be what is measured.
_LOOK_EVERY_S = 0.02


@dataclass(slots=True)
class Deployment:
    """A store and its worker processes."""

    engine: Engine
    supervisor: Supervisor
    _created: int = 0

    async def run(self, instances: int, steps: int) -> float:
        """Create instances and wait until all are complete; return the seconds."""
        params = json.dumps({"steps": steps})
        start = time.perf_counter()
        first, self._created = self._created, self._created + instances
        async with asyncio.TaskGroup() as group:
            for number in range(first, self._created):
                group.create_task(self.engine.create(ACCOUNT, WORKFLOW, NewInstance(f"i{number}", params)))
        while (await self.engine.workflow(ACCOUNT, WORKFLOW)).counts.get("complete", 0) < self._created:
            await asyncio.sleep(_LOOK_EVERY_S)
        return time.perf_counter() - start

    def cpu_seconds(self) -> float:
        """Return the CPU time of all processes so far."""
        return cpu_s([os.getpid(), *self.supervisor.worker_pids])


@asynccontextmanager
async def deployment(folder: Path, tally: Tally | None = None) -> AsyncIterator[Deployment]:
    """Start a store and a worker in a folder, and stop them. `tally` counts what is written."""
    folder.mkdir()
    source = folder / "workflows.py"
    shutil.copy(SOURCE, source)
    store = open_store(f"sqlite:///{folder / 'stepwell.db'}", tally=tally)
    supervisor = Supervisor(store, CodeOptions(str(source)), SupervisorSettings(workers=1))
    try:
        await supervisor.start()
        yield Deployment(Engine(store), supervisor)
    finally:
        await supervisor.stop()
        await store.close()
