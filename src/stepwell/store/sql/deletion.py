"""The operations that delete workflows, and what they leave.

A deleted workflow's row is taken from among the workflows in one transaction, so that no statement finds its instances
any more. The rows of these are deleted bit by bit behind it.
"""

from stepwell.core.records import Terminated
from stepwell.store import codec
from stepwell.store.sql.children import tell_parents, unlink
from stepwell.store.sql.control import end
from stepwell.store.sql.expressions import delete_schedules
from stepwell.store.sql.gates import forget_gate
from stepwell.store.sql.named import find_workflow
from stepwell.store.sql.rows import Connection, Statement, every, first, only
from stepwell.store.sql.shared_slots import forget_places
from stepwell.store.sql.streams import drop_streams, purge_streams
from stepwell.store.sql.transaction import Transaction
from stepwell.store.workflow_operations import DeleteWorkflow, PurgeDeleted

# By the index of those that are held: workers hold hundreds, a workflow may have millions.
_HELD = Statement(
    """
    select row, owner
    from instances indexed by instances_held
    where owner is not null
        and workflow = :workflow
    """,
    postgres="""
    select row, owner
    from instances
    where owner is not null
        and workflow = :workflow
    order by row
    for update
    """,
)
# Raising the turn fences out whoever holds one, before its row is gone as after it.
_TAKE_AWAY = """
    update instances indexed by instances_held
    set owner = null,
        turn = turn + 1
    where owner is not null
        and workflow = :workflow
    """
_DELETE_WORKFLOW = """
    delete from workflows
    where row = :row
    """
# By the children: there are fewer of them than instances, of which a workflow may have millions. Each of them once,
# however many await it: all of those are told then.
_AWAITED = """
    select distinct i.row
    from children as c
    cross join instances as i on i.row = c.child
    where i.workflow = :workflow
        and i.ended_at is null
    order by i.row
    """
# Its own go with it.
_FOLLOWERS = """
    select c.child
    from children as c
    cross join instances as p on p.row = c.parent
    join instances as i on i.row = c.child
    where p.workflow = :workflow
        and c.follows = 1
        and i.workflow <> :workflow
        and i.ended_at is null
        and i.workflow not in (
            select row
            from deleted_workflows
        )
    order by c.child
    """
_FORGET_TERMINATION = """
    delete from terminations
    where workflow = :row
    """
_REMEMBER = """
    insert into deleted_workflows (row)
    values (:row)
    """
# One process at a time, where there are several: the others would wait for its rows, and find nothing.
_MAY_PURGE = Statement(
    "select true",
    postgres="select pg_try_advisory_xact_lock(hashtext('stepwell purge'), hashtext(current_schema()))",
)
ARE_DELETED = """
    select exists (
        select 1
        from deleted_workflows
    )
    """
_NEXT_WORKFLOW = """
    select row
    from deleted_workflows
    order by row
    limit 1
    """
_SOME_INSTANCES = """
    select row
    from instances
    where workflow = :workflow
    limit :limit
    """
_SOME_RECORDS = """
    select seq, payload, size
    from records
    where instance = :instance
    order by seq
    limit :limit
    """
_DELETE_PAYLOAD = """
    delete from payloads
    where row = :payload
    """
_DELETE_RECORDS = """
    delete from records
    where instance = :instance
        and seq <= :seq
    """
_DELETE_LINES = """
    delete from log_lines
    where instance = :instance
        and n < (select min(n) from log_lines where instance = :instance) + :limit
    """
_DELETE_NOTES = """
    delete from notes
    where instance = :instance
    """
_DELETE_LABELS = """
    delete from labels
    where instance = :instance
    """
_DELETE_ERROR = """
    delete from errors
    where instance = :instance
    """
_DELETE_TRACE = """
    delete from traces
    where instance = :instance
    """
_DELETE_INSTANCE = """
    delete from instances
    where row = :instance
    """
_DELETE_VERSIONS = """
    delete from versions
    where workflow = :workflow
    """
# Not with the workflow: somebody else may be ending an instance of it, and counts it then.
_FORGET_COUNTS = """
    delete from ended_counts
    where workflow = :workflow
    """
_FORGET = """
    delete from deleted_workflows
    where row = :workflow
    """


def delete_workflow(transaction: Transaction, operation: DeleteWorkflow) -> None:
    """Do DeleteWorkflow."""
    workflow = find_workflow(transaction.connection, operation.account, operation.name)
    row = workflow.row
    # First: a firing locks its schedule before the workflow, too.
    delete_schedules(transaction, row)
    for instance, owner in every(transaction.connection, _HELD, (row,)):
        transaction.tidings.tell(owner, instance)
    transaction.tidings.changed.add(workflow.id)
    transaction.execute(_TAKE_AWAY, (row,))
    transaction.execute(_DELETE_WORKFLOW, (row,))
    forget_gate(transaction, operation.account, row, operation.now)
    transaction.execute(_FORGET_TERMINATION, (row,))
    transaction.execute(_REMEMBER, (row,))
    transaction.tidings.has_rubbish = True
    # Parents in the workflow itself are gone by now.
    for (instance,) in every(transaction.connection, _AWAITED, (row,)):
        tell_parents(transaction, instance, None, operation.now)
    followers = [child for (child,) in every(transaction.connection, _FOLLOWERS, (row,))]
    end(transaction, followers, codec.to_row(Terminated(operation.now, "api")))


def may_purge(connection: Connection) -> bool:
    """Tell whether this process may delete rows that nothing finds any more: no other one is at it."""
    return bool(only(connection, _MAY_PURGE)[0])


def purge_deleted(transaction: Transaction, operation: PurgeDeleted) -> bool:
    """Do PurgeDeleted."""
    if not may_purge(transaction.connection):
        return False
    # What the same transaction has appended to a history is to go too.
    transaction.flush()
    budget = Budget(operation)
    return _purge_workflows(transaction, budget) or purge_streams(transaction, budget.rows, budget.size)


def _purge_workflows(transaction: Transaction, budget: "Budget") -> bool:
    """Delete what deleted workflows have left, as far as the budget goes; tell whether there is more."""
    while (found := first(transaction.connection, _NEXT_WORKFLOW)) is not None:
        workflow: int = found[0]
        for (instance,) in every(transaction.connection, _SOME_INSTANCES, (workflow, budget.instances + 1)):
            if budget.is_spent or not purge_instance(transaction, instance, budget):
                return True
            budget.instances -= 1
        transaction.execute(_DELETE_VERSIONS, (workflow,))
        transaction.execute(_FORGET_COUNTS, (workflow,))
        transaction.execute(_FORGET, (workflow,))
    return False


class Budget:
    """How much may still be deleted in a transaction."""

    def __init__(self, operation: PurgeDeleted) -> None:
        self.instances = operation.instances
        self.rows = operation.rows
        self.size = operation.size

    @property
    def is_spent(self) -> bool:
        """Tell whether nothing more may be deleted."""
        return min(self.instances, self.rows, self.size) <= 0


def purge_instance(transaction: Transaction, instance: int, budget: Budget) -> bool:
    """Delete an instance with all that is its, as far as the budget goes; tell whether it is gone."""
    while not budget.is_spent:
        last = _cut(transaction, instance, budget)
        if last is None:
            break
        transaction.execute(_DELETE_RECORDS, (instance, last))
    while not budget.is_spent:
        transaction.execute(_DELETE_LINES, (instance, budget.rows))
        count = transaction.connection.changes()
        budget.rows -= count
        if count == 0:
            break
    if budget.is_spent:
        return False
    for of_instance in (_DELETE_NOTES, _DELETE_LABELS, _DELETE_ERROR, _DELETE_TRACE):
        transaction.execute(of_instance, (instance,))
    forget_places(transaction, instance)
    drop_streams(transaction, instance)
    unlink(transaction, instance)
    transaction.execute(_DELETE_INSTANCE, (instance,))
    return True


def _cut(transaction: Transaction, instance: int, budget: Budget) -> int | None:
    """Delete the values of the next records, as far as the budget goes; return the last seq, None: none is left."""
    last = None
    for seq, payload, size in every(transaction.connection, _SOME_RECORDS, (instance, budget.rows)):
        if budget.is_spent:
            break
        if payload is not None:
            transaction.execute(_DELETE_PAYLOAD, (payload,))
            budget.size -= size
        budget.rows -= 1
        last = seq
    return last
