"""Every answer of the API, field by field in Cloudflare's spelling; nothing of ours is among them.

Moments are ISO 8601 text in UTC with three decimals and `Z`. A field that is UNSET is left out of the answer.

Source: developers.cloudflare.com/api/resources/workflows/
"""

from typing import Literal, get_args

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from stepwell.graph_models import WorkflowGraph

# In the order in which Cloudflare lists them for a workflow's counts.
Status = Literal[
    "complete",
    "errored",
    "paused",
    "queued",
    "rollingBack",
    "running",
    "terminated",
    "waiting",
    "waitingForPause",
]
STATUSES: tuple[Status, ...] = get_args(Status)

# ---- the envelope


class Problem(Struct):
    """What is wrong: a number for programs, a sentence for people."""

    code: int
    message: str


class ResultInfo(Struct):
    """Where a page stands in the whole. `cursor` leads to the next page and is empty on the last."""

    count: int | UnsetType = UNSET
    per_page: int | UnsetType = UNSET
    total_count: int | UnsetType = UNSET
    cursor: str | UnsetType = UNSET
    page: int | UnsetType = UNSET
    total_pages: int | UnsetType = UNSET


class Success(Struct, kw_only=True):
    """The envelope of a result."""

    success: Literal[True] = True
    errors: list[Problem] = []
    messages: list[Problem] = []
    result: object
    result_info: ResultInfo | UnsetType = UNSET


class Failure(Struct, kw_only=True):
    """The envelope of a refusal."""

    success: Literal[False] = False
    errors: list[Problem]
    messages: list[Problem] = []
    result: None = None


# ---- workflows


class Schedule(Struct):
    """A cron expression of a workflow, and when it fires next."""

    cron: str
    next_instance: str


class AnyWorkflow(Struct):
    """What every answer about a workflow begins with."""

    id: str
    name: str
    class_name: str
    script_name: str
    created_on: str
    modified_on: str
    triggered_on: str | None


class Workflow(AnyWorkflow):
    """A workflow and how many of its instances have each status."""

    instances: dict[str, int]
    schedules: list[Schedule]


class ChangedWorkflow(AnyWorkflow):
    """A workflow that has been created or changed, and its new version."""

    version_id: str
    is_deleted: int = 0
    terminator_running: int = 0


class DeletedWorkflow(Struct):
    """The acknowledgement of a workflow's end."""

    status: Literal["ok"] = "ok"
    success: bool = True


class StepLimit(Struct):
    """How many steps an instance may have."""

    steps: int


class ConcurrencyLimit(Struct):
    """How many instances may run at a time."""

    limit: int


class Retention(Struct):
    """How long instances are kept after their end, in milliseconds."""

    success_retention: int | UnsetType = UNSET
    error_retention: int | UnsetType = UNSET


class AnyVersion(Struct):
    """What every answer about a version begins with."""

    id: str
    class_name: str
    created_on: str
    modified_on: str
    workflow_id: str


class Version(AnyVersion):
    """A version of a workflow. `has_dag` tells whether its code has a graph."""

    has_dag: bool = False
    language: Literal["python"] = "python"
    concurrency: ConcurrencyLimit | UnsetType = UNSET
    default_retention: Retention | UnsetType = UNSET
    limits: StepLimit | UnsetType = UNSET


class VersionGraph(AnyVersion):
    """The graph of a version's code; None: the code could not be read."""

    graph: WorkflowGraph | None = None


class VersionDag(AnyVersion):
    """The same in its older form."""

    dag: WorkflowGraph | None = None


# ---- accounts


class AccountSettings(Struct):
    """What holds for all workflows of an account that say nothing else."""

    default_retention: Retention


class TriggerFilter(Struct):
    """Which of the events of a type are meant."""

    namespace: str | UnsetType = UNSET
    repo_name: str | UnsetType = UNSET


class TriggerTarget(Struct):
    """The workflow that an event starts."""

    type: str
    workflow_name: str
    script_name: str


class EventTrigger(Struct):
    """An event that starts workflows."""

    type: str
    targets: list[TriggerTarget]
    filter: TriggerFilter | UnsetType = UNSET


class ScriptTriggers(Struct):
    """The event triggers of a script."""

    script_name: str
    triggers: list[EventTrigger]


class DeletedTriggers(Struct):
    """How many event triggers were deleted."""

    deleted: int


# ---- instances


class CreatedInstance(Struct):
    """An instance that has just been created."""

    id: str
    status: str
    version_id: str
    workflow_id: str
    trigger_source: str


class ListedInstance(Struct):
    """An instance as a list shows it."""

    id: str
    status: str
    created_on: str
    modified_on: str
    started_on: str | None
    ended_on: str | None
    version_id: str
    workflow_id: str
    trigger_source: str


class EventReceipt(Struct, rename="camel"):
    """The acknowledgement of an event."""

    instance_id: str
    timestamp: str


class ChangedStatus(Struct):
    """The status of an instance after it was asked to change."""

    status: str
    timestamp: str


class DeletedInstance(Struct, rename="camel"):
    """The acknowledgement of an instance's end."""

    instance_id: str
    timestamp: str


class InstanceId(Struct):
    """An instance that was deleted."""

    id: str


class InstanceProblem(Struct):
    """Why an instance could not be deleted."""

    id: str
    code: int
    message: str


class BatchDeletion(Struct):
    """What became of instances that were to be deleted, in the order in which they were named."""

    deleted: list[InstanceId]
    errors: list[InstanceProblem]


class BatchTermination(Struct, kw_only=True):
    """How many instances were terminated."""

    status: Literal["ok", "already_running"] = "ok"
    instances_terminated: int = msgspec.field(name="instancesTerminated")


class TerminationStart(Struct):
    """Whether the termination of all instances has begun, or had."""

    status: Literal["ok", "already_running"]


class TerminationState(Struct):
    """Whether all instances are being terminated."""

    status: Literal["running", "not_running"]


class ErrorText(Struct):
    """An error as logs show it: no stack."""

    name: str
    message: str


class Trigger(Struct):
    """What created the instance."""

    source: str


class Attempt(Struct):
    """One try of a step."""

    start: str
    end: str | None
    success: bool | None
    error: ErrorText | None


class Retries(Struct):
    """How often and how fast a step is tried again; `delay` as its author wrote it."""

    limit: float | str
    delay: float | str
    backoff: str


class Config(Struct):
    """A step's config, merged with the defaults."""

    retries: Retries
    timeout: float | str
    sensitive: str | UnsetType = UNSET


class AnyStep(Struct):
    """What the log says of a step, and of the rollback of one."""

    name: str
    start: str
    end: str | None
    success: bool | None
    output: str | None
    config: Config
    attempts: list[Attempt]


class Step(AnyStep, tag_field="type", tag="step"):
    """A `step.do` in the log."""


class RollbackStep(AnyStep, tag_field="type", tag="rollback"):
    """The rollback of a step in the log."""


class RollbackOutcome(Struct):
    """How the rollback of an instance went."""

    outcome: Literal["complete", "failed"]
    error: ErrorText | None


class Sleep(Struct, tag_field="type", tag="sleep"):
    """A sleep in the log; `end` is planned until it is `finished`."""

    name: str
    start: str
    end: str
    finished: bool
    error: ErrorText | None


class Wait(Struct, tag_field="type", tag="waitForEvent"):
    """A wait for an event in the log; `output` is there once an event has ended it."""

    name: str
    event_type: str
    start: str
    end: str
    finished: bool
    error: ErrorText | None
    output: str | UnsetType = UNSET


class Termination(Struct, tag_field="type", tag="termination"):
    """Somebody ended the instance."""

    trigger: Trigger


class StepState(Struct):
    """How one step stands. `output` is there once it is complete: the whole JSON value, not its text."""

    status: str
    error: ErrorText | None
    output: Raw | str | UnsetType = UNSET
    event_type: str | UnsetType = UNSET


class InstanceEvent(Struct, rename="camel", kw_only=True):
    """Something that happened to an instance. What does not belong to its type is left out."""

    instance_id: str
    event_id: int
    timestamp: int
    type: str
    step_name: str | UnsetType = UNSET
    attempt: int | UnsetType = UNSET
    config: Config | UnsetType = UNSET
    params: Raw | UnsetType = UNSET
    output: Raw | UnsetType = UNSET
    error: ErrorText | UnsetType = UNSET
    retry_delay_ms: int | UnsetType = UNSET
    duration_ms: int | UnsetType = UNSET
    event_type: str | UnsetType = UNSET


class StreamToken(Struct):
    """What opens the stream of an instance for a while."""

    token: str
    expires_at: str


class CronFiring(Struct, rename="camel"):
    """The firing that created an instance."""

    cron: str
    scheduled_time: int


class Instance(Struct):
    """Logs and status of an instance.

    `output` is a number, the text itself, or the JSON text of anything else.
    """

    status: str
    params: Raw
    trigger: Trigger
    version_id: str = msgspec.field(name="versionId")
    queued: str
    start: str | None
    end: str | None
    success: bool | None
    error: ErrorText | None
    output: Raw | str | None
    rollback: RollbackOutcome | None
    step_count: int
    steps: list[Step | Sleep | Wait | Termination | RollbackStep]
    schedule: CronFiring | UnsetType = UNSET
