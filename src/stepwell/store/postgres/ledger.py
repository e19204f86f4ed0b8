"""What a writer does with PostgreSQL: a batch is gathered, and then done in one transaction.

A connection that is lost is made again, and the batch is done again, for a few seconds. Where it was lost under the
commit, the server is asked what became of that transaction: so nothing is written twice, and nothing is given up that
was written.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import asyncpg

from stepwell import limits
from stepwell.errors import StoreUnavailable
from stepwell.store.operations import ClaimDue, GetInstance, Operation
from stepwell.store.postgres import bulk, claims, expiry
from stepwell.store.postgres.backoff import Patience
from stepwell.store.postgres.connection import PostgresConnection
from stepwell.store.postgres.creations import Numbers, Rows, Starts, create
from stepwell.store.postgres.faults import CONFLICTS, LOSSES, OF_THE_SERVER, ConnectionLost, is_loss, translate
from stepwell.store.postgres.locks import lock
from stepwell.store.retention_operations import DeleteExpired
from stepwell.store.snapshot_operations import FindServed, ListSnapshotsDue
from stepwell.store.sql.ledger import Written, each_alone, has_rubbish, outcome, tidied
from stepwell.store.sql.pages import is_page, too_slow
from stepwell.store.sql.queue_room import QueueRoom
from stepwell.store.sql.reads import READS
from stepwell.store.sql.rows import Damaged, only
from stepwell.store.sql.slots import settle
from stepwell.store.sql.transaction import Tidings, Transaction

logger = logging.getLogger(__name__)

# Conflicts with other processes are short; one that lasts is a defect, and its caller has to hear of it.
MOST_TRIES = 20

# How long a transaction is kept by the server, in milliseconds, while its host asks nothing more: one that has been
# stopped in the middle of it keeps others from what it has locked. A host that is merely slow gets twice as long with
# each try.
KEPT_MS = 200

# What every host asks again and again needs no transaction round it.
_ONE_STATEMENT = (ListSnapshotsDue, FindServed)
# Numbers of transactions ascend in the order in which they began. Who reads a stream of what has changed has to stop
# before the oldest one that is under way (`pg_snapshot_xmin`): it may still write below the newest that is seen.
_NUMBER = "select cast(cast(pg_current_xact_id() as text) as bigint)"
_FATE = "select pg_xact_status(cast(cast(cast(:tx as bigint) as text) as xid8))"


class _FateUnknown(Exception):
    """The connection was lost under a commit."""

    def __init__(self, tx: int, written: Written) -> None:
        super().__init__(tx)
        self.tx = tx
        self.written = written


class Gathering:
    """Operations that are to be done in one batch."""

    def __init__(self) -> None:
        self.operations: list[Operation[Any]] = []
        self.joined: list[ClaimDue] = []

    def join(self, claim: ClaimDue) -> None:
        """Let one of those that the batch creates be claimed."""
        self.joined.append(claim)

    def do(self, operation: Operation[Any]) -> None:
        """Take one more operation. All are done together, as what they lock has to be locked in one order."""
        self.operations.append(operation)


class PostgresLedger:
    """Writes operations. Answers are durable when `write` returns."""

    # What was deleted stays on the server's disk until its own cleaning up, and in its log.
    has_traces = False

    def __init__(self, connection: PostgresConnection, where: str) -> None:
        """Take a connection that nobody else uses; `where` names the database in errors."""
        self._connection = connection
        self._where = where
        self._numbers = Numbers()
        self._room = QueueRoom()
        # A process that ended may not have got to the end of what was deleted.
        self.has_rubbish = _has_rubbish(connection)

    def begin(self) -> Gathering:
        """Open a batch."""
        return Gathering()

    def finish(self, batch: Gathering) -> Written:
        """Make a batch durable."""
        return self._write(batch.operations, {}, batch.joined)

    def write(self, operations: Sequence[Operation[Any]]) -> Written:
        """Do operations in one batch."""
        return self._write(operations, {})

    def _write(self, operations: Sequence[Operation[Any]], rows: Rows, joined: Sequence[ClaimDue] = ()) -> Written:
        """Write operations; the answers to claims that joined them come behind theirs."""
        written, starts = Written([None] * len(operations), Tidings()), Starts(joined)
        self._at_once(operations, rows, written, starts)
        left = [place for place, answer in enumerate(written.outcomes) if answer is None]
        if left:
            rest = self._with_care([operations[place] for place in left], rows)
            for place, answer in zip(left, rest.outcomes, strict=True):
                written.outcomes[place] = answer
            written.tidings.add(rest.tidings)
        written.outcomes.extend(starts.outcomes)
        self.has_rubbish = self.has_rubbish or written.tidings.has_rubbish
        return written

    def tidy(self) -> None:
        """Delete a bounded part of what deleted workflows, instances and streams have left."""
        self.has_rubbish = tidied(self.write)

    def wipe(self) -> None:
        """Do nothing: see `has_traces`."""

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _at_once(self, operations: Sequence[Operation[Any]], rows: Rows, written: Written, starts: Starts) -> None:
        """Write what is written all day in statements that are transactions of their own, unless there is more.

        What keeps the outcome None is left to do. Where the connection is lost nobody is asked: what was written
        matches no row the next time, and is found then.
        """
        runs = list(bulk.runs(operations))
        alone = {place: one for place, one in enumerate(operations) if isinstance(one, ClaimDue | DeleteExpired)}
        if not all(isinstance(run, bulk.Together) or run in alone for run in runs):
            return
        try:
            self._connection.ready()
            for run in runs:
                if isinstance(run, bulk.Together):
                    self._write_together(run, rows, written, starts)
                    if any(written.outcomes[place] is None for place in run.places):
                        # What comes behind it has to see what it has done.
                        return
                else:
                    written.outcomes[run] = self._do_alone(alone[run], written.tidings)
        except LOSSES as error:
            starts.lose(translate(error, self._where))
        except Exception as error:  # whatever it is, it shows again where the rest is done
            logger.debug("statements are done again, in a transaction: %s", error)

    def _do_alone(self, operation: ClaimDue | DeleteExpired, tidings: Tidings) -> object:
        """Claim, or delete what has expired, in a statement of its own; None: that cannot be.

        A connection that is lost under a claim is an error: the worker has what it may have got claimed again.
        """
        if isinstance(operation, DeleteExpired):
            return expiry.delete_expired(self._connection, operation, tidings)
        try:
            return claims.take(self._connection, operation, tidings)
        except LOSSES as error:
            return translate(error, self._where)

    def _with_care(self, operations: Sequence[Operation[Any]], rows: Rows) -> Written:
        """Write operations in one transaction; if that cannot be, each in one of its own."""
        try:
            return self._patiently(operations, rows)
        except Exception as error:  # whatever it is, the callers have to hear of it
            # What all would meet is not tried with each: others wait for that.
            if len(operations) == 1 or is_loss(error) or isinstance(error, OF_THE_SERVER):
                return Written([translate(error, self._where) for _ in operations], Tidings())
            return each_alone(lambda alone: self._write(alone, rows), operations)

    def _patiently(self, operations: Sequence[Operation[Any]], rows: Rows) -> Written:
        patience, tries, kept_ms = self._connection.patience(), 0, KEPT_MS
        while True:
            try:
                return self._together(operations, rows, kept_ms)
            except _FateUnknown as unknown:
                if self._was_committed(unknown.tx, patience):
                    return unknown.written
            except LOSSES as error:
                if not patience.wait(error):
                    raise
            except CONFLICTS:
                tries += 1
                if len(operations) > 1 or tries == MOST_TRIES or not patience.wait():
                    raise
            kept_ms *= 2

    def _together(self, operations: Sequence[Operation[Any]], rows: Rows, kept_ms: int) -> Written:
        """Do operations in one transaction. Raises whatever goes wrong; then nothing is written."""
        # In one message: it costs no way to the server and back.
        self._connection.begin(f"; set local idle_in_transaction_session_timeout = {kept_ms}")
        try:
            lock(self._connection, operations)
            transaction = Transaction(self._connection, only(self._connection, _NUMBER)[0], self._room, rows)
            written = Written([None] * len(operations), transaction.tidings)
            for run in bulk.runs(operations):
                if isinstance(run, bulk.Together):
                    self._write_together(run, rows, written, Starts())
                    left = [place for place in run.places if written.outcomes[place] is None]
                else:
                    left = [run]
                for place in left:
                    written.outcomes[place] = outcome(transaction, operations[place])
            settle(transaction)
            transaction.flush()
        except BaseException:
            self._connection.roll_back()
            raise
        try:
            self._connection.say("commit")
        except ConnectionLost as error:
            raise _FateUnknown(transaction.tx, written) from error
        return written

    def _write_together(self, together: bulk.Together, rows: Rows, written: Written, starts: Starts) -> None:
        """Write what can be written together; what cannot after all keeps the outcome None."""
        connection, outcomes = self._connection, written.outcomes
        if together.turns:
            for place, answer in bulk.write(connection, list(together.turns.values()), written.tidings):
                outcomes[place] = answer
        creations = self._room.let_in(connection, together.creations)
        if creations:
            asked = list(creations.values())
            numbers = self._numbers.of(connection, asked, rows)
            made = create(connection, asked, numbers, starts, written.tidings)
            for place, answer in zip(creations, made, strict=True):
                outcomes[place] = answer
            self._room.give_back(creations[place] for place in creations if outcomes[place] is None)

    def _was_committed(self, tx: int, patience: Patience) -> bool:
        """Ask what became of a transaction. Raises StoreUnavailable if nobody can be asked."""
        while True:
            try:
                fate = self._fate(tx)
            except LOSSES:
                fate = None
            if fate in ("committed", "aborted"):
                return fate == "committed"
            # Until now, or for ever if the server is gone: its process may be about to write it.
            if not patience.wait():
                raise StoreUnavailable(
                    f"Store {self._where}: the connection was lost while records were written, and whether they were "
                    "cannot be asked: see that the server runs and lets this machine in"
                )

    def _fate(self, tx: int) -> str | None:
        self._connection.begin("read only")
        try:
            (fate,) = only(self._connection, _FATE, (tx,))
        finally:
            self._connection.roll_back()
        return None if fate is None else str(fate)


class PostgresReading:
    """A connection that only reads."""

    def __init__(
        self, connection: PostgresConnection, where: str, page_timeout_ms: int = limits.PAGE_TIMEOUT_MS
    ) -> None:
        """Take a connection that nobody else uses; `where` names the database in errors."""
        self._connection = connection
        self._where = where
        self._page_timeout_ms = page_timeout_ms

    def outcome(self, operation: Operation[Any]) -> object:
        """Return the answer of a read, or the exception that its caller is to get."""
        patience = self._connection.patience()
        while True:
            try:
                return self._read(operation)
            except Exception as error:  # whatever it is, its caller has to hear of it
                if not is_loss(error) or not patience.wait(error):
                    return translate(error, self._where)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _read(self, operation: Operation[Any]) -> object:
        self._connection.accounts.clear()
        if isinstance(operation, _ONE_STATEMENT):
            return self._read_at_once(operation)
        if isinstance(operation, GetInstance) and not self._connection.is_pooled:
            # Its row, and then records that are as they were when that was read: they are only added to. Of one that is
            # deleted meanwhile some are gone, and so it is looked at once more, in one moment.
            with suppress(Damaged):
                return self._read_at_once(operation)
        return self._read_in_one_moment(operation)

    def _read_at_once(self, operation: Operation[Any]) -> object:
        """Read in statements that are transactions of their own."""
        self._connection.ready()
        return READS[type(operation)](self._connection, operation)

    def _read_in_one_moment(self, operation: Operation[Any]) -> object:
        # In one message: the bound costs no way to the server and back.
        bound = f"; set local statement_timeout = {self._page_timeout_ms}" if is_page(operation) else ""
        self._connection.begin(f"isolation level repeatable read, read only{bound}")
        try:
            return READS[type(operation)](self._connection, operation)
        except asyncpg.QueryCanceledError as error:
            if not bound:
                raise
            raise too_slow(operation, self._page_timeout_ms) from error
        finally:
            self._connection.roll_back()


def _has_rubbish(connection: PostgresConnection) -> bool:
    try:
        connection.begin("read only")
        found = has_rubbish(connection)
        connection.roll_back()
    except LOSSES:
        # The first tidying finds out.
        return True
    return found
