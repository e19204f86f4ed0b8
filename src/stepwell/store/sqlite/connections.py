"""What the threads of a file do with its connections: write transactions on one, read on the others."""

from time import monotonic
from typing import Any

import apsw

from stepwell import limits
from stepwell.store.operations import Operation
from stepwell.store.sql.ledger import Ledger
from stepwell.store.sql.pages import is_page, too_slow
from stepwell.store.sql.reads import READS
from stepwell.store.sql.rows import Connection, every, only
from stepwell.store.sqlite.faults import translate
from stepwell.store.sqlite.file import BUSY_TIMEOUT_MS, FileConnection

# Transaction numbers are reserved this many at a time; those that a process leaves unused are gaps.
NUMBERS_AT_ONCE = 1_000
# Free pages are given back so many at a time. As many as this, and an eighth of those in use, are kept: what is deleted
# all the time makes room for what is added.
PAGES_AT_ONCE = 128
KEPT_FREE_PAGES = 256
# Instructions of SQLite's machine: these take a fraction of a millisecond.
LOOK_AT_THE_TIME_EVERY = 10_000

_INCREMENTAL = 2

_RESERVE = """
    update commits
    set reserved = :reserved
    """


def open_ledger(connection: FileConnection, where: str) -> Ledger:
    """Return the ledger of a file, whose only writer this connection is; `where` names the file in errors."""
    return Ledger(_Writing(connection, where))


class FileReading:
    """A connection that only reads."""

    def __init__(self, connection: FileConnection, where: str, page_timeout_ms: int = limits.PAGE_TIMEOUT_MS) -> None:
        self._connection = connection
        self._where = where
        self._page_timeout_ms = page_timeout_ms

    def outcome(self, operation: Operation[Any]) -> object:
        """Return the answer of a read, or the exception that its caller is to get."""
        try:
            if is_page(operation):
                return self._read_page(operation)
            return read(self._connection, operation)
        except Exception as error:  # whatever it is, its caller has to hear of it
            return translate(error, self._where)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _read_page(self, operation: Operation[Any]) -> object:
        until = monotonic() + self._page_timeout_ms / 1000
        self._connection.set_progress_handler(lambda: monotonic() > until, LOOK_AT_THE_TIME_EVERY)
        try:
            return read(self._connection, operation)
        except apsw.InterruptError as error:
            raise too_slow(operation, self._page_timeout_ms) from error
        finally:
            self._connection.set_progress_handler(None)


def read(connection: FileConnection, operation: Operation[Any]) -> object:
    """Do an operation that only reads, at one moment of the store."""
    connection.accounts.clear()
    connection.execute("begin")
    try:
        return READS[type(operation)](connection, operation)
    finally:
        _roll_back(connection)


class _Writing:
    """The transactions of the one connection that writes."""

    connection: Connection

    def __init__(self, connection: FileConnection, where: str) -> None:
        self.connection = self._connection = connection
        self._where = where
        self._reserved: int = only(connection, "select reserved from commits")[0]
        # Of the last transaction that is durable.
        self._number: int = self._reserved
        self._under_way = (self._number, self._reserved)
        # One in memory gives nothing back.
        self._can_shrink = only(connection, "pragma auto_vacuum") == (_INCREMENTAL,)

    def begin(self) -> int:
        # A row of a transaction that came to nothing has its number given out again, and maybe to another account.
        self._connection.accounts.clear()
        number = self._number + 1
        reserved = self._reserved
        self._connection.execute("begin immediate")
        try:
            if number > reserved:
                reserved += NUMBERS_AT_ONCE
                self._connection.execute(_RESERVE, (reserved,))
        except BaseException:
            self.roll_back()
            raise
        self._under_way = (number, reserved)
        return number

    def commit(self) -> None:
        self._connection.execute("commit")
        self._number, self._reserved = self._under_way

    def roll_back(self) -> None:
        _roll_back(self._connection)

    def told(self, error: Exception) -> Exception:
        return translate(error, self._where)

    def shrink(self) -> bool:
        (free,) = only(self._connection, "pragma freelist_count")
        (pages,) = only(self._connection, "pragma page_count")
        if not self._can_shrink or free <= KEPT_FREE_PAGES + (pages - free) // 8:
            return False
        # Each row is a page that is given back.
        every(self._connection, f"pragma incremental_vacuum({PAGES_AT_ONCE})")
        return True

    def wipe(self) -> bool:
        # Whoever reads just now has the log; he is not waited for.
        self._connection.set_busy_timeout(0)
        try:
            (is_busy, _, _) = only(self._connection, "pragma wal_checkpoint(truncate)")
        except apsw.BusyError:
            return False
        finally:
            self._connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        return not is_busy

    def close(self) -> None:
        # What the log still has goes into the database: one whole file is left behind.
        self._connection.close()


def _roll_back(connection: FileConnection) -> None:
    # SQLite has rolled back on its own after some faults of the disk.
    if connection.in_transaction:
        connection.execute("rollback")
