"""The schema: which files a store needs, and when it is refused."""

import asyncio
from collections.abc import Callable

import apsw
import pytest

from stepwell.errors import StoreDamaged, StoreTooNew
from stepwell.store.migrations import Applied, Migration, known, pending
from stepwell.store.operations import NO_SETTINGS, Registered, RegisterWorkflow, VersionSettings, WorkflowRow
from stepwell.store.postgres.dialect import to_row
from stepwell.store.schedule_operations import FireSchedules
from stepwell.store.search_operations import Found, FoundError, SearchInstances, Wanted
from stepwell.store.sqlite.connections import open_ledger, read
from stepwell.store.sqlite.file import FileConnection, migrate, open_in_memory
from stepwell.store.workflow_operations import DeleteWorkflow, ListVersions, PurgeDeleted, PutWorkflow, Versions
from tests import postgres
from tests.store.scenes import creation

FIRST = Migration(1, "0001_init.sql", "create table things (n integer)")
SECOND = Migration(2, "0002_more.sql", "create table more (n integer)")


def _applied(migration: Migration) -> Applied:
    return Applied(migration.n, migration.name, migration.sha256)


def test_new_store_needs_every_file() -> None:
    """A store without a schema gets all files, in order."""
    assert pending([], [FIRST, SECOND], "here") == [FIRST, SECOND]


def test_older_store_needs_the_files_that_it_lacks() -> None:
    """What has been applied is not applied again."""
    assert pending([_applied(FIRST)], [FIRST, SECOND], "here") == [SECOND]


def test_newer_store_is_refused() -> None:
    """A store with a schema that this program does not know was written by a newer one, and is left alone."""
    with pytest.raises(StoreTooNew, match=r"^here has schema 2 \(0002_more\.sql\).*up to 1.*upgrade"):
        pending([_applied(FIRST), _applied(SECOND)], [FIRST], "here")


def test_store_with_another_schema_is_refused() -> None:
    """A file that was changed after it had been applied is noticed by its hash."""
    changed = Migration(1, "0001_init.sql", "create table things (n text)")

    with pytest.raises(StoreDamaged, match=r"^here has a schema 1 that is not this program's"):
        pending([_applied(changed)], [FIRST], "here")


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_files_of_the_package_have_ascending_numbers(dialect: str) -> None:
    """The files begin at 1, and no number is there twice. There may be gaps."""
    numbers = [migration.n for migration in known(dialect)]

    assert numbers[0] == 1
    assert numbers == sorted(set(numbers))


def test_each_file_is_applied_once() -> None:
    """Opening a store that is up to date changes nothing."""
    connection = open_in_memory()
    before = connection.execute("select n, name, sha256 from schema_version").fetchall()

    migrate(connection, known("sqlite"), "here")

    after = connection.execute("select n, name, sha256 from schema_version").fetchall()
    assert after == before == [(m.n, m.name, m.sha256) for m in known("sqlite")]


def test_broken_file_leaves_no_trace() -> None:
    """The schema is brought up to date whole or not at all."""
    connection = open_in_memory()
    before = connection.execute("select name from sqlite_schema order by name").fetchall()
    last = known("sqlite")[-1].n
    number = last + 1
    good = Migration(number, "good.sql", "create table good (n integer)")
    broken = Migration(number + 1, "broken.sql", "create table half (n integer); create nonsense")

    with pytest.raises(apsw.SQLError):
        migrate(connection, [*known("sqlite"), good, broken], "here")

    assert connection.execute("select name from sqlite_schema order by name").fetchall() == before
    assert connection.execute("select max(n) from schema_version").fetchall() == [(last,)]


def test_schedules_that_had_no_effect_are_those_of_their_workflows() -> None:
    """What a store of schema 14 has in its newest versions fires from the first look on; what is wrong never does."""
    connection = FileConnection(":memory:")
    migrate(connection, [migration for migration in known("sqlite") if migration.n <= 14], "here")
    connection.execute(
        """
        insert into workflows (id, account, name, script, class_name, version, created_at, modified_at)
        values ('w', 'acme', 'orders', 'shop', 'Orders', 'new', 1, 2),
            ('b', 'acme', 'bills', 'shop', 'Bills', 'b', 1, 2);
        insert into versions (id, account, workflow, script, class_name, created_at, sha256, settings)
        values ('old', 'acme', 1, 'shop', 'Orders', 1, 'aa', '{"schedules":["1 * * * *"]}'),
            ('new', 'acme', 1, 'shop', 'Orders', 2, 'aa', '{"schedules":["* * * * *","x","* * * * *"]}'),
            ('b', 'acme', 2, 'shop', 'Bills', 2, 'aa', '{}');
        """
    )

    migrate(connection, known("sqlite"), "here")
    before = connection.execute("select workflow, cron, next_at from schedules order by cron").fetchall()
    open_ledger(connection, "here").write([FireSchedules(60_000, 0)])

    assert before == [(1, "* * * * *", 0), (1, "x", 0)]
    after = connection.execute("select workflow, cron, next_at from schedules order by cron").fetchall()
    assert after == [(1, "* * * * *", 120_000), (1, "x", None)]
    assert connection.execute("select count(*) from instances").fetchall() == [(0,)]


def test_store_of_schema_2_opens_and_works() -> None:
    """A store from before versions had settings has what it had, and can be used in every new way."""
    connection = FileConnection(":memory:")
    migrate(connection, known("sqlite")[:2], "here")
    connection.execute(
        """
        insert into workflows (id, account, name, script, class_name, version, created_at, modified_at)
        values ('w', 'acme', 'orders', 'shop', 'Orders', 'v2', 1, 2);
        insert into versions (id, account, workflow, script, class_name, sha256, created_at, params_schema)
        values ('v1', 'acme', 1, 'shop', 'Orders', 'aa', 1, null), ('v2', 'acme', 1, 'shop', 'Orders', 'bb', 2, '{}');
        """
    )

    migrate(connection, known("sqlite"), "here")

    ledger = open_ledger(connection, "here")
    again = RegisterWorkflow("acme", "orders", "shop", "Orders", "bb", "w9", "v9", 9, "{}", classes=("Orders",))
    put = PutWorkflow("acme", "orders-eu", "shop", "Orders", "w3", "v3", VersionSettings(steps=5), 3)
    made, registered = ledger.write([put, again]).outcomes
    listed = read(connection, ListVersions("acme", "orders", 9, 0))
    assert isinstance(registered, Registered)
    assert isinstance(made, WorkflowRow)
    assert isinstance(listed, Versions)
    assert (registered.workflow.id, registered.workflow.version) == ("w", "v2")
    assert (made.version, [row.id for row in listed.rows]) == ("v3", ["v2", "v1"])
    assert [row.settings for row in listed.rows] == [NO_SETTINGS, NO_SETTINGS]
    assert ledger.write([creation("a"), DeleteWorkflow("acme", "orders", 0), PurgeDeleted()]).outcomes[1:] == [
        None,
        False,
    ]


# An instance that errored, one that was restarted since, and one that completed.
_ERRORED = """
    insert into workflows (id, account, name, script, class_name, version, created_at, modified_at)
    values ('w', 'acme', 'orders', 'shop', 'Orders', 'v', 1, 2);
    insert into instances (account, workflow, id, version, status, trigger, seq, created_at, modified_at, ended_at, tx)
    values
        ('acme', 1, 'a', 'v', 'errored', 'api', 2, 1, 2, 2, 1),
        ('acme', 1, 'b', 'v', 'queued', 'api', 2, 1, 2, null, 1),
        ('acme', 1, 'c', 'v', 'complete', 'api', 2, 1, 2, 2, 1);
    insert into records (instance, seq, turn, n, kind, at, body, crc, tx)
    values
        (1, 1, 0, 0, 'created', 1, '{"trigger":"api"}', 0, 1),
        (1, 2, 1, 1, 'failed', 2, '{"error":{"name":"Declined","message":"no \\"funds\\" \\u0000"}}', 0, 1),
        (2, 1, 1, 1, 'failed', 2, '{"error":{"name":"Declined","message":"no funds"}}', 0, 1),
        (2, 2, 0, 0, 'restarted', 2, '{}', 0, 1);
    """


def test_errors_of_an_older_file_are_found() -> None:
    """What had errored before errors were kept apart is found; what was restarted since is not."""
    connection = FileConnection(":memory:")
    migrate(connection, [file for file in known("sqlite") if file.name < "0018_search.sql"], "here")
    connection.execute(_ERRORED)

    migrate(connection, known("sqlite"), "here")

    found = read(connection, SearchInstances("acme", "orders", Wanted(error_text="FUNDS"), 9, 9))
    assert isinstance(found, Found)
    assert [(one.row.id, one.error) for one in found.instances] == [("a", FoundError("Declined", 'no "funds" \0'))]


def test_errors_of_an_older_database_are_found(require: Callable[..., None]) -> None:
    """The same in PostgreSQL, whose texts cannot hold a NUL."""
    require(postgres.REASON, "the other store", postgres.is_there())
    import asyncpg

    url, files = postgres.databases.make(), known("postgres")

    async def migrated() -> list[tuple[object, ...]]:
        connection = await asyncpg.connect(url)
        for file in files:
            if file.name == "0007_search.sql":
                await connection.execute(_ERRORED)
            await connection.execute(file.sql)
        rows = await connection.fetch("select instance, name, message from errors")
        await connection.close()
        return [to_row(row) for row in rows]

    assert asyncio.run(migrated()) == [(1, "Declined", 'no "funds" \0')]
