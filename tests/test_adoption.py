"""Other code is put into the place of what runs, whole or not at all."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from stepwell.adoption import Adoption
from stepwell.pinned import PinnedSettings, PinnedWorkers
from stepwell.places import Layouts
from stepwell.store import Store
from stepwell.store.snapshot_operations import SaveSnapshot, Snapshot, SnapshotFile
from stepwell.store.sqlite import SqliteStore
from stepwell.supervisor import Supervisor
from stepwell.worker_options import NO_CODE, CodeOptions


class Changing:
    """A supervisor whose workers take their time to load code."""

    serves_fetch = False

    def __init__(self) -> None:
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()
        self.loaded: list[int] = []

    async def change_code(self, code: CodeOptions) -> None:
        self.begun.set()
        await self.may_end.wait()
        self.loaded.append(code.snapshot)


async def test_deployment_ends_though_whoever_asked_for_it_is_gone(tmp_path: Path) -> None:
    """Else workers would run code that the server does not know it runs."""
    store: Store = SqliteStore.in_memory()
    file = SnapshotFile("order.py", b"")
    row = await store.run(SaveSnapshot("local", "a" * 64, "order.py", "3.13.1", "{}", [file], 1))
    snapshot = Snapshot(row, "a" * 64, "order.py", "3.13.1", "{}", 1, 0)
    changing = Changing()
    supervisor = cast(Supervisor, cast(Any, changing))
    settings = PinnedSettings(tmp_path / "store.db", Layouts(tmp_path / "laid out"), 1_000, 1, 1_000)
    pinned = PinnedWorkers(store, supervisor, NO_CODE, settings)
    adoption = Adoption(store, supervisor, pinned, NO_CODE)

    asking = asyncio.create_task(adoption.deploy(snapshot))
    await changing.begun.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    changing.may_end.set()
    # The next one waits for it.
    await adoption.deploy(snapshot)

    assert changing.loaded == [row, row]
    await store.close()
