"""Replay: what a runner asks while the author's code runs, and the answers that the history gives.

An execution is built from a history. A step call gets its key here, then its answer: the result is on record, or wait
until then, or run an attempt now. What happens is told here too and becomes new records, which the runner commits.
History and new records go through the same `_apply`, so state built by replay and state reached live are the same.
A race of event and deadline is decided here, once, by a record.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from stepwell import limits
from stepwell.core import retries
from stepwell.core.failures import Failure
from stepwell.core.forcing import Forcing
from stepwell.core.inbox import Inbox
from stepwell.core.instance import InstanceState, Status, advance
from stepwell.core.keys import Keys, Scope
from stepwell.core.patches import Patches
from stepwell.core.pause import Pause
from stepwell.core.records import (
    RESULTS,
    Action,
    AttemptFailed,
    AttemptInterrupted,
    AttemptLost,
    AttemptStarted,
    Attributes,
    Completed,
    EventReceived,
    Failed,
    Key,
    Patched,
    PauseAsked,
    Record,
    Recorded,
    Restarted,
    Result,
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
    StreamRef,
    Terminated,
    WaitEnded,
    WaitStarted,
)
from stepwell.core.rules import RULES, Room, Rules, size_of
from stepwell.core.standing import standing
from stepwell.core.step_answers import Attempt, AwaitResult, RunAttempt, StepAnswer, WaitUntil
from stepwell.core.step_state import StepState
from stepwell.core.timers import Timers
from stepwell.core.unmet import Unmet


class Execution:
    """One instance in one turn. Not for several threads."""

    def __init__(
        self, history: Iterable[Recorded], now: int, rules: Rules = RULES, *, step_limit: int | None = None
    ) -> None:
        """`step_limit` is that of the instance's workflow, if it has one of its own."""
        self.rules = rules
        self.room = Room(rules)
        self.state = InstanceState()
        self.outcomes: dict[Key, Result] = {}
        self.inbox = Inbox()
        self.forcing = Forcing()
        self._keys = Keys(step_limit or rules.step_limit)
        self._steps: dict[Key, StepState] = {}
        self._sleeps: dict[Key, int] = {}
        # What the author's code waits for in this turn.
        self._open: dict[Key, None] = {}
        self._timers = Timers()
        self._new: list[Record] = []
        # Results have been recorded that `take` has not returned yet. To look for them each time is 2 % of a step.
        self.has_new_results = False
        self._pause = Pause()
        self._generation = 0
        self._patches = Patches()
        # What the instance is, or was, rolled back for.
        self.rollback: RollbackStarted | None = None
        for seq, record in standing(history):
            self._apply(record, seq)
        self.unmet = self._patches.unmet = Unmet(self._keys.of_run())
        self._lose_open_attempts(now)

    # ---- keys

    def next_key(self, kind: StepKind, name: str, scope: Scope) -> Key:
        """Return the key of a call; see Keys.next."""
        key = self._keys.next(kind, name, scope)
        self.unmet.meet(key)
        return key

    def is_patched(self, name: str, now: int) -> bool:
        """Tell whether the code may go the newer way of this name; see Patches.ask."""
        if (record := self._patches.ask(name, now, is_frozen=self.is_rolling_back)) is not None:
            self._emit(record)
        return name in self._patches.names

    def parent_of(self, key: Key) -> Key | None:
        """Return the step in whose body a key was called, or None for `run` itself."""
        return self._keys.parent_of(key)

    # ---- questions

    def ask_step(
        self, key: Key, config: Mapping[str, Any] | None, now: int, *, has_rollback: bool = False
    ) -> StepAnswer:
        """Answer a `do`. The config on record wins over the one given. Raises InvalidStepConfig."""
        step = self._steps.get(key)
        if step is None:
            step = self._steps[key] = StepState(self.merged(key, config), self._generation, has_rollback)
        if key in self.outcomes or self._is_frozen(key):
            return AwaitResult()
        self._open[key] = None
        if step.retry_at is not None and now < step.retry_at:
            self._timers.set(step.retry_at, key)
            return WaitUntil(step.retry_at)
        # A timer that a decision by hand has set for it is not to begin it once more.
        step.retry_at = None
        return RunAttempt()

    def ask_rollback(self, key: Key, config: Mapping[str, Any] | None, now: int) -> StepAnswer:
        """Answer the rollback of a step; the key is the rollback's."""
        self._keys.own(key, None, key.count)
        return self.ask_step(key, config, now)

    def merged(self, key: Key, config: Mapping[str, Any] | None) -> StepConfig:
        """Return a step's whole config. Raises InvalidStepConfig."""
        return retries.merge(key.name, config, self.rules.defaults, self.rules.retries_per_step)

    def ask_sleep(self, key: Key, duration: object, now: int) -> None:
        """Begin a sleep, or find it begun. Raises InvalidStepConfig."""
        if self._is_frozen(key):
            return
        if key not in self._sleeps:
            until = now + self.rules.sleep_ms(key.name, duration)
            self._emit(SleepStarted(now, key, until, *self._keys.caller(key)))
        self._await(key)

    def ask_sleep_until(self, key: Key, until: int, now: int) -> None:
        """Begin a sleep that ends at a moment, or find it begun. Raises SleepInThePast or InvalidStepConfig."""
        if self._is_frozen(key):
            return
        if key not in self._sleeps:
            self.rules.check_moment(key.name, until, now)
            self._emit(SleepStarted(now, key, until, *self._keys.caller(key)))
        self._await(key)

    def ask_wait(self, key: Key, event_type: object, timeout: object, now: int) -> None:
        """Begin a wait for an event, or find it begun. Raises InvalidEventType or InvalidStepConfig."""
        if self._is_frozen(key):
            return
        if key not in self.inbox:
            timeout_ms = self.rules.wait_ms(key.name, event_type, timeout)
            self._emit(WaitStarted(now, key, str(event_type), now + timeout_ms, timeout_ms, *self._keys.caller(key)))
        self._await(key)

    def time_out(self, key: Key, now: int) -> None:
        """Record that a wait which is open got no event, before its time."""
        if key in self._open:
            self._emit(WaitEnded(now, key))

    def ask_child(self, key: Key, event_type: str, now: int) -> None:
        """Begin a wait for the end of a child, or find it begun; it is told by an event that nobody else can send."""
        if self._is_frozen(key):
            return
        if key not in self.inbox:
            lasts_ms = limits.CHILD_MS
            self._emit(WaitStarted(now, key, event_type, now + lasts_ms, lasts_ms, *self._keys.caller(key)))
        self._await(key)

    # ---- what happened

    def start_attempt(self, key: Key, now: int) -> Attempt:
        """Begin an attempt of a step that was answered *run an attempt*, or whose retry is due."""
        step = self._steps[key]
        if step.ordinal == 0:
            self._emit(AttemptStarted(now, key, 1, step.config, *self._keys.caller(key), step.has_rollback or None))
        else:
            self._emit(AttemptStarted(now, key, step.ordinal + 1))
        step = self._steps[key]
        return Attempt(key, step.failures + 1, step.config, step.ordinal, step.generation)

    def describe(self, key: Key, attributes: Attributes) -> None:
        """Take note of what the open attempt has said of itself; how it ends records that."""
        self._steps[key].attributes = attributes

    def succeeded(self, key: Key, value: str, now: int, stream: StreamRef | None = None) -> None:
        """Record that the open attempt returned a value (JSON text), or a stream. Raises InstanceTooLarge."""
        step = self._steps[key]
        record = StepSucceeded(now, key, step.ordinal, value, stream, step.take_attributes())
        self.room.check(key, size_of(record))
        self._emit(record)

    def failed(self, key: Key, error: Failure, delay_ms: int, now: int) -> None:
        """Record that the open attempt failed: the step tries again after a wait, or has failed for good."""
        step = self._steps[key]
        self.failed_until(key, error, retries.wait_after(step.failures + 1, delay_ms, step.config.backoff), now)

    def failed_until(self, key: Key, error: Failure, wait_ms: int, now: int) -> None:
        """Do what `failed` does, with a wait that no backoff multiplies."""
        if self.is_last_attempt(key):
            self.gave_up(key, error, now)
            return
        step, retry_at = self._steps[key], now + min(wait_ms, retries.LONGEST_WAIT_MS)
        self._emit(AttemptFailed(now, key, step.ordinal, error, retry_at, step.take_attributes()))
        self._timers.set(self._pause.moment(retry_at, now), key)

    def attempt_failed(self, key: Key, error: Failure, now: int) -> None:
        """Record that the open attempt failed, where `gave_up` with another error follows."""
        step = self._steps[key]
        self._emit(AttemptFailed(now, key, step.ordinal, error, None, step.take_attributes()))

    def gave_up(self, key: Key, error: Failure, now: int) -> None:
        """Record that the step has failed for good."""
        step = self._steps[key]
        self._emit(StepFailed(now, key, step.ordinal, error, step.take_attributes()))

    def cancel(self, key: Key, now: int) -> Result | None:
        """Record that the author cancelled a call, unless it has an outcome; return what is on record then.

        None: nothing is. A step that never began leaves no trace, and a replay cancels it in the same place.
        """
        self._open.pop(key, None)
        if self._is_frozen(key):
            return self.outcomes.get(key)
        has_begun = not key.has_attempts or self._steps[key].ordinal > 0
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
        self._open.pop(key, None)
        step = self._steps.get(key)
        if step is not None and step.is_open:
            self._emit(AttemptInterrupted(now, key, step.ordinal))

    def completed(self, value: str, now: int) -> None:
        """Record that `run` returned a value (JSON text)."""
        self._emit(Completed(now, value))

    def start_rollback(self, error: Failure, now: int) -> None:
        """Record that an error escaped `run`, and that its steps are rolled back before the instance ends with it."""
        self._emit(RollbackStarted(now, error))

    def rolled_back(self, error: Failure | None, now: int) -> None:
        """Record how the rollback went, and the end of the instance that it came before."""
        cause = self.rollback
        assert cause is not None
        self._emit(RollbackEnded(now, error))
        self._emit(Failed(now, cause.error) if cause.trigger is None else Terminated(now, cause.trigger))

    def to_roll_back(self) -> list[Key]:
        """Return the steps that have begun and have a rollback: the one that began last comes first."""
        return [key for key, step in reversed(self._steps.items()) if step.has_rollback and step.ordinal]

    def attempt_of(self, key: Key) -> Attempt:
        """Return the last attempt of a step that has begun."""
        step = self._steps[key]
        return Attempt(key, step.ordinal, step.config, step.ordinal, step.generation)

    def errored(self, error: Failure, now: int) -> None:
        """Record that an error escaped `run`, or that the engine gives the instance up."""
        self._emit(Failed(now, error))

    def receive(self, recorded: Recorded) -> None:
        """Take note of a record from outside. An instance that has ended takes none.

        One that is being rolled back takes no pause: in the store it came before the rollback, which has undone it.
        """
        is_undone = self.is_rolling_back and isinstance(recorded.record, PauseAsked | Resumed)
        if self.state.ended_at is None and not is_undone:
            self._apply(recorded.record, recorded.seq)

    # ---- time and decisions

    def settle(self, now: int) -> list[Key]:
        """Decide what events and time decide: waits get events or time out, sleeps end.

        In a pause nothing is decided but what somebody decided by hand of an attempt in flight. Returns the steps whose
        next attempt is due.
        """
        # What there is nothing of is not asked: this is at every step, several times.
        if self.forcing:
            for record in self.forcing.records(self._is_to_force, self._steps, now):
                self._emit(record)
        if self.is_pausing:
            return []
        if self.inbox.may_match:
            for key, seq in self.inbox.matches(self._is_waited_for):
                self._emit(WaitEnded(now, key, seq))
        due: list[Key] = []
        while self._timers and (at := self.next_due()) is not None and at <= now:
            key = self._timers.take()
            if key.has_attempts:
                # A second timer of the same moment means nothing from here on.
                self._steps[key].retry_at = None
                due.append(key)
            else:
                self._emit(SleepEnded(now, key) if key.kind is StepKind.SLEEP else WaitEnded(now, key))
        return due

    def next_due(self) -> int | None:
        """Return when time will decide something next, or None if nothing waits for time."""
        if self.is_pausing or not self._timers:
            return None
        return self._timers.next_at(self._is_live)

    def is_last_attempt(self, key: Key) -> bool:
        """Tell whether the attempt in flight is the last that the step may have."""
        return self._steps[key].is_last_attempt

    @property
    def is_pausing(self) -> bool:
        """Tell whether the instance is to be paused: no attempt begins, and waits stand still."""
        return self.state.status is Status.WAITING_FOR_PAUSE

    @property
    def is_rolling_back(self) -> bool:
        """Tell whether it is being rolled back: nothing that `run` calls begins or ends any more."""
        return self.state.status is Status.ROLLING_BACK

    def take(self) -> list[Record]:
        """Return the new records since the last call."""
        new, self._new, self.has_new_results = self._new, [], False
        return new

    # ---- inside

    def _emit(self, record: Record) -> None:
        self._new.append(record)
        self.has_new_results = self.has_new_results or isinstance(record, RESULTS)
        self._apply(record, 0)

    def _apply(self, record: Record, seq: int) -> None:
        self.state = advance(self.state, record)
        match record:
            case AttemptStarted(key=key):
                self._apply_start(record)
            case StepSucceeded():
                self.room.take(record)
                self._apply_result(record)
            case StepFailed() | StepCancelled() | SleepEnded() | WaitEnded():
                self._apply_result(record)
            case AttemptFailed(key=key, at=at, retry_at=retry_at):
                self._steps[key].close(None if retry_at is None else self._pause.moment(retry_at, at), counts=True)
            case AttemptLost(key=key, at=at):
                self._steps[key].close(self._pause.moment(at, at), counts=True)
            case AttemptInterrupted(key=key, at=at):
                self._steps[key].close(self._pause.moment(at, at), counts=False)
            case SleepStarted(key=key, at=at, until=until):
                self._keys.own(key, record.parent, record.nth)
                self._sleeps[key] = self._pause.moment(until, at)
            case WaitStarted(key=key, at=at):
                self._keys.own(key, record.parent, record.nth)
                deadline = self._pause.moment(record.deadline, at)
                self.inbox.begin(key, record.event_type, deadline, record.timeout_ms)
            case _:
                self._apply_outside(record, seq)

    def _apply_outside(self, record: Record, seq: int) -> None:
        self.room.take(record)
        match record:
            case EventReceived():
                self.inbox.receive(seq, record)
            case StepForced():
                self._force(record, seq)
            case PauseAsked(at=at):
                self._pause.asked_at = at
            case Resumed(at=at):
                self._move_on(self._pause.end(at))
            case Patched(name=name):
                self._patches.names.add(name)
            case Restarted(at=at):
                self._restart(at, seq)
            case RollbackStarted(at=at):
                self.rollback = record
                self._move_on(self._pause.end(at))
                self._interrupt(at)
            case Terminated(at=at):
                self._interrupt(at)
            case RollbackResumed():
                self._forget_failed_rollbacks()

    def _apply_start(self, record: AttemptStarted) -> None:
        key = record.key
        if record.config is None:
            step = self._steps[key]
        else:
            self._keys.own(key, record.parent, record.nth)
            step = self._steps[key] = StepState(record.config, self._generation, bool(record.rollback))
        # What an earlier attempt of the body cancelled may be wanted by this one.
        for child in self._keys.children(key):
            if isinstance(self.outcomes.get(child), StepCancelled):
                del self.outcomes[child]
        step.ordinal, step.is_open, step.retry_at, step.attributes = record.attempt, True, None, None

    def _move_on(self, ms: int) -> None:
        """Let everything that waits for time wait for longer."""
        for step in self._steps.values():
            if step.retry_at is not None:
                step.retry_at += ms
        for key in self._sleeps:
            self._sleeps[key] += ms
        self.inbox.move_on(ms)
        self._timers.move_on(ms)

    def _force(self, record: StepForced, seq: int) -> None:
        key, moment = record.key, self._pause.moment(record.at, record.at)
        if key in self.outcomes:
            return
        step = self._steps.get(key)
        if record.action is Action.SKIP:
            self._sleeps[key] = moment
            self._timers.set(moment, key)
        elif record.action is not Action.RETRY:
            self.forcing.add(seq, record)
            self.inbox.force(seq, record)
        elif step is not None and not step.is_open and step.ordinal == record.attempt:
            step.retry_at = moment
            self._timers.set(moment, key)

    def _restart(self, at: int, seq: int) -> None:
        """Go on with the steps that stay. What they had in flight was ended by the restart, and does not count."""
        self._move_on(self._pause.end(at))
        self._generation = seq
        self._interrupt(at)

    def _interrupt(self, at: int) -> None:
        """Take note that a control operation has ended all attempts in flight."""
        for step in self._steps.values():
            if step.is_open:
                step.close(at, counts=False)

    def _forget_failed_rollbacks(self) -> None:
        for key, result in list(self.outcomes.items()):
            if self._keys.outermost(key).kind is not StepKind.ROLLBACK:
                continue
            if isinstance(result, StepFailed):
                del self.outcomes[key]
                self._steps[key].failures = 0
                self._steps[key].retry_at = None
            elif isinstance(result, WaitEnded) and result.event_seq is None:
                del self.outcomes[key]
                self.inbox.forget(key)

    def _is_frozen(self, key: Key) -> bool:
        """Tell whether nothing comes of a call that has no outcome: the instance is being rolled back."""
        return self.is_rolling_back and self._keys.outermost(key).kind is not StepKind.ROLLBACK

    def _is_to_force(self, key: Key) -> bool:
        is_in_flight = key in self._steps and self._steps[key].is_open
        return self._is_waited_for(key) and (is_in_flight or not self.is_pausing)

    def _is_waited_for(self, key: Key) -> bool:
        return key in self._open and not self._is_frozen(key)

    def _apply_result(self, record: Result) -> None:
        key = record.key
        self.outcomes[key] = record
        self._open.pop(key, None)
        self.forcing.drop(key)
        if (step := self._steps.get(key)) is not None:
            step.is_open = False
        elif isinstance(record, WaitEnded) and record.event_seq is not None:
            self.inbox.met(key, record.event_seq)

    def _lose_open_attempts(self, now: int) -> None:
        """Close what the worker of an earlier turn left open: it must have died, or it would have closed it."""
        for key, step in self._steps.items():
            if step.is_open:
                self._emit(AttemptLost(now, key, step.ordinal))

    def _await(self, key: Key) -> None:
        """Wait for a sleep, or for an event."""
        if key not in self.outcomes:
            self._open[key] = None
            self._timers.set(self._sleeps[key] if key.kind is StepKind.SLEEP else self.inbox.ask(key), key)

    def _is_live(self, at: int, key: Key) -> bool:
        """Tell whether a timer still means something: its call is waited for, and for this moment."""
        return self._is_waited_for(key) and (not key.has_attempts or self._steps[key].retry_at == at)
