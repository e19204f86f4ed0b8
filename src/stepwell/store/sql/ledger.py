"""What a writer does: operations in, one durable transaction, outcomes out. No threads, no asyncio."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from stepwell.errors import StepwellError
from stepwell.facts import fact
from stepwell.store.operations import ClaimDue, Operation
from stepwell.store.sql.deletion import ARE_DELETED
from stepwell.store.sql.queue_room import QueueRoom
from stepwell.store.sql.rows import Connection, only
from stepwell.store.sql.slots import settle
from stepwell.store.sql.streams import ARE_DROPPED
from stepwell.store.sql.transaction import Tidings, Transaction
from stepwell.store.sql.writes import WRITES
from stepwell.store.workflow_operations import PurgeDeleted

logger = logging.getLogger(__name__)


class Database(Protocol):
    """A database that one ledger writes to, and how its transactions begin and end."""

    connection: Connection

    def begin(self) -> int:
        """Begin a transaction, and return its number. Raises what makes it impossible, and has begun none then."""

    def commit(self) -> None:
        """Make the transaction durable."""

    def roll_back(self) -> None:
        """Undo the transaction, if it is still under way."""

    def told(self, error: Exception) -> Exception:
        """Return what a caller is told for an error."""

    def shrink(self) -> bool:
        """Give a bounded part of what is free back to the disk; tell whether there is more to give."""

    def wipe(self) -> bool:
        """Let nothing that was deleted be left in the log; tell whether that could be done now."""

    def close(self) -> None:
        """Let go of the database."""


class Written(NamedTuple):
    """What became of operations, in their order: an answer or an exception each; and what listeners hear."""

    outcomes: list[object]
    tidings: Tidings


class Ledger:
    """Writes operations. Answers are durable when `write` returns."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._room = QueueRoom()
        # A process that ended may not have got to the end of what was deleted.
        self.has_rubbish = has_rubbish(database.connection)
        self.has_traces = self.has_rubbish

    def write(self, operations: Sequence[Operation[Any]]) -> Written:
        """Do operations in one batch."""
        batch = self.begin()
        for operation in operations:
            batch.do(operation)
        return self.finish(batch)

    def begin(self) -> "Batch":
        """Open a batch; the next call has to be `finish`."""
        return Batch(self._database, self._room)

    def finish(self, batch: "Batch") -> Written:
        """Make a batch durable; if that fails, do its operations again, each in a transaction of its own.

        So an operation that cannot be done fails alone, and none fails for another's sake.
        """
        written = batch.commit()
        if written is not None:
            self.has_rubbish = self.has_rubbish or written.tidings.has_rubbish
            self.has_traces = self.has_traces or self.has_rubbish or written.tidings.has_freed
            return written
        return each_alone(self.write, batch.operations)

    def tidy(self) -> None:
        """Delete a bounded part of what deleted workflows, instances and streams have left."""
        self.has_rubbish = tidied(self.write)

    def wipe(self) -> None:
        """Give a bounded part of what is free back; at last let nothing that was deleted be left in the log."""
        try:
            self.has_traces = self._database.shrink() or not self._database.wipe()
        except Exception as error:  # whatever it is, nobody waits for an answer, and the writer has to go on
            self.has_traces = False
            told = self._database.told(error)
            logger.warning(
                "what was deleted may stay in the log, and its room taken, until something else is: %s",
                told,
                extra=fact("traces.left", error=told),
            )

    def close(self) -> None:
        """Leave one whole file behind: what the log still has goes into the database."""
        self._database.close()


Write = Callable[[Sequence[Operation[Any]]], Written]


def each_alone(write: Write, operations: Sequence[Operation[Any]]) -> Written:
    """Write operations one by one, as if they were one batch."""
    all_of_them = Written([], Tidings())
    for operation in operations:
        alone = write([operation])
        all_of_them.outcomes.extend(alone.outcomes)
        all_of_them.tidings.add(alone.tidings)
    return all_of_them


def tidied(write: Write) -> bool:
    """Delete a bounded part of what something deleted has left; tell whether there is more."""
    (more,) = write([PurgeDeleted()]).outcomes
    if isinstance(more, Exception):
        logger.warning(
            "what was deleted leaves rows that stay until something else is, or a store opened: %s",
            more,
            extra=fact("rubbish.left", error=more),
        )
    return more is True


def has_rubbish(connection: Connection) -> bool:
    """Tell whether something deleted has left rows."""
    return any(only(connection, left)[0] for left in (ARE_DELETED, ARE_DROPPED))


class Batch:
    """Operations in one transaction, done as they come and made durable together."""

    def __init__(self, database: Database, room: QueueRoom) -> None:
        self.operations: list[Operation[Any]] = []
        self._database = database
        self._outcomes: list[object] = []
        self._error: Exception | None = None
        # Nothing of any one operation: trying each alone would only wait for the same lock again.
        self._refusal: Exception | None = None
        try:
            tx = database.begin()
        except Exception as error:  # whatever it is, the callers have to hear of it
            self._refusal = error
        else:
            self._transaction = Transaction(database.connection, tx, room)

    def do(self, operation: Operation[Any]) -> None:
        """Do one more operation; after a fault nothing more is done."""
        self.operations.append(operation)
        if self._error is None and self._refusal is None:
            self._try(lambda: self._outcomes.append(outcome(self._transaction, operation)))

    def join(self, claim: ClaimDue) -> None:
        """Claim one of those that the operations have created, or an older one."""
        self.do(claim)

    def commit(self) -> Written | None:
        """Return what became of the operations, durably; None: nothing was written, and each is to be tried alone."""
        if self._refusal is not None:
            return Written([self._database.told(self._refusal) for _ in self.operations], Tidings())
        if self._error is None:
            self._try(self._make_durable)
        if self._error is None:
            return Written(self._outcomes, self._transaction.tidings)
        self._database.roll_back()
        if len(self.operations) == 1:
            return Written([self._database.told(self._error)], Tidings())
        return None

    def _make_durable(self) -> None:
        settle(self._transaction)
        self._transaction.flush()
        self._database.commit()

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # whatever it is, it concerns an operation, and its caller has to hear of it
            self._error = error


def outcome(transaction: Transaction, operation: Operation[Any]) -> object:
    """Do an operation in a transaction; return its answer, or the error of ours that it raises."""
    try:
        return WRITES[type(operation)](transaction, operation)
    except StepwellError as error:  # by rule, it has written nothing
        return error
