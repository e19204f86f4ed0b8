"""`@step.do` as Cloudflare's Python SDK has it: names, dependencies, and when a step runs."""

import asyncio
import inspect
from contextlib import suppress
from typing import Any

import pytest

from stepwell.core.failures import Failure
from tests.authoring.cases import names_of
from tests.engine.flows import ONCE, error_of, opened, output_of, outputs_of

# ---- the decorator


@pytest.mark.parametrize("is_async", [pytest.param(True, id="async"), pytest.param(False, id="plain")])
async def test_function_of_a_step_may_be_async_or_not(*, is_async: bool) -> None:
    """`@step.do` takes both kinds of function.

    Source: developers.cloudflare.com/workflows/python/python-workers-api/
    """

    async def run(event, step):
        async def work_async():
            return "done"

        return await step.do("work")(work_async if is_async else lambda: "done")()

    assert await output_of(run) == "done"


async def test_step_is_named_by_its_function_unless_told_otherwise() -> None:
    """The default name is that of the function.

    Source: github.com/cloudflare/workers-py (packages/runtime-sdk, src/workers/_workers.py)
    """

    async def run(event, step):
        @step.do()
        async def first():
            pass

        @step.do("my second step")
        async def second():
            pass

        @step.do(name="my third step")
        async def third():
            pass

        await first()
        await second()
        await third()

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        assert await names_of(instance) == ["first-1", "my second step-1", "my third step-1"]


async def test_decorated_step_is_called_without_arguments_and_awaited() -> None:
    """Decorating runs nothing, calling gives a coroutine, and awaiting that runs the step; there are no arguments.

    Source: developers.cloudflare.com/workflows/python/python-workers-api/
    """
    ran = []

    async def run(event, step):
        @step.do()
        async def work():
            ran.append("work")
            return "done"

        call = work()
        await step.sleep("nap", 10)
        seen = [inspect.iscoroutine(call), list(ran), await call]
        with pytest.raises(TypeError):
            work(5)
        return seen

    assert await output_of(run) == [True, [], "done"]


# ---- dependencies


async def test_parameter_receives_the_result_of_the_step_it_names() -> None:
    """Each parameter is the name of an earlier step, which is run if it has not been.

    Source: developers.cloudflare.com/workflows/python/dag/
    """

    async def run(event, step):
        @step.do()
        async def base():
            return 10

        @step.do()
        def doubled(base):
            return base * 2

        @step.do()
        async def total(doubled, base):
            return [doubled, base]

        return await total()

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        assert (await instance.output(), await names_of(instance)) == ([20, 10], ["base-1", "doubled-1", "total-1"])


async def test_parameter_names_the_step_and_not_its_function() -> None:
    """A step with a name of its own is known by that; one with spaces in it can be named by no parameter.

    Source: github.com/cloudflare/workers-py (packages/runtime-sdk, src/workers/_workers.py)
    """

    async def run(event, step):
        @step.do("price")
        async def look_up():
            return 5

        @step.do("ask for it")
        async def ask():
            return 6

        for name, function in {"look_up": lambda look_up: 1, "ask": lambda ask: 1}.items():
            with pytest.raises(TypeError, match=f"Received unexpected parameter {name}"):
                await step.do("missing")(function)()
        return await step.do("found")(lambda price: price)()

    assert await output_of(run) == 5


@pytest.mark.parametrize(
    "place", [pytest.param(0, id="first"), pytest.param(1, id="between"), pytest.param(2, id="last")]
)
async def test_ctx_is_known_by_its_name_in_any_position(place: int) -> None:
    """A parameter `ctx` receives the context, wherever it stands.

    Source: developers.cloudflare.com/workflows/python/python-workers-api/
    """

    async def run(event, step):
        step.do("a")(lambda: "a")
        step.do("b")(lambda: "b")
        functions = [
            lambda ctx, a, b: [ctx["step"], ctx["attempt"], sorted(ctx["config"]), a, b],
            lambda a, ctx, b: [ctx["step"], ctx["attempt"], sorted(ctx["config"]), a, b],
            lambda a, b, ctx: [ctx["step"], ctx["attempt"], sorted(ctx["config"]), a, b],
        ]
        return await step.do("c")(functions[place])()

    assert await output_of(run) == [{"name": "c", "count": 1}, 1, ["retries", "timeout"], "a", "b"]


async def test_unknown_parameter_is_a_type_error_at_the_call() -> None:
    """A parameter that names no step is refused when the step is called, and not before.

    Source: github.com/cloudflare/workers-py (packages/runtime-sdk, src/workers/_workers.py)
    """

    async def run(event, step):
        @step.do()
        async def pay(price):
            return price

        await step.do("first")(lambda: 1)()
        await pay()

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()
        error = await instance.error()

        assert error is not None
        assert (error.name, error.message.split(":")[0]) == ("TypeError", "Received unexpected parameter price")
        assert await names_of(instance) == ["first-1"]


async def test_default_value_of_a_parameter_is_not_used() -> None:
    """Any parameter has to name a step, whatever default it has.

    Source: github.com/cloudflare/workers-py (packages/runtime-sdk, src/workers/_workers.py)
    """

    async def run(event, step):
        @step.do()
        async def pay(price=5):
            return price

        await pay()

    error = await error_of(run)

    assert error is not None
    assert (error.name, error.message.split(":")[0]) == ("TypeError", "Received unexpected parameter price")


async def test_dependencies_run_one_after_another_in_the_order_of_parameters() -> None:
    """Without `concurrent`, the next dependency begins when the one before has ended.

    Source: developers.cloudflare.com/workflows/python/dag/
    """
    order = []

    async def run(event, step):
        @step.do()
        async def quick():
            order.append("quick")

        @step.do()
        async def slow():
            order.append("slow begins")
            await asyncio.sleep(0)
            order.append("slow ends")

        await step.do("both")(lambda slow, quick: None)()

    await output_of(run)

    assert order == ["slow begins", "slow ends", "quick"]


async def test_concurrent_dependencies_run_at_the_same_time() -> None:
    """With `concurrent` two dependencies that wait for each other both end.

    Source: developers.cloudflare.com/workflows/python/dag/
    """

    async def run(event, step):
        began = {"left": asyncio.Event(), "right": asyncio.Event()}

        @step.do()
        async def left():
            began["left"].set()
            await began["right"].wait()
            return "left"

        @step.do()
        async def right():
            began["right"].set()
            await began["left"].wait()
            return "right"

        return await step.do("both", concurrent=True)(lambda left, right: [left, right])()

    assert await output_of(run) == ["left", "right"]


async def test_concurrent_does_not_start_the_step_itself() -> None:
    """`concurrent` is about the dependencies: two such steps still run when, and as often as, they are awaited.

    Source: developers.cloudflare.com/workflows/python/python-workers-api/
    """

    async def run(event, step):
        first = step.do("first", concurrent=True)(lambda: 1)
        second = step.do("second", concurrent=True)(lambda: 2)
        return [await second(), await first()]

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        assert (await instance.output(), await names_of(instance)) == ([2, 1], ["second-1", "first-1"])


# ---- what is used again


async def test_dependency_that_has_ended_is_used_again() -> None:
    """Two steps that need a third share one run of it.

    Source: developers.cloudflare.com/workflows/python/dag/
    """

    async def run(event, step):
        step.do("base")(lambda ctx: ctx["step"]["count"])
        return [await step.do("one")(lambda base: base)(), await step.do("two")(lambda base: base)()]

    assert await outputs_of(run) == ([1, 1], [1, 1])


async def test_dependency_in_flight_is_awaited() -> None:
    """Two steps that need a third at the same time share one run of it, too.

    Source: github.com/cloudflare/workers-py (packages/runtime-sdk, src/workers/_workers.py)
    """

    async def run(event, step):
        @step.do()
        async def base(ctx):
            await asyncio.sleep(0)
            return ctx["step"]["count"]

        one = step.do("one")(lambda base: base)
        two = step.do("two")(lambda base: base)
        return await asyncio.gather(one(), two())

    assert await outputs_of(run) == ([1, 1], [1, 1])


async def test_direct_call_runs_a_new_step_that_dependents_then_get() -> None:
    """A second call of a step is the next count of its name, and replaces what dependents receive.

    Source: github.com/cloudflare/workers-py (packages/runtime-sdk, src/workers/_workers.py)
    """

    async def run(event, step):
        base = step.do("base")(lambda ctx: ctx["step"]["count"])
        shown = step.do("shown")(lambda base: base)
        return [await base(), await shown(), await base(), await shown()]

    assert await outputs_of(run) == ([1, 1, 2, 2], [1, 1, 2, 2])


async def test_failed_dependency_is_run_anew_by_the_next_that_needs_it() -> None:
    """A failure reaches the dependent and is not kept: the next one runs the dependency under a new count.

    Source: github.com/cloudflare/workers-py (packages/runtime-sdk, src/workers/_workers.py)
    """

    async def run(event, step):
        @step.do(config=ONCE)
        async def flaky(ctx):
            if ctx["step"]["count"] == 1:
                raise ValueError("not yet")
            return ctx["step"]["count"]

        shown = step.do("shown")(lambda flaky: flaky)
        try:
            await shown()
        except ValueError as error:
            return [str(error), await shown()]

    assert await outputs_of(run) == (["not yet", 2], ["not yet", 2])


async def test_direct_call_that_fails_leaves_dependents_the_result_before_it() -> None:
    """Only a success replaces what dependents receive.

    Source: github.com/cloudflare/workers-py (packages/runtime-sdk, src/workers/_workers.py)
    """

    async def run(event, step):
        @step.do(config=ONCE)
        async def base(ctx):
            if ctx["step"]["count"] == 2:
                raise ValueError("not again")
            return ctx["step"]["count"]

        shown = step.do("shown")(lambda base: base)
        with suppress(ValueError):
            await asyncio.gather(base(), base())
        return await shown()

    assert await outputs_of(run) == (1, 1)


async def test_step_that_has_the_name_of_an_earlier_one_replaces_it() -> None:
    """A dependent gets the step that was last given the name, also if it was decorated before.

    Source: github.com/cloudflare/workers-py (packages/runtime-sdk, src/workers/_workers.py)
    """

    async def run(event, step):
        step.do("rate")(lambda: "old")
        price = step.do("price")(lambda rate: rate)
        step.do("rate")(lambda: "new")
        return await price()

    assert await output_of(run) == "new"


# ---- the older form


async def test_depends_gives_parameters_their_steps_by_place() -> None:
    """`depends` lists the steps in the order of the parameters besides `ctx`, so that any name will do.

    Source: developers.cloudflare.com/workflows/python/python-workers-api/
    """

    async def run(event, step):
        found = step.do("look it up")(lambda: 1)
        told = step.do("ask for it")(lambda: 2)
        decide = step.do("decide", [found, told])(lambda one, ctx, two: [one, two, ctx["attempt"]])
        concurrent = step.do("decide", depends=[told, found], concurrent=True)(lambda one, two: [one, two])
        return [await decide(), await concurrent()]

    assert await output_of(run) == [[1, 2, 1], [2, 1]]


async def test_options_of_a_step_may_be_given_by_position() -> None:
    """Name, depends, concurrent and config may stand in this order, without their names.

    Source: developers.cloudflare.com/workflows/python/python-workers-api/
    """

    async def run(event, step):
        found = step.do("look it up")(lambda: 1)
        decide = step.do("decide", [found], True, {"timeout": "1 minute"})(
            lambda one, ctx: [one, ctx["config"]["timeout"]]
        )
        return await decide()

    assert await output_of(run) == [1, "1 minute"]


@pytest.mark.parametrize(
    "count",
    [pytest.param(0, id="none"), pytest.param(2, id="too many")],
)
async def test_depends_that_does_not_fit_the_parameters_is_a_type_error(count: int) -> None:
    """There has to be a step for each parameter besides `ctx`.

    Source: github.com/cloudflare/workers-py (packages/runtime-sdk, src/workers/_workers.py)
    """

    async def run(event, step):
        other = step.do("other")(lambda: 1)
        await step.do("decide", depends=[other] * count)(lambda found, ctx: found)()

    assert await error_of(run) == Failure(
        "TypeError", f"Step 'decide' declares 1 parameter(s) besides ctx, but `depends` has {count} item(s)"
    )


async def test_parameters_without_depends_are_names_of_steps() -> None:
    """Both forms are there at once: without a list, parameters name their steps, whatever the compatibility date.

    Source: developers.cloudflare.com/workflows/python/dag/
    """

    async def run(event, step):
        price: Any = step.do("price")(lambda: 5)
        listed = step.do("listed", depends=[price])(lambda found: found)
        named = step.do("named", depends=None)(lambda price: price)
        return [await listed(), await named()]

    assert await output_of(run) == [5, 5]
