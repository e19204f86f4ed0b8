"""A claim in one statement, which is a transaction of its own.

It takes what is due and records it. The record's checksum is made by the database, as its row number, seq and turn are
known only there. Where a worker or a turn was lost, or a slot is needed, it takes nothing, and the operation itself
does it.
"""

from collections.abc import Sequence

import msgspec

from stepwell.core.records import Running
from stepwell.store import codec
from stepwell.store.operations import SHORT_HISTORY, ClaimDue, Claims, RecordRow
from stepwell.store.sql.records import RECORD_COLUMNS, whole_histories
from stepwell.store.sql.rows import Connection, Row, every
from stepwell.store.sql.transaction import Tidings
from stepwell.store.sql.turns import CLAIMED, Due, Room, to_claim

_RECORD = ", ".join(f"r.{column}" for column in RECORD_COLUMNS.split(", "))
# As `sql/records.py` has it: all columns up to `size`, of which `value` and `payload` are null.
_CHECKSUM = """cast(cast('x' || left(encode(sha256(convert_to(
                concat_ws(
                    ',', t.row, t.seq + 1, t.turn + 1, 1, cast(:kind as text), :now, cast(:body as text), '', '', 0
                ), 'UTF8'
            )), 'hex'), 8) as bit(32)) as bigint)"""
# Rows that another process is about to claim are passed over. The answer has a row at least, which says whether
# something was lost and what is due next; it has none where the worker's lease is over, or that of its host.
_TAKE = f"""
    with lost as materialized (
        select 1
        from leases as holder
        join instances as held on held.owner = holder.row
        where holder.lease_until <= :now
            and holder.row <> :worker
            and held.snapshot = :snapshot
        limit 1
    ),
    due as materialized (
        select i.row, i.due_at, i.lost_turns > 0
                or (i.slot = 0 and exists (select 1 from gates as g where g.workflow = i.workflow)) as is_special
        from instances as i
        where i.snapshot = :snapshot
            and i.due_at <= :now
            and i.lost_turns < :too_often
            and i.workflow not in (select row from deleted_workflows)
            and exists (select 1 from leases where row = :worker and lease_until > 0)
            and not exists (select 1 from lost)
        order by i.due_at
        limit :limit
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
        from due as d
        where i.row = d.row
            and not exists (select 1 from due where is_special)
        returning i.row, i.turn - 1 as turn, i.seq - 1 as seq, cast(null as bigint) as owner, i.lost_turns, i.workflow,
            i.slot, i.id, i.version, i.snapshot, i.created_at, i.logged, i.log_n, d.due_at as since
    ),
    written as (
        insert into records (instance, seq, turn, n, kind, at, body, value, payload, size, crc, tx)
        select t.row, t.seq + 1, t.turn + 1, 1, cast(:kind as text), :now, cast(:body as text), null, null, 0,
            {_CHECKSUM},
            cast(cast(pg_current_xact_id() as text) as bigint)
        from taken as t
    )
    select
        exists (select 1 from lost) or exists (select 1 from due where is_special),
        (
            select next.due_at
            from instances as next
            where next.snapshot = :snapshot
                and next.due_at is not null
                and next.lost_turns < :too_often
                and next.workflow not in (select row from deleted_workflows)
                and next.row not in (select row from taken)
            order by next.due_at
            limit 1
        ),
        {CLAIMED},
        i.since,
        {_RECORD}
    from leases as claimer
    left join (
        taken as i
        join workflows as w on w.row = i.workflow
        left join versions as v on v.id = i.version
        left join records as r on r.instance = i.row and i.seq < :short
    ) on true
    where claimer.row = :worker
        and claimer.lease_until > 0
    order by i.since, i.row, r.seq
    """
_FACTS = len(Due._fields)


def take(connection: Connection, operation: ClaimDue, tidings: Tidings) -> Claims | None:
    """Take what is due for a worker; None: nothing was taken, as one has lost turns, or needs a slot."""
    if not operation.limit:
        return Claims([], None)
    running = codec.to_row(Running(operation.now, lost=False))
    worker, now, snapshot = operation.worker, operation.now, operation.snapshot
    asked = (now, worker, snapshot, Room(operation.suspects).too_often, operation.limit, running.kind, running.body)
    found = every(connection, _TAKE, (*asked, SHORT_HISTORY))
    if not found:
        return Claims([], None)
    is_special, next_due_at = found[0][:2]
    if is_special:
        return None
    rows = [columns[2:] for columns in found if columns[2] is not None]
    due = {columns[0]: Due(*columns[:_FACTS]) for columns in rows}
    tidings.went_on |= due.keys()
    known = _histories(connection, due, [columns[_FACTS:] for columns in rows], running)
    return Claims([to_claim(one, known.get(one.row)) for one in due.values()], next_due_at)


def _histories(
    connection: Connection, due: dict[int, Due], records: Sequence[Row], running: RecordRow
) -> dict[int, list[RecordRow]]:
    """Return the short histories of what was taken, with the record of the claim, which a statement cannot see."""
    ends = {row: one.seq for row, one in due.items() if one.seq < SHORT_HISTORY}
    known = whole_histories(connection, (columns for columns in records if columns[0] is not None), ends)
    return {row: [*history, msgspec.structs.replace(running, seq=ends[row] + 1)] for row, history in known.items()}
