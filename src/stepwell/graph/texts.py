"""Texts in a drawing: made harmless, and broken into lines that fit.

Whoever looks at a drawing has a font that we do not know. Widths are those of DejaVu Sans, which is wider than what
most systems have, so that a text rather leaves room than runs out of its box.
"""

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"

# C0 and C1 controls, what turns the direction of writing, separators of lines, what XML may not have, and halves of
# surrogate pairs.
_UNSAFE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]"
)
_BLANKS = re.compile(r"[ \t\r\n]+")

_EM_BY_CHARACTER = {
    **dict.fromkeys("abcdeghknopqsuvxyz0123456789?<>=+~^#$_", 0.64),
    **dict.fromkeys("ijlI|'`.,:;! ", 0.34),
    **dict.fromkeys('frt()[]-/\\"*', 0.46),
    **dict.fromkeys("ABCDEFGHJKLNOPQRSTUVXYZ{}&", 0.76),
    **dict.fromkeys("mwMW@%", 1.0),
}
_EM_OF_OTHERS = 1.0
_EM_OF_CODE = 0.61
_EM_OF_WIDE = 1.1
# Not 0: thousands of marks over one letter have to come to an end, too.
_EM_OF_MARKS = 0.1

# Where a line may end: behind one of these.
_BREAKS = frozenset(" _-./:,;)]}")


class Font(NamedTuple):
    """How large letters are, how far lines are apart, and whether all letters have the width of code."""

    size: float
    leading: float
    is_code: bool = False


def visible(text: str) -> str:
    """Return a text in one line in which nothing acts and nothing is hidden; a mark says where something was."""
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", _BLANKS.sub(" ", text).strip(" "))


def shortened(text: str, most: int) -> str:
    """Return a text of at most so many characters, without its middle if it has more."""
    if len(text) <= most:
        return text
    head = most // 2
    return f"{text[:head]}{ELLIPSIS}{text[len(text) - (most - head - 1) :]}"


def width_of(text: str, font: Font) -> float:
    """Return how wide a text is at most."""
    return sum(_em(character, font.is_code) for character in text) * font.size


def lines_of(text: str, font: Font, width: float, most: int) -> tuple[str, ...]:
    """Return a text in at most so many lines of this width. What is too long lacks its middle."""
    lines: list[str] = []
    rest = text
    while rest and len(lines) < most - 1:
        end = _end_of_line(rest, font, width)
        lines.append(rest[:end].rstrip(" "))
        rest = rest[end:].lstrip(" ")
    if rest:
        lines.append(_last_line(rest, font, width, has_others=bool(lines)))
    return tuple(lines)


@lru_cache(maxsize=4096)
def _em(character: str, is_code: bool) -> float:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return _EM_OF_MARKS
    if unicodedata.east_asian_width(character) in {"W", "F"}:
        return _EM_OF_WIDE
    return _EM_OF_CODE if is_code else _EM_BY_CHARACTER.get(character, _EM_OF_OTHERS)


def _fitting(text: str, font: Font, width: float) -> int:
    """Return how many characters of a text fit, one at least."""
    taken = 0.0
    for count, character in enumerate(text):
        taken += _em(character, font.is_code) * font.size
        if taken > width:
            return max(count, 1)
    return len(text)


def _end_of_line(text: str, font: Font, width: float) -> int:
    """Return where the first line ends: behind a word if there is one, else where there is no more room."""
    end = _fitting(text, font, width)
    if end == len(text) or text[end] == " ":
        return end
    behind = next((place for place in range(end, end // 3, -1) if text[place - 1] in _BREAKS), 0)
    return behind or end


def _last_line(text: str, font: Font, width: float, *, has_others: bool) -> str:
    if width_of(text, font) <= width:
        return text
    room = width - width_of(ELLIPSIS, font)
    if has_others:
        head, tail = 0, _fitting(text[::-1], font, room)
    else:
        head, tail = _fitting(text, font, room / 2), _fitting(text[::-1], font, room / 2)
    return f"{text[:head].rstrip(' ')}{ELLIPSIS}{text[len(text) - tail :].lstrip(' ')}"
