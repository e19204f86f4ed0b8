"""The operations that only read. Each sees one moment of the store."""

from collections.abc import Callable, Mapping
from typing import Any

from stepwell.errors import TurnLost
from stepwell.store.account_operations import GetAccountSettings, GetTriggers
from stepwell.store.audit_operations import ListAudit
from stepwell.store.child_operations import ListRelatives, ReadFamily
from stepwell.store.control_operations import IsTerminating, ListTerminations
from stepwell.store.fact_operations import ListFacts
from stepwell.store.flow_operations import ListGates
from stepwell.store.forcing_operations import ListDecisions
from stepwell.store.host_operations import ListHosts
from stepwell.store.job_operations import GetJob, ListJobs, ListOpenJobs
from stepwell.store.label_operations import ListKeptLabels, ReadLabels
from stepwell.store.note_operations import ReadLog, ReadNote
from stepwell.store.once import FindOnce
from stepwell.store.operations import (
    GetInstance,
    GetParamsSchema,
    GetWorkflow,
    Holding,
    InstanceRow,
    Instances,
    ListHoldings,
    ListInstances,
    ListWorkflows,
    Operation,
    ReadHistory,
    ReadPayload,
    RecordRow,
)
from stepwell.store.retention_operations import FindExpired, GetRetention
from stepwell.store.schedule_operations import GetSchedule, ListSchedules
from stepwell.store.search_operations import SearchInstances
from stepwell.store.session_operations import FindSession, ListSessions
from stepwell.store.situation_operations import ReadSituation
from stepwell.store.snapshot_operations import (
    FindServed,
    GetSnapshot,
    ListServed,
    ListSnapshotsDue,
    ListUploads,
    ReadSnapshotFiles,
    ReadSnapshotSources,
)
from stepwell.store.sql.accounts import get_account_settings, get_triggers
from stepwell.store.sql.audit import list_audit
from stepwell.store.sql.children import list_relatives, read_family
from stepwell.store.sql.counts import count_ends, list_outcomes, read_counts
from stepwell.store.sql.deliveries import are_deliveries_due
from stepwell.store.sql.facts import list_facts
from stepwell.store.sql.hosts import list_hosts
from stepwell.store.sql.instances import get_instance
from stepwell.store.sql.jobs import get_job, list_jobs, list_open_jobs
from stepwell.store.sql.labels import list_kept_labels, read_labels
from stepwell.store.sql.named import find_workflow
from stepwell.store.sql.notes import read_log, read_note
from stepwell.store.sql.once import find_once
from stepwell.store.sql.queues import list_gates
from stepwell.store.sql.records import decisions, history, read_payload
from stepwell.store.sql.retention import find_expired, get_retention
from stepwell.store.sql.rows import Connection, Values, every, only
from stepwell.store.sql.schedules import get_schedule, list_schedules
from stepwell.store.sql.search import search_instances
from stepwell.store.sql.sessions import find_session, list_sessions
from stepwell.store.sql.situation import read_situation
from stepwell.store.sql.snapshots import (
    find_served,
    get_snapshot,
    list_served,
    list_snapshots_due,
    list_uploads,
    read_snapshot_files,
    read_snapshot_sources,
)
from stepwell.store.sql.streams import read_piece
from stepwell.store.sql.targets import INSTANCE_COLUMNS, is_turn
from stepwell.store.sql.terminations import is_terminating, list_terminations
from stepwell.store.sql.tokens import find_token, list_tokens
from stepwell.store.sql.traces import read_ended
from stepwell.store.sql.transfers import export_instance, list_streams, read_notes, read_records
from stepwell.store.sql.upkeep import find_miscounts, list_accounts
from stepwell.store.sql.versions import get_graph, get_version, get_version_code, list_versions
from stepwell.store.sql.webhooks import get_webhook, list_deliveries, list_webhooks
from stepwell.store.sql.workflows import get_params_schema, get_workflow, list_workflows
from stepwell.store.stream_operations import ReadPiece
from stepwell.store.token_operations import FindToken, ListTokens
from stepwell.store.trace_operations import ReadEnded
from stepwell.store.transfer_operations import ExportInstance, ListStreams, ReadNotes, ReadRecords
from stepwell.store.upkeep_operations import FindMiscounts, ListAccounts
from stepwell.store.webhook_operations import AreDeliveriesDue, GetWebhook, ListDeliveries, ListWebhooks
from stepwell.store.workflow_operations import (
    CountEnds,
    GetGraph,
    GetVersion,
    GetVersionCode,
    ListOutcomes,
    ListVersions,
)

_HOLDINGS = """
    select i.row, w.name, i.id
    from instances as i
    join workflows as w on w.row = i.workflow
    where i.owner = :worker
    order by i.modified_at desc, i.row desc
    limit :limit
    """


def _list_instances(connection: Connection, operation: ListInstances) -> Instances:
    workflow = find_workflow(connection, operation.account, operation.workflow)
    where, values = _matching(operation, workflow.row)
    total = _total(connection, operation, workflow.row)
    after, after_values = _after(operation)
    page = (*values, *after_values, operation.limit, operation.offset)
    rows = every(connection, _page(f"{where} {after}", operation.ascending), page)
    return Instances([InstanceRow(*columns) for columns in rows], total)


def _read_history(connection: Connection, operation: ReadHistory) -> list[RecordRow]:
    row, turn = operation.row, operation.turn
    # A turn must not run on a history that goes on without it.
    if turn is not None and not is_turn(connection, row, turn):
        return []
    return history(connection, row, operation.after, operation.limit)


def _read_payload(connection: Connection, operation: ReadPayload) -> str:
    row, turn = operation.row, operation.turn
    if row is not None and turn is not None and not is_turn(connection, row, turn):
        raise TurnLost(row, turn)
    return read_payload(connection, operation.payload)


def _list_holdings(connection: Connection, operation: ListHoldings) -> list[Holding]:
    held = every(connection, _HOLDINGS, (operation.worker, operation.limit))
    return [Holding(workflow, id, history(connection, row)) for row, workflow, id in held]


def _list_decisions(connection: Connection, operation: ListDecisions) -> list[RecordRow]:
    return decisions(connection, operation.row, operation.limit)


def _total(connection: Connection, operation: ListInstances, workflow: int) -> int:
    """Return how many instances match, whatever the page: counted one by one only where they are bounded in time."""
    if (operation.from_ms, operation.to_ms) == (None, None):
        counts = read_counts(connection, workflow)
        return sum(counts.values()) if operation.status is None else counts.get(operation.status, 0)
    where, values = _matching(operation, workflow)
    return int(only(connection, f"select count(*) from instances as i where {where}", values)[0])


def _matching(operation: ListInstances, workflow: int) -> tuple[str, Values]:
    """Return the condition for all instances that match, whatever the page, and its values."""
    bounds = {
        "i.status = :status": operation.status,
        "i.created_at >= :from_ms": operation.from_ms,
        "i.created_at <= :to_ms": operation.to_ms,
    }
    used = {condition: value for condition, value in bounds.items() if value is not None}
    return " and ".join(["i.workflow = :workflow", *used]), (workflow, *used.values())


def _after(operation: ListInstances) -> tuple[str, Values]:
    """Return the condition for what comes after the last instance already seen, and its values."""
    if operation.after is None:
        return "", ()
    return f"and (i.created_at, i.row) {'>' if operation.ascending else '<'} (:at, :row)", operation.after


def _page(where: str, ascending: bool) -> str:
    direction = "asc" if ascending else "desc"
    return f"""
        select {INSTANCE_COLUMNS}
        from instances as i
        join workflows as w on w.row = i.workflow
        where {where}
        order by i.created_at {direction}, i.row {direction}
        limit :limit
        offset :offset
        """


READS: Mapping[type[Operation[Any]], Callable[[Connection, Any], object]] = {
    GetWorkflow: get_workflow,
    GetParamsSchema: get_params_schema,
    ListWorkflows: list_workflows,
    GetInstance: get_instance,
    ListInstances: _list_instances,
    ReadPayload: _read_payload,
    ReadPiece: read_piece,
    GetSnapshot: get_snapshot,
    FindServed: find_served,
    ListServed: list_served,
    ReadSnapshotFiles: read_snapshot_files,
    ReadSnapshotSources: read_snapshot_sources,
    ListSnapshotsDue: list_snapshots_due,
    ListUploads: list_uploads,
    ReadHistory: _read_history,
    ListHoldings: _list_holdings,
    ReadNote: read_note,
    ReadLog: read_log,
    ReadLabels: read_labels,
    ListKeptLabels: list_kept_labels,
    SearchInstances: search_instances,
    ReadSituation: read_situation,
    ListAccounts: list_accounts,
    FindMiscounts: find_miscounts,
    IsTerminating: is_terminating,
    ListRelatives: list_relatives,
    ReadFamily: read_family,
    ListDecisions: _list_decisions,
    ListTerminations: list_terminations,
    GetJob: get_job,
    ListJobs: list_jobs,
    ListOpenJobs: list_open_jobs,
    GetVersion: get_version,
    GetGraph: get_graph,
    GetVersionCode: get_version_code,
    ListVersions: list_versions,
    ListOutcomes: list_outcomes,
    CountEnds: count_ends,
    ListSchedules: list_schedules,
    GetSchedule: get_schedule,
    GetAccountSettings: get_account_settings,
    GetTriggers: get_triggers,
    ListGates: list_gates,
    ListHosts: list_hosts,
    ListFacts: list_facts,
    FindOnce: find_once,
    FindSession: find_session,
    ListSessions: list_sessions,
    FindToken: find_token,
    ListTokens: list_tokens,
    ExportInstance: export_instance,
    ReadRecords: read_records,
    ListStreams: list_streams,
    ReadNotes: read_notes,
    FindExpired: find_expired,
    GetRetention: get_retention,
    ListAudit: list_audit,
    ListWebhooks: list_webhooks,
    GetWebhook: get_webhook,
    ListDeliveries: list_deliveries,
    ReadEnded: read_ended,
    AreDeliveriesDue: are_deliveries_due,
}
