"""What can be asked of a store about its audit log: who has done what, when, and from where.

An entry is written in the transaction of the operation that it tells of: so one that was done has its entry, and one
that was refused has none. Entries are only added; they go when they are old, the oldest first.
"""

from typing import Any, Literal, get_args

import msgspec

from stepwell.store.account_operations import ChangeAccountSettings, DeleteTriggers, MergeTriggers, ReplaceTriggers
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
from stepwell.store.once import Once
from stepwell.store.operations import Operation
from stepwell.store.schedule_operations import ChangeSchedule, RunSchedule
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

# How a caller was known: by a token, by the session of a browser, by nothing, as nothing was asked for, or as the user
# of a machine who gave a command that opens the store.
Way = Literal["token", "session", "open", "command"]

AuditAction = Literal[
    "account.change_settings",
    "account.limit",
    "instance.delete",
    "instance.export",
    "instance.force_step",
    "instance.fork",
    "instance.move",
    "instance.pause",
    "instance.restart",
    "instance.resume",
    "instance.resume_rollback",
    "instance.terminate",
    "job.cancel",
    "job.start",
    "limit.set",
    "limit.unset",
    "schedule.change",
    "schedule.run",
    "script.deploy",
    "script.rollback",
    "script.upload",
    "session.begin",
    "session.end",
    "token.create",
    "token.revoke",
    "triggers.delete",
    "triggers.merge",
    "triggers.replace",
    "webhook.change",
    "webhook.create",
    "webhook.delete",
    "webhook.redeliver",
    "webhook.rotate",
    "webhook.test",
    "workflow.delete",
    "workflow.put",
    "workflow.terminate_all",
]
AUDIT_ACTIONS: tuple[AuditAction, ...] = get_args(AuditAction)

# What has an entry if somebody asks for it. What is not here: what workers and servers do by themselves, what creates
# instances, and events, which instances have in their histories.
AuditedOperation = (
    AddToken
    | AddWebhook
    | BeginSession
    | CancelJob
    | ChangeAccountSettings
    | ChangeSchedule
    | ChangeWebhook
    | DeleteInstance
    | DeleteTriggers
    | DeleteWebhook
    | DeleteWorkflow
    | EndSessions
    | FinishImport
    | ForceStep
    | LimitAccount
    | MergeTriggers
    | MoveInstance
    | PauseInstance
    | PutWorkflow
    | Redeliver
    | ReplaceTriggers
    | RestartInstance
    | ResumeInstance
    | ResumeRollback
    | RevokeToken
    | RotateWebhookSecret
    | RunSchedule
    | SaveSnapshot
    | ServeSnapshot
    | ShareLimit
    | StartJob
    | StartTermination
    | TellExport
    | TerminateInstance
    | TryWebhook
)
AUDITED: frozenset[type[Operation[Any]]] = frozenset(get_args(AuditedOperation))


class Asked(msgspec.Struct, frozen=True):
    """Who asks for something, how that is known, when, and from where.

    `name` is the token's, or its id if it has none, or the user's. `address` is that of the other end of the
    connection, or the machine's name; `agent` is what the caller says of its program.
    """

    way: Way
    name: str
    at: int
    token: str | None = None
    address: str = ""
    agent: str = ""


class Audited(Operation[Any], frozen=True):
    """Do an operation, and add the entry that tells of it; answer what it answers, and raise what it raises.

    An operation that answers False has done nothing, nor has one that was done before under its Idempotency-Key: then
    there is no entry.
    """

    operation: AuditedOperation | Once
    asked: Asked


class AuditEntry(msgspec.Struct, frozen=True, array_like=True):
    """An entry of the audit log. `row` ascends; `detail` is a JSON object, without params, payloads and outputs."""

    row: int
    at: int
    action: str
    way: str
    who: str
    token: str | None
    address: str
    agent: str
    workflow: str | None
    instance: str | None
    thing: str | None
    detail: str


class ListAudit(Operation[list[AuditEntry]], frozen=True):
    """Return up to `limit` entries of an account, newest first; those before an entry, if one is named.

    None: whatever it is. Times are included. An entry that is being written while somebody reads may come in behind
    newer ones, as a database gives out numbers before it is done.
    """

    account: str
    limit: int
    before: int | None = None
    action: str | None = None
    token: str | None = None
    workflow: str | None = None
    instance: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None


class ForgetAudit(Operation[int], frozen=True):
    """Forget entries of all accounts from before a moment, the oldest first, up to `limit`; answer how many are gone.

    None goes before one that is older by its number, whatever the clocks said.
    """

    before: int
    limit: int = 500
