"""What somebody decides of a step by hand: whether it fits how the step stands, and what it brings about.

A decision comes from outside, so it is an input: what it brings about is a record that a turn writes, once. Where that
turn knows of an outcome already, or the call is not waited for any more, the decision has no effect.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from msgspec import Struct

from stepwell.core.open_calls import OpenCall, fold_calls
from stepwell.core.records import (
    Action,
    AttemptInterrupted,
    Key,
    Record,
    Recorded,
    StepFailed,
    StepForced,
    StepKind,
    StepSucceeded,
    WaitEnded,
)

# By the type that logs show.
KINDS = {
    "step": StepKind.DO,
    "sleep": StepKind.SLEEP,
    "waitForEvent": StepKind.WAIT,
    "rollback": StepKind.ROLLBACK,
}
TYPES = {kind: type for type, kind in KINDS.items()}


class Fit(Struct, frozen=True):
    """The step that is meant, and the number of its last attempt (0: it has none)."""

    key: Key
    attempt: int


class Misfit(Struct, frozen=True):
    """Why an action does not fit how the instance stands."""

    reason: str


def fit(history: Iterable[Recorded], step: tuple[str, str], action: Action) -> Fit | Misfit:
    """Return the step of a name, as logs have it, and a type, if an action fits how it stands."""
    label, type = step
    calls = fold_calls(history)
    key = _key_of(label, KINDS[type])
    call = None if key is None else calls.find(key)
    if call is None:
        return Misfit(f'it has begun no {type} "{label:.300}"; its log has the names, each with its count')
    if call.outcome is not None:
        return Misfit(f'{type} "{label:.300}" has ended')
    if not calls.is_wanted(call):
        return Misfit(f'nothing waits for {type} "{label:.300}" now: what called it has ended, or is rolled back')
    if action is Action.RETRY and (reason := _no_retry(call)):
        return Misfit(f'{type} "{label:.300}" does not wait for an attempt: {reason}')
    return Fit(call.key, call.attempt)


def _key_of(label: str, kind: StepKind) -> Key | None:
    name, _, count = label.rpartition("-")
    # No other digits than those that labels have, and not as many as no count has.
    is_count = count.isascii() and count.isdecimal() and len(count) <= len("1000000")
    return Key(kind, name, int(count)) if is_count else None


def _no_retry(call: OpenCall) -> str | None:
    if call.is_in_flight:
        return f"attempt {call.attempt} is in flight"
    return "the next one is due" if call.until is None else None


# ---- in a turn


class Tries(Protocol):
    """How a step with attempts stands."""

    ordinal: int
    is_open: bool


class Forcing:
    """Calls that were completed or failed by hand, and that no record has ended yet."""

    def __init__(self) -> None:
        self._decisions: dict[Key, tuple[int, StepForced]] = {}
        self._cut: list[Key] = []

    def __bool__(self) -> bool:
        return bool(self._decisions)

    def add(self, seq: int, decision: StepForced) -> None:
        """Take note of a decision. The first one counts."""
        self._decisions.setdefault(decision.key, (seq, decision))

    def drop(self, key: Key) -> None:
        """Take note that a call has an outcome."""
        self._decisions.pop(key, None)

    def records(self, is_waited_for: Callable[[Key], bool], steps: Mapping[Key, Tries], now: int) -> list[Record]:
        """Return what the decisions bring about; an attempt in flight is interrupted first."""
        records: list[Record] = []
        for key, (seq, decision) in self._decisions.items():
            if not is_waited_for(key):
                continue
            if key in steps and steps[key].is_open:
                records.append(AttemptInterrupted(now, key, steps[key].ordinal))
                self._cut.append(key)
            records.append(_outcome(decision, seq, steps.get(key), now))
        return records

    def take_cut(self) -> list[Key]:
        """Return the steps whose attempts in flight were interrupted since the last call."""
        cut, self._cut = self._cut, []
        return cut


def _outcome(decision: StepForced, seq: int, step: Tries | None, now: int) -> Record:
    key = decision.key
    if step is None:
        return WaitEnded(now, key, seq) if decision.error is None else WaitEnded(now, key, None, decision.error)
    if decision.error is not None:
        return StepFailed(now, key, step.ordinal, decision.error)
    assert decision.value is not None
    return StepSucceeded(now, key, step.ordinal, decision.value)
