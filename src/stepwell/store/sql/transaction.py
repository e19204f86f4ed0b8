"""One transaction of a writer, and what the operations that write have in common."""

from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from stepwell.core.instance import FINAL
from stepwell.store.operations import RecordRow
from stepwell.store.sql.counts import write_counts
from stepwell.store.sql.queue_room import QueueRoom
from stepwell.store.sql.records import Place, histories, insert, new_record, outside
from stepwell.store.sql.rows import Connection, Values

# Among what has changed: something that only those hear of who wait for any change. No workflow has this id.
ANYTHING = ""


class Tidings(Struct):
    """What others hear once it is durable: the earliest moment of something due; (worker, row) told; what has changed.

    `has_rubbish`: something was deleted, and its rows are still to be. `has_freed`: rows have been deleted.
    `slots_at`: there may be more slots to give than one transaction gives; the moment at which it gave some.
    """

    due_at: int | None = None
    told: list[tuple[int, int]] = field(default_factory=list)
    # Instances that got a record, by row, workflows that were deleted, by id, and ANYTHING.
    changed: set[int | str] = field(default_factory=set)
    # Instances that got records of a turn that goes on, by row: none of these ends one.
    went_on: set[int] = field(default_factory=set)
    # The account and workflow of each instance that was created, and of each that was terminated from outside.
    created: list[tuple[str, str]] = field(default_factory=list)
    terminated: list[tuple[str, str]] = field(default_factory=list)
    has_rubbish: bool = False
    has_freed: bool = False
    slots_at: int | None = None
    # Of the instances that were created: when each is due, by row, unless it has been claimed as well.
    begun: dict[int, int] = field(default_factory=dict)

    def due(self, at: int) -> None:
        """Note that something that nobody holds is due at a moment."""
        if self.due_at is None or at < self.due_at:
            self.due_at = at

    @property
    def first_due_at(self) -> int | None:
        """The earliest moment at which something is due that nobody holds; None: nothing is."""
        moments = [*self.begun.values(), *([] if self.due_at is None else [self.due_at])]
        return min(moments, default=None)

    def slots_left(self, now: int) -> None:
        """Note that there may be more slots to give."""
        self.slots_at = now if self.slots_at is None else max(now, self.slots_at)

    def tell(self, worker: int, row: int) -> None:
        """Note that an instance that a worker holds got a record from outside, or was deleted."""
        self.told.append((worker, row))

    def add(self, other: "Tidings") -> None:
        """Note what another transaction noted."""
        if other.due_at is not None:
            self.due(other.due_at)
        self.begun |= other.begun
        self.told += other.told
        self.changed |= other.changed
        self.went_on |= other.went_on
        self.created += other.created
        self.terminated += other.terminated
        self.has_rubbish |= other.has_rubbish
        self.has_freed |= other.has_freed
        if other.slots_at is not None:
            self.slots_left(other.slots_at)


class GateChange(Struct):
    """What a transaction changes at the gate of a workflow, at a moment.

    `keys`: how many more slots instances of a key hold; `queued`: how many more wait. `left` are (key, row) that have
    ended, `woken` rows that wait and may have to be shown so.
    """

    now: int
    keys: dict[str, int] = field(default_factory=dict)
    queued: int = 0
    left: list[tuple[str, int]] = field(default_factory=list)
    woken: list[int] = field(default_factory=list)

    @property
    def held(self) -> int:
        """How many more slots are held."""
        return sum(self.keys.values())

    def hold(self, key: str, change: int) -> None:
        """Note that instances of a key hold so many slots more, or that one more may want one."""
        self.keys[key] = self.keys.get(key, 0) + change


class Transaction:
    """A transaction under way; `tx` is its number.

    New records, and how many instances have ended, are written together, before any of it is read.
    """

    def __init__(
        self, connection: Connection, tx: int, room: QueueRoom, numbers: Mapping[int, int] | None = None
    ) -> None:
        """`numbers` are row numbers reserved for instances that are to be created, by `id` of the operations."""
        self.connection = connection
        self.execute = connection.execute
        self.tx = tx
        self.room = room
        self.numbers = {} if numbers is None else numbers
        self.tidings = Tidings()
        self._records: list[Values] = []
        self._counts: dict[tuple[int, str], int] = {}
        self._gates: dict[int, GateChange] = {}
        self._accounts: dict[str, int] = {}

    def gate(self, workflow: int, now: int) -> GateChange:
        """Return what changes at the gate of a workflow; if it has one, it is looked at when the transaction ends."""
        change = self._gates.setdefault(workflow, GateChange(now))
        change.now = max(change.now, now)
        return change

    def gates_of(self, account: str, now: int) -> None:
        """Let all gates of an account be looked at when the transaction ends: there may be room."""
        self._accounts[account] = now

    def take_gates(self) -> tuple[dict[int, GateChange], dict[str, int]]:
        """Return what has changed at gates since it was last taken, and the accounts to be looked at, with a moment."""
        taken = self._gates, self._accounts
        self._gates, self._accounts = {}, {}
        return taken

    def append(self, row: int, seq: int, record: RecordRow) -> None:
        """Add a record from outside; `seq` is its own."""
        self.append_at((row, seq, 0, 0), record)

    def append_turn(self, row: int, seq: int, fence: tuple[int, int], records: Sequence[RecordRow]) -> None:
        """Add records of a turn that goes on; `seq` and `fence` (turn, n) are those of the last record before them."""
        turn, n = fence
        if records:
            self.tidings.went_on.add(row)
        for record in records:
            seq += 1
            n += 1
            self._append((row, seq, turn, n), record)

    def append_at(self, place: Place, record: RecordRow) -> None:
        """Add a record of which it is known where it belongs."""
        self.tidings.changed.add(place[0])
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
        self._records.append(new_record(self.connection, place, record, self.tx))
