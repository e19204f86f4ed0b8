"""Creations of many instances in one statement.

An instance gets its row number before the statement, so that its first record, whose checksum covers that number, can
go with it. The number also tells, where the connection is lost, whether an instance that is there is the one that was
asked for. Whatever matches nothing here, no workflow, an id that is taken, another version, is left to the operation
itself, which says why.
"""

from collections import deque
from collections.abc import Sequence

from stepwell.store.operations import CreateInstance, InstanceRow
from stepwell.store.sql.records import new_record
from stepwell.store.sql.rows import Connection, Values, every
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
# The workflows are locked first, in the order of their numbers, as `locks.py` has it; the instances are added in the
# order of their ids: two processes that want the same ones do not wait for each other.
_CREATE = """
    with asked as (
        select *
        from unnest(
            cast(:rows as bigint[]), cast(:accounts as text[]), cast(:names as text[]), cast(:ids as text[]),
            cast(:checked as text[]), cast(:triggers as text[]), cast(:moments as bigint[]), cast(:kinds as text[]),
            cast(:ats as bigint[]), cast(:bodies as text[]), cast(:values as text[]), cast(:crcs as bigint[])
        ) as asked (row, account, name, id, checked, trigger, now, kind, at, body, value, crc)
    ),
    kept as materialized (
        select w.row, w.id, w.account, w.name, w.version, w.snapshot
        from workflows as w
        where (w.account, w.name) in (select account, name from asked)
        order by w.row
        for key share
    ),
    made as (
        insert into instances (
            row, account, workflow, id, version, snapshot, status, trigger, due_at, seq, created_at, modified_at, tx
        )
        overriding system value
        select a.row, a.account, k.row, a.id, k.version, k.snapshot, 'queued', a.trigger, a.now, 1, a.now, a.now,
            cast(cast(pg_current_xact_id() as text) as bigint)
        from asked as a
        join kept as k on k.account = a.account and k.name = a.name
        where a.checked is null
            or a.checked = k.version
        order by k.row, a.id
        on conflict do nothing
        returning row, workflow, created_at
    ),
    written as (
        insert into records (instance, seq, turn, n, kind, at, body, value, payload, size, crc, tx)
        select a.row, 1, 0, 0, a.kind, a.at, a.body, a.value, null, 0, a.crc,
            cast(cast(pg_current_xact_id() as text) as bigint)
        from asked as a
        join made as m on m.row = a.row
    ),
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
    select a.row, k.id, coalesce(i.version, k.version)
    from asked as a
    join kept as k on k.account = a.account and k.name = a.name
    left join instances as i on i.row = a.row
    where a.row in (select row from made)
        or i.row is not null
    """


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


def create(
    connection: Connection, operations: Sequence[CreateInstance], rows: Sequence[int], tidings: Tidings
) -> list[InstanceRow | None]:
    """Create what can be, under these row numbers; return the rows, None for what is left to do alone."""
    columns = [_columns(connection, operation, row) for operation, row in zip(operations, rows, strict=True)]
    lists = tuple(list(column) for column in zip(*columns, strict=True))
    made = {found[0]: found[1:] for found in every(connection, _CREATE, lists)}
    answers: list[InstanceRow | None] = []
    for operation, row in zip(operations, rows, strict=True):
        if row not in made:
            answers.append(None)
            continue
        workflow_id, version = made[row]
        tidings.changed.add(row)
        tidings.due(operation.now)
        answers.append(new_row(operation, row, workflow_id, version))
    return answers


def _columns(connection: Connection, operation: CreateInstance, row: int) -> Values:
    kind, at, body, value, _, _, crc, _ = new_record(connection, (row, 1, 0, 0), operation.record, 0)[4:]
    named = (operation.account, operation.workflow, operation.id)
    return (row, *named, operation.checked, operation.trigger, operation.now, kind, at, body, value, crc)
