"""The instance that an operation from outside is about."""

from typing import NamedTuple

import apsw

from stepwell.errors import InstanceNotFound
from stepwell.store.operations import InstanceRow
from stepwell.store.sqlite_rows import first, only
from stepwell.store.sqlite_transaction import Transaction
from stepwell.store.sqlite_workflows import find_workflow

INSTANCE_COLUMNS = """
    i.row, w.account, w.name, w.id, i.id, i.version, i.status, i.trigger, i.step_count, i.seq, i.turn,
    i.due_at, i.created_at, i.modified_at, i.started_at, i.ended_at, i.renewed_at, i.restarted_seq, i.has_rollbacks
    """
INSTANCE = f"""
    select {INSTANCE_COLUMNS}
    from workflows as w
    join instances as i on i.workflow = w.row
    where w.account = :account
        and w.name = :workflow
        and i.id = :id
    """
_TARGET = """
    select i.row, i.seq, i.turn, i.owner, i.status, i.due_at, i.ended_at, i.restarted_seq, i.has_rollbacks, i.logged,
        w.version
    from workflows as w
    join instances as i on i.workflow = w.row
    where w.account = :account
        and w.name = :workflow
        and i.id = :id
    """


class Target(NamedTuple):
    """What is asked of an instance before something is done to it; `newest` is its workflow's newest version."""

    row: int
    seq: int
    turn: int
    owner: int | None
    status: str
    due_at: int | None
    ended_at: int | None
    restarted_seq: int
    has_rollbacks: int
    logged: int
    newest: str


def find_target(transaction: Transaction, account: str, workflow: str, id: str) -> Target:
    """Return an instance. Raises WorkflowNotFound or InstanceNotFound."""
    found = first(transaction.connection, _TARGET, (account, workflow, id))
    if found is None:
        find_workflow(transaction.connection, account, workflow)
        raise InstanceNotFound(workflow, id)
    return Target(*found)


def instance_row(connection: apsw.Connection, account: str, workflow: str, id: str) -> InstanceRow:
    """Return an instance that is there."""
    return InstanceRow(*only(connection, INSTANCE, (account, workflow, id)))
