"""What a route's own code does not say of it: name, meaning, answer, body, errors, and how clients call it."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stepwell import models
from stepwell.api.refusals import (
    BodyTooLarge,
    Forbidden,
    NoDrawing,
    RouteNotFound,
    ScriptNotFound,
    ScriptVersionNotFound,
    ServiceNotFound,
    TooManyStreams,
    Unauthorized,
    UpgradeRequired,
)
from stepwell.errors import (
    CodeRefused,
    CreatedTooFast,
    DeliveryNotFound,
    InstanceAlreadyExists,
    InstanceFinished,
    InstanceNotFound,
    InvalidInput,
    InvalidInstanceId,
    JobNotFound,
    LimitNotFound,
    NoFailedRollback,
    PageTooSlow,
    QueueFull,
    ScheduleNotFound,
    SnapshotNotFound,
    StepNotFound,
    StepNotInHistory,
    StepwellError,
    StoreError,
    UnknownScript,
    VersionNotFound,
    WebhookNotFound,
    WorkflowBelongs,
    WorkflowNotFound,
)

if TYPE_CHECKING:
    from stepwell.api.routes import Route

# The number of a route in docs/compatibility.md; of one that has none, its method and its path.
Key = int | str

ACCOUNT = "/client/v4/accounts/{account_id}"
OWN = f"{ACCOUNT}/stepwell"
OWN_WORKFLOW = f"{OWN}/workflows/{{workflow_name}}"
OWN_SCHEDULES = f"{OWN}/schedules"
OWN_SCHEDULE = f"{OWN_SCHEDULES}/{{workflow_name}}/{{cron}}"
OWN_INSTANCE = f"{OWN_WORKFLOW}/instances/{{instance_id}}"


def key_of(route: "Route") -> Key:
    """Return what a route is called in the tables of this package."""
    return f"{route.method} {route.pattern}" if route.number is None else route.number


def names_in(pattern: str) -> list[str]:
    """Return the names of the parts of a path, in their order."""
    return re.findall(r"\{(\w+)\}", pattern)


@dataclass(frozen=True, slots=True)
class Refused:
    """An error that a route answers with. `key` is how its message begins, behind `workflows.api.error.`."""

    error: type[StepwellError]
    when: str
    key: str | None = None


NO_WORKFLOW = Refused(WorkflowNotFound, "The account has no workflow of this name.", "workflow.not_found")
NO_INSTANCE = Refused(InstanceNotFound, "The workflow has no instance of this id.", "instance.not_found")
NO_STEP = Refused(StepNotFound, "The instance has no step of this name and type, or no such attempt.", "step.not_found")
NO_SCHEDULE = Refused(ScheduleNotFound, "The workflow has no such cron expression.", "schedule.not_found")
NO_LIMIT = Refused(LimitNotFound, "Steps of the account share no limit of this name.", "limit.not_found")
NO_SNAPSHOT = Refused(SnapshotNotFound, "The account has never served this.", "snapshot.not_found")
BAD_CODE = Refused(CodeRefused, "The code cannot be served; the message is a report for its author.", "script.invalid")
NO_UPLOAD = Refused(ScriptNotFound, "No code was uploaded as this script.")
NO_SERVICE = Refused(ServiceNotFound, "No code was uploaded as this script.")
NO_SCRIPT_VERSION = Refused(ScriptVersionNotFound, "The script has no version of this id.")
NO_JOB = Refused(JobNotFound, "The account has no job of this id.", "job.not_found")
NO_WEBHOOK = Refused(WebhookNotFound, "The account has no webhook of this id.", "webhook.not_found")
NO_DELIVERY = Refused(DeliveryNotFound, "The webhook has no delivery of this id.", "delivery.not_found")
NO_VERSION = Refused(VersionNotFound, "The workflow has no version of this id.", "version.not_found")
BAD_BODY = Refused(InvalidInput, "The body is no JSON, or not of this form, or too large or too deep a value.", "body")
LARGE_BODY = Refused(BodyTooLarge, "The body is larger than any valid one.", "body")
BAD_ID = Refused(InvalidInstanceId, "An id of a new instance breaks the rule for ids.", "instance.invalid_id")
BAD_EVENT = Refused(InvalidInput, "The event type breaks the rule for names.", "workflow.invalid_event_type")
ID_TAKEN = Refused(InstanceAlreadyExists, "The workflow has an instance of this id.", "instance.already_exists")
MANY_QUEUED = Refused(QueueFull, "As many instances of the workflow are queued as may be.", "workflow.queue_full")
TOO_FAST = Refused(CreatedTooFast, "More are created in a second than may be.", "instance.creation_rate")
CANNOT_PAUSE = Refused(InstanceFinished, "It is to be paused, but has ended.", "instance.cannot_pause")
CANNOT_TERMINATE = Refused(InstanceFinished, "It is to be terminated, but has ended.", "instance.cannot_terminate")
NOT_BEGUN = Refused(StepNotInHistory, "It is to begin at a step that it has not begun.", "instance.cannot_restart")
NO_ROLLBACK = Refused(NoFailedRollback, "No rollback of it has failed.", "instance.no_failed_rollback")
FINISHED = Refused(InstanceFinished, "The instance has ended.", "instance.finished")
NOT_FITTING = Refused(
    InvalidInput, "The step is not there, or the action does not fit how it stands.", "step.cannot_force"
)
NO_SCRIPT = Refused(UnknownScript, "No worker has loaded the script, or it has no such class.", "body")
OTHER_SCRIPT = Refused(WorkflowBelongs, "The workflow belongs to another script.", "body")
TOO_SLOW = Refused(PageTooSlow, "Reading it took too long; the message says how to ask for less.", "internal_server")
NO_OPERATION = Refused(RouteNotFound, "The document has no operation of this id.")
NO_DRAWING = Refused(NoDrawing, "It is to be drawn, and there is no graph.")
NO_UPGRADE = Refused(UpgradeRequired, "The request asks for no WebSocket.")
MANY_STREAMS = Refused(TooManyStreams, "As many callers follow instances as may do so at a time.")

# What any route may answer with.
BAD_REQUEST = Refused(InvalidInput, "A part of the path, a query parameter or a header breaks its rule.", "body")
NO_TOKEN = Refused(Unauthorized, "There are no credentials, or they are not good.")
NOT_ALLOWED = Refused(
    Forbidden,
    "The token has none of the permissions or is for another account, or the Host or Origin is a foreign one.",
)
BROKEN = Refused(
    StoreError, "The server is at fault, or its store cannot be used; the message has an id.", "internal_server"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a route answers with if all is well.

    `info` are the members of `result_info`, which is an `info_kind`; none: it is not there. `media` are forms of the
    answer that have no envelope, with the schema of each: a type, or JSON Schema. `others` are statuses that say all is
    well without a body.
    """

    result: Any = None
    info: tuple[str, ...] = ()
    info_kind: Any = models.ResultInfo
    media: tuple[tuple[str, Any], ...] = ()
    status: int = 200
    others: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Body:
    """What a route reads: a type, or a schema where any JSON is taken; and an example of it.

    `is_form`: it is a form, whose part `metadata` is of this type, and whose other parts are files.
    """

    kind: Any
    description: str
    example: Any
    is_needed: bool = True
    is_form: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """A route as its readers see it.

    `sdk` is the method of Cloudflare's clients, `cli` are commands that do the same.
    """

    id: str
    tag: str
    description: str
    answer: Answer
    body: Body | None = None
    refused: tuple[Refused, ...] = ()
    sdk: str | None = None
    cli: tuple[str, ...] = ()
