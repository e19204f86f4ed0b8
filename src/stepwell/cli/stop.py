"""The wish to stop a server: SIGINT or SIGTERM."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator

from stepwell.supervisor import Supervisor

# A terminal or an init and a parent process may each send a signal: so soon after the first it is the same wish.
_SAME_WISH_S = 0.5


class Stop:
    """The wish to stop: SIGINT or SIGTERM. A second one ends the workers at once."""

    def __init__(self) -> None:
        self._wanted = asyncio.Event()
        self._wanted_at = 0.0

    @contextlib.contextmanager
    def on_signals(self, supervisor: Supervisor) -> Iterator[None]:
        """Listen for the signals."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._signalled, supervisor)
        yield

    async def before(self, work: object) -> bool:
        """Do work until it is done or the wish to stop comes; tell whether it was done. Raises what it raises."""
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]  # any awaitable
        wish = asyncio.ensure_future(self._wanted.wait())
        try:
            await asyncio.wait({task, wish}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                await task
                return True
            return False
        finally:
            for unneeded in (task, wish):
                unneeded.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({task, wish})

    def _signalled(self, supervisor: Supervisor) -> None:
        now = asyncio.get_running_loop().time()
        if not self._wanted.is_set():
            self._wanted_at = now
            self._wanted.set()
        elif now - self._wanted_at > _SAME_WISH_S:
            supervisor.kill_now()
