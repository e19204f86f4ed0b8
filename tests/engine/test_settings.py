"""Settings change what instances live by: each limit at its exact place, with another value than the default."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from stepwell.clock import VirtualClock
from stepwell.core.failures import Failure
from stepwell.core.records import StepConfig
from stepwell.core.steplog import StepEntry
from stepwell.engine import Engine, NewInstance
from stepwell.env import Env
from stepwell.errors import InvalidInput
from stepwell.fetch import FetchApp
from stepwell.server_settings import DEFAULT_SETTINGS
from stepwell.settings import TurnSettings
from stepwell.testing import TestEngine
from stepwell.web import Response, WorkerEntrypoint
from tests.engine.flows import ONCE, attempts_of, error_of, opened, output_of, workflow

DAY_MS = 86_400_000
TWO_MIB = 2**21


async def test_result_has_the_size_that_it_may_have() -> None:
    """A result of exactly the setting is kept and comes back after a replay; one byte more fails the attempt."""

    async def run(event, step):
        kept = await step.do("fits", lambda: "x" * (TWO_MIB - 2), config=ONCE)
        await step.sleep("nap", "1 hour")
        try:
            await step.do("does not", lambda: "x" * (TWO_MIB - 1), config=ONCE)
        except Exception as error:  # as an author may catch it
            return [len(kept), str(error)]

    assert await output_of(run, settings=TurnSettings(result_bytes=TWO_MIB)) == [
        TWO_MIB - 2,
        "Step does not-1 output is too large: 2,097,153 bytes as JSON. At most 2,097,152 are allowed; "
        "store the data elsewhere and return a reference.",
    ]


@pytest.mark.parametrize(
    ("character", "bytes_of_it"), [pytest.param("x", 1, id="ASCII"), pytest.param("é", 2, id="two bytes")]
)
async def test_params_and_events_have_the_size_that_they_may_have(character: str, bytes_of_it: int) -> None:
    """Params and payloads of exactly the setting arrive whole; one byte more is refused. Bytes are counted."""

    async def run(event, step):
        sent = await step.wait_for_event("wait", "sent")
        return [len(event["payload"]), len(sent["payload"])]

    flow = workflow(run)
    fits = character * ((TWO_MIB - 2) // bytes_of_it)
    async with TestEngine.open([flow]) as engine:
        engine.engine.settings = replace(DEFAULT_SETTINGS, payload_size=TWO_MIB)
        instance = await engine.create(flow, params=fits)
        with pytest.raises(InvalidInput, match="params is 2,097,153 bytes as JSON; at most 2,097,152 are allowed"):
            await engine.create(flow, params=fits + "x")
        with pytest.raises(
            InvalidInput, match="event payload is 2,097,153 bytes as JSON; at most 2,097,152 are allowed"
        ):
            await instance.send_event("sent", fits + "x")
        await instance.send_event("sent", fits)
        await engine.run_until_idle()

        assert await instance.output() == [len(fits), len(fits)]


async def _fills(event, step):
    """Fill an instance that has params of 2 bytes: after the event (100) and the first result there are 1,000."""
    await step.wait_for_event("wait", "sent")
    await step.do("first", lambda: "x" * 896)
    await step.sleep("nap", "1 hour")
    try:
        await step.do("second", lambda: event["payload"])
    except BaseException:  # as an author may catch it
        return "caught"
    return "fits"


@pytest.mark.parametrize("parks_always", [pytest.param(False, id="live"), pytest.param(True, id="replayed")])
@pytest.mark.parametrize(("most", "status"), [pytest.param(1_002, "complete", id="fits"), (1_001, "errored")])
async def test_instance_ends_with_the_result_for_which_it_has_no_room(
    most: int, status: str, *, parks_always: bool
) -> None:
    """Params, events and results of exactly the setting fit; a byte less ends the instance, which cannot be caught."""
    async with opened(_fills, settings=TurnSettings(instance_bytes=most, parks_always=parks_always)) as (
        engine,
        instance,
    ):
        await instance.send_event("sent", "x" * 98)
        await engine.advance("1 day")

        entries = (await instance.log()).entries
        error = Failure(
            "WorkflowFatalError",
            'Step "second-1": with its result the instance would hold 1,002 bytes of params, event payloads and step '
            "results. At most 1,001 are allowed (the setting instance_size); store large values elsewhere and return "
            "references, go on in another instance, or raise the setting.",
        )
        assert await instance.status() == status
        assert await instance.error() == (error if status == "errored" else None)
        assert [entry.success for entry in entries if isinstance(entry, StepEntry)] == [True, status == "complete"]


@pytest.mark.parametrize(("size", "status"), [pytest.param(998, "complete", id="fits"), (999, "errored")])
async def test_output_is_as_large_as_a_result_may_be(size: int, status: str) -> None:
    """With its quotes; a byte more fails the instance with what helps."""
    async with opened(lambda event, step: "x" * size, settings=TurnSettings(result_bytes=1_000)) as (engine, instance):
        await engine.run_until_idle()

        assert await instance.status() == status
        error = Failure(
            "WorkflowInternalError",
            "The output is too large: 1,001 bytes as JSON. At most 1,000 are allowed (the setting step_result_size); "
            "store the data elsewhere and return a reference.",
        )
        assert await instance.error() == (error if status == "errored" else None)


async def test_event_beyond_the_room_is_taken_and_counts() -> None:
    """No event is refused for it; the next result has no room, however small it is."""

    async def run(event, step):
        await step.wait_for_event("wait", "sent")
        await step.sleep("nap", "1 hour")
        await step.do("small", lambda: 1)

    async with opened(run, settings=TurnSettings(instance_bytes=1_000)) as (engine, instance):
        await instance.send_event("sent", "x" * 2_000)
        await engine.run_until_idle()
        taken = await instance.status()
        await engine.advance("1 day")

        assert (taken, await instance.status()) == ("waiting", "errored")


async def test_batch_of_a_binding_has_as_many_as_it_may_have() -> None:
    """Instances of exactly the setting are created, in each form; one more is refused with the setting."""

    async def run(event, step):
        return None

    async with TestEngine.open([workflow(run)]) as engine:
        engine.engine.settings = replace(DEFAULT_SETTINGS, batch_instances=101)
        binding = engine.env.FLOW

        listed = await binding.create_batch([{}] * 101)
        counted = await binding.create_batch({"count": 101})
        with pytest.raises(InvalidInput, match="create_batch takes 1 to 101 instances, got 102"):
            await binding.create_batch([{}] * 102)
        with pytest.raises(InvalidInput, match="`count` must be an integer from 1 to 101, got 102"):
            await binding.create_batch({"count": 102})

    assert (len(listed), len(counted["created"])) == (101, 101)


async def test_payload_may_be_made_smaller() -> None:
    """A setting below the default holds too."""

    async def run(event, step):
        return event["payload"]

    async with TestEngine.open([flow := workflow(run)]) as engine:
        engine.engine.settings = replace(DEFAULT_SETTINGS, payload_size=16)

        await engine.create(flow, params="x" * 14)
        with pytest.raises(InvalidInput, match="params is 17 bytes as JSON; at most 16 are allowed"):
            await engine.engine.create("local", "flow", NewInstance(params='"' + "x" * 15 + '"'))


@pytest.mark.parametrize(
    ("ms", "problem"),
    [
        pytest.param(400 * DAY_MS, None, id="as long as it may be"),
        pytest.param(400 * DAY_MS + 1, "at most 400 days, got 34560000001.", id="longer"),
    ],
)
async def test_sleep_is_as_long_as_it_may_be(ms: int, problem: str | None) -> None:
    """The longest sleep is a setting."""

    async def run(event, step):
        try:
            await step.sleep("nap", ms)
        except Exception as error:  # as an author may catch it
            return str(error)

    async with opened(run, settings=TurnSettings(longest_sleep_ms=400 * DAY_MS)) as (engine, instance):
        await engine.advance("400 days")

        assert await instance.status() == "complete"
        output = await instance.output()
        assert output == problem or output.endswith(problem)


async def test_moment_is_as_far_away_as_it_may_be() -> None:
    """The longest sleep holds for moments too."""

    async def run(event, step):
        await step.sleep_until("nap", event["timestamp"] + timedelta(milliseconds=DAY_MS + 1))

    error = await error_of(run, settings=TurnSettings(longest_sleep_ms=DAY_MS))

    assert error is not None
    assert "the moment must be at most 1 day away, in milliseconds" in error.message


WAITS = TurnSettings(shortest_wait_ms=5_000, longest_wait_ms=60_000, wait_timeout_ms=30_000)


@pytest.mark.parametrize(
    ("timeout", "lasts_s"),
    [
        pytest.param({}, 30, id="default"),
        pytest.param({"timeout": 5_000}, 5, id="shortest"),
        pytest.param({"timeout": 60_000}, 60, id="longest"),
    ],
)
async def test_wait_lasts_as_long_as_it_may(timeout: dict[str, Any], lasts_s: int) -> None:
    """Bounds and default of a wait's time-out are settings."""

    async def run(event, step):
        await step.wait_for_event("wait", "sent", **timeout)

    async with opened(run, settings=WAITS) as (engine, instance):
        await engine.advance(lasts_s * 1000 - 1)
        assert await instance.status() == "waiting"
        await engine.advance(1)
        assert await instance.status() == "errored"


@pytest.mark.parametrize("timeout", [pytest.param(4_999, id="shorter"), pytest.param(60_001, id="longer")])
async def test_wait_beyond_its_bounds_is_refused(timeout: int) -> None:
    """One millisecond beyond a bound is refused with the bounds."""

    async def run(event, step):
        await step.wait_for_event("wait", "sent", timeout=timeout)

    error = await error_of(run, settings=WAITS)

    assert error is not None
    assert error.message.endswith(f"from 5 seconds to 1 minute, got {timeout}.")


@pytest.mark.parametrize(
    ("limit", "problem"), [pytest.param(2, None, id="as many"), pytest.param(3, "a number from 0 to 2", id="more")]
)
async def test_step_has_as_many_retries_as_it_may(limit: int, problem: str | None) -> None:
    """The most retries that a config may ask for are a setting."""

    async def run(event, step):
        try:
            return await step.do("work", lambda: "done", config={"retries": {"limit": limit, "delay": 0}})
        except Exception as error:  # as an author may catch it
            return str(error)

    output = await output_of(run, settings=TurnSettings(retries_per_step=2))

    assert output == "done" if problem is None else problem in output


async def test_step_without_a_config_has_the_defaults() -> None:
    """Retries, their delay, its growth and the time-out of an attempt are settings."""

    async def run(event, step):
        @step.do
        async def work():
            raise ValueError

        await work()

    settings = TurnSettings(defaults=StepConfig(2, 250, "linear", 1_000))
    async with opened(run, settings=settings) as (engine, instance):
        await engine.advance("1 minute")

        assert [start for start, _, _ in await attempts_of(instance)] == [0, 0.25, 0.75]
        assert await instance.error() == Failure("ValueError", "")


async def test_body_of_a_request_to_fetch_is_as_large_as_it_may_be() -> None:
    """A body of exactly the setting is seen by `fetch`; one byte more is 413, told or not."""

    async def fetch(self, request):
        return Response(str(len(await request.bytes())))

    async def untold(size: int) -> AsyncIterator[bytes]:
        yield bytes(size)

    app = FetchApp(type("Default", (WorkerEntrypoint,), {"fetch": fetch}), Env({}, {}), None, 1_000)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop.example") as client:
        bodies: list[Any] = [bytes(1_000), untold(1_000), bytes(1_001), untold(1_001)]
        answers = [await client.post("/", content=body) for body in bodies]

    assert [answer.status_code for answer in answers] == [200, 200, 413, 413]
    assert (answers[0].text, answers[2].text) == ("1000", "the body is larger than 1,000 bytes\n")


def test_engine_that_is_told_nothing_takes_what_cloudflare_takes() -> None:
    """1 MiB of payload, a hundred instances of a batch, and so on: the defaults of the settings."""
    engine = Engine(None, VirtualClock())  # type: ignore[arg-type]  # it is not asked

    assert engine.settings == DEFAULT_SETTINGS
    assert (engine.settings.payload_size, engine.settings.batch_instances) == (1_048_576, 100)
