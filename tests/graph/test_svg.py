"""SVG: well-formed, harmless whatever names are, and the same as it was."""

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings

from stepwell.graph.marks import STATUSES, Mark
from stepwell.graph.nodes import Graph
from stepwell.graph.svg import STYLE, svg
from tests.graph.drawn import GRAPHS, ORDER, SAMPLES, do, ends, graph, loop, sleep
from tests.graph.goldens import golden

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = (
    "<script>alert(1)</script>",
    "</text></svg><img src=x onerror=alert(1)>",
    "\" onload='alert(1)' x=\"",
    "&lt;b&gt; &amp; ]]> <!-- -->",
    "\x00\x1b[31m\u202egnp\ud800\uffff",
)


def _parsed(drawing: str) -> ET.Element:
    return ET.fromstring(drawing.encode())


def _keyed(drawing: str) -> dict[str, ET.Element]:
    return {key: element for element in _parsed(drawing).iter() if (key := element.get("data-key"))}


@pytest.mark.parametrize("name", SAMPLES)
def test_drawing_is_as_it_was(name: str) -> None:
    """A drawing changes only on purpose: `python -m tests.graph.goldens` keeps new ones."""
    assert golden(name, svg(SAMPLES[name], has_style=False))


@settings(max_examples=25, deadline=None)
@given(GRAPHS)
def test_any_graph_is_well_formed_and_has_nothing_that_runs(graph: Graph) -> None:
    """There are shapes and texts, and nothing else."""
    for element in _parsed(svg(graph)).iter():
        assert element.tag.removeprefix(SVG) in {"svg", "style", "g", "rect", "path", "text", "title"}
        assert not {name for name in element.attrib if name.startswith("on") or name in {"style", "href"}}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_name_is_shown_and_does_nothing(name: str) -> None:
    """Names, heads, keys and the workflow's name stay texts."""
    drawing = svg(graph(do(name, key=name), loop(name, sleep(name, name)), class_name=name, remarks=(name,)))

    assert {element.tag.removeprefix(SVG) for element in _parsed(drawing).iter()} == {
        "svg", "style", "g", "rect", "path", "text", "title",
    }  # fmt: skip
    assert not re.search(r"[\x00-\x1f\u202e]", drawing)


def test_style_is_the_same_for_each_graph() -> None:
    """A page may have it in its own sheet, or name its hash; without it there is none in the drawing."""
    with_style, without = svg(ORDER), svg(ORDER, has_style=False)

    assert with_style.replace(f"<style>{STYLE}</style>", "") == without
    assert "style" not in re.sub(r'class="[^"]*"', "", without)
    assert not re.search(r"url\(|@import|[<&]", STYLE)


def test_theme_is_that_of_the_system_unless_one_is_chosen() -> None:
    """The drawing's class says which one."""
    classes = [_parsed(svg(ORDER, theme=theme)).get("class") for theme in ("auto", "light", "dark")]

    assert classes == ["stepwell-graph", "stepwell-graph light", "stepwell-graph dark"]


def test_each_node_has_key_label_and_focus() -> None:
    """The label says kind, name, details and place."""
    validate = _keyed(svg(ORDER))["validate"]

    assert validate.get("aria-label") == "step validate, flows.py:7"
    assert (validate.get("role"), validate.get("tabindex")) == ("img", "0")
    assert validate.findtext(f"{SVG}title") == "step validate, flows.py:7"


def test_long_name_is_whole_in_the_title() -> None:
    """The box has its beginning and its end."""
    name = "synchronise the master data " * 8

    step = _keyed(svg(graph(do(name, key="k"))))["k"]

    assert step.findtext(f"{SVG}title") == f"step {name.strip()}"
    shown = [text.text or "" for text in step.findall(f"{SVG}text")]
    assert shown[0].startswith("synchronise")
    assert shown[1].startswith("\u2026")
    assert shown[1].endswith("master data")


def test_marks_say_how_nodes_stand() -> None:
    """Status and counts are words and a sign; what has not run is faint."""
    marks = {"validate": Mark("complete"), "for item in items": Mark("errored", 12, 1), "pack {item}": Mark("odd", 3)}

    keyed = _keyed(svg(ORDER, marks))

    validate, again, pack = keyed["validate"], keyed["for item in items"], keyed["pack {item}"]
    assert (validate.get("class"), validate.get("aria-label")) == (
        "item step complete",
        "step validate, flows.py:7: complete",
    )
    assert again.get("aria-label") == "loop for item in items: 12 runs, 1 failed"
    assert [text.text for text in again.findall(f"{SVG}text")] == ["for item in items", "12 runs, 1 failed"]
    assert pack.get("class") == "item step"
    assert 'class="item end"' in svg(graph(ends("return", key="end")), {})
    ship = keyed["ship"]
    assert (ship.get("class"), ship.get("aria-label")) == (
        "item child faint",
        "step ship, child workflow shipping: not reached",
    )


def test_mark_tells_of_the_rollback() -> None:
    """In words, which are as long as the box is wide."""
    marks = {"reserve": Mark("complete", rollback="errored"), "validate": Mark("errored", 10**9, 10**9, "complete")}

    keyed = _keyed(svg(ORDER, marks))

    assert keyed["reserve"].get("aria-label") == "step reserve, rollback: complete, rollback errored"
    assert keyed["validate"].findall(f"{SVG}text")[-1].text == "100000000\u2026complete"


def test_marks_move_nothing() -> None:
    """Whatever they say, boxes stay where they are."""
    boxes = [
        re.findall(r'<rect class="box"[^>]*>', svg(ORDER, marks))
        for marks in ({}, {"validate": Mark("errored", 99_999, 99_999)})
    ]

    assert boxes[0] == boxes[1]


def test_each_status_has_a_look_of_its_own() -> None:
    """The sheet knows each, and each has a sign."""
    for status in STATUSES:
        assert f".{status}>.mark" in STYLE
        assert 'class="sign"' in svg(graph(do("a")), {"a": Mark(status)})
