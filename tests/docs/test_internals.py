"""docs/internals.md shows what a store has."""

import re

from tools import internals


def test_page_shows_what_a_store_has() -> None:
    """`make reference` would write it as it is."""
    assert internals.PLACE.read_text("utf-8") == internals.page(), "run `make reference`"


def test_every_answer_is_asked_for() -> None:
    """What looks like an answer stands below a question that the tool knows."""
    page = internals.PLACE.read_text("utf-8")
    asked = len(re.findall(r"^```(?:sql|console)$", page, re.MULTILINE))

    assert len(re.findall(r"^```(?:text|console)$", page, re.MULTILINE)) == asked
    assert asked > 20
