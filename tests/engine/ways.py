"""The ways in which an instance can come to its end: straight, replayed at each wait, crashed after each write."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from stepwell import WorkflowEntrypoint
from stepwell.core.failures import Failure
from stepwell.core.steplog import RollbackOutcome
from stepwell.forcing import Decision
from stepwell.settings import TurnSettings
from stepwell.testing import TestEngine, TestInstance
from stepwell.testing.crashes import RevivingEngine
from tests.engine.stores import CheckedStore, DyingStore

LATE_MS = 3_600_000
FINAL = {"complete", "errored"}


@dataclass(frozen=True)
class Sending:
    """An event that is sent before the instance runs or, if it is late, an hour after."""

    event_type: str
    payload: Any = None
    is_late: bool = False


@dataclass(frozen=True)
class Hand:
    """What is decided of a step by hand: an hour after the instance began, if it is late."""

    decision: Decision
    is_late: bool = True


@dataclass(frozen=True)
class Job:
    """What is run: a workflow, its params, the events that it gets, and what is decided by hand."""

    workflow: type[WorkflowEntrypoint]
    params: Any = None
    sendings: Sequence[Sending | Hand] = ()


@dataclass(frozen=True)
class Outcome:
    """How an instance ended."""

    status: str
    output: Any
    error: Failure | None
    rollback: RollbackOutcome | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


async def every_way(job: Job, *, crashes: bool = True, takes_turns: bool = False) -> Any:
    """Run a job in every way, see that it always ends in the same, and return that.

    The output if it completes, else the error. `takes_turns`: there is a crash after each third write, in turn before
    and after its answer arrives; with which write that begins is a matter of the params.
    """
    straight = CheckedStore()
    expected = await outcome(job, straight)
    assert await outcome(job, CheckedStore(), parks_always=True) == expected
    if crashes:
        await crash_everywhere(job, expected, straight.writes, takes_turns=takes_turns)
    return expected.output if expected.error is None else expected.error


async def crash_everywhere(job: Job, expected: Outcome, writes: int, *, takes_turns: bool) -> None:
    """Run a job once for each of its writes, with a crash after it: before and after its answer arrives."""
    first = 1 + crc32(repr(job.params).encode()) % 3 if takes_turns else 1
    for n in range(first, writes, 3 if takes_turns else 1):
        for answers_last in (n % 2 == 0,) if takes_turns else (False, True):
            ended = await outcome(job, DyingStore(n, answers_last=answers_last))
            assert ended == expected, f"crash after write {n} of {writes}, answered: {answers_last}: {ended}"


async def outcome(job: Job, store: CheckedStore, *, parks_always: bool = False, lifetime: int | None = None) -> Outcome:
    """Run a job to its end, with a new worker each time when the store's die: once, or after so many writes each."""
    settings = TurnSettings(parks_always=parks_always, lost_turns=1_000_000, close_grace_ms=50)
    try:
        if isinstance(store, DyingStore):
            store.lifetime = lifetime
        async with RevivingEngine.open([job.workflow], settings=settings, store=store) as engine:
            instance = await engine.create(job.workflow, id="1", params=job.params)
            await _send(instance, job, late=False)
            late_at: int | None = engine.clock.now() + LATE_MS
            while not await _ends(engine, instance):
                alarm_at = engine.clock.next_alarm_at()
                if late_at is not None and (alarm_at is None or alarm_at > late_at):
                    engine.clock.move_to(late_at)
                    late_at = None
                    await _send(instance, job, late=True)
                    continue
                assert alarm_at is not None, "nothing will ever happen again"
                engine.clock.move_to(alarm_at)
            view = await instance.view()
            end = (view.row.status, await instance.output(), view.log.error, view.log.rollback)
            return Outcome(*end, await instance.labels())
    finally:
        await store.close()


async def _ends(engine: TestEngine, instance: TestInstance) -> bool:
    await engine.run_until_idle()
    # What takes a moment of real time, such as the end of a task, may have come to the last write only now.
    await (engine.settle() if engine.keeps_turns else engine.run_until_idle())
    return await instance.status() in FINAL


async def _send(instance: TestInstance, job: Job, *, late: bool) -> None:
    for sending in job.sendings:
        if sending.is_late != late:
            continue
        if isinstance(sending, Hand):
            await instance.force(sending.decision)
        else:
            await instance.send_event(sending.event_type, sending.payload)
