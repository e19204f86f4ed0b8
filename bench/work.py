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
from stepwell.waits import wait_for_end
from stepwell.worker_child import SupervisorSettings
from stepwell.worker_options import CodeOptions

ACCOUNT, WORKFLOW = "local", "steps"
W2_INSTANCES = 200
W5_INSTANCES, W5_SLEEP_S = 5_000, 20.0
# How often it is looked whether all have ended: seldom enough not to be what is measured.
_LOOK_EVERY_S = 0.02


@dataclass(frozen=True, slots=True)
class Deployment:
    """A store and its worker processes."""

    engine: Engine
    worker_pids: list[int]

    async def run(self, instances: int, steps: int) -> float:
        """Create instances and wait until all are complete; return the seconds."""
        params = json.dumps({"steps": steps})
        start = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(instances):
                group.create_task(self.engine.create(ACCOUNT, WORKFLOW, NewInstance(f"i{number}", params)))
        while (await self.engine.workflow(ACCOUNT, WORKFLOW)).counts.get("complete", 0) < instances:
            await asyncio.sleep(_LOOK_EVERY_S)
        return time.perf_counter() - start

    def cpu_seconds(self) -> float:
        """Return the CPU time of all processes so far."""
        return time.process_time() + sum(map(_cpu_seconds, self.worker_pids))

    def memory_mb(self) -> float:
        """Return the memory of all processes now."""
        return sum(_memory_mb(pid, "VmRSS") for pid in (os.getpid(), *self.worker_pids))

    def worker_peak_mb(self) -> float:
        """Return the largest memory of the largest worker so far."""
        return max(_memory_mb(pid, "VmHWM") for pid in self.worker_pids)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int, what: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition(f"{what}:")[2].split()[0]) / 1024


@asynccontextmanager
async def deployment(folder: Path, database: str | None = None, workers: int = 1) -> AsyncIterator[Deployment]:
    """Start a store and workers in a folder, and stop them; `database` is the store's URL, None: a file."""
    folder.mkdir()
    source = folder / "workflows.py"
    shutil.copy(Path(__file__).with_name("workflows.py"), source)
    store = open_store(database or f"sqlite:///{folder / 'stepwell.db'}")
    supervisor = Supervisor(store, CodeOptions(str(source)), SupervisorSettings(workers=workers))
    try:
        await supervisor.start()
        yield Deployment(Engine(store), supervisor.worker_pids)
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
            ended = await wait_for_end(deployed.engine.store, row)
            assert ended.row.status == "complete"
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


async def w1_of(folder: Path, database: str, workers: int) -> float:
    """Measure the steps a second of W1 with more worker processes."""
    async with deployment(folder, database, workers) as deployed:
        return 10_000 / await deployed.run(1000, 10)


async def w5(folder: Path, database: str | None = None) -> dict[str, float]:
    """Measure what sleeping instances cost, and how late they are woken, all at one moment."""
    async with deployment(folder, database) as deployed:
        engine, before = deployed.engine, deployed.memory_mb()
        until = round((time.time() + W5_SLEEP_S) * 1000)
        params = json.dumps({"until": until})
        async with asyncio.TaskGroup() as group:
            for number in range(W5_INSTANCES):
                group.create_task(engine.create(ACCOUNT, "sleeps", NewInstance(f"i{number}", params)))
        while (await engine.workflow(ACCOUNT, "sleeps")).counts.get("waiting", 0) < W5_INSTANCES:
            await asyncio.sleep(_LOOK_EVERY_S)
        spare_s = until / 1000 - time.time()
        asleep = deployed.memory_mb()
        while (await engine.workflow(ACCOUNT, "sleeps")).counts.get("complete", 0) < W5_INSTANCES:
            await asyncio.sleep(_LOOK_EVERY_S)
        last_s = time.time() - until / 1000
        found = [await engine.get(ACCOUNT, "sleeps", f"i{number}") for number in range(0, W5_INSTANCES, 10)]
        late = [float(str(one.log.output)) for one in found]
        return {
            "W5: all 5,000 are asleep, s before they wake": spare_s,
            "W5: memory of all processes while they sleep, MB more than before": asleep - before,
            "W5: ms late, p50": statistics.median(late),
            "W5: s until the last has ended": last_s,
        }
