"""The server fails, and nothing that was acknowledged is lost, and nothing is there twice."""

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import pytest

from stepwell.errors import InstanceAlreadyExists, StoreError, StoreUnavailable
from stepwell.store import Store
from stepwell.store.operations import (
    AbandonUnknown,
    AppendEvent,
    Claim,
    ClaimDue,
    Commit,
    InstanceRow,
    Operation,
    RecordRow,
)
from stepwell.store.retention_operations import DeleteExpired
from stepwell.store.sql.rows import Rows, Values
from tests import postgres
from tests.soak import disk
from tests.store.scenes import (
    NOW,
    Ear,
    claim,
    control,
    create,
    creation,
    happening,
    heard,
    held,
    instance,
    kinds,
    outcomes,
    register,
    started,
    worker,
)

HAS_POSTGRES = postgres.is_there()
if HAS_POSTGRES:
    import asyncpg

    from stepwell.store.postgres import connection, creations
    from stepwell.store.postgres import ledger as ledgers
    from stepwell.store.postgres.address import Address
    from stepwell.store.postgres.connection import LoopHere, PostgresConnection
    from stepwell.store.postgres.faults import ConnectionLost
    from stepwell.store.postgres.locks import lock
    from stepwell.store.postgres.store import PostgresStore

CUT = """
    select pg_terminate_backend(pid)
    from pg_stat_activity
    where datname = current_database()
        and pid <> pg_backend_pid()
    """


@pytest.fixture
def url(require: Callable[..., None]) -> Iterator[str]:
    """An empty database."""
    require(postgres.REASON, "a store in it", HAS_POSTGRES)
    taken = postgres.databases.take()
    yield taken
    postgres.databases.give_back(taken)


@pytest.fixture
async def store(url: str) -> AsyncIterator["PostgresStore"]:
    """A store in it."""
    opened = await asyncio.to_thread(PostgresStore.open, url)
    yield opened
    await opened.close()


@pytest.fixture
def server(require: Callable[..., None]) -> Iterator[postgres.Server]:
    """A server of the test's own."""
    require(postgres.REASON, "a server that is stopped", HAS_POSTGRES and postgres.is_local())
    own = postgres.Server()
    own.start()
    yield own
    own.remove()


async def insist(store: Store, operation: Operation[Any]) -> Any:
    """Do an operation, as often as the store cannot be reached."""
    while True:
        try:
            return await store.run(operation)
        except StoreUnavailable:
            await asyncio.sleep(0.05)


async def commit_until(store: Store, turn: Claim, stopped: asyncio.Event) -> int:
    """Commit one record after the other, as a worker does; return the last seq that was acknowledged."""
    n, seq = 1, 2
    while not stopped.is_set():
        records: list[RecordRow] = [started(f"s-{n}")]
        answer = await insist(store, Commit(turn.row, turn.turn, n, seq, records, n, 1))
        assert answer.outside == []
        n, seq = n + 1, answer.seq
    return seq


async def send_until(store: Store, stopped: asyncio.Event) -> int:
    """Send events that nobody sends again; return how many were acknowledged."""
    sent = 0
    while not stopped.is_set():
        (answer,) = await outcomes(store, [happening("b")])
        assert isinstance(answer, int | StoreUnavailable)
        sent += isinstance(answer, int)
    return sent


async def _create_until(store: Store, stopped: asyncio.Event) -> int:
    """Create one instance after the other, and none twice; return how many were acknowledged."""
    created = number = 0
    while not stopped.is_set():
        number += 1
        (answer,) = await outcomes(store, [creation(f"one-{number}")])
        assert isinstance(answer, InstanceRow | StoreUnavailable)
        created += isinstance(answer, InstanceRow)
    return created


async def test_connections_that_are_cut_lose_nothing(store: Store, url: str) -> None:
    """All connections are ended again and again, in the middle of batches: each record is there once."""
    stopped = asyncio.Event()
    turn = await held(store)
    await create(store, "b")
    committing = asyncio.create_task(commit_until(store, turn, stopped))
    sending = asyncio.create_task(send_until(store, stopped))
    creating = asyncio.create_task(_create_until(store, stopped))

    for _ in range(15):
        await asyncio.sleep(0.1)
        await asyncio.to_thread(postgres.query, url, CUT)
    stopped.set()

    seq = await committing
    found = await instance(store, "a")
    assert found.row.seq == seq == len(found.records)
    assert len({record.body for record in found.records[2:]}) == seq - 2
    # The server was there all the time: what became of each commit could be asked.
    assert (await instance(store, "b")).row.seq == 1 + await sending
    ((count,),) = await asyncio.to_thread(postgres.query, url, "select count(*) from instances where id like 'one-%'")
    assert count == await creating


async def test_restarted_server_loses_nothing(server: postgres.Server) -> None:
    """The server goes away under load and comes back: what was acknowledged is there, and nothing is there twice."""
    store = await asyncio.to_thread(PostgresStore.open, server.url)
    stopped = asyncio.Event()
    committing = asyncio.create_task(commit_until(store, await held(store), stopped))

    for _ in range(2):
        await asyncio.sleep(0.3)
        await asyncio.to_thread(server.stop)
        await asyncio.sleep(0.3)
        await asyncio.to_thread(server.start)
    await asyncio.sleep(0.5)
    stopped.set()

    seq = await committing
    found = await instance(store, "a")
    assert found.row.seq == seq == len(found.records)
    await store.close()


async def test_server_that_stays_away_is_named(server: postgres.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience ends, reads and writes say what to look at, and go on when the server is back."""
    monkeypatch.setattr(connection, "PATIENCE_S", 0.3)
    store = await asyncio.to_thread(PostgresStore.open, server.url)
    await register(store)
    await asyncio.to_thread(server.stop)

    answers = await outcomes(store, [creation("a")])
    read = await asyncio.gather(instance(store, "a"), return_exceptions=True)
    await asyncio.to_thread(server.start)
    await insist(store, creation("a"))

    assert [type(answer) for answer in (*answers, *read)] == [StoreUnavailable] * 2
    assert 'database "postgres": the server does not answer' in str(answers[0])
    assert await kinds(store) == ["created"]
    await store.close()


async def test_host_that_is_stopped_in_a_transaction_stops_no_other(
    url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends its transaction: another writes to the same instance, and then it does all again, once."""
    await register(store)
    await create(store, "a")
    has_locked, may_go_on = threading.Event(), threading.Event()

    def stopped(connection: PostgresConnection, operations: Sequence[Operation[Any]]) -> None:
        lock(connection, operations)
        has_locked.set()
        may_go_on.wait(30)

    def write() -> list[object]:
        loop = LoopHere()
        ledger = ledgers.PostgresLedger(PostgresConnection(loop, Address.of(url)), "here")
        answers = ledger.write([happening(payload="1"), happening(payload="2")]).outcomes
        ledger.close()
        loop.close()
        return answers

    monkeypatch.setattr(ledgers, "lock", stopped)
    # When it goes on there is no patience left.
    monkeypatch.setattr(connection, "PATIENCE_S", 0.05)
    first = asyncio.create_task(asyncio.to_thread(write))
    await asyncio.to_thread(has_locked.wait, 30)
    monkeypatch.undo()
    async with asyncio.timeout(10):
        others = await store.run(happening(payload="3"))
    may_go_on.set()

    assert (others, await first) == (2, [3, 4])
    assert len((await instance(store, "a")).records) == 4


async def test_full_disk_is_named_and_loses_nothing(
    require: Callable[..., None], server: postgres.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What needs room is refused, once for all that came together; and with room again everything goes on."""
    require("cc", disk.REASON)
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start, environment=await asyncio.to_thread(disk.environment, server.folder))
    store = await asyncio.to_thread(PostgresStore.open, server.url)
    await register(store)
    await create(store, "before")
    alone = []
    monkeypatch.setattr(ledgers, "each_alone", lambda write, operations: alone.append(operations))
    # Of chance, which no database makes smaller.
    large = [creation(f"i{n}", params=f'"{secrets.token_hex(10_000)}"') for n in range(20)]

    disk.fill(server.folder)
    refused = await outcomes(store, large)
    disk.free(server.folder)
    taken = await outcomes(store, large)

    # What lay free already is written over.
    said = {str(answer) for answer in refused if isinstance(answer, StoreUnavailable)}
    assert len([answer for answer in refused if isinstance(answer, StoreUnavailable)]) > 10
    assert all("the server's disk is full: free some space and try again" in text for text in said)
    assert alone == []
    assert not [answer for answer in taken if isinstance(answer, StoreUnavailable)]
    assert await kinds(store, "before") == ["created"]
    await store.close()


async def test_full_slots_are_named(server: postgres.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all connections are taken the text says so, and it goes on when there is one again."""
    monkeypatch.setattr(connection, "PATIENCE_S", 0.3)
    await asyncio.to_thread(postgres.query, server.url, "create role app login")
    await asyncio.to_thread(postgres.query, server.url, "create database app owner app")
    url = server.url.replace("postgres@/postgres", "app@/app")
    store = await asyncio.to_thread(PostgresStore.open, url)
    await register(store)
    await asyncio.to_thread(postgres.query, server.url, "alter role app connection limit 0")
    await asyncio.to_thread(postgres.query, server.url.replace("/postgres?", "/app?"), CUT)

    (answer,) = await outcomes(store, [creation("a")])
    await asyncio.to_thread(postgres.query, server.url, "alter role app connection limit 20")
    await insist(store, creation("a"))

    assert "all connections are taken: raise max_connections" in str(answer)
    assert await kinds(store) == ["created"]
    await store.close()


@pytest.mark.parametrize("is_done", [True, False], ids=["done", "not done"])
async def test_fate_of_a_commit_is_asked(store: Store, monkeypatch: pytest.MonkeyPatch, is_done: bool) -> None:
    """A connection that is lost under a commit leaves no doubt: what was done is answered, the rest is done again."""
    await register(store)
    await create(store, "a", "b", "c")
    say = PostgresConnection.say
    lost: list[str] = []

    def say_once(self: "PostgresConnection", command: str) -> None:
        if command != "commit" or lost:
            say(self, command)
            return
        lost.append(command)
        if is_done:
            say(self, command)
        self.close()
        raise ConnectionLost("cut")

    monkeypatch.setattr(PostgresConnection, "say", say_once)

    sent: list[AppendEvent] = [happening(id) for id in "abc"]
    answers = await outcomes(store, sent)

    assert lost == ["commit"]
    assert answers == [2, 2, 2]
    assert await kinds(store, "c") == ["created", "event_received"]


@pytest.mark.parametrize("is_done", [True, False], ids=["done", "not done"])
@pytest.mark.parametrize("company", [[], ["b"]], ids=["alone", "among what is done in a transaction"])
async def test_creations_are_found_again(
    store: Store, monkeypatch: pytest.MonkeyPatch, is_done: bool, company: list[str]
) -> None:
    """A connection that is lost under creations leaves no doubt: each is there once, and nobody is told that it was."""
    await register(store)
    await create(store, "b")
    execute = PostgresConnection.execute
    lost: list[str] = []

    def execute_once(self: "PostgresConnection", sql: str, values: Values = ()) -> "Rows":
        if sql not in creations.CREATE.texts.values() or lost:
            return execute(self, sql, values)
        lost.append(sql)
        if is_done:
            execute(self, sql, values)
        self.close()
        raise ConnectionLost("cut")

    monkeypatch.setattr(PostgresConnection, "execute", execute_once)

    sent: list[Operation[Any]] = [creation("a"), *map(happening, company), creation("c"), creation("b")]
    answers = await outcomes(store, sent)

    assert len(lost) == 1
    assert [answers[0].id, answers[-2].id] == ["a", "c"]
    assert isinstance(answers[-1], InstanceAlreadyExists)
    assert [await kinds(store, id) for id in ("a", "c")] == [["created"]] * 2
    assert [(await instance(store, id)).row for id in ("a", "c")] == [answers[0], answers[-2]]


@pytest.mark.parametrize("is_done", [True, False], ids=["done", "not done"])
async def test_turn_given_under_a_lost_connection_is_not_held_for_ever(
    store: Store, monkeypatch: pytest.MonkeyPatch, is_done: bool
) -> None:
    """Its worker hears that there may be one, and has it claimed again."""
    await register(store)
    number, ear = await worker(store), Ear()
    store.listen(number, ear)
    await store.run(ClaimDue(number, NOW, 10, is_idle=True))
    execute = PostgresConnection.execute

    def execute_once(self: "PostgresConnection", sql: str, values: Values = ()) -> "Rows":
        if sql not in creations.CREATE.texts.values():
            return execute(self, sql, values)
        monkeypatch.undo()
        if is_done:
            execute(self, sql, values)
        self.close()
        raise ConnectionLost("cut")

    monkeypatch.setattr(PostgresConnection, "execute", execute_once)

    await create(store, "a")

    assert await heard(ear.given) is None
    assert await store.run(AbandonUnknown(number, [])) == int(is_done)
    (turn,) = (await claim(store, number)).turns
    assert (turn.id, turn.turn) == ("a", 1 + is_done)


async def test_writer_outlives_an_expiry_that_is_refused(store: Store, url: str) -> None:
    """Whatever PostgreSQL says of it, who asked for it hears that, and the store goes on."""
    await register(store)
    (row,) = await create(store, "a")
    await store.run(control("terminate"))
    expired = DeleteExpired([(row.row, 2)])
    other = await asyncpg.connect(url)
    await other.execute("alter table notes rename to elsewhere")

    async with asyncio.timeout(20):
        (answer,) = await outcomes(store, [expired])
        await other.execute("alter table elsewhere rename to notes")
        again = await store.run(expired)

    await other.close()
    assert isinstance(answer, StoreError)
    assert again == 1


async def test_bad_operation_fails_alone(store: Store) -> None:
    """What PostgreSQL refuses does not take its company along."""
    await register(store)

    answers = await outcomes(store, [creation("a"), creation("b", at=2**70), creation("c")])

    assert isinstance(answers[1], Exception)
    assert [await kinds(store, id) for id in ("a", "c")] == [["created"]] * 2
