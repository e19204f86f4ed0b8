"""What attempts say of themselves: recorded with how each ends, once, and of no weight for anything else."""

from contextlib import suppress
from enum import Enum, IntEnum
from typing import Any

import pytest

from stepwell import StepContext, WorkflowEntrypoint
from stepwell.attributes import totals
from stepwell.core.records import Attributes
from stepwell.core.steplog import StepEntry
from stepwell.errors import WorkflowFatalError
from stepwell.store.operations import GetInstance
from stepwell.testing import ACCOUNT, TestInstance
from tests.engine.flows import ONCE, error_of, opened, restart
from tests.engine.ways import Job, every_way


async def _said(instance: TestInstance) -> list[Any]:
    """Return what each attempt of each step has said, in the order of the log."""
    entries = [entry for entry in (await instance.log()).entries if isinstance(entry, StepEntry)]
    return [[attempt.attributes for attempt in entry.attempts] for entry in entries]


async def test_attributes_are_kept_with_each_attempt() -> None:
    """Of failed ones too, of rollbacks, and of threads; None takes one away, and each attempt begins with nothing."""

    async def run(event, step):
        @step.do("think", config={"retries": {"limit": 2, "delay": 0}})
        async def think(ctx):
            ctx.set_attributes({"model": "m-1", "tokens": 10 * ctx.attempt, "draft": True})
            ctx.set_attributes({"draft": None, "cost": 0.5})
            if ctx.attempt < 3:
                raise ValueError("again")
            return dict(ctx.attributes)

        def act(ctx):
            ctx.set_attributes({"tokens": 1})
            raise ValueError("no")

        def undo(ctx):
            ctx.set_attributes({"undone": 1})

        known = await think()
        with suppress(ValueError):
            await step.do("act", act, config=ONCE, rollback=undo)
        await step.do("quiet", lambda: None)
        raise RuntimeError(str(known))

    async with opened(run) as (engine, instance):
        await engine.advance("1 hour")
        await restart(engine)

        assert await _said(instance) == [
            [{"model": "m-1", "tokens": tokens, "cost": 0.5} for tokens in (10, 20, 30)],
            [{"tokens": 1}],
            [{}],
            [{"undone": 1}],
        ]
        error = await instance.error()
        assert error is not None
        assert error.message == "{'model': 'm-1', 'tokens': 30, 'cost': 0.5}"


def _think(number, ctx):
    ctx.set_attributes({"tokens": number})
    return number


class Thinker(WorkflowEntrypoint):
    async def run(self, event, step):
        total = 0
        for number in range(3):
            total += await step.do("think", _think, number)
        return total


async def test_attributes_change_no_result() -> None:
    """From every prefix of a history with them the instance comes to the same end."""
    assert await every_way(Job(Thinker)) == 3


async def test_attributes_of_a_step_whose_delay_function_gives_up_count_once() -> None:
    """The attempt that failed has them, and not the failure of the step as well."""

    async def run(event, step):
        def refuse(about):
            raise ValueError("no delay")

        @step.do(config={"retries": {"limit": 3, "delay": refuse}})
        async def think(ctx):
            ctx.set_attributes({"tokens": 7})
            raise ValueError("429")

        await think()

    async with opened(run) as (engine, instance):
        await engine.advance("1 hour")

        assert await _said(instance) == [[{"tokens": 7}]]
        found = await engine.store.run(GetInstance(ACCOUNT, "flow", "a"))
        assert sum('"tokens":7' in row.body for row in found.records) == 1


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        pytest.param([], "a dict of names and values is needed, got []", id="no dict"),
        pytest.param({"": 1}, "a name must be 1 to 64 letters", id="empty name"),
        pytest.param({1: 1}, "a name must be 1 to 64 letters", id="name that is no text"),
        pytest.param({"a b": 1}, "a name must be 1 to 64 letters", id="name with a space"),
        pytest.param(
            {"a": "x" * 257},
            "a must be a number of up to 9,007,199,254,740,992",
            id="long text",
        ),
        pytest.param({"a": "x\n"}, "a must be a number", id="text that a terminal obeys"),
        pytest.param({"a": {}}, "a must be a number", id="dict"),
        pytest.param({"a": float("nan")}, "a must be a number", id="no number"),
        pytest.param({"a": -1e16}, "a must be a number", id="float that sums would make infinite"),
        pytest.param({"a": 2**53 + 1}, "a must be a number", id="number that not everybody can read"),
        pytest.param({f"a{n}": n for n in range(33)}, "an attempt has at most 32, and would have 34", id="too many"),
    ],
)
async def test_attribute_that_cannot_be_kept_fails_the_step_at_once(given: Any, problem: str) -> None:
    """With what is wrong; what was said before is kept."""

    async def run(event, step):
        @step.do
        async def think(ctx):
            ctx.set_attributes({"tokens": 1})
            ctx.set_attributes(given)

        await think()

    error = await error_of(run)

    assert error is not None
    assert error.name == WorkflowFatalError.__name__
    assert error.message.startswith(f"set_attributes: {problem}")


class Model(str, Enum):  # noqa: UP042  # as code before Python 3.11 has it
    LARGE = "m-1"


class Tokens(IntEnum):
    FEW = 7


class Cost(float):
    """As NumPy's are."""


async def test_classes_of_values_are_left_behind() -> None:
    """What is kept of an enum's member, or of a number of an array, is its value."""

    async def run(event, step):
        @step.do
        async def think(ctx):
            ctx.set_attributes({Model.LARGE: Model.LARGE, "tokens": Tokens.FEW, "cost": Cost(0.5)})
            return [type(value).__name__ for value in ctx.attributes.values()]

        return await think()

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        assert await _said(instance) == [[{"m-1": "m-1", "tokens": 7, "cost": 0.5}]]
        assert await instance.output() == ["str", "int", "float"]


def test_totals_are_sums_of_amounts() -> None:
    """Texts and bools have none, nor has what a model was asked for."""
    first: Attributes = {"tokens": 1, "cost": 0.25, "model": "m", "cached": True, "gen_ai.request.temperature": 0.7}

    assert totals([first, {"tokens": 2, "cost": 0.5}, {}]) == {"tokens": 3, "cost": 0.75}
    assert totals([{"cost": 0.1}, {"cost": 0.2}]) == {"cost": 0.3}
    assert totals([{"cost": 3}, {"cost": 0.25}]) == {"cost": 3.25}


async def test_step_that_is_called_outside_of_a_workflow_says_nothing() -> None:
    """A context that a test has made takes attributes, and forgets them."""
    context = StepContext({"attempt": 1})

    context.set_attributes({"tokens": 1})

    assert dict(context.attributes) == {}
