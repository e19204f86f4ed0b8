"""Errors: which are tried again, which are not, and what the workflow catches."""

import asyncio
from typing import Any

import pytest

from stepwell import NonRetryableError, WorkflowEntrypoint, WorkflowTimeoutError
from stepwell.core.failures import Failure
from stepwell.errors import NonRetryableDelayError, StepFailed, WorkflowFatalError, WorkflowInternalError
from stepwell.testing import TestEngine
from tests.authoring.cases import failing, steps_of
from tests.engine.flows import ONCE, Run, error_of, opened, output_of, restart

TWICE = {"retries": {"limit": 1, "delay": 0}}


class CardDeclined(Exception):
    """An error of the author's own, with a field."""

    def __init__(self, reason: int) -> None:
        super().__init__(f"declined with {reason}")
        self.reason = reason


def raising(error: Exception, config: Any = None) -> Run:
    """Return a workflow whose only step raises."""

    async def run(event, step):
        @step.do("work", config=config)
        async def work():
            raise error

        await work()

    return run


def catching(kind: type[Exception], fails: Any, config: Any = ONCE) -> Run:
    """Return a workflow whose only step fails, and which returns what it catches of it."""

    async def run(event, step):
        try:
            await step.do("work", config=config)(fails)()
        except kind as error:
            await step.sleep("nap", "1 hour")
            return str(error)

    return run


# ---- of the author's


async def test_error_of_a_step_is_tried_again() -> None:
    """Any error of the author's fails the attempt, and is the step's when no attempt is left.

    Source: developers.cloudflare.com/workflows/build/sleeping-and-retrying/
    """
    async with opened(raising(ValueError("bad"), TWICE)) as (engine, instance):
        await engine.run_until_idle()
        (step,) = await steps_of(instance)

        assert [attempt.error for attempt in step.attempts] == [Failure("ValueError", "bad")] * 2
        assert await instance.error() == Failure("ValueError", "bad")


async def test_last_attempts_error_is_that_of_the_step() -> None:
    """What `step.do` raises, and what a failed instance shows, is the error of the last attempt.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """
    assert await error_of(failing(TWICE)) == Failure("ValueError", "attempt 2")


async def test_error_keeps_name_and_message() -> None:
    """An error whose class cannot be built again comes as StepFailed, with its name and message.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """

    async def run(event, step):
        @step.do(config=ONCE)
        async def charge():
            raise CardDeclined(51)

        try:
            await charge()
        except StepFailed as error:
            return [error.name, str(error), hasattr(error, "reason")]

    # The workflow is of another module than the class.
    assert await output_of(run) == ["CardDeclined", "declined with 51", False]


async def test_error_of_the_scripts_own_keeps_class_and_fields() -> None:
    """Unlike on Cloudflare, an error of the script's own classes is caught by its class, fields included.

    Source: developers.cloudflare.com/workflows/python/python-workers-api/
    """

    class Payment(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do(config=ONCE)
            async def charge():
                raise CardDeclined(51)

            try:
                await charge()
            except CardDeclined as error:
                await step.sleep("nap", "1 hour")
                return error.reason

    async with TestEngine.open([Payment]) as engine:
        instance = await engine.create(Payment)
        await engine.advance("1 day")

        assert await instance.output() == 51


async def test_caught_error_lets_the_instance_go_on() -> None:
    """A workflow that catches a step's error completes.

    Source: developers.cloudflare.com/workflows/build/rules-of-workflows/
    """

    async def run(event, step):
        @step.do(config=ONCE)
        async def charge():
            raise ValueError("no funds")

        try:
            await charge()
        except ValueError:
            return await step.do("ask again")(lambda: "paid")()

    assert await output_of(run) == "paid"


async def test_error_outside_of_a_step_fails_the_instance() -> None:
    """What `run` itself raises is not tried again.

    Source: developers.cloudflare.com/workflows/build/sleeping-and-retrying/
    """
    turns = []

    async def run(event, step):
        turns.append("turn")
        raise ValueError("bad")

    assert (await error_of(run), turns) == (Failure("ValueError", "bad"), ["turn"])


# ---- NonRetryableError


@pytest.mark.parametrize(
    ("error", "name"),
    [
        pytest.param(NonRetryableError("no funds"), "NonRetryableError", id="message"),
        pytest.param(NonRetryableError("no funds", "CardStolen"), "CardStolen", id="message and name"),
        pytest.param(type("NonRetryableError", (Exception,), {})("no funds"), "NonRetryableError", id="of their own"),
    ],
)
async def test_non_retryable_error_is_not_tried_again(error: Exception, name: str) -> None:
    """One attempt, whatever the limit; the attempt and the instance show the author's name and message.

    Source: developers.cloudflare.com/workflows/build/sleeping-and-retrying/
    """
    async with opened(raising(error)) as (engine, instance):
        await engine.advance("1 hour")
        (step,) = await steps_of(instance)
        errors = [attempt.error for attempt in step.attempts] + [await instance.error()]

        assert [(failure.name, failure.message) for failure in errors if failure] == [(name, "no funds")] * 2


async def test_non_retryable_error_can_be_caught_and_is_not_run_again() -> None:
    """The workflow may go on; the error is on record, so that a replay raises it without running the step.

    Source: developers.cloudflare.com/workflows/build/sleeping-and-retrying/
    """
    ran = []

    async def work():
        ran.append("work")
        raise NonRetryableError("no funds")

    assert (await output_of(catching(NonRetryableError, work)), ran) == ("no funds", ["work"])


async def test_non_retryable_error_outside_of_a_step_fails_the_instance() -> None:
    """Raised by `run` itself it is an error like any other.

    Source: developers.cloudflare.com/workflows/build/workers-api/#nonretryableerror
    """

    async def run(event, step):
        raise NonRetryableError("no funds")

    assert await error_of(run) == Failure("NonRetryableError", "no funds")


# ---- of the engine


async def test_timeout_of_an_attempt_is_tried_again_and_can_be_caught() -> None:
    """An attempt that runs out of time fails like any other; the step raises WorkflowTimeoutError in the end.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/lib/errors.ts)
    """
    attempts = []

    async def work(ctx):
        attempts.append(ctx["attempt"])
        await asyncio.Event().wait()

    flow = catching(WorkflowTimeoutError, work, {**TWICE, "timeout": 2000})

    assert (await output_of(flow), attempts) == ("Execution timed out after 2000ms", [1, 2])


async def test_internal_error_of_a_lost_attempt_is_tried_again() -> None:
    """An attempt whose worker died is a WorkflowInternalError, and the next one begins.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """

    async def run(event, step):
        @step.do()
        async def work(ctx):
            if ctx["attempt"] == 1:
                await asyncio.Event().wait()
            return "done"

        return await work()

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()
        await restart(engine)
        await engine.run_until_idle()
        (step,) = await steps_of(instance)

        assert await instance.output() == "done"
        assert [attempt.error for attempt in step.attempts] == [
            Failure("WorkflowInternalError", "The attempt was lost: its worker process ended before the attempt did."),
            None,
        ]


async def test_internal_error_can_be_caught() -> None:
    """A step whose result is too large each time raises WorkflowInternalError.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/lib/errors.ts)
    """

    async def work():
        return "x" * 2**20

    caught = await output_of(catching(WorkflowInternalError, work))

    assert caught.startswith("Step work-1 output is too large: 1,048,578 bytes as JSON. ")


async def test_fatal_error_is_not_tried_again() -> None:
    """A broken rule, here met inside a step, fails the step at once and can be caught.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/lib/errors.ts)
    """
    attempts = []

    async def run(event, step):
        @step.do(config=TWICE)
        async def work(ctx):
            attempts.append(ctx["attempt"])
            await step.sleep("a\nb", 10)

        try:
            await work()
        except WorkflowFatalError as error:
            return str(error)

    caught = "Step name 'a\\nb' must be text of up to 256 characters without control characters."
    assert (await output_of(run), attempts) == (caught, [1])


# ---- delay functions


def _raises(about):
    raise LookupError("no idea")


async def _hangs(about):
    await asyncio.Event().wait()


EXPECTED = 'expected a number of milliseconds or a duration such as "5 minutes"'


@pytest.mark.parametrize(
    ("delay", "problem"),
    [
        pytest.param(_raises, "threw an error: no idea", id="raises"),
        pytest.param(_hangs, "did not return within 5 seconds", id="slow"),
        pytest.param(lambda about: "soon", f"returned 'soon'; {EXPECTED}", id="no duration"),
        pytest.param(lambda about: -1, f"returned -1; {EXPECTED}", id="below zero"),
        pytest.param(lambda about: None, f"returned None; {EXPECTED}", id="nothing"),
    ],
)
async def test_broken_delay_function_fails_the_step(delay: Any, problem: str) -> None:
    """A delay function that raises, takes five seconds or returns no delay is a NonRetryableDelayError.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/lib/delay.ts)
    """
    async with opened(failing({"retries": {"limit": 3, "delay": delay}})) as (engine, instance):
        await engine.advance("1 hour")
        (step,) = await steps_of(instance)
        error = await instance.error()

        assert error is not None
        assert (error.name, error.message) == (
            "NonRetryableDelayError",
            f'The delay function for step "work-1" {problem}',
        )
        assert [attempt.error for attempt in step.attempts] == [Failure("ValueError", "attempt 1")]


async def test_delay_function_has_five_seconds() -> None:
    """Until then the step has not failed.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/lib/delay.ts)
    """
    async with opened(failing({"retries": {"limit": 3, "delay": _hangs}})) as (engine, instance):
        await engine.advance(4999)
        before = await instance.status()
        await engine.advance(1)

        assert (before, await instance.status()) == ("running", "errored")


async def test_error_of_a_delay_function_can_be_caught() -> None:
    """The workflow may go on.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """

    async def work():
        raise ValueError("bad")

    flow = catching(NonRetryableDelayError, work, {"retries": {"limit": 3, "delay": _raises}})

    assert await output_of(flow) == 'The delay function for step "work-1" threw an error: no idea'
