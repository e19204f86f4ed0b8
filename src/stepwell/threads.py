"""Threads for what is not async, as author code may be: daemons, so that a hung one holds up nothing, and bounded."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from stepwell.scope import AuthorExit

# A thread that has nothing to do waits so long for the next call, and so many do: to start one takes 100 us, in which
# the loop waits for it, and each has a stack.
_IDLE_S = 1.0
_MOST_IDLE = 16

_Call = tuple[Callable[[], Any], asyncio.Future[Any]]


class Threads:
    """Runs calls in threads, each alone in one, at most `limit` at a time.

    A call whose future is cancelled goes on, as threads cannot be stopped; it is counted as abandoned and gives its
    place to the next.
    """

    def __init__(self, limit: int = 64) -> None:
        self.limit = limit
        self.running = 0
        self.abandoned = 0
        self._waiting: deque[_Call] = deque()
        self._idle = _Idle()

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
        calls = self._idle.take()
        if calls is None:
            calls = SimpleQueue()
            threading.Thread(target=self._work, args=(calls,), name="stepwell-step", daemon=True).start()
        calls.put((call, future))

    def _leave(self, future: asyncio.Future[Any]) -> None:
        self.running -= 1
        self.abandoned += future.cancelled()
        self._start_waiting()

    def _deliver(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        """Hand over what a call returned or raised, on its loop."""
        if future.cancelled():
            self.abandoned -= 1
        elif error is None:
            future.set_result(result)
        else:
            # A future cannot hold StopIteration, and what ends a thread must not end the loop.
            holdable = isinstance(error, Exception) and not isinstance(error, StopIteration)
            future.set_exception(error if holdable else AuthorExit(error))

    def _work(self, calls: SimpleQueue[_Call]) -> None:
        """Make one call after the other, until none comes."""
        is_kept = True
        while is_kept:
            try:
                call, future = calls.get(timeout=_IDLE_S)
            except Empty:
                is_kept = not self._idle.leave(calls)
                continue
            result, error = None, None
            try:
                result = call()
            except BaseException as raised:
                error = raised
            is_kept = self._idle.join(calls)
            # A loop that is closed raises: nobody waits for this.
            with suppress(RuntimeError):
                future.get_loop().call_soon_threadsafe(self._deliver, future, result, error)
            # Nothing of a call is held while the next one is waited for.
            del call, future, result, error


class _Idle:
    """The threads that have nothing to do: where each gets its next call from. They come and go from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[SimpleQueue[_Call]] = []

    def take(self) -> SimpleQueue[_Call] | None:
        """Return the thread that waits since last; a call has to follow."""
        with self._lock:
            return self._waiting.pop() if self._waiting else None

    def join(self, calls: SimpleQueue[_Call]) -> bool:
        """Wait for a call, unless enough others do; return whether that is so."""
        with self._lock:
            if has_room := len(self._waiting) < _MOST_IDLE:
                self._waiting.append(calls)
            return has_room

    def leave(self, calls: SimpleQueue[_Call]) -> bool:
        """Wait no more; False: there is a call, or will be at once."""
        with self._lock:
            if is_waiting := calls in self._waiting:
                self._waiting.remove(calls)
            return is_waiting
