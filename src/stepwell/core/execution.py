"""Replay: what a runner asks while the author's code runs, and the answers that the history gives.

An execution is built from a history. A step call gets its key here, then its answer: the result is on record, or wait
until then, or run an attempt now. What happens is told here too and becomes new records, which the runner commits.
History and new records go through the same `_apply`, so state built by replay and state reached live are the same.

Rules kept here: one event meets one wait, oldest first; a race of event and deadline is decided once, by a record.
"""

import bisect
import heapq
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stepwell import durations, limits
from stepwell.core import retries
from stepwell.core.failures import Failure
from stepwell.core.instance import InstanceState, Status, advance
from stepwell.core.keys import Keys, Scope
from stepwell.core.pause import Pause
from stepwell.core.records import (
    RESULTS,
    AttemptFailed,
    AttemptInterrupted,
    AttemptLost,
    AttemptStarted,
    Completed,
    EventReceived,
    Failed,
    Key,
    PauseAsked,
    Record,
    Recorded,
    Restarted,
    Result,
    Resumed,
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
from stepwell.core.rules import RULES, Rules, size_of
from stepwell.core.standing import standing
from stepwell.errors import InstanceTooLarge, InvalidEventType, InvalidStepConfig, SleepInThePast


@dataclass(frozen=True, slots=True)
class AwaitResult:
    """The outcome is on record, and comes to the author in its turn."""


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Nothing to do before this moment (milliseconds)."""

    at: int


@dataclass(frozen=True, slots=True)
class RunAttempt:
    """Begin an attempt now."""


StepAnswer = AwaitResult | WaitUntil | RunAttempt


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that has begun. `number` is what the author sees: of the interrupted ones `ordinal` counts also.

    `generation` is the seq of the restart after which the step began; 0: there was none.
    """

    key: Key
    number: int
    config: StepConfig
    ordinal: int = 1
    generation: int = 0


@dataclass(slots=True)
class _Step:
    config: StepConfig
    generation: int = 0
    ordinal: int = 0
    failures: int = 0
    is_open: bool = False
    retry_at: int | None = None


@dataclass(slots=True)
class _Wait:
    # Waits are served in the order in which they first began, which a replay may ask in another.
    order: int
    event_type: str
    deadline: int
    timeout_ms: int


@dataclass(slots=True)
class _Open:
    """What the author's code waits for in this turn."""

    timers: list[tuple[int, int, Key]] = field(default_factory=list)
    keys: dict[Key, None] = field(default_factory=dict)
    waits: dict[str, list[tuple[int, Key]]] = field(default_factory=lambda: defaultdict(list))
    timer_count: int = 0
    # Event types for which a wait or an event has come since they were last matched.
    unmatched: set[str] = field(default_factory=set)


class Execution:
    """One instance in one turn. Not for several threads."""

    def __init__(
        self, history: Iterable[Recorded], now: int, rules: Rules = RULES, *, step_limit: int | None = None
    ) -> None:
        """`step_limit` is that of the instance's workflow, if it has one of its own."""
        self.rules = rules
        self.state = InstanceState()
        self.outcomes: dict[Key, Result] = {}
        self.events: dict[int, EventReceived] = {}
        self._keys = Keys(step_limit or rules.step_limit)
        self._size = 0
        self._steps: dict[Key, _Step] = {}
        self._sleeps: dict[Key, int] = {}
        self._waits: dict[Key, _Wait] = {}
        self._buffered: dict[str, deque[int]] = defaultdict(deque)
        self._open = _Open()
        self._new: list[Record] = []
        self._has_new_results = False
        self._pause = Pause()
        self._generation = 0
        for seq, record in standing(history):
            self._apply(record, seq)
        self._lose_open_attempts(now)

    # ---- keys

    def next_key(self, kind: StepKind, name: str, scope: Scope) -> Key:
        """Return the key of a call; see Keys.next."""
        return self._keys.next(kind, name, scope)

    def parent_of(self, key: Key) -> Key | None:
        """Return the step in whose body a key was called, or None for `run` itself."""
        return self._keys.parent_of(key)

    # ---- questions

    def ask_step(self, key: Key, config: Mapping[str, Any] | None, now: int) -> StepAnswer:
        """Answer a `do`. The config on record wins over the one given. Raises InvalidStepConfig."""
        step = self._steps.get(key)
        if step is None:
            merged = retries.merge(key.name, config, self.rules.defaults, self.rules.retries_per_step)
            step = self._steps[key] = _Step(merged, self._generation)
        if key in self.outcomes:
            return AwaitResult()
        self._open.keys[key] = None
        if step.retry_at is not None and now < step.retry_at:
            self._set_timer(step.retry_at, key)
            return WaitUntil(step.retry_at)
        return RunAttempt()

    def ask_sleep(self, key: Key, duration: object, now: int) -> None:
        """Begin a sleep, or find it begun. Raises InvalidStepConfig."""
        if key not in self._sleeps:
            ms = durations.to_ms(duration)
            if ms is None or ms > self.rules.longest_sleep_ms:
                expected = f"{durations.EXPECTED}, at most {durations.in_words(self.rules.longest_sleep_ms)}"
                raise InvalidStepConfig(key.name, "the duration", duration, expected)
            self._emit(SleepStarted(now, key, now + ms, *self._keys.caller(key)))
        self._await_sleep(key)

    def ask_sleep_until(self, key: Key, until: int, now: int) -> None:
        """Begin a sleep that ends at a moment, or find it begun. Raises SleepInThePast or InvalidStepConfig."""
        if key not in self._sleeps:
            if until < now:
                raise SleepInThePast(key.name, until, now)
            if until - now > self.rules.longest_sleep_ms:
                expected = f"at most {durations.in_words(self.rules.longest_sleep_ms)} away, in milliseconds"
                raise InvalidStepConfig(key.name, "the moment", until, expected)
            self._emit(SleepStarted(now, key, until, *self._keys.caller(key)))
        self._await_sleep(key)

    def ask_wait(self, key: Key, event_type: object, timeout: object, now: int) -> None:
        """Begin a wait for an event, or find it begun. Raises InvalidEventType or InvalidStepConfig."""
        if key not in self._waits:
            timeout_ms = self._timeout_ms(key, event_type, timeout)
            self._emit(WaitStarted(now, key, str(event_type), now + timeout_ms, timeout_ms, *self._keys.caller(key)))
        if key in self.outcomes:
            return
        wait = self._waits[key]
        self._open.keys[key] = None
        bisect.insort(self._open.waits[wait.event_type], (wait.order, key))
        self._open.unmatched.add(wait.event_type)
        self._set_timer(wait.deadline, key)

    # ---- what happened

    def start_attempt(self, key: Key, now: int) -> Attempt:
        """Begin an attempt of a step that was answered *run an attempt*, or whose retry is due."""
        step = self._steps[key]
        if step.ordinal == 0:
            self._emit(AttemptStarted(now, key, 1, step.config, *self._keys.caller(key)))
        else:
            self._emit(AttemptStarted(now, key, step.ordinal + 1))
        step = self._steps[key]
        return Attempt(key, step.failures + 1, step.config, step.ordinal, step.generation)

    def succeeded(self, key: Key, value: str, now: int) -> None:
        """Record that the open attempt returned a value (JSON text). Raises InstanceTooLarge."""
        record = StepSucceeded(now, key, self._steps[key].ordinal, value)
        if (size := self._size + size_of(record)) > self.rules.instance_bytes:
            raise InstanceTooLarge(key.label, size, self.rules.instance_bytes)
        self._emit(record)

    def failed(self, key: Key, error: Failure, delay_ms: int, now: int) -> None:
        """Record that the open attempt failed: the step tries again after a wait, or has failed for good."""
        step = self._steps[key]
        self.failed_until(key, error, retries.wait_after(step.failures + 1, delay_ms, step.config.backoff), now)

    def failed_until(self, key: Key, error: Failure, wait_ms: int, now: int) -> None:
        """Do what `failed` does, with a wait that no backoff multiplies."""
        step = self._steps[key]
        if step.failures + 1 > step.config.limit:
            self.gave_up(key, error, now)
            return
        retry_at = now + min(wait_ms, retries.LONGEST_WAIT_MS)
        self._emit(AttemptFailed(now, key, step.ordinal, error, retry_at))
        self._set_timer(self._pause.moment(retry_at, now), key)

    def attempt_failed(self, key: Key, error: Failure, now: int) -> None:
        """Record that the open attempt failed, where `gave_up` with another error follows."""
        self._emit(AttemptFailed(now, key, self._steps[key].ordinal, error))

    def gave_up(self, key: Key, error: Failure, now: int) -> None:
        """Record that the step has failed for good."""
        self._emit(StepFailed(now, key, self._steps[key].ordinal, error))

    def cancel(self, key: Key, now: int) -> Result | None:
        """Record that the author cancelled a call, unless it has an outcome; return what is on record then.

        None: nothing is. A step that never began leaves no trace, and a replay cancels it in the same place.
        """
        self._open.keys.pop(key, None)
        has_begun = key.kind is not StepKind.DO or self._steps[key].ordinal > 0
        if key not in self.outcomes and has_begun:
            self._emit(StepCancelled(now, key))
        return self.outcomes.get(key)

    def interrupt_attempts(self, now: int) -> None:
        """Record that the engine ends every attempt in flight."""
        for key, step in self._steps.items():
            if step.is_open:
                self._emit(AttemptInterrupted(now, key, step.ordinal))

    def forget(self, key: Key, now: int) -> None:
        """Stop waiting for a call whose caller is gone; an attempt in flight was interrupted."""
        self._open.keys.pop(key, None)
        step = self._steps.get(key)
        if step is not None and step.is_open:
            self._emit(AttemptInterrupted(now, key, step.ordinal))

    def completed(self, value: str, now: int) -> None:
        """Record that `run` returned a value (JSON text)."""
        self._emit(Completed(now, value))

    def errored(self, error: Failure, now: int) -> None:
        """Record that an error escaped `run`, or that the engine gives the instance up."""
        self._emit(Failed(now, error))

    def receive(self, recorded: Recorded) -> None:
        """Take note of a record from outside. An instance that has ended takes none."""
        if self.state.ended_at is None:
            self._apply(recorded.record, recorded.seq)

    # ---- time and decisions

    def settle(self, now: int) -> list[Key]:
        """Decide what events and time decide: waits get events or time out, sleeps end. In a pause nothing is decided.

        Returns the steps whose next attempt is due.
        """
        if self.is_pausing:
            return []
        for event_type in sorted(self._open.unmatched):
            self._match(event_type, now)
        self._open.unmatched.clear()
        due = []
        while (at := self.next_due()) is not None and at <= now:
            _, _, key = heapq.heappop(self._open.timers)
            if key.kind is StepKind.DO:
                # A second timer of the same moment means nothing from here on.
                self._steps[key].retry_at = None
                due.append(key)
            elif key.kind is StepKind.SLEEP:
                self._emit(SleepEnded(now, key))
            else:
                self._emit(WaitEnded(now, key))
        return due

    def next_due(self) -> int | None:
        """Return when time will decide something next, or None if nothing waits for time."""
        if self.is_pausing:
            return None
        timers = self._open.timers
        while timers and not self._is_live(timers[0][0], timers[0][2]):
            heapq.heappop(timers)
        return timers[0][0] if timers else None

    def is_last_attempt(self, key: Key) -> bool:
        """Tell whether the attempt in flight is the last that the step may have."""
        step = self._steps[key]
        return step.failures + 1 > step.config.limit

    @property
    def is_pausing(self) -> bool:
        """Tell whether the instance is to be paused: no attempt begins, and waits stand still."""
        return self.state.status is Status.WAITING_FOR_PAUSE

    @property
    def has_new_results(self) -> bool:
        """Tell whether results have been recorded that `take` has not returned yet."""
        return self._has_new_results

    def timeout_ms(self, key: Key) -> int:
        """Return how long a wait was meant to last; for the text of its time-out."""
        return self._waits[key].timeout_ms

    def take(self) -> list[Record]:
        """Return the new records since the last call."""
        new, self._new = self._new, []
        self._has_new_results = False
        return new

    # ---- inside

    def _emit(self, record: Record) -> None:
        self._new.append(record)
        self._has_new_results |= isinstance(record, RESULTS)
        self._apply(record, 0)

    def _apply(self, record: Record, seq: int) -> None:
        self.state = advance(self.state, record)
        self._size += size_of(record)
        match record:
            case AttemptStarted(key=key):
                self._apply_start(record)
            case AttemptFailed(key=key, at=at, retry_at=retry_at):
                self._close(key, None if retry_at is None else self._pause.moment(retry_at, at), counts=True)
            case AttemptLost(key=key, at=at):
                self._close(key, at, counts=True)
            case AttemptInterrupted(key=key, at=at):
                self._close(key, at, counts=False)
            case SleepStarted(key=key, at=at, until=until):
                self._keys.own(key, record.parent, record.nth)
                self._sleeps[key] = self._pause.moment(until, at)
            case WaitStarted(key=key, at=at):
                self._keys.own(key, record.parent, record.nth)
                deadline = self._pause.moment(record.deadline, at)
                self._waits[key] = _Wait(len(self._waits), record.event_type, deadline, record.timeout_ms)
            case StepSucceeded() | StepFailed() | StepCancelled() | SleepEnded() | WaitEnded():
                self._apply_result(record)
            case _:
                self._apply_outside(record, seq)

    def _apply_outside(self, record: Record, seq: int) -> None:
        match record:
            case EventReceived(event_type=event_type):
                self.events[seq] = record
                self._buffered[event_type].append(seq)
                self._open.unmatched.add(event_type)
            case PauseAsked(at=at):
                self._pause.asked_at = at
            case Resumed(at=at):
                self._move_on(self._pause.end(at))
            case Restarted(at=at):
                self._restart(at, seq)
            case _:
                pass

    def _apply_start(self, record: AttemptStarted) -> None:
        key = record.key
        if record.config is not None:
            self._keys.own(key, record.parent, record.nth)
            self._steps[key] = _Step(record.config, self._generation)
        # What an earlier attempt of the body cancelled may be wanted by this one.
        for child in self._keys.children(key):
            if isinstance(self.outcomes.get(child), StepCancelled):
                del self.outcomes[child]
        step = self._steps[key]
        step.ordinal, step.is_open, step.retry_at = record.attempt, True, None

    def _move_on(self, ms: int) -> None:
        """Let everything that waits for time wait for longer."""
        for step in self._steps.values():
            if step.retry_at is not None:
                step.retry_at += ms
        for key in self._sleeps:
            self._sleeps[key] += ms
        for wait in self._waits.values():
            wait.deadline += ms
        self._open.timers = [(at + ms, count, key) for at, count, key in self._open.timers]
        self._open.unmatched.update(self._buffered)

    def _restart(self, at: int, seq: int) -> None:
        """Go on with the steps that stay. What they had in flight was ended by the restart, and does not count."""
        self._move_on(self._pause.end(at))
        self._generation = seq
        for key, step in self._steps.items():
            if step.is_open:
                self._close(key, at, counts=False)

    def _close(self, key: Key, retry_at: int | None, *, counts: bool) -> None:
        step = self._steps[key]
        step.is_open, step.retry_at = False, retry_at
        step.failures += counts

    def _apply_result(self, record: Result) -> None:
        key = record.key
        self.outcomes[key] = record
        self._open.keys.pop(key, None)
        if key in self._steps:
            self._steps[key].is_open = False
        if isinstance(record, WaitEnded) and record.event_seq is not None:
            self._buffered[self._waits[key].event_type].remove(record.event_seq)

    def _lose_open_attempts(self, now: int) -> None:
        """Close what the worker of an earlier turn left open: it must have died, or it would have closed it."""
        for key, step in self._steps.items():
            if step.is_open:
                self._emit(AttemptLost(now, key, step.ordinal))

    def _timeout_ms(self, key: Key, event_type: object, timeout: object) -> int:
        """Return how long a wait lasts. Raises InvalidEventType or InvalidStepConfig."""
        if not limits.is_event_type(event_type):
            expected = f"1 to {limits.EVENT_TYPE_LENGTH} of: {limits.NAME_RULE} (no dot)"
            raise InvalidEventType(key.name, event_type, expected)
        least, most = self.rules.shortest_wait_ms, self.rules.longest_wait_ms
        # Three dots: the author has said nothing. None is no duration.
        ms = self.rules.wait_timeout_ms if timeout is ... else durations.to_ms(timeout)
        if ms is None or not least <= ms <= most:
            expected = f"{durations.EXPECTED}, from {durations.in_words(least)} to {durations.in_words(most)}"
            raise InvalidStepConfig(key.name, "timeout", timeout, expected)
        return ms

    def _await_sleep(self, key: Key) -> None:
        if key not in self.outcomes:
            self._open.keys[key] = None
            self._set_timer(self._sleeps[key], key)

    def _set_timer(self, at: int, key: Key) -> None:
        self._open.timer_count += 1
        heapq.heappush(self._open.timers, (at, self._open.timer_count, key))

    def _is_live(self, at: int, key: Key) -> bool:
        """Tell whether a timer still means something: its call is waited for, and for this moment."""
        if key not in self._open.keys:
            return False
        if key.kind is StepKind.DO:
            return self._steps[key].retry_at == at
        return True

    def _match(self, event_type: str, now: int) -> None:
        """Give events to the waits of their type: the oldest event to the oldest wait that it was in time for."""
        buffered = self._buffered[event_type]
        waits = [(order, key) for order, key in self._open.waits[event_type] if key in self._open.keys]
        for _, key in waits:
            deadline = self._waits[key].deadline
            event = next((seq for seq in buffered if self.events[seq].at <= deadline), None)
            # A wait that was asked for twice, by two attempts of a body, is listed twice.
            if event is not None and key in self._open.keys:
                self._emit(WaitEnded(now, key, event))
        self._open.waits[event_type] = [(order, key) for order, key in waits if key in self._open.keys]
