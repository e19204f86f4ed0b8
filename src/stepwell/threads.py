"""Threads for what is not async, as author code may be: daemons, so that a hung one holds up nothing, and bounded.

One that is done waits for the next call for a while: to start another takes 60 us, which is half of what a step costs.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from stepwell.scope import AuthorExit

_IDLE_S = 1.0

# A call, and the future that gets what comes of it.
_Call = tuple[Callable[[], Any], asyncio.Future[Any]]


class Threads:
    """Runs calls in threads of their own, at most `limit` at a time.

    A call whose future is cancelled goes on, as threads cannot be stopped; it is counted as abandoned and gives its
    place to the next.
    """

    def __init__(self, limit: int = 64, *, are_kept: bool = True) -> None:
        """Unless threads `are_kept`, each call has a new one: of several the first is then likely to begin first."""
        self.limit = limit
        self._are_kept = are_kept
        self.running = 0
        self.abandoned = 0
        self._waiting: deque[_Call] = deque()
        # Where threads that are done wait for calls. They come and go by themselves; the one that came last is taken.
        self._idle: list[SimpleQueue[_Call]] = []

    def run(self, call: Callable[[], Any]) -> asyncio.Future[Any]:
        """Run a call in a thread; the future has what it returns or raises."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((call, future))
        self._start_waiting()
        return future

    def _start_waiting(self) -> None:
        while self._waiting and self.running < self.limit:
            call, future = self._waiting.popleft()
            if not future.done():
                self._start(call, future)

    def _start(self, call: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        self.running += 1
        future.add_done_callback(self._leave)
        # A thread takes itself off the list in the same moment, or not at all: each of these is one step of Python.
        with suppress(IndexError):
            self._idle.pop().put((call, future))
            return
        threading.Thread(target=self._work, args=(call, future), name="stepwell-step", daemon=True).start()

    def _leave(self, future: asyncio.Future[Any]) -> None:
        self.running -= 1
        self.abandoned += future.cancelled()
        self._start_waiting()

    def deliver(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        """Hand over what a call returned or raised, on the loop."""
        if future.cancelled():
            self.abandoned -= 1
        elif error is None:
            future.set_result(result)
        else:
            # A future cannot hold StopIteration, and what ends a thread must not end the loop.
            holdable = isinstance(error, Exception) and not isinstance(error, StopIteration)
            future.set_exception(error if holdable else AuthorExit(error))

    def _work(self, call: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        calls: SimpleQueue[_Call] = SimpleQueue()
        while True:
            result, error = None, None
            try:
                result = call()
            except BaseException as raised:
                error = raised
            if self._are_kept:
                # Before the answer, so that who goes on with it finds a thread.
                self._idle.append(calls)
            # A loop that is closed raises: the process is ending, and nobody waits for this.
            with suppress(RuntimeError):
                future.get_loop().call_soon_threadsafe(self.deliver, future, result, error)
            if not self._are_kept:
                return
            # Nothing of a call is held while the next one is awaited.
            del call, future, result, error
            try:
                call, future = calls.get(timeout=_IDLE_S)
            except Empty:
                try:
                    self._idle.remove(calls)
                except ValueError:
                    # It was taken off in this moment, for a call.
                    call, future = calls.get()
                else:
                    return
