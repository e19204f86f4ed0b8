"""When to try again, as an error tells that a service's answer has caused: the error of any HTTP client or model's SDK.

An answer of 429, 503 or 529 is obeyed. It is the error's `response`, or the error itself, or that of one of its causes;
nobody's library is needed to read it. A moment is held against the answer's own `Date`: no clock is asked.

Source: www.rfc-editor.org/rfc/rfc9110#field.retry-after, platform.openai.com/docs/guides/rate-limits
"""

import math
import re
from collections.abc import Iterator, Mapping

from stepwell.durations import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

_STATUSES = (429, 503, 529)
# Whatever a service says: an attempt a day is no burden, and a mistake of its is not for ever.
_LONGEST_MS = DAY_MS
_CAUSES = 10
_STATUS_NAMES = ("status_code", "status", "code")
# Of OpenAI, and of many who speak as it does: what is used up, and when there is more, such as `6m0.5s`.
_KINDS = ("requests", "tokens")
_RESET = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")


def told_wait_ms(error: BaseException) -> int | None:
    """Return after how long a service wants to be asked again, in milliseconds; None where it has not said so."""
    try:
        return next((min(told, _LONGEST_MS) for told in map(_told_by, _answers(error)) if told), None)
    except Exception:  # these are objects of others, whose properties may raise anything
        return None


def _answers(error: BaseException) -> Iterator[object]:
    """Yield what may be an answer."""
    cause: BaseException | None = error
    for _ in range(_CAUSES):
        if cause is None:
            return
        yield getattr(cause, "response", None)
        yield cause
        cause = cause.__cause__


def _told_by(answer: object) -> int | None:
    status = (getattr(answer, name, None) for name in _STATUS_NAMES)
    if not any(isinstance(code, int) and code in _STATUSES for code in status):
        return None
    headers = getattr(answer, "headers", None)
    return _told({str(name).lower(): str(value) for name, value in headers.items()}) if headers else None


def _told(headers: Mapping[str, str]) -> int | None:
    """Return what the first header says that can be read, if it is a time to come."""
    if (ms := _number(headers.get("retry-after-ms"))) is not None:
        return math.ceil(ms)
    after = headers.get("retry-after")
    if (seconds := _number(after)) is not None:
        return math.ceil(seconds * SECOND_MS)
    if after is not None and (ms := _until(after, headers.get("date"))) is not None:
        return ms
    return max((_reset(headers, kind) for kind in _KINDS), default=None)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 <= number < math.inf else None


def _until(moment: str, now: str | None) -> int | None:
    # Imported here: it takes long to load, and most steps are never told to wait.
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - see above

    try:
        wait = parsedate_to_datetime(moment) - parsedate_to_datetime(now or "")
    except (TypeError, ValueError):
        # No date, or one with a zone and one without.
        return None
    return max(0, math.ceil(wait.total_seconds() * SECOND_MS))


def _reset(headers: Mapping[str, str], kind: str) -> int:
    if headers.get(f"x-ratelimit-remaining-{kind}") != "0":
        return 0
    found = _RESET.fullmatch(headers.get(f"x-ratelimit-reset-{kind}", ""))
    hours, minutes, seconds, ms = (float(part or 0) for part in (found.groups() if found else ("", "", "", "")))
    return math.ceil(hours * HOUR_MS + minutes * MINUTE_MS + seconds * SECOND_MS + ms)
