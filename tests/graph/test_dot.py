"""The drawing in the DOT language. A reader of ours holds it to the language's rules; Graphviz too, where it is."""

import subprocess
from collections.abc import Callable

from hypothesis import given, settings

from stepwell.graph.dot import dot
from stepwell.graph.marks import Mark
from stepwell.graph.nodes import Graph
from tests.graph.dot_reader import read_dot, text_of
from tests.graph.drawn import DAG, GRAPHS, block, do, ends, graph, loop, parallel, sleep, wait, when

HOSTILE = '\\N \\" ]; x [label="y"] } // <b>&amp; \\'


def test_drawing_is_nested_like_the_code() -> None:
    """Groups are clusters, to whose frames arrows lead; none leads on from an end."""
    drawn = graph(do("a"), loop("for x in y", sleep("nap"), when(("x", (ends("break"),)))), parallel(do("b"), do("c")))

    assert dot(drawn).splitlines()[5:] == [
        '  n1 [label="Order", style="rounded,bold"]',
        '  n2 [label="a"]',
        "  subgraph cluster_n3 {",
        '    label="for x in y"',
        '    style=dashed; color="#64748b"',
        '    n4 [label="nap\\nsleeps 1 hour", style="rounded,dashed"]',
        "    subgraph cluster_n5 {",
        '      label="if x"',
        '      style=solid; color="#64748b"',
        '      n6 [label="break", shape=oval]',
        "    }",
        "  }",
        "  subgraph cluster_n7 {",
        '    label="at the same time"',
        '    style=solid; color="#1d4ed8"',
        '    n8 [label="b"]',
        '    n9 [label="c"]',
        "  }",
        '  n10 [label="", shape=circle, width=0.2, style=filled, fillcolor="#64748b"]',
        "  n4 -> n6 [lhead=cluster_n5]",
        "  n1 -> n2",
        "  n2 -> n4 [lhead=cluster_n3]",
        "  n6 -> n8 [ltail=cluster_n3, lhead=cluster_n7]",
        "  n9 -> n10 [ltail=cluster_n7]",
        "}",
    ]


def test_what_waits_has_arrows_from_what_it_waits_for() -> None:
    """And from nothing else of its group."""
    arrows = {(tail, head) for tail, head, _ in read_dot(dot(DAG)).arrows}

    assert {("n3", "n5"), ("n3", "n6"), ("n4", "n5"), ("n5", "n6")} <= arrows


def test_name_is_nothing_but_text() -> None:
    """Of a step, of a group and of a wait: it ends no label, and is none of the escapes that Graphviz knows."""
    drawn = read_dot(dot(graph(do(HOSTILE), loop(HOSTILE, wait("w", HOSTILE)))))

    shown = [text_of(said["label"]) for said in (*drawn.nodes.values(), *drawn.clusters.values())]
    assert shown == ["Order", HOSTILE, f"w\nwaits for event {HOSTILE}\nat most 1 day", "", HOSTILE]


def test_remark_is_a_comment() -> None:
    """Whatever is in it, in one line."""
    drawn = graph(do("a"), remarks=("flow.py:3: a\n} x -> y \\",))

    assert dot(drawn).startswith("// flow.py:3: a } x -> y \\\ndigraph workflow {\n")
    assert [*read_dot(dot(drawn)).nodes] == ["n1", "n2", "n3"]


def test_how_an_instance_stands_is_said() -> None:
    """Of each node that has a mark, in words."""
    marks = {"a": Mark("errored", 12, 1), "l": Mark("notReached", 0)}

    source = dot(graph(do("a"), loop("l", do("b"))), marks)

    labels = [text_of(said["label"]) for said in read_dot(source).nodes.values()]
    assert labels[:3] == ["Order", "a\n[12 runs, 1 failed]", "b"]
    assert '    label="l\\n[not reached]"' in source.splitlines()


def test_branch_without_anything_has_a_box() -> None:
    """Arrows need a node to lead to."""
    drawn = read_dot(dot(graph(do("a"), parallel(block(), block(do("b"), do("c"))))))

    assert "nothing" in [text_of(said["label"]) for said in drawn.nodes.values()]
    assert len(drawn.arrows) == 4


@settings(max_examples=25, deadline=None)
@given(GRAPHS)
def test_any_graph_is_dot(graph: Graph) -> None:
    """Each arrow is between nodes that there are, its frames are round its ends, and each label is a text."""
    drawn = read_dot(dot(graph))

    for said in (*drawn.nodes.values(), *drawn.clusters.values()):
        text_of(said["label"])
    for tail, head, said in drawn.arrows:
        assert said.get("ltail", "") in {"", *drawn.within[tail]} - {*drawn.within[head]}
        assert said.get("lhead", "") in {"", *drawn.within[head]} - {*drawn.within[tail]}


def test_graphviz_draws_it(require: Callable[..., None]) -> None:
    """Without a word, and names as they are."""
    require("dot", "Graphviz itself")

    source = dot(graph(do(HOSTILE), loop("l", wait("w"), do("b")), parallel(do("c"), block(do("d"), do("e")))))
    done = subprocess.run(["dot", "-Tplain"], input=source, capture_output=True, text=True, check=True)

    assert done.stderr == ""
    assert done.stdout.count("\nnode ") == len(read_dot(source).nodes)
