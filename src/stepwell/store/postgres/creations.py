"""Creations of many instances in one statement.

An instance gets its row number before the statement, so that its first record, whose checksum covers that number, can
go with it. The number also tells, where the connection is lost, whether an instance that is there is the one that was
asked for. Whatever matches nothing here, no workflow, one with limits, an id that is taken, another version, is left to
the operation itself, which says why.

An instance that is for an idle worker begins its first turn with that: it is never due, and nobody has to claim it.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from stepwell.core.records import Running
from stepwell.store import codec
from stepwell.store.operations import Claim, ClaimDue, Claims, CreateInstance, InstanceRow, RecordRow
from stepwell.store.postgres.asked import Asked
from stepwell.store.sql.records import new_record
from stepwell.store.sql.rows import Connection, Values, every
from stepwell.store.sql.sealed import know
from stepwell.store.sql.transaction import Tidings
from stepwell.store.sql.writes import new_row

_RESERVE = """
    select nextval(pg_get_serial_sequence('instances', 'row'))
    from generate_series(1, cast(:count as bigint))
    """
# How many row numbers are reserved at once.
RESERVED = 64
# The numbers that operations of a batch have got, by what `id` says of them while the batch lasts.
Rows = dict[int, int]
# The record of a first turn, but for its moment.
_RUNNING = codec.to_row(Running(0, lost=False))
_LABELLED = """
    labelled as (
        insert into labels (instance, name, value, given, workflow, created_at)
        select m.row, l.name, l.value, l.value, m.workflow, m.created_at
        from unnest(
            cast(:l_instances as bigint[]), cast(:l_names as text[]), cast(:l_values as text[])
        ) as l (instance, name, value)
        join made as m on m.row = l.instance
    ),
    """
# The workflows are locked first, in the order of their numbers, as `locks.py` has it; the instances are added in the
# order of their ids: two processes that want the same ones do not wait for each other.
CREATE = Asked(
    """
    with asked as {asked},
    kept as materialized (
        select w.row, w.id, w.account, w.name, w.version, w.snapshot, w.script, w.class_name
        from workflows as w
        where (w.account, w.name) in (select account, name from asked)
            and w.row not in (select workflow from gates)
        order by w.row
        for key share
    ),
    made as (
        insert into instances (
            row, account, workflow, id, version, snapshot, status, trigger, due_at, seq, turn, n, owner, started_at,
            created_at, modified_at, tx
        )
        overriding system value
        select a.row, a.account, k.row, a.id, k.version, k.snapshot,
            case when s.row is null then 'queued' else 'running' end,
            a.trigger,
            case when s.row is null then a.now end,
            case when s.row is null then 1 else 2 end,
            case when s.row is null then 0 else 1 end,
            case when s.row is null then 0 else 1 end,
            s.row,
            case when s.row is not null then a.now end,
            a.now,
            a.now,
            cast(cast(pg_current_xact_id() as text) as bigint)
        from asked as a
        join kept as k on k.account = a.account and k.name = a.name
        left join workers as s on s.row = a.worker and s.lease_until > 0 and s.snapshot = k.snapshot
        where a.checked is null
            or a.checked = k.version
        order by k.row, a.id
        on conflict do nothing
        returning row, workflow, created_at, owner
    ),
    written as (
        insert into records (instance, seq, turn, n, kind, at, body, value, size, crc, tx)
        select a.row, 1, 0, 0, a.kind, a.at, a.body, a.value, 0, a.crc,
            cast(cast(pg_current_xact_id() as text) as bigint)
        from asked as a
        join made as m on m.row = a.row
        union all
        select a.row, 2, 1, 1, cast(:running as text), a.now, cast(:running_body as text), null, 0, a.running_crc,
            cast(cast(pg_current_xact_id() as text) as bigint)
        from asked as a
        join made as m on m.row = a.row
        where m.owner is not null
    ),
    {labelled}
    triggered as (
        update workflows as w
        set triggered_at = latest.at
        from (
            select workflow, max(created_at) as at
            from made
            group by workflow
        ) as latest
        where w.row = latest.workflow
            and w.row in (
                select row
                from workflows
                where row in (select workflow from made)
                for no key update skip locked
            )
    )
    select a.row, k.id, coalesce(i.version, k.version), m.owner is not null,
        case when k.snapshot = 0 then k.script else coalesce(v.script, k.script) end,
        case when k.snapshot = 0 then k.class_name else coalesce(v.class_name, k.class_name) end,
        v.step_limit
    from asked as a
    join kept as k on k.account = a.account and k.name = a.name
    left join made as m on m.row = a.row
    left join instances as i on i.row = a.row
    left join versions as v on v.id = k.version
    where m.row is not null
        or i.row is not null
    """,
    {
        "row": "bigint",
        "account": "text",
        "name": "text",
        "id": "text",
        "checked": "text",
        "trigger": "text",
        "now": "bigint",
        "kind": "text",
        "at": "bigint",
        "body": "text",
        "value": "text",
        "crc": "bigint",
        "worker": "bigint",
        "running_crc": "bigint",
    },
    {"labelled": _LABELLED},
)


class Numbers:
    """Row numbers of instances that are still to be made."""

    def __init__(self) -> None:
        self._free: deque[int] = deque()

    def of(self, connection: Connection, operations: Sequence[CreateInstance], rows: Rows) -> list[int]:
        """Return a number for each operation, that which it has in `rows`; else it gets one there."""
        new = [operation for operation in operations if id(operation) not in rows]
        if len(self._free) < len(new):
            self._free += [row for (row,) in every(connection, _RESERVE, (max(len(new), RESERVED),))]
        for operation in new:
            rows[id(operation)] = self._free.popleft()
        return [rows[id(operation)] for operation in operations]


class Starts:
    """Claims that are to get one of the instances that are created, each; `outcomes` are the answers to them."""

    def __init__(self, claims: Sequence[ClaimDue] = ()) -> None:
        self.claims = claims
        self.outcomes: list[object] = [Claims([], None) for _ in claims]
        self._free = deque(range(len(claims)))

    def lose(self, error: Exception) -> None:
        """Take note that it is not known what was claimed."""
        self.outcomes = [error for _ in self.claims]

    def next(self) -> int | None:
        """Return the place of the claim that the next instance is for; None: it is for whoever comes."""
        return self._free.popleft() if self._free else None

    def worker(self, place: int | None) -> int | None:
        """Return whose claim it is at a place."""
        return None if place is None else self.claims[place].worker


class _Made(NamedTuple):
    """What has become of a creation."""

    row: int
    workflow_id: str
    version: str
    has_started: bool
    script: str
    class_name: str
    step_limit: int | None


def create(
    connection: Connection,
    operations: Sequence[CreateInstance],
    rows: Sequence[int],
    starts: Starts,
    tidings: Tidings,
) -> list[InstanceRow | None]:
    """Create what can be, under these row numbers; return the rows, None for what is left to do alone.

    The first ones are for idle workers, if there are any.
    """
    places = [starts.next() for _ in operations]
    columns = [
        _columns(connection, operation, row, starts.worker(place))
        for operation, row, place in zip(operations, rows, places, strict=True)
    ]
    labels = _labels(operations, rows)
    statement, facts = CREATE.about(columns, *(["labelled"] if labels else []))
    asked: Values = (*facts, _RUNNING.kind, _RUNNING.body, *labels)
    made = {found[0]: _Made(*found) for found in every(connection, statement, asked)}
    answers: list[InstanceRow | None] = []
    for operation, row, place in zip(operations, rows, places, strict=True):
        if row not in made:
            answers.append(None)
            continue
        tidings.changed.add(row)
        tidings.created.append((operation.account, operation.workflow))
        if place is not None and made[row].has_started:
            starts.outcomes[place] = Claims([_first_turn(operation, made[row])], None)
        else:
            tidings.begun[row] = operation.now
        answers.append(new_row(operation, row, made[row].workflow_id, made[row].version))
    return answers


def _labels(operations: Sequence[CreateInstance], rows: Sequence[int]) -> Values:
    """Return the rows, names and values of all labels; nothing if there are none."""
    labels = [
        (row, *label) for operation, row in zip(operations, rows, strict=True) for label in operation.labels.items()
    ]
    return tuple(map(list, zip(*labels, strict=True)))


def _columns(connection: Connection, operation: CreateInstance, row: int, worker: int | None) -> Values:
    if connection.vault is not None:
        know(connection, row, operation.account)
    created_at = (row, 1, 0, 0)
    kind, at, body, value, _, _, crc, _ = new_record(connection, created_at, operation.record, 0, operation.id)[4:]
    named = (operation.account, operation.workflow, operation.id)
    created = (*named, operation.checked, operation.trigger, operation.now, kind, at, body, value, crc)
    return (row, *created, worker, new_record(connection, (row, 2, 1, 1), _running(operation), 0)[10])


def _running(operation: CreateInstance) -> RecordRow:
    return msgspec.structs.replace(_RUNNING, at=operation.now)


def _first_turn(operation: CreateInstance, made: _Made) -> Claim:
    records = (operation.record, _running(operation))
    return Claim(
        made.row,
        turn=1,
        n=1,
        account=operation.account,
        workflow=operation.workflow,
        id=operation.id,
        version=made.version,
        created_at=operation.now,
        lost_turns=0,
        script=made.script,
        class_name=made.class_name,
        step_limit=made.step_limit,
        history=[msgspec.structs.replace(record, seq=seq) for seq, record in enumerate(records, 1)],
        due_at=operation.now,
    )
