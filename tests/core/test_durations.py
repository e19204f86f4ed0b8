"""Durations as people write them."""

from datetime import timedelta

import pytest

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
