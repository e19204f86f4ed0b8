"""Cron expressions: what is right, and when each fires, also where clocks are set."""

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stepwell import cron
from stepwell.errors import InvalidInput

MINUTE = 60_000
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"]


def ms(text: str) -> int:
    """Return a moment of UTC in milliseconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


def firings(expression: str, after: str, zone: str, count: int) -> list[str]:
    """Return the next firings as the clocks of a zone show them, each with its offset."""
    found = cron.upcoming(expression, ms(after), zone, count)
    return [datetime.fromtimestamp(at / 1000, ZoneInfo(zone)).strftime("%m-%d %H:%M %z") for at in found]


@pytest.mark.parametrize(
    ("expression", "first"),
    [
        pytest.param("*/30 * * * *", "2026-11-23T10:30", id="half-hours"),
        pytest.param("45 * * * *", "2026-11-23T10:45", id="minute"),
        pytest.param("0 17 * * 1", "2026-11-29T17:00", id="1-is-Sunday"),
        pytest.param("0 17 * * sun", "2026-11-29T17:00", id="Sunday-by-name"),
        pytest.param("10 7 * * 2-6", "2026-11-24T07:10", id="weekdays"),
        pytest.param("10 7 * * MON-FRI", "2026-11-24T07:10", id="weekdays-by-name"),
        pytest.param("0 0 * * 7", "2026-11-28T00:00", id="7-is-Saturday"),
        pytest.param("0 0 * * 6/2", "2026-11-27T00:00", id="steps-do-not-reach-Sunday"),
        pytest.param("0 0 * * 3,6/2", "2026-11-24T00:00", id="list-with-steps"),
        pytest.param("0 15 1 * *", "2026-12-01T15:00", id="first-of-the-month"),
        pytest.param("0 18 * * 6L", "2026-11-27T18:00", id="last-Friday"),
        pytest.param("0 18 * * friL", "2026-11-27T18:00", id="last-Friday-by-name"),
        pytest.param("59 23 LW * *", "2026-11-30T23:59", id="last-weekday"),
        pytest.param("0 0 L 2 *", "2027-02-28T00:00", id="last-day"),
        pytest.param("0 0 * * MON#2", "2026-12-14T00:00", id="second-Monday"),
        pytest.param("0 0 29 2 *", "2028-02-29T00:00", id="leap-day"),
        pytest.param("0 0 13 * FRI", "2026-11-27T00:00", id="either-day-matches"),
        pytest.param("0 9-17/4 * JAN,dec *", "2026-12-01T09:00", id="ranges-and-names"),
    ],
)
def test_expression_fires_when_it_says(expression: str, first: str) -> None:
    """Fields, names and signs mean what Cloudflare's page says; now is Monday, 2026-11-23 at 10:00."""
    assert cron.next_after(cron.check(expression), ms("2026-11-23T10:00")) == ms(first)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        pytest.param("", "it must have 5 fields .minute, hour, day of month, month, day of week., got 0", id="empty"),
        pytest.param("* * * *", "got 4", id="four-fields"),
        pytest.param("0 * * * * *", "got 6", id="six-fields"),
        pytest.param("@daily", "got 1", id="macro"),
        pytest.param("60 * * * *", 'field 1, the minute, must be of 0-59 .*; got "60"', id="minute"),
        pytest.param("* 24 * * *", 'field 2, the hour, .*; got "24"', id="hour"),
        pytest.param("* * 0 * *", 'field 3, the day of month, .*; got "0"', id="day"),
        pytest.param("* * 15W * *", 'field 3, the day of month, must be of 1-31 .* L LW; got "15W"', id="W"),
        pytest.param("* * * 13 *", 'field 4, the month, .*; got "13"', id="month"),
        pytest.param("* * * * 0", "field 5, the day of week, must be of 1-7 .1 is Sunday", id="weekday-0"),
        pytest.param("* * * * 8", 'field 5, the day of week, .*; got "8"', id="weekday-8"),
        pytest.param("* * * * ?", 'field 5, the day of week, .*; got "."', id="question-mark"),
        pytest.param("*/0 * * * *", "field 1", id="step-of-0"),
        pytest.param("5-1 * * * *", "field 1", id="range-backwards"),
        pytest.param("1,, * * * *", "field 1", id="empty-term"),
        pytest.param("* * * * MON\0", "field 5", id="control-character"),
        pytest.param("* * * * \u0661", "field 5", id="foreign-digit"),
        pytest.param("0 0 31 2,4 *", 'no month of field 4, "2,4", has a day of field 3, "31"', id="31-February"),
        pytest.param("0," * 130 + "0 * * * *", "it has 269 characters, and at most 256", id="long"),
    ],
)
def test_wrong_expression_is_refused_with_its_field(expression: str, problem: str) -> None:
    """Who writes a wrong one hears which field is wrong, what it has, and what it may have."""
    with pytest.raises(InvalidInput, match=problem):
        cron.check(expression)


def test_spaces_between_fields_are_one() -> None:
    """An expression is a part of ids: however it is spaced, it is the same."""
    assert cron.check("  0\t9 *  * MON ") == "0 9 * * MON"


def test_expressions_are_given_once_or_as_a_list() -> None:
    """A wrangler file, and a class, may have a text or a list; what is there twice counts once."""
    assert cron.check_all("0 9 * * *") == ("0 9 * * *",)
    assert cron.check_all(["0 9 * * *", "0  9 * * *", "5 * * * *"]) == ("0 9 * * *", "5 * * * *")
    with pytest.raises(InvalidInput, match="or a list, got 5"):
        cron.check_all(5)


@pytest.mark.parametrize(
    ("expression", "zone", "after", "expected"),
    [
        pytest.param(
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T00:00",
            ["03-28 02:30 +0100", "03-29 03:00 +0200", "03-30 02:30 +0200"],
            id="Berlin-gap-once-behind-it",
        ),
        pytest.param(
            "0,30 2,3 * * *",
            "Europe/Berlin",
            "2026-03-28T22:00",
            ["03-29 03:00 +0200", "03-29 03:30 +0200", "03-30 02:00 +0200"],
            id="Berlin-gap-several-are-one",
        ),
        pytest.param(
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T22:00",
            ["10-25 02:30 +0200", "10-26 02:30 +0100"],
            id="Berlin-twice-the-first",
        ),
        pytest.param(
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-25T01:10",
            ["10-26 02:30 +0100"],
            id="Berlin-twice-asked-in-between",
        ),
        pytest.param(
            "30 * * * *",
            "Europe/Berlin",
            "2026-10-24T23:50",
            ["10-25 02:30 +0200", "10-25 02:30 +0100", "10-25 03:30 +0100"],
            id="Berlin-hourly-twice",
        ),
        pytest.param(
            "*/30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T22:00",
            ["03-30 02:00 +0200", "03-30 02:30 +0200"],
            id="Berlin-gap-is-not-shown",
        ),
        pytest.param(
            "30 2 * * *",
            "America/New_York",
            "2026-03-08T00:00",
            ["03-08 03:00 -0400", "03-09 02:30 -0400"],
            id="New-York-gap",
        ),
        pytest.param(
            "30 1 * * *",
            "America/New_York",
            "2026-11-01T00:00",
            ["11-01 01:30 -0400", "11-02 01:30 -0500"],
            id="New-York-twice",
        ),
        pytest.param(
            "15 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-03T12:00",
            ["10-04 02:30 +1100", "10-05 02:15 +1100"],
            id="Lord-Howe-gap-of-30-minutes",
        ),
        pytest.param(
            "45 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-04T12:00",
            ["04-05 01:45 +1100", "04-06 01:45 +1030"],
            id="Lord-Howe-twice",
        ),
        pytest.param(
            "*/20 1-2 * * *",
            "Australia/Lord_Howe",
            "2026-04-04T14:30",
            ["04-05 01:40 +1100", "04-05 01:40 +1030", "04-05 02:00 +1030", "04-05 02:20 +1030"],
            id="Lord-Howe-steps-go-on-behind-it",
        ),
    ],
)
def test_clock_that_is_set(expression: str, zone: str, after: str, expected: list[str]) -> None:
    """What a gap leaves out fires once right behind it, what is there twice once; what has `*` goes by the clock."""
    assert firings(expression, after, zone, len(expected)) == expected


def test_time_zone_that_is_none_is_refused() -> None:
    """A schedule in a zone that this machine does not know has no next firing, and says so."""
    with pytest.raises(InvalidInput, match='there is no time zone "Mars/Olympus" on this machine'):
        cron.next_after("* * * * *", 0, "Mars/Olympus")
    assert (cron.is_zone("Europe/Berlin"), cron.is_zone("localtime"), cron.is_zone("../x")) == (True, False, False)


def test_latest_of_many_that_were_missed() -> None:
    """A year of a minute's expression has one that is the last, and it is found without going through all."""
    first, now = ms("2026-01-01T00:01"), ms("2027-01-01T00:00") + 30_000

    assert cron.latest("* * * * *", first, now) == ms("2027-01-01T00:00")
    assert cron.latest("0 0 1 1 *", ms("2026-01-01"), now) == ms("2027-01-01")
    assert cron.latest("0 0 1 2 *", ms("2026-02-01"), now) == ms("2026-02-01")


FIELDS = st.tuples(
    st.sampled_from(["*", "0", "30", "*/7", "*/20", "5-50/15", "15,45", "59"]),
    st.sampled_from(["*", "0", "2", "*/5", "1-3", "1,2,3", "23"]),
    st.sampled_from(["*", "1", "29", "31", "L", "LW", "*/9", "24-31"]),
    st.sampled_from(["*", "2", "3,10", "APR-NOV", "*/5", "11"]),
    st.sampled_from(["*", "1", "7", "MON-FRI", "SUN", "6L", "MON#5", "2/2"]),
).map(" ".join)
# When clocks are set in these zones.
SET = [
    ms(f"2026-{at}")
    for at in ("03-29T01:00", "10-25T01:00", "03-08T07:00", "11-01T06:00", "04-04T15:00", "10-03T15:30")
]
MOMENTS = st.integers(ms("2020-01-01"), ms("2035-01-01")) | st.builds(
    int.__add__, st.sampled_from(SET), st.integers(-90 * MINUTE, 90 * MINUTE)
)


def is_right(expression: str) -> bool:
    """Tell whether an expression is one."""
    try:
        cron.check(expression)
    except InvalidInput:
        return False
    return True


@settings(deadline=None)
@given(FIELDS.filter(is_right), MOMENTS, st.sampled_from(ZONES))
def test_next_firing_is_to_come_and_they_ascend(expression: str, at: int, zone: str) -> None:
    """No firing is at or before the moment that is asked from, each is behind the one before, at a whole minute."""
    found = [at, *cron.upcoming(expression, at, zone, 4)]

    assert all(earlier < later for earlier, later in pairwise(found))
    assert [moment % MINUTE for moment in found[1:]] == [0] * (len(found) - 1)


@settings(deadline=None)
@given(FIELDS.filter(is_right), MOMENTS, st.sampled_from(ZONES))
def test_asked_from_any_moment_before_it_is_the_same(expression: str, at: int, zone: str) -> None:
    """The next firing does not depend on when it is asked for: nobody loses one who asks early, or late."""
    found = cron.next_after(expression, at, zone)

    if found is not None:
        assert cron.next_after(expression, (at + found) // 2 - 1, zone) == found
        assert cron.next_after(expression, found - 1, zone) == found
        assert cron.latest(expression, found, found + 90 * MINUTE, zone) <= found + 90 * MINUTE


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from(["*/20 1-2 * * *", "30 * * * *", "* 2 * * *", "*/7 */2 * * 1"]),
    st.sampled_from([("Europe/Berlin", "2026-10-24T20:00"), ("Australia/Lord_Howe", "2026-04-04T10:00")]),
    st.integers(0, 600),
)
def test_what_goes_by_the_clock_is_found_minute_by_minute(expression: str, place: tuple[str, str], later: int) -> None:
    """An expression with `*` fires at just those minutes at which the clock of the zone shows what it names."""
    zone, begin = place
    at = ms(begin) + later * MINUTE
    end = at + 8 * 60 * MINUTE
    shown = {
        moment: datetime.fromtimestamp(moment / 1000, ZoneInfo(zone)).replace(tzinfo=None)
        for moment in range(at - at % MINUTE + MINUTE, end, MINUTE)
    }
    wanted = [moment for moment, wall in shown.items() if _fires_at(expression, wall)]

    found = [moment for moment in cron.upcoming(expression, at, zone, 600) if moment < end]

    assert found == wanted


def _fires_at(expression: str, wall: datetime) -> bool:
    moment = int(wall.replace(tzinfo=UTC).timestamp() * 1000)
    return cron.next_after(expression, moment - 1) == moment


@given(st.text(alphabet="0123456789*,-/#LWMONSUNJAN \t\0é", max_size=40) | st.text())
@example("* " * 1_000_000)
@example("9" * 200 + " * * * *")
def test_any_text_is_right_or_refused(text: str) -> None:
    """Whatever is sent, it has a meaning and firings, or it is refused in our words, which are not many."""
    try:
        right = cron.check(text)
    except InvalidInput as refusal:
        message = str(refusal)
        assert message.startswith(f'the cron expression "{text:.300}" is wrong: ')
        assert len(message) < 700
        return
    assert cron.in_words(right)
    assert all(at > 0 for at in cron.upcoming(right, 0, "Europe/Berlin", 2))


MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
WEEKDAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
# Of each field: the least and the greatest number, and what its numbers are called from the least on.
PARTS: list[tuple[int, int, list[str]]] = [(0, 59, []), (0, 23, []), (1, 31, []), (1, 12, MONTHS), (1, 7, WEEKDAYS)]
TWO_DAYS = 2 * 24 * 60


@st.composite
def terms(draw: st.DrawFn, part: tuple[int, int, list[str]]) -> str:
    """Draw what may stand between the commas of a field."""
    least, greatest, names = part
    number = st.integers(least, greatest)
    first, last = sorted((draw(number), draw(number)))
    is_named = bool(names) and draw(st.sampled_from([False, True]))
    said = [names[each - least] if is_named else str(each) for each in (first, last)]
    begin: str = draw(st.sampled_from(["*", said[0], "-".join(said) if first < last else said[0]]))
    step: str = draw(st.sampled_from(["", f"/{draw(st.integers(1, greatest))}"]))
    return begin + step


fields = st.tuples(*(st.just("*") | st.lists(terms(part), min_size=1, max_size=3).map(",".join) for part in PARTS))
expressions = fields.map(" ".join).filter(is_right)


def _numbers(field: str, part: tuple[int, int, list[str]]) -> set[int]:
    """Return what a field names, term by term."""
    least, greatest, names = part
    found: set[int] = set()
    for term in field.split(","):
        begin, _, step = term.partition("/")
        first, is_range, last = begin.partition("-")
        low, high = (names.index(one) + least if one in names else one for one in (first, last))
        if first == "*":
            low, high = least, greatest
        elif not is_range:
            high = greatest if step else low
        found |= set(range(int(low), int(high) + 1, int(step or 1)))
    return found


def _look(expression: str, at: int) -> None:
    said = expression.split()
    minutes, hours, days, months, weekdays = map(_numbers, said, PARTS)
    begin = at - at % MINUTE + MINUTE
    for moment in range(begin, begin + TWO_DAYS * MINUTE, MINUTE):
        wall = datetime.fromtimestamp(moment / 1000, UTC)
        is_day, is_weekday = wall.day in days, wall.isoweekday() % 7 + 1 in weekdays
        has_star = said[2].startswith("*") or said[4].startswith("*")
        is_its_day = (is_day and is_weekday) if has_star else (is_day or is_weekday)
        if is_its_day and wall.minute in minutes and wall.hour in hours and wall.month in months:
            assert cron.next_after(expression, at) == moment
            return
    found = cron.next_after(expression, at)
    assert found is None or found >= begin + TWO_DAYS * MINUTE


@settings(max_examples=80)
@given(expressions, MOMENTS)
@example("0 9 */2 * MON", ms("2026-11-23T10:00"))
@example("0 9 13 * 6", ms("2026-11-23T10:00"))
@example("0 0 * * 6/2", ms("2026-11-27T10:00"))
@example("0 0 * * 7/1", ms("2026-11-28T10:00"))
@example("0 0 * * TUE,SAT/1", ms("2026-11-28T10:00"))
def test_expression_fires_at_the_first_minute_that_it_names(expression: str, at: int) -> None:
    """Minute by minute over two days, read by other rules: either field of days is enough, unless one has `*`."""
    _look(expression, at)


@pytest.mark.long
@pytest.mark.timeout(600)
@settings(max_examples=4_000)
@given(expressions, MOMENTS)
def test_expression_fires_at_the_first_minute_that_it_names_at_length(expression: str, at: int) -> None:
    """The same for many more expressions."""
    _look(expression, at)


def test_numbers_of_weekdays_are_told() -> None:
    """Who writes a number for a weekday hears what it means here."""
    assert cron.counts_weekdays("0 9 * * 1-5")
    assert not cron.counts_weekdays("5 9 1 1 MON#2")
    assert not cron.counts_weekdays("5 9 1 1 */2")
    assert cron.warning("0 9 * * 1") == (
        '"0 9 * * 1" means "At 09:00 on Sunday": 1 is Sunday, as on Cloudflare; names such as MON are read alike '
        "everywhere"
    )
