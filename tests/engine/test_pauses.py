"""Pauses that end in the turn in which they were asked for, or by a restart: what waits beside an attempt in flight."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stepwell import WorkflowEntrypoint
from stepwell.durations import HOUR_MS
from stepwell.settings import TurnSettings
from stepwell.testing import TestEngine, TestInstance
from tests.engine.clocks import SettableClock
from tests.engine.flows import opened
from tests.engine.trips import tripping


class Beside:
    """An instance that waits for something while the attempt of `slow` is in flight; `told` has what has happened."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.gate = asyncio.Event()

    async def run(self, event, step):
        slow = step.do("slow", self.gate.wait, config={"timeout": "1 day"})
        await asyncio.gather(getattr(self, event["payload"])(step), slow)

    async def sleep(self, step):
        await step.sleep("nap", "1 hour")
        self.told.append("slept")

    async def wait(self, step):
        await step.wait_for_event("answer", "go", timeout="1 hour")
        self.told.append("answered")

    async def retry(self, step):
        @step.do(config={"retries": {"limit": 1, "delay": "1 hour"}})
        async def flaky(ctx):
            if ctx["attempt"] == 1:
                await self.fails.wait()
                raise ValueError("not yet")
            self.told.append("tried again")

        self.fails = asyncio.Event()
        await flaky()


Opened = tuple[TestEngine, TestInstance, Beside]


@pytest.fixture
async def beside(request: pytest.FixtureRequest) -> AsyncIterator[Opened]:
    """An instance that waits for what the test names."""
    flow = Beside()
    async with opened(flow.run, params=request.param) as (engine, instance):
        await engine.run_until_idle()
        yield engine, instance, flow


@pytest.mark.parametrize("beside", ["wait"], indirect=True)
async def test_resume_of_a_pending_pause_meets_the_event_at_once(beside: Opened) -> None:
    """A turn that still holds its attempts hears of the resume, and a wait meets what has come meanwhile."""
    engine, instance, flow = beside
    await instance.pause()
    await instance.send_event("go")
    await engine.run_until_idle()
    assert flow.told == []

    await instance.resume()
    await engine.run_until_idle()

    assert flow.told == ["answered"]


@pytest.mark.parametrize("beside", ["sleep"], indirect=True)
async def test_sleep_stands_still_in_a_pending_pause(beside: Opened) -> None:
    """A sleep ends as much later as the pending pause took, in the turn in which it was asked for."""
    engine, instance, flow = beside
    await instance.pause()
    await engine.advance("2 minutes")
    await instance.resume()
    await engine.advance("59 minutes")
    assert flow.told == []

    await engine.advance("1 minute")

    assert flow.told == ["slept"]


@pytest.mark.parametrize("beside", ["retry"], indirect=True)
async def test_failure_in_a_pending_pause_waits_its_whole_delay_after_it(beside: Opened) -> None:
    """An attempt that fails in a pending pause is tried again its delay after the resume, in the same turn."""
    engine, instance, flow = beside
    await instance.pause()
    await engine.advance("1 minute")
    flow.fails.set()
    await engine.advance("1 minute")
    await instance.resume()
    await engine.advance("59 minutes")
    assert flow.told == []

    await engine.advance("1 minute")

    assert flow.told == ["tried again"]


async def test_restart_from_a_step_ends_the_pause() -> None:
    """A sleep that stays goes on with what was left of it when the pause was asked for."""
    ended: list[str] = []

    async def run(event, step):
        async def nap():
            await step.sleep("nap", "1 hour")
            ended.append("nap")
            await step.sleep("another", "1 hour")

        await asyncio.gather(nap(), step.do("work", lambda: None))

    async with opened(run) as (engine, instance):
        await engine.advance("10 minutes")
        await instance.pause()
        await engine.advance("5 hours")
        await instance.restart("work")
        await engine.advance("49 minutes")
        assert ended == []

        await engine.advance("1 minute")
        assert ended == ["nap"]
        await engine.advance("59 minutes")
        assert await instance.status() == "waiting"
        await engine.advance("1 minute")

        assert await instance.status() == "complete"


async def test_restart_forgets_how_many_turns_were_lost() -> None:
    """Turns that were lost before a restart do not count against the instance after it."""
    async with tripping(is_open=False, settings=TurnSettings(lost_turns=2)) as scene:
        await scene.engine.run_until_idle()
        await scene.begin_again()
        await scene.engine.run_until_idle()
        await scene.instance.restart()
        await scene.engine.run_until_idle()

        await scene.begin_again()

        assert await scene.end() == [1, 2, "late", 3]


async def test_pause_that_a_clock_puts_before_all_that_was_holds_up_nothing() -> None:
    """A clock that is set back as a pause is asked for, and right when it ends: a sleep is held up by what passed."""
    clock = SettableClock()

    class Napping(WorkflowEntrypoint):
        async def run(self, event, step):
            await step.sleep("nap", "10 minutes")

    async with TestEngine.open([Napping], clock=clock) as engine:
        instance = await engine.create(Napping)
        await engine.advance("1 minute")
        clock.behind_ms = HOUR_MS
        await instance.pause()
        clock.behind_ms = 0
        await instance.resume()
        await engine.advance("10 minutes")

        assert await instance.status() == "complete"
