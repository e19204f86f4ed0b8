"""The works that are measured, on the processes of `stepwell dev` without its web server."""

import asyncio
import json
import os
import shutil
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from stepwell.core.steplog import StepEntry
from stepwell.engine import Engine, NewInstance
from stepwell.store.opening import open_store
from stepwell.supervisor import Supervisor
from stepwell.worker_options import CodeOptions

ACCOUNT, WORKFLOW = "local", "steps"
W2_INSTANCES = 200


@dataclass(frozen=True, slots=True)
class Deployment:
    """A store and a worker process."""

    engine: Engine
    worker_pid: int

    async def run(self, instances: int, steps: int) -> float:
        """Create instances and wait until all are complete; return the seconds."""
        params = json.dumps({"steps": steps})
        start = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(instances):
                group.create_task(self.engine.create(ACCOUNT, WORKFLOW, NewInstance(f"i{number}", params)))
        while (await self.engine.workflow(ACCOUNT, WORKFLOW)).counts.get("complete", 0) < instances:
            await asyncio.sleep(0.005)
        return time.perf_counter() - start

    def cpu_seconds(self) -> float:
        """Return the CPU time of both processes so far."""
        fields = Path(f"/proc/{self.worker_pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return time.process_time() + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def worker_peak_mb(self) -> float:
        """Return the largest memory of the worker so far."""
        status = Path(f"/proc/{self.worker_pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@asynccontextmanager
async def deployment(folder: Path, database: str | None = None) -> AsyncIterator[Deployment]:
    """Start a store and a worker in a folder, and stop them; `database` is the store's URL, None: a file."""
    folder.mkdir()
    source = folder / "workflows.py"
    shutil.copy(Path(__file__).with_name("workflows.py"), source)
    store = open_store(database or f"sqlite:///{folder / 'stepwell.db'}")
    supervisor = Supervisor(store, CodeOptions(str(source)))
    try:
        await supervisor.start()
        (worker,) = supervisor.worker_pids
        yield Deployment(Engine(store), worker)
    finally:
        await supervisor.stop()
        await store.close()


async def w1(folder: Path, database: str | None = None) -> dict[str, float]:
    """Measure 1,000 instances of 10 steps each, all at once, their creation included."""
    async with deployment(folder, database) as deployed:
        cpu = deployed.cpu_seconds()
        seconds = await deployed.run(1000, 10)
        return {
            "W1: steps/s": 10_000 / seconds,
            "W1: instances/s": 1000 / seconds,
            "W1: CPU us a step": (deployed.cpu_seconds() - cpu) * 100,
            "W1: worker's peak memory, MB": deployed.worker_peak_mb(),
        }


async def w2(folder: Path, database: str | None = None) -> dict[str, float]:
    """Measure instances of one step, one after the other, from the call that creates one to its end, without HTTP."""
    async with deployment(folder, database) as deployed:
        took = []
        for number in range(W2_INSTANCES):
            start = time.perf_counter()
            row = await deployed.engine.create(ACCOUNT, WORKFLOW, NewInstance(f"one{number}", '{"steps": 1}'))
            changed = asyncio.Event()
            stop = deployed.engine.store.watch(row, changed.set)
            while (await deployed.engine.get(ACCOUNT, WORKFLOW, row.id)).row.status != "complete":
                await changed.wait()
                changed.clear()
            stop()
            took.append((time.perf_counter() - start) * 1000)
        return {"W2: ms from create to end, p50": statistics.median(took)}


async def w3(folder: Path, database: str | None = None) -> dict[str, float]:
    """Measure one instance of 2,000 steps, one after the other."""
    async with deployment(folder, database) as deployed:
        await deployed.run(1, 2000)
        log = (await deployed.engine.get(ACCOUNT, WORKFLOW, "i0")).log
        ends = [entry.end for entry in log.entries if isinstance(entry, StepEntry) and entry.end is not None]
        return {
            "W3: steps/s": 1999 / (ends[-1] - ends[0]) * 1000,
            "W3: last 200 steps' rate, first 200 = 1": (ends[199] - ends[0]) / (ends[-1] - ends[-200]),
        }
