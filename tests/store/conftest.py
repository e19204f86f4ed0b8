"""The stores that keep the contract."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from stepwell.store import Store
from stepwell.store.remote import RemoteStore
from stepwell.store.serving import WorkerLine
from stepwell.store.sqlite import SqliteStore


@pytest.fixture(params=["file", "memory", "line"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store of each kind in turn."""
    opened = await _open(request.param, tmp_path)
    if request.param != "line":
        yield opened
    else:
        async with _over_a_line(opened) as remote:
            yield remote
    await opened.close()


@asynccontextmanager
async def _over_a_line(store: Store) -> AsyncIterator[Store]:
    """Reach a store as a worker process does."""
    ours, theirs = socket.socketpair()
    line_ended = asyncio.Event()
    line = WorkerLine(store, lambda _: None, line_ended.set)
    remote = RemoteStore(lambda _: None, lambda: None)
    await line.connect(ours)
    await remote.connect(theirs)
    yield remote
    await remote.close()
    await line_ended.wait()


async def _open(kind: str, folder: Path) -> Store:
    if kind != "file":
        return SqliteStore.in_memory()
    return await asyncio.to_thread(SqliteStore.open, folder / "store.db")
