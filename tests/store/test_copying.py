"""A whole store is copied from one database into another: all of it, or nothing."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from stepwell.clock import VirtualClock
from stepwell.core.steplog import StepEntry
from stepwell.errors import InvalidInput, StoreDamaged, StoreError, StoreInUse, StoreUnavailable
from stepwell.store import copying
from stepwell.store.opening import open_source, open_store, open_target
from stepwell.store.operations import ListWorkflows
from stepwell.store.sql.tables import TABLES
from stepwell.store.sqlite import SqliteStore
from stepwell.store.sqlite.file import open_in_memory
from stepwell.testing import TestEngine
from tests import postgres
from tests.store.copies import GONE, LARGE, PIECE, WORKFLOWS, Held, Waiter, copied, fill, in_memory, tables_of
from tests.store.scenes import claim, create, held, register, worker

HAS_POSTGRES = postgres.is_there()
COLUMNS = {table.name: sorted(table.columns) for table in TABLES}
# What each database has for itself.
SQLITES_OWN = {"sqlite_sequence", "schema_version", "commits", "sessions", "facts"}
POSTGRES_OWN = {"schema_version", "hosts", "sessions", "facts"}


@pytest.fixture
def database(require: Callable[..., None]) -> str:
    """A database without tables."""
    require(postgres.REASON, "a store in it", HAS_POSTGRES)
    return postgres.databases.make()


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, VirtualClock]:
    """A store with something in each table, which is only read, and its clock."""
    path, clock = tmp_path_factory.mktemp("everything") / "store.db", VirtualClock()
    asyncio.run(fill(path, clock))
    return path, clock


@pytest.fixture
def full(everything: tuple[Path, VirtualClock], tmp_path: Path) -> Path:
    """A copy of that store of a test's own."""
    path = tmp_path / "full.db"
    path.write_bytes(everything[0].read_bytes())
    return path


def url_of(path: Path) -> str:
    """Return the URL of a file."""
    return f"sqlite:///{path}"


def _ask(path: Path, sql: str) -> Any:
    with closing(apsw.Connection(str(path))) as connection:
        return connection.execute(sql).fetchall()


def test_copy_knows_all_of_a_file() -> None:
    """A migration that adds a table or a column has to add it to the copy, too."""
    with closing(open_in_memory()) as connection:
        rows: Any = connection.execute(
            "select t.name, c.name from sqlite_schema as t cross join pragma_table_info(t.name) as c "
            "where t.type = 'table' order by c.name"
        ).fetchall()

    found: dict[str, list[str]] = {}
    for table, column in rows:
        found.setdefault(table, []).append(column)
    assert {name: columns for name, columns in found.items() if name not in SQLITES_OWN} == COLUMNS


def test_copy_knows_all_of_a_database(database: str) -> None:
    """Both databases have the same tables and columns, but for the hosts."""
    with open_target(database) as target:
        target.finish(copying.Numbers({}, 0))
    listed = "table_name, column_name, is_identity from information_schema.columns"
    rows = postgres.query(
        database,
        f"select {listed} join information_schema.tables using (table_schema, table_name) "
        "where table_schema = 'public' and table_type = 'BASE TABLE'",
    )

    found: dict[str, list[str]] = {}
    for table, column, _ in rows:
        if table not in POSTGRES_OWN and (table, column) != ("workers", "host"):
            found.setdefault(table, []).append(column)
    assert {name: sorted(columns) for name, columns in found.items()} == COLUMNS
    numbered = {table for table, _, identity in rows if identity == "YES"} - POSTGRES_OWN
    assert numbered == {table.name for table in TABLES if table.is_numbered}


def test_round_trip_gives_the_same(full: Path, tmp_path: Path, database: str) -> None:
    """From a file to a database, to another one, and back to a file: every row is what it was, but who held it."""
    back, other = tmp_path / "back.db", postgres.databases.make()

    come = copied(url_of(full), database)
    copied(database, other)
    copied(other, url_of(back))

    before = tables_of(url_of(full), but="tx")
    # One that is encrypted is copied in test_encryption.py.
    assert [table.name for table in TABLES if not before[table.name]] == ["encryption_keys"]
    assert tables_of(url_of(back), but="tx") == before
    assert come == {name: len(rows) for name, rows in before.items()}


def test_copy_of_a_file_is_the_same_to_its_numbers(full: Path, tmp_path: Path) -> None:
    """Between files the numbers of transactions stay, too, and nothing lies beside the new file."""
    folder = tmp_path / "new"

    copied(url_of(full), url_of(folder / "copy.db"))

    assert sorted(file.name for file in folder.iterdir()) == ["copy.db", "copy.db.lock"]
    assert (folder / "copy.db").stat().st_mode & 0o777 == 0o600
    assert tables_of(url_of(folder / "copy.db")) == tables_of(url_of(full))


async def test_new_rows_get_new_numbers(full: Path, tmp_path: Path, database: str) -> None:
    """A number that a row had which is gone is not used again, in neither database."""
    await asyncio.to_thread(copied, url_of(full), database)
    await asyncio.to_thread(copied, database, url_of(tmp_path / "back.db"))
    ((last,),) = _ask(full, "select seq from sqlite_sequence where name = 'instances'")

    rows = []
    for url in (database, url_of(tmp_path / "back.db")):
        store = await asyncio.to_thread(open_store, url)
        await register(store, "orders", account="other")
        await register(store)
        rows += [row.row for row in await create(store, "new")]
        await store.close()

    assert last > GONE
    assert rows == [last + 1, last + 1]


async def test_numbers_of_transactions_ascend_in_a_file(database: str, tmp_path: Path) -> None:
    """What is written after the copy has a higher number than all that came."""
    store = await asyncio.to_thread(open_store, database)
    await register(store)
    await create(store, "a")
    await store.close()
    path = tmp_path / "copy.db"
    await asyncio.to_thread(copied, database, url_of(path))

    opened = await asyncio.to_thread(SqliteStore.open, path)
    await create(opened, "b")
    await opened.close()

    (first,), (second,) = _ask(path, "select tx from instances order by row")
    assert first < second


def test_what_comes_into_a_database_has_its_number(full: Path, database: str) -> None:
    """There it was all written by one transaction, and later ones have higher numbers."""
    copied(url_of(full), database)

    numbers = postgres.query(database, "select distinct tx from records union select tx from instances")
    ((now,),) = postgres.query(database, "select cast(cast(pg_current_xact_id() as text) as bigint)")
    assert len(numbers) == 1
    assert numbers[0][0] < now


@pytest.mark.parametrize("kind", ["file", "database"])
async def test_unfinished_instances_go_on_in_the_copy(  # noqa: PLR0917 - fixtures are parameters
    kind: str,
    everything: tuple[Path, VirtualClock],
    full: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """What slept, waited, or was held by a worker comes to its end there; the held one has lost an attempt."""
    clock = VirtualClock(everything[1].now())
    target = url_of(tmp_path / "copy.db") if kind == "file" else request.getfixturevalue("database")
    await asyncio.to_thread(copied, url_of(full), target)

    with _inline(target, tmp_path / "copy.db", monkeypatch) as store:
        async with TestEngine.open(WORKFLOWS, store=store, clock=clock) as engine:
            await engine.advance("1 hour")
            await engine.instance(Waiter, "one").send_event("approved", "yes\0")
            await engine.run_until_idle()
            outputs = [await engine.instance(workflow, "one").output() for workflow in WORKFLOWS]
            (step,) = (await engine.instance(Held, "one").log()).entries
        await store.close()

    assert outputs == ["slept", ["yes\0", len(LARGE)], 2 * len(PIECE), "grown", "grown", 2, [2, 2], None]
    assert isinstance(step, StepEntry)
    assert [attempt.success for attempt in step.attempts] == [False, True]


def _inline(url: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    if url.startswith("sqlite"):
        return in_memory(path, monkeypatch)
    from contextlib import nullcontext

    from stepwell.store.postgres import PostgresStore

    return nullcontext(PostgresStore.inline(url))


def test_file_that_is_there_is_not_overwritten(full: Path, tmp_path: Path) -> None:
    """Nor is a file got that has the log of another one."""
    before = full.read_bytes()
    (tmp_path / "new.db-wal").write_bytes(b"of another")

    with pytest.raises(InvalidInput, match=r"full\.db is there already: name a file that is not"):
        _begin(url_of(full))
    with pytest.raises(InvalidInput, match=r"new\.db-wal is there already"):
        _begin(url_of(tmp_path / "new.db"))

    assert full.read_bytes() == before


def _begin(url: str) -> None:
    with open_target(url):
        pass


async def test_database_with_a_store_is_not_overwritten(database: str) -> None:
    """An empty store is taken; one with rows is refused, and the table is named."""
    store = await asyncio.to_thread(open_store, database)
    await store.close()
    await asyncio.to_thread(_begin, database)
    store = await asyncio.to_thread(open_store, database)
    await register(store)
    await store.close()

    with pytest.raises(InvalidInput, match=r"is not empty, its table workflows has rows: name a database, or a schema"):
        await asyncio.to_thread(_begin, database)


@pytest.mark.parametrize("kind", ["file", "database"])
async def test_store_in_use_is_not_copied(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Whoever has it is named; it goes on undisturbed."""
    url = url_of(tmp_path / "a.db") if kind == "file" else request.getfixturevalue("database")
    store = await asyncio.to_thread(open_store, url)
    await register(store)

    with pytest.raises(StoreInUse, match=r"is in use by .*: stop that one first"):
        await asyncio.to_thread(copied, url, url_of(tmp_path / "b.db"))

    assert (await store.run(ListWorkflows("acme", 10, 0))).total == 1
    assert not (tmp_path / "b.db").exists()
    await store.close()


async def test_what_a_dead_host_held_is_claimed_in_the_copy(database: str, tmp_path: Path) -> None:
    """A database whose server has died may be copied once its lease is over; the turn counts as lost."""
    store = await asyncio.to_thread(open_store, database)
    turn = await held(store)
    await store.close()
    postgres.query(database, "update workers set lease_until = 1, host = 1")
    postgres.query(database, "insert into hosts (name, lease_until) values ('gone', 1)")
    await asyncio.to_thread(copied, database, url_of(tmp_path / "copy.db"))

    opened = await asyncio.to_thread(SqliteStore.open, tmp_path / "copy.db")
    (claimed,) = (await claim(opened, await worker(opened))).turns
    await opened.close()

    assert (claimed.row, claimed.turn, claimed.lost_turns) == (turn.row, turn.turn + 1, 1)


def test_server_waits_while_its_database_is_copied(database: str) -> None:
    """Who opens the store meanwhile has it when the copy is over, and not before."""
    with open_target(database) as target:
        target.finish(copying.Numbers({}, 0))

    with ThreadPoolExecutor(1) as pool:
        with open_source(database):
            opened = pool.submit(open_store, database)
            early, _ = wait([opened], timeout=1)
        store = opened.result()

    asyncio.run(store.close())
    assert early == set()


def test_database_cannot_be_copied_into_itself(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a copy has is not had by another one."""
    monkeypatch.setattr("stepwell.store.postgres.copying._PATIENCE", "set local lock_timeout = '100ms'")
    with open_target(database) as target:
        target.finish(copying.Numbers({}, 0))

    with open_source(database), pytest.raises(StoreInUse, match="in use by another copy"):
        _begin(database)


@pytest.mark.parametrize("kind", ["file", "database"])
def test_place_without_a_store_has_nothing_to_copy(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """And it has none afterwards."""
    url = url_of(tmp_path / "a.db") if kind == "file" else request.getfixturevalue("database")

    with pytest.raises(InvalidInput, match="there is no store"):
        copied(url, url_of(tmp_path / "b.db"))

    assert list(tmp_path.iterdir()) == []
    if kind == "database":
        assert postgres.query(url, "select tablename from pg_tables where schemaname = 'public'") == []


@pytest.mark.parametrize(
    ("sql", "place"),
    [
        pytest.param(
            "update records set body = body || ' ' where instance = 2 and seq = 1",
            "records is .* instance 2, seq 1",
            id="record",
        ),
        pytest.param("update payloads set body = '0' where row = 1", "payloads is .* row 1", id="value"),
        pytest.param("update pieces set body = x'00' where n = 2", "pieces is .* row 2", id="piece"),
        pytest.param(
            "update snapshot_files set body = x'00'", "snapshot_files is .* snapshot 1, path app/a.py", id="file"
        ),
    ],
)
def test_damaged_row_is_named_and_nothing_copied(sql: str, place: str, full: Path, tmp_path: Path) -> None:
    """A copy that hides damage would be found out when the source is gone."""
    _ask(full, sql)

    with pytest.raises(StoreDamaged, match=rf"full\.db: the table {place.replace(' is .* ', ' is damaged at ')}: "):
        copied(url_of(full), url_of(tmp_path / "copy.db"))

    assert sorted(file.name for file in tmp_path.iterdir()) == ["copy.db.lock", "full.db", "full.db.lock"]


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        pytest.param("delete from records where instance = 2 and seq = 1", "the history of instance row 2", id="first"),
        pytest.param(
            "delete from records where instance = 2 and seq = (select max(seq) from records where instance = 2)",
            "the history of instance row 2",
            id="last",
        ),
        pytest.param("delete from payloads", "the set of large values of instance row 2", id="value"),
    ],
)
@pytest.mark.parametrize("kind", ["file", "database"])
def test_missing_row_is_named(  # noqa: PLR0917 - fixtures are parameters
    kind: str, sql: str, what: str, full: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Both sides would have as many rows, and the copy would have a history that nobody can read."""
    url = url_of(full)
    if kind == "database":
        copied(url, url := request.getfixturevalue("database"))
        postgres.query(url, sql)
    else:
        _ask(full, sql)

    with pytest.raises(StoreDamaged, match=f"{what} has a gap: restore the store from a backup"):
        copied(url, url_of(tmp_path / "copy.db"))


def test_damaged_row_leaves_no_tables_in_a_database(full: Path, database: str) -> None:
    """All of it is one transaction, the tables too."""
    _ask(full, "update payloads set body = '0' where row = 1")

    with pytest.raises(StoreDamaged, match="the table payloads"):
        copied(url_of(full), database)

    assert postgres.query(database, "select tablename from pg_tables where schemaname = 'public'") == []


def test_server_that_ends_in_the_middle_is_named(full: Path, require: Callable[..., None]) -> None:
    """A connection that is cut under rows on their way is said to be, and there is no store."""
    require(postgres.REASON, "a server of the test's own", HAS_POSTGRES and postgres.is_local())
    server = postgres.Server()
    server.start()

    with pytest.raises(StoreUnavailable, match="the server does not answer, or ended the connection"):
        copied(url_of(full), server.url, lambda table: server.stop() if table == "records" else None)

    server.start()
    assert postgres.query(server.url, "select tablename from pg_tables where schemaname = 'public'") == []
    server.remove()


def test_rows_that_do_not_come_are_noticed(full: Path, tmp_path: Path) -> None:
    """Both sides are counted before the copy is a store."""

    def counted_wrongly() -> None:
        with open_source(url_of(full)) as source, open_target(url_of(tmp_path / "copy.db")) as target:
            copying.copy(source, target, {**copying.counts_of(source), "tokens": 5}, lambda table, rows: None)

    with pytest.raises(StoreError, match=r"not all rows have come \(tokens: 1 of 5\): copy it again"):
        counted_wrongly()

    assert not (tmp_path / "copy.db").exists()


def test_copy_that_was_killed_before_is_no_hindrance(full: Path, tmp_path: Path) -> None:
    """What it left beside its target is removed."""
    (tmp_path / "copy.db.copying").write_bytes(b"half of it")

    copied(url_of(full), url_of(tmp_path / "copy.db"))

    assert not (tmp_path / "copy.db.copying").exists()


def test_rows_are_never_all_in_memory() -> None:
    """A part ends with a megabyte, or a thousand rows."""
    rows = iter([(number, b"x" * 300_000) for number in range(10)])
    small = iter([(number,) for number in range(2_500)])

    assert [len(part) for part in copying._parts(rows)] == [4, 4, 2]
    assert [len(part) for part in copying._parts(small)] == [1_000, 1_000, 500]


def test_text_that_is_none_is_named(full: Path, tmp_path: Path) -> None:
    """Where no checksum helps, the table and the row before it are said."""
    _ask(full, "update tokens set name = cast(x'ff' as text)")

    with pytest.raises(StoreDamaged, match=r"a text in it is no text: .*; the table tokens at its beginning"):
        copied(url_of(full), url_of(tmp_path / "copy.db"))
