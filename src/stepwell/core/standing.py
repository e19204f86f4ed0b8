"""What of a history stands: a restart takes nothing from the record, it says what no longer counts.

A restart as a whole leaves the creation. One from a step leaves the steps that began before it, with all that is on
record of them, finished or not; the step itself and all that began later are forgotten, as are the end of the instance
and the events that no step that stays had met.

Source: developers.cloudflare.com/workflows/build/workers-api/#restart
"""

from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import NamedTuple

from stepwell.core.records import (
    AttemptStarted,
    Completed,
    Created,
    EventReceived,
    Failed,
    Key,
    Patched,
    Record,
    Recorded,
    Restarted,
    RollbackStarted,
    SleepStarted,
    StepKind,
    Terminated,
    WaitEnded,
    WaitStarted,
)

# The kinds of step by which a restart may name its step. Source: as above.
KINDS = {"do": StepKind.DO, "sleep": StepKind.SLEEP, "waitForEvent": StepKind.WAIT}


def standing(history: Iterable[Recorded]) -> Sequence[Recorded]:
    """Return the records that still count, in their order; the last restart is the last but for what came after it."""
    stands: list[Recorded] = []
    for recorded in history:
        if isinstance(recorded.record, Restarted):
            stands = _left_by(recorded.record, stands)
        stands.append(recorded)
    return stands


class Start(NamedTuple):
    """Where a restart begins: the seq of a step's first record, how many steps stay, and whether one can be undone."""

    seq: int
    step_count: int
    has_rollbacks: bool


def find_start(history: Iterable[Recorded], kind: StepKind, name: str, count: int) -> Start | None:
    """Return where a restart begins at the `count`-th step of a kind and name, by the order in which they began.

    A step that was called in the body of another is reached by running that one again, so the outermost is the one
    that is begun at. None: the instance has no such step.
    """
    starts = [recorded for recorded in _before_rollback(standing(history)) if _begins(recorded.record)]
    keys = [key for _, record in starts if (key := _key_of(record)) is not None]
    named = [each for each in keys if (each.kind, each.name) == (kind, name)]
    if len(named) < count:
        return None
    parents = {_key_of(record): record.parent for _, record in starts if isinstance(record, _FIRSTS)}
    key = named[count - 1]
    while (parent := parents.get(key)) is not None:
        key = parent
    position, seq = next((i, seq) for i, (seq, record) in enumerate(starts) if _key_of(record) == key)
    kept = (record for _, record in starts[:position])
    return Start(seq, position, any(isinstance(record, AttemptStarted) and bool(record.rollback) for record in kept))


_FIRSTS = (AttemptStarted, SleepStarted, WaitStarted)
# A restart undoes the end. Behind a rollback's start there is nothing but the rollback, and it goes with the end.
_ENDS = (Completed, Failed, Terminated)


def _before_rollback(history: Iterable[Recorded]) -> list[Recorded]:
    return list(takewhile(lambda recorded: not isinstance(recorded.record, RollbackStarted), history))


def _begins(record: Record) -> bool:
    """Tell whether a record is the first of its step."""
    return isinstance(record, SleepStarted | WaitStarted) or (
        isinstance(record, AttemptStarted) and record.attempt == 1
    )


def _key_of(record: Record) -> Key | None:
    return getattr(record, "key", None)


def _left_by(restart: Restarted, before: Sequence[Recorded]) -> list[Recorded]:
    if restart.from_seq is None:
        return [recorded for recorded in before if isinstance(recorded.record, Created)]
    before = _before_rollback(before)
    gone = {_key_of(record) for seq, record in before if seq >= restart.from_seq and _begins(record)}
    kept = [recorded for recorded in before if _key_of(recorded.record) not in gone]
    # What was asked behind the step is asked again, by the code that there is then.
    kept = [each for each in kept if not (isinstance(each.record, Patched) and each.seq >= restart.from_seq)]
    met = {record.event_seq for _, record in kept if isinstance(record, WaitEnded)}
    return [
        recorded
        for recorded in kept
        if not isinstance(recorded.record, _ENDS)
        and (not isinstance(recorded.record, EventReceived) or recorded.seq in met)
    ]
