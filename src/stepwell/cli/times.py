"""Moments and spans of time, as people say them."""

import math
import re
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

from stepwell import durations

# How moments are told; None: as suits the place.
style: ContextVar[Literal["relative", "iso", "local", "utc"] | None] = ContextVar("style", default=None)

_MS_BY_UNIT = {
    "ms": 1,
    "s": durations.SECOND_MS,
    "m": durations.MINUTE_MS,
    "min": durations.MINUTE_MS,
    "h": durations.HOUR_MS,
    "d": durations.DAY_MS,
    "w": 7 * durations.DAY_MS,
}
_SHORT = re.compile(rf"(\d{{1,20}}(?:\.\d{{1,20}})?) ?({'|'.join(_MS_BY_UNIT)})", re.ASCII)
_LONG_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


def to_ms(text: str) -> int | None:
    """Return a span of time in whole milliseconds, None if it is none: as settings say it, or as `1h` and `1.5 min`."""
    found = _SHORT.fullmatch(text)
    if found is None:
        return durations.to_ms(text)
    number, unit = found.groups()
    ms = float(number) * _MS_BY_UNIT[unit]
    return math.ceil(ms) if math.isfinite(ms) else None


def moment_of(text: str) -> float:
    """Return a moment that the API says, in seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


def now() -> float:
    """Return what this machine's clock says, in seconds since 1970."""
    return datetime.now(UTC).timestamp()


def ago(moment: str | None) -> str:
    """Return how long a moment is ago: `3 min ago`; or when it is, if that is wanted."""
    if moment is None:
        return "-"
    if style.get() not in {None, "relative"}:
        return _told(moment)
    return f"{span_of((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())} ago"


def ahead(moment: str) -> str:
    """Return how far a moment is ahead: `in 3 min`; `now` if it is over; or when it is, if that is wanted."""
    if style.get() not in {None, "relative"}:
        return f"at {_told(moment)}"
    seconds = (datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds()
    return f"in {span_of(seconds)}" if seconds > 0 else "now"


def short(moment: str) -> str:
    """Return a moment that the API says without what is zero, or less than a second: `2026-11-27T10:00Z`.

    If another form is wanted, it has that.
    """
    if style.get() is not None:
        return _relative(moment) if style.get() == "relative" else _told(moment)
    at = datetime.fromisoformat(moment)
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if at.second else f"{at:%Y-%m-%dT%H:%MZ}"


def exact(moment: str) -> str:
    """Return a moment as the API says it, or in the form that is wanted."""
    if style.get() is None:
        return moment
    return _relative(moment) if style.get() == "relative" else _told(moment)


def _relative(moment: str) -> str:
    return ahead(moment) if moment_of(moment) > now() else ago(moment)


def _told(moment: str) -> str:
    """Return a moment as `iso`, `local` or `utc` have it."""
    at = datetime.fromisoformat(moment)
    match style.get():
        case "local":
            return f"{at.astimezone():%Y-%m-%d %H:%M:%S %z}"
        case "utc":
            return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
        case _:
            return moment


def span(start: str | None, end: str | None) -> str:
    """Return how long something took, or has taken so far."""
    if start is None:
        return "-"
    until = datetime.now(UTC) if end is None else datetime.fromisoformat(end)
    return span_of((until - datetime.fromisoformat(start)).total_seconds())


def span_of(seconds: float) -> str:
    """Return a number of seconds as people say it: `40 ms`, `12.4 s`, `3 min`."""
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < _LONG_UNITS[-1][1]:
        return f"{seconds:.1f} s"
    unit, size = next(found for found in _LONG_UNITS if seconds >= found[1])
    return f"{seconds / size:.0f} {unit}"
