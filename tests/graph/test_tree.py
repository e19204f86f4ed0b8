"""The tree of lines."""

from hypothesis import given, settings

from stepwell.graph.nodes import Graph
from stepwell.graph.tree import tree
from tests.graph.drawn import DAG, GRAPHS, ORDER, do, graph, when


def test_tree_reads_like_the_code() -> None:
    """What is in a part stands below it; helpers on their own and remarks come last."""
    assert list(tree(ORDER)) == [
        "Order  payload {items}",
        "├─ validate",
        "├─ if not ok",
        "│  ├─ reject",
        "│  └─ return",
        "├─ at the same time",
        "│  ├─ charge  2 retries, each after 1 second, at most 30 seconds",
        "│  └─ reserve  rollback",
        "├─ for item in items",
        "│  └─ pack {item}",
        "├─ cool down  sleeps 1 hour",
        "├─ try",
        "│  └─ approval  waits for event approve, at most 1 day",
        "├─ except TimeoutError",
        "│  └─ escalate",
        "├─ except OSError",
        "│  └─ raise",
        "├─ finally",
        "│  └─ notify()",
        "├─ match kind",
        "│  └─ case 'gift'",
        "│     └─ wrap",
        "├─ ship  child workflow shipping",
        "└─ notify()",
        "",
        "notify()",
        "└─ send mail",
        "",
        "flows.py:40: the name of a step is not known beforehand",
    ]


def test_else_is_told_where_something_is_done_in_it() -> None:
    """An empty one is as good as none."""
    branches = [when(("x", (do("a"),)), (None, inner)) for inner in ((do("b"),), ())]

    assert list(tree(graph(*branches))) == ["Order", "├─ if x", "│  └─ a", "├─ else", "│  └─ b", "└─ if x", "   └─ a"]


def test_step_in_the_background_says_so() -> None:
    """With the points where it is begun and awaited, if it is."""
    drawn = graph(do("a", starts=1, resolves=2), do("b", starts=3))

    assert list(tree(drawn)) == ["Order", "├─ a  in the background, 1 to 2", "└─ b  in the background, not awaited"]


def test_tree_says_what_waits_for_what_in_ascii() -> None:
    """A plain terminal gets the same with ASCII."""
    assert list(tree(DAG, is_ascii=True)) == [
        "Order",
        "`- at the same time",
        "   |- north",
        "   |- east",
        "   |- best  after north, east",
        "   `- report  after north, best",
    ]


def test_long_names_lack_their_middle() -> None:
    """No line is longer than somebody reads."""
    (_, line) = tree(graph(do("x" * 10_000)))

    assert len(line) == len("└─ ") + 160


@settings(max_examples=25, deadline=None)
@given(GRAPHS)
def test_no_line_obeys_a_name(graph: Graph) -> None:
    """Whatever names are, there is nothing in a line that a terminal would obey, and no half of a character."""
    for line in tree(graph):
        assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in line)
        line.encode()
