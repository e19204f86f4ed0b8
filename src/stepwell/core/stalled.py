"""Which unfinished instances are stalled: they do not go on, and have no good reason.

A good reason says what an instance waits for, and that will come or can be sent: an event, a time, a slot that others
have, an attempt in flight, somebody who resumes it. None is a worker that should have taken it and has not, a moment
that has passed, or nothing at all. What has been so for a moment only is about to change.
"""

from collections.abc import Sequence

from msgspec import Struct

from stepwell.core.instance import FINAL, Status
from stepwell.core.open_calls import OpenCalls
from stepwell.core.steplog import iso
from stepwell.core.why import (
    AttemptRunning,
    CodeRunning,
    EventAwaited,
    NotLoaded,
    NoWorker,
    Queued,
    Reason,
    RetryAwaited,
    SharedSlotAwaited,
    SharedSlotWait,
    Situation,
    Sleeping,
    SlotAwaited,
    SlotWait,
    WorkerBlocked,
)

_START_ONE = "start a server or worker with that code, or `stepwell instances move` it to a version that is served"
_SEE_WHY = "`stepwell instances why` says more of it; a restart of its worker lets another one take it"
_WAKE = "`stepwell doctor --fix` makes it due"
_SLOTS = "`stepwell doctor --fix` counts the slots anew"


class Stall(Struct, frozen=True):
    """Why an instance is stalled, in words, and what helps.

    `is_unclaimed`: it is due, and no worker takes it, or there is none for it. `is_unwoken`: nothing will make it due
    in time.
    """

    said: str
    remedy: str
    is_unclaimed: bool = False
    is_unwoken: bool = False


def stall_of(
    fold: OpenCalls, reasons: Sequence[Reason], situation: Situation, now: int, patience_ms: int
) -> Stall | None:
    """Return why an instance is stalled, None: it goes on, has ended, or has a good reason not to.

    `reasons` are those of the same history and situation. What has not lasted for `patience_ms` is passed over, where
    it is known since when it is so; so whoever asks asks again, before it is believed.
    """
    if fold.state.status in FINAL or fold.state.status is Status.PAUSED:
        return None
    if not situation.is_held and (unwoken := _unwoken(fold, situation, now, patience_ms)) is not None:
        return unwoken
    # What waits in a turn is woken there; whether that should have been put back is a matter of its worker's settings.
    waits = any(isinstance(reason, EventAwaited | Sleeping | RetryAwaited) for reason in reasons)
    told = (reason for reason in reasons if not (waits and isinstance(reason, CodeRunning)))
    found = (_of_reason(reason, situation, now - patience_ms) for reason in told)
    return next((stall for stall in found if stall is not None), None)


def _of_reason(reason: Reason, situation: Situation, before: int) -> Stall | None:
    if situation.is_held:
        return _of_turn(reason, before)
    match reason:
        case NoWorker(version=version) if _is_late(situation, before):
            return Stall(f"no worker that is alive has its version, {version}", _START_ONE, is_unclaimed=True)
        case NotLoaded(script=script, class_name=name):
            return Stall(f"no worker that is alive has the class {name} of {script}", _START_ONE, is_unclaimed=True)
        case Queued(before=0) if situation.workers and situation.is_loaded and _is_late(situation, before):
            due = "" if situation.due_at is None else f" since {iso(situation.due_at)}"
            return Stall(f"it is due{due}, and no worker takes it", _SEE_WHY, is_unclaimed=True)
        case SlotAwaited() | SharedSlotAwaited():
            return _of_slot(reason, before)
    return None


def _of_turn(reason: Reason, before: int) -> Stall | None:
    """Return why one is stalled that a worker has."""
    match reason:
        case WorkerBlocked(worker=worker, since=since) if since <= before:
            return Stall(f"{worker}, which has it, has not answered since {iso(since)}", _SEE_WHY)
        case AttemptRunning(step=step, attempt=attempt, since=since, until=until) if since < until <= before:
            return Stall(f"attempt {attempt} of {step} should have timed out at {iso(until)}", _SEE_WHY)
        case CodeRunning(since=since) if since <= before:
            return Stall(f"its turn has led to nothing since {iso(since)}", _SEE_WHY)
        case SharedSlotAwaited():
            return _of_slot(reason, before)
    return None


def _of_slot(reason: SlotAwaited | SharedSlotAwaited, before: int) -> Stall | None:
    match reason:
        case SlotAwaited(since=since, until=None, wait=wait) if since <= before and _is_free(wait):
            return Stall("it waits for a slot of its workflow, and one is free", _SLOTS)
        case SharedSlotAwaited(wait=wait) if wait.since <= before and _is_shared_free(wait):
            return Stall(f"{wait.step} waits for a slot of the limit {wait.limit}, and one is free", _SLOTS)
    return None


def _is_late(situation: Situation, before: int) -> bool:
    """Tell whether it has been due for long; of a worker that has died it is not known since when."""
    return situation.owner is not None or (situation.due_at is not None and situation.due_at <= before)


def _is_free(wait: SlotWait) -> bool:
    """Tell whether a slot is free for sure: limits of keys and accounts may keep it so."""
    limits_are_its_own = wait.key == "" and wait.most_in_account is None
    return limits_are_its_own and wait.before == 0 and wait.most is not None and wait.held < wait.most


def _is_shared_free(wait: SharedSlotWait) -> bool:
    return wait.start_at is None and wait.before == 0 and wait.most is not None and wait.held < wait.most


def _unwoken(fold: OpenCalls, situation: Situation, now: int, patience_ms: int) -> Stall | None:
    """Return that nothing will make an instance due that nobody has, or only long after what it waits for."""
    if situation.owner is not None or situation.slot is not None or situation.shared:
        return None
    due_at, before = situation.due_at, now - patience_ms
    if due_at is None:
        is_new = fold.last_at > before
        return None if is_new else Stall("nobody has it, and nothing will make it due", _WAKE, is_unwoken=True)
    ends = [call.until for call in fold.live() if not call.is_in_flight and call.until is not None]
    if ends and due_at > now + patience_ms and min(ends) < min(before, due_at - patience_ms):
        said = f"what it waits for is over since {iso(min(ends))}, and it is due at {iso(due_at)}"
        return Stall(said, _WAKE, is_unwoken=True)
    return None
