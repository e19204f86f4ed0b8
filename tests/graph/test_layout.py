"""Where parts are drawn: nothing lies over anything else, whatever the graph is."""

import sys
from collections.abc import Iterator
from itertools import combinations
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell.graph.layout import Box, Drawing, Edge, layout
from stepwell.graph.nodes import AnyNode, Graph
from stepwell.graph.outline import DEPTH, Group, Item, Look, outline_of
from stepwell.graph.texts import width_of
from tests.graph.drawn import DAG, GRAPHS, block, call, do, ends, graph, helper, loop, parallel, when

# Of a sum of many lengths.
ABOUT = 0.001


def _drawn(graph: Graph, *, has_marks: bool = False) -> Drawing:
    return layout(outline_of(graph), has_marks=has_marks)


def _all(boxes: tuple[Box, ...]) -> Iterator[Box]:
    for box in boxes:
        yield box
        yield from _all(box.boxes)


def _named(drawing: Drawing, name: str) -> Box:
    (found,) = (box for box in _all(drawing.boxes) if isinstance(box.part, Item) and box.part.name == name)
    return found


def _is_inside(box: Box, x: float, y: float, right: float, bottom: float) -> bool:
    is_across = x - ABOUT <= box.x and box.x + box.width <= right + ABOUT
    return is_across and y - ABOUT <= box.y and box.bottom <= bottom + ABOUT


def _overlap(one: Box, other: Box) -> bool:
    across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    down = min(one.bottom, other.bottom) - max(one.y, other.y)
    return across > ABOUT and down > ABOUT


def _touches(edge: Edge, box: Box) -> bool:
    """Tell whether an upright part of a line goes through a box, not only to it."""
    return any(
        x == to_x and box.x < x < box.x + box.width and y < box.bottom - ABOUT and to_y > box.y + ABOUT
        for (x, y), (to_x, to_y) in zip(edge.points, edge.points[1:], strict=False)
    )


@settings(max_examples=25, deadline=None)
@given(GRAPHS, st.booleans())
def test_nothing_lies_over_anything_else(graph: Graph, has_marks: bool) -> None:
    """What is in a part lies inside of it, beside each other; all lies in the picture."""
    drawing = _drawn(graph, has_marks=has_marks)

    for box in drawing.boxes:
        assert _is_inside(box, 0, 0, drawing.width, drawing.height)
    for siblings in (drawing.boxes, *(box.boxes for box in _all(drawing.boxes))):
        assert [pair for pair in combinations(siblings, 2) if _overlap(*pair)] == []
    for box in _all(drawing.boxes):
        outside = [one for one in box.boxes if not _is_inside(one, box.x, box.y, box.x + box.width, box.bottom)]
        assert outside == []


@settings(max_examples=25, deadline=None)
@given(GRAPHS, st.booleans())
def test_texts_stay_in_their_boxes(graph: Graph, has_marks: bool) -> None:
    """Each line fits into its box, above what is in it."""
    for box in _all(_drawn(graph, has_marks=has_marks).boxes):
        for text in box.texts:
            width = width_of(text.line, text.font)
            left = text.x - width / 2 if text.is_centered else text.x
            assert box.x - ABOUT <= left <= box.x + box.width - width + ABOUT
            assert box.y <= text.y <= box.bottom - text.font.leading + ABOUT
            assert all(text.y + text.font.leading <= inner.y + ABOUT for inner in box.boxes)


@settings(max_examples=25, deadline=None)
@given(GRAPHS)
def test_lines_lead_downwards_and_through_no_box(graph: Graph) -> None:
    """Lines begin and end at boxes, stay in the box that they lie in, and pass the others."""
    for box in _all(_drawn(graph).boxes):
        for edge in box.edges:
            heights = [y for _, y in edge.points]
            assert heights == sorted(heights)
            assert any(edge.points[0] == (inner.middle, inner.bottom) for inner in box.boxes)
            assert any(edge.points[-1] == (inner.middle, inner.y) for inner in box.boxes)
            assert all(box.x <= x <= box.x + box.width for x, _ in edge.points)
            assert not any(_touches(edge, inner) for inner in box.boxes)


def test_what_waits_stands_below_what_it_waits_for() -> None:
    """Ranks are the longest path, and a line that passes a rank goes beside it."""
    drawing = _drawn(DAG)

    north, east, best, report = (_named(drawing, name) for name in ("north", "east", "best", "report"))

    assert north.y == east.y
    assert north.bottom < best.y < best.bottom < report.y
    (group,) = (box for box in _all(drawing.boxes) if isinstance(box.part, Group))
    passing = [edge for edge in group.edges if len(edge.points) > 3]
    assert [edge.points[0] for edge in passing] == [(north.middle, north.bottom)]


def test_way_past_rows_is_used_again() -> None:
    """A long chain in which each waits for the one before the last, too, is no wider for it."""
    steps = [do(f"s{number}", depends=(f"s{number - 1}", f"s{number - 2}")) for number in range(60)]

    assert _drawn(graph(parallel(*steps))).width < 320


def test_many_branches_stand_in_rows() -> None:
    """A hundred branches are as wide as a screen."""
    drawing = _drawn(graph(parallel(*(do(f"fetch page {number}") for number in range(100)))))

    assert drawing.width < 1200
    assert len({_named(drawing, f"fetch page {number}").y for number in range(100)}) > 10


def test_nothing_follows_an_end() -> None:
    """No arrow leads on from branches that all end."""
    ending = when(("ok", (do("a"), ends("return"))), (None, (do("b"), ends("raise"))))

    drawing = _drawn(graph(ending, do("never")))

    (run,) = drawing.boxes
    start, branches, _ = run.boxes
    assert [edge.points for edge in run.edges] == [((start.middle, start.bottom), (branches.middle, branches.y))]


def test_helper_that_is_called_once_is_drawn_where_it_is_called() -> None:
    """One that is called more often, or calls itself, has a place of its own."""
    once, often = helper("once", do("a")), helper("often", do("b"), call("often"))

    outline = outline_of(graph(call("once"), call("often"), helpers=(once, often)))

    looks = [part.look for part in outline.run.parts]
    assert looks == [Look.START, Look.HELPER, Look.CALL, Look.STOP]
    assert [one.head for one in outline.helpers] == ["often()"]


def test_helpers_that_call_each_other_end() -> None:
    """A ring of helpers that nobody calls is drawn, each once."""
    outline = outline_of(graph(helpers=(helper("a", call("b")), helper("b", call("a")))))

    assert [one.head for one in outline.helpers] == ["a()"]


def test_nesting_that_nobody_could_read_is_not_drawn() -> None:
    """Below a depth there is a box that says so; however deep it is, no stack overflows."""
    node: AnyNode = do("innermost")
    for level in range(400):
        node = loop(f"level {level}", node)

    drawing = _drawn(graph(node))

    names = [box.part.name for box in _all(drawing.boxes) if isinstance(box.part, Item)]
    assert names == ["Order", "nested deeper than is drawn", ""]
    assert max(box.depth for box in _all(drawing.boxes)) <= 2 * DEPTH + 2


def test_chain_of_helpers_does_not_nest_for_ever() -> None:
    """Helpers of helpers of helpers: from some depth on each has a place of its own."""
    chain = [helper(f"h{number}", call(f"h{number + 1}")) for number in range(300)]

    outline = outline_of(graph(call("h0"), helpers=(*chain, helper("h300", do("last")))))

    assert len(outline.helpers) > 10


def test_many_helpers_stand_in_columns() -> None:
    """Beside `run`, in a picture that is not much wider than high."""
    several = [helper(f"h{number}", do("a"), do("b"), call(f"h{number}")) for number in range(200)]

    drawing = _drawn(graph(do("only"), helpers=tuple(several)))

    assert len(drawing.boxes) == 201
    assert 0.5 < drawing.width / drawing.height < 2


def test_remarks_stand_below_all_else() -> None:
    """Of many, the first are there, and how many more there are."""
    drawing = _drawn(graph(do("a"), remarks=tuple(f"remark {number}" for number in range(20))))

    assert [text.line for text in drawing.remarks][-2:] == ["remark 11", "and 8 more"]
    assert min(text.y for text in drawing.remarks) > max(box.bottom for box in drawing.boxes)
    assert drawing.height > drawing.remarks[-1].y + drawing.remarks[-1].font.leading


def _calls(work: Any) -> int:
    """Count the calls of functions that some work takes."""
    count = 0

    def counted(_: FrameType, event: str, __: Any) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def _nested(count: int) -> AnyNode:
    return loop("again", block(*(when(("ok", (do(f"step {number}"),)), (None, ())) for number in range(count))))


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda count: graph(*(do(f"step {at:5}") for at in range(count))), id="one after the other"),
        pytest.param(lambda count: graph(parallel(*(do(f"step {at:5}") for at in range(count)))), id="side by side"),
        pytest.param(lambda count: graph(_nested(count)), id="nested"),
        pytest.param(
            lambda count: graph(
                parallel(*(do(f"s{at:5}", depends=(f"s{at - 1:5}", f"s{at // 2:5}")) for at in range(count)))
            ),
            id="waiting for each other",
        ),
    ],
)
def test_twice_as_many_nodes_are_twice_the_work(make: Any) -> None:
    """The calls of functions grow with the number of nodes, and no faster."""
    small, large = make(200), make(400)
    _drawn(small), _drawn(large)

    once, twice = _calls(lambda: _drawn(small)), _calls(lambda: _drawn(large))

    assert twice <= 2.2 * once
