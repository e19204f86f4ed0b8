"""What an entry of the audit log says of an operation: names and settings, never payloads, outputs or secrets."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct, field

from stepwell.core.records import Restarted, StepForced
from stepwell.store import codec
from stepwell.store.account_operations import ChangeAccountSettings, DeleteTriggers, MergeTriggers, ReplaceTriggers
from stepwell.store.audit_operations import AuditAction, AuditedOperation
from stepwell.store.control_operations import (
    DeleteInstance,
    MoveInstance,
    PauseInstance,
    RestartInstance,
    ResumeInstance,
    ResumeRollback,
    StartTermination,
    TerminateInstance,
)
from stepwell.store.flow_operations import LimitAccount, ShareLimit
from stepwell.store.forcing_operations import ForceStep
from stepwell.store.job_operations import CancelJob, StartJob
from stepwell.store.operations import Operation
from stepwell.store.schedule_operations import ChangeSchedule, RunSchedule
from stepwell.store.search_operations import Wanted
from stepwell.store.session_operations import BeginSession, EndSessions
from stepwell.store.snapshot_operations import SaveSnapshot, ServeSnapshot
from stepwell.store.token_operations import AddToken, RevokeToken
from stepwell.store.transfer_operations import FinishImport, TellExport
from stepwell.store.webhook_operations import (
    AddWebhook,
    ChangeWebhook,
    DeleteWebhook,
    Redeliver,
    RotateWebhookSecret,
    TryWebhook,
)
from stepwell.store.workflow_operations import DeleteWorkflow, PutWorkflow

# A detail is for people to read. One that is longer is left out, as half of it would be no JSON.
MOST_DETAIL = 2_000
_MOST_NAMES = 20


class Act(Struct, frozen=True):
    """What was done to what. `thing` is what has neither a workflow's name nor an instance's id; None: nothing else."""

    action: AuditAction
    workflow: str | None = None
    instance: str | None = None
    thing: str | None = None
    detail: Mapping[str, object] = field(default_factory=dict)

    @property
    def detail_text(self) -> str:
        """The detail as JSON, without what is None."""
        said = {name: value for name, value in self.detail.items() if value is not None}
        text = msgspec.json.encode(said).decode()
        return text if len(text) <= MOST_DETAIL else '{"left_out":"it is too long"}'


def act_of(operation: AuditedOperation) -> Act:
    """Return what an operation does, as its entry tells it."""
    return _ACTS[type(operation)](operation)


def _of_instance(action: AuditAction) -> Callable[[Any], Act]:
    return lambda operation: Act(action, operation.workflow, operation.id)


def _terminate(operation: TerminateInstance) -> Act:
    detail = {"rollback": True} if operation.rollback is not None else {}
    return Act("instance.terminate", operation.workflow, operation.id, None, detail)


def _restart(operation: RestartInstance) -> Act:
    restarted = codec.from_row(operation.record).record
    from_seq = restarted.from_seq if isinstance(restarted, Restarted) else None
    return Act("instance.restart", operation.workflow, operation.id, None, {"from_seq": from_seq})


def _move(operation: MoveInstance) -> Act:
    return Act("instance.move", operation.workflow, operation.id, None, {"version": operation.version})


def _force(operation: ForceStep) -> Act:
    forced = codec.from_row(operation.record).record
    assert isinstance(forced, StepForced)
    detail = {"step": forced.key.label, "kind": forced.key.kind.value, "decision": forced.action.value}
    return Act("instance.force_step", operation.workflow, operation.id, None, detail)


def _tell_export(operation: TellExport) -> Act:
    return Act("instance.export", operation.workflow, operation.id, None, {"with_sensitive": True})


def _terminate_all(operation: StartTermination) -> Act:
    return Act("workflow.terminate_all", operation.workflow, None, None, {"statuses": sorted(operation.statuses)})


def _start_job(operation: StartJob) -> Act:
    detail = {"verb": operation.verb, "matching": _matching(operation.wanted)}
    return Act("job.start", operation.workflow, None, operation.id, detail)


def _matching(wanted: Wanted) -> dict[str, object]:
    """Return what a search says; a part of an error's message may be anybody's data, so only that there is one."""
    said = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value not in (None, (), {})}
    return {**said, "error_text": "left out"} if "error_text" in said else said


def _cancel_job(operation: CancelJob) -> Act:
    return Act("job.cancel", None, None, operation.id)


def _put_workflow(operation: PutWorkflow) -> Act:
    settings = msgspec.to_builtins(operation.settings)
    detail = {"script": operation.script, "class_name": operation.class_name, "settings": settings or None}
    return Act("workflow.put", operation.name, None, None, detail)


def _delete_workflow(operation: DeleteWorkflow) -> Act:
    return Act("workflow.delete", operation.name)


def _change_schedule(operation: ChangeSchedule) -> Act:
    changes = {"paused": operation.paused, "overlap": operation.overlap, "time_zone": operation.time_zone}
    return Act("schedule.change", operation.workflow, None, operation.cron, changes)


def _run_schedule(operation: RunSchedule) -> Act:
    return Act("schedule.run", operation.workflow, operation.id, operation.cron)


def _change_settings(operation: ChangeAccountSettings) -> Act:
    return Act("account.change_settings", detail=msgspec.structs.asdict(operation.changes))


def _limit_account(operation: LimitAccount) -> Act:
    # That there is none any more is told, too.
    return Act("account.limit", detail={"concurrency": operation.concurrency or "any number"})


def _share_limit(operation: ShareLimit) -> Act:
    if operation.limit is None:
        return Act("limit.unset", thing=operation.name)
    return Act("limit.set", thing=operation.name, detail={"limit": msgspec.json.decode(operation.limit)})


def _triggers(action: AuditAction) -> Callable[[Any], Act]:
    return lambda operation: Act(action, thing=operation.script, detail={"types": [t.type for t in operation.triggers]})


def _delete_triggers(operation: DeleteTriggers) -> Act:
    return Act("triggers.delete", thing=operation.script)


def _add_token(operation: AddToken) -> Act:
    token = operation.token
    detail = {"name": token.name or None, "permissions": token.permissions, "expires_at": token.expires_at}
    return Act("token.create", thing=token.id, detail=detail)


def _revoke_token(operation: RevokeToken) -> Act:
    return Act("token.revoke", thing=operation.id)


def _add_webhook(operation: AddWebhook) -> Act:
    wanted = {"workflows": operation.workflows or None, "events": operation.events or None}
    return Act("webhook.create", thing=operation.id, detail={"host": _host_of(operation.url), **wanted})


def _change_webhook(operation: ChangeWebhook) -> Act:
    # That it wants everything from now on is told, too.
    wanted = {"workflows": operation.workflows, "events": operation.events, "enabled": operation.enabled}
    return Act("webhook.change", thing=operation.id, detail={"host": _host_of(operation.url), **wanted})


def _redeliver(operation: Redeliver) -> Act:
    return Act("webhook.redeliver", thing=operation.id, detail={"delivery": operation.row})


def _of_webhook(action: AuditAction) -> Callable[[Any], Act]:
    return lambda operation: Act(action, thing=operation.id)


def _host_of(url: str | None) -> str | None:
    """Return where an address leads: path and query of one may be what only its owner knows."""
    return None if url is None else urlsplit(url).netloc


def _begin_session(operation: BeginSession) -> Act:
    detail = {"token": operation.session.token, "instead_of": operation.instead_of}
    return Act("session.begin", thing=operation.session.id, detail=detail)


def _end_sessions(operation: EndSessions) -> Act:
    return Act("session.end", thing=operation.id, detail={"token": operation.token})


def _save_snapshot(operation: SaveSnapshot) -> Act:
    return Act("script.upload", thing=operation.script or None, detail={"sha256": operation.sha256})


def _serve_snapshot(operation: ServeSnapshot) -> Act:
    said = msgspec.json.decode(operation.deployed)
    is_rollback = isinstance(said, dict) and said.get("triggered_by") == "rollback"
    names = [workflow.name for workflow in operation.workflows]
    detail = {"snapshot": operation.snapshot, "workflows": names[:_MOST_NAMES], "count": len(names)}
    return Act("script.rollback" if is_rollback else "script.deploy", detail=detail)


_ACTS: Mapping[type[Operation[Any]], Callable[[Any], Act]] = {
    AddToken: _add_token,
    AddWebhook: _add_webhook,
    BeginSession: _begin_session,
    CancelJob: _cancel_job,
    ChangeAccountSettings: _change_settings,
    ChangeSchedule: _change_schedule,
    ChangeWebhook: _change_webhook,
    DeleteInstance: _of_instance("instance.delete"),
    DeleteTriggers: _delete_triggers,
    DeleteWebhook: _of_webhook("webhook.delete"),
    DeleteWorkflow: _delete_workflow,
    EndSessions: _end_sessions,
    # Whoever imports is a command's, and not asked: what is audited is a fork.
    FinishImport: _of_instance("instance.fork"),
    ForceStep: _force,
    LimitAccount: _limit_account,
    MergeTriggers: _triggers("triggers.merge"),
    MoveInstance: _move,
    PauseInstance: _of_instance("instance.pause"),
    PutWorkflow: _put_workflow,
    Redeliver: _redeliver,
    ReplaceTriggers: _triggers("triggers.replace"),
    RestartInstance: _restart,
    ResumeInstance: _of_instance("instance.resume"),
    ResumeRollback: _of_instance("instance.resume_rollback"),
    RevokeToken: _revoke_token,
    RotateWebhookSecret: _of_webhook("webhook.rotate"),
    RunSchedule: _run_schedule,
    SaveSnapshot: _save_snapshot,
    ServeSnapshot: _serve_snapshot,
    ShareLimit: _share_limit,
    StartJob: _start_job,
    StartTermination: _terminate_all,
    TellExport: _tell_export,
    TerminateInstance: _terminate,
    TryWebhook: _of_webhook("webhook.test"),
}
