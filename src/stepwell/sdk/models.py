"""What the client gives: every resource of Cloudflare's API, its members in Cloudflare's spelling but for capitals.

Servers that are newer may say more: members that are not known are dropped, words that are not known (`status`, `type`)
are given as they are, and entries of an unknown type are UnknownEntry. Members that a server leaves out are None.
Moments are datetimes in UTC.

Source: developers.cloudflare.com/api/resources/workflows/
"""

from datetime import datetime
from typing import Any, TypeAlias, TypedDict

from msgspec import Struct, field

# An instance with one of these has ended; a restart may begin it again.
FINAL_STATUSES = frozenset({"complete", "errored", "terminated"})

# ---- what is given to a server


class RetentionPeriods(TypedDict, total=False):
    """How long instances are kept after their end: milliseconds, or a text such as "7 days"."""

    success_retention: int | str
    error_retention: int | str


class NewInstance(TypedDict, total=False):
    """An instance to be created in a batch. `params` as `create` takes them."""

    instance_id: str
    params: Any
    instance_retention: RetentionPeriods
    location_hint: str


# ---- workflows


class Schedule(Struct, frozen=True, kw_only=True):
    """A cron expression of a workflow; `next_instance` is when it fires next, empty while it is paused."""

    cron: str
    next_instance: str | None = None


class ConcurrencyLimit(Struct, frozen=True, kw_only=True):
    """How many instances may run at a time."""

    limit: int | None = None


class StepLimit(Struct, frozen=True, kw_only=True):
    """How many steps an instance may have."""

    steps: int | None = None


class Retention(Struct, frozen=True, kw_only=True):
    """How long instances are kept after their end, in milliseconds."""

    success_retention: int | None = None
    error_retention: int | None = None


class Workflow(Struct, frozen=True, kw_only=True):
    """A workflow; `instances` counts those of each status."""

    id: str
    name: str
    class_name: str
    script_name: str
    created_on: datetime
    modified_on: datetime
    triggered_on: datetime | None = None
    instances: dict[str, int] = field(default_factory=dict)
    schedules: list[Schedule] | None = None


class ChangedWorkflow(Struct, frozen=True, kw_only=True):
    """A workflow that has been created or changed; `version_id` is its new version."""

    id: str
    name: str
    class_name: str
    script_name: str
    version_id: str
    created_on: datetime
    modified_on: datetime
    triggered_on: datetime | None = None


class DeletedWorkflow(Struct, frozen=True, kw_only=True):
    """The acknowledgement of a workflow's end."""

    status: str = "ok"
    success: bool | None = None


class Version(Struct, frozen=True, kw_only=True):
    """A version of a workflow. `has_dag` tells whether its code has a graph."""

    id: str
    class_name: str
    created_on: datetime
    modified_on: datetime
    workflow_id: str
    has_dag: bool = False
    language: str | None = None
    concurrency: ConcurrencyLimit | None = None
    default_retention: Retention | None = None
    limits: StepLimit | None = None


# ---- instances


class ErrorText(Struct, frozen=True, kw_only=True):
    """An error: its name and its message."""

    name: str = ""
    message: str = ""


class Trigger(Struct, frozen=True, kw_only=True):
    """What created an instance, or ended it: `api`, `binding`, `event`, `cron` or `unknown`."""

    source: str = "unknown"


class CreatedInstance(Struct, frozen=True, kw_only=True):
    """An instance that has just been created."""

    id: str
    status: str
    version_id: str | None = None
    workflow_id: str | None = None
    trigger_source: str | None = None


class ListedInstance(Struct, frozen=True, kw_only=True):
    """An instance as a list shows it."""

    id: str
    status: str
    created_on: datetime
    modified_on: datetime
    started_on: datetime | None = None
    ended_on: datetime | None = None
    version_id: str | None = None
    workflow_id: str | None = None
    trigger_source: str | None = None


class Attempt(Struct, frozen=True, kw_only=True):
    """One try of a step."""

    start: datetime
    end: datetime | None = None
    success: bool | None = None
    error: ErrorText | None = None


class StepRetries(Struct, frozen=True, kw_only=True):
    """How often and how fast a step is tried again; `delay` is as its author wrote it, numbers are milliseconds."""

    limit: int | float | str
    delay: int | float | str
    backoff: str | None = None


class StepConfig(Struct, frozen=True, kw_only=True):
    """Retries and time-out of a step, as its author wrote them."""

    retries: StepRetries
    timeout: int | float | str
    sensitive: str | None = None


class _Tried(Struct, frozen=True, kw_only=True):
    """What a step and its rollback have in the log."""

    name: str
    start: datetime
    end: datetime | None = None
    success: bool | None = None
    output: Any = None
    config: StepConfig | None = None
    attempts: list[Attempt] = field(default_factory=list)


class Step(_Tried, frozen=True, kw_only=True, tag_field="type", tag="step"):
    """A `step.do` in the log. `name` has its count, such as `charge-1`; `output` is JSON text, cut where it is long."""


class RollbackStep(_Tried, frozen=True, kw_only=True, tag_field="type", tag="rollback"):
    """The rollback of a step in the log, with the members of a step."""


class Sleep(Struct, frozen=True, kw_only=True, tag_field="type", tag="sleep"):
    """A sleep in the log; `end` is planned until it is `finished`."""

    name: str
    start: datetime
    end: datetime | None = None
    finished: bool = False
    error: ErrorText | None = None


class Wait(Struct, frozen=True, kw_only=True, tag_field="type", tag="waitForEvent"):
    """A wait for an event in the log; `end` is its time-out until it is `finished`; `output` is the event, as text."""

    name: str
    event_type: str | None = None
    start: datetime
    end: datetime | None = None
    finished: bool = False
    error: ErrorText | None = None
    output: Any = None


class Termination(Struct, frozen=True, kw_only=True, tag_field="type", tag="termination"):
    """Somebody ended the instance."""

    trigger: Trigger | None = None


class UnknownEntry(Struct, frozen=True, kw_only=True, tag_field="type", tag="unknown"):
    """An entry of a type that this client does not know; `given` is the entry as it came."""

    given: dict[str, Any] = field(default_factory=dict)


Entry: TypeAlias = Step | RollbackStep | Sleep | Wait | Termination | UnknownEntry


class RollbackOutcome(Struct, frozen=True, kw_only=True):
    """How the rollback of an instance went: `complete` or `failed`."""

    outcome: str
    error: ErrorText | None = None


class CronFiring(Struct, frozen=True, kw_only=True, rename="camel"):
    """The firing that created an instance; `scheduled_time` is in milliseconds since 1970."""

    cron: str
    scheduled_time: int | None = None


class Instance(Struct, frozen=True, kw_only=True):
    """Logs and status of an instance.

    `output` is a number, the text itself, or the JSON text of anything else; None until there is one. With `simple` it
    has no `steps`, but `step_count` counts them.
    """

    status: str
    params: Any = None
    trigger: Trigger = Trigger()
    version_id: str | None = field(default=None, name="versionId")
    queued: datetime | None = None
    start: datetime | None = None
    end: datetime | None = None
    success: bool | None = None
    error: ErrorText | None = None
    output: Any = None
    rollback: RollbackOutcome | None = None
    step_count: int = 0
    steps: list[Entry] = field(default_factory=list)
    schedule: CronFiring | None = None

    @property
    def has_ended(self) -> bool:
        """Whether it is complete, errored or terminated."""
        return self.status in FINAL_STATUSES


class StepState(Struct, frozen=True, kw_only=True):
    """How one step stands: `running`, `waiting`, `complete` or `errored`, with its whole output once it is complete.

    `output` is the JSON value; of a step that returned a stream its bytes.
    """

    status: str
    error: ErrorText | None = None
    output: Any = None
    event_type: str | None = None


class EventReceipt(Struct, frozen=True, kw_only=True, rename="camel"):
    """The acknowledgement of an event."""

    instance_id: str | None = None
    timestamp: datetime | None = None


class ChangedStatus(Struct, frozen=True, kw_only=True):
    """The status of an instance after it was asked to change."""

    status: str
    timestamp: datetime | None = None


class DeletedInstance(Struct, frozen=True, kw_only=True, rename="camel"):
    """The acknowledgement of an instance's end."""

    instance_id: str | None = None
    timestamp: datetime | None = None


class InstanceId(Struct, frozen=True, kw_only=True):
    """An instance of a batch."""

    id: str


class InstanceProblem(Struct, frozen=True, kw_only=True):
    """Why an instance of a batch could not be deleted."""

    id: str
    code: int = 0
    message: str = ""


class BatchDeletion(Struct, frozen=True, kw_only=True):
    """What became of instances that were to be deleted."""

    deleted: list[InstanceId] = field(default_factory=list)
    errors: list[InstanceProblem] = field(default_factory=list)


class BatchTermination(Struct, frozen=True, kw_only=True):
    """How many instances were terminated."""

    status: str = "ok"
    instances_terminated: int = field(default=0, name="instancesTerminated")


class TerminationState(Struct, frozen=True, kw_only=True):
    """Whether all instances are being terminated: `ok` (begun) and `already_running`, or `running`, `not_running`."""

    status: str


class InstanceEvent(Struct, frozen=True, kw_only=True, rename="camel"):
    """Something that happened to an instance: `type` says what, and which of the other members there are.

    `event_id` is the cursor behind which a subscription may go on; `timestamp` is in milliseconds since 1970.
    """

    instance_id: str
    event_id: int
    timestamp: int
    type: str
    step_name: str | None = None
    attempt: int | None = None
    config: StepConfig | None = None
    params: Any = None
    output: Any = None
    error: ErrorText | None = None
    retry_delay_ms: int | None = None
    duration_ms: int | None = None
    event_type: str | None = None
