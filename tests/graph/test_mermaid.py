"""The flowchart for Mermaid. Its own parser has taken these samples; here its rules are held up."""

import re

import pytest
from hypothesis import given, settings

from stepwell.graph.mermaid import mermaid
from stepwell.graph.nodes import Graph
from tests.graph.drawn import DAG, GRAPHS, block, do, ends, graph, loop, parallel, sleep, when

_LABEL = r'"(?:[\w ,()={}\'+-]|#\d+;|<br/>)*"'
_SHAPE = rf'\[{_LABEL}\]|\(\[{_LABEL}\]\)|\[\[{_LABEL}\]\]|\{{\{{{_LABEL}\}}\}}|\(\(" "\)\)'
_RULES = (
    rf"n\d+(?:{_SHAPE})(?::::(?:sleep|wait))?",
    rf"subgraph n\d+\[{_LABEL}\]",
    r"end",
    r"n\d+ --> n\d+",
    r"class n\d+ loop",
    r"classDef (?:sleep|wait|loop) stroke-dasharray: \d 4",
    r"flowchart TD",
    r"%% .*",
)


def test_flowchart_is_nested_like_the_code() -> None:
    """Groups are subgraphs; arrows lead to what follows, and not on from an end."""
    drawn = graph(do("a"), loop("for x in y", sleep("nap"), when(("x", (ends("break"),)))), parallel(do("b"), do("c")))

    assert mermaid(drawn).splitlines() == [
        "flowchart TD",
        '  n1(["Order"])',
        '  n2["a"]',
        '  subgraph n3["for x in y"]',
        '    n4(["nap<br/>sleeps 1 hour"]):::sleep',
        '    subgraph n5["if x"]',
        '      n6(["break"])',
        "    end",
        "    n4 --> n5",
        "  end",
        "  class n3 loop",
        '  subgraph n7["at the same time"]',
        '    n8["b"]',
        '    n9["c"]',
        "  end",
        '  n10((" "))',
        "  n1 --> n2",
        "  n2 --> n3",
        "  n3 --> n7",
        "  n7 --> n10",
        "  classDef sleep stroke-dasharray: 6 4",
        "  classDef wait stroke-dasharray: 2 4",
        "  classDef loop stroke-dasharray: 7 4",
    ]


def test_what_waits_has_arrows_from_what_it_waits_for() -> None:
    """And from nothing else of its group."""
    arrows = re.findall(r"^    (n\d+ --> n\d+)$", mermaid(DAG), re.MULTILINE)

    assert arrows == ["n3 --> n5", "n3 --> n6", "n4 --> n5", "n5 --> n6"]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        pytest.param('"]; click n1 "x', "#34;#93;#59; click n1 #34;x", id="quotes"),
        pytest.param("<b>#35;`*x*`", "#60;b#62;#35;35#59;#96;#42;x#42;#96;", id="markup"),
        pytest.param("1) _a_ b_c", "#49;) #95;a#95; b_c", id="markdown"),
        pytest.param("- www.x.org", "#45; www#46;x#46;org", id="lists and links"),
        pytest.param("end", "end", id="keyword"),
    ],
)
def test_name_is_nothing_but_text(name: str, label: str) -> None:
    """Whatever Mermaid would read is written as the number of its character."""
    assert mermaid(graph(do(name))).splitlines()[2] == f'  n2["{label}"]'


@settings(max_examples=25, deadline=None)
@given(GRAPHS)
def test_any_graph_keeps_the_rules(graph: Graph) -> None:
    """Each line is one of those that there are, each id is made before it is used, and groups close."""
    made: set[str] = set()
    depth = 0
    for line in mermaid(graph).splitlines():
        assert any(re.fullmatch(rule, line.strip()) for rule in _RULES), line
        depth += line.strip().startswith("subgraph") - (line.strip() == "end")
        ids = re.findall(r"\bn\d+\b", re.sub(r'"[^"]*"', "", line)) if not line.startswith("%%") else []
        assert "-->" not in line or made.issuperset(ids)
        made.update(ids)
    assert depth == 0


def test_branch_without_anything_has_a_box() -> None:
    """Mermaid draws no group that is empty."""
    flowchart = mermaid(graph(parallel(block(), block(do("a"), do("b")))))

    assert '      n4["nothing"]' in flowchart.splitlines()
