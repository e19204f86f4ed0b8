"""Who is told what a transaction of this process made due, or added to an instance that is held.

Whoever tells something gathers the calls that it takes: a loop in another thread is woken once for all of them, and not
while the interpreter is still needed for the rest.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from typing import Any

from msgspec import Struct

from stepwell.facts import fact
from stepwell.store import Listener, Outgoing, Outlet
from stepwell.store.operations import Claim, InstanceRow
from stepwell.store.sql.transaction import ANYTHING, Tidings

logger = logging.getLogger(__name__)

# Where calls are made: on an event loop, or in whichever thread it is, for an outlet that is flushed behind them.
Place = asyncio.AbstractEventLoop | Outlet
_Call = tuple[Callable[..., object], tuple[Any, ...]]


class Calls:
    """Calls, gathered to be made at once, by where they are made."""

    def __init__(self) -> None:
        self._by_place: dict[Place, list[_Call]] = {}

    def add(self, place: Place, callback: Callable[..., object], *args: Any) -> None:
        """Take one more call, to be made behind those before it of the same place."""
        self._by_place.setdefault(place, []).append((callback, args))

    def make(self) -> None:
        """Make them: those for outlets now, the others soon, each on its loop; from any thread."""
        by_place, self._by_place = self._by_place, {}
        for place, calls in by_place.items():
            if isinstance(place, asyncio.AbstractEventLoop):
                call_soon(place, _make_all, place, calls)
            else:
                _make_here([*calls, (place.flush, ())])


def _make_here(calls: Sequence[_Call]) -> None:
    for callback, args in calls:
        try:
            callback(*args)
        except Exception:  # a defect of one must not keep the others from hearing, nor end the thread
            logger.exception("%r could not be told what was written", callback, extra=fact("tidings.failed"))


def _make_all(loop: asyncio.AbstractEventLoop, calls: Sequence[_Call]) -> None:
    for callback, args in calls:
        try:
            callback(*args)
        except Exception as error:  # a defect of one must not keep the others from hearing
            loop.call_exception_handler({"message": f"{callback!r} failed", "exception": error})


class Watchers:
    """Who waits for changes of an instance, by its row and by its workflow's id, or of any. Told from any thread."""

    def __init__(self) -> None:
        self._watching: dict[int | str, set[_Watcher]] = {}

    @property
    def rows(self) -> list[int]:
        """The rows of the instances that somebody waits for."""
        return [what for what in list(self._watching) if isinstance(what, int)]

    def watch(
        self, instance: InstanceRow | None, told: Callable[[], None], *, of_turns: bool = True
    ) -> Callable[[], None]:
        """Call `told`, on the running loop, when an instance changes, None: when any does; return what ends that.

        `of_turns`: also of what a turn of it records and goes on.
        """
        watcher = _Watcher(asyncio.get_running_loop(), told, of_turns)
        watched = (ANYTHING,) if instance is None else (instance.row, instance.workflow_id)
        for what in watched:
            self._watching.setdefault(what, set()).add(watcher)

        def stop() -> None:
            for what in watched:
                left = self._watching.get(what, set())
                left.discard(watcher)
                if not left:
                    self._watching.pop(what, None)

        return stop

    def changed(self, changes: Collection[int | str], went_on: Collection[int], calls: Calls) -> None:
        """Tell whoever waits for one of these instances, or for one of these workflows'."""
        if self._watching and (changes or went_on):
            for what in {*changes, *went_on, ANYTHING}:
                only_went_on = not changes if what is ANYTHING else what in went_on and what not in changes
                for watcher in list(self._watching.get(what, ())):
                    if watcher.of_turns or not only_went_on:
                        calls.add(watcher.loop, watcher.told)


class _Watcher(Struct, frozen=True, eq=False):
    loop: asyncio.AbstractEventLoop
    told: Callable[[], None]
    of_turns: bool


class Listeners:
    """Listening workers, each with its event loop. Told from any thread."""

    def __init__(self) -> None:
        self.watchers = Watchers()
        self._listeners: dict[int, tuple[Place, Listener]] = {}

    def add(self, worker: int, listener: Listener) -> None:
        """Tell a worker from now on: on the running loop, or, one that is Outgoing, in whichever thread it is."""
        place = listener.outlet if isinstance(listener, Outgoing) else asyncio.get_running_loop()
        self._listeners[worker] = (place, listener)

    def remove(self, worker: int) -> None:
        """Tell a worker nothing more."""
        self._listeners.pop(worker, None)

    def has(self, worker: int) -> bool:
        """Tell whether a worker is listening."""
        return worker in self._listeners

    def hear(self, tidings: Tidings, calls: Calls) -> None:
        """Tell whoever hears it what a transaction has to tell."""
        for worker, row in tidings.told:
            self.instance_told(worker, row, calls)
        if (due_at := tidings.first_due_at) is not None:
            self.instance_due(due_at, calls)
        self.watchers.changed(tidings.changed, tidings.went_on, calls)

    def instance_due(self, at: int, calls: Calls) -> None:
        """Tell every worker that something is due at a moment."""
        for place, listener in list(self._listeners.values()):
            calls.add(place, listener.instance_due, at)

    def instance_told(self, worker: int, row: int, calls: Calls) -> None:
        """Tell a worker that an instance that it holds got a record from outside, or was deleted."""
        if worker in self._listeners:
            place, listener = self._listeners[worker]
            calls.add(place, listener.instance_told, row)

    def turns_given(self, worker: int, claims: Sequence[Claim] | None, calls: Calls) -> None:
        """Tell a worker which turns it has got without asking."""
        if worker in self._listeners:
            place, listener = self._listeners[worker]
            calls.add(place, listener.turns_given, claims)


def call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *args: Any) -> None:
    """Call on a loop from any thread. A loop that has been closed has nobody left to tell."""
    if _is_running_here(loop):
        loop.call_soon(callback, *args)
        return
    try:
        loop.call_soon_threadsafe(callback, *args)
    except RuntimeError:
        if not loop.is_closed():
            raise


def _is_running_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
