"""The only writer of a file: operations in, one durable transaction, outcomes out. No threads, no asyncio."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import apsw

from stepwell.errors import StepwellError
from stepwell.store.operations import Operation
from stepwell.store.sqlite_faults import translate
from stepwell.store.sqlite_rows import only
from stepwell.store.sqlite_transaction import Tidings, Transaction
from stepwell.store.sqlite_writes import WRITES

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

    def write(self, operations: Sequence[Operation[Any]]) -> Written:
        """Do operations in one transaction; if that fails, each in a transaction of its own.

        So an operation that cannot be done fails alone, and none fails for another's sake.
        """
        try:
            self._connection.execute("begin immediate")
        except apsw.Error as error:
            # Nothing of any one operation: trying each alone would only wait for the same lock again.
            return Written([translate(error, self._where) for _ in operations], Tidings())
        try:
            return self._together(operations)
        except Exception as error:  # whatever it is, it concerns an operation, and its caller has to hear of it
            if len(operations) == 1:
                return Written([translate(error, self._where)], Tidings())
        return self._one_by_one(operations)

    def close(self) -> None:
        """Leave one whole file behind: what the log still has goes into the database."""
        self._connection.close()

    def _together(self, operations: Sequence[Operation[Any]]) -> Written:
        transaction = Transaction(self._connection, self._tx + 1)
        reserved = self._reserved
        try:
            if transaction.tx > reserved:
                reserved += NUMBERS_AT_ONCE
                self._connection.execute(_RESERVE, (reserved,))
            outcomes = [_outcome(transaction, operation) for operation in operations]
            transaction.flush()
            self._connection.execute("commit")
        except BaseException:
            # SQLite has rolled back on its own after some faults of the disk.
            if self._connection.in_transaction:
                self._connection.execute("rollback")
            raise
        self._tx, self._reserved = transaction.tx, reserved
        return Written(outcomes, transaction.tidings)

    def _one_by_one(self, operations: Sequence[Operation[Any]]) -> Written:
        all_of_them = Written([], Tidings())
        for operation in operations:
            alone = self.write([operation])
            all_of_them.outcomes.extend(alone.outcomes)
            all_of_them.tidings.add(alone.tidings)
        return all_of_them


def _outcome(transaction: Transaction, operation: Operation[Any]) -> object:
    try:
        return WRITES[type(operation)](transaction, operation)
    except StepwellError as error:  # by rule, it has written nothing
        return error
