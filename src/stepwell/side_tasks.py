"""Tasks that a turn has beside the author's code: what they do is work of none of his."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context


class SideTasks:
    """The tasks of one turn."""

    __slots__ = ("_failed", "_tasks")

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        """`failed` is told of each error that one of them raises."""
        self._failed = failed
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[None, None, None]) -> None:
        """Run something."""
        # An empty context: it is not work of the author's task that caused it.
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._ended, context=Context())

    def cancel(self) -> None:
        """End all that is left."""
        for task in self._tasks:
            task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._failed(error)
