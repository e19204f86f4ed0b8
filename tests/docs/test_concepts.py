"""docs/concepts.md: the life of an instance is that of the code, and its words are the repository's."""

import re
from pathlib import Path

from stepwell.core.instance import TRANSITIONS, Status
from tools import life

PAGE = life.PAGE.read_text("utf-8")


def test_picture_and_table_are_current() -> None:
    """`make reference` makes them anew."""
    assert life.PAGE.read_text("utf-8") == life.page(), "run `make reference`"
    assert life.PICTURE.read_text("utf-8") == life.picture(), "run `make reference`"


def test_table_has_each_transition() -> None:
    """As many, and from each status to the right one."""
    rows = re.findall(r"^\| \*([a-z ]+)\* \| (.+) \| `(\w+)` \|$", PAGE, re.MULTILINE)
    shown = {
        (record.replace(" ", ""), status, to)
        for record, told, to in rows
        for status in (Status if told == "any" else re.findall(r"`(\w+)`", told) or [None])
    }

    assert shown == {
        (record.__name__.lower(), status, to) for record, ways in TRANSITIONS.items() for status, to in ways.items()
    }


def test_picture_has_an_arrow_for_each_change() -> None:
    """One from each status to another; of what comes in all, or in a whole frame, one together."""
    arrows = 0
    for ways in TRANSITIONS.values():
        changes = [status for status, to in ways.items() if status is not to]
        arrows += 1 if len(changes) > 4 else len(changes)

    assert life.picture().count('class="arrow"') == arrows == 21


def test_words_are_those_of_the_architecture() -> None:
    """Each has its line in the table of words there."""
    words = Path("ARCHITECTURE.md").read_text("utf-8").partition("## The words")[2].partition("\n## ")[0]
    known = {word for row in re.findall(r"^\| ([^|]+) \|", words, re.MULTILINE) for word in re.split(", ", row)}
    shown = re.findall(r"^\*\*([A-Z][a-z, ]+)\*\*:", PAGE, re.MULTILINE)

    assert len(shown) > 15
    assert {word.lower() for told in shown for word in told.split(", ")} - known == set()
