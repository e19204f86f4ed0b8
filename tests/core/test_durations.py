"""Durations as people write them."""

import sys
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stepwell.durations import in_words, to_ms


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        pytest.param(5000, 5000, id="a number is milliseconds"),
        pytest.param(0, 0, id="zero"),
        pytest.param(0.2, 1, id="a part of a millisecond is rounded up"),
        pytest.param("5000", 5000, id="digits are milliseconds"),
        pytest.param("1.5", 2, id="digits with a fraction are rounded up"),
        pytest.param("1 second", 1000, id="second"),
        pytest.param("10 seconds", 10_000, id="seconds"),
        pytest.param("1 minute", 60_000, id="minute"),
        pytest.param("5 minutes", 300_000, id="minutes"),
        pytest.param("1.5 hours", 5_400_000, id="hours with a fraction"),
        pytest.param("2 days", 172_800_000, id="days"),
        pytest.param("1 week", 604_800_000, id="week"),
        pytest.param("1 month", 2_592_000_000, id="a month has 30 days"),
        pytest.param("1 year", 31_557_600_000, id="a year has 365.25 days"),
        pytest.param("5minutes", 300_000, id="without a space"),
        pytest.param("4.03 seconds", 4_030, id="a decimal fraction is exact"),
        pytest.param("1.1 hours", 3_960_000, id="a decimal fraction of a large unit is exact"),
        pytest.param(timedelta(minutes=2), 120_000, id="timedelta"),
        pytest.param(timedelta(seconds=4, milliseconds=30), 4_030, id="timedelta is exact"),
        pytest.param(timedelta(microseconds=1), 1, id="timedelta is rounded up"),
    ],
)
def test_duration_is_read(written: object, ms: int) -> None:
    """A duration is milliseconds, or a number with one of the typed units."""
    assert to_ms(written) == ms


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("5s", id="abbreviated unit"),
        pytest.param("10 ms", id="untyped unit"),
        pytest.param("10 fortnights", id="unknown unit"),
        pytest.param("10 Seconds", id="capitals"),
        pytest.param(" 5 minutes", id="space before"),
        pytest.param("5  minutes", id="two spaces"),
        pytest.param("5 minutes\n", id="line end"),
        pytest.param("1 hour 30 minutes", id="two units"),
        pytest.param("-1 second", id="negative text"),
        pytest.param("٣ seconds", id="digits of another script"),
        pytest.param("1e3", id="exponent"),
        pytest.param("", id="empty"),
        pytest.param("9" * 1000 + " seconds", id="very long"),
        pytest.param(-1, id="negative number"),
        pytest.param(timedelta(seconds=-1), id="negative timedelta"),
        pytest.param(float("inf"), id="infinity"),
        pytest.param(float("nan"), id="not a number"),
        pytest.param(10**400, id="beyond every float"),
        pytest.param(True, id="bool"),
        pytest.param(None, id="None"),
        pytest.param([5], id="list"),
    ],
)
def test_what_is_no_duration_is_refused(written: object) -> None:
    """What Cloudflare's parser would silently read as milliseconds is refused here."""
    assert to_ms(written) is None


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        pytest.param(0, "0 seconds", id="nothing"),
        pytest.param(1, "0.001 seconds", id="one"),
        pytest.param(1_000, "1 second", id="second"),
        pytest.param(1_500, "1.5 seconds", id="fraction"),
        pytest.param(90_000, "90 seconds", id="no whole minutes"),
        pytest.param(600_000, "10 minutes", id="minutes"),
        pytest.param(7_200_000, "2 hours", id="hours"),
        pytest.param(86_400_000, "1 day", id="day"),
        pytest.param(31_536_000_000, "365 days", id="year"),
    ],
)
def test_duration_is_shown_in_words(ms: int, words: str) -> None:
    """What is shown can be written again, and means the same."""
    assert (in_words(ms), to_ms(words)) == (words, ms)


UNITS = {
    "second": 1_000,
    "minute": 60_000,
    "hour": 3_600_000,
    "day": 86_400_000,
    "week": 604_800_000,
    "month": 2_592_000_000,
    "year": 31_557_600_000,
}
PIECES = ["0", "7", "12", ".", " ", "  ", "-", "+", "e3", "s", "S", "\n", "_", "\u0663", "\u00a0", "\0", *UNITS]
written = st.text() | st.lists(st.sampled_from(PIECES), max_size=7).map("".join)
right = st.builds(
    lambda number, space, unit, s: number + space + unit + s,
    st.from_regex(r"[0-9]{1,9}(\.[0-9]{1,6})?", fullmatch=True),
    st.sampled_from(["", " "]),
    st.sampled_from(list(UNITS)),
    st.sampled_from(["", "s"]),
)


def _meaning(text: str) -> int | None:
    """Return what a text means, character by character."""
    number = text[: len(text) - len(text.lstrip("0123456789."))]
    unit = text[len(number) :]
    if not number or number[0] == "." or number[-1] == "." or number.count(".") > 1 or len(text) > 40:
        return None
    names = {"": 1} | {f"{space}{name}{s}": ms for name, ms in UNITS.items() for space in ("", " ") for s in ("", "s")}
    if unit not in names:
        return None
    whole, _, fraction = number.partition(".")
    ms = Fraction(int(whole + fraction) * names[unit], 10 ** len(fraction))
    return -(-ms.numerator // ms.denominator)


def _look(text: str) -> None:
    assert to_ms(text) == _meaning(text)


@settings(max_examples=300)
@given(written | right)
@example("9" * 40)
@example("9" * 32 + " seconds")
@example("0." + "0" * 37 + "1")
def test_any_text_means_what_it_says_or_nothing(text: str) -> None:
    """Rounded up to whole milliseconds; a text that is no duration is none, whatever it is."""
    _look(text)


@pytest.mark.long
@settings(max_examples=30_000)
@given(written | right)
def test_any_text_means_what_it_says_or_nothing_at_length(text: str) -> None:
    """The same for many more texts."""
    _look(text)


def test_long_text_is_neither_read_nor_kept() -> None:
    """What was read is remembered for a while; a text that no duration is as long as would only take memory."""
    text = "9" * 1_000_000
    before = sys.getrefcount(text)

    assert to_ms(text) is None

    assert sys.getrefcount(text) == before
