"""The only writer of a file: operations in, one durable transaction, outcomes out. No threads, no asyncio."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import apsw

from stepwell.errors import StepwellError
from stepwell.store.operations import Operation
from stepwell.store.sqlite_deletion import ARE_DELETED
from stepwell.store.sqlite_faults import translate
from stepwell.store.sqlite_rows import only
from stepwell.store.sqlite_streams import ARE_DROPPED
from stepwell.store.sqlite_transaction import Tidings, Transaction
from stepwell.store.sqlite_writes import WRITES
from stepwell.store.workflow_operations import PurgeDeleted

logger = logging.getLogger(__name__)

# Transaction numbers are reserved this many at a time; those that a process leaves unused are gaps.
NUMBERS_AT_ONCE = 1_000

_RESERVE = """
    update commits
    set reserved = :reserved
    """


class Written(NamedTuple):
    """What became of operations, in their order: an answer or an exception each; and what listeners hear."""

    outcomes: list[object]
    tidings: Tidings


class Ledger:
    """Writes operations. Answers are durable when `write` returns."""

    def __init__(self, connection: apsw.Connection, where: str) -> None:
        self._connection = connection
        self._where = where
        (self._reserved,) = only(connection, "select reserved from commits")
        self._tx = self._reserved
        # Whether something deleted has left rows; a process that ended may not have got to the end of them.
        self.has_rubbish = any(only(connection, left)[0] for left in (ARE_DELETED, ARE_DROPPED))

    def write(self, operations: Sequence[Operation[Any]]) -> Written:
        """Do operations in one batch."""
        batch = self.begin()
        for operation in operations:
            batch.do(operation)
        return self.finish(batch)

    def begin(self) -> "Batch":
        """Open a batch; the next call has to be `finish`."""
        return Batch(self._connection, self._where, self._tx, self._reserved)

    def finish(self, batch: "Batch") -> Written:
        """Make a batch durable; if that fails, do its operations again, each in a transaction of its own.

        So an operation that cannot be done fails alone, and none fails for another's sake.
        """
        written = batch.commit()
        if written is not None:
            self._tx, self._reserved = batch.tx, batch.reserved
            self.has_rubbish = self.has_rubbish or written.tidings.has_rubbish
            return written
        all_of_them = Written([], Tidings())
        for operation in batch.operations:
            alone = self.write([operation])
            all_of_them.outcomes.extend(alone.outcomes)
            all_of_them.tidings.add(alone.tidings)
        return all_of_them

    def tidy(self) -> None:
        """Delete a bounded part of what deleted workflows, instances and streams have left."""
        (more,) = self.write([PurgeDeleted()]).outcomes
        if isinstance(more, Exception):
            logger.warning("what was deleted leaves rows that stay until the store is opened again: %s", more)
        self.has_rubbish = more is True

    def close(self) -> None:
        """Leave one whole file behind: what the log still has goes into the database."""
        self._connection.close()


class Batch:
    """Operations in one transaction, done as they come and made durable together."""

    def __init__(self, connection: apsw.Connection, where: str, tx: int, reserved: int) -> None:
        self.operations: list[Operation[Any]] = []
        self.tx = tx + 1
        self.reserved = reserved
        self._connection = connection
        self._where = where
        self._transaction = Transaction(connection, self.tx)
        self._outcomes: list[object] = []
        self._lock_error: apsw.Error | None = None
        self._error: Exception | None = None
        try:
            connection.execute("begin immediate")
        except apsw.Error as error:
            # Nothing of any one operation: trying each alone would only wait for the same lock again.
            self._lock_error = error
            return
        self._try(self._reserve)

    def do(self, operation: Operation[Any]) -> None:
        """Do one more operation; after a fault nothing more is done."""
        self.operations.append(operation)
        if self._error is None and self._lock_error is None:
            self._try(lambda: self._outcomes.append(_outcome(self._transaction, operation)))

    def commit(self) -> Written | None:
        """Return what became of the operations, durably; None: nothing was written, and each is to be tried alone."""
        if self._lock_error is not None:
            return Written([translate(self._lock_error, self._where) for _ in self.operations], Tidings())
        if self._error is None:
            self._try(self._make_durable)
        if self._error is None:
            return Written(self._outcomes, self._transaction.tidings)
        self._roll_back()
        if len(self.operations) == 1:
            return Written([translate(self._error, self._where)], Tidings())
        return None

    def _reserve(self) -> None:
        if self.tx > self.reserved:
            self.reserved += NUMBERS_AT_ONCE
            self._connection.execute(_RESERVE, (self.reserved,))

    def _make_durable(self) -> None:
        self._transaction.flush()
        self._connection.execute("commit")

    def _roll_back(self) -> None:
        # SQLite has rolled back on its own after some faults of the disk.
        if self._connection.in_transaction:
            self._connection.execute("rollback")

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # whatever it is, it concerns an operation, and its caller has to hear of it
            self._error = error


def _outcome(transaction: Transaction, operation: Operation[Any]) -> object:
    try:
        return WRITES[type(operation)](transaction, operation)
    except StepwellError as error:  # by rule, it has written nothing
        return error
