"""The stores that keep the contract."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from stepwell.store import Store
from stepwell.store.remote import RemoteStore
from stepwell.store.serving import WorkerLine
from stepwell.store.sqlite import SqliteStore
from tests import pgbouncer, postgres

HAS_POSTGRES = postgres.is_there()
HAS_PGBOUNCER = pgbouncer.is_there()


# Threads and a pulse round the same statements: half a minute more, for what the tests of faults and hosts do, too.
_IN_THREADS = pytest.param("postgres", marks=pytest.mark.long)
# And the same again behind a pooler, where few tests would be enough to see most that can go wrong.
_POOLED = pytest.param("postgres pooled", marks=pytest.mark.long)


@pytest.fixture(params=["file", "memory", "line", _IN_THREADS, _POOLED, "postgres inline"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, require: Callable[..., None]) -> AsyncIterator[Store]:
    """An empty store of each kind in turn."""
    if "postgres" in request.param:
        require(postgres.REASON, "a store in it", HAS_POSTGRES)
        if request.param == "postgres pooled":
            require(pgbouncer.REASON, "a store behind it", HAS_PGBOUNCER)
        async with _in_postgres(request.param) as opened:
            yield opened
        return
    opened = await _open(request.param, tmp_path)
    if request.param != "line":
        yield opened
    else:
        async with _over_a_line(opened) as remote:
            yield remote
    await opened.close()


@asynccontextmanager
async def _in_postgres(kind: str) -> AsyncIterator[Store]:
    """Open a store in an empty database."""
    url = await asyncio.to_thread(postgres.databases.take)
    opened = await asyncio.to_thread(_opened, kind, url)
    yield opened
    await opened.close()
    await asyncio.to_thread(postgres.databases.give_back, url)


def _opened(kind: str, url: str) -> Store:
    from stepwell.store.postgres import PostgresStore

    match kind:
        case "postgres inline":
            return PostgresStore.inline(url)
        case "postgres pooled":
            return PostgresStore.open(pgbouncer.pooler().url(url))
        case _:
            return PostgresStore.open(url)


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
