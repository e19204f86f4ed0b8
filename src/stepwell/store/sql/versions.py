"""The operations that make and show versions of workflows."""

from stepwell.errors import InvalidInput, UnknownScript, VersionNotFound, WorkflowBelongs
from stepwell.store.code_graph import CodeGraph
from stepwell.store.operations import WorkflowRow
from stepwell.store.snapshot_operations import Snapshot
from stepwell.store.sql.gates import refuse_more_than_the_account
from stepwell.store.sql.named import find_workflow, find_workflow_or_none
from stepwell.store.sql.rows import Connection, Row, Statement, every, first, only
from stepwell.store.sql.transaction import Transaction
from stepwell.store.sql.workflows import Code, NewVersion, code_of, put_version, read_written, to_settings
from stepwell.store.workflow_operations import (
    GetGraph,
    GetVersion,
    GetVersionCode,
    ListVersions,
    PutWorkflow,
    VersionCode,
    VersionGraph,
    VersionRow,
    Versions,
)

_CLASSES = """
    select class_name, sha256, params_schema, snapshot, flow
    from scripts
    where account = :account
        and name = :script
    order by class_name
    """
_SCRIPTS = """
    select distinct name
    from scripts
    where account = :account
    order by name
    limit 20
    """
_SCHEDULES_OF_OTHERS = """
    select coalesce(sum(json_array_length({schedules})), 0)
    from workflows as w
    join versions as v on v.id = w.version
    where w.account = :account
        and w.name <> :name
    """
_COUNT_SCHEDULES = Statement(
    _SCHEDULES_OF_OTHERS.format(schedules="v.settings, '$.schedules'"),
    postgres=_SCHEDULES_OF_OTHERS.format(schedules="cast(v.settings as json) -> 'schedules'"),
)
_COLUMNS = "v.id, v.script, v.class_name, v.created_at, v.settings, g.body is not null"
_OF_CODE = """
    left join graphs as g
        on g.account = v.account
        and g.script = v.script
        and g.class_name = v.class_name
        and g.sha256 = v.sha256
    """
_VERSION = f"""
    select {_COLUMNS}
    from versions as v
    {_OF_CODE}
    where v.id = :id
        and v.workflow = :workflow
    """
_GRAPH = f"""
    select g.body, g.note
    from versions as v
    {_OF_CODE}
    where v.id = :id
    """
_MADE_OF = """
    select v.sha256, v.params_schema, s.row, s.sha256, s.source, s.python, s.packages, s.created_at, s.served_at
    from versions as v
    left join snapshots as s on s.row = v.snapshot
    where v.id = :id
    """
_PAGE = f"""
    select {_COLUMNS}
    from versions as v
    {_OF_CODE}
    where v.workflow = :workflow
    order by v.row desc
    limit :limit
    offset :offset
    """
_TOTAL = """
    select count(*)
    from versions
    where workflow = :workflow
    """


def put_workflow(transaction: Transaction, operation: PutWorkflow) -> WorkflowRow:
    """Do PutWorkflow."""
    connection, account, name = transaction.connection, operation.account, operation.name
    sha256, params_schema, snapshot, flow = _class_of(connection, operation)
    workflow = find_workflow_or_none(connection, account, name)
    if workflow is not None and workflow.script != operation.script:
        raise WorkflowBelongs(name, workflow.script, operation.script)
    _check_schedules(connection, operation)
    refuse_more_than_the_account(connection, account, operation.settings.concurrency)
    declared = None if workflow is None else code_of(connection, workflow.version).declared
    code = Code(sha256, params_schema, operation.settings, declared, snapshot, flow)
    put_version(transaction, workflow, NewVersion(operation, operation.workflow_id, operation.version_id, code))
    return read_written(transaction, account, name)


def get_version(connection: Connection, operation: GetVersion) -> VersionRow:
    """Do GetVersion."""
    workflow = find_workflow(connection, operation.account, operation.workflow)
    columns = first(connection, _VERSION, (operation.id, workflow.row))
    if columns is None:
        raise VersionNotFound(operation.workflow, operation.id)
    return _version(columns, workflow.id)


def get_graph(connection: Connection, operation: GetGraph) -> VersionGraph:
    """Do GetGraph."""
    version = get_version(connection, GetVersion(operation.account, operation.workflow, operation.id))
    body, note = only(connection, _GRAPH, (version.id,))
    return VersionGraph(version, None if note is None else CodeGraph(body, note))


def get_version_code(connection: Connection, operation: GetVersionCode) -> VersionCode:
    """Do GetVersionCode."""
    version = get_version(connection, GetVersion(operation.account, operation.workflow, operation.id))
    sha256, params_schema, *snapshot = only(connection, _MADE_OF, (version.id,))
    return VersionCode(version, sha256, params_schema, None if snapshot[0] is None else Snapshot(*snapshot))


def list_versions(connection: Connection, operation: ListVersions) -> Versions:
    """Do ListVersions."""
    workflow = find_workflow(connection, operation.account, operation.workflow)
    page = every(connection, _PAGE, (workflow.row, operation.limit, operation.offset))
    (total,) = only(connection, _TOTAL, (workflow.row,))
    return Versions([_version(columns, workflow.id) for columns in page], total)


def _class_of(connection: Connection, operation: PutWorkflow) -> tuple[str, str | None, int, str | None]:
    """Return hash, schema, snapshot and flow of the code that a class has now. Raises UnknownScript."""
    classes = every(connection, _CLASSES, (operation.account, operation.script))
    if not classes:
        scripts = _quoted([name for (name,) in every(connection, _SCRIPTS, (operation.account,))])
        raise UnknownScript(
            "script_name",
            f'body: script_name: no worker has loaded a script "{operation.script:.300}" in this account; '
            f"there is {scripts}",
        )
    known = {name: code for name, *code in classes}
    if operation.class_name not in known:
        raise UnknownScript(
            "class_name",
            f'body: class_name: the script "{operation.script}" has no workflow class "{operation.class_name:.300}"; '
            f"it has {_quoted(list(known))}",
        )
    sha256, schema, snapshot, flow = known[operation.class_name]
    return sha256, schema, snapshot, flow


def _check_schedules(connection: Connection, operation: PutWorkflow) -> None:
    if not operation.settings.schedules:
        return
    (others,) = only(connection, _COUNT_SCHEDULES, (operation.account, operation.name))
    if others + len(operation.settings.schedules) > operation.most_schedules:
        raise InvalidInput(
            "schedules",
            f"body: schedules: an account may have {operation.most_schedules:,} cron expressions; the other "
            f"workflows have {others}, and here are {len(operation.settings.schedules)}",
        )


def _version(columns: Row, workflow_id: str) -> VersionRow:
    id, script, class_name, created_at, settings, has_graph = columns
    return VersionRow(id, workflow_id, script, class_name, created_at, to_settings(settings), bool(has_graph))


def _quoted(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names) or "none"
