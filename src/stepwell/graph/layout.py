"""Where each part of an outline is drawn, and how large: first everything is measured, then placed, each part once.

Parts of a lane stand below each other, on one axis; lanes of a group stand side by side, in as many rows as they need.
Lengths are those of a picture in pixels; y grows downwards. A form of output only draws what is here.
"""

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from stepwell.graph.outline import Group, Item, Lane, Look, Outline, Part
from stepwell.graph.texts import Font, lines_of, width_of

NAME, DETAIL, CODE = Font(13, 17), Font(11, 14), Font(11.5, 15, is_code=True)

# Of an item: how wide its texts may be, what is round them, and the least width.
_TEXT_WIDTH = 230
_PAD_X, _PAD_Y = 14, 7
_ITEM_WIDTH = 130
# Of a group and of a lane with a frame; heads are as wide as what is below them, or so wide.
_PAD = 12
_LANE_WIDTH, _HEAD_WIDTH = 130, 300
# Between parts of a lane there is room for an arrow; between rows that wait for each other, for curves.
_GAP, _LANE_GAP, _ROW_GAP, _LINK_GAP = 24, 14, 14, 44
# Lines that pass rows go beside these.
_PASSAGE = 10
# Lanes go on in another row where a group gets wider; later, if lines lead from row to row.
_GROUP_WIDTH, _LINKED_WIDTH = 1040, 1600
_MARGIN = 16
# Between columns of helpers, and between helpers; how high columns may be at least.
_COLUMN_GAP, _HELPER_GAP, _COLUMN_HEIGHT = 40, 20, 800
_REMARKS = 12

_NAME_LINES, _DETAIL_LINES, _HEAD_LINES = 2, 3, 3
# How wide a mark may be.
_MARK_WIDTH = 150
# What stands for an end that has no text.
_STOP_SIZE = 12


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text: below its top, from `x` on or, if it is centered, round `x`."""

    line: str
    font: Font
    x: float
    y: float
    is_centered: bool


@dataclass(frozen=True, slots=True)
class Edge:
    """A line that ends in an arrow, through these points from above to below: straight, or from point to point."""

    points: tuple[tuple[float, float], ...]
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """A part with its place, and the boxes in it. `mark_y`: the top of the line that is left for a mark."""

    part: Part | Lane
    x: float
    y: float
    width: float
    height: float
    texts: tuple[Text, ...] = ()
    boxes: tuple["Box", ...] = ()
    edges: tuple[Edge, ...] = ()
    mark_y: float | None = None
    depth: int = 0

    @property
    def middle(self) -> float:
        """The x of its axis."""
        return self.x + self.width / 2

    @property
    def bottom(self) -> float:
        """The y of its lower edge."""
        return self.y + self.height


@dataclass(frozen=True, slots=True)
class Drawing:
    """All boxes of an outline, in a picture of this size; `remarks` are texts below them."""

    name: str
    width: float
    height: float
    boxes: tuple[Box, ...]
    remarks: tuple[Text, ...]


def layout(outline: Outline, *, has_marks: bool = False) -> Drawing:
    """Lay out an outline; with room for a mark in each part if there are any."""
    measure = _Measure(has_marks)
    run = _place(measure.lane(outline.run), _MARGIN, _MARGIN, 1)
    helpers = [measure.group(helper) for helper in outline.helpers]
    boxes = (run, *_in_columns(helpers, run))
    bottom = max(box.bottom for box in boxes)
    remarks = tuple(_remarks(outline.remarks, bottom + _GAP))
    rights = [box.x + box.width for box in boxes] + [text.x + width_of(text.line, text.font) for text in remarks]
    bottom = remarks[-1].y + DETAIL.leading if remarks else bottom
    return Drawing(outline.name, max(rights) + _MARGIN, bottom + _MARGIN, boxes, remarks)


def _in_columns(helpers: Sequence["_Sized"], run: Box) -> Iterator[Box]:
    """Place helpers beside `run`: in columns about as high as it, or as all of them are wide together."""
    area = sum((helper.width + _COLUMN_GAP) * (helper.height + _HELPER_GAP) for helper in helpers)
    most = max(run.bottom, math.sqrt(area), _COLUMN_HEIGHT)
    x, y, widest = run.x + run.width + _COLUMN_GAP, run.y, 0.0
    for helper in helpers:
        if y > run.y and y + helper.height > most:
            x, y, widest = x + widest + _COLUMN_GAP, run.y, 0.0
        yield _place(helper, x, y, 1)
        y, widest = y + helper.height + _HELPER_GAP, max(widest, helper.width)


def _remarks(remarks: Sequence[str], y: float) -> Iterator[Text]:
    more = len(remarks) - _REMARKS
    shown = remarks if more <= 0 else (*remarks[:_REMARKS], f"and {more} more")
    for remark in shown:
        for line in lines_of(remark, DETAIL, 3 * _TEXT_WIDTH, _DETAIL_LINES):
            yield Text(line, DETAIL, _MARGIN, y, is_centered=False)
            y += DETAIL.leading


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    font: Font


@dataclass(frozen=True, slots=True)
class _Sized:
    """A part with its size, its own lines, and rows of what is in it.

    `mark` is the height of a mark, `pad` what is round the lines, `inset` what is round the rows; `passages` has, for
    lanes from which lines lead past rows, on the how many-th way beside the rows they do.
    """

    part: Part | Lane
    width: float
    height: float
    lines: tuple[_Line, ...] = ()
    rows: tuple[tuple["_Sized", ...], ...] = ()
    mark: float = 0
    pad: float = 0
    inset: float = 0
    passages: Mapping[int, int] = field(default_factory=dict)


class _Measure:
    """Finds out how large parts are."""

    def __init__(self, has_marks: bool) -> None:
        self._mark = DETAIL.leading if has_marks else 0.0

    def lane(self, lane: Lane) -> _Sized:
        """Measure a lane: its parts below each other, its head above them."""
        rows = tuple((self._part(part),) for part in lane.parts)
        pad = _PAD if lane.is_framed else 0
        inner = max([_LANE_WIDTH if lane.is_framed else 0, *(part.width for (part,) in rows)])
        width = max(inner, _narrowed(lane.head, CODE))
        lines = tuple(_lines(lane.head, CODE, width, _HEAD_LINES))
        mark = self._mark if lane.key and lines else 0
        height = _above(lines, mark, pad, bool(rows)) + _stacked(rows, _GAP) + pad
        return _Sized(lane, width + 2 * pad, height, lines, rows, mark, pad, pad)

    def group(self, group: Group) -> _Sized:
        """Measure a group: its lanes side by side, its head above them."""
        gap, inset = (0, 0) if group.is_divided else (_LANE_GAP, _PAD)
        most = _LINKED_WIDTH if group.links else _GROUP_WIDTH
        rows = [row for lanes in group.rows for row in _wrapped([self.lane(lane) for lane in lanes], gap, most)]
        passages = _passages(group, rows)
        font = _HEAD_FONTS.get(group.look, CODE)
        head = max(_narrowed(group.head, font), *(_narrowed(text, DETAIL) for text in group.details), 0)
        inner = max([_row_width(row, gap) for row in rows], default=0) + 2 * _PASSAGE * len({*passages.values()})
        width = max(inner + 2 * inset, head + 2 * _PAD, _LANE_WIDTH + 2 * _PAD)
        details = (line for text in group.details for line in _lines(text, DETAIL, width - 2 * _PAD, _DETAIL_LINES))
        lines = (*_lines(group.head, font, width - 2 * _PAD, _HEAD_LINES), *details)
        mark = self._mark if group.key and lines else 0
        evened = tuple(_evened(row, width if group.is_divided else None) for row in rows)
        pad = _PAD if lines or inset else 0
        height = _above(lines, mark, pad, bool(rows)) + _stacked(evened, _row_gap(group)) + inset
        return _Sized(group, width, height, lines, evened, mark, pad, inset, passages)

    def _part(self, part: Part) -> _Sized:
        return self._item(part) if isinstance(part, Item) else self.group(part)

    def _item(self, item: Item) -> _Sized:
        if item.look is Look.STOP:
            return _Sized(item, _STOP_SIZE, _STOP_SIZE)
        is_small = item.look is Look.END
        names = _lines(item.name, DETAIL if is_small else NAME, _TEXT_WIDTH, _NAME_LINES)
        details = (line for text in item.details for line in _lines(text, DETAIL, _TEXT_WIDTH, _DETAIL_LINES))
        lines = (*names, *details)
        pad_y = _PAD_Y / 2 if is_small else _PAD_Y
        mark = self._mark if item.key and not is_small else 0
        width = max((width_of(line.text, line.font) for line in lines), default=0) + 2 * _PAD_X
        least = 0 if is_small else _MARK_WIDTH + 2 * _PAD_X if mark else _ITEM_WIDTH
        return _Sized(item, max(width, least), _height(lines) + mark + 2 * pad_y, lines, mark=mark, pad=pad_y)


_HEAD_FONTS = {Look.PARALLEL: DETAIL, Look.HELPER: NAME, Look.STEP: NAME, Look.CHILD: NAME}


def _lines(text: str, font: Font, width: float, most: int) -> Iterator[_Line]:
    return (_Line(line, font) for line in lines_of(text, font, width, most))


def _narrowed(text: str, font: Font) -> float:
    """Return how wide a text is, or the lines are in which it is broken."""
    return min(width_of(text, font), _HEAD_WIDTH)


def _height(lines: Sequence[_Line]) -> float:
    return sum(line.font.leading for line in lines)


def _above(lines: Sequence[_Line], mark: float, pad: float, has_rows: bool) -> float:
    """Return how much there is above the rows: the pad, a head, and room below it if something follows."""
    return pad + _height(lines) + mark + (_PAD_Y if lines and has_rows else 0)


def _stacked(rows: Sequence[Sequence[_Sized]], gap: float) -> float:
    """Return how high rows are below each other."""
    return sum(map(_row_height, rows)) + gap * max(len(rows) - 1, 0)


def _row_width(row: Sequence[_Sized], gap: float) -> float:
    return sum(lane.width for lane in row) + gap * (len(row) - 1)


def _row_height(row: Sequence[_Sized]) -> float:
    return max(part.height for part in row)


def _row_gap(group: Group) -> float:
    if group.is_divided:
        return 0
    return _LINK_GAP if group.links else _ROW_GAP


def _wrapped(lanes: Sequence[_Sized], gap: float, most: float) -> Iterator[list[_Sized]]:
    """Yield the rows in which lanes stand: as few as there is room for, with about as many in each."""
    count = math.ceil(_row_width(lanes, gap) / most)
    in_each = math.ceil(len(lanes) / max(count, 1))
    row: list[_Sized] = []
    taken = 0.0
    for lane in lanes:
        if row and (len(row) == in_each or taken + lane.width > most):
            yield row
            row, taken = [], 0.0
        row.append(lane)
        taken += lane.width + gap
    if row:
        yield row


def _evened(row: Sequence[_Sized], width: float | None) -> tuple[_Sized, ...]:
    """Return a row whose frames are equally high and, if a width is given, fill it."""
    height = _row_height(row)
    more = 0 if width is None else (width - _row_width(row, 0)) / len(row)
    return tuple(replace(lane, height=height, width=lane.width + more) if lane.inset else lane for lane in row)


def _passages(group: Group, rows: Sequence[Sequence[_Sized]]) -> dict[int, int]:
    """Return the ways of lanes for which others wait that are not in the next row. One that ends is used again."""
    row_of = [at for at, row in enumerate(rows) for _ in row]
    last_row: dict[int, int] = {}
    for before, after in group.links:
        if row_of[after] != row_of[before] + 1:
            last_row[before] = max(last_row.get(before, 0), row_of[after])
    ways: dict[int, int] = {}
    in_use: list[tuple[int, int]] = []
    for before, last in last_row.items():
        if in_use and in_use[0][0] <= row_of[before]:
            ways[before] = heapq.heapreplace(in_use, (last, in_use[0][1]))[1]
        else:
            ways[before] = len(in_use)
            heapq.heappush(in_use, (last, len(in_use)))
    return ways


def _place(sized: _Sized, x: float, y: float, depth: int) -> Box:
    """Place a part with its upper left corner at a point, and all that is in it."""
    part = sized.part
    middle = x + sized.width / 2
    texts: list[Text] = []
    top = y + sized.pad
    is_centered = isinstance(part, Item)
    for line in sized.lines:
        texts.append(Text(line.text, line.font, middle if is_centered else x + sized.pad, top, is_centered))
        top += line.font.leading
    mark_y = top if sized.mark else None
    top = y + _above(sized.lines, sized.mark, sized.pad, bool(sized.rows))
    down, across = (_row_gap(part), 0 if part.is_divided else _LANE_GAP) if isinstance(part, Group) else (_GAP, 0)
    rows: list[list[Box]] = []
    for row in sized.rows:
        rows.append(list(_placed(row, (middle - _row_width(row, across) / 2, top), across, depth + (sized.inset > 0))))
        top += _row_height(row) + down
    edges = _edges(sized, middle, rows) if isinstance(part, Group) else _arrows(rows)
    boxes = tuple(box for placed in rows for box in placed)
    return Box(part, x, y, sized.width, sized.height, tuple(texts), boxes, tuple(edges), mark_y, depth)


def _placed(row: Sequence[_Sized], corner: tuple[float, float], gap: float, depth: int) -> Iterator[Box]:
    x, y = corner
    for one in row:
        yield _place(one, x, y, depth)
        x += one.width + gap


def _arrows(rows: Sequence[Sequence[Box]]) -> Iterator[Edge]:
    """Yield the arrows of a lane: from each part whose end can be reached to the next."""
    for (above,), (below,) in pairwise(rows):
        if not isinstance(above.part, Lane) and above.part.goes_on:
            yield Edge(((above.middle, above.bottom), (below.middle, below.y)))


def _edges(sized: _Sized, middle: float, rows: Sequence[Sequence[Box]]) -> Iterator[Edge]:
    """Yield the lines of a group: from each lane to those that wait for it, past the rows between them."""
    group = sized.part
    if not isinstance(group, Group) or not group.links:
        return
    places = [(at, box) for at, row in enumerate(rows) for box in row]
    bottoms = [max(box.bottom for box in row) for row in rows]
    half = max(row[-1].x + row[-1].width - row[0].x for row in rows) / 2
    for before, after in group.links:
        (from_row, above), (to_row, below) = places[before], places[after]
        points = [(above.middle, above.bottom), (above.middle, bottoms[from_row])]
        if to_row != from_row + 1:
            aside = half + _PASSAGE * (sized.passages[before] + 0.5)
            x = middle - aside if above.middle < middle else middle + aside
            points += [(x, rows[from_row + 1][0].y), (x, bottoms[to_row - 1])]
        yield Edge((*points, (below.middle, below.y)), waits=True)
