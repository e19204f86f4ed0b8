"""Moments as tests write them."""

from datetime import UTC, datetime

EXPECTED = 'a datetime, milliseconds since 1970, or ISO text such as "2026-12-24T18:00"'


def moment_ms(moment: object) -> int:
    """Return a moment in milliseconds since the epoch; what names no time zone is UTC. Raises ValueError."""
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            raise ValueError(f"moment must be {EXPECTED}, got {moment!r:.100}") from None
    if isinstance(moment, datetime):
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return round(aware.timestamp() * 1000)
    if isinstance(moment, int) and not isinstance(moment, bool):
        return moment
    raise ValueError(f"moment must be {EXPECTED}, got {moment!r:.100}")
