"""Sources that no graph can be read from: there is none, a note says why, and it takes a bounded time."""

import time

import pytest

from stepwell.graph.nodes import StepDo
from stepwell.graph.source import classes_of, graph_of, read_graph

HEAD = (
    "from stepwell import WorkflowEntrypoint\nclass Flow(WorkflowEntrypoint):\n    async def run(self, event, step):\n"
)
STEP = "        await step.do('a', work)\n"


def _entangled() -> str:
    """Return helpers that call each other with ever more callables."""
    names = [f"f{n}" for n in range(40)]
    functions = "".join(
        f"async def {name}(step, *made):\n"
        + "".join(f"    await {other}(step, lambda: step.do('{name}{other}', work), *made)\n" for other in names)
        for name in names
    )
    return f"{functions}{HEAD}        await f0(step)\n"


@pytest.mark.parametrize(
    ("source", "note"),
    [
        pytest.param("class Flow(:", "flow.py is no Python that this interpreter can read", id="no Python"),
        pytest.param("a = '\0'", "flow.py is no Python that this interpreter can read", id="NUL"),
        pytest.param("x = 1", "flow.py has no class Flow in its source", id="no class"),
        pytest.param("Flow = make()", "flow.py has no class Flow in its source", id="made class"),
        pytest.param("class Flow(Base): pass", "the class Flow has no `run` in its source", id="no run"),
        pytest.param(
            f"{HEAD}        return {'(' * 150}{'-' * 20_000}1{')' * 150}",
            "the source is nested too deeply to be read",
            id="deep expression",
        ),
        pytest.param(
            f"{HEAD}        return {'+'.join(['x'] * 20_000)}\n",
            "the source is nested too deeply to be read",
            id="long sum",
        ),
        pytest.param("#" * 2_000_001, "the sources have more than 2,000,000 characters", id="large"),
        pytest.param(
            _entangled(),
            "the source takes too long to be followed: it is very long, or its helpers call each other in many ways",
            id="entangled",
        ),
    ],
)
def test_source_that_cannot_be_read_has_a_note(source: str, note: str) -> None:
    """No error, whatever it is, and no long time."""
    began = time.perf_counter()

    found = read_graph({"flow.py": source}, "flow.py", "Flow")

    assert (found.graph, found.note) == (None, note)
    assert time.perf_counter() - began < 30


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("made = [*made, *made]", id="spread"),
        pytest.param("made = [made, made]", id="nested"),
        pytest.param("made = {'a': made, 'b': made}", id="dict"),
        pytest.param("made = keep(*made, *made)", id="arguments"),
        pytest.param("made = (made, made)[0]", id="tuple"),
    ],
)
def test_container_that_doubles_is_read(line: str) -> None:
    """A container that holds itself twice, again and again, takes no time and no room."""
    body = "        made = [lambda: step.do('a', work)]\n" + f"        {line}\n" * 60
    source = f"def keep(*made):\n    return made\n\n{HEAD}{body}        await made[0]()\n{STEP}"
    began = time.perf_counter()

    found = read_graph({"flow.py": source}, "flow.py", "Flow")

    assert time.perf_counter() - began < 10
    assert found.graph is not None


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(
            HEAD + "".join(f"        e{n} = await step.wait_for_event('{n}', 'x')\n" for n in range(2_000)), id="waits"
        ),
        pytest.param(
            "class Tree:\n"
            + "".join(f"    at{n}: 'Tree'\n" for n in range(20))
            + HEAD.replace("Entrypoint)", "Entrypoint[Tree])")
            + STEP,
            id="type of itself",
        ),
    ],
)
def test_payloads_are_read_at_once(source: str) -> None:
    """However many there are in a function, and whatever their types hold."""
    began = time.perf_counter()

    graph = graph_of({"flow.py": source}, "flow.py", "Flow")

    assert graph is not None
    assert time.perf_counter() - began < 10


def test_file_that_is_not_there_has_no_graph() -> None:
    """Neither have its classes."""
    assert read_graph({}, "flow.py", "Flow").note == "flow.py is no Python that this interpreter can read"
    assert classes_of({}, "flow.py") == []


def test_module_that_cannot_be_read_is_passed_over() -> None:
    """What is in it cannot be followed, and a remark says where the step object went."""
    files = {"flow.py": f"from broken import go\n{HEAD}        await go(step)\n{STEP}", "broken.py": "def go(:"}

    found = read_graph(files, "flow.py", "Flow")

    assert found.graph is not None
    assert [type(node) for node in found.graph.nodes] == [StepDo]
    assert found.graph.remarks == ("flow.py:5: the step object is handed to code that cannot be followed: go(step)",)


@pytest.mark.parametrize(
    ("files", "main"),
    [
        pytest.param({"helpers.py": "", "flow.py": "import helpers"}, "flow.py", id="module"),
        pytest.param(
            {"lib/helpers.py": "", "lib/__init__.py": "", "flow.py": "from lib import helpers"}, "flow.py", id="package"
        ),
        pytest.param(
            {"lib/helpers.py": "", "lib/__init__.py": "", "flow.py": "import lib.helpers\nhelpers = lib.helpers"},
            "flow.py",
            id="module of a package",
        ),
        pytest.param({"src/helpers.py": "", "src/flow.py": "import helpers"}, "src/flow.py", id="below the root"),
        pytest.param({"a/helpers.py": "", "a/flow.py": "from . import helpers"}, "a/flow.py", id="relative"),
    ],
)
def test_helpers_of_other_modules_are_followed(files: dict[str, str], main: str) -> None:
    """As Python imports them: beside the script, in a package, relative to it."""
    helper = next(path for path in files if path.endswith("helpers.py"))
    files = {
        **files,
        helper: "async def go(step):\n    await step.do('there', work)\n",
        main: f"{files[main]}\n{HEAD}        await helpers.go(step)\n",
    }

    graph = graph_of(files, main, "Flow")

    assert graph is not None
    (node,) = graph.functions["go"].nodes
    assert isinstance(node, StepDo)
    assert (node.name, node.place is not None and node.place.file) == ("there", helper)


def test_five_hundred_steps_are_read_at_once() -> None:
    """A long workflow takes a moment, and each of its steps has a node."""
    lines = "".join(f"        x{n} = await step.do('s{n}', work, x{n - 1})\n" for n in range(1, 501))
    began = time.perf_counter()

    graph = graph_of({"flow.py": f"{HEAD}        x0 = 1\n{lines}"}, "flow.py", "Flow")

    assert graph is not None
    assert len(graph.nodes) == 500
    assert time.perf_counter() - began < 5
