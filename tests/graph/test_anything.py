"""Whatever is written, its graph is one, and has every step."""

import ast

import msgspec
from hypothesis import given, settings

from stepwell.graph.nodes import Graph, Named
from stepwell.graph.overlay import all_nodes
from stepwell.graph.source import read_graph
from tests.graph.cloudflare import check
from tests.graph.programs import programs


@settings(max_examples=100, deadline=None)
@given(programs())
def test_no_step_is_missing(drawn: tuple[dict[str, str], list[str]]) -> None:
    """Each step that a program calls has a node, keys are nodes' own, and Cloudflare's models take the graph."""
    files, names = drawn
    ast.parse(files["flow.py"])

    found = read_graph(files, "flow.py", "Flow")

    assert found.graph is not None, found.note
    nodes = list(all_nodes(found.graph))
    assert set(names) - {node.name for node in nodes if isinstance(node, Named)} == set()
    keys = [node.key for node in nodes]
    assert len(set(keys)) == len(keys)
    assert "" not in keys
    assert msgspec.json.decode(msgspec.json.encode(found.graph), type=Graph) == found.graph
    check(found.graph)
