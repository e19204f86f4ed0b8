"""The moments at which time decides something."""

import heapq
from collections.abc import Callable

from stepwell.core.records import Key


class Timers:
    """Timers of step calls. One that means nothing any more stays until its moment is the next."""

    def __init__(self) -> None:
        self._timers: list[tuple[int, int, Key]] = []
        self._count = 0

    def __bool__(self) -> bool:
        return bool(self._timers)

    def set(self, at: int, key: Key) -> None:
        """Set a timer."""
        self._count += 1
        heapq.heappush(self._timers, (at, self._count, key))

    def next_at(self, is_live: Callable[[int, Key], bool]) -> int | None:
        """Return the moment of the next timer that still means something, or None if there is none."""
        timers = self._timers
        while timers and not is_live(timers[0][0], timers[0][2]):
            heapq.heappop(timers)
        return timers[0][0] if timers else None

    def take(self) -> Key:
        """Return whose the next timer is, and remove it."""
        return heapq.heappop(self._timers)[2]

    def move_on(self, ms: int) -> None:
        """Let all timers ring later."""
        self._timers = [(at + ms, count, key) for at, count, key in self._timers]
