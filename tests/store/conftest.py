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
        async with in_postgres(request.param) as opened:
            yield opened
        return
    opened = await _open(request.param, tmp_path)
    if request.param != "line":
        yield opened
    else:
        async with over_a_line(opened) as remote:
            yield remote
    await opened.close()


@asynccontextmanager
async def in_postgres(kind: str) -> AsyncIterator[Store]:
    """Open a store in an empty database."""
    if kind == "postgres inline":
        # A new connection plans all its statements again, for most of what such a test takes.
        kept = postgres.Stores()
        yield await asyncio.to_thread(kept.open)
        await asyncio.to_thread(kept.close)
        return
    url = await asyncio.to_thread(postgres.databases.take)
    opened = await asyncio.to_thread(_opened, kind, url)
    yield opened
    await opened.close()
    await asyncio.to_thread(postgres.databases.give_back, url)


def _opened(kind: str, url: str) -> Store:
    from stepwell.store.postgres import PostgresStore

    return PostgresStore.open(pgbouncer.pooler().url(url) if kind == "postgres pooled" else url)


@asynccontextmanager
async def over_a_line(store: Store) -> AsyncIterator[Store]:
    """Reach a store as other processes do: workers, which may ask for less, and commands."""
    ours, theirs = socket.socketpair()
    line_ended = asyncio.Event()
    line = WorkerLine(store, lambda _: None, line_ended.set, refused=())
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


@pytest.fixture
async def hosts_database(require: Callable[..., None]) -> AsyncIterator[str]:
    """An empty database."""
    require(postgres.REASON, "hosts of one database", HAS_POSTGRES)
    url = await asyncio.to_thread(postgres.databases.take)
    yield url
    await asyncio.to_thread(postgres.databases.give_back, url)


@pytest.fixture
async def hosts(hosts_database: str) -> AsyncIterator[list[Store]]:
    """Two hosts of one database."""
    from stepwell.store.postgres import PostgresStore

    opened = [await asyncio.to_thread(PostgresStore.open, hosts_database) for _ in range(2)]
    yield list(opened)
    for store in opened:
        await store.close()
