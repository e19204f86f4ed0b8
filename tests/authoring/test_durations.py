"""Durations: which are read, as how many milliseconds, and which are refused."""

from typing import Any

import pytest

from stepwell.errors import InvalidStepConfig
from tests.authoring.cases import failing, refusal_of, starts_of
from tests.engine.flows import opened


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        pytest.param(5000, 5_000, id="number"),
        pytest.param("5000", 5_000, id="number in a text"),
        pytest.param("1 second", 1_000, id="second"),
        pytest.param("10 seconds", 10_000, id="seconds"),
        pytest.param("1 minute", 60_000, id="minute"),
        pytest.param("5 minutes", 300_000, id="minutes"),
        pytest.param("1 hour", 3_600_000, id="hour"),
        pytest.param("1.5 hours", 5_400_000, id="hours with a fraction"),
        pytest.param("1 day", 86_400_000, id="day"),
        pytest.param("2 days", 172_800_000, id="days"),
        pytest.param("1 week", 604_800_000, id="week"),
        pytest.param("2 weeks", 1_209_600_000, id="weeks"),
        pytest.param("1 month", 2_592_000_000, id="month of 30 days"),
        pytest.param("2 months", 5_184_000_000, id="months"),
        pytest.param("1 year", 31_557_600_000, id="year of 365.25 days"),
        pytest.param("2 years", 63_115_200_000, id="years"),
    ],
)
async def test_duration_is_so_many_milliseconds(written: Any, ms: int) -> None:
    """A duration is milliseconds, or a number with a unit from second to year, with or without `s`.

    Source: developers.cloudflare.com/workflows/build/sleeping-and-retrying/
    """
    async with opened(failing({"retries": {"limit": 1, "delay": written}}, times=1)) as (engine, instance):
        await engine.advance(ms - 1)
        early = await starts_of(instance)
        await engine.advance(1)

        assert (early, await starts_of(instance)) == ([0], [0, ms / 1000])


# On Cloudflare the first three are silently ten milliseconds, and a sleep does not look at any of them.
WRONG = [
    pytest.param("10 ms", id="unit that is not typed"),
    pytest.param("10 fortnights", id="unknown unit"),
    pytest.param("10 Seconds", id="capitals"),
    pytest.param("5s", id="abbreviation"),
    pytest.param("1 hour 30 minutes", id="two units"),
    pytest.param(" 5 minutes", id="space before"),
    pytest.param("-5 minutes", id="negative"),
    pytest.param("soon", id="word"),
    pytest.param("", id="empty"),
    pytest.param(float("nan"), id="not a number"),
]


@pytest.mark.parametrize("written", WRONG)
async def test_what_is_no_duration_is_refused_in_a_config(written: Any) -> None:
    """Nothing is guessed: a delay and a timeout that are no durations are refused by name.

    Source: developers.cloudflare.com/workflows/build/sleeping-and-retrying/
    """
    delay, _ = await refusal_of(
        lambda step: step.do("work", config={"retries": {"limit": 1, "delay": written}})(lambda: "done")()
    )
    timeout, _ = await refusal_of(lambda step: step.do("work", config={"timeout": written})(lambda: "done")())

    assert isinstance(delay, InvalidStepConfig)
    assert isinstance(timeout, InvalidStepConfig)
    assert (delay.field, timeout.field) == ("retries.delay", "timeout")


@pytest.mark.parametrize("written", WRONG)
async def test_what_is_no_duration_is_refused_by_a_sleep(written: Any) -> None:
    """A sleep looks at its duration too, and so does the timeout of a wait.

    Source: developers.cloudflare.com/workflows/build/sleeping-and-retrying/
    """
    sleep, slept = await refusal_of(lambda step: step.sleep("nap", written))
    wait, waited = await refusal_of(lambda step: step.wait_for_event("approval", "approved", timeout=written))

    assert isinstance(sleep, InvalidStepConfig)
    assert isinstance(wait, InvalidStepConfig)
    assert (sleep.field, wait.field, slept, waited) == ("the duration", "timeout", [], [])
