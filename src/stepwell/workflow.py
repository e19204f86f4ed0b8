"""What authors import: the class of a workflow and the step object that its `run` receives.

The decorator is Cloudflare's: parameters name earlier steps, whose results are injected.

Source: developers.cloudflare.com/workflows/python/
"""

import asyncio
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import FunctionType
from typing import Any, Protocol

from stepwell.errors import InvalidStepConfig

_END_OF_TIME_MS = 1e17
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

StepContext = dict[str, Any]
"""What a step's `ctx` parameter receives: `step` (name, count), `attempt` (from 1), `config`, `idempotency_key`."""

StepBody = Callable[[StepContext], Any]


class Env:
    """Bindings and variables of a workflow."""

    def __getattr__(self, name: str) -> Any:
        """Refuse a binding that there is none of, by name."""
        raise AttributeError(f"self.env.{name}: Stepwell has no binding or variable of this name")


class WorkflowEntrypoint:
    """Base of an author's workflow: override `run`.

    Source: developers.cloudflare.com/workflows/python/python-workers-api/
    """

    def __init__(self, ctx: object = None, env: Env | None = None) -> None:
        self.ctx = ctx
        self.env = env if env is not None else Env()

    async def run(self, event: dict[str, Any], step: "WorkflowStep") -> Any:  # noqa: ARG002 - for authors to use
        """Do the work. What it returns is the instance's output."""
        raise TypeError(f"{type(self).__name__} has no method `run(self, event, step)`")


class StepPort(Protocol):
    """What a turn offers to the step object: the calls that are durable."""

    async def do(self, name: Any, config: Mapping[str, Any] | None, body: StepBody, *, is_async: bool) -> Any:
        """Run a step's body, or return what it returned before."""

    async def sleep(self, name: Any, duration: object) -> None:
        """Sleep for a duration."""

    async def sleep_until(self, name: Any, until_ms: int) -> None:
        """Sleep until a moment."""

    async def wait_for_event(self, name: Any, event_type: object, timeout: object) -> dict[str, Any]:
        """Wait for an event of a type."""

    def places(self) -> tuple[object, ...]:
        """Return whose calls are being made, innermost first: those of a step's body, those of `run`."""


class WorkflowStep:
    """The step object of one run."""

    def __init__(self, port: StepPort) -> None:
        self._port = port
        self._steps: dict[str, DecoratedStep] = {}

    def do(
        self,
        name: Any = None,
        depends: Sequence["DecoratedStep"] | None = None,
        *,
        concurrent: bool = False,
        config: Mapping[str, Any] | None = None,
    ) -> Any:
        """Make a step of the decorated function; call the result and await it to run the step.

        `name` is the function's own unless given. Each parameter of the function but `ctx` is the name of an earlier
        decorated step and receives its result; or `depends` lists those steps, in the order of the parameters.
        `concurrent` resolves them at the same time. `config` is `{"retries": {"limit", "delay", "backoff"},
        "timeout"}`.

        Source: developers.cloudflare.com/workflows/python/python-workers-api/
        """
        options = StepOptions(depends, concurrent, config)
        if inspect.isroutine(name):
            return self._decorate(name, name.__name__, options)
        return lambda function: self._decorate(function, function.__name__ if name is None else name, options)

    async def sleep(self, name: str, duration: object) -> None:
        """Sleep for a number of milliseconds or a duration such as "5 minutes"; at most 365 days."""
        await self._port.sleep(name, duration)

    async def sleep_until(self, name: str, timestamp: datetime | float) -> None:
        """Sleep until a moment: a datetime (UTC if it has no zone) or milliseconds since 1970.

        Raises SleepInThePast if it is over.
        """
        await self._port.sleep_until(name, _moment(name, timestamp))

    async def wait_for_event(self, name: str, event_type: str, /, timeout: object = "24 hours") -> dict[str, Any]:
        """Wait until somebody sends an event of this type; return its `payload`, `timestamp` and `type`.

        An event that came before the call is not lost. Raises WorkflowTimeoutError after `timeout` (1 second to
        365 days).
        """
        return await self._port.wait_for_event(name, event_type, timeout)

    def _decorate(self, function: Callable[..., Any], name: Any, options: "StepOptions") -> "DecoratedStep":
        step = DecoratedStep(self, function, name, options)
        if isinstance(name, str):
            self._steps[name] = step
        return step


@dataclass(frozen=True, slots=True)
class StepOptions:
    """What `@step.do` was told besides the function and the name."""

    depends: Sequence["DecoratedStep"] | None
    concurrent: bool
    config: Mapping[str, Any] | None


class DecoratedStep:
    """A step made by `@step.do`: call it without arguments and await it.

    A direct call always runs a new step. As a dependency it runs once: a result that is there is used again, one that
    is on its way is awaited, a failure is not kept.
    """

    def __init__(self, owner: WorkflowStep, function: Callable[..., Any], name: Any, options: "StepOptions") -> None:
        self.name = name
        self._owner = owner
        self._function = function
        self._parameters = _parameters(function)
        self._depends = options.depends
        self._concurrent = options.concurrent
        self._config = options.config
        # By whose calls they are: what a step's body has called is unknown to a replay, which does not run it.
        self._latest: dict[object, asyncio.Future[Any]] = {}
        self._check_depends()

    async def __call__(self) -> Any:
        """Run the step, after the steps that it depends on; return its result."""
        place = self._owner._port.places()[0]
        latest = self._latest[place] = asyncio.get_running_loop().create_future()
        # Nobody has to look at it: the caller gets the error anyway.
        latest.add_done_callback(lambda future: future.cancelled() or future.exception())
        try:
            result = await self._run()
        except BaseException as error:
            if self._latest.get(place) is latest:
                del self._latest[place]
            if isinstance(error, Exception):
                latest.set_exception(error)
            else:
                latest.cancel()
            raise
        latest.set_result(result)
        return result

    async def _run(self) -> Any:
        arguments = await self._resolve()
        function, parameters = self._function, self._parameters

        def body(ctx: StepContext) -> Any:
            return function(*(ctx if name == "ctx" else arguments[name] for name in parameters))

        return await self._owner._port.do(self.name, self._config, body, is_async=inspect.iscoroutinefunction(function))

    async def _resolve(self) -> dict[str, Any]:
        needed = self._needed()
        if self._concurrent:
            results = await asyncio.gather(*(step._result() for step in needed.values()))
            return dict(zip(needed, results, strict=True))
        return {name: await step._result() for name, step in needed.items()}

    def _needed(self) -> dict[str, "DecoratedStep"]:
        names = self._dependent_parameters()
        if self._depends is not None:
            return dict(zip(names, self._depends, strict=True))
        known = self._owner._steps
        for name in names:
            # A step that replaced one of its own name would wait for itself.
            if known.get(name, self) is self:
                raise TypeError(
                    f"Received unexpected parameter {name}: step {self.name!r} can take `ctx` or the name of an "
                    f"earlier step ({', '.join(known)})"
                )
        return {name: known[name] for name in names}

    async def _result(self) -> Any:
        while (latest := self._latest_result()) is not None:
            try:
                return await asyncio.shield(latest)
            except asyncio.CancelledError:
                # Either this task is cancelled, or the call that is waited for was: then the step is run again.
                task = asyncio.current_task()
                if not latest.cancelled() or (task is not None and task.cancelling()):
                    raise
        return await self()

    def _latest_result(self) -> asyncio.Future[Any] | None:
        places = self._owner._port.places()
        return next((self._latest[place] for place in places if place in self._latest), None)

    def _dependent_parameters(self) -> list[str]:
        return [name for name in self._parameters if name != "ctx"]

    def _check_depends(self) -> None:
        if self._depends is None:
            return
        expected, given = len(self._dependent_parameters()), len(self._depends)
        if expected != given:
            raise TypeError(
                f"Step {self.name!r} declares {expected} parameter(s) besides ctx, but `depends` has {given} item(s)"
            )


def _parameters(function: Callable[..., Any]) -> Sequence[str]:
    """Return the names of a function's parameters."""
    if type(function) is FunctionType and not hasattr(function, "__wrapped__"):
        # A step is often decorated anew in each turn of a loop, and `inspect.signature` takes 15 us for it.
        code = function.__code__
        if not code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS) and not code.co_kwonlyargcount:
            return code.co_varnames[: code.co_argcount]
    return list(inspect.signature(function).parameters)


def to_moment(at_ms: int) -> datetime:
    """Return a moment as authors see it: a datetime in UTC without a zone, as on Cloudflare."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).replace(tzinfo=None)


def _moment(name: str, timestamp: object) -> int:
    if isinstance(timestamp, datetime):
        aware = timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)
        # Rounded up: a wake-up is never early.
        return -((_EPOCH - aware) // timedelta(milliseconds=1))
    if isinstance(timestamp, int | float) and not isinstance(timestamp, bool) and abs(timestamp) < _END_OF_TIME_MS:
        return math.ceil(timestamp)
    raise InvalidStepConfig(name, "the moment", timestamp, "a datetime or milliseconds since 1970")
