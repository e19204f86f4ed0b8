"""Sleeps: as long as they should be, whatever happens meanwhile."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from stepwell.core.failures import Failure
from stepwell.core.steplog import SleepEntry
from stepwell.errors import SleepInThePast
from stepwell.settings import TurnSettings
from stepwell.testing import TestInstance
from tests.engine.flows import NOW, Run, error_of, opened, output_of, outputs_of, restart

IN_AN_HOUR = datetime(2026, 9, 21, 15, 13, 20)  # noqa: DTZ001 - without a zone it is UTC


def sleeping(duration: Any) -> Run:
    """Return a workflow that sleeps once."""

    async def run(event, step):
        await step.sleep("nap", duration)
        return "awake"

    return run


async def _sleeps(instance: TestInstance) -> list[SleepEntry]:
    return [entry for entry in (await instance.log()).entries if isinstance(entry, SleepEntry)]


@pytest.mark.parametrize(
    ("duration", "ms"),
    [
        pytest.param(90, 90, id="milliseconds"),
        pytest.param("90", 90, id="digits"),
        pytest.param("10 seconds", 10_000, id="seconds"),
        pytest.param("1.5 hours", 5_400_000, id="hours-with-a-fraction"),
        pytest.param("2 weeks", 1_209_600_000, id="weeks"),
        pytest.param(timedelta(minutes=1), 60_000, id="timedelta"),
        pytest.param("365 days", 31_536_000_000, id="longest"),
    ],
)
async def test_duration_in_words_is_read(duration: Any, ms: int) -> None:
    """Words, milliseconds and timedeltas say how long; the workflow goes on then, and never earlier."""
    async with opened(sleeping(duration)) as (engine, instance):
        await engine.advance(ms - 1)
        early = await instance.output()
        await engine.advance(1)

        assert (early, await instance.output()) == (None, "awake")


async def test_sleep_waits_its_time() -> None:
    """The log shows when a sleep began, its planned end, and whether it is over."""
    async with opened(sleeping("1 hour")) as (engine, instance):
        await engine.run_until_idle()
        asleep = await _sleeps(instance)
        await engine.advance("1 hour")

        assert asleep == [SleepEntry("nap-1", NOW, NOW + 3_600_000, False)]
        assert await _sleeps(instance) == [SleepEntry("nap-1", NOW, NOW + 3_600_000, True)]


async def test_sleep_of_no_time_is_over_at_once() -> None:
    """Zero is a duration."""
    async with opened(sleeping(0)) as (engine, instance):
        await engine.run_until_idle()

        assert await instance.output() == "awake"


@pytest.mark.parametrize(
    ("duration", "status"),
    [pytest.param(1000, "running", id="a-second"), pytest.param(1001, "waiting", id="more")],
)
async def test_instance_that_sleeps_for_more_than_a_second_is_waiting(duration: int, status: str) -> None:
    """A short sleep keeps the instance running; a long one puts it back into the store."""
    async with opened(sleeping(duration)) as (engine, instance):
        await engine.run_until_idle()

        assert await instance.status() == status


@pytest.mark.parametrize("duration", [pytest.param(900, id="in-the-worker"), pytest.param("1 hour", id="in-the-store")])
async def test_sleep_survives_a_restart(duration: Any) -> None:
    """What is left of the time is slept after a crash."""
    async with opened(sleeping(duration)) as (engine, instance):
        await engine.advance(500)
        await restart(engine)
        await engine.advance("1 hour")
        (slept,) = await _sleeps(instance)

        assert await instance.output() == "awake"
        assert (slept.start, slept.finished) == (NOW, True)


async def test_sleep_that_ended_while_nothing_ran_is_over_at_once() -> None:
    """A machine that was off for a week wakes what should have been woken."""
    async with opened(sleeping("1 hour")) as (engine, instance):
        await engine.run_until_idle()
        await engine.crash()
        await engine.advance("1 week")
        asleep = await instance.status()
        await engine.start_worker()
        await engine.run_until_idle()

        assert (asleep, await instance.output()) == ("waiting", "awake")


async def test_sleeps_end_in_the_order_of_their_moments() -> None:
    """Sleeps side by side end shortest first, on replay too."""

    async def run(event, step):
        order = []

        async def nap(name, duration):
            await step.sleep(name, duration)
            order.append(name)

        await asyncio.gather(nap("long", "3 hours"), nap("short", "1 hour"), nap("middle", "2 hours"))
        return order

    assert await outputs_of(run) == (["short", "middle", "long"], ["short", "middle", "long"])


async def test_sleeps_are_counted_by_name_whatever_their_durations() -> None:
    """A second sleep of a name is `nap-2`."""

    async def run(event, step):
        await step.sleep("nap", 10)
        await step.sleep("nap", 20)
        await step.sleep("rest", 10)

    async with opened(run) as (engine, instance):
        await engine.advance(40)

        assert [entry.name for entry in await _sleeps(instance)] == ["nap-1", "nap-2", "rest-1"]


async def test_duration_in_changed_code_does_not_move_a_sleep() -> None:
    """A sleep that has begun ends when it was meant to."""
    durations = ["1 hour", "1 year"]

    async def run(event, step):
        await step.sleep("nap", durations.pop(0))
        return "awake"

    async with opened(run) as (engine, instance):
        await engine.advance("1 hour")

        assert (await instance.output(), durations) == ("awake", [])


async def test_steps_go_on_while_another_task_sleeps() -> None:
    """A sleep holds up nothing but its own task."""

    async def run(event, step):
        @step.do
        async def work():
            return "done"

        async def nap():
            await step.sleep("nap", "1 hour")
            return "awake"

        return await asyncio.gather(nap(), work())

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()
        (_, step) = (await instance.log()).called
        await engine.advance("1 hour")

        assert (step.name, step.end) == ("work-1", NOW)
        assert await instance.output() == ["awake", "done"]


# ---- until a moment


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(IN_AN_HOUR, id="datetime-without-a-zone"),
        pytest.param(IN_AN_HOUR.replace(tzinfo=UTC), id="utc"),
        pytest.param(datetime(2026, 9, 21, 17, 13, 20, tzinfo=timezone(timedelta(hours=2))), id="other-zone"),
        pytest.param(NOW + 3_600_000, id="milliseconds"),
        pytest.param(NOW + 3_599_999.5, id="milliseconds-are-rounded-up"),
        pytest.param(IN_AN_HOUR - timedelta(microseconds=1), id="microseconds-are-rounded-up"),
    ],
)
async def test_sleep_until_waits_for_its_moment(moment: Any) -> None:
    """A datetime without a zone is UTC; a number is milliseconds since 1970."""

    async def run(event, step):
        await step.sleep_until("nap", moment)
        return "awake"

    async with opened(run) as (engine, instance):
        await engine.advance(3_599_999)
        early = await instance.output()
        await engine.advance(1)

        assert (early, await instance.output()) == (None, "awake")


async def test_sleep_until_the_past_is_refused_and_can_be_caught() -> None:
    """A moment that is over raises into the workflow, uses no count, and leaves no entry."""

    async def run(event, step):
        try:
            await step.sleep_until("nap", NOW / 1000)
        except SleepInThePast as error:
            return str(error)

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        assert await instance.output() == (
            'Sleep "nap": the moment 1790000000 is 1788210000000 ms in the past '
            "(numbers are milliseconds since 1970); give a moment to come."
        )
        assert (await instance.log()).entries == []


async def test_sleep_until_is_no_error_on_a_replay_after_its_moment() -> None:
    """The moment is in the past by then, but the sleep is on record."""

    async def run(event, step):
        await step.sleep_until("nap", NOW + 5000)
        await step.sleep("another", "1 hour")
        return "awake"

    assert await outputs_of(run) == ("awake", "awake")


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("tomorrow", id="text"),
        pytest.param(None, id="none"),
        pytest.param(True, id="bool"),
        pytest.param(float("inf"), id="infinite"),
        pytest.param(float("nan"), id="nan"),
        pytest.param(NOW + 366 * 86_400_000, id="more-than-365-days"),
    ],
)
async def test_wrong_moment_is_refused(moment: Any) -> None:
    """A moment is a datetime or a number, at most 365 days away."""

    async def run(event, step):
        await step.sleep_until("nap", moment)

    error = await error_of(run)

    assert error is not None
    assert error.name == "WorkflowFatalError"
    assert error.message.startswith('Step "nap": the moment must be ')


@pytest.mark.parametrize(
    "duration",
    [
        pytest.param("10 Seconds", id="capitals"),
        pytest.param("1 hour 30 minutes", id="two-units"),
        pytest.param(-1, id="negative"),
        pytest.param("366 days", id="more-than-365-days"),
        pytest.param(10**400, id="beyond-every-float"),
    ],
)
async def test_wrong_duration_is_refused(duration: Any) -> None:
    """Nothing is guessed, and no sleep is longer than 365 days."""
    error = await error_of(sleeping(duration))

    assert error is not None
    assert error.name == "WorkflowFatalError"
    assert error.message.startswith(
        'Step "nap": the duration must be a number of milliseconds or a duration such as "5 minutes", at most 365 days'
    )


async def test_cancelled_sleep_is_shown_as_such() -> None:
    """A sleep that a workflow cancels is over; the log says how."""

    async def run(event, step):
        nap = asyncio.create_task(step.sleep("nap", "1 day"))
        await step.sleep("wait a little", "1 minute")
        nap.cancel()
        await asyncio.wait([nap])
        return nap.cancelled()

    async with opened(run) as (engine, instance):
        await engine.advance("1 hour")
        (_, cancelled) = await _sleeps(instance)

        assert await instance.output() is True
        assert cancelled == SleepEntry(
            "nap-1", NOW, NOW + 60_000, True, Failure("CancelledError", "The workflow cancelled the call.")
        )


async def test_hundred_sleeps_need_no_time_of_the_tests_own() -> None:
    """The clock of a test moves through all of them, a replay each."""

    async def run(event, step):
        for _ in range(100):
            await step.sleep("nap", "3 days")
        return "awake"

    async with opened(run, settings=TurnSettings(parks_always=True)) as (engine, instance):
        await engine.advance("300 days")

        assert await instance.output() == "awake"


async def test_sleep_needs_no_place_in_the_step_limit() -> None:
    """Only steps count against the limit."""

    async def run(event, step):
        for _ in range(3):
            await step.sleep("nap", 10)
        return await step.do("work")(lambda: "done")()

    assert await output_of(run, settings=TurnSettings(step_limit=1)) == "done"
