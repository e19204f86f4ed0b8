"""Every error that Stepwell raises on purpose.

    StepwellError
    |-- InvalidInput              a value from outside breaks a rule            400  10002
    |   |-- InvalidInstanceId     an instance id breaks the name rule           400  10002
    |   |-- UnknownScript         no worker has loaded that script, or class    400  10002
    |   `-- WorkflowBelongs       the workflow is another script's              400  10002
    |-- WorkflowNotFound          no workflow of that name                      404  10200
    |-- QueueFull                 as many instances are queued as may be     429  10429
    |-- CreatedTooFast            more instances in a second than may be      429  10429
    |-- VersionNotFound           no version of that id                         404  10300
    |-- ScheduleNotFound          no such cron expression of the workflow       404  10500
    |-- LimitNotFound             no such limit that steps share                404  10501
    |-- JobNotFound               no job of that id                             404  10506
    |-- WebhookNotFound           no webhook of that id                         404  10504
    |-- DeliveryNotFound          no such delivery of the webhook               404  10505
    |-- SnapshotNotFound          no such code that was served                  404  10503
    |-- CodeRefused               code that was uploaded cannot be served       400  10021
    |-- InstanceNotFound          no instance of that id                        404  10400
    |-- StepNotFound              no step of that name in the instance          404  10400
    |-- InstanceAlreadyExists     the id is taken                               400  10405
    |-- InstanceFinished          the instance has ended                        400  10401
    |-- StepNotInHistory          a restart from a step that has not begun      400  10402
    |-- IdempotencyKeyReused      the key came with another request             400  10002
    |-- NotAuthenticated          a token that is not good                       401  10000
    |-- StoreError                the store cannot do what was asked            500  10001
    |   |-- StoreUnavailable      for now: full disk, lost connection; may work later
    |   |-- StoreDamaged          the file is not a healthy store
    |   |-- StoreInUse            another server holds the store
    |   |-- StoreTooNew           the schema is newer than this program
    |   |-- PageTooSlow           a list took too long to read              503  10001
    |   |-- StreamDropped         the stream is not there any more
    |   |-- RehearsalStopped      a rehearsal was asked for what it does not do
    |   `-- OutOfOrder            a commit came before its predecessor: a defect
    |-- TurnLost                  the turn was fenced out: another one owns the instance
    |-- RestartedMeanwhile        the instance has begun again since the caller looked at it
    |-- NoFailedRollback          there is no rollback to go on with             400  10403
    |-- VersionChanged            the workflow has a newer version than the caller looked at
    |-- ScriptError               the author's file cannot be loaded
    |-- NotStarted                an engine inside an application does not run
    |-- AlreadyStarted            it runs, and is started again
    |-- CannotListen              an address cannot be listened on
    |-- InvalidSetting            a server is told something that no setting can be
    |-- RequestRefused            a server says no to a client
    |   `-- NotOfThisServer       it does not have what is Stepwell's own, as it is Cloudflare's, or an older one
    |-- ServerUnreachable         a server does not answer, or not as this API does
    |-- UnreadableValue           a stored value no longer fits the author's classes
    |-- UnfitValue                a JSON value does not fit the type it is wanted as
    |-- KitError                  a test asks its engine for what cannot be
    |   |-- NothingCanHappen      what it waits for can never come
    |   |-- StatusUnreachable     the instance has ended otherwise, or is not where it has to be
    |   |-- NoStepResult          the instance has ended without a result of that step
    |   |-- WaitsForReal          code waits for what no clock of the test's moves
    |   `-- CannotStandIn         a modifier, or an introspection, that is refused
    |-- KitFinding                what the test kit finds in a workflow
    |   |-- Diverged              its code, replayed, went another way than its history
    |   |-- OutcomeChanged        it came to another end when a worker had died
    |   |-- StepsDiffer           its step log is not what a test says
    |   `-- SnapshotMissing       there is none that its step log could be held against
    `-- AuthorError               what a step call raises into the author's code
        |-- NonRetryableError     raised by authors: do not try this step again
        |-- RetryAfter            raised by authors: try this step again after so long
        |-- WorkflowTimeoutError  an attempt or a wait ran out of time
        |-- WorkflowInternalError the engine, not the author, is at fault
        |-- WorkflowFatalError    a rule was broken; trying again cannot help
        |   |-- InvalidStepName
        |   |-- InvalidStepConfig
        |   |-- InvalidEventType
        |   |-- StepLimitReached
        |   |-- InstanceTooLarge  a result for which the instance has no room
        |   `-- NotSerialisable   a value that cannot be stored
        |-- InstanceFailed        an instance that was waited for did not complete
        |-- ChildFailed           a child that was awaited did not complete
        |-- StepProcessDied       the process of an isolated step has ended before the step
        |-- RollbackMissing       what undoes a step is not in the code any more
        |-- NonRetryableDelayError a delay function failed
        |-- SleepInThePast        sleep_until was given a moment that is over
        `-- StepFailed            stands in for an exception class that is not a builtin

    TurnClosed                    a BaseException: a step call in a turn that has ended

`code` and `http_status` say how the HTTP API answers; `name` is what logs and `error.name` show.
"""

import math
from datetime import timedelta
from typing import Any, ClassVar

from stepwell.errors.base import StepwellError
from stepwell.errors.findings import Diverged, KitFinding, OutcomeChanged, SnapshotMissing, StepsDiffer
from stepwell.errors.kit import (
    CannotStandIn,
    KitError,
    NoStepResult,
    NothingCanHappen,
    StatusUnreachable,
    WaitsForReal,
)
from stepwell.errors.refused import (
    CodeRefused,
    CreatedTooFast,
    DeliveryNotFound,
    IdempotencyKeyReused,
    InstanceAlreadyExists,
    InstanceFinished,
    InstanceNotFound,
    InvalidInput,
    InvalidInstanceId,
    JobNotFound,
    LimitNotFound,
    NoFailedRollback,
    NotAuthenticated,
    QueueFull,
    RestartedMeanwhile,
    ScheduleNotFound,
    SnapshotNotFound,
    StepNotFound,
    StepNotInHistory,
    UnknownScript,
    VersionNotFound,
    WebhookNotFound,
    WorkflowBelongs,
    WorkflowNotFound,
)
from stepwell.errors.stores import (
    OutOfOrder,
    PageTooSlow,
    RehearsalStopped,
    StoreDamaged,
    StoreError,
    StoreInUse,
    StoreTooNew,
    StoreUnavailable,
    StreamDropped,
)

__all__ = [
    "AlreadyStarted",
    "AuthorError",
    "CannotListen",
    "CannotStandIn",
    "ChildFailed",
    "CodeRefused",
    "CreatedTooFast",
    "DeliveryNotFound",
    "Diverged",
    "IdempotencyKeyReused",
    "InstanceAlreadyExists",
    "InstanceFailed",
    "InstanceFinished",
    "InstanceNotFound",
    "InstanceTooLarge",
    "InvalidEventType",
    "InvalidInput",
    "InvalidInstanceId",
    "InvalidSetting",
    "InvalidStepConfig",
    "InvalidStepName",
    "JobNotFound",
    "KitError",
    "KitFinding",
    "LimitNotFound",
    "NoFailedRollback",
    "NoStepResult",
    "NonRetryableDelayError",
    "NonRetryableError",
    "NotAuthenticated",
    "NotOfThisServer",
    "NotSerialisable",
    "NotStarted",
    "NothingCanHappen",
    "OutOfOrder",
    "OutcomeChanged",
    "PageTooSlow",
    "QueueFull",
    "RehearsalStopped",
    "RequestRefused",
    "RestartedMeanwhile",
    "RetryAfter",
    "RollbackMissing",
    "ScheduleNotFound",
    "ScriptError",
    "ServerUnreachable",
    "SleepInThePast",
    "SnapshotMissing",
    "SnapshotNotFound",
    "StatusUnreachable",
    "StepFailed",
    "StepLimitReached",
    "StepNotFound",
    "StepNotInHistory",
    "StepProcessDied",
    "StepsDiffer",
    "StepwellError",
    "StoreDamaged",
    "StoreError",
    "StoreInUse",
    "StoreTooNew",
    "StoreUnavailable",
    "StreamDropped",
    "TurnClosed",
    "TurnLost",
    "UnfitValue",
    "UnknownScript",
    "UnreadableValue",
    "VersionChanged",
    "VersionNotFound",
    "WaitsForReal",
    "WebhookNotFound",
    "WorkflowBelongs",
    "WorkflowFatalError",
    "WorkflowInternalError",
    "WorkflowNotFound",
    "WorkflowTimeoutError",
]

# How many characters of a value a message shows.
_SHOWN = 100


class TurnLost(StepwellError):
    """The turn no longer owns its instance; nothing that it sends is recorded."""

    def __init__(self, row: int, turn: int) -> None:
        self.row, self.turn = row, turn
        super().__init__(f"turn {turn} of instance row {row} has been fenced out")


class TurnClosed(BaseException):
    """A step was called in a turn that has ended. Not an Exception, so that author code does not catch it."""


class VersionChanged(StepwellError):
    """The newest version of a workflow is not the one that the caller looked at. Nothing was written."""

    def __init__(self, version: str) -> None:
        self.version = version
        super().__init__(f"the newest version is {version}")


class UnreadableValue(StepwellError):
    """A stored value no longer fits the author's classes. `path` leads to the part at fault."""

    def __init__(self, path: str, problem: str) -> None:
        self.path, self.problem = path, problem
        super().__init__(f"{path} cannot be read: {problem}")


class UnfitValue(StepwellError):
    """A JSON value does not fit the type it is wanted as. `path` leads to the part at fault."""

    def __init__(self, path: str, problem: str) -> None:
        self.path, self.problem = path, problem
        super().__init__(f"{path}: {problem}")


class ScriptError(StepwellError):
    """The author's file cannot be loaded; the message is the report to show, without a stack trace of ours."""


class NotStarted(StepwellError):
    """An engine inside an application is asked for something and does not run."""


class AlreadyStarted(StepwellError):
    """An engine inside an application runs and is started again."""


class CannotListen(StepwellError):
    """An address cannot be listened on; the message says why and what to do."""


class InvalidSetting(StepwellError):
    """A server is told something that no setting can be; the message says what, where it was said, and the remedy."""


class RequestRefused(StepwellError):
    """A server says no: HTTP status, number in the envelope; message and request id are the server's own."""

    def __init__(self, status: int, error_code: int, message: str, request_id: str | None = None) -> None:
        self.status, self.error_code, self.request_id = status, error_code, request_id
        super().__init__(message)


class NotOfThisServer(RequestRefused):
    """A server does not have a route that is Stepwell's own: it is Cloudflare's, or of an older version."""


class ServerUnreachable(StepwellError):
    """A server does not answer, or not as this API does."""


class AuthorError(StepwellError):
    """Base of what step calls raise into the author's code."""

    name: ClassVar[str] = "Error"


class NonRetryableError(AuthorError):
    """Raise this in a step to fail it at once, without further attempts.

    Source: developers.cloudflare.com/workflows/build/sleeping-and-retrying/
    """

    name = "NonRetryableError"

    def __init__(self, message: str = "", name: str | None = None) -> None:
        super().__init__(message)
        if name is not None:
            self.name = name  # type: ignore[misc]  # the author's own name for it


class RetryAfter(AuthorError):
    """Raise this in a step to say when it is tried again, in place of its backoff; the attempt counts all the same.

    `after` is seconds, as in HTTP's Retry-After, or a timedelta. `raise RetryAfter(30) from error` keeps the cause.
    """

    name = "RetryAfter"
    wait_ms: int = 0

    def __init__(self, after: float | timedelta, message: str = "") -> None:
        seconds = after.total_seconds() if isinstance(after, timedelta) else after
        if not _is_number(seconds) or not 0 <= seconds < math.inf:
            raise ValueError(f"RetryAfter needs a number of seconds or a timedelta, not negative, got {_short(after)}")
        self.wait_ms = math.ceil(seconds * 1000)
        super().__init__(message or f"to be tried again after {seconds:g} s")


class WorkflowTimeoutError(AuthorError):
    """An attempt, or a wait for an event, ran out of time."""

    name = "WorkflowTimeoutError"


class WorkflowInternalError(AuthorError):
    """The engine or its process, not the author's code, ended an attempt."""

    name = "WorkflowInternalError"


class WorkflowFatalError(AuthorError):
    """A rule of the engine was broken; trying again cannot help. It can be caught and uses no attempt."""

    name = "WorkflowFatalError"


class InvalidStepName(WorkflowFatalError):
    """A step name that is no string, is too long, or has control characters."""

    def __init__(self, step: object, expected: str) -> None:
        self.step = step
        super().__init__(f"Step name {step!r:.300} must be {expected}.")


class InvalidStepConfig(WorkflowFatalError):
    """A field of a step's config has a value that it cannot have."""

    def __init__(self, step: str, field: str, value: Any, expected: str) -> None:
        self.step, self.field, self.value = step, field, value
        super().__init__(f'Step "{step}": {field} must be {expected}, got {_short(value)}.')


class InvalidEventType(WorkflowFatalError):
    """A wait names an event type that no event can have."""

    def __init__(self, step: str, event_type: object, expected: str) -> None:
        self.step, self.event_type = step, event_type
        super().__init__(f'Step "{step}": the event type must be {expected}, got {_short(event_type)}.')


class StepLimitReached(WorkflowFatalError):
    """The instance called more steps than its limit allows."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        remedy = "Start another instance for the rest, or raise the limit."
        super().__init__(f"The limit of {limit} steps has been reached. {remedy}")


class InstanceTooLarge(WorkflowFatalError):
    """A result would make the instance hold more than its limit. It ends the instance and cannot be caught."""

    def __init__(self, step: str, size: int, limit: int) -> None:
        self.step, self.size, self.limit = step, size, limit
        super().__init__(
            f'Step "{step}": with its result the instance would hold {size:,} bytes of params, event payloads and step '
            f"results. At most {limit:,} are allowed (the setting instance_size); store large values elsewhere and "
            "return references, go on in another instance, or raise the setting."
        )


class NotSerialisable(WorkflowFatalError):
    """A value cannot be stored. `path` leads to the part at fault, for example `result["items"][3]`."""

    def __init__(self, path: str, problem: str) -> None:
        self.path, self.problem = path, problem
        super().__init__(f"{path} is not serialisable: {problem}.")


class StepProcessDied(AuthorError):
    """The process of an isolated step has ended, or was ended, before the step: it wanted more than it may have."""

    name = "StepProcessDied"


class ChildFailed(AuthorError):
    """A child did not complete: `status` says how it ended, the cause is its error if it errored."""

    name = "ChildFailed"

    def __init__(self, workflow: str, instance: str, status: str, problem: str = "") -> None:
        self.workflow, self.instance, self.status = workflow, instance, status
        super().__init__(f'The child "{instance}" of workflow "{workflow}" is {status}{problem}')


class InstanceFailed(AuthorError):
    """An instance that was waited for did not complete: `status` is errored or terminated."""

    name = "InstanceFailed"

    def __init__(self, workflow: str, instance: str, status: str, problem: str = "") -> None:
        self.workflow, self.instance, self.status = workflow, instance, status
        super().__init__(f'The instance "{instance}" of workflow "{workflow}" is {status}{problem}')


class RollbackMissing(AuthorError):
    """A step has begun with a rollback that the code no longer gives it.

    Source: developers.cloudflare.com/workflows/build/workers-api/#rollback
    """

    name = "RollbackMissing"

    def __init__(self, step: str) -> None:
        self.step = step
        super().__init__(f'Rollback function not available in registry: step "{step}" began with one')


class NonRetryableDelayError(AuthorError):
    """A delay function raised, was too slow, or returned something that is no delay."""

    name = "NonRetryableDelayError"


class SleepInThePast(AuthorError):
    """`sleep_until` was given a moment that is over.

    Source: developers.cloudflare.com/workflows/build/sleeping-and-retrying/
    """

    def __init__(self, step: str, until_ms: int, now_ms: int) -> None:
        self.step = step
        over = f"the moment {until_ms} is {now_ms - until_ms} ms in the past (numbers are milliseconds since 1970)"
        super().__init__(f'Sleep "{step}": {over}; give a moment to come.')


class StepFailed(AuthorError):
    """Stands in for an exception of a step whose class is not a builtin. `name` is the class's name."""

    def __init__(self, name: str, message: str) -> None:
        self.name = name  # type: ignore[misc]  # here each error has a name of its own
        super().__init__(message)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: object) -> str:
    try:
        text = f'"{value}"' if isinstance(value, str) else repr(value)
    except Exception:  # an author's __repr__ may raise, and an integer may have too many digits to be printed
        text = f"a {type(value).__name__} that cannot be printed"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
