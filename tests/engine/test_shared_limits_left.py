"""Slots of limits that steps share, where nobody would give them back, or take them up."""

import asyncio
from typing import Any, cast

import pytest

from stepwell.core.records import Key, SlotGiven, StepKind
from stepwell.errors import StoreUnavailable
from stepwell.flow import Flow, Rate, SharedLimit
from stepwell.store.flow_operations import AskSlot, ShareLimit
from stepwell.store.operations import Operation
from stepwell.store.sqlite import SqliteStore
from stepwell.testing import ACCOUNT, TestEngine
from stepwell.workflow import WorkflowEntrypoint
from tests.engine.test_shared_limits import Desk, asking, create, shared

pytestmark = pytest.mark.usefixtures("no_defect")


@pytest.mark.parametrize("is_first", [True, False])
async def test_termination_with_rollback_gives_up_what_run_has(*, is_first: bool) -> None:
    """While it is rolled back the slot of its step is another one's; so is its place among those that wait."""
    desk = Desk()

    class Undone(WorkflowEntrypoint):
        """Is rolled back for as long as somebody wants."""

        flow = Flow(shared={"desk": SharedLimit(1)})

        async def run(self, event: Any, step: Any) -> None:
            await step.do("booked", lambda: 1, rollback=lambda: desk.work("undo"))
            await step.do("work", desk.work, "undone", limit="desk")

    work = asking(desk)
    async with TestEngine.open([work, Undone]) as engine:
        if not is_first:
            await create(engine, work, 1)
        undone = await engine.create(Undone)
        await engine.run_until_idle()
        if is_first:
            await create(engine, work, 1)
        assert await shared(engine) == (1, 1)

        await undone.terminate(rollback=True)
        await engine.run_until_idle()

        assert (await undone.status(), "undo" in desk.at_work) == ("rollingBack", True)
        assert 0 in desk.at_work
        assert await shared(engine) == (1, 0)


async def test_moment_that_was_taken_back_is_not_asked_for_again_and_again() -> None:
    """A step has been told when it may begin, and then the limit allows no more: it waits for a slot, as others do."""
    desk = Desk()
    work = asking(desk, SharedLimit(rate=Rate(1, 800)))
    async with TestEngine.open([work]) as engine:
        await create(engine, work, 2)
        assert await shared(engine) == (2, 0)
        await engine.store.run(ShareLimit(ACCOUNT, "desk", '{"concurrency":1}', engine.clock.now()))
        async with asyncio.timeout(5):
            await engine.advance("1 minute")
        assert await shared(engine) == (1, 1)

        desk.let_go(0, 1)
        await engine.run_until_idle()
        assert desk.began == [0, 1]


class RefusingStore:
    """A store that can refuse questions for slots."""

    def __init__(self) -> None:
        self.inner = SqliteStore.in_memory()
        self.refuses = False

    def run(self, operation: Operation[Any]) -> Any:
        """Do an operation."""
        if isinstance(operation, AskSlot) and self.refuses:
            refused = asyncio.get_running_loop().create_future()
            refused.set_exception(StoreUnavailable("not now"))
            return refused
        return self.inner.run(operation)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


async def test_call_that_is_cancelled_while_the_store_is_away_asks_for_nothing_any_more() -> None:
    """The store comes back, and the slot is another one's, though the turn goes on."""
    desk, store = Desk(), RefusingStore()

    class Hasty(WorkflowEntrypoint):
        """Gives up the step that asks, and goes on."""

        flow = Flow(shared={"desk": SharedLimit(1)})

        async def run(self, event: Any, step: Any) -> Any:
            asks = asyncio.ensure_future(step.do("work", desk.work, "asks", limit="desk"))
            await step.sleep("moment", 100)
            asks.cancel()
            return await step.do("other", desk.work, "other")

    work = asking(desk)
    async with TestEngine.open([work, Hasty], store=cast("Any", store)) as engine:
        store.refuses = True
        await engine.create(Hasty)
        await engine.run_until_idle()
        await engine.advance(200)
        assert desk.at_work == {"other"}

        store.refuses = False
        await engine.advance("5 seconds")
        await create(engine, work, 1)

        assert desk.at_work == {"other", 0}
        desk.let_go("other", 0)
        await engine.run_until_idle()
    await store.inner.close()


async def test_moment_that_is_heard_of_late_is_no_slot_by_itself() -> None:
    """The limit may have taken it back by then: the store is asked, and the step goes on waiting."""
    desk = Desk()

    class Two(WorkflowEntrypoint):
        """One step that waits, and one that keeps the turn open."""

        async def run(self, event: Any, step: Any) -> Any:
            return await asyncio.gather(
                step.do("work", desk.work, "waits", limit="desk"), step.do("other", desk.work, "other")
            )

    work = asking(desk, SharedLimit(1))
    async with TestEngine.open([work, Two]) as engine:
        await create(engine, work, 1)
        await engine.create(Two, id="two")
        await engine.run_until_idle()
        (turn,) = [turn for turn in engine._worker.turns.values() if turn.claim.id == "two"]  # type: ignore[union-attr]  # it runs
        now = engine.clock.now()

        turn.slots.hear(SlotGiven(now - 900, Key(StepKind.DO, "work", 1), "desk", now - 1000, now - 100))
        turn.advance()
        await engine.run_until_idle()
        assert desk.at_work == {0, "other"}

        desk.let_go(0)
        await engine.run_until_idle()
        assert desk.at_work == {"waits", "other"}
