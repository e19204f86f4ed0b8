"""Durations as people write them: milliseconds, or `"5 minutes"`.

Accepted: a number of milliseconds, a string of digits (milliseconds), or `<number> <unit>` with one of the typed
units second, minute, hour, day, week, month, year, with or without `s`. A month has 30 days and a year 365.25.
Everything else is refused loudly: Cloudflare's parser would read "10 Seconds" as ten milliseconds.

Source: developers.cloudflare.com/workflows/build/sleeping-and-retrying/
"""

import math
import re
import sys
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

_UNITS_MS = {
    "second": SECOND_MS,
    "minute": MINUTE_MS,
    "hour": HOUR_MS,
    "day": DAY_MS,
    "week": 7 * DAY_MS,
    "month": 30 * DAY_MS,
    "year": 365 * DAY_MS + DAY_MS // 4,
}
# Enough for any duration; a longer text would only take time, and memory if it were kept.
_LONGEST_TEXT = 40
_MICROSECOND = timedelta(microseconds=1)
_TEXT = re.compile(r"(\d+(?:\.\d+)?) ?(second|minute|hour|day|week|month|year)s?", re.ASCII)
_DIGITS = re.compile(r"\d+(?:\.\d+)?", re.ASCII)

EXPECTED = 'a number of milliseconds or a duration such as "5 minutes"'


def to_ms(duration: object) -> int | None:
    """Return a duration in whole milliseconds, rounded up, or None if it is not one. A negative one is not."""
    match duration:
        case bool():
            return None
        case int() | float():
            return _whole(duration)
        case timedelta():
            return _whole(Fraction(duration // _MICROSECOND, 1000))
        case str():
            return _from_text(duration) if len(duration) <= _LONGEST_TEXT else None
        case _:
            return None


def in_words(ms: int) -> str:
    """Return milliseconds as people write them, in the largest unit that they fill: `10 minutes`, `1.5 seconds`."""
    for unit in ("day", "hour", "minute"):
        if ms and ms % _UNITS_MS[unit] == 0:
            return _counted(ms // _UNITS_MS[unit], unit)
    return _counted(ms // SECOND_MS, "second") if ms % SECOND_MS == 0 else f"{Decimal(ms) / SECOND_MS:f} seconds"


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}{'' if number == 1 else 's'}"


@lru_cache(maxsize=1024)
def _from_text(text: str) -> int | None:
    if _DIGITS.fullmatch(text):
        return _whole(Fraction(text))
    found = _TEXT.fullmatch(text)
    return _whole(Fraction(found[1]) * _UNITS_MS[found[2]]) if found else None


def _whole(ms: float | Fraction) -> int | None:
    # False for NaN too, and for an integer that no float can hold: who divides it would meet an overflow.
    return math.ceil(ms) if 0 <= ms <= sys.float_info.max else None
