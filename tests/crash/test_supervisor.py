"""The supervisor by itself, over real worker processes."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from stepwell.store.serving import WorkerLine
from stepwell.store.sqlite import SqliteStore
from stepwell.supervisor import Supervisor
from stepwell.worker_child import SupervisorSettings
from stepwell.worker_options import CodeOptions
from tests.crash.processes import own_workers
from tests.crash.server import DEADLINE_S

# All workers but the first take their time to load.
SOURCE = """
import os, pathlib, time
from stepwell import WorkflowEntrypoint

here = pathlib.Path(__file__).parent
try:
    with open(here / "first", "x") as file:
        file.write(str(os.getpid()))
except FileExistsError:
    while not (here / "go").exists():
        time.sleep(0.02)


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        pass
"""


async def until(is_so: Callable[[], bool]) -> None:
    """Return when something is so."""
    async with asyncio.timeout(DEADLINE_S):
        while not is_so():  # noqa: ASYNC110 - it is another process that makes it so
            await asyncio.sleep(0.02)


async def test_worker_that_dies_while_others_load_is_replaced(tmp_path: Path) -> None:
    """It serves as soon as it has loaded; from then on another takes its place, and the start succeeds."""
    await asyncio.to_thread((tmp_path / "flows.py").write_text, SOURCE)
    store = await asyncio.to_thread(SqliteStore.open, tmp_path / "store.db")
    supervisor = Supervisor(store, CodeOptions(str(tmp_path / "flows.py")), SupervisorSettings(workers=2, grace_s=0))
    starting = asyncio.create_task(supervisor.start())
    try:
        await until(lambda: len(supervisor._children) == 2)
        first = next(iter(supervisor._children))

        os.kill(int(await asyncio.to_thread((tmp_path / "first").read_text)), signal.SIGKILL)
        await until(lambda: first.is_gone)
        await asyncio.to_thread((tmp_path / "go").touch)
        await asyncio.wait_for(starting, DEADLINE_S)
        await until(lambda: first.pid not in supervisor.worker_pids)

        assert len(set(supervisor.worker_pids)) == 2
    finally:
        starting.cancel()
        await supervisor.stop()
        await store.close()


async def test_start_that_is_cancelled_as_its_process_begins_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody but the start knows of that process, and it is gone when the start is."""
    await asyncio.to_thread((tmp_path / "flows.py").write_text, "")
    store = await asyncio.to_thread(SqliteStore.open, tmp_path / "store.db")
    connecting = asyncio.Event()

    async def connect(*_: object) -> None:
        connecting.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(WorkerLine, "connect", connect)
    supervisor = Supervisor(store, CodeOptions(str(tmp_path / "flows.py")), SupervisorSettings(grace_s=0))
    starting = asyncio.create_task(supervisor.start())
    await asyncio.wait_for(connecting.wait(), DEADLINE_S)
    children = await asyncio.to_thread(own_workers)

    starting.cancel()
    await asyncio.wait([starting])

    assert len(children) > 0
    assert await asyncio.to_thread(own_workers) & children == set()
    await supervisor.stop()
    await store.close()
