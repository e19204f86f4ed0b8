"""A store behind a pooler of transactions is a store like any other, and leaves nothing on what it shares."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stepwell.clock import VirtualClock
from stepwell.errors import StoreUnavailable
from stepwell.store import Store
from stepwell.store.operations import ListWorkflows
from tests import pgbouncer, postgres
from tests.store.copies import copied, fill, tables_of
from tests.store.scenes import (
    Ear,
    claim,
    create,
    creation,
    happening,
    heard,
    held,
    instance,
    kinds,
    outcomes,
    register,
    worker,
)
from tests.store.test_postgres_faults import commit_until, insist, send_until

if pgbouncer.is_there():
    import asyncpg

    from stepwell.store.postgres import connection
    from stepwell.store.postgres import pooler as module
    from stepwell.store.postgres.address import Address
    from stepwell.store.postgres.pooler import is_pooled
    from stepwell.store.postgres.store import PostgresStore

# Of the one connection that all share.
_LEFT = """
    select current_setting('stepwell.host', true),
        current_setting('search_path'),
        (select count(*) from pg_prepared_statements),
        (select count(*) from pg_listening_channels())
    """


@pytest.fixture
def direct(require: Callable[..., None]) -> Iterator[str]:
    """An empty database, without a pooler before it."""
    require(pgbouncer.REASON, "a store behind it", pgbouncer.is_there())
    taken = postgres.databases.take()
    yield taken
    postgres.databases.give_back(taken)


@pytest.fixture
def pooler(direct: str) -> Iterator[pgbouncer.Pooler]:
    """A pooler that has one connection to each database."""
    own = pgbouncer.Pooler(direct, size=1)
    yield own
    own.remove()


@pytest.fixture
def url(pooler: pgbouncer.Pooler, direct: str) -> str:
    """The same database, through the pooler."""
    return pooler.url(direct)


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    """A store in it."""
    opened = await asyncio.to_thread(PostgresStore.open, url)
    yield opened
    await opened.close()


async def test_pooler_is_known_by_itself(url: str, direct: str) -> None:
    """Nobody has to say that there is one, and without one there is none."""
    found = []
    for one in (url, direct):
        made = await Address.of(one).connect()
        found.append((is_pooled(made), await made.fetchval("select count(*) from workflows")))
        await made.close()

    assert found == [(True, 0), (False, 0)]


async def test_nothing_is_left_on_a_shared_connection(store: Store, url: str) -> None:
    """No setting, prepared statement or listening of a store meets whoever has the connection next."""
    await held(store)
    await asyncio.gather(*(create(store, f"b-{number}") for number in range(20)))

    assert await asyncio.to_thread(_ask, url) == ("", '"$user", public', 0, 0)


def _ask(url: str) -> Any:
    async def ask() -> Any:
        made = await asyncpg.connect(url, statement_cache_size=0)
        row = tuple(await made.fetchrow(_LEFT))
        await made.close()
        return row

    return asyncio.run(ask())


async def test_two_schemas_behind_a_pooler_are_two_stores(url: str) -> None:
    """Each transaction looks where its own store lies, also when both have one connection to the server."""
    one, other = [await asyncio.to_thread(PostgresStore.open, f"{url}&schema={name}") for name in ("one", "other")]

    await register(one)
    await asyncio.gather(*(create(one, f"a-{number}") for number in range(50)))

    assert [(await store.run(ListWorkflows("acme", 1, 0))).total for store in (one, other)] == [1, 0]
    await one.close()
    await other.close()


async def test_host_is_told_though_nothing_arrives(store: Store, url: str) -> None:
    """Notifications do not go through a pooler: what another host has written is found within a second or so."""
    other = await asyncio.to_thread(PostgresStore.open, url)
    await register(store)
    await create(store, "a")
    number = await worker(store)
    (turn,) = (await claim(store, number)).turns
    ear = Ear()
    store.listen(number, ear)

    await other.run(happening("a"))

    assert await heard(ear.told) == turn.row
    await other.close()


async def test_pooler_that_dies_loses_nothing(store: Store, pooler: pgbouncer.Pooler) -> None:
    """It is killed under load again and again: what was acknowledged is there, and nothing is there twice."""
    stopped = asyncio.Event()
    turn = await held(store)
    await create(store, "b")
    committing = asyncio.create_task(commit_until(store, turn, stopped))
    sending = asyncio.create_task(send_until(store, stopped))

    for _ in range(4):
        await asyncio.sleep(0.4)
        await asyncio.to_thread(pooler.kill)
        await asyncio.to_thread(pooler.start)
    await asyncio.sleep(0.3)
    stopped.set()

    seq = await committing
    found = await instance(store, "a")
    assert found.row.seq == seq == len(found.records)
    assert len({record.body for record in found.records[2:]}) == seq - 2
    assert (await instance(store, "b")).row.seq == 1 + await sending


async def test_server_that_is_away_behind_a_pooler_is_named(
    require: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pooler that lives lets everybody wait for minutes: they are told in seconds, and go on when it is back."""
    require(postgres.REASON, "a server that is stopped", postgres.is_local())
    require(pgbouncer.REASON, "a store behind it", pgbouncer.is_there())
    monkeypatch.setattr(connection, "PATIENCE_S", 0.3)
    monkeypatch.setattr(module, "WAIT_S", 0.5)
    server = await asyncio.to_thread(postgres.Server)
    await asyncio.to_thread(server.start)
    own = await asyncio.to_thread(pgbouncer.Pooler, server.url)
    store = await asyncio.to_thread(PostgresStore.open, own.url(server.url))
    await register(store)

    await asyncio.to_thread(server.stop)
    (answer,) = await outcomes(store, [creation("a")])
    await asyncio.to_thread(server.start)
    await insist(store, creation("a"))

    assert isinstance(answer, StoreUnavailable)
    assert await kinds(store) == ["created"]
    await store.close()
    await asyncio.to_thread(own.remove)
    await asyncio.to_thread(server.remove)


def test_store_is_copied_through_a_pooler(pooler: pgbouncer.Pooler, tmp_path: Path) -> None:
    """There and back, twice on the same connections to the server: everything is as it was."""
    asyncio.run(fill(tmp_path / "full.db", VirtualClock()))
    full = f"sqlite:///{tmp_path}/full.db"
    databases = [pooler.url(postgres.databases.make()) for _ in range(2)]

    copied(full, databases[0])
    copied(databases[0], databases[1])
    copied(databases[0], f"sqlite:///{tmp_path}/one.db")
    copied(databases[1], f"sqlite:///{tmp_path}/two.db")

    before = tables_of(full, but="tx")
    assert [tables_of(f"sqlite:///{tmp_path}/{name}.db", but="tx") for name in ("one", "two")] == [before] * 2
