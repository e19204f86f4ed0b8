"""`step.wait_for_event`: its timeout, its result, and which event it gets."""

import asyncio
from datetime import datetime
from typing import Any

import pytest

from stepwell import WorkflowTimeoutError
from stepwell.core.failures import Failure
from stepwell.core.steplog import WaitEntry
from stepwell.errors import InstanceFinished, InvalidEventType, InvalidInput, InvalidStepConfig
from tests.authoring.cases import REPLAYED, names_of, refusal_of, waits_of
from tests.engine.flows import NOW, Run, error_of, opened, output_of, restart

YEAR_MS = 31_536_000_000


def waiting(**options: Any) -> Run:
    """Return a workflow that waits once for `approved` and returns the payload."""

    async def run(event, step):
        return (await step.wait_for_event("approval", "approved", **options))["payload"]

    return run


def collecting(count: int) -> Run:
    """Return a workflow that waits so many times for `approved` and returns the payloads."""

    async def run(event, step):
        return [(await step.wait_for_event("approval", "approved"))["payload"] for _ in range(count)]

    return run


# ---- the result


async def test_wait_returns_payload_timestamp_and_type() -> None:
    """A wait returns what was sent, its type, and when it was received; on replay too.

    Source: developers.cloudflare.com/workflows/build/events-and-parameters/
    """
    seen = []

    async def run(event, step):
        seen.append(await step.wait_for_event("approval", "approved"))
        await step.sleep("nap", "1 hour")

    async with opened(run) as (engine, instance):
        await engine.advance("1 minute")
        await instance.send_event("approved", {"by": "ann"})
        await engine.advance("1 day")

    received_at = datetime(2026, 9, 21, 14, 14, 20)  # noqa: DTZ001 - without a zone it is UTC
    assert seen == [{"payload": {"by": "ann"}, "timestamp": received_at, "type": "approved"}] * 2


async def test_wait_has_neither_retries_nor_a_config() -> None:
    """A wait that ran out of time is over: it is shown once, without attempts, and takes no config.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """
    refused, _ = await refusal_of(lambda step: step.wait_for_event("approval", "approved", config={"timeout": 5}))
    async with opened(waiting(timeout="1 minute")) as (engine, instance):
        await engine.advance("1 day")

        error = Failure("WorkflowTimeoutError", "Execution timed out after 60000ms")
        assert (await instance.log()).entries == [
            WaitEntry("approval-1", NOW, NOW + 60_000, "approved", 60_000, finished=True, error=error)
        ]
    assert type(refused) is TypeError


# ---- the timeout


async def test_wait_lasts_24_hours_unless_told_otherwise() -> None:
    """The default timeout is 24 hours.

    Source: developers.cloudflare.com/workflows/build/workers-api/#workflowstep
    """
    async with opened(waiting()) as (engine, instance):
        await engine.advance(86_399_999)
        before = await instance.error()
        await engine.advance(1)

        assert (before, await instance.error()) == (
            None,
            Failure("WorkflowTimeoutError", "Execution timed out after 86400000ms"),
        )


@pytest.mark.parametrize(
    ("timeout", "ms"),
    [
        pytest.param(1000, 1000, id="shortest"),
        pytest.param("1 second", 1000, id="shortest in words"),
        pytest.param("365 days", YEAR_MS, id="longest"),
    ],
)
async def test_timeout_within_the_rule_is_taken(timeout: Any, ms: int) -> None:
    """A wait lasts at least a second and at most 365 days.

    Source: developers.cloudflare.com/workflows/build/events-and-parameters/
    """
    async with opened(waiting(timeout=timeout)) as (engine, instance):
        await engine.advance(ms)

        assert await instance.error() == Failure("WorkflowTimeoutError", f"Execution timed out after {ms}ms")


@pytest.mark.parametrize(
    "timeout",
    [
        pytest.param(999, id="less than a second"),
        pytest.param(YEAR_MS + 1, id="more than 365 days"),
    ],
)
async def test_timeout_beyond_the_rule_is_refused(timeout: Any) -> None:
    """Shorter than a second or longer than 365 days is refused, and nothing waits.

    Source: developers.cloudflare.com/workflows/build/events-and-parameters/
    """
    error, entries = await refusal_of(lambda step: step.wait_for_event("approval", "approved", timeout=timeout))

    assert isinstance(error, InvalidStepConfig)
    assert (error.field, entries) == ("timeout", [])


async def test_timeout_can_be_caught_and_is_raised_again_on_replay() -> None:
    """A wait that ran out of time raises WorkflowTimeoutError; it is on record, and each replay raises it.

    Source: developers.cloudflare.com/workflows/build/events-and-parameters/
    """
    seen = []

    async def run(event, step):
        try:
            await step.wait_for_event("approval", "approved", timeout="1 minute")
        except WorkflowTimeoutError as error:
            seen.append(str(error))
        await step.sleep("nap", "1 hour")

    await output_of(run)

    assert seen == ["Execution timed out after 60000ms"] * 2


async def test_timeout_that_nobody_catches_fails_the_instance() -> None:
    """The instance's error is that of the wait.

    Source: developers.cloudflare.com/workflows/build/events-and-parameters/
    """
    assert await error_of(waiting(timeout="1 hour")) == Failure(
        "WorkflowTimeoutError", "Execution timed out after 3600000ms"
    )


async def test_deadline_stays_after_a_crash() -> None:
    """A wait that goes on in another worker has the deadline that it began with.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """
    async with opened(waiting(timeout="1 hour")) as (engine, instance):
        await engine.advance("50 minutes")
        await restart(engine)
        await engine.advance("10 minutes")

        assert [entry.end for entry in await waits_of(instance)] == [NOW + 3_600_000]
        assert await instance.status() == "errored"


# ---- the type


@pytest.mark.parametrize(
    "event_type",
    [
        pytest.param("approved", id="letters"),
        pytest.param("Approved_2-b", id="all kinds"),
        pytest.param("_x", id="underscore first"),
        pytest.param("x" * 100, id="100 characters"),
    ],
)
async def test_event_type_within_the_rule_is_taken(event_type: str) -> None:
    """An event's type is up to 100 letters, digits, dashes and underscores.

    Source: developers.cloudflare.com/workflows/build/events-and-parameters/
    """

    async def run(event, step):
        return (await step.wait_for_event("approval", event_type))["type"]

    async with opened(run) as (engine, instance):
        await instance.send_event(event_type)
        await engine.run_until_idle()

        assert await instance.output() == event_type


@pytest.mark.parametrize(
    "event_type",
    [
        pytest.param("order.approved", id="dot"),
        pytest.param("", id="empty"),
        pytest.param("-x", id="dash first"),
        pytest.param("x" * 101, id="101 characters"),
        pytest.param("größe", id="other letters"),
    ],
)
async def test_event_type_beyond_the_rule_is_refused(event_type: str) -> None:
    """A wait refuses the type into the workflow, and who sends such an event is refused by the rule's name.

    Source: developers.cloudflare.com/workflows/build/events-and-parameters/
    """
    error, entries = await refusal_of(lambda step: step.wait_for_event("approval", event_type))

    assert (type(error), entries) == (InvalidEventType, [])
    async with opened(waiting()) as (_, instance):
        with pytest.raises(InvalidInput, match=r"^workflow\.invalid_event_type: "):
            await instance.send_event(event_type)


async def test_event_meets_its_exact_type_whatever_the_wait_is_called() -> None:
    """Only the type decides, capitals included; the name of the wait means nothing.

    Source: developers.cloudflare.com/workflows/build/events-and-parameters/
    """

    async def run(event, step):
        return (await step.wait_for_event("rejected", "approved"))["payload"]

    async with opened(run) as (engine, instance):
        for event_type in ("rejected", "Approved", "approved"):
            await instance.send_event(event_type, event_type)
        await engine.run_until_idle()

        assert await instance.output() == "approved"


# ---- which event


async def test_event_before_its_wait_is_kept() -> None:
    """An event may come as soon as the instance exists, and waits for its wait.

    Source: developers.cloudflare.com/workflows/build/events-and-parameters/
    """
    async with opened(waiting()) as (engine, instance):
        await instance.send_event("approved", "early")
        await engine.run_until_idle()

        assert await instance.output() == "early"


async def test_events_of_a_type_are_given_oldest_first() -> None:
    """Events of a type are a queue, and each of them ends one wait; equal ones are not taken for one.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/engine.ts)
    """
    async with opened(collecting(4)) as (engine, instance):
        for payload in ("a", "b", "b"):
            await instance.send_event("approved", payload)
        await engine.run_until_idle()
        before = await instance.status()
        await instance.send_event("approved", "c")
        await engine.run_until_idle()

        assert (before, await instance.output()) == ("waiting", ["a", "b", "b", "c"])


async def test_waits_of_a_type_are_served_in_the_order_of_their_calls() -> None:
    """Of several waits the one that was called first gets the first event.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """

    async def run(event, step):
        waits = [step.wait_for_event(name, "approved") for name in ("first", "second")]
        return [event["payload"] for event in await asyncio.gather(*waits)]

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()
        await instance.send_event("approved", 1)
        await engine.run_until_idle()
        between = await instance.status()
        await instance.send_event("approved", 2)
        await engine.run_until_idle()

        assert (between, await instance.output()) == ("waiting", [1, 2])


async def test_wait_that_ran_out_of_time_takes_no_event() -> None:
    """An event that comes later goes to the next wait of its type that lives.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """

    async def run(event, step):
        async def impatient():
            try:
                await step.wait_for_event("impatient", "approved", timeout="1 minute")
            except WorkflowTimeoutError:
                return "gone"

        async def patient():
            return (await step.wait_for_event("patient", "approved"))["payload"]

        return await asyncio.gather(impatient(), patient())

    async with opened(run) as (engine, instance):
        await engine.advance("2 minutes")
        await instance.send_event("approved", "got it")
        await engine.run_until_idle()

        assert await instance.output() == ["gone", "got it"]


async def test_event_after_the_deadline_is_too_late_even_if_nothing_ran_then() -> None:
    """A wait whose deadline passed while the engine was off has run out of time, whatever came since.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """
    async with opened(waiting(timeout="1 hour")) as (engine, instance):
        await engine.run_until_idle()
        await engine.crash()
        await engine.advance("2 hours")
        await instance.send_event("approved", "late")
        await engine.start_worker()
        await engine.run_until_idle()

        assert await instance.error() == Failure("WorkflowTimeoutError", "Execution timed out after 3600000ms")


async def test_event_wakes_an_instance_that_was_put_away() -> None:
    """An instance that waits takes no worker, and goes on when its event comes.

    Source: developers.cloudflare.com/workflows/build/events-and-parameters/
    """
    async with opened(waiting(timeout="30 days")) as (engine, instance):
        await engine.advance("20 days")
        before = await instance.status()
        await instance.send_event("approved", "late")
        await engine.run_until_idle()

        assert (before, await instance.output()) == ("waiting", "late")


async def test_event_that_was_given_is_not_given_again() -> None:
    """What a wait got is on record under its name: neither a replay nor a crash takes another event for it.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/context.ts)
    """
    async with opened(collecting(2), settings=REPLAYED) as (engine, instance):
        await instance.send_event("approved", 1)
        await engine.run_until_idle()
        await restart(engine)
        await engine.advance("1 hour")
        between = await instance.status()
        await instance.send_event("approved", 2)
        await engine.run_until_idle()

        assert (between, await instance.output()) == ("waiting", [1, 2])
        assert await names_of(instance) == ["approval-1", "approval-2"]


async def test_event_for_an_instance_that_has_ended_is_refused() -> None:
    """It could never be delivered, so whoever sends it is told.

    Source: developers.cloudflare.com/workflows/build/workers-api/#workflowinstance
    """
    async with opened(waiting()) as (engine, instance):
        await instance.send_event("approved")
        await engine.run_until_idle()

        with pytest.raises(InstanceFinished):
            await instance.send_event("approved")


async def test_payload_may_have_1_mib_of_json() -> None:
    """A payload of 2**20 bytes arrives whole, and one byte more is refused.

    Source: developers.cloudflare.com/workflows/reference/limits/
    """

    async def run(event, step):
        return len((await step.wait_for_event("approval", "approved"))["payload"])

    async with opened(run) as (engine, instance):
        with pytest.raises(InvalidInput, match="1,048,577 bytes as JSON; at most 1,048,576 are allowed"):
            await instance.send_event("approved", "x" * 1_048_575)
        await instance.send_event("approved", "x" * 1_048_574)
        await engine.run_until_idle()

        assert await instance.output() == 1_048_574
