"""What a test puts in the place of parts of instances: modifiers, in Cloudflare's words.

An attempt asks in this order: an error that is mocked, a time-out that is forced, a result that is mocked; else its own
body runs. Steps that are tried again ask again, and what is said outlives a restart.

Source: developers.cloudflare.com/workers/testing/vitest-integration/test-apis/
"""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from inspect import isasyncgenfunction
from typing import Any, Literal, NamedTuple

from stepwell import limits, values
from stepwell.core.records import Key, StepKind
from stepwell.core.steplog import timed_out
from stepwell.errors import CannotStandIn, WorkflowFatalError, WorkflowTimeoutError
from stepwell.steps import StepBody

_AT_ONCE_MS = 0


class Step(NamedTuple):
    """A step as tests name it: the `index`-th call of its name, from 1. `type` rollback: what undoes that step."""

    name: str
    index: int = 1  # type: ignore[assignment]  # hides tuple.index, which no one needs of a step
    type: Literal["do", "rollback"] = "do"


# A step's name alone means the first call of it.
StepLike = Step | tuple[str, int] | str


def key_of(step: StepLike, kind: StepKind = StepKind.DO) -> Key:
    """Return the key of a step, or of a sleep or a wait by that name. Raises CannotStandIn."""
    named: tuple[Any, Any, Any] = Step(step) if isinstance(step, str) else Step(*step)
    name, index, type_ = named
    if not limits.is_step_name(name) or not _is_count(index):
        raise CannotStandIn(f"a step is a name, or (name, index) with an index from 1, got {step!r:.200}")
    if type_ not in {"do", "rollback"} or (type_ == "rollback" and kind is not StepKind.DO):
        raise CannotStandIn(f'a step\'s type is "do" or, for what undoes it, "rollback", got {step!r:.200}')
    return Key(StepKind.ROLLBACK if type_ == "rollback" else kind, name, index)


@dataclass(slots=True)
class _Part:
    """What stands in for one step: failures of its first attempts, or of all, and a result."""

    # By attempt, and None: every attempt.
    errors: dict[int | None, BaseException] = field(default_factory=dict)
    timeouts: set[int | None] = field(default_factory=set)
    failing: int = 0
    has_result: bool = False
    result: Any = None

    def attempts(self, times: int | None) -> list[int | None]:
        """Return which attempts fail that one more modifier is for: those after the ones before."""
        if times is None:
            return [None]
        first = self.failing + 1
        self.failing += times
        return list(range(first, first + times))


class Modifiers:
    """Says what stands in for parts of an instance, or of all instances of a session."""

    def __init__(self) -> None:
        self._parts: dict[Key, _Part] = {}
        # None: all of them.
        self._sleeps: set[Key | None] = set()
        self._delays: set[Key | None] = set()
        self._waits: set[Key] = set()
        self.events: list[tuple[str, Any]] = []

    # ---- what a test says

    def disable_sleeps(self, steps: Iterable[StepLike] | None = None) -> None:
        """Let these sleeps take no time; None: all sleeps."""
        self._sleeps.update(_keys(steps, StepKind.SLEEP))

    def disable_retry_delays(self, steps: Iterable[StepLike] | None = None) -> None:
        """Let these steps be tried again at once; None: all steps."""
        self._delays.update(_keys(steps, StepKind.DO))

    def mock_step_result(self, step: StepLike, value: Any) -> None:
        """Let a step return a value without running its body; all else of it is as if it had run.

        A step whose function is an async generator gives the bytes of the value as its stream. Raises CannotStandIn.
        """
        key = key_of(step)
        part = self._unmocked(key)
        if key.kind is StepKind.ROLLBACK:
            raise CannotStandIn(
                f'nothing comes of what the rollback of "{key.name}" returns, so no result of it is mocked; '
                "`mock_step_error` lets it fail"
            )
        if isinstance(value, AsyncIterable):
            raise CannotStandIn(
                f'the stream of step "{key.name}" is mocked by its bytes, as an iterator could be read only once; got '
                f"{type(value).__name__}"
            )
        part.has_result, part.result = True, value

    def mock_step_error(self, step: StepLike, error: BaseException, times: int | None = None) -> None:
        """Let the next `times` attempts of a step fail with an error, or all (None), without running its body.

        Calls add up, also those of `force_step_timeout`: each is for the attempts after those of the one before. A
        result that is mocked later is what the step returns then. Raises CannotStandIn.
        """
        key = key_of(step)
        if not isinstance(error, BaseException):
            raise CannotStandIn(f'the error of step "{key.name}" must be an exception, got {error!r:.100}')
        part = self._unmocked(key)
        part.errors.update(dict.fromkeys(part.attempts(_checked(key, times)), error))

    def force_step_timeout(self, step: StepLike, times: int | None = None) -> None:
        """Let the next `times` attempts of a step time out at once, or all (None). Raises CannotStandIn."""
        key = key_of(step)
        part = self._unmocked(key)
        part.timeouts.update(part.attempts(_checked(key, times)))

    def mock_event(self, event_type: str, payload: Any = None) -> None:
        """Send an event to an instance as soon as it is there, and again when it is restarted. Raises CannotStandIn."""
        if not limits.is_event_type(event_type):
            raise CannotStandIn(f"an event's type is 1 to {limits.EVENT_TYPE_LENGTH} of: {limits.NAME_RULE} (no dot)")
        values.encode_json(payload, "payload")
        self.events.append((event_type, payload))

    def force_event_timeout(self, step: StepLike) -> None:
        """Let a wait run out of time at once, whatever events there are."""
        self._waits.add(key_of(step, StepKind.WAIT))

    # ---- what a turn asks

    def body(self, key: Key, attempt: int, body: StepBody) -> Callable[[], Any] | None:
        """Return what an attempt calls in the place of its body; None: the body."""
        part = self._parts.get(key)
        if part is None:
            return None
        error = part.errors.get(None, part.errors.get(attempt))
        if error is not None:
            return lambda: _raise(error)
        if part.timeouts & {None, attempt}:
            return lambda: _raise(WorkflowTimeoutError(timed_out(_AT_ONCE_MS).message))
        return (lambda: _result(key, part.result, body)) if part.has_result else None

    def passes(self, key: Key) -> bool:
        """Tell whether a sleep takes no time."""
        return None in self._sleeps or key in self._sleeps

    def retries_at_once(self, key: Key) -> bool:
        """Tell whether a step is tried again without delay."""
        return None in self._delays or key in self._delays

    def times_out(self, key: Key) -> bool:
        """Tell whether a wait runs out of time at once, whatever events there are."""
        return key in self._waits

    def _unmocked(self, key: Key) -> _Part:
        part = self._parts.setdefault(key, _Part())
        if part.has_result:
            raise CannotStandIn(
                f'Trying to mock step "{key.name}" multiple times: its result is mocked already (index {key.count}), '
                "and nothing comes after a result; say errors and time-outs before it"
            )
        return part


def _keys(steps: Iterable[StepLike] | None, kind: StepKind) -> set[Key | None]:
    if steps is None:
        return {None}
    if isinstance(steps, str | Step):
        raise CannotStandIn(f"steps are given as a list, got {steps!r:.200}")
    return {key_of(step, kind) for step in steps}


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _checked(key: Key, times: int | None) -> int | None:
    if times is not None and not _is_count(times):
        raise CannotStandIn(f'times, for step "{key.name}", must be a number of attempts from 1, got {times!r:.100}')
    return times


def _raise(error: BaseException) -> None:
    # The same one may have been raised before, elsewhere.
    raise error.with_traceback(None)


def _result(key: Key, value: Any, body: StepBody) -> Any:
    if body.traits.is_child:
        raise WorkflowFatalError(
            f'Child "{key.name}": the result of a child is not mocked in its parent, as the parent awaits an instance; '
            "mock the steps of the child's own workflow (`engine.introspect_workflow`)"
        )
    return _stream(value) if isinstance(value, bytes) and isasyncgenfunction(body.function) else value


async def _stream(value: bytes) -> AsyncIterator[bytes]:
    yield value
