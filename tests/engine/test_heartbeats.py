"""Signs of life: the time-out of silence, details for the next attempt, and telling a function that it is over."""

import asyncio
import threading
from typing import Any

import pytest

from stepwell import WorkflowEntrypoint
from stepwell.errors import TurnClosed, WorkflowFatalError
from tests.engine.flows import attempts_of, error_of, opened, output_of, restart, step_of
from tests.engine.ways import Job, every_way

PATIENT = {"retries": {"limit": 3, "delay": 1000, "backoff": "constant"}, "timeout": "1 day"}


class Resuming(WorkflowEntrypoint):
    """Copies ten rows, three in each attempt."""

    async def run(self, event, step):
        @step.do(config=PATIENT)
        async def copy(ctx):
            done = ctx.heartbeat_details or 0
            for row in range(done, done + 3):
                if row == 10:
                    return "copied 10"
                ctx.heartbeat(row + 1)
            raise ConnectionError("broken")

        return await copy()


async def test_silent_attempt_fails_when_its_heartbeat_is_due() -> None:
    """With `heartbeat` in its config an attempt that gives no sign for so long has timed out."""

    async def run(event, step):
        @step.do(config={**PATIENT, "heartbeat": "30 seconds"})
        async def work(ctx):
            if ctx.attempt == 1:
                await asyncio.get_running_loop().create_future()
            return ctx.attempt

        return await work()

    async with opened(run) as (engine, instance):
        await engine.advance("1 minute")

        assert await instance.output() == 2
        assert await attempts_of(instance) == [(0, 30, False), (31, 31, True)]
        error = (await step_of(instance)).attempts[0].error
        assert error is not None
        assert (error.name, error.message) == ("WorkflowTimeoutError", "No heartbeat came for 30000ms")


async def test_heartbeat_keeps_an_attempt_alive() -> None:
    """Each sign begins the time anew."""
    hearts: list[Any] = []

    async def run(event, step):
        @step.do(config={**PATIENT, "heartbeat": "30 seconds"})
        async def work(ctx):
            hearts.append(ctx.heartbeat)
            await asyncio.get_running_loop().create_future()

        await work()

    async with opened(run) as (engine, instance):
        for _ in range(5):
            await engine.advance("20 seconds")
            hearts[0]()
        await engine.advance("29 seconds")
        assert [attempt.end for attempt in (await step_of(instance)).attempts] == [None]

        await engine.advance("1 second")

        assert (await attempts_of(instance))[0] == (0, 130, False)


async def test_rollback_gives_signs_of_life() -> None:
    """A `heartbeat` in its own config counts its own silence, and its next attempt has what the last one said."""
    seen: list[Any] = []

    async def run(event, step):
        async def undo(context):
            seen.append((context.attempt, context.heartbeat_details, context.cancelled))
            context.heartbeat(context.attempt * 10)
            if context.attempt == 1:
                await asyncio.Event().wait()

        config = {**PATIENT, "heartbeat": "30 seconds"}
        await step.do("charge", lambda: 1, rollback=undo, rollback_config=config)
        raise ValueError("no")

    async with opened(run) as (engine, instance):
        await engine.advance("1 hour")

        assert seen == [(1, None, False), (2, 10, False)]
        rollback = (await instance.log()).rollback
        assert rollback is not None
        assert (rollback.outcome, await instance.status()) == ("complete", "errored")


async def test_details_are_handed_to_the_next_attempt() -> None:
    """What an attempt said last is `ctx.heartbeat_details` of the next."""
    seen: list[Any] = []

    async def run(event, step):
        @step.do(config=PATIENT)
        async def work(ctx):
            seen.append(ctx.heartbeat_details)
            ctx.heartbeat({"row": ctx.attempt})
            if ctx.attempt < 3:
                raise ValueError("again")

        await work()

    await output_of(run)

    assert seen == [None, {"row": 1}, {"row": 2}]


async def test_details_survive_the_worker() -> None:
    """The next attempt gets them in another process, too."""
    seen: list[Any] = []

    async def run(event, step):
        @step.do(config=PATIENT)
        async def work(ctx):
            seen.append(ctx.heartbeat_details)
            ctx.heartbeat(["row", 7])
            await asyncio.sleep(0)
            if len(seen) == 1:
                await asyncio.get_running_loop().create_future()

        await work()

    async with opened(run) as (engine, instance):
        await engine.advance("10 seconds")
        await restart(engine)
        await engine.advance("10 seconds")

        assert await instance.status() == "complete"
    assert seen == [None, ["row", 7]]


async def test_details_are_forgotten_by_a_restart() -> None:
    """A step that runs anew after a restart gets none of what it had said before, in no attempt."""
    seen: list[Any] = []

    async def run(event, step):
        @step.do(config=PATIENT)
        async def work(ctx):
            seen.append(ctx.heartbeat_details)
            if len(seen) == 1:
                ctx.heartbeat("before the restart")
            elif len(seen) == 2:
                raise ValueError("again")

        await work()

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()
        await instance.restart("work")
        await engine.advance("10 seconds")

        assert await instance.status() == "complete"
    assert seen == [None, None, None]


async def test_work_goes_on_where_the_last_attempt_was() -> None:
    """Details of the last sign of life, straight and replayed at each wait."""
    assert await every_way(Job(Resuming), crashes=False) == "copied 10"


async def test_thread_is_told_that_it_is_over() -> None:
    """A function in a thread whose attempt timed out sees `ctx.cancelled`, and its heartbeat ends it."""
    began, told, ended = threading.Event(), threading.Event(), threading.Event()
    ends: list[Any] = []

    async def run(event, step):
        @step.do(config={"retries": {"limit": 0, "delay": 0}, "timeout": "1 minute"})
        def work(ctx):
            began.set()
            told.wait(10)
            ends.append(ctx.cancelled)
            try:
                ctx.heartbeat()
            except TurnClosed as error:
                ends.append(type(error))
                ended.set()
                raise

        await work()

    async with opened(run) as (engine, instance):
        waiting = asyncio.create_task(asyncio.to_thread(began.wait, 10))
        idle = asyncio.create_task(engine.run_until_idle())
        await waiting
        engine.clock.move_to(engine.clock.now() + 60_000)
        told.set()
        await idle
        await engine.run_until_idle()

        assert await instance.status() == "errored"
        await engine.run_until_idle()
        await asyncio.to_thread(ended.wait, 10)
    assert ends == [True, TurnClosed]


async def test_context_of_a_running_attempt_is_not_cancelled() -> None:
    """`ctx.cancelled` is false as long as the attempt counts."""

    async def run(event, step):
        return [await step.do("plain", lambda ctx: ctx.cancelled), await step.do("async", cancelled)]

    assert await output_of(run) == [False, False]


async def cancelled(ctx: Any) -> Any:
    return ctx.cancelled


async def test_details_that_cannot_be_stored_fail_the_attempt() -> None:
    """The error names the place in the details."""

    async def run(event, step):
        await step.do("work", lambda ctx: ctx.heartbeat({"socket": object()}))

    error = await error_of(run)

    assert error is not None
    assert error.message.startswith('details["socket"]')


async def test_refusal_inside_a_body_can_be_caught_by_the_workflow() -> None:
    """Only a step's own result that cannot be stored ends the instance; what a body is refused is its error."""

    async def run(event, step):
        try:
            await step.do("work", lambda ctx: ctx.heartbeat({"socket": object()}))
        except WorkflowFatalError as error:
            return str(error)[:17]

    assert await output_of(run) == 'details["socket"]'


@pytest.mark.parametrize("heartbeat", [0, -1, "soon", object()])
async def test_heartbeat_that_is_no_duration_is_refused(heartbeat: Any) -> None:
    """The error names field and value."""

    async def run(event, step):
        await step.do("work", print, config={"heartbeat": heartbeat})

    error = await error_of(run)

    assert error is not None
    assert 'Step "work": heartbeat must be more than 0' in error.message
