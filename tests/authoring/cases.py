"""What the rules of authoring are held against: small workflows, and what became of their calls."""

from collections.abc import Awaitable, Callable
from typing import Any

from stepwell.core.steplog import SleepEntry, StepEntry, WaitEntry
from stepwell.settings import TurnSettings
from stepwell.testing import TestInstance
from tests.engine.flows import NOW, Run, opened

# Each wait is a replay from the first line, as after an eviction.
REPLAYED = TurnSettings(parks_always=True)


def failing(config: Any, *, times: int = 1_000_000) -> Run:
    """Return a workflow whose only step fails so many times, and then returns the number of its attempt."""

    async def run(event, step):
        @step.do("work", config=config)
        async def work(ctx):
            if ctx["attempt"] <= times:
                raise ValueError(f"attempt {ctx['attempt']}")
            return ctx["attempt"]

        return await work()

    return run


async def refusal_of(
    call: Callable[[Any], Awaitable[Any]], *, settings: TurnSettings | None = None
) -> tuple[Exception, list[str]]:
    """Return what a call raises into a workflow that catches it and completes, and the names of the log's entries."""
    refused: list[Exception] = []

    async def run(event, step):
        try:
            await call(step)
        except Exception as error:  # as an author may catch it
            refused.append(error)

    async with opened(run, settings=settings) as (engine, instance):
        await engine.run_until_idle()
        assert await instance.status() == "complete", await instance.error()
        (error,) = refused
        return error, await names_of(instance)


async def names_of(instance: TestInstance) -> list[str]:
    """Return the names of the log's entries, in order."""
    return [entry.name for entry in (await instance.log()).called]


async def steps_of(instance: TestInstance) -> list[StepEntry]:
    """Return the steps of the log."""
    return [entry for entry in (await instance.log()).entries if isinstance(entry, StepEntry)]


async def sleeps_of(instance: TestInstance) -> list[SleepEntry]:
    """Return the sleeps of the log."""
    return [entry for entry in (await instance.log()).entries if isinstance(entry, SleepEntry)]


async def waits_of(instance: TestInstance) -> list[WaitEntry]:
    """Return the waits of the log."""
    return [entry for entry in (await instance.log()).entries if isinstance(entry, WaitEntry)]


async def starts_of(instance: TestInstance) -> list[float]:
    """Return when the attempts of the first step began, in seconds since NOW."""
    return [(attempt.start - NOW) / 1000 for attempt in (await steps_of(instance))[0].attempts]
