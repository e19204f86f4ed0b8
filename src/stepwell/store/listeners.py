"""Who is told what a transaction of this process made due, or added to an instance that is held."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from stepwell.store import Listener
from stepwell.store.operations import InstanceRow
from stepwell.store.sql.transaction import ANYTHING


class Watchers:
    """Who waits for changes of an instance, by its row and by its workflow's id, or of any. Told from any thread."""

    def __init__(self) -> None:
        self._watching: dict[int | str, set[_Watcher]] = {}

    @property
    def rows(self) -> list[int]:
        """The rows of the instances that somebody waits for."""
        return [what for what in list(self._watching) if isinstance(what, int)]

    def watch(self, instance: InstanceRow | None, told: Callable[[], None]) -> Callable[[], None]:
        """Call `told`, on the running loop, when an instance changes, None: when any does; return what ends that."""
        watcher = _Watcher(asyncio.get_running_loop(), told)
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

    def changed(self, changes: Collection[int | str]) -> None:
        """Tell whoever waits for one of these instances, or for one of these workflows'."""
        if self._watching:
            for what in {*changes, ANYTHING} if changes else ():
                for watcher in list(self._watching.get(what, ())):
                    call_soon(watcher.loop, watcher.told)


@dataclass(frozen=True, eq=False, slots=True)
class _Watcher:
    loop: asyncio.AbstractEventLoop
    told: Callable[[], None]


class Listeners:
    """Listening workers, each with its event loop. Told from any thread."""

    def __init__(self) -> None:
        self.watchers = Watchers()
        self._listeners: dict[int, tuple[asyncio.AbstractEventLoop, Listener]] = {}

    def add(self, worker: int, listener: Listener) -> None:
        """Tell a worker from now on, on the running loop."""
        self._listeners[worker] = (asyncio.get_running_loop(), listener)

    def remove(self, worker: int) -> None:
        """Tell a worker nothing more."""
        self._listeners.pop(worker, None)

    def instance_due(self, at: int) -> None:
        """Tell every worker that something is due at a moment."""
        for loop, listener in list(self._listeners.values()):
            call_soon(loop, listener.instance_due, at)

    def instance_told(self, worker: int, row: int) -> None:
        """Tell a worker that an instance that it holds got a record from outside, or was deleted."""
        if worker in self._listeners:
            loop, listener = self._listeners[worker]
            call_soon(loop, listener.instance_told, row)


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
