"""What instances wait for, in people's words, and what a test can do about it."""

from collections.abc import AsyncIterator
from typing import assert_never

from stepwell import reasons
from stepwell.core import why
from stepwell.core.instance import UNFINISHED
from stepwell.core.steplog import iso
from stepwell.engine import Engine
from stepwell.store.search_operations import SearchInstances, Wanted

_CHILD = "child:"
# Of a thousand that wait, the first say why.
_SHOWN = 20


async def unfinished(engine: Engine, account: str) -> list[str]:
    """Return what each unfinished instance waits for, and what would help; of many, the first."""
    return [line async for line in _lines(engine, account)]


async def _lines(engine: Engine, account: str) -> AsyncIterator[str]:
    wanted = Wanted(statuses=tuple(sorted(UNFINISHED)))
    asked = SearchInstances(account, None, wanted, engine.clock.now(), _SHOWN + 1, ascending=True)
    found = (await engine.store.run(asked)).instances
    for row in (one.row for one in found[:_SHOWN]):
        explained = await reasons.explain(engine, account, row.workflow, row.id)
        said = "; ".join(in_words(reason) for reason in explained.reasons) or f"is {row.status}; no reason is known"
        yield f"{row.workflow}/{row.id} {said}"
    if len(found) > _SHOWN:
        yield "and others"


def in_words(reason: why.Reason) -> str:  # noqa: PLR0911 - one for each reason
    """Say what an instance waits for, and what would help."""
    match reason:
        case why.EventAwaited():
            return _event(reason)
        case why.Sleeping(step=step, until=until):
            return f"sleeps ({step}) until {iso(until)}: `await engine.advance(...)` moves the clock on"
        case why.RetryAwaited(step=step, error=error, until=until):
            failed = f"whose last one failed with {error.name}: {error.message}"
            return f"waits for the next attempt of {step}, {failed}, until {iso(until)}"
        case why.AttemptRunning(step=step):
            return f"is in step {step}, whose body does not return: `mock_step_result` puts a value in its place"
        case why.CodeRunning():
            return "waits, outside of its steps, for something that nothing brings about: do it in a step"
        case why.PausedSince():
            return "is paused: `await instance.resume()` lets it go on"
        case why.Pausing(in_flight=in_flight):
            return f"is to be paused once {', '.join(in_flight) or 'the code of run'} has ended"
        case why.RollingBack(error=error, step=step):
            at = "" if step is None else f" (now {step})"
            return f"is rolled back{at} for {error.name}: {error.message}"
        case _:
            return _queued(reason)


def _event(reason: why.EventAwaited) -> str:
    event_type, step = reason.event_type, reason.step
    if event_type.startswith(_CHILD):
        return f"waits for its child {event_type.removeprefix(_CHILD)} ({step})"
    others = f"; what has come, and nothing waits for: {', '.join(reason.unmet)}" if reason.unmet else ""
    return (
        f'waits for the event "{event_type}" ({step}) until {iso(reason.until)}: '
        f'`await instance.send_event("{event_type}", ...)` sends it, and `mock_event` does so beforehand{others}'
    )


def _queued(
    reason: why.Queued
    | why.SlotAwaited
    | why.SharedSlotAwaited
    | why.NoWorker
    | why.NotLoaded
    | why.TurnsLost
    | why.Resting
    | why.WorkerBlocked,
) -> str:
    """Say what keeps an instance that could go on."""
    match reason:
        case why.SlotAwaited(wait=wait):
            most = wait.most if wait.most is not None else wait.most_in_account
            return f"waits for a slot, as {wait.held} of {most} run: let one of those end"
        case why.SharedSlotAwaited(wait=wait):
            taken = "" if wait.most is None else f", of which {wait.held} of {wait.most} are taken"
            if wait.is_set or wait.most is not None:
                return (
                    f'waits in {wait.step} for a slot of the limit "{wait.limit}"{taken}: let a step that has one end'
                )
            return (
                f'waits in {wait.step} for a slot of the limit "{wait.limit}", which nobody has set: '
                f'`await engine.engine.share_limit(ACCOUNT, "{wait.limit}", SharedLimit(...))`'
            )
        case why.NotLoaded(class_name=class_name):
            return f"is of the class {class_name}, which this engine was not opened with"
        case why.Queued() | why.NoWorker():
            return "is due, and no worker runs: `await engine.start_worker()`"
        case why.TurnsLost(count=count):
            return f"has lost its worker, {count} in a row"
        case why.Resting(until=until):
            return f"could not go on, as the log says, and is tried again at {iso(until)}"
        case why.WorkerBlocked():
            return "is held by a worker that does not answer"
        case _:
            assert_never(reason)
