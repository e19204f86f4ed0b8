"""What the threads of a file do with its connections: write transactions on one, read on the others."""

from time import monotonic
from typing import Any

import apsw

from stepwell import limits
from stepwell.store.operations import Operation
from stepwell.store.sql.ledger import Ledger
from stepwell.store.sql.pages import is_page, too_slow
from stepwell.store.sql.reads import READS
from stepwell.store.sql.rows import Connection, only
from stepwell.store.sqlite.faults import translate

# Transaction numbers are reserved this many at a time; those that a process leaves unused are gaps.
NUMBERS_AT_ONCE = 1_000
# Instructions of SQLite's machine: these take a fraction of a millisecond.
LOOK_AT_THE_TIME_EVERY = 10_000

_RESERVE = """
    update commits
    set reserved = :reserved
    """


def open_ledger(connection: apsw.Connection, where: str) -> Ledger:
    """Return the ledger of a file, whose only writer this connection is; `where` names the file in errors."""
    return Ledger(_Writing(connection, where))


class FileReading:
    """A connection that only reads."""

    def __init__(self, connection: apsw.Connection, where: str, page_timeout_ms: int = limits.PAGE_TIMEOUT_MS) -> None:
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


def read(connection: apsw.Connection, operation: Operation[Any]) -> object:
    """Do an operation that only reads, at one moment of the store."""
    connection.execute("begin")
    try:
        return READS[type(operation)](connection, operation)
    finally:
        _roll_back(connection)


class _Writing:
    """The transactions of the one connection that writes."""

    connection: Connection

    def __init__(self, connection: apsw.Connection, where: str) -> None:
        self.connection = self._connection = connection
        self._where = where
        self._reserved: int = only(connection, "select reserved from commits")[0]
        # Of the last transaction that is durable.
        self._number: int = self._reserved
        self._under_way = (self._number, self._reserved)

    def begin(self) -> int:
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

    def close(self) -> None:
        # What the log still has goes into the database: one whole file is left behind.
        self._connection.close()


def _roll_back(connection: apsw.Connection) -> None:
    # SQLite has rolled back on its own after some faults of the disk.
    if connection.in_transaction:
        connection.execute("rollback")
