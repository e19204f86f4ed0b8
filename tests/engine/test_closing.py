"""Invariant 4, a finished turn is closed, and what author code may do about it."""

import asyncio
import logging
import sys
from typing import Any

import pytest

from stepwell import WorkflowEntrypoint
from stepwell.core.failures import Failure
from stepwell.core.records import AttemptInterrupted
from stepwell.errors import TurnClosed
from stepwell.settings import TurnSettings
from stepwell.testing import TestEngine
from tests.engine.stores import CheckedStore
from tests.engine.ways import Job, every_way

QUICKLY = TurnSettings(close_grace_ms=20)
seen: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


async def test_cancellation_that_is_swallowed_brings_the_author_no_further() -> None:
    """Author code that swallows the cancellation of its turn cannot call a step: that raises a BaseException."""

    class Stubborn(WorkflowEntrypoint):
        async def run(self, event, step):
            try:
                await step.sleep("long", "1 day")
            except asyncio.CancelledError:
                seen.append("swallowed")
            try:
                await step.sleep("another", "1 day")
            except Exception:  # as an author may catch it
                seen.append("never")
            except BaseException as error:
                seen.append(type(error))
                raise
            return "woken"

    store = CheckedStore()
    async with TestEngine.open([Stubborn], store=store, settings=QUICKLY) as engine:
        instance = await engine.create(Stubborn)
        await engine.run_until_idle()
        assert seen == ["swallowed", TurnClosed]

        await engine.advance("2 days")

        assert await instance.output() == "woken"
        assert [entry.name for entry in (await instance.log()).called] == ["long-1", "another-1"]
    await store.close()


async def test_finally_with_await_runs_at_the_end_of_the_turn() -> None:
    """`finally` blocks run when the instance parks, and may await what is not a step."""

    class Tidy(WorkflowEntrypoint):
        async def run(self, event, step):
            try:
                await step.sleep("long", "1 day")
            finally:
                await asyncio.gather(asyncio.sleep(0.001), asyncio.sleep(0.002))
                seen.append("tidied")

    async with TestEngine.open([Tidy]) as engine:
        instance = await engine.create(Tidy)
        await engine.run_until_idle()
        assert (await instance.status(), seen) == ("waiting", ["tidied"])

        await engine.advance("1 day")

        assert (await instance.status(), seen) == ("complete", ["tidied", "tidied"])


async def test_step_called_in_finally_at_close_is_not_recorded() -> None:
    """A step that a `finally` block calls runs when the block is reached, not when the turn is closed."""

    class Cleaner(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do()
            async def clean_up():
                seen.append("cleaned up")

            try:
                await step.sleep("long", "1 day")
            finally:
                await clean_up()

    async def ran(**how: Any) -> Any:
        seen.clear()
        return await every_way(Job(Cleaner), **how)

    assert await ran() is None

    async with TestEngine.open([Cleaner]) as engine:
        seen.clear()
        instance = await engine.create(Cleaner)
        await engine.run_until_idle()
        assert seen == []
        await engine.advance("1 day")
        assert (await instance.status(), seen) == ("complete", ["cleaned up"])


async def test_value_returned_at_close_is_ignored() -> None:
    """What the coroutines of a closed turn return or raise is nobody's business."""

    class Eager(WorkflowEntrypoint):
        async def run(self, event, step):
            try:
                await step.sleep("long", "1 day")
            except asyncio.CancelledError:
                return "too early"
            return "in time"

    async with TestEngine.open([Eager]) as engine:
        instance = await engine.create(Eager)
        await engine.run_until_idle()
        assert await instance.status() == "waiting"

        await engine.advance("1 day")

        assert await instance.output() == "in time"


async def test_task_that_does_not_end_is_abandoned_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """After the grace what still lives of a closed turn is abandoned, and the log says how much."""
    release = asyncio.Event()

    class Immortal(WorkflowEntrypoint):
        async def run(self, event, step):
            while not release.is_set():
                try:
                    await step.sleep("long", "1 day")
                except asyncio.CancelledError:
                    await release.wait()

    async with TestEngine.open([Immortal], settings=QUICKLY) as engine:
        instance = await engine.create(Immortal)
        await engine.run_until_idle()

        assert await instance.status() == "waiting"
        assert "1 tasks of immortal/" in caplog.text
        release.set()


@pytest.mark.parametrize("ending", [SystemExit, KeyboardInterrupt])
async def test_exit_in_a_task_is_its_error(ending: type[BaseException]) -> None:
    """`sys.exit` and KeyboardInterrupt in author code end the instance, not the loop."""

    class Exiting(WorkflowEntrypoint):
        async def run(self, event, step):
            async def child():
                raise ending("bye")

            await asyncio.gather(child(), step.sleep("long", "1 day"))

    async with TestEngine.open([Exiting]) as engine:
        instance = await engine.create(Exiting)
        await engine.run_until_idle()

        assert await instance.error() == Failure(ending.__name__, "bye")


async def test_exit_in_run_is_its_error() -> None:
    """`sys.exit` in `run` fails the instance."""

    class Exiting(WorkflowEntrypoint):
        async def run(self, event, step):
            sys.exit(3)

    async with TestEngine.open([Exiting]) as engine:
        instance = await engine.create(Exiting)
        await engine.run_until_idle()

        assert await instance.error() == Failure("SystemExit", "3")


@pytest.mark.parametrize("is_async", [True, False])
async def test_exit_in_a_step_is_a_failed_attempt(is_async: bool) -> None:
    """`sys.exit` in a step fails the attempt under its name, in a thread as on the loop."""

    class Exiting(WorkflowEntrypoint):
        async def run(self, event, step):
            async def leaves():
                sys.exit("bye")

            def leaves_thread():
                sys.exit("bye")

            config = {"retries": {"limit": 0, "delay": 0}}
            await step.do("leaves", config=config)(leaves if is_async else leaves_thread)()

    async with TestEngine.open([Exiting]) as engine:
        instance = await engine.create(Exiting)
        await engine.run_until_idle()

        assert await instance.error() == Failure("SystemExit", "bye")


class Odd(BaseException):
    """Not even an Exception."""


async def test_exception_of_any_class_ends_the_instance() -> None:
    """Whatever `run` raises ends the instance, a BaseException of the author's own too."""

    class Raising(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do("odd", config={"retries": {"limit": 0, "delay": 0}})
            async def odd():
                raise Odd("in a step")

            try:
                await odd()
            except Exception as error:  # as an author may catch it
                seen.append(str(error))
            raise Odd("in run")

    async with TestEngine.open([Raising]) as engine:
        instance = await engine.create(Raising)
        await engine.run_until_idle()

        assert await instance.error() == Failure("Odd", "in run", "tests.engine.test_closing:Odd")
        assert seen == ["in a step"]


async def test_task_left_behind_ends_with_the_instance() -> None:
    """A task that `run` leaves behind is cancelled when `run` returns; its attempt is interrupted first."""

    class Leaving(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do()
            async def hangs():
                try:
                    await asyncio.Event().wait()
                finally:
                    seen.append("attempt cancelled")

            async def background():
                try:
                    await hangs()
                finally:
                    seen.append("task cancelled")

            self.task = asyncio.create_task(background())
            await step.sleep("a moment", 10)
            return "done"

    store = CheckedStore()
    async with TestEngine.open([Leaving], store=store) as engine:
        instance = await engine.create(Leaving)
        await engine.advance("1 second")

        assert await instance.output() == "done"
        assert seen == ["attempt cancelled", "task cancelled"]
        last = store.history("local", "leaving", instance.id)[-2].record
        assert isinstance(last, AttemptInterrupted)
    await store.close()


async def test_task_that_never_rests_does_not_hold_up_the_end() -> None:
    """`run` ends the instance when it returns, even if a task that it leaves behind is never blocked."""

    class Spinning(WorkflowEntrypoint):
        async def run(self, event, step):
            async def spin():
                while True:  # noqa: ASYNC110 - that it never rests is the point
                    await asyncio.sleep(0)

            @step.do()
            async def work():
                return "worked"

            result = await work()
            self.task = asyncio.create_task(spin())
            return result

    async with TestEngine.open([Spinning]) as engine:
        instance = await engine.create(Spinning)
        while await instance.status() != "complete":  # noqa: ASYNC110 - the loop is never quiet
            await asyncio.sleep(0)

        assert await instance.output() == "worked"


async def test_step_called_from_outside_of_the_workflow_is_refused() -> None:
    """A step called in a task that is not the workflow's raises into that task."""
    steps = []

    class Leaking(WorkflowEntrypoint):
        async def run(self, event, step):
            steps.append(step)
            await step.sleep("long", "1 day")

    async with TestEngine.open([Leaking]) as engine:
        await engine.create(Leaking)
        await engine.run_until_idle()

        with pytest.raises(TurnClosed):
            await steps[0].sleep("from outside", 5)


async def test_late_result_of_a_closed_turn_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A body that lives on after its turn was interrupted can return what it likes."""
    caplog.set_level(logging.ERROR)
    release = asyncio.Event()

    class Late(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do()
            async def slow(ctx):
                seen.append("began")
                if len(seen) > 1:
                    return "second"
                while True:
                    try:
                        await release.wait()
                        return "first"
                    except asyncio.CancelledError:
                        seen.append("swallowed")

            return await slow()

    async with TestEngine.open([Late], settings=QUICKLY) as engine:
        instance = await engine.create(Late)
        await engine.run_until_idle()
        await engine.stop()
        await engine.start_worker()
        await engine.run_until_idle()
        release.set()
        await engine.run_until_idle()

        assert await instance.output() == "second"
        assert caplog.text == ""
