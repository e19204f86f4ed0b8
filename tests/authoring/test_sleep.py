"""`step.sleep` and `step.sleep_until`: how long they last, and what they refuse."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from stepwell.core.failures import Failure
from stepwell.core.steplog import SleepEntry
from stepwell.errors import InvalidStepConfig, SleepInThePast
from stepwell.settings import TurnSettings
from tests.authoring.cases import REPLAYED, names_of, refusal_of, sleeps_of
from tests.engine.flows import NOW, error_of, opened, output_of, outputs_of, restart

YEAR_MS = 31_536_000_000
IN_AN_HOUR = datetime(2026, 9, 21, 15, 13, 20)  # noqa: DTZ001 - without a zone it is UTC


async def _naps(event, step):
    await step.sleep("nap", "1 hour")
    return "awake"


# ---- for a while


async def test_sleep_ends_on_time_and_never_early() -> None:
    """The workflow goes on when the duration is over, and not a millisecond before.

    Source: developers.cloudflare.com/workflows/build/sleeping-and-retrying/
    """
    async with opened(_naps) as (engine, instance):
        await engine.advance(3_599_999)
        early = await instance.output()
        await engine.advance(1)

        assert (early, await instance.output()) == (None, "awake")


async def test_number_is_milliseconds() -> None:
    """A number of a sleep is milliseconds, as Cloudflare's engine reads it.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """

    async def run(event, step):
        await step.sleep("nap", 90_000)

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        assert await sleeps_of(instance) == [SleepEntry("nap-1", NOW, NOW + 90_000)]


async def test_sleep_of_365_days_is_the_longest() -> None:
    """A sleep may last 365 days, and not a millisecond more.

    Source: developers.cloudflare.com/workflows/reference/limits/
    """

    async def run(event, step):
        await step.sleep("nap", "365 days")
        return "awake"

    refused, _ = await refusal_of(lambda step: step.sleep("nap", YEAR_MS + 1))
    async with opened(run) as (engine, instance):
        await engine.advance(YEAR_MS)

        assert await instance.output() == "awake"
    assert isinstance(refused, InvalidStepConfig)


async def test_sleep_does_not_count_as_a_step() -> None:
    """Sleeps have no part in the limit of steps.

    Source: developers.cloudflare.com/workflows/build/workers-api/#workflowstep
    """

    async def run(event, step):
        await step.sleep("before", 10)
        result = await step.do("work")(lambda: "done")()
        await step.sleep("after", 10)
        return result

    assert await output_of(run, settings=TurnSettings(step_limit=1)) == "done"


async def test_sleep_goes_on_after_a_crash() -> None:
    """What remains of a sleep is slept after the worker died.

    Source: developers.cloudflare.com/workflows/build/rules-of-workflows/
    """
    async with opened(_naps) as (engine, instance):
        await engine.advance("50 minutes")
        await restart(engine)
        await engine.advance(599_999)
        early = await instance.output()
        await engine.advance(1)

        assert (early, await instance.output()) == (None, "awake")


async def test_sleep_that_ended_while_nothing_ran_is_over() -> None:
    """A timer outlives the engine: what should have woken meanwhile wakes when it is back.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/engine.ts)
    """
    async with opened(_naps) as (engine, instance):
        await engine.run_until_idle()
        await engine.crash()
        await engine.advance("1 week")
        await engine.start_worker()
        await engine.run_until_idle()

        assert await instance.output() == "awake"


async def test_sleep_is_known_by_name_and_count() -> None:
    """Durations are no part of what a sleep is known by: changed code does not sleep it again.

    Source: developers.cloudflare.com/workflows/build/rules-of-workflows/
    """
    durations = ["1 hour", "1 year", "1 hour", "1 year", "1 year"]

    async def run(event, step):
        await step.sleep("nap", durations.pop(0))
        await step.sleep("nap", durations.pop(0))
        return "awake"

    async with opened(run) as (engine, instance):
        await engine.advance("2 hours")

        assert (await instance.output(), durations) == ("awake", [])
        assert await names_of(instance) == ["nap-1", "nap-2"]


# ---- until a moment


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(IN_AN_HOUR, id="datetime without a zone"),
        pytest.param(IN_AN_HOUR.replace(tzinfo=UTC), id="utc"),
        pytest.param(datetime(2026, 9, 21, 17, 13, 20, tzinfo=timezone(timedelta(hours=2))), id="other zone"),
    ],
)
async def test_sleep_until_is_a_sleep_that_ends_at_the_moment(moment: Any) -> None:
    """The moment is a datetime, UTC if it has no zone.

    Source: developers.cloudflare.com/workflows/python/python-workers-api/
    """

    async def run(event, step):
        await step.sleep_until("nap", moment)

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()
        asleep = await sleeps_of(instance)
        await engine.advance("1 hour")

        assert asleep == [SleepEntry("nap-1", NOW, NOW + 3_600_000)]
        assert await sleeps_of(instance) == [SleepEntry("nap-1", NOW, NOW + 3_600_000, finished=True)]


async def test_number_is_milliseconds_since_1970() -> None:
    """A number is milliseconds, as Cloudflare's engine reads it; its documentation speaks of seconds.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """

    async def run(event, step):
        await step.sleep_until("nap", NOW + 3_600_000)

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        assert await sleeps_of(instance) == [SleepEntry("nap-1", NOW, NOW + 3_600_000)]


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(NOW - 1, id="a millisecond ago"),
        pytest.param(datetime(2026, 9, 21, 14, 13, 19, tzinfo=UTC), id="a second ago"),
        pytest.param(NOW // 1000, id="seconds since 1970"),
    ],
)
async def test_moment_that_is_over_is_a_plain_error(moment: Any) -> None:
    """A moment in the past raises an error that can be caught, and no sleep is recorded.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """
    error, entries = await refusal_of(lambda step: step.sleep_until("nap", moment))

    assert (type(error), entries) == (SleepInThePast, [])


async def test_moment_that_is_over_fails_the_instance_as_a_plain_error() -> None:
    """Nobody has to catch it: the instance's error has the name `Error`.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """

    async def run(event, step):
        await step.sleep_until("nap", NOW - 5)

    assert await error_of(run) == Failure(
        "Error",
        'Sleep "nap": the moment 1789999999995 is 5 ms in the past (numbers are milliseconds since 1970); '
        "give a moment to come.",
    )


async def test_moment_that_is_now_is_not_over() -> None:
    """Only what is before now is in the past.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """

    async def run(event, step):
        await step.sleep_until("nap", NOW)
        return "awake"

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        assert await instance.output() == "awake"


async def test_moment_that_was_slept_for_is_no_error_on_replay() -> None:
    """What is on record is looked up first: after the wake-up the same call is in the past, and raises nothing.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """

    async def run(event, step):
        await step.sleep_until("nap", NOW + 5000)
        await step.sleep("another", "1 hour")
        return "awake"

    assert await outputs_of(run) == ("awake", "awake")
    async with opened(run, settings=REPLAYED) as (engine, instance):
        await engine.advance("1 minute")
        await restart(engine)
        await engine.advance("1 day")

        assert await instance.output() == "awake"


async def test_moment_365_days_away_is_the_furthest() -> None:
    """`sleep_until` sleeps for 365 days at most, too.

    Source: developers.cloudflare.com/workflows/reference/limits/
    """

    async def run(event, step):
        await step.sleep_until("nap", NOW + YEAR_MS)
        return "awake"

    refused, _ = await refusal_of(lambda step: step.sleep_until("nap", NOW + YEAR_MS + 1))
    async with opened(run) as (engine, instance):
        await engine.advance(YEAR_MS)

        assert await instance.output() == "awake"
    assert isinstance(refused, InvalidStepConfig)
