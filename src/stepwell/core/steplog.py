"""The log of an instance: its history folded into what `GET instance` shows.

Names are spelled as on the wire. Times are milliseconds. Entries are in the order in which the steps were called.

Source: developers.cloudflare.com/api/resources/workflows/subresources/instances/methods/get/
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal

from msgspec import Struct, field

from stepwell import values
from stepwell.core.failures import Failure
from stepwell.core.instance import InstanceState, advance
from stepwell.core.pause import Pause
from stepwell.core.records import (
    Action,
    AttemptFailed,
    AttemptInterrupted,
    AttemptLost,
    AttemptStarted,
    Attributes,
    Completed,
    Created,
    EventReceived,
    Failed,
    Firing,
    Key,
    PauseAsked,
    Payload,
    PayloadRef,
    Record,
    Recorded,
    Restarted,
    Resumed,
    RollbackEnded,
    RollbackResumed,
    RollbackStarted,
    SleepEnded,
    SleepStarted,
    StepCancelled,
    StepConfig,
    StepFailed,
    StepForced,
    StepKind,
    StepSucceeded,
    Terminated,
    WaitEnded,
    WaitStarted,
)
from stepwell.core.standing import standing
from stepwell.errors import WorkflowInternalError, WorkflowTimeoutError
from stepwell.limits import LOG_OUTPUT_CHARACTERS

TRUNCATED = "[truncated output]"
REDACTED = "[REDACTED]"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

LOST = Failure(
    WorkflowInternalError.name,
    "The attempt was lost: its worker process ended before the attempt did.",
)
INTERRUPTED = Failure(
    "AttemptInterrupted",
    "The engine ended the attempt (reload, stop, pause, restart or end of the instance). "
    "It does not count as a failure.",
)
CANCELLED = Failure("CancelledError", "The workflow cancelled the call.")


def timed_out(timeout_ms: int) -> Failure:
    """Return the failure of an attempt or a wait that ran out of time.

    Source: developers.cloudflare.com/workflows/build/events-and-parameters/
    """
    return Failure(WorkflowTimeoutError.name, f"Execution timed out after {timeout_ms}ms")


class AttemptEntry(Struct):
    """One attempt; `end` and `success` are None while it runs."""

    start: int
    end: int | None = None
    success: bool | None = None
    error: Failure | None = None
    # No route of Cloudflare's shows them.
    attributes: Attributes = field(default_factory=dict)


class StepEntry(Struct):
    """A `step.do`, or the rollback of one; `end` and `success` are None until it has ended for good."""

    name: str
    start: int
    config: StepConfig
    end: int | None = None
    success: bool | None = None
    output: str | None = None
    attempts: list[AttemptEntry] = field(default_factory=list)
    type: Literal["step", "rollback"] = "step"


class SleepEntry(Struct):
    """A sleep; `end` is the planned wake-up."""

    name: str
    start: int
    end: int
    finished: bool = False
    error: Failure | None = None
    type: Literal["sleep"] = "sleep"


class WaitEntry(Struct):
    """A wait for an event; `end` is the planned time-out while it waits, then the moment when it ended."""

    name: str
    start: int
    end: int
    event_type: str
    timeout_ms: int
    finished: bool = False
    error: Failure | None = None
    output: str | None = None
    type: Literal["waitForEvent"] = "waitForEvent"


class TerminationEntry(Struct):
    """Somebody ended the instance; `trigger` says where from."""

    trigger: str
    type: Literal["termination"] = "termination"


# What the code of the instance has called.
CalledEntry = StepEntry | SleepEntry | WaitEntry
Entry = CalledEntry | TerminationEntry


class RollbackOutcome(Struct, frozen=True):
    """How a rollback went; `error` is why it failed."""

    outcome: Literal["complete", "failed"]
    error: Failure | None = None


# What an instance that was terminated is rolled back for. Source: as of the log.
TERMINATED = Failure("Terminated", "Instance terminated during rollback")


class InstanceLog(Struct):
    """Everything that `GET instance` tells, from the history alone."""

    state: InstanceState = field(default_factory=InstanceState)
    trigger: str = "unknown"
    params: Payload = "{}"
    schedule: Firing | None = None
    output: Payload | None = None
    error: Failure | None = None
    rollback: RollbackOutcome | None = None
    # It is being rolled back.
    is_rolling_back: bool = False
    entries: list[Entry] = field(default_factory=list)

    @property
    def called(self) -> list[CalledEntry]:
        """The entries of what the code has called."""
        return [entry for entry in self.entries if not isinstance(entry, TerminationEntry)]

    def add_summary(self, record: Record) -> None:
        """Take note of what params, output or error a record tells."""
        match record:
            case Created():
                self.trigger, self.params, self.schedule = record.trigger, record.value, record.schedule
            case Restarted(from_seq=None):
                self.trigger = record.trigger
            case Completed():
                self.output = record.value
            case Failed():
                self.error = record.error
                self._cut_rollback(record.error)
            case Terminated():
                self.error = None
                self._cut_rollback(TERMINATED)
            case RollbackStarted() | RollbackResumed():
                self.is_rolling_back, self.rollback, self.error = True, None, None
            case RollbackEnded(error=error):
                self.is_rolling_back = False
                self.rollback = RollbackOutcome("complete" if error is None else "failed", error)

    def _cut_rollback(self, error: Failure) -> None:
        """Take note that the instance has ended before its rollback did."""
        if self.is_rolling_back:
            self.is_rolling_back, self.rollback = False, RollbackOutcome("failed", error)


def fold_log(history: Iterable[Recorded]) -> InstanceLog:
    """Return the log after a whole history."""
    builder = _Builder()
    for recorded in standing(history):
        builder.add(recorded)
    return builder.log


def fold_summary(history: Iterable[Recorded]) -> InstanceLog:
    """Return params, output, error and rollback alone; of the history only the records that tell them are needed."""
    log = InstanceLog()
    for recorded in history:
        log.add_summary(recorded.record)
    return log


class _Builder:
    def __init__(self) -> None:
        self.log = InstanceLog()
        self._entries: dict[Key, CalledEntry] = {}
        self._events: dict[int, EventReceived] = {}
        self._pause = Pause()

    def add(self, recorded: Recorded) -> None:
        record = recorded.record
        self.log.state = advance(self.log.state, record)
        match record:
            case EventReceived():
                self._events[recorded.seq] = record
            case StepForced():
                self._force(recorded.seq, record)
            case AttemptStarted() | SleepStarted() | WaitStarted():
                self._start(record)
            case AttemptFailed() | AttemptLost() | AttemptInterrupted():
                self._end_attempt(self._step(record.key), record.at, failure_of(record))
                self._describe(record)
            case StepSucceeded() | StepFailed():
                self._end_step(record)
            case SleepEnded():
                self._end_sleep(record)
            case WaitEnded():
                self._end_wait(record)
            case StepCancelled():
                self._cancel(record)
            case _:
                self.log.add_summary(record)
                self._control(record)

    def _control(self, record: Record) -> None:
        match record:
            case PauseAsked():
                self._pause.asked_at = record.at
            case Resumed():
                self._move_on(record.at)
            case RollbackStarted():
                self._interrupt(record.at)
                self._move_on(record.at)
            case Terminated():
                self._interrupt(record.at)
                self.log.entries.append(TerminationEntry(record.trigger))
            case Restarted():
                self._interrupt(record.at)
                self._move_on(record.at)

    def _start(self, record: AttemptStarted | SleepStarted | WaitStarted) -> None:
        key = record.key
        if isinstance(record, AttemptStarted):
            if record.config is not None and key not in self._entries:
                entry = StepEntry(key.label, record.at, record.config)
                entry.type = "rollback" if key.kind is StepKind.ROLLBACK else "step"
                self._list(key, entry)
            step = self._step(key)
            # A call that its body cancelled may be made again by the body's next attempt.
            step.end = step.success = None
            step.attempts.append(AttemptEntry(record.at))
        elif isinstance(record, SleepStarted):
            self._list(key, SleepEntry(key.label, record.at, self._pause.moment(record.until, record.at)))
        else:
            deadline = self._pause.moment(record.deadline, record.at)
            self._list(key, WaitEntry(key.label, record.at, deadline, record.event_type, record.timeout_ms))

    def _force(self, seq: int, record: StepForced) -> None:
        entry = self._entries[record.key]
        if isinstance(entry, WaitEntry) and record.value is not None:
            self._events[seq] = EventReceived(record.at, entry.event_type, record.value)
        elif isinstance(entry, SleepEntry) and record.action is Action.SKIP and not entry.finished:
            entry.end = self._pause.moment(record.at, record.at)

    def _list(self, key: Key, entry: CalledEntry) -> None:
        self._entries[key] = entry
        self.log.entries.append(entry)

    def _move_on(self, at: int) -> None:
        """Let what waits wait as much longer as it stood still."""
        ms = self._pause.end(at)
        for entry in self.log.entries:
            if isinstance(entry, SleepEntry | WaitEntry) and not entry.finished:
                entry.end += ms

    def _interrupt(self, at: int) -> None:
        """End the attempts in flight: a control operation did."""
        for entry in self.log.entries:
            if isinstance(entry, StepEntry) and entry.attempts:
                self._end_attempt(entry, at, INTERRUPTED)

    def _end_attempt(self, entry: StepEntry, at: int, error: Failure | None) -> None:
        attempt = entry.attempts[-1]
        if attempt.end is None:
            attempt.end, attempt.success, attempt.error = at, error is None, error

    def _end_step(self, record: StepSucceeded | StepFailed) -> None:
        entry = self._step(record.key)
        entry.end, entry.success = record.at, isinstance(record, StepSucceeded)
        if isinstance(record, StepSucceeded):
            entry.output = REDACTED if entry.config.sensitive else _step_output(record.value)
            self._end_attempt(entry, record.at, None)
        else:
            self._end_attempt(entry, record.at, record.error)
        self._describe(record)

    def _describe(self, record: Record) -> None:
        """Take note of what the attempt that a record ends has said of itself."""
        if isinstance(record, AttemptFailed | StepSucceeded | StepFailed) and record.attributes:
            self._step(record.key).attempts[-1].attributes = record.attributes

    def _end_sleep(self, record: SleepEnded) -> None:
        entry = self._sleep(record.key)
        if entry.error is not None:
            # Cancelled by one attempt of a body, and waited for by the next.
            entry.end, entry.error = record.at, None
        entry.finished = True

    def _end_wait(self, record: WaitEnded) -> None:
        entry = self._wait(record.key)
        entry.finished, entry.end, entry.error = True, record.at, None
        if record.event_seq is None:
            entry.error = record.error or timed_out(entry.timeout_ms)
        else:
            entry.output = _event_output(self._events[record.event_seq])

    def _cancel(self, record: StepCancelled) -> None:
        entry = self._entries[record.key]
        entry.end = record.at
        if isinstance(entry, StepEntry):
            entry.success = False
            self._end_attempt(entry, record.at, CANCELLED)
        else:
            entry.finished, entry.error = True, CANCELLED

    def _step(self, key: Key) -> StepEntry:
        entry = self._entries[key]
        assert isinstance(entry, StepEntry)
        return entry

    def _sleep(self, key: Key) -> SleepEntry:
        entry = self._entries[key]
        assert isinstance(entry, SleepEntry)
        return entry

    def _wait(self, key: Key) -> WaitEntry:
        entry = self._entries[key]
        assert isinstance(entry, WaitEntry)
        return entry


def _step_output(value: Payload) -> str | None:
    return log_output(value if isinstance(value, PayloadRef) else values.readable(value))


def log_output(value: Payload) -> str | None:
    """Return a JSON value as the log shows it: its text, cut after 1,024 characters; None for no value."""
    text = value.preview if isinstance(value, PayloadRef) else value
    if isinstance(value, PayloadRef) or len(text) > LOG_OUTPUT_CHARACTERS:
        return text[:LOG_OUTPUT_CHARACTERS] + TRUNCATED
    return None if text == "null" else text


def iso(at: int) -> str:
    """Return a moment as the API writes it: UTC with three decimals and `Z`."""
    second, ms = divmod(at, 1000)
    return f"{_second(second)}.{ms:03d}Z"


# The moments of a log are many, and near to each other.
@lru_cache(maxsize=1024)
def _second(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).isoformat()[:-6]


def _event_output(event: EventReceived) -> str:
    head = f'{{"type":{json.dumps(event.event_type)},"timestamp":"{iso(event.at)}","payload":'
    if isinstance(event.value, PayloadRef):
        return (head + event.value.preview)[:LOG_OUTPUT_CHARACTERS] + TRUNCATED
    return log_output(f"{head}{event.value}}}") or ""


def failure_of(record: AttemptFailed | AttemptLost | AttemptInterrupted) -> Failure:
    """Return how an attempt ended that brought no result."""
    match record:
        case AttemptFailed(error=error):
            return error
        case AttemptLost():
            return LOST
        case AttemptInterrupted():
            return INTERRUPTED
