"""Draw the life of an instance from the table of `core/instance.py`, into docs/concepts.md: `make reference`.

Where statuses stand is said here; which arrows there are is not. A record that may come in all of a frame's statuses
leaves the frame, one that may come in any comes from outside, and one that leaves the status as it is has no arrow.
"""

import math
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import NamedTuple

from stepwell.core.instance import FINAL, TRANSITIONS, UNFINISHED, Status
from tools.pages import DOCS

PICTURE = DOCS / "images" / "life.svg"
PAGE = DOCS / "concepts.md"

_WIDTH, _HEIGHT = 920, 490
_HALF_WIDTH, _HALF_HEIGHT = 64, 17
# Of two arrows that are opposite, how far each is from the middle.
_PAIR = 10
_PLACES: Mapping[Status, tuple[int, int]] = {
    Status.QUEUED: (230, 160),
    Status.RUNNING: (490, 160),
    Status.WAITING: (360, 50),
    Status.PAUSED: (230, 290),
    Status.WAITING_FOR_PAUSE: (490, 290),
    Status.ROLLING_BACK: (490, 420),
    Status.COMPLETE: (840, 160),
    Status.ERRORED: (840, 290),
    Status.TERMINATED: (840, 430),
}
# Left, top, width and height of what is round all of these, and where what leaves them all leaves it.
_FRAMES: Mapping[frozenset[Status | None], tuple[tuple[int, int, int, int], tuple[int, int]]] = {
    frozenset[Status | None](UNFINISHED): ((130, 8, 452, 474), (582, 457)),
    frozenset[Status | None](UNFINISHED - {Status.ROLLING_BACK}): ((142, 20, 428, 318), (490, 338)),
}
_STYLE = (
    "text{font:13px system-ui,'DejaVu Sans',sans-serif;text-anchor:middle;fill:#14181f}"
    ".page{fill:#fff}.frame{fill:none;stroke:#c2c9d4;stroke-dasharray:5 4}"
    ".status{fill:#eef2ff;stroke:#1d4ed8}.final{fill:#f1f5f1;stroke:#166534}"
    ".arrow{fill:none;stroke:#64748b;stroke-width:1.25;marker-end:url(#head)}.head{fill:#64748b}"
    ".word{font-size:11px;fill:#374151;paint-order:stroke;stroke:#fff;stroke-width:4px}"
)
_TABLE = re.compile(r"(?<=<!-- made by `make reference` -->\n\n).*(?=<!-- end -->)", re.DOTALL)


_Point = tuple[float, float]


class _Arrow(NamedTuple):
    begin: _Point
    end: _Point
    word: str


def picture() -> str:
    """Return the picture."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}">',
        f"<style>{_STYLE}</style>",
        '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">',
        '<path class="head" d="M0 0L8 4L0 8z"/></marker>',
        f'<rect class="page" width="{_WIDTH}" height="{_HEIGHT}" rx="8"/>',
        *(
            f'<rect class="frame" x="{x}" y="{y}" width="{w}" height="{h}" rx="12"/>'
            for (x, y, w, h), _ in _FRAMES.values()
        ),
    ]
    arrows = [*_arrows()]
    parts += [f'<path class="arrow" d="M{x:.0f} {y:.0f}L{to_x:.0f} {to_y:.0f}"/>' for (x, y), (to_x, to_y), _ in arrows]
    parts += map(_status, Status)
    parts += map(_word, arrows)
    return "\n".join([*parts, "</svg>", ""])


def page() -> str:
    """Return docs/concepts.md with the table as it is now."""
    rows = [
        f"| *{_words(record.__name__)}* | {', '.join(_told(statuses))} | `{to}` |\n"
        for record, ways in TRANSITIONS.items()
        for to, statuses in _by_target(ways).items()
    ]
    table = "".join(["| record | in the status | leads to |\n|---|---|---|\n", *rows, "\n"])
    text, count = _TABLE.subn(lambda _: table, PAGE.read_text("utf-8"))
    assert count == 1, "docs/concepts.md has no place for the table"
    return text


def write() -> None:
    """Write both to their places."""
    PICTURE.write_text(picture(), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")


def _arrows() -> Iterator[_Arrow]:
    pairs: dict[tuple[Status, Status], str] = {}
    outside = 0
    for record, ways in TRANSITIONS.items():
        word = _words(record.__name__)
        for to, statuses in _by_target(ways).items():
            x, y = _PLACES[to]
            if statuses == frozenset(Status) or None in statuses:
                end = (x - _HALF_WIDTH, y - 8 + 16 * outside)
                yield _Arrow((10, end[1]), end, word if None in statuses else f"{word}, from any")
                outside += 1
            elif statuses in _FRAMES:
                begin = _FRAMES[statuses][1]
                yield _Arrow(begin, _border(begin, (x, y)), word)
            else:
                pairs |= {(status, to): word for status in Status if status in statuses and status != to}
    for (status, to), word in pairs.items():
        yield _between(status, to, word, is_pair=(to, status) in pairs)


def _between(status: Status, to: Status, word: str, *, is_pair: bool) -> _Arrow:
    """Return the arrow from one box to another; of two that are opposite, each keeps to its right."""
    begin, end = _PLACES[status], _PLACES[to]
    if is_pair:
        aside = _PAIR / math.dist(begin, end)
        over, down = (begin[1] - end[1]) * aside, (end[0] - begin[0]) * aside
        return _Arrow(_border(end, begin, over, down), _border(begin, end, over, down), word)
    return _Arrow(_border(end, begin), _border(begin, end), word)


def _border(begin: _Point, middle: _Point, over: float = 0, down: float = 0) -> _Point:
    """Return where a line to the middle of a box meets it, if it lies so far beside that."""
    dx, dy = begin[0] - middle[0], begin[1] - middle[1]
    parts = [(math.copysign(_HALF_WIDTH, dx) - over) / dx if dx else math.inf]
    parts += [(math.copysign(_HALF_HEIGHT, dy) - down) / dy if dy else math.inf]
    return middle[0] + over + dx * min(parts), middle[1] + down + dy * min(parts)


def _status(status: Status) -> str:
    x, y = _PLACES[status]
    kind = "final" if status in FINAL else "status"
    box = f'x="{x - _HALF_WIDTH}" y="{y - _HALF_HEIGHT}" width="{2 * _HALF_WIDTH}" height="{2 * _HALF_HEIGHT}"'
    return f'<rect class="{kind}" {box} rx="8"/><text x="{x}" y="{y + 4}">{escape(status)}</text>'


def _word(arrow: _Arrow) -> str:
    # Two thirds on the way: where arrows cross, it is seen whose it is.
    (x, y), (to_x, to_y), word = arrow
    return f'<text class="word" x="{x + (to_x - x) * 0.6:.0f}" y="{y + (to_y - y) * 0.6 + 4:.0f}">{word}</text>'


def _by_target(ways: Mapping[Status | None, Status]) -> Mapping[Status, frozenset[Status | None]]:
    return {to: frozenset(status for status in ways if ways[status] is to) for to in dict.fromkeys(ways.values())}


def _told(statuses: frozenset[Status | None]) -> list[str]:
    if statuses == frozenset(Status):
        return ["any"]
    return [f"`{status}`" for status in Status if status in statuses] or ["none: it begins"]


def _words(name: str) -> str:
    """Return the name of a record as histories show it: `PauseAsked` is "pause asked"."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower()


if __name__ == "__main__":
    write()
