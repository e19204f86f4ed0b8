"""What authors call as steps: decorated functions, marked functions, and the streams that they return.

Source: developers.cloudflare.com/workflows/python/python-workers-api/
"""

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextvars import ContextVar
from types import FunctionType
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, overload

from msgspec import Struct

from stepwell.contexts import StepContext
from stepwell.isolation import Limits
from stepwell.step_traits import NO_TRAITS, StepTraits, traits_of

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class PiecePort(Protocol):
    """What a turn offers to who reads a stream."""

    async def piece(self, stream: int, n: int) -> bytes:
        """Read a piece; they are numbered from 1. Raises TurnClosed."""

    def piece_in_thread(self, stream: int, n: int) -> bytes:
        """Read a piece, and block the thread meanwhile. Raises TurnClosed."""


class StepStream:
    """The bytes that a step returned as a stream; `size` is their number. Each iteration begins at the first.

    `async for piece in stream` gives them in pieces of up to 256 KiB; so does `for` in a function that is not async.
    """

    def __init__(self, id: int, size: int, port: PiecePort) -> None:
        self.size = size
        self._id = id
        self._port = port

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Give the bytes in pieces. Raises TurnClosed if the turn has ended that the stream is from."""
        left, n = self.size, 1
        while left > 0:
            piece = await self._port.piece(self._id, n)
            left, n = left - len(piece), n + 1
            yield piece

    def __iter__(self) -> Iterator[bytes]:
        """Give the bytes in pieces. Raises TypeError on the event loop, which it would block; and TurnClosed."""
        if asyncio._get_running_loop() is not None:
            raise TypeError("a stream is read with `async for` here; `for` is for functions that are not async")
        return self._in_thread()

    async def read(self) -> bytes:
        """Return all bytes at once. Raises TurnClosed."""
        return b"".join([piece async for piece in self])

    def _in_thread(self) -> Iterator[bytes]:
        left, n = self.size, 1
        while left > 0:
            piece = self._port.piece_in_thread(self._id, n)
            left, n = left - len(piece), n + 1
            yield piece


_ASYNC = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


class StepBody(Struct, frozen=True):
    """What an attempt calls: the author's `function` with its arguments bound, and the step's traits."""

    call: Callable[[StepContext], Any]
    function: Callable[..., Any]
    traits: StepTraits = NO_TRAITS
    # Whether `call` looks at the context that it is given.
    wants_ctx: bool = True

    @property
    def is_async(self) -> bool:
        """Whether it runs on the event loop; else in a thread."""
        if type(self.function) is FunctionType and self.function.__code__.co_flags & _ASYNC:
            # Most are, and `inspect` takes ten times as long to find it.
            return True
        return inspect.iscoroutinefunction(self.function) or inspect.isasyncgenfunction(self.function)


class StepPort(Protocol):
    """What a turn offers to authors: the calls that are durable."""

    async def do(self, name: Any, config: Mapping[str, Any] | None, body: StepBody) -> Any:
        """Run a step's body, or return what it returned before."""

    async def sleep(self, name: Any, duration: object) -> None:
        """Sleep for a duration."""

    async def sleep_until(self, name: Any, until_ms: int) -> None:
        """Sleep until a moment."""

    async def wait_for_event(self, name: Any, event_type: object, timeout: object) -> dict[str, Any]:
        """Wait for an event of a type."""

    async def child(self, name: Any, workflow: Any, params: object, *, follows: bool) -> Any:
        """Start an instance of another workflow, and return its output once it completes."""

    def set_progress(self, progress: object) -> None:
        """Take note of how far the instance is."""

    async def set_labels(self, labels: Any) -> None:
        """Set labels of the instance, and take away those whose value is None."""

    def patched(self, name: Any) -> bool:
        """Tell whether the code may go the newer way of this name."""

    def log(self, message: str) -> None:
        """Write a line into the instance's log."""

    def places(self) -> tuple[object, ...]:
        """Return whose calls are being made, innermost first: those of a step's body, those of `run`."""


CURRENT_PORT: ContextVar[StepPort | None] = ContextVar("stepwell_port", default=None)


def bind(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], traits: StepTraits = NO_TRAITS
) -> StepBody:
    """Return the body that calls a function with these arguments, and with `ctx` where it takes that."""
    target = function.function if isinstance(function, StepFunction) else function
    wants_ctx = "ctx" not in kwargs and "ctx" in list(parameters_of(target))[len(args) :]

    def call(ctx: StepContext) -> Any:
        return target(*args, **kwargs, ctx=ctx) if wants_ctx else target(*args, **kwargs)

    return StepBody(call, target, traits, wants_ctx)


class StepFunction(Generic[P, R]):
    """A function marked with `@step`: called in a workflow it is a step; called anywhere else it just runs."""

    def __init__(
        self,
        function: Callable[P, R | Coroutine[Any, Any, R]],
        name: str | None,
        config: Mapping[str, Any] | None,
        traits: StepTraits = NO_TRAITS,
    ) -> None:
        functools.update_wrapper(self, function)
        # Said once more for type checkers.
        self.__name__ = function.__name__
        self.function = function
        self.name = name or function.__name__
        self.config = config
        self.traits = traits

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the step with these arguments, or return what it returned before."""
        port = CURRENT_PORT.get()
        if port is not None:
            body = bind(self.function, args, kwargs, self.traits)
            result: R = await port.do(self.name, self.config, body)
            return result
        outcome = self.function(*args, **kwargs)
        if inspect.isawaitable(outcome):
            return await outcome
        return outcome

    def __get__(self, instance: object, owner: type | None = None) -> "Callable[..., Coroutine[Any, Any, R]]":
        """Be a method where it stands in a class."""
        method: Any = self.__call__
        return self if instance is None else functools.partial(method, instance)


class _Marking(Protocol):
    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> StepFunction[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> StepFunction[P, R]: ...


@overload
def step(function: Callable[P, Coroutine[Any, Any, R]], /) -> StepFunction[P, R]: ...
@overload
def step(function: Callable[P, R], /) -> StepFunction[P, R]: ...
@overload
def step(
    *,
    name: str | None = None,
    config: Mapping[str, Any] | None = None,
    rollback: Callable[..., Any] | None = None,
    rollback_config: Mapping[str, Any] | None = None,
    limit: str | None = None,
    isolated: bool | Limits | None = None,
) -> _Marking: ...
def step(  # noqa: PLR0913  # the options of a step
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    config: Mapping[str, Any] | None = None,
    rollback: Callable[..., Any] | None = None,
    rollback_config: Mapping[str, Any] | None = None,
    limit: str | None = None,
    isolated: bool | Limits | None = None,
) -> Any:
    """Mark a function as a step, for any workflow: `await charge(order)` in a workflow is a step named `charge`.

    Bare, or with `name`, `config`, `rollback`, `rollback_config`, `limit` and `isolated` as `step.do` has them. A
    parameter `ctx` that is not given receives the step's context. Outside of a workflow, in a test for example, the
    function just runs.
    """
    if function is not None:
        return StepFunction(function, name, config)
    given = {"rollback": rollback, "rollback_config": rollback_config, "limit": limit, "isolated": isolated}
    traits = traits_of(name or "step", given)
    return lambda function: StepFunction(function, name, config, traits)


class StepOwner(Protocol):
    """The step object of a run, as its decorated steps see it."""

    port: StepPort
    steps: dict[str, "DecoratedStep[Any]"]


class StepOptions(Struct, frozen=True):
    """What `@step.do` was told besides the function and the name."""

    depends: Sequence["DecoratedStep[Any]"] | None
    concurrent: bool
    config: Mapping[str, Any] | None
    traits: StepTraits = NO_TRAITS


_NO_ARGUMENTS: Mapping[str, Any] = {}


class DecoratedStep(Generic[R_co]):
    """A step made by `@step.do`: call it without arguments and await it.

    A direct call always runs a new step. As a dependency it runs once: a result that is there is used again, one that
    is on its way is awaited, a failure is not kept.
    """

    def __init__(self, owner: StepOwner, function: Callable[..., Any], name: Any, options: StepOptions) -> None:
        self.name = name
        self._owner = owner
        self._function = function
        self._parameters = parameters_of(function)
        self._dependent = [name for name in self._parameters if name != "ctx"]
        self._depends = options.depends
        self._concurrent = options.concurrent
        self._config = options.config
        self._traits = options.traits
        # By whose calls they are: what a step's body has called is unknown to a replay, which does not run it.
        self._latest: dict[object, asyncio.Future[Any]] = {}
        if self._depends is not None:
            self._check_depends(self._depends)

    async def __call__(self) -> R_co:
        """Run the step, after the steps that it depends on; return its result."""
        place = self._owner.port.places()[0]
        before = self._latest.get(place)
        # Not `create_future`, which looks who calls it.
        latest = self._latest[place] = asyncio.Future(loop=asyncio.get_running_loop())
        try:
            arguments = await self._resolve() if self._dependent else _NO_ARGUMENTS
            result: R_co = await self._owner.port.do(self.name, self._config, self._body(arguments))
        except BaseException as error:
            if self._latest.get(place) is latest:
                self._fall_back(place, before)
            if isinstance(error, Exception):
                latest.set_exception(error)
                # Nobody else has to look at it: the caller gets the error anyway.
                latest.exception()
            else:
                latest.cancel()
            raise
        latest.set_result(result)
        return result

    def _fall_back(self, place: object, before: asyncio.Future[Any] | None) -> None:
        """Let the call before a failed one be the latest again, unless that has failed as well."""
        if before is None or (before.done() and (before.cancelled() or before.exception() is not None)):
            del self._latest[place]
        else:
            self._latest[place] = before

    def _body(self, arguments: Mapping[str, Any]) -> StepBody:
        function, parameters = self._function, self._parameters

        def call(ctx: StepContext) -> Any:
            return function(*(ctx if name == "ctx" else arguments[name] for name in parameters))

        return StepBody(call, function, self._traits, "ctx" in parameters)

    async def _resolve(self) -> dict[str, Any]:
        needed = self._needed()
        if self._concurrent:
            results = await asyncio.gather(*(step._result() for step in needed.values()))
            return dict(zip(needed, results, strict=True))
        return {name: await step._result() for name, step in needed.items()}

    def _needed(self) -> dict[str, "DecoratedStep[Any]"]:
        names = self._dependent
        if self._depends is not None:
            return dict(zip(names, self._depends, strict=True))
        known = self._owner.steps
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
        places = self._owner.port.places()
        return next((self._latest[place] for place in places if place in self._latest), None)

    def _check_depends(self, depends: Sequence["DecoratedStep[Any]"]) -> None:
        expected, given = len(self._dependent), len(depends)
        if expected != given:
            raise TypeError(
                f"Step {self.name!r} declares {expected} parameter(s) besides ctx, but `depends` has {given} item(s)"
            )


def parameters_of(function: Callable[..., Any]) -> Sequence[str]:
    """Return the names of a function's parameters."""
    if type(function) is FunctionType and not hasattr(function, "__wrapped__"):
        # A step is often decorated anew in each turn of a loop, and `inspect.signature` takes 15 us for it.
        code = function.__code__
        if not code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS) and not code.co_kwonlyargcount:
            return code.co_varnames[: code.co_argcount]
    return list(inspect.signature(function).parameters)
