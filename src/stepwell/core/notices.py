"""What subscribers are told: notices, made of the records of a history, one record at a time.

Cloudflare calls them events of the instance, and so they are spelled on the wire. A record gives none, one or several
notices; their numbers come from its place in the history, so they ascend, and are the same each time. What a restart
takes back stays told: a history only grows.

Source: developers.cloudflare.com/workflows/build/subscribe-to-instance-events/
"""

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from stepwell.core.failures import Failure
from stepwell.core.instance import FINAL, InstanceState, Status, advance
from stepwell.core.records import (
    AttemptFailed,
    AttemptInterrupted,
    AttemptLost,
    AttemptStarted,
    Completed,
    Created,
    Failed,
    Key,
    Payload,
    Record,
    Recorded,
    Restarted,
    RollbackEnded,
    RollbackStarted,
    Running,
    SleepEnded,
    SleepStarted,
    StepCancelled,
    StepConfig,
    StepFailed,
    StepKind,
    StepSucceeded,
    WaitEnded,
    WaitStarted,
)
from stepwell.core.steplog import CANCELLED, REDACTED, failure_of

# How many notices one record may give. It is part of every number that a subscriber has kept: it never changes.
PLACES = 16


class NoticeType(StrEnum):
    """The types of notice, in the spelling of the HTTP API."""

    WORKFLOW_QUEUED = "workflow_queued"
    WORKFLOW_STARTED = "workflow_started"
    WORKFLOW_RUNNING = "workflow_running"
    WORKFLOW_PAUSED = "workflow_paused"
    WORKFLOW_WAITING_FOR_PAUSE = "workflow_waiting_for_pause"
    WORKFLOW_WAITING = "workflow_waiting"
    WORKFLOW_COMPLETED = "workflow_completed"
    WORKFLOW_ERRORED = "workflow_errored"
    WORKFLOW_TERMINATED = "workflow_terminated"
    STEP_STARTED = "step_started"
    STEP_COMPLETED = "step_completed"
    STEP_ERRORED = "step_errored"
    ATTEMPT_STARTED = "attempt_started"
    ATTEMPT_COMPLETED = "attempt_completed"
    ATTEMPT_ERRORED = "attempt_errored"
    SLEEP_STARTED = "sleep_started"
    SLEEP_COMPLETED = "sleep_completed"
    WAIT_STARTED = "wait_started"
    WAIT_COMPLETED = "wait_completed"
    WAIT_TIMED_OUT = "wait_timed_out"
    ROLLBACK_STARTED = "rollback_started"
    ROLLBACK_COMPLETED = "rollback_completed"
    ROLLBACK_ERRORED = "rollback_errored"
    ROLLBACK_STEP_STARTED = "rollback_step_started"
    ROLLBACK_STEP_COMPLETED = "rollback_step_completed"
    ROLLBACK_STEP_ERRORED = "rollback_step_errored"
    ROLLBACK_ATTEMPT_STARTED = "rollback_attempt_started"
    ROLLBACK_ATTEMPT_COMPLETED = "rollback_attempt_completed"
    ROLLBACK_ATTEMPT_ERRORED = "rollback_attempt_errored"


class Notice(Struct, frozen=True):
    """One thing that subscribers are told. What does not belong to its type is None. Times are milliseconds.

    `params` is the JSON that was sent, `output` is a stored value. `retry_ms`: when the next attempt begins.
    """

    type: NoticeType
    at: int
    id: int = 0
    key: Key | None = None
    attempt: int | None = None
    config: StepConfig | None = None
    params: Payload | None = None
    output: Payload | None = None
    error: Failure | None = None
    retry_ms: int | None = None
    duration_ms: int | None = None
    event_type: str | None = None


_OF_STATUS = {
    Status.QUEUED: NoticeType.WORKFLOW_QUEUED,
    Status.RUNNING: NoticeType.WORKFLOW_RUNNING,
    Status.WAITING: NoticeType.WORKFLOW_WAITING,
    Status.WAITING_FOR_PAUSE: NoticeType.WORKFLOW_WAITING_FOR_PAUSE,
    Status.PAUSED: NoticeType.WORKFLOW_PAUSED,
    Status.ROLLING_BACK: NoticeType.ROLLBACK_STARTED,
    Status.COMPLETE: NoticeType.WORKFLOW_COMPLETED,
    Status.ERRORED: NoticeType.WORKFLOW_ERRORED,
    Status.TERMINATED: NoticeType.WORKFLOW_TERMINATED,
}
# What the types of a kind's steps and attempts begin with.
_PREFIXES = {StepKind.DO: "", StepKind.ROLLBACK: "rollback_"}
_REDACTED_JSON = f'"{REDACTED}"'


class Notices:
    """Makes notices of a history that it is given from its first record on.

    It keeps the state of the instance, its params, the attempts that are open, and the steps that are sensitive.
    """

    def __init__(self) -> None:
        self._state = InstanceState()
        self._params: Payload = "{}"
        self._open: dict[Key, int] = {}
        self._sensitive: set[Key] = set()

    @property
    def has_ended(self) -> bool:
        """Tell whether the instance had ended by the last record; a restart may follow all the same."""
        return self._state.status in FINAL

    def of(self, recorded: Recorded) -> list[Notice]:
        """Return the notices of the next record. Raises ImpossibleHistory."""
        record, before = recorded.record, self._state
        self._state = advance(before, record)
        made = self._of_step(record) or self._of_workflow(record, before)
        return [replace(notice, id=recorded.seq * PLACES + place) for place, notice in enumerate(made)]

    def _of_workflow(self, record: Record, before: InstanceState) -> list[Notice]:
        match record:
            case Created():
                self._params = record.value
            case Restarted() | RollbackStarted():
                self._open.clear()
            case RollbackEnded(at=at, error=None):
                return [Notice(NoticeType.ROLLBACK_COMPLETED, at)]
            case RollbackEnded(at=at, error=error):
                return [Notice(NoticeType.ROLLBACK_ERRORED, at, error=error)]
        notices = []
        if isinstance(record, Running) and before.started_at is None:
            notices.append(Notice(NoticeType.WORKFLOW_STARTED, record.at, params=self._params))
        status = self._state.status
        if status is not None and (status is not before.status or isinstance(record, Restarted)):
            output = record.value if isinstance(record, Completed) else None
            error = record.error if isinstance(record, Failed) else None
            notices.append(Notice(_OF_STATUS[status], record.at, output=output, error=error))
        return notices

    def _of_step(self, record: Record) -> list[Notice]:
        match record:
            case AttemptStarted():
                return self._start(record)
            case AttemptFailed() | AttemptLost() | AttemptInterrupted():
                self._open.pop(record.key, None)
                return [_attempt_failed(record)]
            case StepSucceeded():
                return self._succeed(record)
            case StepFailed() | StepCancelled() if record.key.kind in _PREFIXES:
                return self._fail(record)
            case _:
                return _of_waiting(record)

    def _start(self, record: AttemptStarted) -> list[Notice]:
        key, attempt = record.key, record.attempt
        self._open[key] = attempt
        started = Notice(_type(key, "attempt_started"), record.at, key=key, attempt=attempt)
        if attempt > 1:
            return [started]
        if record.config is not None and record.config.sensitive:
            self._sensitive.add(key)
        else:
            self._sensitive.discard(key)
        return [Notice(_type(key, "step_started"), record.at, key=key, config=record.config), started]

    def _succeed(self, record: StepSucceeded) -> list[Notice]:
        key = record.key
        self._open.pop(key, None)
        output: Payload | None = _REDACTED_JSON if key in self._sensitive else record.value
        if key.kind is StepKind.ROLLBACK:
            # Nobody has asked for what it returns.
            output = None
        self._sensitive.discard(key)
        return [
            Notice(_type(key, "attempt_completed"), record.at, key=key, attempt=record.attempt),
            Notice(_type(key, "step_completed"), record.at, key=key, output=output),
        ]

    def _fail(self, record: StepFailed | StepCancelled) -> list[Notice]:
        """Return the end of a step, after that of its attempt if that is open."""
        key = record.key
        attempt = self._open.pop(key, None)
        if isinstance(record, StepFailed):
            self._sensitive.discard(key)
        error = record.error if isinstance(record, StepFailed) else CANCELLED
        told = error if key.kind is StepKind.ROLLBACK else None
        ended = Notice(_type(key, "step_errored"), record.at, key=key, error=told)
        if attempt is None:
            return [ended]
        return [Notice(_type(key, "attempt_errored"), record.at, key=key, attempt=attempt, error=error), ended]


def _type(key: Key, name: str) -> NoticeType:
    return NoticeType(_PREFIXES[key.kind] + name)


def _attempt_failed(record: AttemptFailed | AttemptLost | AttemptInterrupted) -> Notice:
    error, type = failure_of(record), _type(record.key, "attempt_errored")
    failed = Notice(type, record.at, key=record.key, attempt=record.attempt, error=error)
    match record:
        case AttemptFailed(retry_at=int(retry_at)):
            return replace(failed, retry_ms=max(retry_at - record.at, 0))
        case AttemptLost():
            return replace(failed, retry_ms=0)
        case _:
            # There is another attempt, unless the instance has ended.
            return failed


def _of_waiting(record: Record) -> list[Notice]:
    """Return the notices of sleeps and waits. One that the author cancelled is completed, with an error."""
    match record:
        case SleepStarted(at=at, key=key):
            return [Notice(NoticeType.SLEEP_STARTED, at, key=key, duration_ms=max(record.until - at, 0))]
        case SleepEnded(at=at, key=key):
            return [Notice(NoticeType.SLEEP_COMPLETED, at, key=key)]
        case WaitStarted(at=at, key=key, event_type=event_type):
            return [Notice(NoticeType.WAIT_STARTED, at, key=key, event_type=event_type)]
        case WaitEnded(at=at, key=key, event_seq=event_seq):
            type = NoticeType.WAIT_TIMED_OUT if event_seq is None else NoticeType.WAIT_COMPLETED
            return [Notice(type, at, key=key)]
        case StepCancelled(at=at, key=key):
            type = NoticeType.SLEEP_COMPLETED if key.kind is StepKind.SLEEP else NoticeType.WAIT_COMPLETED
            return [Notice(type, at, key=key, error=CANCELLED)]
        case _:
            return []
