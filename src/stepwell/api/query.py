"""The query of a request.

Each reader says, when it refuses, which parameter, which value, and what is allowed. A parameter that nobody
reads is ignored; one that is read may be given once.
"""

import re
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import parse_qsl

from stepwell import durations
from stepwell.api.refusals import invalid
from stepwell.errors import InvalidInput

# The largest integer that every JSON reader keeps exact.
LARGEST_NUMBER = 2**53 - 1

# SDKs declare numbers as floats, so that 2 can arrive as 2.0.
_NUMBER = re.compile(r"(\d{1,16})(?:\.0+)?", re.ASCII)
# In a query an unescaped + is a space, also before an offset.
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?(Z|z|[+ -]\d\d:\d\d)?", re.ASCII)


T = TypeVar("T")


class Query:
    """The parameters of a query string; `called` is how a refusal calls one of them."""

    def __init__(self, raw: bytes, called: str = "query parameter") -> None:
        self.called = called
        self._given: dict[str, list[str]] = {}
        # What is not UTF-8 becomes U+FFFD, and is refused as part of a value like any other character.
        if not raw:
            return
        for name, value in parse_qsl(raw.decode(errors="replace"), keep_blank_values=True):
            self._given.setdefault(name, []).append(value)

    def choice(self, name: str, allowed: tuple[str, ...]) -> str | None:
        """Return the value of a parameter that has a closed set of values; None if it is not given."""
        expected = "one of: " + ", ".join(allowed)
        value = self._once(name, expected)
        if value is not None and value not in allowed:
            raise self._refused(name, value, expected)
        return value

    def choices(self, name: str, allowed: tuple[str, ...]) -> list[str]:
        """Return the values of a parameter that may be given several times, each of a closed set."""
        values = self._given.get(name, [])
        for value in values:
            if value not in allowed:
                raise self._refused(name, value, "one of: " + ", ".join(allowed))
        return values

    def number(self, name: str, highest: int = LARGEST_NUMBER, *, lowest: int = 1) -> int | None:
        """Return an integer from `lowest` to `highest`; None if it is not given."""
        expected = f"an integer from {lowest} to {highest}"
        value = self._once(name, expected)
        if value is None:
            return None
        found = _NUMBER.fullmatch(value)
        if found is None or not lowest <= int(found[1]) <= highest:
            raise self._refused(name, value, expected)
        return int(found[1])

    def text(self, name: str, longest: int) -> str | None:
        """Return a text of 1 to `longest` characters; None if it is not given."""
        expected = f"a text of 1 to {longest} characters"
        value = self._once(name, expected)
        if value is not None and not 1 <= len(value) <= longest:
            raise self._refused(name, value, expected)
        return value

    def texts(self, name: str, longest: int) -> list[str]:
        """Return the values of a parameter that may be given several times, each of 1 to `longest` characters."""
        values = self._given.get(name, [])
        for value in values:
            if not 1 <= len(value) <= longest:
                raise self._refused(name, value, f"a text of 1 to {longest} characters")
        return values

    def duration(self, name: str) -> int | None:
        """Return a duration in milliseconds; None if it is not given."""
        value = self._once(name, durations.EXPECTED)
        if value is None:
            return None
        ms = durations.to_ms(value)
        if ms is None or ms > LARGEST_NUMBER:
            raise self._refused(name, value, durations.EXPECTED)
        return ms

    def cursor(self) -> str | None:
        """Return the cursor; None for the first page, which an empty one asks for too."""
        return self._once("cursor", "a cursor from an answer's result_info") or None

    def moment(self, name: str) -> int | None:
        """Return a moment in milliseconds since the epoch; None if it is not given. No zone means UTC."""
        expected = "a date and time such as 2026-11-23T10:00:00Z"
        value = self._once(name, expected)
        if value is None:
            return None
        found = _MOMENT.fullmatch(value)
        at = None if found is None else _to_ms(found)
        if at is None:
            raise self._refused(name, value, expected)
        return at

    def _once(self, name: str, expected: str) -> str | None:
        values = self._given.get(name)
        if values is None:
            return None
        if len(values) > 1:
            shown = ", ".join(f'"{value:.100}"' for value in values[:5])
            raise invalid(name, f"{self.called} {name} is given {len(values)} times ({shown}); give {expected}, once")
        return values[0]

    def _refused(self, name: str, value: str, expected: str) -> InvalidInput:
        return invalid(name, f'{self.called} {name} must be {expected}, got "{value:.300}"')


def needed(value: T | None, name: str, what: str) -> T:
    """Return the value of a parameter that has to be there. Raises InvalidInput, saying what it is."""
    if value is None:
        raise invalid(name, f"query parameter {name} is missing; give {what}")
    return value


def bad_cursor(value: str) -> InvalidInput:
    """Return the refusal of a cursor that was not made here, or not for this list."""
    expected = "a cursor that result_info of this same list gave"
    return invalid("cursor", f'query parameter cursor must be {expected}, got "{value:.300}"')


def _to_ms(found: re.Match[str]) -> int | None:
    date, time, fraction, zone = found.groups()
    offset = "+00:00" if zone in (None, "Z", "z") else zone.replace(" ", "+")
    try:
        # A first or last moment with an offset may be one that UTC has no date for.
        moment = datetime.fromisoformat(f"{date}T{time}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    return int(seconds) * 1000 + int((fraction or "0").ljust(3, "0")[:3])
