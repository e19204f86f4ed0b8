"""How long to keep instances after their end, as bodies say it."""

import msgspec

from stepwell import durations, limits
from stepwell.api.refusals import invalid


class Retention(msgspec.Struct):
    """Milliseconds, or durations in words.

    0 is allowed: Cloudflare's Go client sends it where its caller says nothing.
    """

    success_retention: int | str | None = None
    error_retention: int | str | None = None

    def in_ms(self, what: str) -> tuple[int | None, int | None]:
        """Return both in milliseconds; None: not said. Raises InvalidInput, saying of which member of `what`."""
        success = _to_ms(f"{what}.success_retention", self.success_retention)
        return success, _to_ms(f"{what}.error_retention", self.error_retention)


def _to_ms(name: str, given: int | str | None) -> int | None:
    if given is None:
        return None
    ms = durations.to_ms(given)
    if ms is None:
        raise invalid(name, f'{name} must be {durations.EXPECTED}, got "{given!s:.100}"')
    if ms > limits.MOST_RETENTION_MS:
        raise invalid(name, f'{name} must be at most {limits.MOST_RETENTION_MS} milliseconds, got "{given!s:.100}"')
    return ms
