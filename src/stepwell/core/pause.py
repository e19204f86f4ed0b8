"""How waits stand still while an instance is paused.

A pause counts from when it was asked for. What was to happen at a moment happens as much later as the pause took. A
wait that begins during the pause, because an attempt still ended, is kept as if it had begun with the pause.

Source: developers.cloudflare.com/workflows/build/workers-api/#pause
"""

from msgspec import Struct


class Pause(Struct):
    """A pause, or that there is none (`asked_at` None). Times in milliseconds."""

    asked_at: int | None = None

    def moment(self, moment: int, at: int) -> int:
        """Return a moment that was set at `at`, as it is before the shift at the pause's end."""
        return moment if self.asked_at is None else moment - max(at - self.asked_at, 0)

    def end(self, at: int) -> int:
        """End the pause; return by how much the moments move that were waited for."""
        asked_at, self.asked_at = self.asked_at, None
        return 0 if asked_at is None else max(at - asked_at, 0)
