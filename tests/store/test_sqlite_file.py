"""What is particular to the store in a file: how it is made, kept and found again."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import apsw
import pytest

from stepwell.errors import StoreError, StoreInUse
from stepwell.store.operations import GetWorkflow, ListInstances, ReadPayload, RenewLease
from stepwell.store.sql import (
    admission,
    children,
    counts,
    deletion,
    queues,
    reads,
    records,
    streams,
    targets,
    turns,
    versions,
    workflows,
    writes,
)
from stepwell.store.sqlite import SqliteStore
from stepwell.store.sqlite.file import check_sqlite, open_in_memory, open_writer
from tests.store.scenes import (
    LEASE,
    claim,
    commit,
    create,
    creation,
    held,
    instance,
    outcomes,
    register,
    started,
    succeeded,
    worker,
)

Opener = Callable[[], Awaitable[SqliteStore]]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opener]:
    """Opens the same file as often as it is called; closes what is left open."""
    stores: list[SqliteStore] = []

    async def open_it() -> SqliteStore:
        stores.append(await asyncio.to_thread(SqliteStore.open, tmp_path / "data" / "store.db"))
        return stores[-1]

    yield open_it
    for store in stores:
        await store.close()


class _AnyValue(dict[str, int]):
    """Has a value for every parameter."""

    def __missing__(self, name: str) -> int:
        return 1


async def test_reopened_store_has_everything(opened: Opener) -> None:
    """A store that was closed is found again as it was: rows, records, values and numbers."""
    store = await opened()
    turn = await held(store, "a")
    await store.run(commit(turn, started(), succeeded(value='"' + "x" * 9_000 + '"'), step_count=1))
    before = await instance(store, "a")
    await store.close()

    store = await opened()

    after = await instance(store, "a")
    payload = after.records[3].payload
    assert after == before
    assert payload is not None
    assert await store.run(ReadPayload(payload)) == '"' + "x" * 9_000 + '"'


async def test_workers_of_a_former_server_are_dead(opened: Opener) -> None:
    """Whoever opens the file can claim at once what its former workers held, however long their leases."""
    store = await opened()
    await register(store)
    await create(store, "a")
    former = await worker(store, lease_until=2**62)
    await claim(store, former)
    await store.close()

    store = await opened()

    (turn,) = (await claim(store, await worker(store))).turns
    assert (turn.id, turn.turn, turn.lost_turns) == ("a", 2, 1)
    assert await store.run(RenewLease(former, LEASE)) is False


async def test_commit_numbers_go_on_after_reopening(opened: Opener, tmp_path: Path) -> None:
    """The number of a transaction is never used again, so that a stream can go on from where it was."""
    store = await opened()
    await register(store)
    await create(store, "a")
    await store.close()
    store = await opened()
    await create(store, "b")
    await store.close()

    file = apsw.Connection(str(tmp_path / "data" / "store.db"))
    numbers = [row[0] for row in file.execute("select tx from instances order by row")]

    assert numbers == [2, 1_001]


async def test_file_and_folder_are_private(opened: Opener, tmp_path: Path) -> None:
    """Payloads are nobody else's business: only the owner may read the folder and the files in it."""
    store = await opened()
    await register(store)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()}

    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert modes == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600, "store.db.lock": 0o600}


async def test_closed_store_is_one_file(opened: Opener, tmp_path: Path) -> None:
    """A store that was closed can be copied: nothing of it is left in a log."""
    store = await opened()
    await register(store)

    await store.close()

    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["store.db", "store.db.lock"]


async def test_second_server_is_refused_with_the_firsts_number(opened: Opener) -> None:
    """A file has one server; another is told which process that is."""
    await opened()

    with pytest.raises(StoreInUse, match=rf"store\.db is in use by process {os.getpid()}:"):
        await opened()


async def test_file_is_free_after_closing(opened: Opener) -> None:
    """A store that was closed can be opened again at once, and a refused opening takes nothing with it."""
    store = await opened()
    with pytest.raises(StoreInUse):
        await opened()
    await store.close()

    store = await opened()

    assert (await register(store)).name == "orders"


async def test_text_that_cannot_be_stored_fails_alone(opened: Opener) -> None:
    """An operation at which SQLite itself fails takes none of its batch along, and none is done twice."""
    store = await opened()
    await register(store)

    lone_surrogate = creation("bad", params='"\ud800"')
    results = await outcomes(store, [*(creation(str(n)) for n in range(50)), lone_surrogate, creation("last")])

    assert [result.row for result in results[:50]] == list(range(1, 51))
    assert isinstance(results[50], UnicodeEncodeError)
    assert results[51].id == "last"
    assert (await store.run(ListInstances("acme", "orders", limit=1))).total == 51


async def test_answers_come_to_the_loop_that_asked(opened: Opener) -> None:
    """A store may be used from several event loops; each gets its own answers."""
    store = await opened()
    await register(store)

    def ask_elsewhere() -> str:
        async def ask() -> str:
            return (await store.run(GetWorkflow("acme", "orders"))).name

        return asyncio.run(ask())

    names = await asyncio.gather(*(asyncio.to_thread(ask_elsewhere) for _ in range(3)))

    assert names == ["orders", "orders", "orders"]


def test_one_way_doors_are_shut(tmp_path: Path) -> None:
    """What can be set only before the first table was set."""
    connection = open_writer(tmp_path / "store.db")

    names = ["auto_vacuum", "secure_delete", "application_id", "journal_mode", "synchronous"]
    settings = {name: connection.execute(f"pragma {name}").fetchall() for name in names}

    connection.close()
    assert settings == {
        "auto_vacuum": [(2,)],
        "secure_delete": [(1,)],
        "application_id": [(0x53746570,)],
        "journal_mode": [("wal",)],
        "synchronous": [(2,)],
    }


@pytest.mark.parametrize("table", ["instances", "workers", "workflows", "payloads", "streams"])
def test_row_numbers_are_never_used_again(table: str) -> None:
    """A row number that was deleted is not given out again: it is half of the fence."""
    found = open_in_memory().execute("select sql from sqlite_schema where name = ?", (table,)).fetchall()

    assert "row integer primary key autoincrement" in str(found)


def test_commit_of_a_step_touches_no_index() -> None:
    """What runs at every step changes no indexed column."""
    explained = open_in_memory().execute(f"explain {turns._COMMIT}", _AnyValue())

    opcodes = {row[1] for row in explained}

    assert "Insert" in opcodes
    assert not opcodes & {"IdxInsert", "IdxDelete"}


@pytest.mark.parametrize(
    ("sql", "looked_through"),
    [
        pytest.param(turns._DUE, {"SCAN holder", "SCAN (subquery-3)"}, id="claim"),
        pytest.param(turns._LOST_LEFT, {"SCAN holder"}, id="lost turns"),
        pytest.param(turns._NEXT_DUE, set(), id="next"),
        pytest.param(turns._COMMIT, set(), id="commit"),
        pytest.param(turns._RELEASE, set(), id="release"),
        pytest.param(targets._NAMED, set(), id="event"),
        pytest.param(targets._UNFINISHED, set(), id="parent that is told"),
        pytest.param(children._FOLLOWERS, set(), id="children that end with their parent"),
        pytest.param(children._RELATIVES.format(one="child", other="parent"), set(), id="children"),
        pytest.param(children._FAMILY, {"SCAN CONSTANT ROW", "SCAN f"}, id="family"),
        pytest.param(records._DECISIONS, set(), id="decisions by hand"),
        pytest.param(writes._HELD, set(), id="end of a lease"),
        pytest.param(targets.INSTANCE, set(), id="get"),
        pytest.param(reads._HOLDINGS, set(), id="holdings"),
        pytest.param(reads._page("i.workflow = :workflow", ascending=False), set(), id="list"),
        pytest.param(counts.COUNTS, {"SCAN counted"}, id="counts"),
        pytest.param(workflows._NAMESAKES, set(), id="workflows of a class"),
        pytest.param(versions._PAGE, set(), id="versions"),
        pytest.param(deletion._HELD, set(), id="held of a deleted workflow"),
        pytest.param(deletion._TAKE_AWAY, set(), id="end of a deleted workflow's turns"),
        pytest.param(deletion._SOME_INSTANCES, set(), id="instances of a deleted workflow"),
        pytest.param(deletion._DELETE_RECORDS, set(), id="records of a deleted instance"),
        pytest.param(deletion._DELETE_LINES, set(), id="log of a deleted instance"),
        pytest.param(deletion._FORGET_COUNTS, set(), id="counts of a deleted workflow"),
        pytest.param(streams._DROP_STEP, set(), id="stream of an earlier attempt"),
        pytest.param(streams._NEXT_DROPPED, set(), id="stream that was dropped"),
        pytest.param(streams._SOME_PIECES, set(), id="pieces of a stream that was dropped"),
        pytest.param(streams._PIECE, set(), id="piece"),
        pytest.param(admission._OF_WORKFLOW, set(), id="next slot"),
        pytest.param(admission._OF_ACCOUNT, set(), id="next slot of an account"),
        pytest.param(admission._HEAD, set(), id="head of a queue"),
        pytest.param(admission._START, set(), id="start before"),
        pytest.param(admission._FORGET_STARTS, set(), id="starts that count no more"),
        pytest.param(queues._QUEUES, {"SCAN waiting"}, id="queues"),
        pytest.param(records._HISTORY, set(), id="history"),
        pytest.param(records._END, set(), id="end of a history"),
    ],
)
def test_million_sleepers_slow_nothing_down(sql: str, looked_through: set[str]) -> None:
    """What runs often finds its rows by an index; only workers, and what is due, are looked through."""
    connection = open_in_memory()

    plan = [str(row[3]) for row in connection.execute(f"explain query plan {sql}", _AnyValue())]

    assert {step for step in plan if step.startswith("SCAN")} == looked_through


@pytest.mark.parametrize(
    ("version", "is_refused"),
    [("3.40.1", True), ("3.51.2", True), ("3.51.3", False), ("3.54.1", False), ("4.0.0", False)],
)
def test_old_sqlite_is_refused(version: str, is_refused: bool) -> None:
    """A SQLite that can damage a WAL database is not used."""
    if is_refused:
        with pytest.raises(StoreError, match=rf"SQLite {version} can damage.*apsw 3\.51\.3"):
            check_sqlite(version)
    else:
        check_sqlite(version)
