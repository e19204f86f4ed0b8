"""What is found in sources: each case has a source, and beneath it the outline of its graph."""

from pathlib import Path

import msgspec
import pytest

from stepwell.graph.folder import Folder
from stepwell.graph.nodes import Graph, StepDo
from stepwell.graph.source import classes_of, graph_of, read_graph
from tests.graph.cloudflare import check
from tests.graph.outline import outline

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CASES = sorted(HERE.glob("cases/*.txt"))
# What stands before the source of each case, on one line.
HEAD = (
    "import asyncio, functools; from asyncio import gather; from stepwell import step as durable, WorkflowEntrypoint\n"
)
FLOWS = [*sorted((ROOT / "examples").glob("*.py")), *sorted((ROOT / "tests" / "flows").glob("*.py"))]
FLOWS = [path for path in FLOWS if not path.stem.startswith("test_")]


def found_in(source: str) -> Graph:
    """Return the graph of the class `Flow` in a source."""
    found = read_graph({"flow.py": HEAD + source}, "flow.py", "Flow")
    assert found.graph is not None, found.note
    return found.graph


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_source_has_its_graph(path: Path) -> None:
    """Each construct has the nodes that it has had, and Cloudflare's models take them."""
    source, expected = path.read_text().split("----\n")

    graph = found_in(source)

    check(graph)
    assert outline(graph) == expected


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.stem)
def test_workflows_have_their_graphs(path: Path) -> None:
    """The examples, and workflows as people write them, have the graphs that they have had; nothing is passed over."""
    files = Folder(path.parent)

    graphs = {name: graph_of(files, path.name, name) for name in classes_of(files, path.name)}

    found = ""
    for name, graph in graphs.items():
        assert graph is not None
        check(graph)
        assert graph.remarks == ()
        found += f"class {name}\n{outline(graph)}"
    assert found == (HERE / "outlines" / f"{path.stem}.txt").read_text()


def test_half_of_a_surrogate_pair_keeps_nobody_from_the_graph() -> None:
    """A literal may have one, and no graph can be written with it: a mark stands there, in the name's pattern, too."""
    body = 'await step.do("\\ud800", f)\n        await step.do(f"\\udfff{x}", f)'
    source = f"class Flow(WorkflowEntrypoint):\n    async def run(self, event, step):\n        {body}\n"

    graph = found_in(source)

    names = [(node.name, node.pattern) for node in graph.nodes if isinstance(node, StepDo)]
    assert names == [("\ufffd", None), ("\ufffd{x}", "\ufffd.*")]
    assert msgspec.json.decode(msgspec.json.encode(graph), type=Graph) == graph


@pytest.mark.parametrize(
    "body",
    [
        f'await step.sleep("a", {"9" * 400} * 1.5)',
        f'await step.sleep("a", {10**30})',
        'await step.sleep("a", 1e999)',
        f'await step.sleep("a", 0x{"f" * 6_000})',
        f'await step.do(f"x {{0x{"f" * 6_000}}}", body)',
        f'await step.do("a", {{"retries": {{"limit": {10**30}, "delay": {10**40}}}}}, body)',
        f'for _ in range(0x{"f" * 6_000}): await step.do("x", body)',
        f'if 0x{"f" * 6_000}: await step.do("x", body)',
    ],
    ids=["product", "large", "infinite", "endless", "in a name", "in a config", "in a loop", "in a condition"],
)
def test_numbers_of_any_size_are_told(body: str) -> None:
    """What JSON does not have exactly is told as its source, or not at all, and the step is there."""
    graph = found_in(f"class Flow(WorkflowEntrypoint):\n    async def run(self, event, step):\n        {body}\n")

    check(graph)
    assert msgspec.json.decode(msgspec.json.encode(graph), type=Graph) == graph
    assert "step" in outline(graph) or "sleep" in outline(graph)
