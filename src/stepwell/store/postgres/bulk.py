"""Commits and releases of many turns in one statement: what a process writes all day.

Taken are those whose records all lie in their rows, and that find the instance as the turn last saw it: then the
numbers of the records are known before, and with them the checksums. Whatever else there is, a record that came from
outside, a turn that was lost, a child that is awaited, a slot that is handed on, matches no row here, and is left to
the operation itself.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from stepwell.core.instance import Status
from stepwell.store import codec
from stepwell.store.operations import Commit, Committed, CreateInstance, Operation, RecordRow, Release, Released
from stepwell.store.postgres.asked import Asked
from stepwell.store.sql.ended_errors import ERROR, error_of
from stepwell.store.sql.records import new_record
from stepwell.store.sql.rows import Connection, Values
from stepwell.store.sql.sealed import seal_text
from stepwell.store.sql.transaction import Tidings

TurnWrite = Commit | Release

_COUNTED = """
    counted as (
        insert into ended_counts (workflow, status, host, n)
        select workflow, status, cast(current_setting('stepwell.host') as bigint), count(*)
        from moved
        where ended_at is not null
        group by workflow, status
        order by workflow, status
        on conflict (workflow, status, host) do update set n = ended_counts.n + excluded.n
    ),
    """
_ERRORED = """
    errored as (
        insert into errors (instance, workflow, created_at, name, message)
        select m.row, m.workflow, m.created_at, e.name, e.message
        from unnest(
            cast(:e_instances as bigint[]), cast(:e_names as text[]), cast(:e_messages as text[])
        ) as e (instance, name, message)
        join moved as m on m.row = e.instance
        on conflict (instance) do update set name = excluded.name, message = excluded.message
    ),
    """
# The rows are locked in the order of their numbers, as `locks.py` has it, and only then changed. What is asked goes
# along with them: PostgreSQL takes a list for ten rows, and might join two of them row by row. A column with an index
# that gets the value that it had costs no more than one that is not named.
_WRITE = Asked(
    """
    with asked as {asked},
    moved as (
        update instances as i
        set n = i.n + a.count,
            seq = i.seq + a.count,
            step_count = a.step_count,
            lost_turns = i.lost_turns * a.keep_lost,
            has_rollbacks = i.has_rollbacks | a.has_rollbacks,
            status = coalesce(a.status, i.status),
            owner = case when a.is_release then null else i.owner end,
            due_at = case when a.is_release then a.due_at else i.due_at end,
            ended_at = case when a.is_release then a.ended_at else i.ended_at end,
            modified_at = a.now,
            tx = cast(cast(pg_current_xact_id() as text) as bigint)
        from asked as a
        where i.row = a.row
            and i.turn = a.turn
            and i.n = a.n
            and i.seq = a.seen
            and i.owner is not null
            and (a.ended_at is null or i.awaited = 0)
            and (i.slot = 0 or not a.is_release)
        returning i.row, i.workflow, i.created_at, i.status, i.ended_at
    ),
    {counted}
    {errored}
    written as (
        insert into records (instance, seq, turn, n, kind, at, body, value, payload, size, crc, tx)
        select r.instance, r.seq, r.turn, r.n, r.kind, r.at, r.body, r.value, null, 0, r.crc,
            cast(cast(pg_current_xact_id() as text) as bigint)
        from unnest(
            cast(:r_instances as bigint[]), cast(:r_seqs as bigint[]), cast(:r_turns as bigint[]),
            cast(:r_ns as bigint[]), cast(:r_kinds as text[]), cast(:r_ats as bigint[]), cast(:r_bodies as text[]),
            cast(:r_values as text[]), cast(:r_crcs as bigint[])
        ) as r (instance, seq, turn, n, kind, at, body, value, crc)
        join moved as m on m.row = r.instance
    )
    select row
    from moved
    """,
    {
        "row": "bigint",
        "turn": "bigint",
        "n": "bigint",
        "seen": "bigint",
        "count": "bigint",
        "step_count": "bigint",
        "keep_lost": "bigint",
        "has_rollbacks": "bigint",
        "now": "bigint",
        "status": "text",
        "is_release": "boolean",
        "due_at": "bigint",
        "ended_at": "bigint",
    },
    {"counted": _COUNTED, "errored": _ERRORED},
    in_order="join instances as i on i.row = asked.row order by asked.row for no key update of i",
)


class Writes:
    """What one turn writes in a batch, one behind the other, by places in the batch: it becomes one write."""

    def __init__(self, place: int, operation: TurnWrite) -> None:
        self.first = operation
        self.operations = {place: operation}
        self._last = operation

    def takes(self, place: int, operation: TurnWrite) -> bool:
        """Take one more, if it goes on where the last one ends."""
        last, count = self._last, len(self._last.records)
        goes_on = (operation.turn, operation.n, operation.seen) == (last.turn, last.n + count, last.seen + count)
        if not goes_on or isinstance(last, Release):
            return False
        self.operations[place] = self._last = operation
        return True

    @property
    def has_ended(self) -> bool:
        """Tell whether the instance ends with it."""
        return isinstance(self._last, Release) and self._last.ended_at is not None

    def columns(self) -> Values:
        """Return what becomes of the row."""
        first, last, operations = self.first, self._last, self.operations.values()
        keeps_lost, status = True, None
        ends: tuple[bool, int | None, int | None] = (False, None, None)
        for operation in operations:
            status = operation.status or status
            if isinstance(operation, Commit):
                keeps_lost = keeps_lost and not operation.is_outcome
            else:
                keeps_lost = keeps_lost and operation.status == Status.RUNNING
                ends = (True, operation.due_at, operation.ended_at)
        has_rollbacks = any(isinstance(operation, Commit) and operation.has_rollbacks for operation in operations)
        count = sum(len(operation.records) for operation in operations)
        place = (first.row, first.turn, first.n, first.seen, count, last.step_count)
        return (*place, int(keeps_lost), int(has_rollbacks), last.now, status, *ends)

    def records(self, connection: Connection) -> Iterator[Values]:
        """Yield the records as they are to be inserted."""
        for operation in self.operations.values():
            for place, record in enumerate(operation.records, 1):
                where = (operation.row, operation.seen + place, operation.turn, operation.n + place)
                yield new_record(connection, where, record, 0)

    def errors(self, connection: Connection) -> Iterator[tuple[int, str, str]]:
        """Yield the error that it ends with, as it is to be inserted, behind its row."""
        last = self._last
        if isinstance(last, Release) and last.status == Status.ERRORED:
            error = error_of(last.records[-1])
            if error is not None:
                name, message = error
                yield last.row, name, seal_text(connection, last.row, message, ERROR)

    def answers(self, tidings: Tidings) -> Iterator[tuple[int, Committed | Released]]:
        """Yield what is answered to each, once all is written."""
        for place, operation in self.operations.items():
            yield place, _answer(operation, tidings)


class Together:
    """Operations of a batch that can be written together: creations, by their places, and what turns write, by row.

    What turns write is of instances that are there, so the two do not meet.
    """

    def __init__(self) -> None:
        self.turns: dict[int, Writes] = {}
        self.creations: dict[int, CreateInstance] = {}
        self._created: set[tuple[str, str, str]] = set()

    @property
    def places(self) -> list[int]:
        """The places of all of them, in order."""
        return sorted((*self.creations, *(place for writes in self.turns.values() for place in writes.operations)))

    def takes(self, place: int, operation: TurnWrite | CreateInstance) -> bool:
        """Take one more operation, if it does not have to find what another one has made."""
        if isinstance(operation, CreateInstance):
            named = (operation.account, operation.workflow, operation.id)
            if named in self._created:
                return False
            self._created.add(named)
            self.creations[place] = operation
            return True
        writes = self.turns.get(operation.row)
        if writes is not None:
            return writes.takes(place, operation)
        self.turns[operation.row] = Writes(place, operation)
        return True


def runs(operations: Sequence[Operation[Any]]) -> Iterator[Together | int]:
    """Yield what is written together, and the places of single operations, one after the other."""
    together: Together | None = None
    for place, operation in enumerate(operations):
        plain = _plain(operation)
        if together is not None and (plain is None or not together.takes(place, plain)):
            yield together
            together = None
        if plain is None:
            yield place
        elif together is None:
            together = Together()
            together.takes(place, plain)
    if together is not None:
        yield together


def write(connection: Connection, turns: Sequence[Writes], tidings: Tidings) -> Iterator[tuple[int, object]]:
    """Write what matches, in one statement; yield its answers, by place. What is missing is left to do alone."""
    records = [record for writes in turns for record in writes.records(connection)]
    errors = [error for one in turns for error in one.errors(connection)]
    parts = [*(["counted"] if any(writes.has_ended for writes in turns) else []), *(["errored"] if errors else [])]
    statement, columns = _WRITE.about([writes.columns() for writes in turns], *parts)
    values = (*columns, *map(list, zip(*errors, strict=True)), *_columns_of(records))
    moved = {row for (row,) in connection.execute(statement, values)}
    for writes in turns:
        if writes.first.row in moved:
            yield from writes.answers(tidings)


def _plain(operation: Operation[Any]) -> TurnWrite | CreateInstance | None:
    """Return an operation that can be written together with others, or None."""
    match operation:
        case CreateInstance():
            is_plain = operation.retention is None and _is_small(operation.record)
        case Commit():
            is_plain = all(map(_is_small, operation.records))
        case Release():
            # The children of one that is terminated end with it.
            is_plain = operation.status != Status.TERMINATED and all(map(_is_small, operation.records))
        case _:
            return None
    return operation if is_plain else None


def _is_small(record: RecordRow) -> bool:
    return record.payload is None and not codec.lies_apart(record)


def _columns_of(records: Sequence[Values]) -> Values:
    # All but `payload` and `size`, which such records do not have, and `tx`.
    kept = [(*record[:8], record[10]) for record in records]
    return tuple(list(column) for column in zip(*kept, strict=True)) if kept else tuple([] for _ in range(9))


def _answer(operation: TurnWrite, tidings: Tidings) -> Committed | Released:
    seq = operation.seen + len(operation.records)
    if isinstance(operation, Commit):
        if operation.records:
            tidings.went_on.add(operation.row)
        return Committed(seq, [])
    tidings.changed.add(operation.row)
    if operation.due_at is not None:
        tidings.due(operation.due_at)
    return Released(done=True, seq=seq, outside=[])
