"""One transaction of a writer, and what the operations that write have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stepwell.core.instance import FINAL
from stepwell.store.operations import RecordRow
from stepwell.store.sql.counts import write_counts
from stepwell.store.sql.records import Place, histories, insert, new_record, outside
from stepwell.store.sql.rows import Connection, Values

# Among what has changed: something that only those hear of who wait for any change. No workflow has this id.
ANYTHING = ""


@dataclass(slots=True)
class Tidings:
    """What others hear once it is durable: the earliest moment of something due; (worker, row) told; what has changed.

    `has_rubbish`: something was deleted, and its rows are still to be.
    """

    due_at: int | None = None
    told: list[tuple[int, int]] = field(default_factory=list)
    # Instances that got a record, by row, workflows that were deleted, by id, and ANYTHING.
    changed: set[int | str] = field(default_factory=set)
    has_rubbish: bool = False

    def due(self, at: int) -> None:
        """Note that something that nobody holds is due at a moment."""
        if self.due_at is None or at < self.due_at:
            self.due_at = at

    def tell(self, worker: int, row: int) -> None:
        """Note that an instance that a worker holds got a record from outside, or was deleted."""
        self.told.append((worker, row))

    def add(self, other: "Tidings") -> None:
        """Note what another transaction noted."""
        if other.due_at is not None:
            self.due(other.due_at)
        self.told += other.told
        self.changed |= other.changed
        self.has_rubbish |= other.has_rubbish


class Transaction:
    """A transaction under way; `tx` is its number.

    New records, and how many instances have ended, are written together, before any of it is read.
    """

    def __init__(self, connection: Connection, tx: int) -> None:
        self.connection = connection
        self.execute = connection.execute
        self.tx = tx
        self.tidings = Tidings()
        self._records: list[Values] = []
        self._counts: dict[tuple[int, str], int] = {}

    def append(self, row: int, seq: int, record: RecordRow) -> None:
        """Add a record from outside; `seq` is its own."""
        self._append((row, seq, 0, 0), record)

    def append_turn(self, row: int, seq: int, fence: tuple[int, int], records: Sequence[RecordRow]) -> None:
        """Add records of a turn; `seq` and `fence` (turn, n) are those of the last record before them."""
        turn, n = fence
        for record in records:
            seq += 1
            n += 1
            self._append((row, seq, turn, n), record)

    def append_at(self, place: Place, record: RecordRow) -> None:
        """Add a record of which it is known where it belongs."""
        self._append(place, record)

    def count(self, workflow: int, status: str, change: int) -> None:
        """Note that a workflow has one instance more, or less, that has ended with a status; others are not counted."""
        if status in FINAL:
            self._counts[workflow, status] = self._counts.get((workflow, status), 0) + change

    def outside(self, row: int, seen: int) -> list[RecordRow]:
        """Return the records from outside after a seq."""
        self.flush()
        return outside(self.connection, row, seen)

    def histories(self, ends: Mapping[int, int]) -> dict[int, list[RecordRow]]:
        """Return the histories of instances, by row, each up to its last seq; a damaged one is left out."""
        self.flush()
        return histories(self.connection, ends)

    def flush(self) -> None:
        """Write the new records, together, and what has ended."""
        if self._records:
            insert(self.connection, self._records)
            self._records.clear()
        if self._counts:
            write_counts(self.connection, self._counts)
            self._counts.clear()

    def _append(self, place: Place, record: RecordRow) -> None:
        self.tidings.changed.add(place[0])
        self._records.append(new_record(self.connection, place, record, self.tx))
