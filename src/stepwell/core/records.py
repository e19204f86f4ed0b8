"""The kinds of record: the facts that a history is made of.

A record is a frozen value; its place in the history (`seq`) is given by the store. Times are in milliseconds since
the epoch. Records of a turn are written by the worker that holds it; `Created`, `EventReceived` and those of control
operations come from outside, `Running` is written by the claim itself. A key's first record (`AttemptStarted` with
attempt 1, `SleepStarted`, `WaitStarted`) names the step in whose body the call was made, if any, as `parent`, and says
as `nth` which of the calls of its kind and name there it was, where that is not the key's own count.
"""

from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from stepwell.core.failures import Failure


class StepKind(StrEnum):
    """The kinds of step that a name is counted by."""

    DO = "do"
    SLEEP = "sleep"
    WAIT = "wait"
    # The rollback of a `do`, under its name and count.
    ROLLBACK = "rollback"


class Key(Struct, frozen=True, array_like=True, order=True, cache_hash=True):
    """One step of an instance: the `count`-th call of its kind with this name."""

    kind: StepKind
    name: str
    count: int

    @property
    def label(self) -> str:
        """The name that logs show, such as `charge-1`."""
        return f"{self.name}-{self.count}"

    @property
    def has_attempts(self) -> bool:
        """Whether it runs the author's code; others wait."""
        return self.kind in _WITH_ATTEMPTS


_WITH_ATTEMPTS = (StepKind.DO, StepKind.ROLLBACK)


class PayloadRef(Struct, frozen=True):
    """A value too large to lie in its record: where it is, its size in bytes, and its first characters."""

    id: int
    size: int
    preview: str


# JSON text, or where to read it.
Payload = str | PayloadRef

# What an attempt says of itself, by name: see attributes.py.
Attributes = dict[str, str | int | float | bool]


class StreamRef(Struct, frozen=True):
    """Where the bytes lie that a step returned as a stream, and how many they are."""

    id: int
    size: int


class StepConfig(Struct, frozen=True):
    """A step's config, merged with the defaults and frozen when the step first ran.

    `delay` and `timeout` are kept as the author wrote them: milliseconds, or a duration in words. `delay` is
    `"[dynamic]"` for a delay function. `heartbeat`: how long an attempt may be silent; None: for ever.
    """

    limit: float
    delay: float | str
    backoff: str
    timeout: float | str
    sensitive: str | None = None
    heartbeat: float | str | None = None


DYNAMIC_DELAY = "[dynamic]"


class Firing(Struct, frozen=True):
    """What of a schedule made an instance: its cron expression, and the moment that the firing was for."""

    cron: str
    scheduled_at: int


class Created(Struct, frozen=True):
    """The instance was created, with its params; `schedule`: by what, if by a schedule.

    `traceparent`, `tracestate`: the span within which somebody created it, as headers say it.
    """

    at: int
    trigger: str
    value: Payload
    schedule: Firing | None = None
    traceparent: str | None = None
    tracestate: str | None = None


class Running(Struct, frozen=True):
    """A worker took the instance. The first one is its start. `lost` tells that the turn before was lost."""

    at: int
    lost: bool = False


class Waiting(Struct, frozen=True):
    """The instance was put back until something happens."""

    at: int


class Queued(Struct, frozen=True):
    """It could go on, and waits for a slot, as its workflow or account has no free one."""

    at: int


class AttemptStarted(Struct, frozen=True):
    """An attempt of a step began. `attempt` counts every try, from 1; the first has the config.

    `rollback` tells of the first whether its author gave the step a rollback.
    """

    at: int
    key: Key
    attempt: int
    config: StepConfig | None = None
    parent: Key | None = None
    nth: int | None = None
    rollback: bool | None = None


class AttemptFailed(Struct, frozen=True):
    """An attempt failed and there will be another at `retry_at`; None: the step's failure follows."""

    at: int
    key: Key
    attempt: int
    error: Failure
    retry_at: int | None = None
    attributes: Attributes | None = None


class AttemptLost(Struct, frozen=True):
    """The worker died during the attempt. It counts; the next one starts at once."""

    at: int
    key: Key
    attempt: int


class AttemptInterrupted(Struct, frozen=True):
    """The engine ended the attempt (reload, drain, end of the instance). It does not count."""

    at: int
    key: Key
    attempt: int


class StepSucceeded(Struct, frozen=True):
    """The attempt, and with it the step, returned a value; of a stream, `value` is what people are shown of it."""

    at: int
    key: Key
    attempt: int
    value: Payload
    stream: StreamRef | None = None
    attributes: Attributes | None = None


class StepFailed(Struct, frozen=True):
    """The step failed for good. An open attempt ends with the same error."""

    at: int
    key: Key
    attempt: int
    error: Failure
    attributes: Attributes | None = None


class StepCancelled(Struct, frozen=True):
    """The author cancelled the call: of a step, a sleep or a wait."""

    at: int
    key: Key


class SleepStarted(Struct, frozen=True):
    """A sleep began; it ends at `until`."""

    at: int
    key: Key
    until: int
    parent: Key | None = None
    nth: int | None = None


class SleepEnded(Struct, frozen=True):
    """A sleep is over."""

    at: int
    key: Key


class WaitStarted(Struct, frozen=True):
    """A wait for an event of a type began; it times out at `deadline`."""

    at: int
    key: Key
    event_type: str
    deadline: int
    timeout_ms: int
    parent: Key | None = None
    nth: int | None = None


class WaitEnded(Struct, frozen=True):
    """A wait got the event with the number `event_seq`, or failed by hand (`error`), or timed out.

    Of one that was completed by hand, the number is that of the record that did so.
    """

    at: int
    key: Key
    event_seq: int | None = None
    error: Failure | None = None


class EventReceived(Struct, frozen=True):
    """Somebody sent an event."""

    at: int
    event_type: str
    value: Payload


class Patched(Struct, frozen=True):
    """The code has asked by this name whether it may go the new way, and may: from here on it always may."""

    at: int
    name: str


class Moved(Struct, frozen=True):
    """Somebody has given the instance another version of its code, in place of the one that it had."""

    at: int
    version: str
    before: str


class SlotGiven(Struct, frozen=True):
    """A step that has waited since then has a slot of a limit that steps share; its attempt begins at `start_at`."""

    at: int
    key: Key
    limit: str
    since: int
    start_at: int


class Action(StrEnum):
    """What somebody can decide of a step by hand."""

    RETRY = "retry"
    SKIP = "skip"
    COMPLETE = "complete"
    FAIL = "fail"


class StepForced(Struct, frozen=True):
    """Somebody, called `by`, decided by hand what becomes of a step.

    A retry is that of the attempt with this number, and of no later one. `value` completes: a step with what it would
    have returned, as that is stored; a wait with a payload. `error` fails.
    """

    at: int
    key: Key
    action: Action
    by: str
    attempt: int | None = None
    value: Payload | None = None
    error: Failure | None = None


class PauseAsked(Struct, frozen=True):
    """Somebody asked to pause the instance: from here its waits stand still, and no attempt begins."""

    at: int


class Paused(Struct, frozen=True):
    """Nothing of the instance is in flight any more. It comes from outside where no worker held the instance."""

    at: int


class Resumed(Struct, frozen=True):
    """Somebody asked to resume: what waited when the pause was asked for waits on, as much longer as it stood still."""

    at: int


class Terminated(Struct, frozen=True):
    """Somebody ended the instance. What was in flight is abandoned."""

    at: int
    trigger: str


class Restarted(Struct, frozen=True):
    """Somebody began the instance again, at `from_seq`, the first record of a step; None: at its beginning.

    `step_count` is how many steps began before that, and stay. `standing` says what counts after it.
    """

    at: int
    trigger: str
    from_seq: int | None = None
    step_count: int = 0


class RollbackStarted(Struct, frozen=True):
    """An error escaped `run`, or somebody terminated the instance (`trigger`), and its steps are rolled back first."""

    at: int
    error: Failure
    trigger: str | None = None


class RollbackEnded(Struct, frozen=True):
    """All rollbacks have run, or one has failed, and none runs after it; the end of the instance follows."""

    at: int
    error: Failure | None = None


class RollbackResumed(Struct, frozen=True):
    """Somebody asked to go on with a rollback that had failed: what failed is tried again."""

    at: int


class Completed(Struct, frozen=True):
    """`run` returned a value."""

    at: int
    value: Payload


class Failed(Struct, frozen=True):
    """An error escaped `run`, or the engine gave the instance up."""

    at: int
    error: Failure


# What a step call waits for. Results are delivered to the author in the order of these records.
Result = StepSucceeded | StepFailed | StepCancelled | SleepEnded | WaitEnded
RESULTS = (StepSucceeded, StepFailed, StepCancelled, SleepEnded, WaitEnded)
# What shows that a turn gets on: an instance that has one is not lost again and again.
OUTCOMES = (*RESULTS, AttemptFailed)
# What comes from outside and leaves the turn with whoever has it.
OUTSIDE = (EventReceived, StepForced, SlotGiven, PauseAsked, Resumed)

Record = (
    Created
    | Running
    | Waiting
    | Queued
    | AttemptStarted
    | AttemptFailed
    | AttemptLost
    | AttemptInterrupted
    | StepSucceeded
    | StepFailed
    | StepCancelled
    | SleepStarted
    | SleepEnded
    | WaitStarted
    | WaitEnded
    | EventReceived
    | Patched
    | Moved
    | SlotGiven
    | StepForced
    | PauseAsked
    | Paused
    | Resumed
    | Terminated
    | Restarted
    | RollbackStarted
    | RollbackEnded
    | RollbackResumed
    | Completed
    | Failed
)


class Recorded(NamedTuple):
    """A record in its place in the history."""

    seq: int
    record: Record
