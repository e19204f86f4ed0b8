"""Every reason for which an instance does not go on, as a real engine brings it about."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from msgspec import structs

from stepwell import WorkflowEntrypoint
from stepwell.core.failures import Failure
from stepwell.core.why import (
    AttemptRunning,
    CodeRunning,
    End,
    EventAwaited,
    NotLoaded,
    NoWorker,
    PausedSince,
    Pausing,
    Queued,
    Reason,
    Resting,
    RetryAwaited,
    RollingBack,
    Sleeping,
    TurnsLost,
)
from stepwell.engine import NewInstance
from stepwell.errors import InstanceNotFound
from stepwell.settings import TurnSettings
from stepwell.store.operations import ReadHistory, RegisterWorkflow
from stepwell.testing import TestEngine, TestInstance
from tests.engine.flows import NOW, ONCE, opened
from tests.engine.stores import CheckedStore

HOUR = 3_600_000
NO = Failure("ValueError", "no")
SLOWLY = {"retries": {"limit": 3, "delay": "1 hour", "backoff": "constant"}}


async def reasons(instance: TestInstance) -> list[Reason]:
    """Return why an instance does not go on; errors without their classes."""
    return [
        structs.replace(reason, error=Failure(reason.error.name, reason.error.message))
        if isinstance(reason, RetryAwaited | RollingBack)
        else reason
        for reason in (await instance.why()).reasons
    ]


async def nothing(event: dict[str, Any], step: Any) -> None:
    """Do nothing."""


async def nap(event: dict[str, Any], step: Any) -> None:
    """Sleep for an hour."""
    await step.sleep("nap", "1 hour")


async def hang(event: dict[str, Any], step: Any) -> None:
    """Run an attempt that does not end."""
    await step.do("slow", asyncio.Event().wait, config={"timeout": "5 minutes"})


async def outside(event: dict[str, Any], step: Any) -> None:
    """Wait for something outside of steps."""
    await asyncio.get_running_loop().create_future()


async def fail() -> None:
    """Fail."""
    raise ValueError("no")


async def test_wait_for_an_event_is_told() -> None:
    """Step, type, and when it times out."""

    async def run(event, step):
        await step.wait_for_event("approval", "approved", timeout="1 hour")

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        assert await reasons(instance) == [EventAwaited("approval-1", "approved", NOW + HOUR)]


async def test_waits_beside_each_other_are_all_told() -> None:
    """A sleep, and a step that waits for its next attempt with its last error."""

    async def run(event, step):
        await asyncio.gather(step.sleep("nap", "1 hour"), step.do("charge", fail, config=SLOWLY))

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        assert await reasons(instance) == [Sleeping("nap-1", NOW + HOUR), RetryAwaited("charge-1", 1, NO, NOW + HOUR)]


async def test_attempt_in_flight_is_told() -> None:
    """Step, number, since when, on which worker, and until when at most."""
    async with opened(hang) as (engine, instance):
        await engine.advance("1 minute")

        assert await reasons(instance) == [AttemptRunning("slow-1", 1, NOW, NOW + 5 * 60_000, "worker")]


async def test_wait_outside_of_steps_is_told() -> None:
    """While the turn is open, and also once it was put back."""
    async with opened(outside) as (engine, instance):
        await engine.run_until_idle()
        assert await reasons(instance) == [CodeRunning(NOW)]

        await engine.advance("6 minutes")

        assert await instance.status() == "waiting"
        assert await reasons(instance) == [CodeRunning(NOW)]


async def test_wait_outside_of_steps_beside_a_sleep_is_told() -> None:
    """Both hold the instance up."""

    async def run(event, step):
        await asyncio.gather(nap(event, step), outside(event, step))

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        assert await reasons(instance) == [Sleeping("nap-1", NOW + HOUR), CodeRunning(NOW)]


async def test_instance_without_a_worker_is_told() -> None:
    """It is queued, behind those that were due before it, and nobody is there."""
    async with opened(nothing) as (engine, first):
        await engine.stop()
        engine.clock.move_to(NOW + 10)
        second = await engine.engine.create("local", "flow", NewInstance("b"))

        assert await reasons(first) == [Queued(NOW, 0), NoWorker(second.version)]
        assert await reasons(replace(first, id=second.id)) == [Queued(NOW + 10, 1), NoWorker(second.version)]


async def test_lost_turns_are_told_until_one_leads_to_something() -> None:
    """How many in a row; then what runs."""
    async with opened(hang) as (engine, instance):
        await engine.run_until_idle()
        await engine.crash()
        version = (await instance.view()).row.version
        assert await reasons(instance) == [TurnsLost(1), Queued(NOW, 0), NoWorker(version)]

        await engine.start_worker()
        await engine.run_until_idle()
        assert await reasons(instance) == [TurnsLost(1), AttemptRunning("slow-1", 2, NOW, NOW + 5 * 60_000, "worker")]

        await engine.crash()
        assert (await reasons(instance))[0] == TurnsLost(2)


@pytest.mark.parametrize("is_forgotten", [True, False])
async def test_workflow_that_no_worker_has_is_told(is_forgotten: bool) -> None:
    """Whether the script lost the class, or nobody loads the script any more."""
    async with opened(nothing) as (engine, instance):
        await engine.stop()
        classes = ("Other",) if is_forgotten else ()
        await engine.store.run(
            RegisterWorkflow(
                "local", "other", "tests", "Other", "1" * 64, str(uuid4()), str(uuid4()), NOW, classes=classes
            )
        )
        async with TestEngine.open([WorkflowEntrypoint], store=engine.store, clock=engine.clock) as others:
            await others.run_until_idle()

            assert await reasons(instance) == [NotLoaded("tests", "Flow", ["worker"])]
            assert (await instance.view()).row.due_at == NOW + 60_000


@pytest.mark.usefixtures("bare_claims")
async def test_turn_that_could_not_go_on_is_told() -> None:
    """An instance whose turn ended by a defect rests until it is tried again."""

    class Damaged(CheckedStore):
        def run(self, operation):
            answer = super().run(operation)
            if isinstance(operation, ReadHistory):
                damaged: Any = asyncio.get_running_loop().create_future()
                damaged.set_result([*answer.result(), answer.result()[0]])
                return damaged
            return answer

    store = Damaged()
    async with opened(nap, store=store) as (engine, instance):
        await engine.run_until_idle()

        assert await reasons(instance) == [Resting(NOW + 60_000)]
    await store.close()


async def test_pause_is_told() -> None:
    """While what is in flight ends, and once it has."""
    gate = asyncio.Event()

    async def run(event, step):
        await step.do("slow", gate.wait)
        await step.sleep("nap", "1 hour")

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()
        await instance.pause()
        await engine.run_until_idle()
        assert await reasons(instance) == [
            Pausing(NOW, ["slow-1"]),
            AttemptRunning("slow-1", 1, NOW, NOW + 10 * 60_000, "worker"),
        ]

        gate.set()
        await engine.advance("1 minute")
        assert await reasons(instance) == [PausedSince(NOW)]

        await instance.resume()
        await engine.run_until_idle()
        assert await reasons(instance) == [Sleeping("nap-1", NOW + 60_000 + HOUR)]


async def test_rollback_is_told() -> None:
    """For which error, which rollback, and what that waits for."""

    async def run(event, step):
        await step.do("charge", lambda: 1, rollback=fail, rollback_config=SLOWLY)
        raise LookupError("no seats")

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        assert await reasons(instance) == [
            RollingBack(NOW, Failure("LookupError", "no seats"), "charge-1"),
            RetryAwaited("charge-1", 1, NO, NOW + HOUR),
        ]


async def test_end_is_told() -> None:
    """No reasons, but when and why it ended."""

    async def run(event, step):
        await step.do("charge", fail, config=ONCE)

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()
        why = await instance.why()

    assert (why.status, list(why.reasons)) == ("errored", [])
    assert why.end is not None
    assert (why.end.at, why.end.error and why.end.error.message) == (NOW, "no")


async def test_instance_that_completed_has_an_end_without_an_error() -> None:
    """Its end alone."""
    async with opened(nothing) as (engine, instance):
        await engine.run_until_idle()

        assert (await instance.why()).end == End(NOW, None)


async def test_replays_at_each_wait_tell_the_same() -> None:
    """An instance that is parked and replayed tells what one tells that runs straight."""

    async def run(event, step):
        await step.sleep("nap", 500)
        await step.wait_for_event("approval", "approved", timeout="1 hour")

    for settings in (TurnSettings(), TurnSettings(parks_always=True)):
        async with opened(run, settings=settings) as (engine, instance):
            await engine.advance("1 minute")

            assert await reasons(instance) == [EventAwaited("approval-1", "approved", NOW + 500 + HOUR)]


async def test_handle_of_a_binding_tells_why() -> None:
    """As the API has it."""

    class Approval(WorkflowEntrypoint):
        async def run(self, event, step):
            await step.wait_for_event("approval", "approved", timeout="1 hour")

    async with TestEngine.open([Approval]) as engine:
        handle = await engine.env.APPROVAL.create(id="a")
        await engine.run_until_idle()
        waiting = await handle.why()
        await handle.delete()
        with pytest.raises(InstanceNotFound):
            await handle.why()

    assert waiting == {
        "status": "waiting",
        "reasons": [
            {
                "type": "waitForEvent",
                "step": "approval-1",
                "event_type": "approved",
                "until": "2026-09-21T15:13:20.000Z",
                "unmet": [],
            }
        ],
        "end": None,
    }
