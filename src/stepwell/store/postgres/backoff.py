"""How long something that may pass is tried again: after 20 ms, and twice as long each time.

A connection that was cut, where the server is there, is made again within some milliseconds, and whoever asks the API
may need several.
"""

from collections.abc import Iterator
from time import monotonic, sleep

from stepwell.store.postgres.faults import ConnectionLost

FIRST_S = 0.02
LONGEST_S = 5.0


def delays() -> Iterator[float]:
    """Return how long to wait before each further try, without end."""
    delay = FIRST_S
    while True:
        yield delay
        delay = min(delay * 2, LONGEST_S)


class Patience:
    """So long something is tried again. Blocks in between."""

    def __init__(self, seconds: float) -> None:
        self._until = monotonic() + seconds
        self._delays = delays()
        self._has_lost = False

    def wait(self, error: BaseException | None = None) -> bool:
        """Wait before the next try; tell whether there is to be one. `error` is what made it necessary.

        A connection that was there is made again at once the first time, however late it is: the server has cut it, or
        has ended it while this process was stopped.
        """
        if isinstance(error, ConnectionLost) and not self._has_lost:
            self._has_lost = True
            return True
        delay = next(self._delays)
        if monotonic() + delay > self._until:
            return False
        sleep(delay)
        return True
