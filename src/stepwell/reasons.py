"""Why an instance does not go on, as the API and bindings show it. Stepwell's own; moments are as in the log."""

import asyncio
from collections.abc import Sequence
from typing import assert_never

import msgspec

from stepwell import answers, models
from stepwell.core import why
from stepwell.core.steplog import iso
from stepwell.engine import Engine
from stepwell.store import codec
from stepwell.store.situation_operations import InstanceSituation, ReadSituation

_EXPLAINED_AT_ONCE = 1_000


async def explain(engine: Engine, account: str, workflow: str, instance: str) -> why.Why:
    """Return why an instance does not go on. Raises WorkflowNotFound or InstanceNotFound."""
    now, parks_after_ms = engine.clock.now(), engine.settings.hibernate_after
    found = await engine.store.run(ReadSituation(account, workflow, instance, now))
    if len(found.records) <= _EXPLAINED_AT_ONCE:
        return _explain(found, now, parks_after_ms)
    # A long history takes a while; others are to be answered meanwhile.
    return await asyncio.to_thread(_explain, found, now, parks_after_ms)


def _explain(found: InstanceSituation, now: int, parks_after_ms: int) -> why.Why:
    return why.explain(codec.from_rows(found.records), found.situation, now, parks_after_ms)


class ReasonShown(msgspec.Struct, tag_field="type"):
    """Why an instance does not go on."""


class EventReason(ReasonShown, tag="waitForEvent"):
    """It waits for an event."""

    step: str
    event_type: str
    until: str
    unmet: list[str]


class SleepReason(ReasonShown, tag="sleep"):
    """It sleeps."""

    step: str
    until: str


class RetryReason(ReasonShown, tag="retry"):
    """A step waits for its next attempt."""

    step: str
    failed_attempts: int
    error: models.ErrorText
    until: str


class AttemptReason(ReasonShown, tag="attempt"):
    """An attempt of a step is in flight."""

    step: str
    attempt: int
    since: str
    until: str
    worker: str


class BlockedReason(ReasonShown, tag="workerBlocked"):
    """The worker that holds it does not answer."""

    worker: str
    since: str
    stack: list[str]


class CodeReason(ReasonShown, tag="code"):
    """The code of `run` runs, or waits for something outside of steps."""

    since: str


class QueuedReason(ReasonShown, tag="queued"):
    """It is due, and waits for a worker to take it."""

    since: str
    before: int


class SlotReason(ReasonShown, tag="slot"):
    """It waits for a slot, as its workflow or account has none to give."""

    since: str
    until: str | None
    before: int
    held: int
    limit: int | None
    account_limit: int | None
    key: str | None


class SharedSlotReason(ReasonShown, tag="sharedSlot"):
    """A step waits for a slot of a limit that it shares with others."""

    step: str
    limit: str
    since: str
    until: str | None
    before: int
    held: int
    concurrency: int | None
    is_set: bool


class NoWorkerReason(ReasonShown, tag="noWorker"):
    """No worker is alive that has the code of its version."""

    version: str


class NotLoadedReason(ReasonShown, tag="notLoaded"):
    """No worker has loaded the class that the workflow is made of."""

    script_name: str
    class_name: str
    workers: list[str]


class TurnsLostReason(ReasonShown, tag="turnsLost"):
    """The workers that held it died."""

    count: int


class RestingReason(ReasonShown, tag="resting"):
    """Its last turn could not go on, and it is tried again later."""

    until: str


class PausedReason(ReasonShown, tag="paused"):
    """It is paused."""

    since: str


class PausingReason(ReasonShown, tag="waitingForPause"):
    """It is to be paused, once what is in flight has ended."""

    since: str
    in_flight: list[str]


class RollbackReason(ReasonShown, tag="rollingBack"):
    """It is rolled back."""

    since: str
    error: models.ErrorText
    step: str | None


AnyReason = (
    EventReason
    | SleepReason
    | RetryReason
    | AttemptReason
    | BlockedReason
    | CodeReason
    | QueuedReason
    | SlotReason
    | SharedSlotReason
    | NoWorkerReason
    | NotLoadedReason
    | TurnsLostReason
    | RestingReason
    | PausedReason
    | PausingReason
    | RollbackReason
)


class InstanceEnd(msgspec.Struct):
    """How an instance ended."""

    at: str
    error: models.ErrorText | None


class InstanceWhy(msgspec.Struct):
    """Why an instance does not go on: no reasons, but the end, of one that has ended."""

    status: str
    reasons: list[AnyReason]
    end: InstanceEnd | None


def instance_why(found: why.Why) -> InstanceWhy:
    """Show why an instance does not go on."""
    end = None if found.end is None else InstanceEnd(iso(found.end.at), answers.error(found.end.error))
    return InstanceWhy(found.status, _all(found.reasons), end)


def _all(found: Sequence[why.Reason]) -> list[AnyReason]:
    return [_wait(reason) if isinstance(reason, _WAITS) else _state(reason) for reason in found]


_Wait = (
    why.EventAwaited
    | why.Sleeping
    | why.RetryAwaited
    | why.AttemptRunning
    | why.WorkerBlocked
    | why.CodeRunning
    | why.SlotAwaited
    | why.SharedSlotAwaited
)
_WAITS = (
    why.EventAwaited,
    why.Sleeping,
    why.RetryAwaited,
    why.AttemptRunning,
    why.WorkerBlocked,
    why.CodeRunning,
    why.SlotAwaited,
    why.SharedSlotAwaited,
)
_State = (
    why.Queued
    | why.NoWorker
    | why.NotLoaded
    | why.TurnsLost
    | why.Resting
    | why.PausedSince
    | why.Pausing
    | why.RollingBack
)


def _wait(reason: _Wait) -> AnyReason:
    """Show what the code of an instance waits for, or does."""
    match reason:
        case why.EventAwaited(step=step, event_type=event_type, until=until, unmet=unmet):
            return EventReason(step, event_type, iso(until), list(unmet))
        case why.Sleeping(step=step, until=until):
            return SleepReason(step, iso(until))
        case why.RetryAwaited(step=step, failed_attempts=failed, error=error, until=until):
            return RetryReason(step, failed, models.ErrorText(error.name, error.message), iso(until))
        case why.AttemptRunning(step=step, attempt=attempt, since=since, until=until, worker=worker):
            return AttemptReason(step, attempt, iso(since), iso(until), worker)
        case why.WorkerBlocked(worker=worker, since=since, stack=stack):
            return BlockedReason(worker, iso(since), list(stack))
        case why.CodeRunning(since=since):
            return CodeReason(iso(since))
        case why.SlotAwaited(since=since, until=until, wait=wait):
            moments = iso(since), None if until is None else iso(until)
            return SlotReason(*moments, wait.before, wait.held, wait.most, wait.most_in_account, wait.key or None)
        case why.SharedSlotAwaited(wait=wait):
            moments = iso(wait.since), None if wait.start_at is None else iso(wait.start_at)
            said = wait.most, wait.is_set
            return SharedSlotReason(wait.step, wait.limit, *moments, wait.before, wait.held, *said)
        case _:
            assert_never(reason)


def _state(reason: _State) -> AnyReason:  # one for each reason
    """Show what keeps an instance as a whole."""
    match reason:
        case why.Queued(since=since, before=before):
            return QueuedReason(iso(since), before)
        case why.NoWorker(version=version):
            return NoWorkerReason(version)
        case why.NotLoaded(script=script, class_name=class_name, workers=workers):
            return NotLoadedReason(script, class_name, list(workers))
        case why.TurnsLost(count=count):
            return TurnsLostReason(count)
        case why.Resting(until=until):
            return RestingReason(iso(until))
        case why.PausedSince(since=since):
            return PausedReason(iso(since))
        case why.Pausing(since=since, in_flight=in_flight):
            return PausingReason(iso(since), list(in_flight))
        case why.RollingBack(since=since, error=error, step=step):
            return RollbackReason(iso(since), models.ErrorText(error.name, error.message), step)
        case _:
            assert_never(reason)
