"""The operations that write. One that raises an error of ours has written nothing."""

from collections.abc import Callable, Mapping
from typing import Any

from stepwell.errors import InstanceAlreadyExists, VersionChanged
from stepwell.store.account_operations import ChangeAccountSettings, DeleteTriggers, MergeTriggers, ReplaceTriggers
from stepwell.store.audit_operations import Audited, ForgetAudit
from stepwell.store.child_operations import AwaitChild, StartChild
from stepwell.store.control_operations import (
    DeleteInstance,
    MoveInstance,
    PauseInstance,
    RestartInstance,
    ResumeInstance,
    ResumeRollback,
    StartTermination,
    TerminateInstance,
    TerminateSome,
)
from stepwell.store.encryption_operations import Reencrypt
from stepwell.store.fact_operations import NoteFacts
from stepwell.store.flow_operations import (
    AskSlot,
    ForgetLimits,
    ForgetQueues,
    GiveSlots,
    LeaveSlot,
    LimitAccount,
    ShareLimit,
    SweepSlots,
)
from stepwell.store.forcing_operations import ForceStep
from stepwell.store.job_operations import AdvanceJob, CancelJob, StartJob
from stepwell.store.label_operations import SetLabels
from stepwell.store.note_operations import WriteNotes
from stepwell.store.once import Once, OnceAnswer
from stepwell.store.operations import (
    AbandonUnknown,
    AppendEvent,
    ClaimDue,
    Commit,
    CreateInstance,
    EndLease,
    InstanceRow,
    Operation,
    RegisterWorker,
    RegisterWorkflow,
    Release,
    RenewLease,
)
from stepwell.store.retention_operations import DeleteExpired
from stepwell.store.schedule_operations import ChangeSchedule, Fired, FireSchedules, RunSchedule
from stepwell.store.session_operations import BeginSession, EndSessions, ForgetSessions, SeeSession
from stepwell.store.situation_operations import NoteBlocked
from stepwell.store.snapshot_operations import DropSnapshots, SaveSnapshot, ServeSnapshot
from stepwell.store.sql import slots, turns
from stepwell.store.sql.accounts import change_account_settings, delete_triggers, merge_triggers, replace_triggers
from stepwell.store.sql.audit import audited, forget_audit
from stepwell.store.sql.children import await_child, start_child
from stepwell.store.sql.control import (
    delete_instance,
    move_instance,
    pause_instance,
    restart_instance,
    resume_instance,
    resume_rollback,
    terminate_instance,
)
from stepwell.store.sql.deletion import delete_workflow, purge_deleted
from stepwell.store.sql.deliveries import end_attempt, forget_deliveries, take_deliveries
from stepwell.store.sql.events import append_event, force_step
from stepwell.store.sql.facts import note_facts
from stepwell.store.sql.gates import limit_account
from stepwell.store.sql.jobs import advance_job, cancel_job, start_job
from stepwell.store.sql.labels import give_labels, set_labels
from stepwell.store.sql.named import keep_workflow
from stepwell.store.sql.notes import write_notes
from stepwell.store.sql.once import once
from stepwell.store.sql.reencryption import reencrypt
from stepwell.store.sql.retention import delete_expired, say_retention
from stepwell.store.sql.rows import Statement, every, first, only
from stepwell.store.sql.schedules import change_schedule, fire_schedules, run_schedule
from stepwell.store.sql.sessions import begin_session, end_sessions, forget_sessions, see_session
from stepwell.store.sql.shared_slots import ask_slot, give_slots, leave_slot, share_limit, sweep_slots
from stepwell.store.sql.situation import note_blocked
from stepwell.store.sql.slots import gate_of
from stepwell.store.sql.snapshots import drop_snapshots, save_snapshot, serve_snapshot
from stepwell.store.sql.streams import begin_stream, write_piece
from stepwell.store.sql.targets import INSTANCE_BY_ROW
from stepwell.store.sql.terminations import start_termination, terminate_some
from stepwell.store.sql.tokens import add_token, revoke_token
from stepwell.store.sql.traces import drop_traces, take_traces
from stepwell.store.sql.transaction import Transaction
from stepwell.store.sql.transfers import (
    abandon_import,
    begin_import,
    finish_import,
    import_notes,
    import_records,
    tell_export,
)
from stepwell.store.sql.unused_limits import forget_limits, forget_queues
from stepwell.store.sql.upkeep import recount, repair_instance
from stepwell.store.sql.versions import put_workflow
from stepwell.store.sql.webhooks import (
    add_webhook,
    change_webhook,
    delete_webhook,
    redeliver,
    rotate_webhook_secret,
    try_webhook,
)
from stepwell.store.sql.workflows import register_workflow
from stepwell.store.stream_operations import BeginStream, WritePiece
from stepwell.store.token_operations import AddToken, RevokeToken
from stepwell.store.trace_operations import DropTraces, TakeTraces
from stepwell.store.transfer_operations import (
    AbandonImport,
    BeginImport,
    FinishImport,
    ImportNotes,
    ImportRecords,
    TellExport,
)
from stepwell.store.upkeep_operations import Recount, RepairInstance
from stepwell.store.webhook_operations import (
    AddWebhook,
    ChangeWebhook,
    DeleteWebhook,
    EndAttempt,
    ForgetDeliveries,
    Redeliver,
    RotateWebhookSecret,
    TakeDeliveries,
    TryWebhook,
)
from stepwell.store.workflow_operations import DeleteWorkflow, PurgeDeleted, PutWorkflow

# Two creates with one id race for the unique index, not for a look before.
_INSERT = """
    insert into instances (
        row, account, workflow, id, version, snapshot, status, trigger, due_at, queued_at, bias, key, seq, created_at,
        modified_at, tx
    )
    {overriding}
    values (
        {row}, :account, :workflow, :id, :version, :snapshot, 'queued', :trigger, :due_at, :queued_at, :bias, :key, 1,
        :now, :now, :tx
    )
    on conflict do nothing
    returning row
    """
_INSERT_INSTANCE = Statement(
    # Without a number it gets the next one.
    _INSERT.format(overriding="", row=":row"),
    postgres=_INSERT.format(
        overriding="overriding system value",
        row="coalesce(cast(:row as bigint), nextval(pg_get_serial_sequence('instances', 'row')))",
    ),
)
_TRIGGERED = Statement(
    """
    update workflows
    set triggered_at = :now
    where row = :row
    """,
    # Whoever creates an instance at the same time says the same: nobody waits for it.
    postgres="""
    update workflows
    set triggered_at = :now
    where row = (
        select row
        from workflows
        where row = :row
        for no key update skip locked
    )
    """,
)
_INSERT_WORKER = Statement(
    """
    insert into workers (name, lease_until, created_at, snapshot)
    values (:name, :lease_until, :now, :snapshot)
    returning row
    """,
    postgres="""
    insert into workers (name, lease_until, created_at, snapshot, host)
    values (:name, :lease_until, :now, :snapshot, cast(current_setting('stepwell.host') as bigint))
    returning row
    """,
)
# A lease that was ended stays so: what its worker held may be another's by now.
_RENEW = """
    update workers
    set lease_until = :lease_until
    where row = :worker
        and lease_until > 0
    returning row
    """
_END_LEASE = """
    update workers
    set lease_until = 0
    where row = :worker
    """
_HELD = """
    select count(*)
    from instances
    where owner = :worker
    """
_FORGET_WORKER = """
    delete from workers
    where row = :worker
    """
# Somebody dead, of the same name, from whom the rest is claimed as from any who has died.
_DEAD_NAMESAKE = Statement(
    """
    insert into workers (name, lease_until, created_at, snapshot)
    select name, 0, created_at, snapshot
    from workers
    where row = :worker
    returning row
    """,
    postgres="""
    insert into workers (name, lease_until, created_at, snapshot, host)
    select name, 0, created_at, snapshot, host
    from workers
    where row = :worker
    returning row
    """,
)
_UNKNOWN = """
    select row, turn
    from instances
    where owner = :worker
    """
# Closes the race with a release that is on its way: what nobody holds stays so.
_HAND_OVER = """
    update instances
    set owner = :namesake
    where row = :row
        and turn = :turn
        and owner is not null
    """


def create_instance(transaction: Transaction, operation: CreateInstance, *, may_skip: bool = True) -> InstanceRow:
    """Do CreateInstance; `may_skip`: as the workflow's flow says."""
    now = operation.now
    workflow = keep_workflow(transaction, operation.account, operation.workflow)
    if operation.checked not in (None, workflow.version):
        raise VersionChanged(workflow.version)
    gate = gate_of(transaction.connection, workflow.row)
    if gate is not None and gate.limits.singleton == "skip" and may_skip:
        there = slots.holder(transaction, workflow.row, operation.key)
        if there is not None:
            return _there(transaction, there, operation)
    code = (workflow.version, workflow.snapshot)
    named = (operation.account, workflow.row, operation.id, *code, operation.trigger)
    place = (now, None, 0, "") if gate is None else (None, now - operation.bias_ms, operation.bias_ms, operation.key)
    if gate is None:
        transaction.room.take(transaction.connection, operation)
    else:
        slots.refuse_too_many(transaction, workflow.row, gate, operation)
    reserved = transaction.numbers.get(id(operation))
    added = first(transaction.connection, _INSERT_INSTANCE, (reserved, *named, *place, now, transaction.tx))
    if added is None:
        if gate is None:
            transaction.room.give_back([operation])
        raise InstanceAlreadyExists(operation.workflow, operation.id)
    (row,) = added
    transaction.tidings.created.append((operation.account, operation.workflow))
    if operation.retention is not None:
        say_retention(transaction, row, *operation.retention)
    give_labels(transaction.connection, row, operation.labels, (workflow.row, now))
    transaction.execute(_TRIGGERED, (now, workflow.row))
    transaction.append(row, 1, operation.record)
    if gate is None:
        transaction.tidings.begun[row] = now
    else:
        slots.enter(transaction, row, workflow.row, (operation.key, gate), now)
    return new_row(operation, row, workflow.id, workflow.version)


def _there(transaction: Transaction, row: int, operation: CreateInstance) -> InstanceRow:
    """Return the instance that is there in place of a new one. Raises InstanceAlreadyExists if it is the one wanted."""
    found = InstanceRow(*only(transaction.connection, INSTANCE_BY_ROW, (row,)))
    if found.id == operation.id:
        raise InstanceAlreadyExists(operation.workflow, operation.id)
    return found


def new_row(operation: CreateInstance, row: int, workflow_id: str, version: str) -> InstanceRow:
    """Return the row of an instance as it is when it has been created."""
    return InstanceRow(
        row,
        operation.account,
        operation.workflow,
        workflow_id,
        operation.id,
        version,
        "queued",
        operation.trigger,
        step_count=0,
        seq=1,
        turn=0,
        due_at=operation.now,
        created_at=operation.now,
        modified_at=operation.now,
        started_at=None,
        ended_at=None,
    )


def register_worker(transaction: Transaction, operation: RegisterWorker) -> int:
    """Do RegisterWorker."""
    values = (operation.name, operation.lease_until, operation.now, operation.snapshot)
    (worker,) = only(transaction.connection, _INSERT_WORKER, values)
    return int(worker)


def renew_lease(transaction: Transaction, operation: RenewLease) -> bool:
    """Do RenewLease."""
    return first(transaction.connection, _RENEW, (operation.lease_until, operation.worker)) is not None


def end_lease(transaction: Transaction, operation: EndLease) -> int:
    """Do EndLease. A worker that held nothing is forgotten."""
    (held,) = only(transaction.connection, _HELD, (operation.worker,))
    if held:
        transaction.execute(_END_LEASE, (operation.worker,))
        transaction.tidings.due(0)
    else:
        transaction.execute(_FORGET_WORKER, (operation.worker,))
    return int(held)


def abandon_unknown(transaction: Transaction, operation: AbandonUnknown) -> int:
    """Do AbandonUnknown. The turns of what it knows go on."""
    worker, known = operation.worker, set(operation.known)
    unknown = [place for place in every(transaction.connection, _UNKNOWN, (worker,)) if place not in known]
    if unknown and (namesake := first(transaction.connection, _DEAD_NAMESAKE, (worker,))) is not None:
        transaction.connection.executemany(_HAND_OVER, [(namesake[0], *place) for place in unknown])
        transaction.tidings.due(0)
    return len(unknown)


def _start_child(transaction: Transaction, operation: StartChild) -> None:
    # Its parent awaits it, and no other.
    start_child(transaction, operation, lambda *creation: create_instance(*creation, may_skip=False))


def _run_schedule(transaction: Transaction, operation: RunSchedule) -> InstanceRow:
    return run_schedule(transaction, operation, create_instance)


def _fire_schedules(transaction: Transaction, operation: FireSchedules) -> Fired:
    return fire_schedules(transaction, operation, create_instance)


def _once(transaction: Transaction, operation: Once) -> OnceAnswer:
    return once(transaction, operation, _do)


def _audited(transaction: Transaction, operation: Audited) -> object:
    return audited(transaction, operation, _do)


def _do(transaction: Transaction, operation: Operation[Any]) -> object:
    return WRITES[type(operation)](transaction, operation)


WRITES: Mapping[type[Operation[Any]], Callable[[Transaction, Any], object]] = {
    RegisterWorkflow: register_workflow,
    CreateInstance: create_instance,
    AppendEvent: append_event,
    ForceStep: force_step,
    PauseInstance: pause_instance,
    ResumeInstance: resume_instance,
    TerminateInstance: terminate_instance,
    ResumeRollback: resume_rollback,
    RestartInstance: restart_instance,
    DeleteInstance: delete_instance,
    MoveInstance: move_instance,
    StartChild: _start_child,
    AwaitChild: await_child,
    StartTermination: start_termination,
    TerminateSome: terminate_some,
    StartJob: start_job,
    AdvanceJob: advance_job,
    CancelJob: cancel_job,
    RegisterWorker: register_worker,
    RenewLease: renew_lease,
    EndLease: end_lease,
    NoteBlocked: note_blocked,
    Recount: recount,
    Reencrypt: reencrypt,
    RepairInstance: repair_instance,
    AbandonUnknown: abandon_unknown,
    ClaimDue: turns.claim_due,
    Commit: turns.commit,
    Release: turns.release,
    WriteNotes: write_notes,
    SetLabels: set_labels,
    DropSnapshots: drop_snapshots,
    SaveSnapshot: save_snapshot,
    ServeSnapshot: serve_snapshot,
    BeginStream: begin_stream,
    WritePiece: write_piece,
    PutWorkflow: put_workflow,
    DeleteWorkflow: delete_workflow,
    PurgeDeleted: purge_deleted,
    DeleteExpired: delete_expired,
    ChangeSchedule: change_schedule,
    RunSchedule: _run_schedule,
    FireSchedules: _fire_schedules,
    ChangeAccountSettings: change_account_settings,
    LimitAccount: limit_account,
    AskSlot: ask_slot,
    LeaveSlot: leave_slot,
    GiveSlots: give_slots,
    SweepSlots: sweep_slots,
    ForgetLimits: forget_limits,
    ForgetQueues: forget_queues,
    ShareLimit: share_limit,
    ReplaceTriggers: replace_triggers,
    MergeTriggers: merge_triggers,
    DeleteTriggers: delete_triggers,
    AddToken: add_token,
    RevokeToken: revoke_token,
    BeginSession: begin_session,
    SeeSession: see_session,
    EndSessions: end_sessions,
    ForgetSessions: forget_sessions,
    BeginImport: begin_import,
    ImportRecords: import_records,
    ImportNotes: import_notes,
    FinishImport: finish_import,
    AbandonImport: abandon_import,
    TellExport: tell_export,
    Once: _once,
    NoteFacts: note_facts,
    Audited: _audited,
    ForgetAudit: forget_audit,
    AddWebhook: add_webhook,
    ChangeWebhook: change_webhook,
    RotateWebhookSecret: rotate_webhook_secret,
    DeleteWebhook: delete_webhook,
    TryWebhook: try_webhook,
    Redeliver: redeliver,
    TakeDeliveries: take_deliveries,
    EndAttempt: end_attempt,
    ForgetDeliveries: forget_deliveries,
    TakeTraces: take_traces,
    DropTraces: drop_traces,
}
