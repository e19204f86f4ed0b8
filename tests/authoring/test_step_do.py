"""`step.do`: its name, its key, what is recorded of it, and what it refuses."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from stepwell.core.execution import Execution
from stepwell.core.failures import Failure
from stepwell.core.keys import Scope
from stepwell.core.records import Key, StepConfig, StepKind
from stepwell.errors import (
    Diverged,
    InvalidStepConfig,
    InvalidStepName,
    StepFailed,
    StepLimitReached,
    WorkflowFatalError,
)
from stepwell.settings import TurnSettings
from tests.authoring.cases import REPLAYED, names_of, refusal_of, starts_of, steps_of
from tests.engine.flows import NOW, ONCE, error_of, opened, output_of, restart


class CardDeclined(Exception):
    pass


# ---- name and key


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="empty"),
        pytest.param("Charge für Ann / 100 %", id="any text"),
        pytest.param("a\x20b", id="first after the control characters"),
        pytest.param("x" * 256, id="256 characters"),
    ],
)
async def test_step_name_within_the_rule_is_taken(name: str) -> None:
    """A step's name is any text of up to 256 characters without control characters, the empty one included.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/lib/validators.ts)
    """

    async def run(event, step):
        return await step.do(name)(lambda: "done")()

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        assert (await instance.output(), await names_of(instance)) == ("done", [f"{name}-1"])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param("x" * 257, "'" + "x" * 257 + "'", id="257 characters"),
        pytest.param("a\x00b", "'a\\x00b'", id="U+0000"),
        pytest.param("a\nb", "'a\\nb'", id="line end"),
        pytest.param("a\x1fb", "'a\\x1fb'", id="U+001F"),
        pytest.param(5, "5", id="number"),
    ],
)
async def test_step_name_beyond_the_rule_is_refused(name: Any, shown: str) -> None:
    """A bad name is a WorkflowFatalError that shows the name and the rule.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """
    error, entries = await refusal_of(lambda step: step.do(name)(lambda: "done")())

    assert isinstance(error, InvalidStepName)
    assert str(error) == f"Step name {shown} must be text of up to 256 characters without control characters."
    assert entries == []


async def test_same_name_again_is_the_next_count() -> None:
    """A step is known by its name and by how many calls of that name came before, apart from sleeps of the name.

    Source: developers.cloudflare.com/workflows/build/step-context/
    """

    async def run(event, step):
        async def count(ctx):
            return [ctx["step"]["name"], ctx["step"]["count"]]

        first = await step.do("a")(count)()
        await step.sleep("a", 10)
        return [first, await step.do("b")(count)(), await step.do("a")(count)()]

    async with opened(run) as (engine, instance):
        await engine.advance(10)

        assert await instance.output() == [["a", 1], ["b", 1], ["a", 2]]
        assert await names_of(instance) == ["a-1", "a-1", "b-1", "a-2"]


# ---- what is recorded


async def test_step_with_a_result_does_not_run_again() -> None:
    """On each replay `run` begins at its first line, and a step that has a result returns it.

    Source: developers.cloudflare.com/workflows/build/rules-of-workflows/
    """
    ran = []

    async def run(event, step):
        ran.append("run")

        @step.do()
        async def work():
            ran.append("work")
            return "done"

        result = await work()
        await step.sleep("nap", "1 hour")
        return result

    assert (await output_of(run), ran) == ("done", ["run", "work", "run"])


async def test_nothing_is_a_result() -> None:
    """A step that returns None has run: it is not run again.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """
    ran = []

    async def run(event, step):
        @step.do()
        async def work():
            ran.append("work")

        result = [await work()]
        await step.sleep("nap", "1 hour")
        return result

    assert (await output_of(run), ran) == ([None], ["work"])


async def test_final_error_is_raised_again_on_replay() -> None:
    """A step that failed for good is not run again: a replay raises its error, with name and message.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """
    seen = []

    async def run(event, step):
        @step.do(config=ONCE)
        async def charge():
            seen.append("ran")
            raise CardDeclined("no funds")

        try:
            await charge()
        except StepFailed as error:
            seen.append(f"{error.name}: {error}")
        await step.sleep("nap", "1 hour")

    await output_of(run)

    assert seen == ["ran", "CardDeclined: no funds", "CardDeclined: no funds"]


async def test_renamed_step_runs_and_the_old_result_stays_unused() -> None:
    """Names are not held against the history: a step that changed code calls by another name simply runs.

    Source: developers.cloudflare.com/workflows/build/rules-of-workflows/
    """
    names = ["old", "new"]

    async def run(event, step):
        result = await step.do(names.pop(0), lambda name: name, names[0] if names else "last")
        await step.sleep("nap", "1 hour")
        return result

    async with opened(run) as (engine, instance):
        # The kit tells of it; the instance goes on.
        with pytest.raises(Diverged):
            await engine.advance("1 hour")
        await engine.advance("1 hour")

        assert await instance.output() == "last"
        assert await names_of(instance) == ["old-1", "nap-1", "new-1"]


async def test_first_config_wins_over_changed_code() -> None:
    """The merged config is recorded when a step first runs, and stays: later code cannot change its retries.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """
    configs: list[Any] = [{"retries": {"limit": 2, "delay": "1 minute", "backoff": "constant"}}, ONCE, None]

    async def run(event, step):
        @step.do(config=configs[0])
        async def work(ctx):
            configs.pop(0)
            raise ValueError(f"attempt {ctx['attempt']}")

        await work()

    async with opened(run) as (engine, instance):
        await engine.advance("1 hour")

        assert await instance.error() == Failure("ValueError", "attempt 3")
        assert (await steps_of(instance))[0].config == StepConfig(2, "1 minute", "constant", "10 minutes")


async def test_delay_function_is_that_of_the_live_code() -> None:
    """A delay function cannot be recorded: each failure asks the one that the running code has.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """
    delays: list[Any] = [lambda about: 1000, lambda about: 60_000, lambda about: 60_000]

    async def run(event, step):
        @step.do(config={"retries": {"limit": 2, "delay": delays.pop(0), "backoff": "constant"}})
        async def work():
            raise ValueError

        await work()

    async with opened(run, settings=REPLAYED) as (engine, instance):
        await engine.advance("1 hour")

        assert await starts_of(instance) == [0, 1, 61]


async def test_delay_function_that_is_gone_is_the_default_delay() -> None:
    """Where the running code has no delay function any more, the default delay of 10 seconds is waited.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """
    delays: list[Any] = [lambda about: 1000, "1 day", "1 day"]

    async def run(event, step):
        @step.do(config={"retries": {"limit": 2, "delay": delays.pop(0), "backoff": "constant"}})
        async def work():
            raise ValueError

        await work()

    async with opened(run, settings=REPLAYED) as (engine, instance):
        await engine.advance("1 hour")

        assert await starts_of(instance) == [0, 1, 11]


# ---- what is refused


async def test_bad_config_is_refused_with_its_field_and_value() -> None:
    """A bad config is a WorkflowFatalError that names the step, the field and the value.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """
    error, entries = await refusal_of(lambda step: step.do("work", config={"timeout": "5s"})(lambda: "done")())

    assert isinstance(error, InvalidStepConfig)
    assert str(error) == (
        'Step "work": timeout must be more than 0: a number of milliseconds or a duration such as "5 minutes", '
        'got "5s".'
    )
    assert entries == []


@pytest.mark.parametrize("function", [pytest.param(None, id="none"), pytest.param("work", id="text")])
async def test_step_without_a_function_is_refused(function: Any) -> None:
    """A step needs a function; in Python the decorator itself raises a TypeError.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """
    error, entries = await refusal_of(lambda step: step.do("work")(function))

    assert (type(error), str(error)) == (TypeError, f"{function!r} is not a callable object")
    assert entries == []


CONFIG = {"timeout": "5 seconds", "retries": {"limit": 1, "delay": 1}}


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda step: step.do("work", CONFIG, lambda: "done"), id="before the function"),
        pytest.param(lambda step: step.do("work", lambda: "done", CONFIG), id="behind it"),
        pytest.param(lambda step: step.do("work", lambda ctx: "done", CONFIG), id="in the place of ctx"),
        pytest.param(lambda step: step.do("work", lambda a: a, 1, CONFIG), id="behind arguments"),
    ],
)
async def test_config_that_is_not_named_is_refused(call: Callable[[Any], Awaitable[Any]]) -> None:
    """JavaScript has it in the second place; here it has a name, and is no argument that the function cannot take.

    Source: developers.cloudflare.com/workflows/python/python-workers-api/
    """
    error, entries = await refusal_of(call)

    assert isinstance(error, InvalidStepConfig)
    assert str(error).startswith(
        'Step "work": the config must be given by its name, step.do(name, function, config={...}), got {'
    )
    assert entries == []


@pytest.mark.parametrize(
    ("function", "argument"),
    [
        pytest.param(lambda a: a, CONFIG, id="that looks like a config"),
        pytest.param(lambda *a: a[0], CONFIG, id="of any number"),
        pytest.param(lambda a: a, {}, id="empty"),
        pytest.param(lambda ctx: ctx, {"a": 1}, id="in the place of ctx, and no config"),
    ],
)
async def test_dict_that_the_function_takes_is_its_argument(function: Any, argument: Any) -> None:
    """Nothing is refused that could be meant.

    Source: developers.cloudflare.com/workflows/python/python-workers-api/
    """

    async def run(event, step):
        return await step.do("work", function, argument)

    assert await output_of(run) == argument


async def test_function_is_checked_before_the_name() -> None:
    """Of a missing function and a bad name, the function is what the author hears of.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """
    error, _ = await refusal_of(lambda step: step.do("a\nb")(None))

    assert type(error) is TypeError


async def test_step_limit_is_checked_before_the_config() -> None:
    """Of too many steps and a bad config, the limit is what the author hears of.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """
    error, _ = await refusal_of(
        lambda step: step.do("work", config={"timeout": 0})(lambda: "done")(), settings=TurnSettings(step_limit=0)
    )

    assert type(error) is StepLimitReached


async def test_name_is_checked_before_the_config() -> None:
    """Of a bad name and a bad config, the name is what the author hears of.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """
    error, _ = await refusal_of(lambda step: step.do("a\nb", config={"timeout": 0})(lambda: "done")())

    assert type(error) is InvalidStepName


async def test_refused_call_uses_no_attempt() -> None:
    """A refusal is raised into the workflow, can be caught, and the next call of the name has all its attempts.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """

    async def run(event, step):
        async def attempt(ctx):
            return ctx["attempt"]

        try:
            await step.do("work", config={"timeout": 0})(attempt)()
        except WorkflowFatalError:
            return await step.do("work", config=ONCE)(attempt)()

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        assert await instance.output() == 1
        assert [len(entry.attempts) for entry in await steps_of(instance)] == [1]


async def test_refusal_that_nobody_catches_fails_the_instance() -> None:
    """The instance's error has the name WorkflowFatalError.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/lib/errors.ts)
    """

    async def run(event, step):
        await step.do("a\nb")(lambda: "done")()

    assert await error_of(run) == Failure(
        "WorkflowFatalError", "Step name 'a\\nb' must be text of up to 256 characters without control characters."
    )


# ---- the limit of steps


async def test_step_beyond_the_limit_is_refused() -> None:
    """The limit is a WorkflowFatalError that says how many steps there may be, and can be caught.

    Source: developers.cloudflare.com/workflows/reference/limits/
    """

    async def run(event, step):
        done = 0
        try:
            for _ in range(5):
                await step.do("work")(lambda: None)()
                done += 1
        except StepLimitReached as error:
            return [done, str(error).split(". ")[0]]

    assert await output_of(run, settings=TurnSettings(step_limit=3)) == [
        3,
        "The limit of 3 steps has been reached",
    ]


async def test_steps_that_are_on_record_count_against_the_limit() -> None:
    """A replay meets the limit in the same place: calls that only return their results count too.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """

    async def run(event, step):
        done = 0
        try:
            for _ in range(5):
                await step.do("work")(lambda: None)()
                done += 1
                await step.sleep("nap", "1 hour")
        except StepLimitReached:
            return done

    async with opened(run, settings=TurnSettings(step_limit=3, parks_always=True)) as (engine, instance):
        await engine.advance("90 minutes")
        await restart(engine)
        await engine.advance("1 day")

        assert await instance.output() == 3


async def test_sleeps_and_waits_do_not_count_against_the_limit() -> None:
    """Only `step.do` counts against the limit of steps.

    Source: developers.cloudflare.com/workflows/reference/limits/
    """

    async def run(event, step):
        await step.sleep("nap", 10)
        await step.sleep_until("date", NOW + 60_000)
        await step.wait_for_event("approval", "approved")
        result = await step.do("work")(lambda: "done")()
        await step.sleep("nap", 10)
        await step.wait_for_event("approval", "approved")
        return result

    async with opened(run, settings=TurnSettings(step_limit=1)) as (engine, instance):
        for _ in range(2):
            await instance.send_event("approved")
        await engine.advance("1 hour")

        assert await instance.output() == "done"


def test_ten_thousand_steps_are_the_limit() -> None:
    """An instance may have 10,000 steps unless the server says otherwise.

    Source: developers.cloudflare.com/workflows/reference/limits/
    """
    execution, calls = Execution((), NOW, TurnSettings()), Scope()

    keys = [execution.next_key(StepKind.DO, "work", calls) for _ in range(10_000)]

    assert keys[-1] == Key(StepKind.DO, "work", 10_000)
    with pytest.raises(StepLimitReached):
        execution.next_key(StepKind.DO, "work", calls)


# ---- what is not recorded


async def test_code_outside_of_steps_runs_again() -> None:
    """What stands outside of steps is run in each turn, so what it makes up is another each time.

    Source: developers.cloudflare.com/workflows/build/rules-of-workflows/
    """
    turns = []

    async def run(event, step):
        turns.append("turn")
        await step.sleep("nap", "1 hour")
        return len(turns)

    assert await output_of(run) == 2


async def test_change_of_the_event_is_not_kept() -> None:
    """The event is what it was in each turn, whatever the workflow does to it.

    Source: developers.cloudflare.com/workflows/build/events-and-parameters/
    """

    async def run(event, step):
        event["payload"]["seen"] = event["payload"].get("seen", 0) + 1
        await step.sleep("nap", "1 hour")
        return event["payload"]

    assert await output_of(run, params={"item": "book"}) == {"item": "book", "seen": 1}
