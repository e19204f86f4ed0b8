"""What a step may return, and what becomes of it."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from stepwell import WorkflowEntrypoint
from stepwell.core.failures import Failure
from stepwell.errors import NotSerialisable
from stepwell.testing import TestEngine
from tests.authoring.cases import steps_of
from tests.engine.flows import Run, opened, output_of
from tests.engine.stores import RefusingStore


@dataclass
class Receipt:
    number: int
    paid_at: datetime


def returning(value: Any, config: Any = None) -> Run:
    """Return a workflow whose only step returns a value, and which would go on after any error."""

    async def run(event, step):
        @step.do("work", config=config)
        async def work():
            return value

        try:
            return await work()
        except Exception as error:  # as an author may catch it
            return f"caught {error}"

    return run


def _cycle() -> list[Any]:
    cycle: list[Any] = []
    cycle.append(cycle)
    return cycle


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="nothing"),
        pytest.param(True, id="bool"),
        pytest.param(3, id="integer"),
        pytest.param(2.5, id="float"),
        pytest.param(float("inf"), id="infinity"),
        pytest.param("text", id="text"),
        pytest.param([1, [2, None]], id="list"),
        pytest.param({"a": {"b": [1]}}, id="dict"),
        pytest.param({1: "a", (2, 3): "b"}, id="dict with other keys, JavaScript's Map"),
        pytest.param({"a", 5}, id="set"),
        pytest.param(datetime(2026, 1, 1, 12, tzinfo=UTC), id="datetime, JavaScript's Date"),
        pytest.param(2**70, id="large integer, JavaScript's BigInt"),
        pytest.param(b"\x00\xff", id="bytes, JavaScript's ArrayBuffer"),
        pytest.param(bytearray(b"\x00\xff"), id="bytearray, JavaScript's Uint8Array"),
        pytest.param((1, (2,)), id="tuple"),
        pytest.param(Decimal("1.10"), id="decimal"),
        pytest.param(date(2026, 1, 1), id="date"),
    ],
)
async def test_result_comes_back_as_what_it_was(value: Any) -> None:
    """What can be copied comes back with value and type, at once and on replay.

    Source: developers.cloudflare.com/workflows/build/workers-api/#workflowstep
    """
    seen = []

    async def run(event, step):
        seen.append(await step.do("work")(lambda: value)())
        await step.sleep("nap", "1 hour")

    await output_of(run)

    assert seen == [value, value]
    assert [type(result) for result in seen] == [type(value)] * 2


async def test_object_keeps_its_class() -> None:
    """Unlike on Cloudflare, where objects become plain, an object of the script's own classes stays one.

    Source: developers.cloudflare.com/workflows/python/python-workers-api/
    """
    seen = []

    class Payment(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do()
            async def pay():
                return Receipt(5, datetime(2026, 1, 1, tzinfo=UTC))

            seen.append(await pay())
            await step.sleep("nap", "1 hour")

    async with TestEngine.open([Payment]) as engine:
        await engine.create(Payment)
        await engine.advance("1 day")

    assert seen == [Receipt(5, datetime(2026, 1, 1, tzinfo=UTC))] * 2


async def test_result_is_a_copy() -> None:
    """What the workflow does to a result changes nothing of what is stored.

    Source: developers.cloudflare.com/workflows/build/rules-of-workflows/
    """
    seen = []

    async def run(event, step):
        basket = await step.do("work")(lambda: ["book"])()
        seen.append(list(basket))
        basket.append("pen")
        await step.sleep("nap", "1 hour")

    await output_of(run)

    assert seen == [["book"], ["book"]]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        pytest.param(len, "result is not serialisable: builtin_function_or_method is not storable.", id="function"),
        pytest.param(object(), "result is not serialisable: object is not storable.", id="symbol"),
        pytest.param(re.compile("a"), "result is not serialisable: Pattern is not storable.", id="regular expression"),
        pytest.param([ValueError()], "result[0] is not serialisable: ValueError is not storable.", id="exception"),
        pytest.param(
            {"items": [1, object()]},
            'result["items"][1] is not serialisable: object is not storable.',
            id="inside another",
        ),
        pytest.param(
            _cycle(),
            "result" + "[0]" * 20 + "... is not serialisable: it is nested more than 256 deep, or contains itself.",
            id="cycle",
        ),
    ],
)
async def test_result_that_cannot_be_stored_ends_the_instance(value: Any, problem: str) -> None:
    """It is a WorkflowFatalError that names the place: no other attempt, and nothing can catch it.

    Source: developers.cloudflare.com/workflows/build/workers-api/#workflowstep
    """
    async with opened(returning(value)) as (engine, instance):
        await engine.advance("1 day")
        (step,) = await steps_of(instance)

        assert (await instance.status(), await instance.output()) == ("errored", None)
        assert await instance.error() == Failure("WorkflowFatalError", problem)
        assert [attempt.error for attempt in step.attempts] == [Failure("WorkflowFatalError", problem)]


async def test_result_of_1_mib_is_kept() -> None:
    """A result may have 2**20 bytes.

    Source: developers.cloudflare.com/workflows/reference/limits/
    """

    async def run(event, step):
        return len(await step.do("work")(lambda: "x" * 1_048_574)())

    assert await output_of(run) == 1_048_574


async def test_result_above_1_mib_is_tried_again() -> None:
    """One byte more is a WorkflowInternalError of the attempt, and goes through the step's retries.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """
    run = returning("x" * 1_048_575, {"retries": {"limit": 2, "delay": 10}})
    async with opened(run) as (engine, instance):
        await engine.advance("1 hour")
        (step,) = await steps_of(instance)

        problem = (
            "Step work-1 output is too large: 1,048,577 bytes as JSON. At most 1,048,576 are allowed; "
            "store the data elsewhere and return a reference."
        )
        assert await instance.output() == f"caught {problem}"
        assert [attempt.error for attempt in step.attempts] == [Failure("WorkflowInternalError", problem)] * 3


async def test_store_that_refuses_is_waited_for() -> None:
    """Unlike on Cloudflare, a store that cannot write costs no attempt: the result is given when it is stored.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """
    store = RefusingStore()

    async def run(event, step):
        @step.do()
        async def pay(ctx):
            store.refuses = True
            return ctx["attempt"]

        return await pay()

    async with opened(run, store=store) as (engine, instance):
        await engine.advance("1 minute")
        before = await instance.output()
        store.refuses = False
        await engine.advance("2 seconds")

        assert (before, await instance.output(), len((await steps_of(instance))[0].attempts)) == (None, 1, 1)
    await store.close()


@pytest.mark.parametrize(
    "output",
    [
        pytest.param({"total": [1, None]}, id="json"),
        pytest.param(None, id="nothing"),
        pytest.param((1, {2}), id="beyond json"),
    ],
)
async def test_run_returns_the_output(output: Any) -> None:
    """What `run` returns is the instance's output, by the same rules; it may be nothing.

    Source: developers.cloudflare.com/workflows/build/workers-api/#run
    """

    async def run(event, step):
        return output

    assert await output_of(run) == output


async def test_params_are_json() -> None:
    """Params arrive as the JSON that was sent, and anything else is refused by its place.

    Source: developers.cloudflare.com/workflows/build/events-and-parameters/
    """

    async def run(event, step):
        return event["payload"]

    assert await output_of(run, params={"items": [1, "a", None]}) == {"items": [1, "a", None]}
    with pytest.raises(NotSerialisable, match=r'^params\["items"\]\[0\] is not serialisable'):
        async with opened(run, params={"items": [object()]}):
            pass
