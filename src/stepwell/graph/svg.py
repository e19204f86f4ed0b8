"""A graph as SVG, for pages and for files.

It has no script, no link and no `style` attribute, and names no address. Its look is one style sheet, the same for all
graphs: a page whose Content-Security-Policy lets no inline style in puts `STYLE` into its own sheet and asks for
drawings without it, or names its hash.

Each node is an element with `data-key`, its key in the graph, which can be reached by keyboard and has a label.
"""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Literal

from stepwell.graph.layout import CODE, DETAIL, NAME, Box, Drawing, Edge, Text, layout
from stepwell.graph.marks import NOT_REACHED, STATUSES, Mark
from stepwell.graph.nodes import Graph
from stepwell.graph.outline import Group, Item, Lane, Look, Part, outline_of, said
from stepwell.graph.style import STYLE
from stepwell.graph.texts import lines_of, shortened, visible, width_of

__all__ = ["STYLE", "svg"]

Theme = Literal["auto", "light", "dark"]

# What is read out, or shown while a pointer rests.
_LABEL = 2_000
# Text stands on its base line, so far below its top.
_BASE = 0.78
_ROUNDED, _ARROW, _SIGN, _INSET = 6, 4, 10, 12
_PILLS = {Look.START, Look.SLEEP, Look.WAIT, Look.END, Look.STOP}

_CLASS_BY_FONT = {NAME: "name", DETAIL: "detail", CODE: "code"}
_NOT_REACHED = Mark(NOT_REACHED, 0)
_SIGNS = {
    "queued": "M5 1a4 4 0 1 0 .01 0z",
    "running": "M2 1L9 5L2 9z",
    "waiting": "M2 1H8L2 9H8z",
    "paused": "M3 1V9M7 1V9",
    "waitingForPause": "M3 1V9M7 1V9",
    "complete": "M1 5L4 8L9 2",
    "errored": "M5 1L9.5 9H.5zM5 4V6M5 7.2V7.8",
    "terminated": "M1.5 1.5H8.5V8.5H1.5z",
    "rollingBack": "M5 1L1 5L5 9M1 5H9",
}


def svg(graph: Graph, marks: Mapping[str, Mark] | None = None, *, theme: Theme = "auto", has_style: bool = True) -> str:
    """Return a graph as SVG. `marks` say of nodes, by key, how they stand; one that has none was not reached.

    A drawing is as large with marks as with others. `has_style`: its style sheet is part of it.
    """
    drawing = layout(outline_of(graph), has_marks=marks is not None)
    return "".join(_Pen(marks).picture(drawing, theme, has_style=has_style))


class _Pen:
    """Draws boxes, and the marks of those that have one."""

    def __init__(self, marks: Mapping[str, Mark] | None) -> None:
        self._marks = marks

    def picture(self, drawing: Drawing, theme: Theme, *, has_style: bool) -> Iterator[str]:
        """Yield the pieces of the whole."""
        width, height = _number(drawing.width), _number(drawing.height)
        chosen = "" if theme == "auto" else f" {theme}"
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="stepwell-graph{chosen}" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="group" aria-label="{_label(f"Workflow {drawing.name}")}">'
        )
        if has_style:
            yield f"<style>{STYLE}</style>"
        yield f'<rect class="page" width="{width}" height="{height}"/>'
        for box in drawing.boxes:
            yield from self._box(box)
        yield from (_text(text, "detail") for text in drawing.remarks)
        yield "</svg>"

    def _box(self, box: Box) -> Iterator[str]:
        part = box.part
        if isinstance(part, Lane) and not part.is_framed:
            yield from self._inside(box)
            return
        mark = self._mark(part)
        label = _label(f"{said(part)}: {mark}" if mark else said(part))
        classes, role = self._classes(part, box.depth, mark), "img" if isinstance(part, Item) else "group"
        yield f'<g class="{classes}"{_keyed(part)} role="{role}" aria-label="{label}"><title>{label}</title>'
        yield from _shape(box)
        yield from self._inside(box)
        if mark is not None and mark.status != NOT_REACHED and box.mark_y is not None:
            yield from _sign_and_words(mark, box, box.mark_y)
        yield "</g>"

    def _inside(self, box: Box) -> Iterator[str]:
        yield from (_text(text, _CLASS_BY_FONT[text.font]) for text in box.texts)
        yield from map(_edge, box.edges)
        for inner in box.boxes:
            yield from self._box(inner)

    def _mark(self, part: Part | Lane) -> Mark | None:
        # Nothing on record tells whether an end was reached.
        is_end = isinstance(part, Item) and part.look is Look.END
        if self._marks is None or not part.key or is_end:
            return None
        return self._marks.get(part.key, _NOT_REACHED)

    def _classes(self, part: Part | Lane, depth: int, mark: Mark | None) -> str:
        classes = [{Item: "item", Group: "group", Lane: "lane"}[type(part)]]
        if not isinstance(part, Lane):
            classes.append(part.look)
        if not isinstance(part, Item) and depth % 2:
            classes.append("odd")
        if mark is not None and mark.status in STATUSES:
            classes.append(mark.status)
        if mark is not None and mark.status == NOT_REACHED and isinstance(part, Item):
            classes.append("faint")
        return " ".join(classes)


def _keyed(part: Part | Lane) -> str:
    return f' data-key="{escape(visible(part.key))}" tabindex="0"' if part.key else ""


def _label(text: str) -> str:
    return escape(shortened(visible(text), _LABEL))


def _shape(box: Box) -> Iterator[str]:
    look = None if isinstance(box.part, Lane) else box.part.look
    is_divided = isinstance(box.part, Group) and box.part.is_divided
    rounded = box.height / 2 if look in _PILLS else 0 if look is None or is_divided else _ROUNDED
    yield _rect(box, rounded, 0)
    if look is Look.CHILD:
        yield _rect(box, rounded - 2, 3)
    if look is Look.CALL:
        left, right = _number(box.x + 5), _number(box.x + box.width - 5)
        top, bottom = _number(box.y), _number(box.bottom)
        yield f'<path class="box" d="M{left} {top}V{bottom}M{right} {top}V{bottom}"/>'


def _rect(box: Box, rounded: float, inset: float) -> str:
    return (
        f'<rect class="box" x="{_number(box.x + inset)}" y="{_number(box.y + inset)}" '
        f'width="{_number(box.width - 2 * inset)}" height="{_number(box.height - 2 * inset)}" rx="{_number(rounded)}"/>'
    )


def _text(text: Text, style: str) -> str:
    style = f"{style} centered" if text.is_centered else style
    x, y = _number(text.x), _number(text.y + text.font.leading * _BASE)
    return f'<text class="{style}" x="{x}" y="{y}">{escape(text.line, quote=False)}</text>'


def _edge(edge: Edge) -> str:
    (x, y), *more = edge.points
    path = [f"M{_number(x)} {_number(y)}"]
    for next_x, next_y in more:
        path.append(_line((x, y), (next_x, next_y)))
        x, y = next_x, next_y
    head = f"M{_number(x - _ARROW)} {_number(y - _ARROW - 1)}L{_number(x)} {_number(y)}L{_number(x + _ARROW)} "
    waits = " waits" if edge.waits else ""
    return f'<path class="edge{waits}" d="{"".join(path)}{head}{_number(y - _ARROW - 1)}"/>'


def _line(begin: tuple[float, float], end: tuple[float, float]) -> str:
    """Return a line downwards: straight, or a curve that begins and ends so."""
    (x, y), (to_x, to_y) = begin, end
    if x == to_x:
        return f"V{_number(to_y)}"
    half = (y + to_y) / 2
    return f"C{_number(x)} {_number(half)} {_number(to_x)} {_number(half)} {_number(to_x)} {_number(to_y)}"


def _sign_and_words(mark: Mark, box: Box, y: float) -> Iterator[str]:
    gap, inset = 4, box.texts[0].x - box.x if box.texts and not box.texts[0].is_centered else _INSET
    (words,) = lines_of(visible(str(mark)), DETAIL, box.width - 2 * inset - _SIGN - gap, 1) or ("",)
    width = _SIGN + gap + width_of(words, DETAIL)
    x = box.middle - width / 2 if isinstance(box.part, Item) else box.x + inset
    sign = _SIGNS.get(mark.status)
    if sign:
        yield f'<path class="sign" transform="translate({_number(x)} {_number(y + 2)})" d="{sign}"/>'
    yield _text(Text(words, DETAIL, x + _SIGN + gap, y, is_centered=False), "detail mark")


def _number(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")
