"""The file of a store: its lock, its connections, and what is checked before it is trusted.

Rules that keep a WAL database whole: one process has the file, one connection of it writes, and that one
alone checkpoints; readers are read-only. Nothing is written before the file is known to be ours.
"""

import fcntl
import os
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import apsw

from stepwell.errors import StoreDamaged, StoreError, StoreUnavailable
from stepwell.sealing import Vault
from stepwell.store import migrations
from stepwell.store.sql.hosts import view_of_this_host
from stepwell.store.sql.rows import every, only
from stepwell.store.sqlite.faults import locked_by

# "Step" in ASCII: what `file` and we know a store by.
APPLICATION_ID = 0x53746570
# Releases before it can damage a WAL database; source: sqlite.org/wal.html#walresetbug
OLDEST_SQLITE = (3, 51, 3)
BUSY_TIMEOUT_MS = 2_000
# SQLite's own measure. A log that is used again is faster to sync than one that grows: 120 us a commit against
# 230 at 4,000 pages.
CHECKPOINT_PAGES = 1_000
WRITER_CACHE_KIB = 32_768
# A file up to this size is checked page by page when it is opened; a larger one would delay the start.
QUICK_CHECK_BYTES = 16 * 2**20
# Read when this module is imported: a store in memory is opened on an event loop, and files would block it.
_MIGRATIONS = migrations.known("sqlite")


class FileLock:
    """Keeps other servers away from a file, for as long as this process lives or until it is released."""

    def __init__(self, path: Path) -> None:
        """Take the lock. Raises StoreInUse, naming the other's process id."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = path.with_name(path.name + ".lock")
        self._descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._take(path)
        except BaseException:
            os.close(self._descriptor)
            raise

    def release(self) -> None:
        """Let others have the file. The lock file stays: removing it could take a lock from under another."""
        os.close(self._descriptor)

    def _take(self, path: Path) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip()
            raise locked_by(path, pid) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)


class FileConnection(apsw.Connection):
    """A connection to a file, or to a store in memory."""

    vault: Vault | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.accounts: dict[int, str] = {}


def open_writer(path: Path) -> FileConnection:
    """Open the one connection that writes; make the file and its tables if need be.

    Raises StoreUnavailable, StoreDamaged or StoreTooNew; and SQLite's and the system's errors, for `translated`.
    """
    check_sqlite(apsw.sqlite_lib_version())
    # SQLite would make the file readable for everybody.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = FileConnection(str(path))
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path, opened_at: int | None = None) -> FileConnection:
    """Open a connection that can only read; `opened_at` is when this process opened the file, None: now."""
    connection = FileConnection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    connection.execute(view_of_this_host(_now() if opened_at is None else opened_at))
    connection.execute("pragma query_only = 1")
    connection.execute("pragma wal_autocheckpoint = 0")
    connection.execute("pragma cell_size_check = 1")
    return connection


def open_in_memory() -> FileConnection:
    """Open a store that lives as long as its connection."""
    check_sqlite(apsw.sqlite_lib_version())
    connection = FileConnection(":memory:")
    with closing(FileConnection(":memory:")) as empty:
        empty.deserialize("main", _empty())
        with connection.backup("main", empty, "main") as copying:
            copying.step()
    connection.execute(view_of_this_host(_now()))
    return connection


def prepare_new(path: Path) -> FileConnection:
    """Make a file with the tables of a store; return the one connection to it.

    It undoes nothing: a file in which something goes wrong is to be thrown away.
    """
    check_sqlite(apsw.sqlite_lib_version())
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    connection = FileConnection(str(path))
    try:
        _open_one_way_doors(connection)
        connection.execute("pragma journal_mode = off")
        connection.execute(f"pragma cache_size = -{WRITER_CACHE_KIB}")
        _make_durable(connection)
        migrate(connection, _MIGRATIONS, str(path))
    except BaseException:
        connection.close()
        raise
    return connection


def migrate(connection: FileConnection, files: Sequence[migrations.Migration], where: str) -> None:
    """Bring the schema up to date, all of it or nothing; `where` names the store in errors."""
    with_table = """
        create table if not exists schema_version (
            n integer primary key,
            name text not null,
            sha256 text not null,
            applied_at integer not null
        ) strict
        """
    connection.execute("begin immediate")
    try:
        connection.execute(with_table)
        for migration in migrations.pending(_applied(connection), files, f"Store {where}"):
            _apply(connection, migration)
        _end_leases(connection)
        _abandon_imports(connection)
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise


def lacking(connection: FileConnection, path: Path) -> list[migrations.Migration]:
    """Return what a file lacks of this release's schema; nothing is changed.

    Raises StoreDamaged for a database of somebody else's, StoreTooNew for one of a later release.
    """
    _refuse_others(connection, path)
    return migrations.pending(_applied(connection), _MIGRATIONS, f"Store {path}")


@cache
def _empty() -> bytes:
    """Return an empty store: to copy it takes a thirtieth of the time that its tables take."""
    with closing(FileConnection(":memory:")) as connection:
        migrate(connection, _MIGRATIONS, ":memory:")
        return connection.serialize("main")


def check_sqlite(version: str) -> None:
    """Refuse an SQLite that is too old. Raises StoreError."""
    if tuple(int(part) for part in version.split(".")) < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise StoreError(f"SQLite {version} can damage a store; install apsw {oldest} or newer, which brings its own")


def _prepare(connection: FileConnection, path: Path) -> None:
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    _check_ours(connection, path)
    _open_one_way_doors(connection)
    if only(connection, "pragma journal_mode = wal") != ("wal",):
        raise StoreUnavailable(f"Store {path}: this file system has no shared memory: use a local disk")
    _make_durable(connection)
    connection.execute("pragma cell_size_check = 1")
    connection.execute(f"pragma wal_autocheckpoint = {CHECKPOINT_PAGES}")
    # Of a log that was longer once, what lies behind is not overwritten, and may be what was deleted.
    connection.execute(f"pragma journal_size_limit = {CHECKPOINT_PAGES * 4096}")
    connection.execute(f"pragma cache_size = -{WRITER_CACHE_KIB}")
    migrate(connection, _MIGRATIONS, str(path))
    # A check has read all pages, and migrations have made many.
    connection.execute("pragma shrink_memory")


def _open_one_way_doors(connection: FileConnection) -> None:
    """Set what counts only before the first table."""
    connection.execute("pragma auto_vacuum = incremental")
    connection.execute("pragma secure_delete = 1")


def _make_durable(connection: FileConnection) -> None:
    """Let what is committed be on disk."""
    connection.execute("pragma synchronous = full")
    if sys.platform == "darwin":
        # fsync on macOS leaves data in the disk's own cache.
        connection.execute("pragma fullfsync = 1")


def _check_ours(connection: FileConnection, path: Path) -> None:
    if only(connection, "select count(*) from sqlite_schema") == (0,):
        return
    _refuse_others(connection, path)
    if path.stat().st_size <= QUICK_CHECK_BYTES:
        (verdict,) = only(connection, "pragma quick_check(1)")
        if verdict != "ok":
            raise StoreDamaged(f"Store {path}: the file is damaged: restore it from a backup ({verdict})")


def _refuse_others(connection: FileConnection, path: Path) -> None:
    if only(connection, "pragma application_id") != (APPLICATION_ID,):
        raise StoreDamaged(f"Store {path}: the file is a database, but not of Stepwell: give another path")


def _applied(connection: FileConnection) -> list[migrations.Applied]:
    rows = every(connection, "select n, name, sha256 from schema_version order by n")
    return [migrations.Applied(*row) for row in rows]


def _apply(connection: FileConnection, migration: migrations.Migration) -> None:
    connection.execute(f"pragma application_id = {APPLICATION_ID}")
    # Not kept for a second time, as what is prepared is otherwise.
    connection.execute(migration.sql, can_cache=False)
    connection.execute(
        """
        insert into schema_version (n, name, sha256, applied_at)
        values (:n, :name, :sha256, :applied_at)
        """,
        (migration.n, migration.name, migration.sha256, _now()),
    )


def _now() -> int:
    return time.time_ns() // 1_000_000


def _end_leases(connection: FileConnection) -> None:
    """End every lease: workers reach this file through the process that has it, and that one is new."""
    connection.execute("update workers set lease_until = 0")
    connection.execute("delete from workers where row not in (select owner from instances where owner is not null)")


def _abandon_imports(connection: FileConnection) -> None:
    """Let what has come in of instances be deleted: whoever was bringing them in is gone."""
    if only(connection, "select exists (select 1 from instances where workflow = -1)") == (1,):
        connection.execute("update instances set workflow = 0 where workflow = -1")
        connection.execute("insert into deleted_workflows (row) values (0) on conflict do nothing")
