"""What an instance is, at any point of its history: statuses, and which record leads from one to the next.

The row of an instance in the store holds the same facts, so that lists need no history. The row is the fold.
"""

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from stepwell.core.records import (
    AttemptStarted,
    Completed,
    Created,
    Failed,
    PauseAsked,
    Paused,
    Queued,
    Record,
    Recorded,
    Restarted,
    Resumed,
    RollbackResumed,
    RollbackStarted,
    Running,
    SleepStarted,
    Terminated,
    Waiting,
    WaitStarted,
)


class Status(StrEnum):
    """The statuses of an instance, in the spelling of the HTTP API.

    Source: developers.cloudflare.com/api/resources/workflows/subresources/instances/methods/get/
    """

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    WAITING_FOR_PAUSE = "waitingForPause"
    PAUSED = "paused"
    ROLLING_BACK = "rollingBack"
    COMPLETE = "complete"
    ERRORED = "errored"
    TERMINATED = "terminated"


FINAL = frozenset({Status.COMPLETE, Status.ERRORED, Status.TERMINATED})
UNFINISHED = frozenset(Status) - FINAL

# From which statuses a record may come, and where it leads. Records that are not here change no status.
TRANSITIONS: dict[type[Record], dict[Status | None, Status]] = {
    Created: {None: Status.QUEUED},
    # A turn that was lost or interrupted leaves the instance running; the next claim finds it so.
    Running: {
        Status.QUEUED: Status.RUNNING,
        Status.RUNNING: Status.RUNNING,
        Status.WAITING: Status.RUNNING,
        Status.WAITING_FOR_PAUSE: Status.WAITING_FOR_PAUSE,
        Status.ROLLING_BACK: Status.ROLLING_BACK,
    },
    Waiting: {Status.RUNNING: Status.WAITING},
    # What runs without a slot comes from a time, or a store, in which its workflow had no limit.
    Queued: {Status.WAITING: Status.QUEUED, Status.RUNNING: Status.QUEUED},
    PauseAsked: {Status.RUNNING: Status.WAITING_FOR_PAUSE, Status.WAITING: Status.WAITING_FOR_PAUSE},
    Paused: {Status.WAITING_FOR_PAUSE: Status.PAUSED},
    Resumed: {Status.WAITING_FOR_PAUSE: Status.RUNNING, Status.PAUSED: Status.QUEUED},
    # What finished before its pause was complete has finished.
    Completed: {Status.RUNNING: Status.COMPLETE, Status.WAITING_FOR_PAUSE: Status.COMPLETE},
    Failed: dict.fromkeys((Status.RUNNING, Status.WAITING_FOR_PAUSE, Status.ROLLING_BACK), Status.ERRORED),
    RollbackStarted: dict.fromkeys(UNFINISHED - {Status.ROLLING_BACK}, Status.ROLLING_BACK),
    RollbackResumed: dict.fromkeys((Status.ERRORED, Status.TERMINATED), Status.ROLLING_BACK),
    Terminated: dict.fromkeys(UNFINISHED, Status.TERMINATED),
    Restarted: dict.fromkeys(Status, Status.QUEUED),
}


_ADVANCING = frozenset((AttemptStarted, SleepStarted, WaitStarted, *TRANSITIONS))


class ImpossibleHistory(ValueError):
    """A record came in a status that it cannot come in: the history is damaged, or the engine has a defect."""


class InstanceState(Struct, frozen=True):
    """The facts of an instance that its row repeats. `status` is None before the first record.

    `queued_at` is when it was created, or last restarted as a whole.
    """

    status: Status | None = None
    step_count: int = 0
    created_at: int = 0
    queued_at: int = 0
    started_at: int | None = None
    ended_at: int | None = None


def advance(state: InstanceState, record: Record) -> InstanceState:
    """Return the state after one more record.

    Raises ImpossibleHistory if the record cannot come in this status.
    """
    # Most records of a long history change nothing of it.
    return _advanced(state, record) if type(record) in _ADVANCING else state


def _advanced(state: InstanceState, record: Record) -> InstanceState:
    match record:
        case AttemptStarted(attempt=1) | SleepStarted() | WaitStarted():
            return replace(state, step_count=state.step_count + 1)
        case Created(at=at):
            return InstanceState(_next_status(state, record), created_at=at, queued_at=at)
        case Running(at=at):
            started_at = at if state.started_at is None else state.started_at
            return replace(state, status=_next_status(state, record), started_at=started_at)
        case Completed(at=at) | Failed(at=at) | Terminated(at=at):
            # The log has an entry for a termination.
            count = state.step_count + isinstance(record, Terminated)
            return replace(state, status=_next_status(state, record), step_count=count, ended_at=at)
        case Restarted():
            return _restart(state, record)
        case RollbackResumed():
            return replace(state, status=_next_status(state, record), ended_at=None)
        case AttemptStarted():
            return state
        case _:
            return replace(state, status=_next_status(state, record))


def fold(history: Iterable[Record]) -> InstanceState:
    """Return the state after a whole history."""
    state = InstanceState()
    for record in history:
        state = advance(state, record)
    return state


def fold_as_far_as_possible(history: Iterable[Recorded]) -> InstanceState:
    """Return the state before the first record that cannot come where it is."""
    state = InstanceState()
    for recorded in history:
        try:
            state = advance(state, recorded.record)
        except ImpossibleHistory:
            break
    return state


def _restart(state: InstanceState, record: Restarted) -> InstanceState:
    again = replace(state, status=_next_status(state, record), step_count=record.step_count, ended_at=None)
    return again if record.from_seq is not None else replace(again, queued_at=record.at, started_at=None)


def _next_status(state: InstanceState, record: Record) -> Status:
    try:
        return TRANSITIONS[type(record)][state.status]
    except KeyError:
        raise ImpossibleHistory(f"{type(record).__name__} cannot follow the status {state.status}") from None
