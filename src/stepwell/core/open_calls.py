"""What an instance waits for, or runs, after a history: the calls that have no result.

Only what is waited for now is open. What was called in the body of an attempt that has ended is not, until the next
attempt calls it again; nor, in a rollback, is what `run` itself had called.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from msgspec import Struct

from stepwell.core.failures import Failure
from stepwell.core.instance import InstanceState, Status, advance
from stepwell.core.pause import Pause
from stepwell.core.records import (
    Action,
    AttemptFailed,
    AttemptInterrupted,
    AttemptLost,
    AttemptStarted,
    EventReceived,
    Failed,
    Key,
    PauseAsked,
    Record,
    Recorded,
    Restarted,
    Result,
    Resumed,
    RollbackResumed,
    RollbackStarted,
    Running,
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
    Waiting,
    WaitStarted,
)
from stepwell.core.standing import standing


def fold_calls(history: Iterable[Recorded]) -> "OpenCalls":
    """Return the calls after a whole history."""
    calls = OpenCalls()
    for seq, record in standing(history):
        calls.add(record)
        if isinstance(record, EventReceived):
            calls.unmet[seq] = record.event_type
        elif isinstance(record, WaitEnded) and record.event_seq is not None:
            calls.unmet.pop(record.event_seq, None)
    return calls


class OpenCall(Struct):
    """A step, a sleep or a wait; `until` None: time decides nothing of it."""

    key: Key
    parent: Key | None
    since: int
    until: int | None = None
    event_type: str = ""
    config: StepConfig | None = None
    attempt: int = 0
    failures: int = 0
    # That of the last attempt that failed.
    error: Failure | None = None
    is_in_flight: bool = False
    outcome: Result | None = None


class OpenCalls:
    """The calls of an instance after a part of its history, and what of its state they hang on."""

    def __init__(self) -> None:
        self.state = InstanceState()
        self.rollback: RollbackStarted | None = None
        self.error: Failure | None = None
        self.paused_at = 0
        # The types of events that no wait has got, by their seq.
        self.unmet: dict[int, str] = {}
        self.last_at = 0
        # How long the last turn took that was put back.
        self.last_turn_ms = 0
        self._turn_at = 0
        self._pause = Pause()
        self._calls: dict[Key, OpenCall] = {}
        # By the step in whose body they were called: what an attempt of it cancelled.
        self._cancelled: dict[Key, list[OpenCall]] = defaultdict(list)

    def live(self) -> Iterator[OpenCall]:
        """Give what is in flight, or waited for, in the order in which it was called."""
        for call in self._calls.values():
            if self.is_wanted(call):
                yield call

    def find(self, key: Key) -> OpenCall | None:
        """Return a call, whether it is open or over; None: the instance has begun none such."""
        return self._calls.get(key)

    def is_wanted(self, call: OpenCall) -> bool:
        """Tell whether the result of a call is waited for."""
        return call.outcome is None and self._has_caller(call)

    def add(self, record: Record) -> None:
        """Take note of the next record."""
        self.state = advance(self.state, record)
        self.last_at = record.at
        match record:
            case AttemptStarted():
                self._start(record)
            case SleepStarted(key=key, until=until, at=at):
                self._calls[key] = OpenCall(key, record.parent, at, self._pause.moment(until, at))
            case WaitStarted(key=key, deadline=deadline, at=at):
                until = self._pause.moment(deadline, at)
                self._calls[key] = OpenCall(key, record.parent, at, until, record.event_type)
            case AttemptFailed() | AttemptLost() | AttemptInterrupted():
                self._end_attempt(self._calls[record.key], record)
            case StepSucceeded() | StepFailed() | StepCancelled() | SleepEnded() | WaitEnded():
                call = self._calls[record.key]
                call.is_in_flight, call.outcome = False, record
                if isinstance(record, StepCancelled) and call.parent is not None:
                    self._cancelled[call.parent].append(call)
            case _:
                self._control(record)

    def _has_caller(self, call: OpenCall) -> bool:
        while call.parent is not None:
            call = self._calls[call.parent]
            if not call.is_in_flight:
                return False
        return self.state.status is not Status.ROLLING_BACK or call.key.kind is StepKind.ROLLBACK

    def _control(self, record: Record) -> None:
        match record:
            case Running(at=at):
                self._turn_at = at
            case Waiting(at=at):
                self.last_turn_ms = at - self._turn_at
            case PauseAsked(at=at):
                self._pause.asked_at = self.paused_at = at
            case Resumed(at=at):
                self._move_on(at)
            case Restarted() | RollbackStarted() | Terminated():
                self._cut(record)
            case RollbackResumed():
                self.error = None
                self._forget_failed_rollbacks()
            case Failed(error=error):
                self.error = error
            case StepForced():
                self._force(self._calls[record.key], record)

    def _start(self, record: AttemptStarted) -> None:
        key = record.key
        call = self._calls.get(key)
        if call is None:
            call = self._calls[key] = OpenCall(key, record.parent, record.at, config=record.config)
        call.attempt, call.since, call.until = record.attempt, record.at, None
        call.is_in_flight, call.outcome = True, None
        # What an earlier attempt of the body cancelled may be wanted by this one.
        for child in self._cancelled.pop(key, ()):
            child.outcome = None

    def _end_attempt(self, call: OpenCall, record: AttemptFailed | AttemptLost | AttemptInterrupted) -> None:
        call.is_in_flight = False
        if isinstance(record, AttemptInterrupted):
            return
        call.failures += 1
        if isinstance(record, AttemptFailed):
            call.error = record.error
            call.until = None if record.retry_at is None else self._pause.moment(record.retry_at, record.at)

    def _force(self, call: OpenCall, record: StepForced) -> None:
        is_retry = record.action is Action.RETRY and call.attempt == record.attempt and not call.is_in_flight
        if is_retry or record.action is Action.SKIP:
            call.until = None

    def _cut(self, record: Restarted | RollbackStarted | Terminated) -> None:
        """Take note that a control operation has ended all attempts in flight, and the pause."""
        if isinstance(record, RollbackStarted):
            self.rollback = record
        for call in self._calls.values():
            call.is_in_flight = False
        self._move_on(record.at)

    def _move_on(self, at: int) -> None:
        """Let what waits wait as much longer as it stood still."""
        ms = self._pause.end(at)
        for call in self._calls.values():
            if call.until is not None:
                call.until += ms

    def _outermost(self, call: OpenCall) -> OpenCall:
        while call.parent is not None:
            call = self._calls[call.parent]
        return call

    def _forget_failed_rollbacks(self) -> None:
        for call in self._calls.values():
            if isinstance(call.outcome, StepFailed) and self._outermost(call).key.kind is StepKind.ROLLBACK:
                call.outcome, call.failures, call.until = None, 0, None
