"""Threads for what is not async, as author code may be: daemons, so that a hung one holds up nothing, and bounded."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from stepwell.scope import AuthorExit


class Threads:
    """Runs calls in threads of their own, at most `limit` at a time.

    A call whose future is cancelled goes on, as threads cannot be stopped; it is counted as abandoned and gives its
    place to the next.
    """

    def __init__(self, limit: int = 64) -> None:
        self.limit = limit
        self.running = 0
        self.abandoned = 0
        self._waiting: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()

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
        loop = future.get_loop()
        threading.Thread(target=_work, args=(call, future, loop, self), name="stepwell-step", daemon=True).start()

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


def _work(
    call: Callable[[], Any], future: asyncio.Future[Any], loop: asyncio.AbstractEventLoop, threads: Threads
) -> None:
    result, error = None, None
    try:
        result = call()
    except BaseException as raised:
        error = raised
    # A loop that is closed raises: the process is ending, and nobody waits for this.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(threads.deliver, future, result, error)
