"""Claims in two statements, each a transaction of its own: one looks what is due, one takes it.

What is taken is what is still as it was seen; so it is exact, and another process that was faster costs a look. Where
that happens, and where a worker was lost, the operation itself does it: it locks what it looks at, and passes over what
others have locked.
"""

from collections.abc import Sequence

import msgspec

from stepwell.core.records import Running
from stepwell.store import codec
from stepwell.store.operations import SHORT_HISTORY, ClaimDue, Claims, RecordRow
from stepwell.store.sql.records import RECORD_COLUMNS, new_record, whole_histories
from stepwell.store.sql.rows import Connection, Row, every
from stepwell.store.sql.transaction import Tidings
from stepwell.store.sql.turns import CLAIMED, Due, Room, to_claim

# What is due, and one row of what is due next. No row at all: the worker's lease has been ended.
_LOOK = f"""
    with mine as not materialized (
        select i.*
        from instances as i
        where i.snapshot = :snapshot
            and i.due_at is not null
            and i.lost_turns < :too_often
            and i.workflow not in (select row from deleted_workflows)
    ),
    found as (
        (select * from mine where due_at <= :now order by due_at limit :limit)
        union all
        (select * from mine where due_at > :now order by due_at limit 1)
    )
    select
        exists (
            select 1
            from leases as holder
            join instances as held on held.owner = holder.row
            where holder.lease_until <= :now
                and holder.row <> :worker
                and held.snapshot = :snapshot
        ),
        i.due_at,
        {CLAIMED}
    from workers as claimer
    left join (
        found as i
        join workflows as w on w.row = i.workflow
        left join versions as v on v.id = i.version
    ) on true
    where claimer.row = :worker
        and claimer.lease_until > 0
    order by i.due_at, i.row
    """
_RECORD = ", ".join(f"r.{column}" for column in RECORD_COLUMNS.split(", "))
_TAKE = f"""
    with asked as (
        select *
        from unnest(
            cast(:rows as bigint[]), cast(:turns as bigint[]), cast(:seqs as bigint[])
        ) as asked (row, turn, seq)
    ),
    locked as materialized (
        select a.*
        from asked as a
        join instances as i on i.row = a.row
        order by a.row
        for no key update of i skip locked
    ),
    taken as (
        update instances as i
        set turn = i.turn + 1,
            n = 1,
            seq = i.seq + 1,
            owner = :worker,
            due_at = null,
            status = case when i.status in ('waitingForPause', 'rollingBack') then i.status else 'running' end,
            started_at = coalesce(i.started_at, :now),
            modified_at = :now,
            tx = cast(cast(pg_current_xact_id() as text) as bigint)
        from locked as a
        where i.row = a.row
            and i.turn = a.turn
            and i.seq = a.seq
            and i.owner is null
            and i.due_at is not null
            and i.snapshot = :snapshot
            and i.workflow not in (select row from deleted_workflows)
            and exists (select 1 from workers where row = :worker and lease_until > 0)
        returning i.row
    ),
    written as (
        insert into records (instance, seq, turn, n, kind, at, body, value, payload, size, crc, tx)
        select r.instance, r.seq, r.turn, 1, r.kind, r.at, r.body, null, null, 0, r.crc,
            cast(cast(pg_current_xact_id() as text) as bigint)
        from unnest(
            cast(:r_instances as bigint[]), cast(:r_seqs as bigint[]), cast(:r_turns as bigint[]),
            cast(:r_kinds as text[]), cast(:r_ats as bigint[]), cast(:r_bodies as text[]), cast(:r_crcs as bigint[])
        ) as r (instance, seq, turn, kind, at, body, crc)
        join taken as t on t.row = r.instance
    )
    select t.row, {_RECORD}
    from taken as t
    left join records as r on r.instance = t.row and t.row = any(cast(:short as bigint[]))
    order by t.row, r.seq
    """


def look(connection: Connection, operation: ClaimDue) -> list[Row]:
    """Look what is due for a worker."""
    too_often = Room(operation.suspects).too_often
    # One more than is wanted is what is due next.
    asked = (operation.snapshot, too_often, operation.now, operation.limit + 1, operation.worker)
    return every(connection, _LOOK, asked)


def take(connection: Connection, operation: ClaimDue, found: Sequence[Row], tidings: Tidings) -> Claims | None:
    """Take what was found; None: nothing was taken, as somebody has lost turns, or was faster."""
    if not found:
        return Claims([], None)
    moments = [columns[1] for columns in found if columns[1] is not None]
    count = min(sum(moment <= operation.now for moment in moments), operation.limit)
    due = [Due(*columns[2:]) for columns in found[:count]]
    if found[0][0] or any(one.losses for one in due):
        return None
    next_due_at = moments[count] if len(moments) > count else None
    if not due:
        return Claims([], next_due_at)
    taken = _take(connection, operation, due)
    if not taken:
        return None
    tidings.changed |= taken.keys()
    claims = [to_claim(one, taken[one.row]) for one in due if one.row in taken]
    return Claims(claims, next_due_at if len(claims) == count else operation.now)


def _take(connection: Connection, operation: ClaimDue, due: Sequence[Due]) -> dict[int, list[RecordRow] | None]:
    """Take what is as it was seen; return the histories of what was taken, by row, None of those that are long."""
    running = codec.to_row(Running(operation.now, lost=False))
    short = {one.row: one.seq for one in due if one.seq < SHORT_HISTORY}
    new = [new_record(connection, (one.row, one.seq + 1, one.turn + 1, 1), running, 0) for one in due]
    columns = [(record[0], record[1], record[2], record[4], record[5], record[6], record[10]) for record in new]
    asked = ([one.row for one in due], [one.turn for one in due], [one.seq for one in due])
    records = tuple(list(column) for column in zip(*columns, strict=True))
    rows = every(
        connection, _TAKE, (*asked, operation.worker, operation.now, operation.snapshot, *records, list(short))
    )
    taken = {columns[0] for columns in rows}
    ends = {row: seq for row, seq in short.items() if row in taken}
    known = whole_histories((columns[1:] for columns in rows if columns[1] is not None), ends)
    return {row: _with(known.get(row), running, ends.get(row, 0) + 1) for row in taken}


def _with(history: Sequence[RecordRow] | None, running: RecordRow, seq: int) -> list[RecordRow] | None:
    return None if history is None else [*history, msgspec.structs.replace(running, seq=seq)]
