"""Texts in drawings: harmless, and as wide as there is room for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.graph.texts import Font, lines_of, shortened, visible, width_of

SANS, CODE = Font(13, 17), Font(11.5, 15, is_code=True)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("charge card", "charge card", id="plain"),
        pytest.param("a\n  b\t c ", "a b c", id="blanks"),
        pytest.param("a\x00b\x1b[31m\x9bc", "a\ufffdb\ufffd[31m\ufffdc", id="controls"),
        pytest.param("gnp.\u202eexe\u2066\u200f", "gnp.\ufffdexe\ufffd\ufffd", id="direction"),
        pytest.param("a\ud800b\uffff", "a\ufffdb\ufffd", id="what XML and UTF-8 may not have"),
        pytest.param("\u5343\u00e9\U0001f680", "\u5343\u00e9\U0001f680", id="letters of the world"),
    ],
)
def test_nothing_in_a_text_acts(text: str, shown: str) -> None:
    """Blanks are one, in one line; a mark stands for what a terminal or a page would obey."""
    assert visible(text) == shown


@given(st.text(max_size=300), st.sampled_from((SANS, CODE)), st.integers(60, 300), st.integers(1, 4))
def test_lines_fit(text: str, font: Font, width: int, most: int) -> None:
    """No line is wider than it may be, and there are no more than there may be."""
    lines = lines_of(visible(text), font, width, most)

    assert len(lines) <= most
    assert [line for line in lines if width_of(line, font) > width] == []


@given(st.text(st.characters(categories=["L", "N", "P"]), max_size=60))
def test_text_with_room_is_whole(text: str) -> None:
    """Nothing is left out where there is room for all."""
    assert "".join(lines_of(text, SANS, 200, 40)) == text


def test_text_breaks_behind_words() -> None:
    """Lines end behind a blank, a dash or an underscore; what is too long lacks its middle."""
    assert lines_of("charge the card of the customer", SANS, 150, 3) == ("charge the card of", "the customer")
    assert lines_of("synchronise_customer_master_data", SANS, 150, 3) == ("synchronise_", "customer_master_", "data")
    assert lines_of("a" * 50 + "z" * 50, SANS, 100, 2) == ("a" * 12, "\u2026" + "z" * 10)
    assert lines_of("a" * 50 + "z" * 50, SANS, 100, 1) == ("aaaaa\u2026zzzzz",)


def test_shortened_text_lacks_its_middle() -> None:
    """It is as long as it may be."""
    assert shortened("abcdefghij", 10) == "abcdefghij"
    assert shortened("abcdefghijk", 10) == "abcde\u2026hijk"


def test_wide_letters_count_as_wide() -> None:
    """East Asian letters are twice as wide as code; marks over letters are next to nothing."""
    assert width_of("\u5343", CODE) > 1.7 * width_of("a", CODE)
    assert width_of("e\u0301", CODE) < 1.2 * width_of("e", CODE)
