"""Workflows by their account and name."""

from typing import NamedTuple

from stepwell.errors import WorkflowNotFound
from stepwell.store.sql.rows import Connection, Statement, first
from stepwell.store.sql.transaction import Transaction

COLUMNS = "row, id, account, name, script, class_name, version, created_at, modified_at, triggered_at, snapshot"
_WORKFLOW = f"""
    select {COLUMNS}
    from workflows
    where account = :account
        and name = :name
    """
# Nobody deletes it until the transaction has ended, in which it gets an instance.
_KEPT = Statement(_WORKFLOW, postgres=f"{_WORKFLOW} for key share")


class Workflow(NamedTuple):
    """A workflow as it is stored."""

    row: int
    id: str
    account: str
    name: str
    script: str
    class_name: str
    version: str
    created_at: int
    modified_at: int
    triggered_at: int | None
    # On which its new instances run.
    snapshot: int


def find_workflow(connection: Connection, account: str, name: str) -> Workflow:
    """Return a workflow. Raises WorkflowNotFound."""
    workflow = find_workflow_or_none(connection, account, name)
    if workflow is None:
        raise WorkflowNotFound(name)
    return workflow


def keep_workflow(transaction: Transaction, account: str, name: str) -> Workflow:
    """Return a workflow that is to get an instance. Raises WorkflowNotFound."""
    columns = first(transaction.connection, _KEPT, (account, name))
    if columns is None:
        raise WorkflowNotFound(name)
    return Workflow(*columns)


def find_workflow_or_none(connection: Connection, account: str, name: str) -> Workflow | None:
    """Return a workflow, or None."""
    columns = first(connection, _WORKFLOW, (account, name))
    return None if columns is None else Workflow(*columns)
