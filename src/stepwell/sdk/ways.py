"""How a method that is written once serves both clients: at once where one blocks, awaited where one does not.

A resource's method builds a program, or a flow. What a caller gets is what the runner of his client makes of it, and so
says its type: `Instance` or a coroutine of it, a generator or an asynchronous one.
"""

import functools
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from dataclasses import dataclass, field
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload
from uuid import uuid4

from stepwell.sdk.answers import result_of
from stepwell.sdk.effects import Flow, Program
from stepwell.sdk.messages import Request, path_of
from stepwell.sdk.retries import Retries, ask

P = ParamSpec("P")
T = TypeVar("T")


class Sync:
    """The way of `Client`."""


class Async:
    """The way of `AsyncClient`."""


Way = TypeVar("Way", Sync, Async)


class Runner(Protocol):
    """Does what programs and flows ask for."""

    def run(self, program: Program[Any]) -> Any:
        """Give the result of a program, or a coroutine of it."""

    def iterate(self, flow: Flow[Any]) -> Any:
        """Give the values of a flow one after another, as a generator of either kind."""


@dataclass(frozen=True, slots=True)
class Site:
    """Whom requests are for, and how persistently. `is_cloudflare`: what is Stepwell's own is not there."""

    account: str
    is_cloudflare: bool = False
    retries: Retries = field(default_factory=Retries)
    new_id: Callable[[], str] = lambda: str(uuid4())

    def key(self) -> str | None:
        """Return a new key under which a server does a request once; None where the server knows no keys."""
        return None if self.is_cloudflare else self.new_id()


class Resource(Generic[Way]):
    """A part of the API."""

    def __init__(self, runner: Runner, site: Site) -> None:
        self._runner = runner
        self._site = site

    def _path(self, *parts: str) -> str:
        return path_of("accounts", self._site.account, *parts)

    def _ask(self, request: Request, kind: type[T]) -> Program[T]:
        answer = yield from ask(request, self._site.retries)
        return result_of(answer, kind)


class Call(Generic[P, T]):
    """A method with one result."""

    def __init__(self, build: Callable[Concatenate[Any, P], Program[T]]) -> None:
        self.build = build
        self._bound = _run_by(build, lambda runner: runner.run)

    @overload
    def __get__(self, owner: None, kind: type) -> Self: ...
    @overload
    def __get__(self, owner: Resource[Sync], kind: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, owner: Resource[Async], kind: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, owner: Resource[Any] | None, kind: type) -> Any:
        """Return the method of a resource."""
        return self if owner is None else MethodType(self._bound, owner)


class Series(Generic[P, T]):
    """A method that gives values one after another; nothing is asked before the first is wanted."""

    def __init__(self, build: Callable[Concatenate[Any, P], Flow[T]]) -> None:
        self.build = build
        self._bound = _run_by(build, lambda runner: runner.iterate)

    @overload
    def __get__(self, owner: None, kind: type) -> Self: ...
    @overload
    def __get__(self, owner: Resource[Sync], kind: type) -> Callable[P, Generator[T, None, None]]: ...
    @overload
    def __get__(self, owner: Resource[Async], kind: type) -> Callable[P, AsyncGenerator[T, None]]: ...
    def __get__(self, owner: Resource[Any] | None, kind: type) -> Any:
        """Return the method of a resource."""
        return self if owner is None else MethodType(self._bound, owner)


def _run_by(build: Callable[..., Any], way_of: Callable[[Runner], Callable[[Any], Any]]) -> Callable[..., Any]:
    @functools.wraps(build)
    def method(owner: Resource[Any], *args: Any, **options: Any) -> Any:
        return way_of(owner._runner)(build(owner, *args, **options))

    return method
