"""What an instance does now, from the last records of its history: enough for a line in a list.

A whole history tells exactly what is open (`open_calls`); its end tells what began lately, which is what a list shows.
"""

from collections.abc import Iterable

from msgspec import Struct

from stepwell.core.records import (
    AttemptFailed,
    AttemptInterrupted,
    AttemptLost,
    AttemptStarted,
    Key,
    PauseAsked,
    Record,
    Recorded,
    Restarted,
    Resumed,
    RollbackStarted,
    SleepEnded,
    SleepStarted,
    StepCancelled,
    StepFailed,
    StepForced,
    StepSucceeded,
    Terminated,
    WaitEnded,
    WaitStarted,
)


class Doing(Struct):
    """A call that has no result yet: it runs, or waits until a moment (None: for no moment that is known).

    `attempt` is 0 where there are none: of sleeps and waits. `others` counts the open calls beside it.
    """

    key: Key
    since: int
    until: int | None = None
    attempt: int = 0
    event_type: str = ""
    is_running: bool = False
    parent: Key | None = None
    others: int = 0


def doing_now(tail: Iterable[Recorded]) -> Doing | None:
    """Return what an instance does after a history of which this is the end; None: nothing that its end tells.

    Of several calls it is the one that runs and began last, or else the one that will be over first.
    """
    calls = _Calls()
    for recorded in tail:
        calls.add(recorded)
    return calls.chosen()


class _Calls:
    def __init__(self) -> None:
        # Each with the seq of its first record here, in the order in which they began, or were tried again.
        self._open: dict[Key, tuple[int, Doing]] = {}
        self._paused_at: int | None = None

    def chosen(self) -> Doing | None:
        calls = [call for _, call in self._open.values()]
        if not calls:
            return None
        running = [call for call in calls if call.is_running]
        call = running[-1] if running else min(calls, key=lambda call: (call.until is None, call.until or 0))
        call.others = len(calls) - 1
        return call

    def add(self, recorded: Recorded) -> None:
        seq, record = recorded
        match record:
            case AttemptStarted(at=at, key=key, attempt=attempt, parent=parent):
                first, before = self._open.pop(key, (seq, None))
                kept = parent if before is None else before.parent
                self._open[key] = first, Doing(key, at, attempt=attempt, is_running=True, parent=kept)
            case SleepStarted(at=at, key=key, until=until, parent=parent):
                self._open[key] = seq, Doing(key, at, until, parent=parent)
            case WaitStarted(at=at, key=key, deadline=until, event_type=event_type, parent=parent):
                self._open[key] = seq, Doing(key, at, until, event_type=event_type, parent=parent)
            case AttemptFailed() | AttemptLost() | AttemptInterrupted():
                self._end_attempt(seq, record)
            case StepSucceeded() | StepFailed() | StepCancelled() | SleepEnded() | WaitEnded():
                self._close(record.key)
            case _:
                self._control(record)

    def _end_attempt(self, seq: int, record: AttemptFailed | AttemptLost | AttemptInterrupted) -> None:
        self._close_below(record.key)
        first, call = self._open.get(record.key, (seq, Doing(record.key, record.at, attempt=record.attempt)))
        call.is_running = False
        call.until = record.retry_at if isinstance(record, AttemptFailed) else None
        self._open[record.key] = first, call

    def _control(self, record: Record) -> None:
        match record:
            case PauseAsked(at=at):
                self._paused_at = at
            case Resumed(at=at):
                # What waited waits as much longer as it stood still.
                if self._paused_at is not None:
                    self._move_on(at)
            case StepForced(key=key) if key in self._open and not self._open[key][1].is_running:
                # Its turn comes at once.
                self._open[key][1].until = record.at
            case Restarted(from_seq=None) | RollbackStarted() | Terminated():
                self._open.clear()
            case Restarted(from_seq=from_seq) if from_seq is not None:
                self._open = {key: (seq, call) for key, (seq, call) in self._open.items() if seq < from_seq}
                for _, call in self._open.values():
                    call.is_running = False
            case _:
                pass

    def _move_on(self, at: int) -> None:
        assert self._paused_at is not None
        for _, call in self._open.values():
            if call.until is not None:
                call.until += at - max(self._paused_at, call.since)
        self._paused_at = None

    def _close(self, key: Key) -> None:
        self._close_below(key)
        self._open.pop(key, None)

    def _close_below(self, key: Key) -> None:
        """Forget what was called in the body of a step: the next attempt calls it again."""
        for child in [child for child, (_, call) in self._open.items() if call.parent == key]:
            self._close(child)
