"""Workflows for tests, made of nothing but their `run`, and what became of them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from stepwell import WorkflowEntrypoint
from stepwell.core.failures import Failure
from stepwell.core.steplog import StepEntry
from stepwell.settings import TurnSettings
from stepwell.store import Store
from stepwell.testing import TestEngine, TestInstance

NOW = 1_790_000_000_000
ONCE = {"retries": {"limit": 0, "delay": 0}}

Run = Callable[[dict[str, Any], Any], Any]


def workflow(run: Run) -> type[WorkflowEntrypoint]:
    """Return a workflow called `flow` with this `run(event, step)`, which may be async or not."""

    class Flow(WorkflowEntrypoint):
        def run(self, event, step):
            return run(event, step)

    return Flow


@asynccontextmanager
async def opened(
    run: Run, *, params: Any = None, settings: TurnSettings | None = None, store: Store | None = None
) -> AsyncIterator[tuple[TestEngine, TestInstance]]:
    """Open an engine with an instance `a` of the workflow, which has not begun."""
    flow = workflow(run)
    async with TestEngine.open([flow], settings=settings, store=store) as engine:
        yield engine, await engine.create(flow, id="a", params=params)


async def restart(engine: TestEngine) -> None:
    """Let the worker die, and start another one."""
    await engine.crash()
    await engine.start_worker()


async def output_of(run: Run, *, params: Any = None, settings: TurnSettings | None = None) -> Any:
    """Return the output of an instance that has a day to complete, and does."""
    async with opened(run, params=params, settings=settings) as (engine, instance):
        await engine.advance("1 day")
        assert await instance.status() == "complete", await instance.error()
        return await instance.output()


async def error_of(run: Run, *, settings: TurnSettings | None = None) -> Failure | None:
    """Return the error of an instance that has a day to end, and ends with one."""
    async with opened(run, settings=settings) as (engine, instance):
        await engine.advance("1 day")
        assert await instance.status() == "errored"
        return await instance.error()


async def outputs_of(run: Run) -> tuple[Any, Any]:
    """Return the output of an instance that runs straight, and of one that is replayed at each wait."""
    return await output_of(run), await output_of(run, settings=TurnSettings(parks_always=True))


async def attempts_of(instance: TestInstance) -> list[tuple[float, float | None, bool | None]]:
    """Return start and end of the first step's attempts in seconds since NOW, and whether they succeeded."""
    entry = await step_of(instance)
    return [
        ((attempt.start - NOW) / 1000, None if attempt.end is None else (attempt.end - NOW) / 1000, attempt.success)
        for attempt in entry.attempts
    ]


async def step_of(instance: TestInstance) -> StepEntry:
    """Return the log's first step."""
    return next(entry for entry in (await instance.log()).entries if isinstance(entry, StepEntry))
