"""Which tasks belong to a stretch of author code, and the moment when all of them are blocked.

Results reach the author one at a time, and after each one his tasks run until all are blocked: only so do live
execution and replay meet the same order. "All are blocked" has to be exact. A count of loop passes is not: the
callbacks of nested gathers may take any number of them. So the loop itself counts: while a scope is current, each
callback that is scheduled raises the scope's `pending`, and each one that has run, or was cancelled, lowers it. At zero
nothing of the author's can run until something outside happens: a result of ours, a timer of his, input and output.

`install` teaches an asyncio loop to do so. It also wraps the tasks of a scope, so that `sys.exit` in one of them
becomes its error instead of the end of the loop, keeps the timers, which tell whether the author waits for the clock,
and lets `asyncio.as_completed` begin with the first of what it is given.
"""

import asyncio
import os
import sys
from asyncio.events import Handle, TimerHandle
from collections.abc import Callable, Coroutine, Generator, Iterable
from contextvars import Context, ContextVar, copy_context
from pathlib import Path
from types import FrameType
from typing import Any

CURRENT: ContextVar["TaskScope | None"] = ContextVar("stepwell_scope", default=None)

# Futures made in these modules are resolved by a task, which is counted, or by a timer, which is kept.
_COORDINATION = frozenset(
    sys.modules[name].__file__
    for name in ("asyncio.tasks", "asyncio.locks", "asyncio.queues", "asyncio.taskgroups", "asyncio.timeouts")
)
# AnyIO's part for asyncio. Its groups wait for their tasks by a future of their own, its sockets by asyncio's events.
_ANYIO = str(Path("anyio", "_backends", "_asyncio.py"))
_ANYIO_GROUP = "TaskGroup.__aexit__"
_ANYIO_SOCKETS = ("SocketStream.", "UDPSocket.", "ConnectedUDPSocket.")

# Folders whose code is Python's or ours.
_NOT_THE_AUTHORS = (str(Path(asyncio.__file__).parents[1]) + os.sep, str(Path(__file__).parent) + os.sep)

# What `asyncio.gather` returns; its children are tasks of the scope.
_GATHERING: type[asyncio.Future[Any]] = asyncio.tasks._GatheringFuture  # type: ignore[attr-defined]  # no public name

# Cancelled timers are swept out when there are more than this.
_TIMERS_KEPT = 64


class AuthorExit(Exception):
    """Carries what the author's code raised where that itself would end the loop or a thread: `sys.exit`."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        super().__init__(str(error))


class EngineFuture(asyncio.Future[Any]):
    """What a step call waits for; only the engine resolves it."""


class _CoordinationFuture(asyncio.Future[Any]):
    """What asyncio's own locks, queues and groups wait for; a task of the scope or a timer resolves it."""


class TaskScope:
    """The tasks of one stretch of author code: of `run`, or of one attempt.

    `on_quiet` is called each time when all of them are blocked, from the loop, outside any of them; or by the only one,
    when there is nothing left to do for it but to wait.
    """

    def __init__(self, on_quiet: Callable[["TaskScope"], None]) -> None:
        self.on_quiet = on_quiet
        self.pending = 0
        # Set when the turn has ended: what its tasks still return or raise is nobody's business.
        self.is_closed = False
        self.tasks: dict[asyncio.Task[Any], None] = {}
        # By identity: two cancelled timers of the same moment are equal.
        self._timers: dict[int, TimerHandle] = {}

    def add_timer(self, timer: TimerHandle) -> None:
        """Keep a timer that the scope's code has set."""
        if len(self._timers) > _TIMERS_KEPT:
            self._timers = {number: kept for number, kept in self._timers.items() if not kept.cancelled()}
        self._timers[id(timer)] = timer

    def drop_timer(self, timer: TimerHandle) -> None:
        """Drop a timer that has rung."""
        self._timers.pop(id(timer), None)

    def forget(self, task: asyncio.Task[Any]) -> None:
        """Drop a task that is done."""
        del self.tasks[task]
        if self.is_closed and not task.cancelled():
            # Looking at the error keeps asyncio from reporting it.
            task.exception()

    def has_timer(self) -> bool:
        """Tell whether the code waits for the clock: `asyncio.sleep`, `asyncio.timeout`."""
        return any(not timer.cancelled() for timer in self._timers.values())

    def ring_next_timer(self, within_s: float) -> bool:
        """Let the code's next timer ring now; False if none is set that would ring within this time."""
        armed = [timer for timer in self._timers.values() if not timer.cancelled()]
        if not armed:
            return False
        timer = min(armed, key=lambda timer: timer.when())
        loop = asyncio.get_running_loop()
        if timer.when() - loop.time() > within_s:
            return False
        # A timer cannot be moved: its call is made now, and the timer itself forgotten.
        callback, context = timer._callback, timer._context  # type: ignore[attr-defined]  # no public way
        timer.cancel()
        self.drop_timer(timer)
        loop.call_soon(callback, context=context)
        return True

    def places(self) -> list[str]:
        """Return where each task that is still alive waits; without those that do nothing but wait for a step call."""
        alive = (task for task in self.tasks if not task.done())
        return [_describe(task) for task in alive if not isinstance(getattr(task, "_fut_waiter", None), EngineFuture)]

    def foreign_wait(self) -> str | None:
        """Return a description of a task that waits for something outside the engine, or None if none does."""
        for task in self.tasks:
            if not self._is_ours(getattr(task, "_fut_waiter", None)):
                return _describe(task)
        return None

    def _is_ours(self, waiter: asyncio.Future[Any] | None) -> bool:
        if isinstance(waiter, _GATHERING):
            return all(child.done() or self._is_ours(child) for child in waiter._children)  # type: ignore[attr-defined]  # no public way
        return waiter in self.tasks or isinstance(waiter, EngineFuture | _CoordinationFuture)

    def run_in(self, context: Context, coroutine: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Start a task of this scope in a context."""
        context.run(CURRENT.set, self)
        return asyncio.get_running_loop().create_task(coroutine, name=name, context=context)


def install(loop: asyncio.AbstractEventLoop) -> None:
    """Teach a loop to count what runs in scopes. Nothing changes for code outside of them."""
    if getattr(loop, "_stepwell_scopes", False):
        return
    if not isinstance(loop, asyncio.BaseEventLoop):
        raise TypeError(f"author code needs asyncio's own event loop, not {type(loop).__module__}")
    _count_callbacks(loop)
    _keep_timers(loop)
    _mark_futures(loop)
    loop.set_task_factory(_make_task)
    asyncio.as_completed = _as_completed_in_order
    loop._stepwell_scopes = True  # type: ignore[attr-defined]  # ours, so that a loop is taught once


def is_current() -> bool:
    """Tell whether code runs in a scope, on the loop of that: a thread may have the context alone."""
    return CURRENT.get() is not None and hasattr(asyncio._get_running_loop(), "_stepwell_scopes")


def is_authors(file: str) -> bool:
    """Tell whether a file of code is the author's own: not Python's, ours, or a package's."""
    return not file.startswith(_NOT_THE_AUTHORS) and "site-packages" not in file and not file.startswith("<")


def look_away(done: asyncio.Future[Any]) -> None:
    """Keep asyncio from reporting an error that nobody is to hear of."""
    if not done.cancelled():
        done.exception()


async def left_after(alive: Callable[[], list[asyncio.Task[Any]]], grace_ms: int) -> list[asyncio.Task[Any]]:
    """Wait a little until no task is alive; return those that are, all the same.

    By the loop's clock: what the author's `finally` blocks do takes real time. They may start tasks too.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + grace_ms / 1000
    while (left := alive()) and loop.time() < end:
        await asyncio.wait(left, timeout=max(end - loop.time(), 0))
    return left


class _CountedHandle(Handle):
    __slots__ = ("_is_counted", "_scope")

    def __init__(
        self, callback: Any, args: Any, loop: asyncio.AbstractEventLoop, context: Context, scope: TaskScope
    ) -> None:
        super().__init__(callback, args, loop, context)
        self._scope = scope
        self._is_counted = True
        scope.pending += 1

    def cancel(self) -> None:
        super().cancel()
        self._done()

    def _run(self) -> None:
        super()._run()
        self._done()

    def _done(self) -> None:
        # A handle may be cancelled twice, or after it has run.
        if self._is_counted:
            self._is_counted = False
            scope = self._scope
            scope.pending -= 1
            if not scope.pending:
                scope.on_quiet(scope)


def _count_callbacks(loop: asyncio.BaseEventLoop) -> None:
    original = loop.call_soon
    ready = loop._ready  # type: ignore[attr-defined]  # the loop's own queue; see the module's docstring

    def call_soon(callback: Any, *args: Any, context: Context | None = None) -> Handle:
        if context is None:
            context = copy_context()
        scope = context.get(CURRENT)
        if scope is None:
            return original(callback, *args, context=context)
        handle = _CountedHandle(callback, args, loop, context, scope)
        ready.append(handle)
        return handle

    loop.call_soon = call_soon  # type: ignore[method-assign,assignment]  # this loop only, not the class


def _keep_timers(loop: asyncio.BaseEventLoop) -> None:
    original = loop.call_at

    def call_at(when: float, callback: Any, *args: Any, context: Context | None = None) -> TimerHandle:
        scope = CURRENT.get() if context is None else context.get(CURRENT)
        if scope is None:
            return original(when, callback, *args, context=context)

        def ring() -> None:
            scope.drop_timer(timer)
            callback(*args)

        timer = original(when, ring, context=context)
        scope.add_timer(timer)
        return timer

    loop.call_at = call_at  # type: ignore[method-assign,assignment]  # this loop only, not the class


def _mark_futures(loop: asyncio.BaseEventLoop) -> None:
    original = loop.create_future

    def create_future() -> asyncio.Future[Any]:
        if CURRENT.get() is not None and _is_coordination(sys._getframe(1)):
            return _CoordinationFuture(loop=loop)
        return original()

    loop.create_future = create_future  # type: ignore[method-assign]  # this loop only, not the class


def _is_coordination(maker: FrameType) -> bool:
    """Tell whether a future that is made here is resolved by a task, or by a timer."""
    code = maker.f_code
    if code.co_filename not in _COORDINATION:
        return code.co_qualname == _ANYIO_GROUP and code.co_filename.endswith(_ANYIO)
    above = maker.f_back
    if above is None or not above.f_code.co_filename.endswith(_ANYIO):
        return True
    return not above.f_code.co_qualname.startswith(_ANYIO_SOCKETS)


def _as_completed_in_order(fs: Any, *, timeout: float | None = None, _original: Any = asyncio.as_completed) -> Any:
    """Do what `asyncio.as_completed` does, but start coroutines in the order in which they are given.

    It makes a set of them first, whose order is that of memory addresses: no replay would meet it again.
    """
    if CURRENT.get() is not None and isinstance(fs, Iterable) and not isinstance(fs, asyncio.Future):
        fs = [asyncio.ensure_future(awaitable) for awaitable in fs]
    return _original(fs, timeout=timeout)


def _make_task(
    loop: asyncio.AbstractEventLoop, coroutine: Any, *, context: Context | None = None, **options: Any
) -> asyncio.Task[Any]:
    scope = CURRENT.get() if context is None else context.get(CURRENT)
    if scope is None:
        return asyncio.Task(coroutine, loop=loop, context=context, **options)
    task: asyncio.Task[Any] = asyncio.Task(_guarded(coroutine), loop=loop, context=context, **options)
    scope.tasks[task] = None

    def forget(task: asyncio.Task[Any]) -> None:
        # A task that was cancelled before it began has not touched its coroutine, which would complain.
        coroutine.close()
        scope.forget(task)

    task.add_done_callback(forget)
    return task


async def _guarded(coroutine: Coroutine[Any, Any, Any] | Generator[Any, Any, Any]) -> Any:
    """Let `sys.exit` end the task, not the loop and with it everybody's work."""
    try:
        return await coroutine  # type: ignore[misc]  # asyncio accepts both kinds
    except (SystemExit, KeyboardInterrupt) as error:
        raise AuthorExit(error) from error


def _describe(task: asyncio.Task[Any]) -> str:
    """Say where a task waits: the innermost line that is the author's own, not Python's or a package's."""
    coroutine: Any = task.get_coro()
    place = task.get_name()
    while frame := getattr(coroutine, "cr_frame", None):
        code = frame.f_code
        if is_authors(code.co_filename):
            place = f"{code.co_qualname} ({code.co_filename}, line {frame.f_lineno})"
        coroutine = coroutine.cr_await
    return place
