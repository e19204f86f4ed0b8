"""Cron expressions: whether one is right, and when it fires. `cronsim` is used here and nowhere else.

Five fields: minute, hour, day of month, month, day of week. As on Cloudflare a weekday's number is 1 (Sunday) to
7 (Saturday); `cronsim` counts from 0, so numbers are moved here. It is only ever asked about a clock on the wall that
is never set. What that means where clocks are set is decided here, by the rules of Debian's cron:

- An expression whose minute and hour are both given (neither begins with `*`) fires once for each moment that it
  names: of a moment that a zone has twice at the first, and right behind the gap where it does not have it.
- Any other fires whenever the clock shows what it names.

All moments are whole minutes.

Source of syntax and numbers: developers.cloudflare.com/workers/configuration/cron-triggers/
"""

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from stepwell.durations import DAY_MS, MINUTE_MS
from stepwell.errors import InvalidInput
from stepwell.limits import CRON_LENGTH

# Loaded when something is asked of them: most workflows have no schedule.
if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from cronsim import CronSim

DEFAULT_ZONE = "UTC"

_FIELDS = (
    ("minute", "0-59 and * , - /"),
    ("hour", "0-23 and * , - /"),
    ("day of month", "1-31 and * , - / L LW"),
    ("month", "1-12, JAN-DEC and * , - /"),
    ("day of week", "1-7 (1 is Sunday), SUN-SAT and * , - / L #"),
)
_EVERY = ["*"] * len(_FIELDS)
_MINUTE, _HOUR, _WEEKDAY = 0, 1, 4
# What ids of instances may have: an expression is a part of them.
_ALPHABET = re.compile(r"[a-zA-Z0-9*,/#-]+", re.ASCII)
# A weekday's number, and not a step or which week of the month.
_WEEKDAY_NUMBER = re.compile(r"(?<![/#\d])\d+")
# From a day on, in steps: to the end of the week, which is not Sunday again. From Saturday on that is Saturday alone,
# of which `cronsim` would take a range of one day with a step for one up to Sunday.
_LAST_WEEKDAY_STEPS = re.compile(r"^(6|SAT)/[1-9]\d*$", re.ASCII)
_WEEKDAY_STEPS = re.compile(r"^(\w+)/(\d+)$", re.ASCII)
# The last such day of the month, which `cronsim` knows by its number alone.
_NAMES = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_LAST_NAMED = re.compile(rf"^({'|'.join(_NAMES)})L$")
_DAYS_OF_WEEK = 7
_LAST_DAY_OF_WEEK = 6
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - what a clock on the wall shows
_DAY_S = DAY_MS // 1000


class _WrongExpression(Exception):
    """An expression that `cronsim` does not take."""


def check(text: str) -> str:
    """Return an expression with one space between its fields. Raises InvalidInput, which names the field at fault."""
    if len(text) > CRON_LENGTH:
        raise _invalid(text, f"it has {len(text):,} characters, and at most {CRON_LENGTH} are allowed")
    fields = text.split()
    if len(fields) != len(_FIELDS):
        names = ", ".join(name for name, _ in _FIELDS)
        raise _invalid(text, f"it must have {len(_FIELDS)} fields ({names}), got {len(fields)}")
    for place, field in enumerate(fields):
        if not _is_right([*_EVERY[:place], field, *_EVERY[place + 1 :]]):
            name, expected = _FIELDS[place]
            raise _invalid(text, f'field {place + 1}, the {name}, must be of {expected}; got "{field:.60}"')
    if not _is_right(fields):
        raise _invalid(text, f'no month of field 4, "{fields[3]:.60}", has a day of field 3, "{fields[2]:.60}"')
    return " ".join(fields)


def check_all(given: object) -> tuple[str, ...]:
    """Return the expressions that somebody gives as a text, or a list of texts, each once.

    Raises InvalidInput as `check` does.
    """
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise InvalidInput("cron", f'expected a cron expression such as "0 9 * * MON", or a list, got {given!r:.100}')
    return tuple(dict.fromkeys(map(check, texts)))


def counts_weekdays(text: str) -> bool:
    """Tell whether an expression that is right has weekdays as numbers, which other crons read otherwise."""
    return _WEEKDAY_NUMBER.search(text.split()[_WEEKDAY]) is not None


def warning(text: str) -> str:
    """Return what to say of an expression that has weekdays as numbers."""
    meant = in_words(text)
    return f'"{text}" means "{meant}": 1 is Sunday, as on Cloudflare; names such as MON are read alike everywhere'


def in_words(text: str) -> str:
    """Return what an expression that is right means, in English."""
    return _clock(text.split(), 0).explain()


def is_zone(name: str) -> bool:
    """Tell whether this is the name of a time zone, such as "Europe/Berlin". Reads files.

    One that is will be at hand for a while: who asks about it next reads none.
    """
    from zoneinfo import ZoneInfo, available_timezones  # noqa: PLC0415 - see above

    # That of the machine is another on each.
    return name != "localtime" and name in available_timezones() and bool(ZoneInfo(name))


def next_after(text: str, at_ms: int, zone: str = DEFAULT_ZONE) -> int | None:
    """Return when an expression fires next after a moment; None: not within 50 years.

    Raises InvalidInput if the expression is wrong, or there is no such time zone on this machine.
    """
    fields = text.split()
    try:
        found = _next_after(fields, at_ms // 1000, zone)
    except (_WrongExpression, IndexError):
        check(text)
        raise
    except (KeyError, ValueError):
        raise InvalidInput("time_zone", f'there is no time zone "{zone:.100}" on this machine') from None
    return None if found is None else found * 1000


def upcoming(text: str, at_ms: int, zone: str, count: int) -> list[int]:
    """Return the next firings after a moment, at most so many. Raises InvalidInput as `next_after` does."""
    moments: list[int] = []
    moment = next_after(text, at_ms, zone)
    while moment is not None and len(moments) < count:
        moments.append(moment)
        moment = next_after(text, moment, zone)
    return moments


def latest(text: str, first_ms: int, upto_ms: int, zone: str = DEFAULT_ZONE) -> int:
    """Return the last firing up to a moment, where `first_ms` is one. Raises InvalidInput as `next_after` does.

    It is looked for backwards, in spans that double: a minute's expression after a year is found as fast as any.
    """
    span = 2 * MINUTE_MS
    while True:
        begin = max(first_ms, upto_ms - span)
        moment = next_after(text, begin, zone)
        if moment is not None and moment <= upto_ms:
            break
        if begin == first_ms:
            return first_ms
        span *= 2
    while (later := next_after(text, moment, zone)) is not None and later <= upto_ms:
        moment = later
    return moment


def _next_after(fields: list[str], at: int, name: str) -> int | None:
    """Return the next firing; moments are in seconds from here on."""
    if name == DEFAULT_ZONE:
        return _next_on_the_wall(fields, at)
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - see above

    zone = ZoneInfo(name)
    if fields[_MINUTE].startswith("*") or fields[_HOUR].startswith("*"):
        return _next_shown(fields, at, zone)
    return _next_named(fields, at, zone)


def _next_named(fields: list[str], at: int, zone: "ZoneInfo") -> int | None:
    """Return the next moment that is named by minute and hour."""
    shown = at + _offset(zone, at)
    while (shown_next := _next_on_the_wall(fields, shown)) is not None:
        moment = _moment(zone, shown_next)
        if moment > at:
            return moment
        shown = shown_next
    return None


def _next_shown(fields: list[str], at: int, zone: "ZoneInfo") -> int | None:
    """Return the next moment at which the clock shows what is named, stretch by stretch between its settings."""
    offset = _offset(zone, at)
    while (shown := _next_on_the_wall(fields, at + offset)) is not None:
        moment = shown - offset
        change = _first_change(zone, at, moment, offset)
        if change is None:
            return moment
        at, offset = change - 1, _offset(zone, change)
    return None


def _next_on_the_wall(fields: list[str], shown: int) -> int | None:
    """Return what a clock that is never set shows at the next firing, in seconds."""
    found = next(_clock(fields, shown), None)
    return None if found is None else (found - _EPOCH) // timedelta(seconds=1)


def _clock(fields: list[str], shown: int) -> "CronSim":
    """Return a clock on the wall that goes from firing to firing. Raises _WrongExpression."""
    from cronsim import CronSim, CronSimError  # noqa: PLC0415 - see above

    expression = [*fields[:_WEEKDAY], _from_zero(fields[_WEEKDAY])]
    try:
        return CronSim(" ".join(expression), _EPOCH + timedelta(seconds=shown))
    except CronSimError as error:
        raise _WrongExpression from error


def _from_zero(weekdays: str) -> str:
    """Return a field of weekdays as `cronsim` counts them. Raises _WrongExpression."""
    counted = _WEEKDAY_NUMBER.sub(lambda found: str(_weekday(int(found[0]))), weekdays)
    terms = [_LAST_NAMED.sub(lambda found: f"{_NAMES.index(found[1])}L", term) for term in counted.upper().split(",")]
    terms = [_LAST_WEEKDAY_STEPS.sub(r"\1", term) for term in terms]
    return ",".join(_WEEKDAY_STEPS.sub(rf"\1-{_LAST_DAY_OF_WEEK}/\2", term) for term in terms)


def _weekday(number: int) -> int:
    if not 1 <= number <= _DAYS_OF_WEEK:
        raise _WrongExpression
    return number - 1


def _moment(zone: "ZoneInfo", shown: int) -> int:
    """Return when a clock shows something: at first, where it does so twice; right behind the gap if it never does."""
    wall = (_EPOCH + timedelta(seconds=shown)).replace(tzinfo=zone)
    moment = int(wall.timestamp())
    if moment + _offset(zone, moment) == shown:
        return moment
    # Of what lies in a gap, `fold` says by which of both settings it is read.
    before = int(wall.replace(fold=1).timestamp())
    change = _first_change(zone, before, moment, _offset(zone, before))
    return moment if change is None else change


def _first_change(zone: "ZoneInfo", after: int, upto: int, offset: int) -> int | None:
    """Return the first moment in a stretch at which a zone's offset is another; None: it stays."""
    # No zone sets its clocks twice within a day.
    while after < upto:
        end = min(after + _DAY_S, upto)
        if _offset(zone, end) != offset:
            while end - after > 1:
                middle = (after + end) // 2
                after, end = (middle, end) if _offset(zone, middle) == offset else (after, middle)
            return end
        after = end
    return None


def _offset(zone: "ZoneInfo", at: int) -> int:
    offset = datetime.fromtimestamp(at, UTC).astimezone(zone).utcoffset()
    assert offset is not None
    return offset // timedelta(seconds=1)


def _is_right(fields: list[str]) -> bool:
    if not all(_ALPHABET.fullmatch(field) for field in fields):
        return False
    try:
        _clock(fields, 0)
    except _WrongExpression:
        return False
    return True


def _invalid(text: str, reason: str) -> InvalidInput:
    return InvalidInput("cron", f'the cron expression "{text:.300}" is wrong: {reason}')
