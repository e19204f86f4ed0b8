"""The operations on workflows and their versions."""

import uuid
from typing import NamedTuple

import msgspec

from stepwell.store.operations import (
    NO_SETTINGS,
    GetParamsSchema,
    GetWorkflow,
    ListWorkflows,
    ParamsSchema,
    Registered,
    RegisterWorkflow,
    VersionSettings,
    WorkflowRow,
    Workflows,
)
from stepwell.store.sql.counts import read_counts
from stepwell.store.sql.expressions import next_firings, replace_schedules
from stepwell.store.sql.gates import set_limits
from stepwell.store.sql.named import COLUMNS, Workflow, find_workflow, find_workflow_or_none
from stepwell.store.sql.rows import Connection, Statement, every, only
from stepwell.store.sql.transaction import ANYTHING, Transaction
from stepwell.store.workflow_operations import PutWorkflow

to_settings = msgspec.json.Decoder(VersionSettings).decode


def searching(sql: str) -> Statement:
    """Return a statement in which `like` takes upper and lower case alike, as SQLite's does."""
    return Statement(sql, postgres=sql.replace(" like ", " ilike "))


_PAGE = searching(
    f"""
    select {COLUMNS}
    from workflows
    where account = :account
        and name like :pattern escape '\\'
    order by name
    limit :limit
    offset :offset
    """
)
_TOTAL = searching(
    """
    select count(*)
    from workflows
    where account = :account
        and name like :pattern escape '\\'
    """
)
_NAMESAKES = f"""
    select {COLUMNS}
    from workflows
    where account = :account
        and script = :script
        and class_name = :class_name
        and name <> :name
    order by name
    """
_INSERT = """
    insert into workflows (id, account, name, script, class_name, version, created_at, modified_at, snapshot)
    values (:id, :account, :name, :script, :class_name, :version, :now, :now, :snapshot)
    returning row
    """
_UPDATE = """
    update workflows
    set script = :script,
        class_name = :class_name,
        version = :version,
        modified_at = :now,
        snapshot = :snapshot
    where row = :row
    """
_SERVE = """
    update workflows
    set snapshot = :snapshot
    where row = :row
    """
_CODE = """
    select sha256, params_schema, settings, declared, snapshot, flow
    from versions
    where id = :version
    """
_INSERT_VERSION = """
    insert into versions (
        id, account, workflow, script, class_name, created_at, sha256, params_schema, settings, declared, step_limit,
        snapshot, flow
    )
    values (
        :id, :account, :workflow, :script, :class_name, :created_at,
        :sha256, :params_schema, :settings, :declared, :step_limit, :snapshot, :flow
    )
    """
_REMEMBER_CLASS = """
    insert into scripts (account, name, class_name, sha256, params_schema, snapshot, flow)
    values (:account, :name, :class_name, :sha256, :params_schema, :snapshot, :flow)
    on conflict (account, name, class_name) do update set
        sha256 = excluded.sha256,
        params_schema = excluded.params_schema,
        snapshot = excluded.snapshot,
        flow = excluded.flow
    """
_FORGET_CLASSES = """
    delete from scripts
    where account = :account
        and name = :script
        and class_name not in (select {classes})
    """
# What another release has read in the same source is replaced.
_REMEMBER_GRAPH = """
    insert into graphs (account, script, class_name, sha256, body, note)
    values (:account, :script, :class_name, :sha256, :body, :note)
    on conflict (account, script, class_name, sha256) do update set
        body = excluded.body,
        note = excluded.note
    """
_KEEP_CLASSES = Statement(
    _FORGET_CLASSES.format(classes="value from json_each(:classes)"),
    postgres=_FORGET_CLASSES.format(classes="json_array_elements_text(cast(:classes as json))"),
)
_SCHEMA = """
    select params_schema, flow
    from versions
    where id = :version
    """
# The same source can make another schema: with other packages beside it. So it can make another flow.
_RENEW_SCHEMA = """
    update versions
    set params_schema = :params_schema,
        flow = :flow
    where id = :version
        and (params_schema is distinct from :params_schema or flow is distinct from :flow)
    """


class Declared(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the files of a script say of a workflow."""

    script: str
    class_name: str
    settings: VersionSettings = NO_SETTINGS


class Code(NamedTuple):
    """What a version is: its code and its settings. `declared` None: only a PUT has made it."""

    sha256: str
    params_schema: str | None
    settings: VersionSettings
    declared: Declared | None
    snapshot: int
    flow: str | None


class NewVersion(NamedTuple):
    """A version to be made. `workflow_id` is used if the workflow is new, too."""

    named: RegisterWorkflow | PutWorkflow
    workflow_id: str
    version_id: str
    code: Code


def get_workflow(connection: Connection, operation: GetWorkflow) -> WorkflowRow:
    """Do GetWorkflow."""
    return _with_counts(connection, find_workflow(connection, operation.account, operation.name))


def get_params_schema(connection: Connection, operation: GetParamsSchema) -> ParamsSchema:
    """Do GetParamsSchema."""
    version = find_workflow(connection, operation.account, operation.name).version
    return ParamsSchema(version, *only(connection, _SCHEMA, (version,)))


def list_workflows(connection: Connection, operation: ListWorkflows) -> Workflows:
    """Do ListWorkflows."""
    account, pattern = operation.account, _pattern(operation.search)
    if "\0" in pattern:
        # No name has it. SQLite's `like` would end there, and find what has the beginning.
        return Workflows([], 0)
    page = every(connection, _PAGE, (account, pattern, operation.limit, operation.offset))
    (total,) = only(connection, _TOTAL, (account, pattern))
    return Workflows([_with_counts(connection, Workflow(*columns)) for columns in page], total)


def register_workflow(transaction: Transaction, operation: RegisterWorkflow) -> Registered:
    """Do RegisterWorkflow."""
    connection, account = transaction.connection, operation.account
    made_of = (operation.script, operation.class_name)
    code = (operation.sha256, operation.params_schema)
    transaction.execute(_REMEMBER_CLASS, (account, *made_of, *code, operation.snapshot, operation.flow))
    if operation.graph is not None:
        graph = (operation.graph.body, operation.graph.note)
        transaction.execute(_REMEMBER_GRAPH, (account, *made_of, operation.sha256, *graph))
    if operation.classes:
        classes = msgspec.json.encode(operation.classes).decode()
        transaction.execute(_KEEP_CLASSES, (account, operation.script, classes))
    declared = Declared(*made_of, operation.declared)
    workflow = find_workflow_or_none(connection, account, operation.name)
    if workflow is None:
        version = Code(*code, operation.declared, declared, operation.snapshot, operation.flow)
        put_version(transaction, None, NewVersion(operation, operation.workflow_id, operation.version_id, version))
    else:
        _renew(transaction, workflow, operation, declared)
    for namesake in every(connection, _NAMESAKES, (account, *made_of, operation.name)):
        _renew(transaction, Workflow(*namesake), operation, None)
    row = read_written(transaction, account, operation.name)
    taken_from = None if workflow is None or workflow.script == row.script else workflow.script
    return Registered(row, taken_from)


def put_version(transaction: Transaction, workflow: Workflow | None, new: NewVersion) -> None:
    """Let a workflow have a new version; None: make the workflow, too."""
    named, code = new.named, new.code
    made_of = (named.script, named.class_name)
    if workflow is None:
        values = (new.workflow_id, named.account, named.name, *made_of, new.version_id, named.now, code.snapshot)
        (row,) = only(transaction.connection, _INSERT, values)
    else:
        row = workflow.row
        transaction.execute(_UPDATE, (*made_of, new.version_id, named.now, code.snapshot, row))
    stored = (_to_text(code.settings), None if code.declared is None else _to_text(code.declared), code.settings.steps)
    transaction.tidings.changed.add(ANYTHING)
    version = (new.version_id, named.account, row, *made_of, named.now)
    transaction.execute(_INSERT_VERSION, (*version, code.sha256, code.params_schema, *stored, code.snapshot, code.flow))
    set_limits(transaction, named.account, row, code.settings.concurrency, code.flow, named.now)
    replace_schedules(transaction, row, code.settings.schedules, named.now)


def code_of(connection: Connection, version: str) -> Code:
    """Return what a version is."""
    sha256, params_schema, settings, declared, snapshot, flow = only(connection, _CODE, (version,))
    said = None if declared is None else _to_declared(declared)
    return Code(sha256, params_schema, to_settings(settings), said, snapshot, flow)


def read_written(transaction: Transaction, account: str, name: str) -> WorkflowRow:
    """Return a workflow that has just been written, with its counts."""
    transaction.flush()
    return _with_counts(transaction.connection, find_workflow(transaction.connection, account, name))


def _renew(
    transaction: Transaction, workflow: Workflow, operation: RegisterWorkflow, declared: Declared | None
) -> None:
    """Give a workflow a new version if its code, or what is declared of it, has changed; None: as it was."""
    newest = code_of(transaction.connection, workflow.version)
    is_of_this_class = (workflow.script, workflow.class_name) == (operation.script, operation.class_name)
    if declared == newest.declared and not is_of_this_class:
        # A PUT has chosen another class since, and the files say nothing new of it: that class brings its own versions.
        return
    if newest.sha256 == operation.sha256 and declared in (None, newest.declared):
        transaction.execute(_RENEW_SCHEMA, (operation.params_schema, operation.flow, workflow.version))
        concurrency = newest.settings.concurrency
        set_limits(transaction, workflow.account, workflow.row, concurrency, operation.flow, operation.now)
        transaction.execute(_SERVE, (operation.snapshot, workflow.row))
        return
    version_id = operation.version_id
    settings = newest.settings
    if declared is None:
        # Each workflow has versions of its own; the id is new, as the one that it is made of is.
        version_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{version_id}/{workflow.id}"))
        declared = newest.declared
    else:
        settings = carried(newest, declared.settings)
    code = Code(operation.sha256, operation.params_schema, settings, declared, operation.snapshot, operation.flow)
    put_version(transaction, workflow, NewVersion(operation, workflow.id, version_id, code))


def carried(newest: Code, declared: VersionSettings) -> VersionSettings:
    """Return the settings of the version after the newest: those that are declared, then those that a PUT has set."""
    before = NO_SETTINGS if newest.declared is None else newest.declared.settings
    kept = {}
    for name in VersionSettings.__struct_fields__:
        value, nothing = getattr(newest.settings, name), getattr(NO_SETTINGS, name)
        if getattr(declared, name) != nothing:
            kept[name] = getattr(declared, name)
        elif value != getattr(before, name):
            kept[name] = value
    return VersionSettings(**kept)


def _with_counts(connection: Connection, workflow: Workflow) -> WorkflowRow:
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
        read_counts(connection, workflow.row),
        next_firings(connection, workflow.row),
    )


def _to_text(value: msgspec.Struct) -> str:
    return msgspec.json.encode(value).decode()


_to_declared = msgspec.json.Decoder(Declared).decode


def _pattern(search: str | None) -> str:
    """Return the pattern that finds a text anywhere in a name; `%` and `_` in it stand for themselves."""
    part = (search or "").replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{part}%"
