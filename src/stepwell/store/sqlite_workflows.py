"""The operations on workflows and their versions."""

from typing import NamedTuple

import apsw

from stepwell.errors import WorkflowNotFound
from stepwell.store.operations import (
    GetParamsSchema,
    GetWorkflow,
    ListWorkflows,
    ParamsSchema,
    RegisterWorkflow,
    WorkflowRow,
    Workflows,
)
from stepwell.store.sqlite_rows import every, first, only
from stepwell.store.sqlite_transaction import Transaction

_COLUMNS = "row, id, account, name, script, class_name, version, created_at, modified_at, triggered_at"
_WORKFLOW = f"""
    select {_COLUMNS}
    from workflows
    where account = :account
        and name = :name
    """
_PAGE = f"""
    select {_COLUMNS}
    from workflows
    where account = :account
        and name like :pattern escape '\\'
    order by name
    limit :limit
    offset :offset
    """
_TOTAL = """
    select count(*)
    from workflows
    where account = :account
        and name like :pattern escape '\\'
    """
_COUNTS = """
    select status, count(*)
    from instances
    where workflow = :workflow
    group by status
    """
_INSERT = """
    insert into workflows (id, account, name, script, class_name, version, created_at, modified_at)
    values (:id, :account, :name, :script, :class_name, :version, :now, :now)
    returning row
    """
_UPDATE = """
    update workflows
    set script = :script,
        class_name = :class_name,
        version = :version,
        modified_at = :now
    where row = :row
    """
_VERSION_HASH = """
    select sha256
    from versions
    where id = :version
    """
_INSERT_VERSION = """
    insert into versions (id, account, workflow, script, class_name, sha256, created_at, params_schema)
    values (:id, :account, :workflow, :script, :class_name, :sha256, :now, :params_schema)
    """
_SCHEMA = """
    select params_schema
    from versions
    where id = :version
    """
# The same source can make another schema: with other packages beside it.
_RENEW_SCHEMA = """
    update versions
    set params_schema = :params_schema
    where id = :version
        and params_schema is not :params_schema
    """


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


def find_workflow(connection: apsw.Connection, account: str, name: str) -> Workflow:
    """Return a workflow. Raises WorkflowNotFound."""
    columns = first(connection, _WORKFLOW, (account, name))
    if columns is None:
        raise WorkflowNotFound(name)
    return Workflow(*columns)


def get_workflow(connection: apsw.Connection, operation: GetWorkflow) -> WorkflowRow:
    """Do GetWorkflow."""
    return _with_counts(connection, find_workflow(connection, operation.account, operation.name))


def get_params_schema(connection: apsw.Connection, operation: GetParamsSchema) -> ParamsSchema:
    """Do GetParamsSchema."""
    version = find_workflow(connection, operation.account, operation.name).version
    (schema,) = only(connection, _SCHEMA, (version,))
    return ParamsSchema(version, schema)


def list_workflows(connection: apsw.Connection, operation: ListWorkflows) -> Workflows:
    """Do ListWorkflows."""
    account, pattern = operation.account, _pattern(operation.search)
    page = every(connection, _PAGE, (account, pattern, operation.limit, operation.offset))
    (total,) = only(connection, _TOTAL, (account, pattern))
    return Workflows([_with_counts(connection, Workflow(*columns)) for columns in page], total)


def register_workflow(transaction: Transaction, operation: RegisterWorkflow) -> WorkflowRow:
    """Do RegisterWorkflow."""
    columns = first(transaction.connection, _WORKFLOW, (operation.account, operation.name))
    if columns is None:
        _add(transaction, operation)
    else:
        _renew(transaction, operation, Workflow(*columns))
    return _with_counts(
        transaction.connection, find_workflow(transaction.connection, operation.account, operation.name)
    )


def _add(transaction: Transaction, operation: RegisterWorkflow) -> None:
    named = (operation.workflow_id, operation.account, operation.name)
    source = (operation.script, operation.class_name, operation.version_id)
    (row,) = only(transaction.connection, _INSERT, (*named, *source, operation.now))
    _add_version(transaction, operation, row)


def _renew(transaction: Transaction, operation: RegisterWorkflow, workflow: Workflow) -> None:
    (newest,) = only(transaction.connection, _VERSION_HASH, (workflow.version,))
    if newest != operation.sha256:
        source = (operation.script, operation.class_name, operation.version_id)
        transaction.execute(_UPDATE, (*source, operation.now, workflow.row))
        _add_version(transaction, operation, workflow.row)
    else:
        transaction.execute(_RENEW_SCHEMA, (operation.params_schema, workflow.version))


def _add_version(transaction: Transaction, operation: RegisterWorkflow, row: int) -> None:
    source = (operation.script, operation.class_name, operation.sha256)
    values = (operation.version_id, operation.account, row, *source, operation.now, operation.params_schema)
    transaction.execute(_INSERT_VERSION, values)


def _with_counts(connection: apsw.Connection, workflow: Workflow) -> WorkflowRow:
    counts: dict[str, int] = dict(every(connection, _COUNTS, (workflow.row,)))
    return WorkflowRow(
        workflow.id,
        workflow.account,
        workflow.name,
        workflow.script,
        workflow.class_name,
        workflow.version,
        workflow.created_at,
        workflow.modified_at,
        workflow.triggered_at,
        counts,
    )


def _pattern(search: str | None) -> str:
    """Return the pattern that finds a text anywhere in a name; `%` and `_` in it stand for themselves."""
    part = (search or "").replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{part}%"
