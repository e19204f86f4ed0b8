"""A scenario, run once for each write of its workers, with a crash after it: it has to come to the same end."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from stepwell.engine import InstanceFilter
from stepwell.errors import OutcomeChanged
from stepwell.settings import TurnSettings
from stepwell.store.operations import Operation
from stepwell.testing.code import Workflow
from stepwell.testing.engine import TestEngine
from stepwell.testing.instance import ACCOUNT
from stepwell.testing.steplogs import difference, in_lines
from stepwell.testing.stores import CountingStore, DyingStore, in_words

# What drives an engine: it creates instances, sends events, lets time pass, and may assert.
Scenario = Callable[[TestEngine], Awaitable[object]]

# A worker that has died is no fault of the instance's, however often it happens; and what it leaves is not waited for.
_SETTINGS = TurnSettings(lost_turns=1_000_000, close_grace_ms=50, fails_diverging=True)
_INSTANCES_AT_ONCE = 100


class RevivingEngine(TestEngine):
    """An engine that starts a new worker each time when those of its store have died."""

    async def run_until_idle(self) -> None:
        """Let everything happen that can happen without the clock moving on."""
        while await self._dies():
            await self.crash()
            assert isinstance(self.store, DyingStore)
            self.store.revive()
            await self.start_worker()

    async def _dies(self) -> bool:
        """Let happen what can happen now; tell whether the worker has died of it."""
        store, idle = self.store, asyncio.create_task(super().run_until_idle())
        if not isinstance(store, DyingStore):
            await idle
            return False
        try:
            await asyncio.wait([idle, store.death], return_when=asyncio.FIRST_COMPLETED)
            if not store.is_dead:
                await idle
                return False
        finally:
            idle.cancel()
            with suppress(asyncio.CancelledError):
                await idle
        # What the last answer brought about, if there was one, still happens.
        for _ in range(20):
            await asyncio.sleep(0)
        return True


@dataclass(frozen=True, slots=True)
class _End:
    """What a scenario has come to, and what its workers have written on the way."""

    logs: str
    written: Sequence[Operation[object]]


async def crash_everywhere(scenario: Scenario, workflows: Iterable[Workflow], *, every: int = 1) -> int:
    """Run a scenario straight, and then with a crash after each write: before and after its answer arrives.

    Statuses, outputs, errors and what the steps have recorded must be the same each time; how many attempts there were
    may differ. `every`: after each so many writes only. Returns how many crashes there were. Raises OutcomeChanged.
    """
    workflows = list(workflows)
    straight = await _end(scenario, workflows, CountingStore())
    again = await _end(scenario, workflows, CountingStore())
    if again.logs != straight.logs:
        raise OutcomeChanged(
            "The scenario comes to another end each time, without any crash: have its steps return the same.\n\n"
            + difference(straight.logs, again.logs)
        )
    crashes = 0
    for n in range(every, len(straight.written) + 1, every):
        for answers_last in (False, True):
            crashes += 1
            where = _where(n, straight.written, answers_last=answers_last)
            try:
                ended = await _end(scenario, workflows, DyingStore(n, answers_last=answers_last))
            except Exception as error:  # whatever the scenario raises: it does not without the crash
                error.add_note(f"This came with a crash after {where}.")
                raise
            if ended.logs != straight.logs:
                raise OutcomeChanged(
                    f"With a crash after {where}, the scenario comes to another end:\n\n"
                    + difference(straight.logs, ended.logs)
                )
    return crashes


def _where(n: int, written: Sequence[Operation[object]], *, answers_last: bool) -> str:
    arrives = "after its answer has arrived" if answers_last else "before its answer arrives"
    return f"write {n} of {len(written)}, {arrives} ({in_words(written[n - 1])})"


async def _end(scenario: Scenario, workflows: Sequence[Workflow], store: CountingStore) -> _End:
    try:
        async with RevivingEngine.open(workflows, settings=_SETTINGS, store=store) as engine:
            await scenario(engine)
            await engine.run_until_idle()
            return _End(await _logs(engine), store.written)
    finally:
        await store.close()


async def _logs(engine: TestEngine) -> str:
    """Return the step logs of all instances, those of each workflow in the order of their creation."""
    logs = []
    for workflow in engine.workflows:
        after: tuple[int, int] | None = None
        while True:
            wanted = InstanceFilter(limit=_INSTANCES_AT_ONCE, after=after, ascending=True)
            page = (await engine.engine.list(ACCOUNT, workflow, wanted)).rows
            views = [await engine.engine.get(ACCOUNT, workflow, row.id) for row in page]
            logs += [in_lines(view, with_attempts=False) for view in views]
            if len(page) < _INSTANCES_AT_ONCE:
                break
            after = (page[-1].created_at, page[-1].row)
    return "\n".join(logs)
