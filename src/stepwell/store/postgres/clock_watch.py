"""Tells an operator whose machine's clock is not the database's.

When an instance goes on, and when a rate allows the next start, is judged by the clock of the host that does it: both
are the same moment, and a host that took the one from its own clock and the other from the database's would claim again
and again what may not start yet. Leases alone are by the database's clock. Its time comes with each renewal.
"""

import logging
from collections.abc import Callable

from stepwell.facts import fact

logger = logging.getLogger(__name__)

# Clocks that are kept by NTP differ by much less.
_TOLERATED_MS = 1_000


class ClockWatch:
    """Compares the clock of this machine with the database's; says once that they differ, until they do not."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._asked_at = 0
        self._has_told = False

    def ask(self) -> None:
        """Take note that the database is asked for its time."""
        self._asked_at = self._now()

    def hear(self, theirs: int) -> None:
        """Take note of the database's time, which was read between the question and now."""
        ahead, behind = self._asked_at - theirs, theirs - self._now()
        off = max(ahead, behind)
        if off < _TOLERATED_MS:
            self._has_told = False
        elif not self._has_told:
            self._has_told = True
            logger.warning(
                "this machine's clock is %.1f s %s the database's: here sleeps end, and rates allow starts, by so much "
                "too %s; set both clocks, by NTP for example",
                off / 1000,
                "ahead of" if ahead > behind else "behind",
                "early" if ahead > behind else "late",
                extra=fact("clock.off", seconds=off / 1000),
            )
