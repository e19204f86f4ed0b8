"""The operations by which all instances of a workflow are terminated, bit by bit."""

import json

from stepwell.store.control_operations import (
    IsTerminating,
    ListTerminations,
    StartTermination,
    TerminateSome,
    TerminationPlace,
)
from stepwell.store.sql.control import end
from stepwell.store.sql.named import find_workflow
from stepwell.store.sql.rows import Connection, Statement, every, first
from stepwell.store.sql.shared_slots import lock_limits_of
from stepwell.store.sql.transaction import Transaction

# Those that are created later are not meant: under a steady stream of them it would never end.
_START = """
    insert into terminations (workflow, statuses, upto)
    select :workflow, :statuses, coalesce(max(row), 0)
    from instances
    where true
    on conflict do nothing
    returning workflow
    """
_FIND = """
    select statuses, upto
    from terminations
    where workflow = :workflow
    """
# Two hosts at it at once would wait for each other's rows, and find them terminated.
_TAKE = Statement(_FIND, postgres=f"{_FIND} for update skip locked")
_SOME = Statement(
    """
    select row
    from instances indexed by instances_by_status
    where workflow = :workflow
        and status in (select value from json_each(:statuses))
        and row <= :upto
    limit :limit
    """,
    postgres="""
    select row
    from instances
    where workflow = :workflow
        and status in (select json_array_elements_text(cast(:statuses as json)))
        and row <= :upto
    limit :limit
    """,
)
_FORGET = """
    delete from terminations
    where workflow = :workflow
    """
_ALL = """
    select w.account, w.name
    from terminations as t
    join workflows as w on w.row = t.workflow
    order by w.account, w.name
    """


def start_termination(transaction: Transaction, operation: StartTermination) -> bool:
    """Do StartTermination."""
    workflow = find_workflow(transaction.connection, operation.account, operation.workflow).row
    return first(transaction.connection, _START, (workflow, json.dumps(operation.statuses))) is not None


def terminate_some(transaction: Transaction, operation: TerminateSome) -> bool:
    """Do TerminateSome."""
    workflow = find_workflow(transaction.connection, operation.account, operation.workflow).row
    found = first(transaction.connection, _TAKE, (workflow,))
    if found is None:
        return False
    some = every(transaction.connection, _SOME, (workflow, *found, operation.limit))
    # In the order in which other transactions lock them; and who awaits whom among them hears the same everywhere.
    rows = sorted(row for (row,) in some)
    lock_limits_of(transaction, rows)
    end(transaction, rows, operation.record)
    if len(some) == operation.limit:
        return True
    transaction.execute(_FORGET, (workflow,))
    return False


def list_terminations(connection: Connection, operation: ListTerminations) -> list[TerminationPlace]:  # noqa: ARG001 - it asks for all
    """Do ListTerminations."""
    return [TerminationPlace(*columns) for columns in every(connection, _ALL)]


def is_terminating(connection: Connection, operation: IsTerminating) -> bool:
    """Do IsTerminating."""
    workflow = find_workflow(connection, operation.account, operation.workflow).row
    return first(connection, _FIND, (workflow,)) is not None
