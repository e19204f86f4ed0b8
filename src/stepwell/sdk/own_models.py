"""What the client gives of Stepwell's own routes, which Cloudflare does not have. Moments are datetimes in UTC."""

from datetime import datetime
from typing import Any, Literal, TypeAlias, TypedDict

from msgspec import Struct, field

from stepwell.sdk.models import CreatedInstance, ErrorText, ListedInstance

Verb: TypeAlias = Literal["pause", "resume", "terminate", "restart", "delete"]


class Search(TypedDict, total=False):
    """Which instances are meant: those for which all of this is so. Moments may be texts, durations "5 minutes"."""

    status: list[str]
    label: list[str]
    prefix: str
    version: str
    trigger: str
    error: str
    error_text: str
    duration_min: int | str
    duration_max: int | str
    date_start: datetime | str
    date_end: datetime | str
    ended_start: datetime | str
    ended_end: datetime | str


# ---- instances


class CurrentStep(Struct, frozen=True, kw_only=True):
    """What an instance does now; `others` counts what is open beside it."""

    step: str
    type: str
    state: str
    since: datetime
    until: datetime | None = None
    attempt: int = 0
    event_type: str | None = None
    others: int = 0


class FoundInstance(ListedInstance, frozen=True, kw_only=True):
    """An instance that was searched for; `duration_ms` is until now where it has not ended."""

    workflow_name: str
    duration_ms: int | None = None
    step_count: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    error: ErrorText | None = None
    current: CurrentStep | None = None


class LabelledInstance(CreatedInstance, frozen=True, kw_only=True):
    """An instance that has just been created, with its labels."""

    labels: dict[str, str] = field(default_factory=dict)


class Progress(Struct, frozen=True, kw_only=True):
    """How far an instance says it is."""

    value: Any
    at: datetime


class Relative(Struct, frozen=True, kw_only=True):
    """An instance that awaits this one, or that this one awaits."""

    workflow: str
    id: str
    status: str


class ForcedStep(Struct, frozen=True, kw_only=True):
    """What was decided of a step by hand, when and by whom."""

    step: str
    type: str
    action: str
    by: str
    timestamp: datetime


class InstanceStatus(ListedInstance, frozen=True, kw_only=True):
    """The status of an instance without its log; `output` is the JSON value itself, None until it is complete."""

    step_count: int = 0
    error: ErrorText | None = None
    output: Any = None
    labels: dict[str, str] = field(default_factory=dict)
    progress: Progress | None = None
    parents: list[Relative] = field(default_factory=list)
    children: list[Relative] = field(default_factory=list)
    decisions: list[ForcedStep] = field(default_factory=list)


class LogLine(Struct, frozen=True, kw_only=True):
    """A line that an instance has said; `step` is None for what `run` itself says. `n` is its number."""

    n: int
    at: datetime
    step: str | None = None
    attempt: int | None = None
    level: str
    text: str


class Log(Struct, frozen=True, kw_only=True):
    """A page of a log; `next` is the number behind which the next one begins."""

    status: str
    lines: list[LogLine] = field(default_factory=list)
    progress: Progress | None = None
    next: int = 0


class End(Struct, frozen=True, kw_only=True):
    """How an instance ended."""

    at: datetime
    error: ErrorText | None = None


class Why(Struct, frozen=True, kw_only=True):
    """Why an instance does not go on; each reason has its `type`, and what belongs to it."""

    status: str
    reasons: list[dict[str, Any]] = field(default_factory=list)
    end: End | None = None


class HistoryRecord(Struct, frozen=True, kw_only=True):
    """A record of a history without the author's values: its number, when it was written, its kind, and what belongs.

    `event_seq` is the number of the record whose event a wait got; `until` is when a sleep ends, a wait times out or a
    step is tried again; `lost`: the turn before was lost; `patch`: the name by which the code goes a newer way;
    `version`: the one that the instance was moved to. What a kind does not have is None.
    """

    seq: int
    at: datetime
    kind: str
    step: str | None = None
    step_type: str | None = None
    attempt: int | None = None
    event_type: str | None = None
    event_seq: int | None = None
    until: datetime | None = None
    lost: bool | None = None
    action: str | None = None
    patch: str | None = None
    version: str | None = None
    by: str | None = None
    error: ErrorText | None = None


class History(Struct, frozen=True, kw_only=True):
    """A part of a history; `next` is the number behind which the next one begins, `is_whole`: there is none yet."""

    records: list[HistoryRecord] = field(default_factory=list)
    next: int = 0
    is_whole: bool = True


class DescribedAttempt(Struct, frozen=True, kw_only=True):
    """An attempt that has said something of itself, by `ctx.set_attributes`; `type` is `step` or `rollback`."""

    step: str
    type: str
    attempt: int
    attributes: dict[str, str | int | float | bool] = field(default_factory=dict)


class InstanceAttributes(Struct, frozen=True, kw_only=True):
    """What attempts have said of themselves, and the sums of what are numbers; `is_whole`: they are all."""

    totals: dict[str, int | float] = field(default_factory=dict)
    attempts: list[DescribedAttempt] = field(default_factory=list)
    is_whole: bool = True


class TreeMember(Struct, frozen=True, kw_only=True):
    """An instance of a tree; `depth` is how many lie between it and the one that was asked for, that one included."""

    workflow: str
    id: str
    status: str
    depth: int = 0


class InstanceTree(Struct, frozen=True, kw_only=True):
    """An instance and those that it awaits, each right behind the one that awaits it; `is_whole`: they are all."""

    instances: list[TreeMember] = field(default_factory=list)
    is_whole: bool = True


# ---- hosts


class StoreHost(Struct, frozen=True, kw_only=True):
    """A process that has the store open: `alive` or `lost`, with the workers behind it.

    `name` None: the token has no permission `metrics`, and numbers are of its account alone.
    """

    id: str
    name: str | None = None
    version: str | None = None
    state: str
    opened_on: datetime | None = None
    renewed_on: datetime | None = None
    workers: int = 0
    blocked_workers: int = 0
    held: int = 0
    lag_ms: int = 0


class WaitingInstances(Struct, frozen=True, kw_only=True):
    """What waits: how many instances are due, for how long the first one, and how many queue."""

    due: int = 0
    lag_ms: int = 0
    queued: int = 0
    by_status: dict[str, int] = field(default_factory=dict)


class Database(Struct, frozen=True, kw_only=True):
    """What the store is kept in; `size` is in bytes, None: the token has no permission `metrics`."""

    kind: str
    version: str
    size: int | None = None


class StoreHosts(Struct, frozen=True, kw_only=True):
    """The hosts of a store, and how it stands."""

    hosts: list[StoreHost] = field(default_factory=list)
    waiting: WaitingInstances = WaitingInstances()
    database: Database | None = None


# ---- the audit log


class AuditEntry(Struct, frozen=True, kw_only=True):
    """Who has done what to what, when, and from where; `way` is how that is known, `token` by a token for one."""

    id: str
    at: datetime
    action: str
    who: str
    way: str
    token_id: str | None = None
    address: str = ""
    agent: str = ""
    workflow_name: str | None = None
    instance_id: str | None = None
    thing: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)


# ---- facts


class Fact(Struct, frozen=True, kw_only=True):
    """A line of the log of a server or worker; `account` None: it is of none. `host` None: no permission `metrics`."""

    id: str
    at: datetime
    level: str
    event: str
    message: str
    host: str | None = None
    process: str
    account: str | None = None
    workflow_name: str | None = None
    instance_id: str | None = None


# ---- jobs


class JobProblem(Struct, frozen=True, kw_only=True):
    """An instance that could not be changed."""

    workflow_name: str
    instance_id: str
    message: str


class Job(Struct, frozen=True, kw_only=True):
    """A change of all instances that match, and how far it is: `running`, `complete` or `cancelled`."""

    id: str
    action: str
    status: str
    workflow_name: str | None = None
    filter: dict[str, str | list[str]] = field(default_factory=dict)
    created_on: datetime
    created_by: str | None = None
    ended_on: datetime | None = None
    looked_to: datetime | None = None
    done: int = 0
    passed_over: int = 0
    failed: int = 0
    failures: list[JobProblem] = field(default_factory=list)


# ---- limits


class Rate(Struct, frozen=True, kw_only=True):
    """At most so many in any period of so many milliseconds."""

    limit: int
    period_ms: int


class Queue(Struct, frozen=True, kw_only=True):
    """The instances of a key: how many run, and how many wait, since when."""

    key: str
    running: int = 0
    queued: int = 0
    next_queued_on: datetime | None = None


class WorkflowLimits(Struct, frozen=True, kw_only=True):
    """The limits of a workflow, and how they stand."""

    workflow_name: str
    concurrency: int | None = None
    key: str | None = None
    concurrency_per_key: int | None = None
    rate: Rate | None = None
    rate_per_key: Rate | None = None
    priority: str | None = None
    singleton: str | None = None
    running: int = 0
    queued: int = 0
    queues: list[Queue] = field(default_factory=list)


class SharedLimit(Struct, frozen=True, kw_only=True):
    """A limit that steps share, and how it stands; `source` is `code` or `api`."""

    name: str
    concurrency: int | None = None
    rate: Rate | None = None
    source: str | None = None
    running: int = 0
    queued: int = 0
    next_queued_on: datetime | None = None


class AccountLimits(Struct, frozen=True, kw_only=True):
    """The limits of an account: its own, its workflows', and those that steps share."""

    concurrency: int | None = None
    running: int = 0
    workflows: list[WorkflowLimits] = field(default_factory=list)
    shared: list[SharedLimit] = field(default_factory=list)


# ---- schedules


class LastInstance(Struct, frozen=True, kw_only=True):
    """The newest instance of a schedule, and the moment that it was for."""

    id: str
    status: str
    scheduled_on: datetime


class ScheduleState(Struct, frozen=True, kw_only=True):
    """A schedule of a workflow: when it creates instances, next and last, and how many firings were skipped."""

    workflow_name: str
    cron: str
    description: str | None = None
    time_zone: str = "UTC"
    overlap: str | None = None
    paused_on: datetime | None = None
    next: list[datetime] = field(default_factory=list)
    last: LastInstance | None = None
    skipped: int = 0
    skipped_on: datetime | None = None
