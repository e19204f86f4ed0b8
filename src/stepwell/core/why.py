"""Why an instance does not go on: the reasons that its history, and what only the store knows of it, give.

What is due waits for a worker, and for nothing else. Times are in milliseconds since the epoch.
"""

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from stepwell import durations
from stepwell.core.failures import Failure
from stepwell.core.instance import FINAL, Status
from stepwell.core.open_calls import OpenCall, OpenCalls, fold_calls
from stepwell.core.records import Recorded, StepKind
from stepwell.core.steplog import LOST


class SlotWait(Struct, frozen=True):
    """How an instance waits for a slot: `before` counts those of its key that come first, up to a bound.

    `held` and `most` are of its workflow, `most_in_account` of its account; None: any number may run. `key` is '' where
    there is none.
    """

    before: int
    held: int
    most: int | None
    most_in_account: int | None
    key: str


class SharedSlotWait(Struct, frozen=True):
    """How a step waits for a slot of a limit that steps share, since a moment.

    `start_at` is when it may begin, if it knows (a rate says so). `before` counts those that come first, up to a bound;
    `held` is how many slots are taken, of `most` (None: any number). `is_set`: somebody has said what the limit allows.
    """

    step: str
    limit: str
    since: int
    start_at: int | None
    before: int
    held: int
    most: int | None
    is_set: bool


class Situation(Struct, frozen=True):
    """What only the store knows of an instance.

    `owner` is the worker that holds it, None: nobody does; `workers` are those that are alive and have its code, which
    is that of its `version`. `before` counts what is due before it, up to a bound. `is_loaded` tells whether a worker
    has loaded the class that its workflow is made of. `blocked_since` is since when the owner does not answer, None: it
    does; `blocked_stack` are the lines at which it hangs, as far as they are known. `slot`: it waits for one; `shared`:
    its steps wait for those of limits that steps share.
    """

    due_at: int | None
    owner: str | None
    is_owner_alive: bool
    lost_turns: int
    before: int
    workers: list[str]
    script: str
    class_name: str
    is_loaded: bool
    version: str = ""
    blocked_since: int | None = None
    blocked_stack: str | None = None
    slot: SlotWait | None = None
    shared: tuple[SharedSlotWait, ...] = ()

    @property
    def is_held(self) -> bool:
        """Whether a worker that is alive holds the instance."""
        return self.owner is not None and self.is_owner_alive

    @property
    def lost_in_a_row(self) -> int:
        """How many turns were lost since the last that led to anything."""
        return self.lost_turns + (self.owner is not None and not self.is_owner_alive)


# ---- the reasons


class EventAwaited(Struct, frozen=True):
    """It waits for an event of a type; `unmet` are the types of others that have come, and that no wait has got."""

    step: str
    event_type: str
    until: int
    unmet: tuple[str, ...] = ()


class Sleeping(Struct, frozen=True):
    """It sleeps."""

    step: str
    until: int


class RetryAwaited(Struct, frozen=True):
    """A step waits for its next attempt; `error` is that of the last one."""

    step: str
    failed_attempts: int
    error: Failure
    until: int


class AttemptRunning(Struct, frozen=True):
    """An attempt is in flight on a worker; it times out at `until`. `attempt` counts as the log does."""

    step: str
    attempt: int
    since: int
    until: int
    worker: str


class WorkerBlocked(Struct, frozen=True):
    """The worker that holds it does not answer; `stack` is where it hangs, outermost first, empty: nobody knows."""

    worker: str
    since: int
    stack: Sequence[str]


class CodeRunning(Struct, frozen=True):
    """The code of `run` runs, or waits for something outside of steps; the last that is known of it is of `since`."""

    since: int


class Queued(Struct, frozen=True):
    """It is due, and no worker has taken it; `before` counts what is due before it."""

    since: int
    before: int


class SlotAwaited(Struct, frozen=True):
    """It could go on, and waits for a slot; `until` is when a rate allows the next start, None: that is not it."""

    since: int
    until: int | None
    wait: SlotWait


class SharedSlotAwaited(Struct, frozen=True):
    """A step waits for a slot of a limit that it shares with others."""

    wait: SharedSlotWait


class NoWorker(Struct, frozen=True):
    """No worker is alive that has the code of its version."""

    version: str


class NotLoaded(Struct, frozen=True):
    """No worker that is alive has the class that the workflow is made of."""

    script: str
    class_name: str
    workers: Sequence[str]


class TurnsLost(Struct, frozen=True):
    """The workers that held it died, so many times in a row."""

    count: int


class Resting(Struct, frozen=True):
    """Its last turn could not go on, and it is tried again at `until`."""

    until: int


class PausedSince(Struct, frozen=True):
    """It is paused, as was asked for at `since`."""

    since: int


class Pausing(Struct, frozen=True):
    """It is to be paused, as was asked for at `since`, once what is in flight has ended."""

    since: int
    in_flight: Sequence[str]


class RollingBack(Struct, frozen=True):
    """It is rolled back for an error; `step` is the one whose rollback runs or waits, None: none has begun."""

    since: int
    error: Failure
    step: str | None


Reason = (
    EventAwaited
    | Sleeping
    | RetryAwaited
    | AttemptRunning
    | WorkerBlocked
    | CodeRunning
    | Queued
    | SlotAwaited
    | SharedSlotAwaited
    | NoWorker
    | NotLoaded
    | TurnsLost
    | Resting
    | PausedSince
    | Pausing
    | RollingBack
)


class End(Struct, frozen=True):
    """When an instance ended; `error` is why, where an error ended it."""

    at: int
    error: Failure | None


class Why(Struct, frozen=True):
    """The status of an instance, and why it does not go on; of one that has ended there is the end alone."""

    status: Status
    reasons: Sequence[Reason]
    end: End | None = None


def explain(history: Iterable[Recorded], situation: Situation, now: int, parks_after_ms: int) -> Why:
    """Return why an instance does not go on. `parks_after_ms`: a turn stays open for no wait that is longer."""
    return explain_calls(fold_calls(history), situation, now, parks_after_ms)


def explain_calls(fold: OpenCalls, situation: Situation, now: int, parks_after_ms: int) -> Why:
    """Return the same of a history that has been folded."""
    status, ended_at = fold.state.status, fold.state.ended_at
    assert status is not None
    if status in FINAL:
        assert ended_at is not None
        return Why(status, (), End(ended_at, fold.error))
    if status is Status.PAUSED:
        return Why(status, (PausedSince(fold.paused_at),))
    return Why(status, tuple(_reasons(fold, situation, now, parks_after_ms)))


def _reasons(fold: OpenCalls, situation: Situation, now: int, parks_after_ms: int) -> Iterator[Reason]:
    yield from _blocked(situation)
    yield from _control(fold)
    if situation.lost_in_a_row:
        yield TurnsLost(situation.lost_in_a_row)
    if situation.is_held:
        yield from _in_turn(fold, situation, now, parks_after_ms)
    elif situation.slot is not None:
        until = situation.due_at if situation.due_at is not None and situation.due_at > now else None
        yield SlotAwaited(fold.last_at, until, situation.slot)
    elif situation.due_at is not None and situation.due_at <= now:
        yield from _due(fold, situation)
    elif situation.shared and situation.owner is None:
        yield from (SharedSlotAwaited(wait) for wait in situation.shared)
        yield from (wait for call in fold.live() if (wait := _awaited(fold, call, now)))
    elif situation.due_at is None:
        yield from _due(fold, situation)
    else:
        yield from _at_rest(fold, situation, situation.due_at)


def _blocked(situation: Situation) -> Iterator[Reason]:
    if situation.is_held and situation.blocked_since is not None:
        assert situation.owner is not None
        stack = situation.blocked_stack.split("\n") if situation.blocked_stack else []
        yield WorkerBlocked(situation.owner, situation.blocked_since, stack)


def _control(fold: OpenCalls) -> Iterator[Reason]:
    calls = list(fold.live())
    if fold.state.status is Status.WAITING_FOR_PAUSE:
        yield Pausing(fold.paused_at, [call.key.label for call in calls if call.is_in_flight])
    if fold.state.status is Status.ROLLING_BACK:
        assert fold.rollback is not None
        step = next((call.key.label for call in calls if call.key.kind is StepKind.ROLLBACK), None)
        yield RollingBack(fold.rollback.at, fold.rollback.error, step)


def _in_turn(fold: OpenCalls, situation: Situation, now: int, parks_after_ms: int) -> Iterator[Reason]:
    """Give the reasons of an instance that a worker holds."""
    assert situation.owner is not None
    calls = list(fold.live())
    running = [_running(call, situation.owner) for call in calls if call.is_in_flight]
    yield from running
    if fold.state.status is Status.WAITING_FOR_PAUSE:
        return
    yield from (SharedSlotAwaited(wait) for wait in situation.shared)
    waits = [wait for call in calls if (wait := _awaited(fold, call, now))]
    yield from waits
    # A turn with nothing but waits is parked, unless one of them is about to end.
    if not running and not situation.shared and all(wait.until > now + parks_after_ms for wait in waits):
        yield CodeRunning(fold.last_at)


def _due(fold: OpenCalls, situation: Situation) -> Iterator[Reason]:
    """Give the reasons of an instance that a worker could take."""
    yield Queued(fold.last_at if situation.due_at is None else situation.due_at, situation.before)
    if not situation.workers:
        yield NoWorker(situation.version)
    elif not situation.is_loaded:
        yield _not_loaded(situation)


def _at_rest(fold: OpenCalls, situation: Situation, due_at: int) -> Iterator[Reason]:
    """Give the reasons of an instance that was put back until a moment."""
    waits = [wait for call in fold.live() if (wait := _awaited(fold, call, due_at - 1))]
    yield from waits
    if any(wait.until == due_at for wait in waits):
        return
    # It is no wait that it rests for.
    if fold.state.status is not Status.WAITING:
        yield Resting(due_at)
    elif not situation.is_loaded or fold.last_turn_ms < due_at - fold.last_at:
        # A turn that waits for something outside lasts at least as long as the rest after it. Without the class there
        # is nothing to wait for.
        yield _not_loaded(situation)
    else:
        yield CodeRunning(fold.last_at - fold.last_turn_ms)


def _not_loaded(situation: Situation) -> NotLoaded:
    return NotLoaded(situation.script, situation.class_name, situation.workers)


def _running(call: OpenCall, worker: str) -> AttemptRunning:
    """Return that an attempt is in flight."""
    assert call.config is not None
    timeout_ms = durations.to_ms(call.config.timeout) or 0
    return AttemptRunning(call.key.label, call.attempt, call.since, call.since + timeout_ms, worker)


def _awaited(fold: OpenCalls, call: OpenCall, now: int) -> EventAwaited | Sleeping | RetryAwaited | None:
    """Return what a call waits for, unless that is over."""
    if call.is_in_flight or call.until is None or call.until <= now:
        return None
    if call.key.kind is StepKind.SLEEP:
        return Sleeping(call.key.label, call.until)
    if call.key.kind is StepKind.WAIT:
        others = dict.fromkeys(event_type for event_type in fold.unmet.values() if event_type != call.event_type)
        return EventAwaited(call.key.label, call.event_type, call.until, tuple(others))
    return RetryAwaited(call.key.label, call.failures, call.error or LOST, call.until)
