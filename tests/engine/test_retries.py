"""How often a step is tried, when, and what it fails with."""

import asyncio
import threading
from typing import Any

import pytest

from stepwell import NonRetryableError, WorkflowTimeoutError
from stepwell.core.failures import Failure
from stepwell.core.records import StepConfig
from stepwell.core.steplog import StepEntry
from stepwell.settings import TurnSettings
from stepwell.testing import TestInstance
from tests.engine.flows import ONCE, Run, attempts_of, error_of, opened, output_of, restart, step_of


def failing(config: Any, *, times: int = 100, error: Exception | None = None) -> Run:
    """Return a workflow whose only step fails so many times and then returns the number of its attempt."""

    async def run(event, step):
        @step.do("work", config=config)
        async def work(ctx):
            if ctx["attempt"] <= times:
                raise error or ValueError(f"attempt {ctx['attempt']}")
            return ctx["attempt"]

        return await work()

    return run


async def _starts(instance: TestInstance) -> list[float]:
    return [start for start, _, _ in await attempts_of(instance)]


# ---- how often, and when


async def test_step_without_a_config_is_tried_six_times_within_310_seconds() -> None:
    """The default waits 10, 20, 40, 80 and 160 seconds between attempts."""
    async with opened(failing(None)) as (engine, instance):
        await engine.advance("1 hour")

        assert await instance.error() == Failure("ValueError", "attempt 6")
        assert await _starts(instance) == [0, 10, 30, 70, 150, 310]


@pytest.mark.parametrize(
    ("backoff", "starts"),
    [
        pytest.param("constant", [0, 2, 4, 6], id="constant"),
        pytest.param("linear", [0, 2, 6, 12], id="linear"),
        pytest.param("exponential", [0, 2, 6, 14], id="exponential"),
    ],
)
async def test_backoff_has_three_forms(backoff: str, starts: list[float]) -> None:
    """Constant waits the same, linear n times as long, exponential doubles."""
    config = {"retries": {"limit": 3, "delay": "2 seconds", "backoff": backoff}}
    async with opened(failing(config)) as (engine, instance):
        await engine.advance("1 hour")

        assert await _starts(instance) == starts


@pytest.mark.parametrize(
    ("limit", "count"), [pytest.param(0, 1, id="none"), pytest.param(1, 2, id="one"), pytest.param(4, 5, id="four")]
)
async def test_attempts_are_the_limit_and_one(limit: int, count: int) -> None:
    """The limit counts retries; the last attempt's error is the step's, and the instance's if nobody catches it."""
    async with opened(failing({"retries": {"limit": limit, "delay": 0}})) as (engine, instance):
        await engine.run_until_idle()

        assert len(await attempts_of(instance)) == count
        assert await instance.error() == Failure("ValueError", f"attempt {count}")


async def test_delay_is_waited_between_attempts() -> None:
    """An attempt begins when its delay is over, and not a millisecond earlier; the log tells all of them."""
    config = {"retries": {"limit": 2, "delay": "3 seconds", "backoff": "constant"}}
    async with opened(failing(config, times=1)) as (engine, instance):
        await engine.advance(2999)
        early = await attempts_of(instance)
        await engine.advance(1)

        assert early == [(0, 0, False)]
        assert await attempts_of(instance) == [(0, 0, False), (3, 3, True)]
        assert await instance.output() == 2


async def test_step_between_attempts_is_open_and_the_instance_waits() -> None:
    """While a delay of more than a second passes, the instance is waiting and its step has no end."""
    async with opened(failing({"retries": {"limit": 1, "delay": "1 minute"}})) as (engine, instance):
        await engine.run_until_idle()
        entry = await step_of(instance)

        assert (await instance.status(), entry.end, entry.success) == ("waiting", None, None)


async def test_delay_survives_a_crash() -> None:
    """A worker that dies during a delay costs neither an attempt nor time."""
    async with opened(failing({"retries": {"limit": 1, "delay": "1 minute"}}, times=1)) as (engine, instance):
        await engine.advance("20 seconds")
        await restart(engine)
        await engine.advance("40 seconds")

        assert await attempts_of(instance) == [(0, 0, False), (60, 60, True)]


async def test_config_on_record_wins_over_changed_code() -> None:
    """A step goes on with the config that it began with, even if the code now says another, or a wrong one."""
    configs = [{"retries": {"limit": 2, "delay": "1 minute", "backoff": "constant"}}, ONCE, {"retries": "never"}]

    async def run(event, step):
        @step.do(config=configs[0])
        async def work(ctx):
            configs.pop(0)
            raise ValueError(f"attempt {ctx['attempt']}")

        await work()

    async with opened(run) as (engine, instance):
        await engine.advance("1 hour")

        assert await instance.error() == Failure("ValueError", "attempt 3")
        assert (await step_of(instance)).config == StepConfig(2, "1 minute", "constant", "10 minutes")


async def test_default_of_the_server_is_used() -> None:
    """A server may have other defaults for steps without a config."""
    settings = TurnSettings(defaults=StepConfig(1, 5000, "constant", "10 minutes"))
    async with opened(failing(None), settings=settings) as (engine, instance):
        await engine.advance("1 hour")

        assert await _starts(instance) == [0, 5]


async def test_each_count_of_a_name_has_attempts_of_its_own() -> None:
    """Calling a failed step again is a new step with a new budget."""

    async def run(event, step):
        @step.do(config={"retries": {"limit": 1, "delay": 0}})
        async def work():
            raise ValueError

        for _ in range(3):
            try:
                await work()
            except ValueError:
                continue

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()
        entries = [entry for entry in (await instance.log()).entries if isinstance(entry, StepEntry)]

        assert [(entry.name, len(entry.attempts)) for entry in entries] == [("work-1", 2), ("work-2", 2), ("work-3", 2)]


# ---- errors that are not retried


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        pytest.param(NonRetryableError("no funds"), Failure("NonRetryableError", "no funds"), id="plain"),
        pytest.param(NonRetryableError("no funds", "CardStolen"), Failure("CardStolen", "no funds"), id="named"),
        pytest.param(
            type("Stolen", (NonRetryableError,), {})("no funds"),
            Failure("NonRetryableError", "no funds"),
            id="subclass",
        ),
    ],
)
async def test_non_retryable_error_fails_the_step_at_once(error: Exception, failure: Failure) -> None:
    """One attempt, whatever the limit; name and message are those of the author."""
    async with opened(failing(None, error=error)) as (engine, instance):
        await engine.advance("1 hour")

        ended = await instance.error()
        assert ended is not None
        assert (ended.name, ended.message) == (failure.name, failure.message)
        assert await attempts_of(instance) == [(0, 0, False)]


async def test_non_retryable_error_of_a_plain_function_fails_the_step_at_once() -> None:
    """It crosses the thread."""

    async def run(event, step):
        @step.do
        def work():
            raise NonRetryableError("no funds")

        await work()

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        assert await instance.error() == Failure("NonRetryableError", "no funds")


async def test_non_retryable_error_is_not_run_again_on_replay() -> None:
    """A step that failed for good stays failed; a workflow that caught it goes on from there."""
    ran = []

    async def run(event, step):
        @step.do()
        async def work():
            ran.append("work")
            raise NonRetryableError("no funds")

        try:
            await work()
        except NonRetryableError as error:
            await step.sleep("nap", "1 hour")
            return str(error)

    assert (await output_of(run), ran) == ("no funds", ["work"])


# ---- time-outs


async def test_attempt_times_out() -> None:
    """A body that hangs is ended after the timeout, and tried again like any other failure."""

    async def run(event, step):
        @step.do(config={"retries": {"limit": 1, "delay": "1 second"}, "timeout": "5 seconds"})
        async def hangs():
            await asyncio.Event().wait()

        await hangs()

    async with opened(run) as (engine, instance):
        await engine.advance("1 minute")

        assert await attempts_of(instance) == [(0, 5, False), (6, 11, False)]
        assert await instance.error() == Failure("WorkflowTimeoutError", "Execution timed out after 5000ms")


async def test_attempt_has_ten_minutes_unless_told_otherwise() -> None:
    """The default timeout is that of Cloudflare."""

    async def run(event, step):
        @step.do
        async def hangs():
            await asyncio.Event().wait()

        await hangs()

    async with opened(run) as (engine, instance):
        await engine.advance("10 minutes")

        assert (await attempts_of(instance))[0] == (0, 600, False)


async def test_timeout_can_be_caught_by_its_class() -> None:
    """A step whose attempts all ran out of time raises WorkflowTimeoutError, on replay too."""
    seen = []

    async def run(event, step):
        @step.do(config={**ONCE, "timeout": 1000})
        async def hangs():
            await asyncio.Event().wait()

        try:
            await hangs()
        except WorkflowTimeoutError as error:
            seen.append(str(error))
        await step.sleep("nap", "1 hour")

    await output_of(run)

    assert seen == ["Execution timed out after 1000ms"] * 2


async def test_body_that_timed_out_is_cancelled_and_what_it_still_returns_is_ignored() -> None:
    """A body that swallows its cancellation and returns changes nothing."""
    cancelled = []

    async def run(event, step):
        @step.do(config={"retries": {"limit": 1, "delay": 0}, "timeout": 1000})
        async def hangs(ctx):
            if ctx["attempt"] == 2:
                return "in time"
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(ctx["attempt"])
            return "too late"

        return await hangs()

    assert (await output_of(run), cancelled) == ("in time", [1])


async def test_plain_function_that_hangs_is_left_behind() -> None:
    """A thread cannot be stopped: the attempt times out all the same, and the next one does not wait for it."""
    began, end = threading.Event(), threading.Event()

    async def run(event, step):
        @step.do(config={"retries": {"limit": 1, "delay": 0}, "timeout": "5 seconds"})
        def hangs(ctx):
            if ctx["attempt"] == 1:
                began.set()
                end.wait(30)
            return ctx["attempt"]

        return await hangs()

    async with opened(run) as (engine, instance):
        await asyncio.to_thread(began.wait, 30)
        engine.clock.move_to(engine.clock.now() + 5000)
        await engine.run_until_idle()
        end.set()

        assert await instance.output() == 2
        assert await attempts_of(instance) == [(0, 5, False), (5, 5, True)]


async def test_timeout_does_not_count_the_time_between_attempts() -> None:
    """Each attempt has its timeout from its own start."""
    config = {"retries": {"limit": 3, "delay": "1 minute", "backoff": "constant"}, "timeout": "2 minutes"}

    assert await output_of(failing(config, times=3)) == 4


# ---- lost and interrupted


async def test_lost_attempt_counts() -> None:
    """A worker that dies during an attempt costs that attempt; the next one begins at once."""
    numbers = []

    async def run(event, step):
        @step.do(config={"retries": {"limit": 5, "delay": "1 hour"}})
        async def work(ctx):
            numbers.append(ctx["attempt"])
            if ctx["attempt"] == 1:
                await asyncio.Event().wait()

        await work()

    async with opened(run) as (engine, instance):
        await engine.advance("1 minute")
        await restart(engine)
        await engine.run_until_idle()
        errors = [attempt.error.name if attempt.error else None for attempt in (await step_of(instance)).attempts]

        assert (numbers, errors) == ([1, 2], ["WorkflowInternalError", None])
        assert await attempts_of(instance) == [(0, 60, False), (60, 60, True)]


async def test_lost_attempt_is_followed_by_another_even_beyond_the_limit() -> None:
    """A step that may be tried once is tried again if its worker died, and then keeps its limit."""
    numbers = []

    async def run(event, step):
        @step.do(config=ONCE)
        async def work(ctx):
            numbers.append(ctx["attempt"])
            if ctx["attempt"] == 1:
                await asyncio.Event().wait()
            raise ValueError("second")

        await work()

    async with opened(run) as (engine, instance):
        await engine.advance("1 minute")
        await restart(engine)
        await engine.run_until_idle()

        assert (await instance.error(), numbers) == (Failure("ValueError", "second"), [1, 2])


async def test_interrupted_attempt_does_not_count() -> None:
    """An attempt that a stopping engine ended is tried again at once, under the same number."""
    numbers = []

    async def run(event, step):
        @step.do(config=ONCE)
        async def work(ctx):
            numbers.append(ctx["attempt"])
            if len(numbers) == 1:
                await asyncio.Event().wait()
            return "done"

        return await work()

    async with opened(run) as (engine, instance):
        await engine.advance("1 minute")
        await engine.stop()
        await engine.start_worker()
        await engine.run_until_idle()
        errors = [attempt.error.name if attempt.error else None for attempt in (await step_of(instance)).attempts]

        assert (await instance.output(), numbers) == ("done", [1, 1])
        assert errors == ["AttemptInterrupted", None]


async def test_attempt_in_flight_when_the_workflow_ends_is_interrupted() -> None:
    """A step that nobody waits for ends with its instance."""

    async def run(event, step):
        @step.do("forgotten")
        async def forgotten():
            await asyncio.Event().wait()

        @step.do("last")
        async def last():
            return "done"

        task = asyncio.create_task(forgotten())
        result = await last()
        return [result, task.done()]

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()
        entries = [entry for entry in (await instance.log()).entries if isinstance(entry, StepEntry)]
        errors = {entry.name: entry.attempts[0].error for entry in entries}

        assert await instance.output() == ["done", False]
        assert {name: error and error.name for name, error in errors.items()} == {
            "last-1": None,
            "forgotten-1": "AttemptInterrupted",
        }


# ---- delay functions


def _sync_delay(about):
    return 7000


async def _async_delay(about):
    await asyncio.sleep(0)
    return "7 seconds"


@pytest.mark.parametrize(
    "delay",
    [
        pytest.param(_sync_delay, id="plain"),
        pytest.param(_async_delay, id="async"),
        pytest.param(lambda about: _async_delay(about), id="plain-that-returns-an-awaitable"),  # noqa: PLW0108 - it says so
    ],
)
async def test_delay_may_be_a_function(delay: Any) -> None:
    """It is asked after each failure; the backoff, exponential unless told otherwise, multiplies its answer."""
    async with opened(failing({"retries": {"limit": 3, "delay": delay}})) as (engine, instance):
        await engine.advance("1 hour")

        assert await _starts(instance) == [0, 7, 21, 49]
        assert (await step_of(instance)).config.delay == "[dynamic]"


async def test_delay_function_gets_the_attempt_and_its_error() -> None:
    """It is asked once per failure that is followed by a retry, with `ctx` and `error`."""
    asked = []

    def delay(about):
        asked.append((about["ctx"]["attempt"], about["ctx"]["step"], about["error"]))
        return about["ctx"]["attempt"] * 1000

    config = {"retries": {"limit": 2, "delay": delay, "backoff": "constant"}}
    async with opened(failing(config)) as (engine, instance):
        await engine.advance("1 hour")

        assert await _starts(instance) == [0, 1, 3]
    assert asked == [
        (1, {"name": "work", "count": 1}, {"name": "ValueError", "message": "attempt 1"}),
        (2, {"name": "work", "count": 1}, {"name": "ValueError", "message": "attempt 2"}),
    ]


def _raises(about):
    raise LookupError("no idea")


async def _raises_later(about):
    raise LookupError("no idea")


def _exits(about):
    raise SystemExit("no idea")


@pytest.mark.parametrize(
    ("delay", "problem"),
    [
        pytest.param(_raises, "threw an error: no idea", id="plain-raises"),
        pytest.param(_raises_later, "threw an error: no idea", id="async-raises"),
        pytest.param(_exits, "threw an error: no idea", id="exits"),
        pytest.param(
            lambda about: "soon",
            "returned 'soon'; expected a number of milliseconds or a duration such as \"5 minutes\"",
            id="no-duration",
        ),
        pytest.param(
            lambda about: None,
            'returned None; expected a number of milliseconds or a duration such as "5 minutes"',
            id="none",
        ),
        pytest.param(
            lambda about: -1,
            'returned -1; expected a number of milliseconds or a duration such as "5 minutes"',
            id="negative",
        ),
    ],
)
async def test_failing_delay_function_fails_the_step(delay: Any, problem: str) -> None:
    """The step fails for good with NonRetryableDelayError; the attempt keeps its own error."""
    async with opened(failing({"retries": {"limit": 3, "delay": delay}})) as (engine, instance):
        await engine.advance("1 hour")
        (attempt,) = (await step_of(instance)).attempts

        error = await instance.error()
        assert error is not None
        assert error.name == "NonRetryableDelayError"
        assert error.message == f'The delay function for step "work-1" {problem}'
        assert attempt.error == Failure("ValueError", "attempt 1")


async def test_slow_delay_function_fails_the_step() -> None:
    """After five seconds it is asked no longer."""

    async def delay(about):
        await asyncio.Event().wait()

    async with opened(failing({"retries": {"limit": 3, "delay": delay}})) as (engine, instance):
        await engine.advance(4999)
        early = await instance.status()
        await engine.advance(1)

        assert (early, await instance.error()) == (
            "running",
            Failure("NonRetryableDelayError", 'The delay function for step "work-1" did not return within 5 seconds'),
        )


async def test_delay_function_is_not_asked_after_the_last_attempt() -> None:
    """Where no retry follows there is no delay to ask for."""
    failure = await error_of(failing({"retries": {"limit": 0, "delay": _raises}}))

    assert failure == Failure("ValueError", "attempt 1")


async def test_delay_function_that_is_gone_from_the_code_is_the_default_delay() -> None:
    """A step that began with a function goes on with 10 seconds if the code has none any more."""
    delays: list[Any] = [lambda about: 1000, lambda about: 1000, "1 day"]

    async def run(event, step):
        @step.do(config={"retries": {"limit": 3, "delay": delays[0], "backoff": "constant"}})
        async def work(ctx):
            raise ValueError

        if len(delays) > 1:
            delays.pop(0)
        await work()

    async with opened(run, settings=TurnSettings(parks_always=True)) as (engine, instance):
        await engine.advance("1 hour")

        assert await _starts(instance) == [0, 1, 2, 12]
