"""The spans of an instance that has ended, read from its history: no step is slower for them.

Of one that was restarted these are the steps that count since then, under a root of their own.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import msgspec

from stepwell.core.failures import Failure
from stepwell.core.keys import idempotency_key
from stepwell.core.records import AttemptStarted, Key, Recorded, Restarted, SleepStarted, WaitStarted
from stepwell.core.standing import standing
from stepwell.core.steplog import CalledEntry, InstanceLog, StepEntry, WaitEntry, fold_log
from stepwell.store.operations import InstanceRow
from stepwell.traces import Headers, Trace

Attributes: TypeAlias = dict[str, str | int | float | bool]

# What is said of an error; the instance has all of it.
_MOST_MESSAGE = 1_024


# A struct is made in a ninth of the time that a dataclass takes. Nothing of it refers to itself.
class Span(msgspec.Struct, frozen=True, gc=False):
    """A span; times are in milliseconds since the epoch. `error`: its type and, if it may be told, its message."""

    span_id: str
    parent_id: str | None
    name: str
    start: int
    end: int
    attributes: Attributes
    error: tuple[str, str] | None = None
    link: Headers | None = None


class _Called(NamedTuple):
    """A step call: its idempotency key, its span, and the span that it is part of."""

    key: Key
    step_key: str
    span_id: str
    parent_id: str


def spans_of(trace: Trace, row: InstanceRow, history: Sequence[Recorded]) -> list[Span]:
    """Return the spans of an instance that has ended, its root first."""
    stands, log = standing(history), fold_log(history)
    generation = max((each.seq for each in stands if isinstance(each.record, Restarted)), default=0)
    root = _root(trace, row, log, generation)
    spans = [root]
    for called, entry in zip(_calls(trace, stands, root.span_id), log.called, strict=True):
        spans += _of_call(trace, called, entry, root.end)
    return spans


def _root(trace: Trace, row: InstanceRow, log: InstanceLog, generation: int) -> Span:
    assert row.ended_at is not None
    return Span(
        trace.root_id(generation),
        None if trace.parent is None else trace.parent.span_id,
        row.workflow,
        row.renewed_at or row.created_at,
        row.ended_at,
        {
            "stepwell.workflow.name": row.workflow,
            "stepwell.workflow.version": row.version,
            "stepwell.instance.id": row.id,
            "stepwell.instance.status": row.status,
            "stepwell.instance.trigger": log.trigger,
        },
        _error_of_run(row, log),
        trace.origin,
    )


def _error_of_run(row: InstanceRow, log: InstanceLog) -> tuple[str, str] | None:
    if row.status != "errored" or log.error is None:
        return None
    # What escapes `run` may be what a step has raised whose values are nobody's business.
    return _told(log.error, is_secret=any(_is_secret(entry) for entry in log.called))


def _calls(trace: Trace, stands: Iterable[Recorded], root_id: str) -> Iterator[_Called]:
    """Yield step calls in the order in which they began, as the log has them."""
    generation = 0
    known: dict[Key, str] = {}
    ordinals: Counter[Key] = Counter()
    for seq, record in stands:
        if isinstance(record, Restarted):
            generation = seq
        elif isinstance(record, AttemptStarted | SleepStarted | WaitStarted):
            if record.key not in known:
                step_key = known[record.key] = idempotency_key(trace.instance_key, record.key, generation)
                parent = (
                    None if record.parent is None else trace.attempt_id(known[record.parent], ordinals[record.parent])
                )
                yield _Called(record.key, step_key, trace.step_id(step_key), parent or root_id)
            ordinals[record.key] += 1


def _of_call(trace: Trace, called: _Called, entry: CalledEntry, ended_at: int) -> Iterator[Span]:
    """Yield the span of a call, and those of its attempts."""
    key = called.key
    attributes: Attributes = {
        "stepwell.step.name": key.name,
        "stepwell.step.count": key.count,
        "stepwell.step.type": entry.type,
    }
    if isinstance(entry, StepEntry):
        attributes["stepwell.step.attempts"] = len(entry.attempts)
        failure = entry.attempts[-1].error if entry.attempts and not entry.success else None
    else:
        failure = entry.error
        if isinstance(entry, WaitEntry):
            attributes["stepwell.event.type"] = entry.event_type
    # What had not ended has with the instance; the end of a sleep, or of a wait, may have been further off.
    end = ended_at if entry.end is None else min(entry.end, ended_at)
    told = None if failure is None else _told(failure, is_secret=_is_secret(entry))
    yield Span(called.span_id, called.parent_id, key.name, entry.start, max(end, entry.start), attributes, told)
    if isinstance(entry, StepEntry):
        yield from _of_attempts(trace, called, entry, ended_at)


def _of_attempts(trace: Trace, called: _Called, entry: StepEntry, ended_at: int) -> Iterator[Span]:
    for ordinal, attempt in enumerate(entry.attempts, 1):
        end = ended_at if attempt.end is None else attempt.end
        told = None if attempt.error is None else _told(attempt.error, is_secret=_is_secret(entry))
        own: Attributes = {"stepwell.step.name": called.key.name, "stepwell.step.attempt": ordinal}
        # Our names are ours, whatever the author has called his.
        attributes = {**attempt.attributes, **own}
        attempt_id = trace.attempt_id(called.step_key, ordinal)
        yield Span(attempt_id, called.span_id, f"{called.key.name} attempt", attempt.start, end, attributes, told)


def _is_secret(entry: CalledEntry) -> bool:
    return isinstance(entry, StepEntry) and bool(entry.config.sensitive)


def _told(failure: Failure, *, is_secret: bool) -> tuple[str, str]:
    return failure.name, "" if is_secret else failure.message[:_MOST_MESSAGE]
