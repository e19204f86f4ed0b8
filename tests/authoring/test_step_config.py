"""The config of a step: its keys, their defaults, and when attempts follow each other."""

import asyncio
from typing import Any

import pytest

from stepwell.core.failures import Failure
from stepwell.errors import InvalidStepConfig
from tests.authoring.cases import failing, refusal_of, starts_of, steps_of
from tests.engine.flows import ONCE, attempts_of, opened, output_of

RETRIES = {"limit": 1, "delay": 1}


async def field_refused(config: Any) -> str | None:
    """Return the field that a config is refused for."""
    error, _ = await refusal_of(lambda step: step.do("work", config=config)(lambda: "done")())
    return error.field if isinstance(error, InvalidStepConfig) else None


# ---- keys


@pytest.mark.parametrize(
    ("config", "field"),
    [
        pytest.param({"retry": RETRIES}, "config", id="in the config"),
        pytest.param({"retries": {**RETRIES, "max": 5}}, "retries", id="in retries"),
        pytest.param([], "config", id="no dict"),
    ],
)
async def test_unknown_key_is_refused(config: Any, field: str) -> None:
    """A key that nobody knows is refused, in the config as in `retries`.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/lib/validators.ts)
    """
    assert await field_refused(config) == field


@pytest.mark.parametrize(
    ("retries", "field"),
    [
        pytest.param({"delay": 1}, "retries.limit", id="limit missing"),
        pytest.param({"limit": 1}, "retries.delay", id="delay missing"),
        pytest.param({"limit": -1, "delay": 1}, "retries.limit", id="limit below zero"),
        pytest.param({"limit": "3", "delay": 1}, "retries.limit", id="limit as text"),
        pytest.param({"limit": 1, "delay": -1}, "retries.delay", id="delay below zero"),
        pytest.param({"limit": 1, "delay": "soon"}, "retries.delay", id="delay no duration"),
        pytest.param({"limit": 1, "delay": 1, "backoff": "cubic"}, "retries.backoff", id="unknown backoff"),
    ],
)
async def test_retries_that_break_the_rule_are_refused(retries: Any, field: str) -> None:
    """`retries` needs a limit and a delay, neither below zero, and knows three backoffs.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/lib/validators.ts)
    """
    assert await field_refused({"retries": retries}) == field


async def test_more_than_ten_thousand_retries_are_refused() -> None:
    """A step may be tried again 10,000 times at most.

    Source: developers.cloudflare.com/workflows/reference/limits/
    """
    allowed, refused = ({"retries": {"limit": limit, "delay": 1}} for limit in (10_000, 10_001))

    assert await output_of(failing(allowed, times=0)) == 1
    assert await field_refused(refused) == "retries.limit"


@pytest.mark.parametrize(
    "timeout",
    [
        pytest.param(0, id="zero"),
        pytest.param("0 seconds", id="zero in words"),
        pytest.param(-1, id="below zero"),
        pytest.param("5s", id="no duration"),
    ],
)
async def test_timeout_that_is_none_is_refused(timeout: Any) -> None:
    """A timeout is more than zero: milliseconds, or a duration in words.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/lib/validators.ts)
    """
    assert await field_refused({"timeout": timeout}) == "timeout"


@pytest.mark.parametrize("sensitive", [pytest.param("input", id="other text"), pytest.param(True, id="bool")])
async def test_sensitive_is_output_and_nothing_else(sensitive: Any) -> None:
    """The only value of `sensitive` is "output".

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/lib/validators.ts)
    """
    assert await field_refused({"sensitive": sensitive}) == "sensitive"


# ---- defaults


async def test_step_without_a_config_has_the_documented_defaults() -> None:
    """Five retries after 10 seconds that double, and ten minutes for each attempt.

    Source: developers.cloudflare.com/workflows/build/sleeping-and-retrying/
    """

    async def run(event, step):
        @step.do()
        async def work(ctx):
            return ctx["config"]

        return await work()

    assert await output_of(run) == {
        "retries": {"limit": 5, "delay": 10_000, "backoff": "exponential"},
        "timeout": "10 minutes",
    }


async def test_default_schedule_is_310_seconds_of_waiting() -> None:
    """A step that always fails is tried six times, 10, 20, 40, 80 and 160 seconds apart.

    Source: developers.cloudflare.com/workflows/build/sleeping-and-retrying/
    """
    async with opened(failing(None)) as (engine, instance):
        await engine.advance("1 hour")

        assert await starts_of(instance) == [0, 10, 30, 70, 150, 310]


@pytest.mark.parametrize("more", [pytest.param({}, id="left out"), pytest.param({"backoff": None}, id="None")])
async def test_retries_without_a_backoff_are_exponential(more: dict[str, Any]) -> None:
    """`backoff` may be left out of `retries`, and is exponential then.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """
    async with opened(failing({"retries": {"limit": 3, "delay": 1000, **more}})) as (engine, instance):
        await engine.advance("1 hour")

        assert await starts_of(instance) == [0, 1, 3, 7]


async def test_attempt_has_ten_minutes() -> None:
    """Without a timeout of its own an attempt is ended after ten minutes.

    Source: developers.cloudflare.com/workflows/build/sleeping-and-retrying/
    """

    async def run(event, step):
        await step.do("work", config=ONCE)(asyncio.Event().wait)()

    async with opened(run) as (engine, instance):
        await engine.advance(599_999)
        before = await instance.error()
        await engine.advance(1)

        assert (before, await instance.error()) == (
            None,
            Failure("WorkflowTimeoutError", "Execution timed out after 600000ms"),
        )


# ---- retries


@pytest.mark.parametrize(
    ("backoff", "starts"),
    [
        pytest.param("constant", [0, 5, 10, 15, 20], id="constant"),
        pytest.param("linear", [0, 5, 15, 30, 50], id="linear"),
        pytest.param("exponential", [0, 5, 15, 35, 75], id="exponential"),
    ],
)
async def test_backoff_says_how_delays_grow(backoff: str, starts: list[float]) -> None:
    """Constant waits the same, linear n times as long after the n-th failure, exponential doubles.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/lib/retries.ts)
    """
    config = {"retries": {"limit": 4, "delay": "5 seconds", "backoff": backoff}}
    async with opened(failing(config)) as (engine, instance):
        await engine.advance("1 hour")

        assert await starts_of(instance) == starts


@pytest.mark.parametrize(
    ("limit", "attempts"),
    [pytest.param(0, 1, id="no retry"), pytest.param(2, 3, id="two"), pytest.param(2.5, 3, id="fraction")],
)
async def test_limit_counts_retries_after_the_first_attempt(limit: float, attempts: int) -> None:
    """A step that may be tried again n times has n + 1 attempts; the last one's error is the step's.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """
    async with opened(failing({"retries": {"limit": limit, "delay": 0}})) as (engine, instance):
        await engine.run_until_idle()

        assert len(await starts_of(instance)) == attempts
        assert await instance.error() == Failure("ValueError", f"attempt {attempts}")


@pytest.mark.parametrize(
    ("delay", "second"),
    [
        pytest.param(0, 0, id="zero"),
        pytest.param(2500, 2.5, id="milliseconds"),
        pytest.param("2 minutes", 120, id="words"),
        pytest.param(lambda about: 7000, 7, id="function"),
    ],
)
async def test_delay_is_waited_before_the_next_attempt(delay: Any, second: float) -> None:
    """A delay is milliseconds, a duration in words, or a function that returns one of these.

    Source: developers.cloudflare.com/workflows/build/sleeping-and-retrying/
    """
    async with opened(failing({"retries": {"limit": 1, "delay": delay}}, times=1)) as (engine, instance):
        await engine.advance("1 hour")

        assert (await instance.output(), await starts_of(instance)) == (2, [0, second])


async def test_answer_of_a_delay_function_is_multiplied_by_the_backoff() -> None:
    """A delay function is asked once for each failure, with `ctx` and `error`; exponential backoff still doubles.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """
    asked = []

    def delay(about):
        asked.append((about["ctx"]["attempt"], about["error"]))
        return "3 seconds"

    async with opened(failing({"retries": {"limit": 2, "delay": delay}})) as (engine, instance):
        await engine.advance("1 hour")

        assert await starts_of(instance) == [0, 3, 9]
    assert asked == [
        (1, {"name": "ValueError", "message": "attempt 1"}),
        (2, {"name": "ValueError", "message": "attempt 2"}),
    ]


async def test_timeout_is_that_of_each_attempt() -> None:
    """An attempt that runs out of time fails and is tried again; delays do not count.

    Source: developers.cloudflare.com/workflows/build/sleeping-and-retrying/
    """
    config = {"retries": {"limit": 1, "delay": "1 minute"}, "timeout": 5000}

    async def run(event, step):
        await step.do("work", config=config)(asyncio.Event().wait)()

    async with opened(run) as (engine, instance):
        await engine.advance("1 hour")

        assert await attempts_of(instance) == [(0, 5, False), (65, 70, False)]
        assert await instance.error() == Failure("WorkflowTimeoutError", "Execution timed out after 5000ms")


async def test_attempt_that_ran_out_of_time_is_cancelled() -> None:
    """Unlike on Cloudflare, where it goes on unseen, what ran out of time is told to end.

    Source: developers.cloudflare.com/workflows/build/sleeping-and-retrying/
    """
    ended: list[str] = []

    async def run(event, step):
        @step.do(config={"retries": {"limit": 1, "delay": 0}, "timeout": 1000})
        async def work(ctx):
            if ctx["attempt"] == 2:
                return list(ended)
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("ended")

        return await work()

    assert await output_of(run) == ["ended"]


# ---- sensitive


async def test_sensitive_output_is_redacted_and_still_there_on_replay() -> None:
    """The log shows `[REDACTED]`; the workflow gets the result, at once and on replay.

    Source: developers.cloudflare.com/workflows/build/workers-api/#workflowstepconfig
    """
    seen = []

    async def run(event, step):
        @step.do(config={"sensitive": "output"})
        async def password():
            return "secret"

        seen.append(await password())
        await step.sleep("nap", "1 hour")

    async with opened(run) as (engine, instance):
        await engine.advance("1 hour")

        assert ([entry.output for entry in await steps_of(instance)], seen) == (["[REDACTED]"], ["secret"] * 2)


# ---- the context


async def test_context_tells_step_attempt_and_config() -> None:
    """A step's function learns its name and count, its attempt from 1, and its config with the defaults in it.

    Source: developers.cloudflare.com/workflows/build/step-context/
    """
    seen = []

    async def run(event, step):
        @step.do("charge", config={"retries": {"limit": 1, "delay": "1 second"}, "sensitive": "output"})
        async def charge(ctx):
            seen.append({key: ctx[key] for key in ("step", "attempt", "config")})
            if ctx["attempt"] == 1:
                raise ValueError

        await charge()

    await output_of(run)

    config = {
        "retries": {"limit": 1, "delay": "1 second", "backoff": "exponential"},
        "timeout": "10 minutes",
        "sensitive": "output",
    }
    assert seen == [
        {"step": {"name": "charge", "count": 1}, "attempt": 1, "config": config},
        {"step": {"name": "charge", "count": 1}, "attempt": 2, "config": config},
    ]


async def test_context_has_no_delay_where_it_is_a_function() -> None:
    """A delay function is not shown in the config.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """

    async def run(event, step):
        @step.do(config={"retries": {"limit": 1, "delay": lambda about: 1}})
        async def work(ctx):
            return ctx["config"]["retries"]

        return await work()

    assert await output_of(run) == {"limit": 1, "backoff": "exponential"}


# ---- lost attempts


async def test_attempt_of_a_worker_that_died_counts() -> None:
    """It is a WorkflowInternalError, its number stays used, and the next begins at once, even beyond the limit.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """

    async def run(event, step):
        @step.do(config={"retries": {"limit": 0, "delay": "1 hour"}})
        async def work(ctx):
            if ctx["attempt"] == 1:
                await asyncio.Event().wait()
            return ctx["attempt"]

        return await work()

    async with opened(run) as (engine, instance):
        await engine.advance("1 minute")
        await engine.crash()
        await engine.start_worker()
        await engine.run_until_idle()
        errors = [attempt.error and attempt.error.name for attempt in (await steps_of(instance))[0].attempts]

        assert (await instance.output(), errors) == (2, ["WorkflowInternalError", None])
        assert await attempts_of(instance) == [(0, 60, False), (60, 60, True)]


async def test_delay_goes_on_after_a_crash() -> None:
    """A worker that dies between attempts costs neither an attempt nor time.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """
    async with opened(failing({"retries": {"limit": 1, "delay": "1 minute"}}, times=1)) as (engine, instance):
        await engine.advance("20 seconds")
        await engine.crash()
        await engine.start_worker()
        await engine.advance("40 seconds")

        assert (await instance.output(), await starts_of(instance)) == (2, [0, 60])
