"""The deletion of what has expired in one statement: a host does it all day, between what others write.

Where one of the instances is larger than the bounds by itself, or has slots that steps share, whose limit is to be
locked first, nothing is done, and the operation itself does it.
"""

import json

from stepwell.store.retention_operations import DeleteExpired
from stepwell.store.sql.rows import Connection, only
from stepwell.store.sql.transaction import Tidings

_DELETE = """
    with may as materialized (
        select pg_try_advisory_xact_lock(hashtext('stepwell purge'), hashtext(current_schema())) as purge
    ),
    ended as materialized (
        select i.row, i.workflow, i.status, i.seq + i.log_n as rows,
            case when i.seq + i.log_n <= cast(:rows as bigint) then (
                select coalesce(sum(r.size), 0)
                from records as r
                where r.instance = i.row
            ) end as size
        from json_array_elements(cast(:instances as json)) as asked
        join instances as i on i.row = cast(asked ->> 0 as bigint)
        where i.seq = cast(asked ->> 1 as bigint)
            and i.ended_at is not null
            and i.workflow in (select row from workflows)
            and (select purge from may)
        order by i.row
        for update of i skip locked
    ),
    large as (
        select row
        from ended
        where size is null
            or size > cast(:size as bigint)
        union all
        select instance
        from shared_slots
        where instance in (select row from ended)
    ),
    summed as (
        select row, sum(rows) over (order by row) as rows, sum(size) over (order by row) as size
        from ended
        where not exists (select 1 from large)
    ),
    these as materialized (
        select row
        from summed
        where rows <= cast(:rows as bigint)
            and size <= cast(:size as bigint)
    ),
    counted as (
        insert into ended_counts (workflow, status, host, n)
        select workflow, status, cast(current_setting('stepwell.host') as bigint), - count(*)
        from ended
        where row in (select row from these)
        group by workflow, status
        order by workflow, status
        on conflict (workflow, status, host) do update set n = ended_counts.n + excluded.n
    ),
    payloads_gone as (
        delete from payloads
        where row = any(array(
            select payload
            from records
            where instance = any(array(select row from these))
                and payload is not null
        ))
    ),
    records_gone as (
        delete from records
        where instance = any(array(select row from these))
    ),
    lines_gone as (
        delete from log_lines
        where instance = any(array(select row from these))
    ),
    notes_gone as (
        delete from notes
        where instance = any(array(select row from these))
    ),
    labels_gone as (
        delete from labels
        where instance = any(array(select row from these))
    ),
    traces_gone as (
        delete from traces
        where instance = any(array(select row from these))
    ),
    errors_gone as (
        delete from errors
        where instance = any(array(select row from these))
    ),
    dropped as (
        update streams
        set instance = 0
        where instance = any(array(select row from these))
        returning row
    ),
    links_gone as (
        delete from children
        where child = any(array(select row from these))
            or parent = any(array(select row from these))
    ),
    gone as (
        delete from instances
        where row = any(array(select row from these))
        returning row
    )
    select exists (select 1 from large), array(select row from gone), exists (select 1 from dropped)
    """


def delete_expired(connection: Connection, operation: DeleteExpired, tidings: Tidings) -> int | None:
    """Do DeleteExpired; None: nothing was done, and the operation itself has to."""
    asked = (operation.rows, json.dumps(operation.instances), operation.size)
    has_large, gone, has_dropped = only(connection, _DELETE, asked)
    if has_large:
        return None
    tidings.changed.update(gone)
    tidings.has_rubbish = tidings.has_rubbish or has_dropped
    return len(gone)
