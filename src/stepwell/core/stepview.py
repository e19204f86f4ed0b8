"""One step or wait of an instance, whole: its history folded into what `GET .../step` shows.

Source: developers.cloudflare.com/api/resources/workflows/subresources/instances/methods/step/
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from stepwell.core.failures import Failure
from stepwell.core.records import (
    EventReceived,
    Payload,
    Record,
    Recorded,
    StepCancelled,
    StepFailed,
    StepForced,
    StepKind,
    StepSucceeded,
    StreamRef,
    WaitEnded,
)
from stepwell.core.standing import standing
from stepwell.core.steplog import (
    CANCELLED,
    INTERRUPTED,
    AttemptEntry,
    Entry,
    InstanceLog,
    StepEntry,
    TerminationEntry,
    WaitEntry,
    fold_log,
    timed_out,
)

_KINDS: dict[str, StepKind] = {"step": StepKind.DO, "waitForEvent": StepKind.WAIT}


class StepQuery(Struct, frozen=True):
    """Which `step` or `waitForEvent`, by the name that the log shows.

    `attempt` counts the log's attempts from 1; None: the step itself.
    """

    name: str
    type: str
    attempt: int | None = None


class StepView(Struct, frozen=True):
    """How a step stands. `value` is what it returned, or the payload of the event that it waited for.

    `is_plain` tells that the value is JSON as somebody sent it, not as a step's result is stored. Of a `stream` the
    value is what people are shown of it.
    """

    status: Literal["running", "waiting", "complete", "errored"]
    error: Failure | None = None
    value: Payload | None = None
    event_type: str | None = None
    is_plain: bool = False
    is_sensitive: bool = False
    stream: StreamRef | None = None


def view_step(history: Sequence[Recorded], query: StepQuery) -> StepView | None:
    """Return how a step, or one attempt of it, stands after a whole history; None if there is none such.

    An instance that has ended has no step in flight: what was is shown as ended by the engine.
    """
    log = fold_log(history)
    entry = next((entry for entry in log.entries if _is_asked_for(entry, query)), None)
    if entry is None or (query.attempt or 1) > _attempts(entry):
        return None
    end = _end_of(standing(history), query)
    if isinstance(entry, StepEntry):
        return _view_do(entry, end, query.attempt, log)
    assert isinstance(entry, WaitEntry)
    return _view_wait(entry, end, history, log)


def _is_asked_for(entry: Entry, query: StepQuery) -> bool:
    return not isinstance(entry, TerminationEntry) and (entry.name, entry.type) == (query.name, query.type)


def _attempts(entry: Entry) -> int:
    return len(entry.attempts) if isinstance(entry, StepEntry) else 1


def _end_of(history: Sequence[Recorded], query: StepQuery) -> Record | None:
    """Return the latest record that ended the step."""
    ends = (StepSucceeded, StepFailed, StepCancelled, WaitEnded)
    kind = _KINDS[query.type]
    for recorded in reversed(history):
        record = recorded.record
        if isinstance(record, ends) and record.key.kind is kind and record.key.label == query.name:
            return record
    return None


def _view_do(entry: StepEntry, end: Record | None, attempt: int | None, log: InstanceLog) -> StepView:
    if attempt is not None:
        return _view_attempt(entry, entry.attempts[attempt - 1], end)
    if entry.end is None:
        error = entry.attempts[-1].error
        return StepView("running", error) if log.state.ended_at is None else StepView("errored", error or INTERRUPTED)
    if isinstance(end, StepSucceeded):
        return _complete(entry, end)
    return StepView("errored", end.error if isinstance(end, StepFailed) else CANCELLED)


def _view_attempt(entry: StepEntry, attempt: AttemptEntry, end: Record | None) -> StepView:
    if attempt.success and isinstance(end, StepSucceeded):
        return _complete(entry, end)
    return StepView("running") if attempt.end is None else StepView("errored", attempt.error)


def _complete(entry: StepEntry, end: StepSucceeded) -> StepView:
    is_sensitive = entry.config.sensitive is not None
    return StepView("complete", value=end.value, is_sensitive=is_sensitive, stream=end.stream)


def _view_wait(entry: WaitEntry, end: Record | None, history: Sequence[Recorded], log: InstanceLog) -> StepView:
    if not entry.finished:
        if log.state.ended_at is not None:
            return StepView("errored", INTERRUPTED, event_type=entry.event_type)
        return StepView("waiting", event_type=entry.event_type)
    if not isinstance(end, WaitEnded):
        return StepView("errored", CANCELLED, event_type=entry.event_type)
    if end.event_seq is None:
        return StepView("errored", end.error or timed_out(entry.timeout_ms), event_type=entry.event_type)
    event = history[end.event_seq - 1].record
    assert isinstance(event, EventReceived | StepForced)
    return StepView("complete", value=event.value, event_type=entry.event_type, is_plain=True)
