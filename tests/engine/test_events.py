"""Events: none is lost, each is given once, to the wait that it was in time for."""

import asyncio
from datetime import datetime
from typing import Any

import pytest

from stepwell import WorkflowTimeoutError
from stepwell.core.failures import Failure
from stepwell.core.steplog import WaitEntry
from stepwell.errors import InstanceFinished, InstanceNotFound, InvalidInput
from stepwell.settings import TurnSettings
from stepwell.testing import TestEngine, TestInstance
from tests.engine.flows import NOW, Run, error_of, opened, output_of, outputs_of, restart, workflow


def waiting(timeout: Any = "24 hours") -> Run:
    """Return a workflow that waits for `approved` and returns the payload."""

    async def run(event, step):
        return (await step.wait_for_event("approval", "approved", timeout=timeout))["payload"]

    return run


def collecting(count: int) -> Run:
    """Return a workflow that waits for `approved` so many times, one after another."""

    async def run(event, step):
        return [(await step.wait_for_event("approval", "approved"))["payload"] for _ in range(count)]

    return run


async def _waits(instance: TestInstance) -> list[WaitEntry]:
    return [entry for entry in (await instance.log()).entries if isinstance(entry, WaitEntry)]


# ---- early, late, several


async def test_wait_returns_the_event() -> None:
    """A wait returns a dict with payload, timestamp (UTC without a zone) and type."""
    seen = []

    async def run(event, step):
        seen.append(await step.wait_for_event("approval", "approved"))
        await step.sleep("nap", "1 hour")

    async with opened(run) as (engine, instance):
        await engine.advance("1 minute")
        await instance.send_event("approved", {"by": "ann"})
        await engine.advance("1 day")

    moment = datetime(2026, 9, 21, 14, 14, 20)  # noqa: DTZ001 - without a zone, as on Cloudflare
    assert seen == [{"payload": {"by": "ann"}, "timestamp": moment, "type": "approved"}] * 2


async def test_event_sent_before_the_wait_is_not_lost() -> None:
    """An event waits in the instance until the workflow asks for its type."""
    async with opened(waiting()) as (engine, instance):
        await instance.send_event("approved", {"by": "ann"})

        await engine.run_until_idle()

        assert await instance.output() == {"by": "ann"}


async def test_event_wakes_an_instance_that_waits() -> None:
    """An event that comes days later continues the instance at once."""
    async with opened(waiting("30 days")) as (engine, instance):
        await engine.advance("20 days")
        before = await instance.status()
        await instance.send_event("approved", "late")
        await engine.run_until_idle()

        assert (before, await instance.status(), await instance.output()) == ("waiting", "complete", "late")


async def test_events_are_given_in_the_order_in_which_they_came() -> None:
    """Oldest first, each to one wait, however many came before the first wait."""
    async with opened(collecting(4)) as (engine, instance):
        for i in (1, 2, 3):
            await instance.send_event("approved", i)
        await engine.run_until_idle()
        await instance.send_event("approved", 4)
        await engine.run_until_idle()

        assert await instance.output() == [1, 2, 3, 4]


async def test_event_is_not_given_again_after_a_crash() -> None:
    """What a wait got stays with it; the next wait waits for the next event."""
    async with opened(collecting(2)) as (engine, instance):
        await instance.send_event("approved", 1)
        await engine.run_until_idle()
        await restart(engine)
        await engine.advance("1 hour")
        between = await instance.status()
        await instance.send_event("approved", 2)
        await engine.run_until_idle()

        assert (between, await instance.output()) == ("waiting", [1, 2])


async def test_waits_side_by_side_are_served_in_their_order() -> None:
    """Several waits for one type get one event each, first come, first served."""

    async def run(event, step):
        names = ["first", "second", "third"]
        events = await asyncio.gather(*(step.wait_for_event(name, "approved") for name in names))
        return [event["payload"] for event in events]

    async with opened(run) as (engine, instance):
        for i in (1, 2, 3):
            await engine.advance("1 hour")
            await instance.send_event("approved", i)
        await engine.run_until_idle()

        assert await instance.output() == [1, 2, 3]


async def test_event_meets_its_type_and_nothing_else() -> None:
    """The name of a wait means nothing; capitals in the type do."""

    async def run(event, step):
        return (await step.wait_for_event("rejected", "approved"))["payload"]

    async with opened(run) as (engine, instance):
        await instance.send_event("rejected", 1)
        await instance.send_event("Approved", 2)
        await instance.send_event("approved", 3)
        await engine.run_until_idle()

        assert await instance.output() == 3


async def test_event_that_comes_while_a_step_runs_is_kept() -> None:
    """A turn that holds the instance is told, and gives the event to the wait that comes later."""
    is_sent = asyncio.Event()

    async def run(event, step):
        @step.do
        async def work():
            await is_sent.wait()

        await work()
        return (await step.wait_for_event("approval", "approved"))["payload"]

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()
        await instance.send_event("approved", "meanwhile")
        is_sent.set()
        await engine.run_until_idle()

        assert await instance.output() == "meanwhile"


async def test_event_that_comes_while_nothing_runs_is_kept() -> None:
    """An event that was acknowledged while all workers were dead is there when one lives."""
    async with opened(waiting()) as (engine, instance):
        await engine.run_until_idle()
        await engine.crash()
        await instance.send_event("approved", "kept")
        await engine.start_worker()
        await engine.run_until_idle()

        assert await instance.output() == "kept"


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(None, id="none"),
        pytest.param(0, id="zero"),
        pytest.param("text", id="text"),
        pytest.param([{"a": 2**70}], id="json"),
        pytest.param("ü" * 5000, id="more-than-4-kib"),
        pytest.param("x" * (2**20 - 2), id="1-mib"),
    ],
)
async def test_payload_arrives_as_it_was_sent(payload: Any) -> None:
    """Any JSON up to 1 MiB is a payload; a large one is the same on replay."""

    async def run(event, step):
        got = await step.wait_for_event("approval", "approved")
        return got["payload"] == payload and type(got["payload"]) is type(payload)

    for settings in (TurnSettings(), TurnSettings(parks_always=True)):
        async with opened(run, settings=settings) as (engine, instance):
            await engine.run_until_idle()
            await instance.send_event("approved", payload)
            await engine.run_until_idle()

            assert await instance.output() is True


async def test_params_of_more_than_4_kib_arrive_whole() -> None:
    """Large params lie apart, and are the same in every turn."""
    seen = []

    async def run(event, step):
        seen.append(event["payload"])
        await step.sleep("nap", "1 hour")

    await output_of(run, params={"text": "ü" * 5000})

    assert seen == [{"text": "ü" * 5000}] * 2


async def test_large_events_arrive_in_their_order() -> None:
    """Values that have to be read first do not change the order in which waits end."""
    async with opened(collecting(3)) as (engine, instance):
        for payload in ("x" * 9000, 2, "y" * 9000):
            await instance.send_event("approved", payload)
        await engine.run_until_idle()

        assert await instance.output() == ["x" * 9000, 2, "y" * 9000]


# ---- time-outs


async def test_wait_times_out() -> None:
    """After its timeout a wait raises WorkflowTimeoutError, which can be caught; on replay too."""
    seen = []

    async def run(event, step):
        try:
            await step.wait_for_event("approval", "approved", timeout="1 minute")
        except WorkflowTimeoutError as error:
            seen.append(str(error))
        await step.sleep("nap", "1 hour")

    await output_of(run)

    assert seen == ["Execution timed out after 60000ms"] * 2


async def test_timeout_that_nobody_catches_ends_the_instance() -> None:
    """The instance's error is that of the wait."""
    assert await error_of(waiting("1 hour")) == Failure("WorkflowTimeoutError", "Execution timed out after 3600000ms")


async def test_wait_lasts_a_day_unless_told_otherwise() -> None:
    """The default timeout is 24 hours."""

    async def run(event, step):
        await step.wait_for_event("approval", "approved")

    async with opened(run) as (engine, instance):
        await engine.advance(86_399_999)
        before = await instance.status()
        await engine.advance(1)

        assert (before, await instance.status()) == ("waiting", "errored")


async def test_deadline_survives_a_restart() -> None:
    """A wait keeps its first deadline, however often it is replayed."""
    async with opened(waiting("1 hour")) as (engine, instance):
        await engine.advance("50 minutes")
        await restart(engine)
        await engine.advance("9 minutes")
        before = await instance.status()
        await engine.advance("1 minute")

        assert (before, await instance.status()) == ("waiting", "errored")


async def test_event_in_time_counts_even_if_nothing_ran_at_the_deadline() -> None:
    """An event that came before the deadline wins, when both are found later."""
    async with opened(waiting("1 hour")) as (engine, instance):
        await engine.run_until_idle()
        await engine.crash()
        await engine.advance("59 minutes")
        await instance.send_event("approved", "in time")
        await engine.advance("1 day")
        await engine.start_worker()
        await engine.run_until_idle()

        assert await instance.output() == "in time"


async def test_event_after_the_deadline_goes_to_the_next_wait() -> None:
    """A wait that has timed out does not swallow what comes later."""

    async def run(event, step):
        try:
            await step.wait_for_event("first", "approved", timeout="1 minute")
        except WorkflowTimeoutError:
            return (await step.wait_for_event("second", "approved"))["payload"]

    async with opened(run) as (engine, instance):
        await engine.advance("2 minutes")
        await instance.send_event("approved", "for the second")
        await engine.run_until_idle()

        assert await instance.output() == "for the second"


async def test_timed_out_wait_beside_a_live_one_does_not_swallow_the_event() -> None:
    """Of two waits for a type the one that still waits gets the event."""

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


@pytest.mark.parametrize(
    "timeout",
    [
        pytest.param(999, id="less-than-a-second"),
        pytest.param("366 days", id="more-than-365-days"),
        pytest.param("soon", id="no-duration"),
        pytest.param(None, id="none"),
    ],
)
async def test_wrong_timeout_is_refused(timeout: Any) -> None:
    """A wait lasts from a second to 365 days."""
    error = await error_of(waiting(timeout))

    assert error is not None
    assert error.name == "WorkflowFatalError"
    assert error.message.startswith('Step "approval": timeout must be ')


# ---- status and log


async def test_status_is_waiting_only_while_everything_waits() -> None:
    """An instance with an attempt in flight is running, even if another task waits for an event."""
    is_done = asyncio.Event()

    async def run(event, step):
        @step.do
        async def work():
            await is_done.wait()

        await asyncio.gather(work(), step.wait_for_event("approval", "approved"))

    async with opened(run) as (engine, instance):
        await engine.advance("1 minute")
        during = await instance.status()
        is_done.set()
        await engine.run_until_idle()
        after = await instance.status()
        await instance.send_event("approved")
        await engine.run_until_idle()

        assert (during, after, await instance.status()) == ("running", "waiting", "complete")


async def test_wait_is_shown_with_its_deadline_and_then_with_its_event() -> None:
    """The log tells the type, the planned end while it waits, and the event when it came."""
    async with opened(waiting("1 hour")) as (engine, instance):
        await engine.run_until_idle()
        before = await _waits(instance)
        await engine.advance("1 minute")
        await instance.send_event("approved", 5)
        await engine.run_until_idle()

        shown = '{"type":"approved","timestamp":"2026-09-21T14:14:20.000Z","payload":5}'
        assert before == [WaitEntry("approval-1", NOW, NOW + 3_600_000, "approved", 3_600_000)]
        assert await _waits(instance) == [
            WaitEntry("approval-1", NOW, NOW + 60_000, "approved", 3_600_000, True, None, shown)
        ]


async def test_wait_that_the_workflow_cancels_takes_no_event() -> None:
    """The loser of a race is cancelled; an event that comes later goes to the next wait."""

    async def run(event, step):
        wait = asyncio.create_task(step.wait_for_event("approval", "approved"))
        await step.sleep("patience", "1 minute")
        wait.cancel()
        await asyncio.wait([wait])
        return (await step.wait_for_event("approval", "approved"))["payload"]

    async with opened(run) as (engine, instance):
        await engine.advance("2 minutes")
        await instance.send_event("approved", "second")
        await engine.run_until_idle()

        assert await instance.output() == "second"
        assert [entry.error and entry.error.name for entry in await _waits(instance)] == ["CancelledError", None]


# ---- what is refused


@pytest.mark.parametrize(
    "event_type",
    [
        pytest.param("order.approved", id="dot"),
        pytest.param("", id="empty"),
        pytest.param("x" * 101, id="too-long"),
    ],
)
async def test_event_of_a_wrong_type_is_refused(event_type: str) -> None:
    """A type that no wait can name is refused when it is sent."""
    async with opened(waiting()) as (_, instance):
        with pytest.raises(InvalidInput, match=r"^workflow\.invalid_event_type: "):
            await instance.send_event(event_type)


async def test_payload_above_1_mib_is_refused() -> None:
    """What is too large is not stored."""
    async with opened(waiting()) as (_, instance):
        with pytest.raises(InvalidInput, match="1,048,577 bytes as JSON; at most 1,048,576 are allowed"):
            await instance.send_event("approved", "x" * (2**20 - 1))


async def test_event_for_an_instance_that_has_ended_is_refused() -> None:
    """It could never be delivered."""
    async with opened(waiting()) as (engine, instance):
        await instance.send_event("approved")
        await engine.run_until_idle()

        with pytest.raises(InstanceFinished):
            await instance.send_event("approved")


async def test_event_for_an_instance_that_there_is_none_of_is_refused() -> None:
    """Events are for instances that exist."""
    flow = workflow(waiting())
    async with TestEngine.open([flow]) as engine:
        with pytest.raises(InstanceNotFound):
            await engine.instance(flow, "nobody").send_event("approved")


async def test_loop_over_events_is_the_same_on_replay() -> None:
    """A workflow that takes events until one says stop meets each of them once."""

    async def run(event, step):
        total = 0
        while (amount := (await step.wait_for_event("amount", "amount"))["payload"]) is not None:
            total += amount
        return total

    async def total_of(settings: TurnSettings) -> Any:
        async with opened(run, settings=settings) as (engine, instance):
            for amount in (1, 2, 3, None):
                await instance.send_event("amount", amount)
                await engine.advance("1 hour")
            return await instance.output()

    assert [await total_of(TurnSettings()), await total_of(TurnSettings(parks_always=True))] == [6, 6]


async def test_wait_inside_a_step_is_the_steps_own() -> None:
    """A step's body may wait for an event; the next attempt of the body finds it again."""

    async def run(event, step):
        @step.do(config={"retries": {"limit": 1, "delay": 0}, "timeout": "2 days"})
        async def ask(ctx):
            answer = (await step.wait_for_event("answer", "answer"))["payload"]
            if ctx["attempt"] == 1:
                raise ValueError("once more")
            return answer

        return await ask()

    async with opened(run) as (engine, instance):
        await instance.send_event("answer", 42)
        await engine.run_until_idle()

        assert await instance.output() == 42
        assert len(await _waits(instance)) == 1


async def test_race_of_event_and_sleep_is_decided_once() -> None:
    """The one that comes first wins, and a replay finds the same winner."""

    async def run(event, step):
        async def event_comes():
            return (await step.wait_for_event("approval", "approved"))["payload"]

        async def time_is_up():
            await step.sleep("patience", "1 hour")
            return "too late"

        racers = [asyncio.create_task(event_comes()), asyncio.create_task(time_is_up())]
        done, pending = await asyncio.wait(racers, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await step.sleep("nap", "2 hours")
        return [task.result() for task in done]

    async with opened(run) as (engine, instance):
        await engine.advance("30 minutes")
        await instance.send_event("approved", "in time")
        await engine.advance("1 day")

        assert await instance.output() == ["in time"]
    assert await outputs_of(run) == (["too late"], ["too late"])
