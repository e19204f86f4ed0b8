"""What instances have done, laid over the graphs of their code."""

import inspect
from collections.abc import Sequence
from typing import Any

import pytest

from examples import agent, fanout, order
from stepwell import WorkflowEntrypoint
from stepwell.graph.nodes import Named
from stepwell.graph.overlay import LogEntry, Overlay, all_nodes, lay_over
from stepwell.graph.source import graph_of
from stepwell.testing import TestEngine
from tests.graph.test_source import found_in

RUN = "class Flow(WorkflowEntrypoint):\n    async def run(self, event, step):\n"


def entry(name: str, type: Any = "step", status: Any = "complete") -> LogEntry:
    """Return an entry of a log."""
    return LogEntry(name, type, status)


def laid(source: str, *entries: LogEntry) -> Overlay:
    """Return what entries say of the graph of a `run`."""
    return lay_over(found_in(RUN + source), entries)


def _names(overlay: Overlay) -> dict[str, list[str]]:
    return {key: [one.name for one in state.entries] for key, state in overlay.states.items() if state.entries}


def test_loop_tells_how_often_and_how_badly() -> None:
    """A loop has the most runs of what is in it, and all that failed."""
    runs = [entry(f"pack-{n}", status="errored" if n == 5 else "complete") for n in range(1, 13)]

    overlay = laid("        for n in range(12):\n            await step.do('pack', work)\n", *runs)

    loop = overlay.states["1"]
    assert (loop.status, loop.runs, loop.failed, loop.entries) == ("errored", 12, 1, [])
    assert overlay.states["2"].runs == 12


@pytest.mark.parametrize(
    ("statuses", "told"),
    [
        pytest.param([], "notReached", id="none"),
        pytest.param(["complete", "complete"], "complete", id="all"),
        pytest.param(["complete", "errored"], "errored", id="failed"),
        pytest.param(["errored", "waiting"], "waiting", id="waits"),
        pytest.param(["waiting", "running", "errored"], "running", id="runs"),
    ],
)
def test_status_is_the_most_telling_one(statuses: Sequence[str], told: str) -> None:
    """What runs says more than what waits, and that more than what is over."""
    entries = [entry(f"a-{n}", status=status) for n, status in enumerate(statuses, 1)]

    overlay = laid("        await step.do('a', work)\n", *entries)

    assert overlay.states["1"].status == told


def test_type_and_name_find_the_node() -> None:
    """A sleep and a step of one name are two; the count is no part of the name."""
    source = "        await step.do('a-1', work)\n        await step.sleep('a-1', 5)\n"

    overlay = laid(source, entry("a-1-1"), entry("a-1-2"), entry("a-1-1", "sleep"), entry("a-1", "sleep"))

    assert _names(overlay) == {"1": ["a-1-1", "a-1-2"], "2": ["a-1-1"]}
    assert overlay.others == [entry("a-1", "sleep")]


def test_pattern_that_knows_more_wins() -> None:
    """A literal name comes first, then the pattern with the most text; others are not asked."""
    source = (
        "        await step.do('load one', work)\n"
        "        await step.do(f'load {a}', work)\n"
        "        await step.do(f'load {a} of {b}', work)\n"
        "        await step.do(a, work)\n"
    )

    overlay = laid(source, *(entry(f"{name}-1") for name in ("load one", "load x", "load 1 of 2", "x", "load \n2")))

    assert _names(overlay) == {
        "1": ["load one-1"],
        "2": ["load x-1", "load \n2-1"],
        "3": ["load 1 of 2-1"],
        "4": ["x-1"],
    }


def test_hostile_name_takes_no_time() -> None:
    """A name of many unknown parts is looked at once."""
    name = "-".join("{a}" for _ in range(60))

    overlay = laid(f"        await step.do(f'{name}x', work)\n", entry("-" * 250 + "-1"))

    assert _names(overlay) == {}


def test_nodes_of_one_name_share_their_entries() -> None:
    """Which of them was called cannot be known."""
    source = (
        "        if a:\n            await step.do('a', work)\n        else:\n            await step.do('a', work)\n"
    )

    overlay = laid(source, entry("a-1"))

    assert _names(overlay) == {"2": ["a-1"], "3": ["a-1"]}
    assert overlay.states["1"].runs == 1


def test_helper_that_calls_itself_comes_to_an_end() -> None:
    """Its calls stand as it does."""
    source = (
        "        await self.again(step)\n\n    async def again(self, step):\n"
        "        await step.do('a', work)\n        await self.again(step)\n"
    )

    overlay = laid(source, entry("a-1"), entry("a-2", status="running"))

    assert {key: (state.status, state.runs) for key, state in overlay.states.items()} == {
        "1": ("running", 2),
        "2": ("running", 2),
        "3": ("running", 2),
        "again()": ("running", 2),
    }


def test_rollback_belongs_to_its_step() -> None:
    """It is no run of it."""
    undone = entry("a-1", "rollback", "errored")

    overlay = laid("        await step.do('a', work, rollback=undo)\n", entry("a-1"), undone)

    state = overlay.states["1"]
    assert (state.status, state.runs, state.failed, state.rollback) == ("complete", 1, 0, "errored")
    assert state.entries == [entry("a-1"), undone]


def test_child_is_its_step_and_its_wait() -> None:
    """Both have its name, and are one run."""
    overlay = laid(
        "        await step.child('ship', self.env.X)\n", entry("ship-1"), entry("ship-1", "waitForEvent", "waiting")
    )

    assert (overlay.states["1"].status, overlay.states["1"].runs) == ("waiting", 1)


@pytest.mark.parametrize(
    ("workflow", "params"),
    [
        pytest.param(agent.Agent, {"question": "why"}, id="agent"),
        pytest.param(fanout.FanOut, {}, id="fanout"),
        pytest.param(order.Order, {"cents": 5}, id="order"),
    ],
)
async def test_every_entry_of_an_example_has_its_node(workflow: type[WorkflowEntrypoint[Any]], params: Any) -> None:
    """What an instance has done is in the graph of its code, and nothing else is."""
    source = inspect.getsource(inspect.getmodule(workflow) or workflow)
    graph = graph_of({"flow.py": source}, "flow.py", workflow.__name__)
    assert graph is not None

    async with TestEngine.open([workflow]) as engine:
        instance = await engine.create(workflow, id="a", params=params)
        await instance.send_event("approved", {"by": "ann"})
        await engine.run_until_idle()
        await engine.advance("1 hour")
        called = (await instance.log()).called
    overlay = lay_over(graph, [entry(one.name, one.type) for one in called])

    assert len(called) > 3
    assert overlay.others == []
    named = [node for node in all_nodes(graph) if isinstance(node, Named)]
    assert {overlay.states[node.key].status for node in named} == {"complete"}
