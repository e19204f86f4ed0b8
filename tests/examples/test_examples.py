"""The examples do what they say, whatever happens to their workers."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stepwell import WorkflowEntrypoint, scripts
from stepwell.core.failures import Failure
from stepwell.project import Project
from tests.engine.ways import Job, Sending, every_way

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
COVERED = {"agent", "assistant", "fanout", "order"}

Load = Callable[[str], type[WorkflowEntrypoint]]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Load the workflow of an example, and forget its module afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    workflows: dict[str, type[WorkflowEntrypoint]] = {}
    for script in scripts.load(Project.at(EXAMPLES)):
        (workflows[script.name],) = script.workflows.values()
    yield workflows.__getitem__
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_every_example_is_covered() -> None:
    """A new example needs a test here, and one beside it that shows people how to write theirs."""
    stems = {path.stem for path in EXAMPLES.glob("*.py")}
    assert stems == COVERED | {f"test_{name}" for name in COVERED}


def test_examples_load_as_one_folder(load: Load) -> None:
    """`stepwell dev examples` serves all of them, under names of their own."""
    names = [scripts.workflow_name(load(name)) for name in sorted(COVERED)]

    assert names == ["agent", "assistant", "fan-out", "order"]


async def test_order_is_charged_and_shipped_once(load: Load) -> None:
    """The card is declined twice, then charged; after the approval the parcel is sent."""
    job = Job(load("order"), {"cents": 4200}, [Sending("approved", {"by": "ann"}, is_late=True)])

    output = await every_way(job)

    assert {**output, "charge": output["charge"][:3], "parcel": output["parcel"][:3]} == {
        "charge": "ch_",
        "cents": 4200,
        "parcel": "pa_",
        "approved_by": "ann",
    }


async def test_order_may_be_approved_before_it_asks(load: Load) -> None:
    """An early approval is kept; one that says nothing of who gave it is from somebody."""
    job = Job(load("order"), {"cents": 1}, [Sending("approved", {})])

    output = await every_way(job, crashes=False)

    assert output["approved_by"] == "somebody"


async def test_order_that_nobody_approves_times_out(load: Load) -> None:
    """After seven days the order ends with an error."""
    error = await every_way(Job(load("order"), {"cents": 1}), crashes=False)

    assert error == Failure("WorkflowTimeoutError", "Execution timed out after 604800000ms")


@pytest.mark.parametrize(
    "params",
    [
        pytest.param({}, id="missing"),
        pytest.param({"cents": 0}, id="zero"),
        pytest.param({"cents": "4200"}, id="text"),
    ],
)
async def test_order_without_a_price_is_refused_at_once(load: Load, params: dict[str, Any]) -> None:
    """A wrong order is not tried again."""
    error = await every_way(Job(load("order"), params))

    assert error == Failure("NonRetryableError", "an order needs `cents`, a whole number above 0")


async def test_fan_out_takes_the_best_price(load: Load) -> None:
    """Four prices are asked for side by side, the best is taken, and three sums are made of it."""
    output = await every_way(Job(load("fanout")))

    assert output == {"shop": "east", "cents": 1180, "bulk": [1168, 10620, 94400]}


async def test_agent_finds_its_answer(load: Load) -> None:
    """Three tools are used, one after another, and their findings make the answer."""
    output = await every_way(Job(load("agent"), {"question": "pumps"}))

    assert output == {"answer": "pumps: 3 pages on pumps, 5 facts, 1 summary", "turns": 4}


async def test_assistant_writes_when_somebody_lets_it_and_answers_what_comes_later(load: Load) -> None:
    """Two questions, an approval and a refusal: the whole conversation is the output."""
    refusal = {"approved": False, "reason": "not twice"}
    sendings = [Sending("approval", {"approved": True}), Sending("question", "ropes"), Sending("approval", refusal)]

    messages = await every_way(Job(load("assistant"), {"question": "pumps"}, sendings), takes_turns=True)

    assert [message["content"] for message in messages if message["content"]] == [
        "pumps",
        "3 pages on pumps",
        "sent: pumps",
        "Asked about pumps: 3 pages on pumps; sent: pumps.",
        "ropes",
        "3 pages on ropes",
        "refused: not twice",
        "Asked about ropes: 3 pages on ropes; refused: not twice.",
    ]
