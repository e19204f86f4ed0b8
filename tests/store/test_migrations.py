"""The schema: which files a store needs, and when it is refused."""

import apsw
import pytest

from stepwell.errors import StoreDamaged, StoreTooNew
from stepwell.store.migrations import Applied, Migration, known, pending
from stepwell.store.operations import NO_SETTINGS, Registered, RegisterWorkflow, VersionSettings, WorkflowRow
from stepwell.store.sqlite.connections import open_ledger, read
from stepwell.store.sqlite.file import migrate, open_in_memory
from stepwell.store.workflow_operations import DeleteWorkflow, ListVersions, PurgeDeleted, PutWorkflow, Versions
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


def test_files_of_the_package_are_numbered_without_gaps() -> None:
    """The files are 1, 2, 3 and so on, and there is at least one."""
    numbers = [migration.n for migration in known("sqlite")]

    assert numbers == list(range(1, len(numbers) + 1))
    assert numbers


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
    number = len(known("sqlite")) + 1
    good = Migration(number, "good.sql", "create table good (n integer)")
    broken = Migration(number + 1, "broken.sql", "create table half (n integer); create nonsense")

    with pytest.raises(apsw.SQLError):
        migrate(connection, [*known("sqlite"), good, broken], "here")

    assert connection.execute("select name from sqlite_schema order by name").fetchall() == before
    assert connection.execute("select max(n) from schema_version").fetchall() == [(number - 1,)]


def test_store_of_schema_2_opens_and_works() -> None:
    """A store from before versions had settings has what it had, and can be used in every new way."""
    connection = apsw.Connection(":memory:")
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
