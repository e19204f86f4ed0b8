"""Gates and their queues, as people are shown them."""

from stepwell.store.flow_operations import GateRow, Gates, ListGates, QueueRow
from stepwell.store.sql.gates import limit_of
from stepwell.store.sql.named import find_workflow
from stepwell.store.sql.rows import Connection, every
from stepwell.store.sql.shared_slots import list_shared

_GATES = """
    select g.workflow, w.name, g.limits, g.most, g.held, g.queued
    from gates as g
    join workflows as w on w.row = g.workflow
    where g.account = :account
        and coalesce(w.name = cast(:name as text), true)
    order by w.name
    """
_QUEUES = """
    select q.key, q.held, (
            select count(*)
            from (
                select 1
                from instances as i
                where i.workflow = q.workflow
                    and i.key = q.key
                    and i.queued_at is not null
                limit :most
            ) as waiting
        ), (
            select case when i.queued_at > 0 then i.queued_at + i.bias end
            from instances as i
            where i.workflow = q.workflow
                and i.key = q.key
                and i.queued_at is not null
            order by i.queued_at
            limit 1
        )
    from queues as q
    where q.workflow = :workflow
    order by q.served, q.key
    limit :limit
    """


def list_gates(connection: Connection, operation: ListGates) -> Gates:
    """Do ListGates."""
    if operation.workflow is not None:
        find_workflow(connection, operation.account, operation.workflow)
    gates = []
    for row, *columns in every(connection, _GATES, (operation.account, operation.workflow)):
        name, limits, most, held, queued = columns
        found = every(connection, _QUEUES, (operation.most, row, operation.queues))
        gates.append(GateRow(name, limits, most, held, queued, [QueueRow(*queue) for queue in found]))
    shared = [] if operation.workflow else list_shared(connection, operation.account, operation.most)
    return Gates(limit_of(connection, operation.account), gates, shared)
