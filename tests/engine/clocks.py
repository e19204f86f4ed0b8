"""Clocks for tests that set them."""

from stepwell.clock import VirtualClock


class SettableClock(VirtualClock):
    """A clock that can be set back."""

    behind_ms = 0

    def now(self) -> int:
        """Return the time that it shows."""
        return super().now() - self.behind_ms
