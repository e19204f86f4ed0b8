"""Every unfinished instance is looked at now and then, and what is stalled is said in the log, once."""

import logging
from typing import Any

import pytest

from stepwell.clock import VirtualClock
from stepwell.core import why
from stepwell.errors import StoreDamaged
from stepwell.stalls import PATIENCE_MS, Stalls, look_again, mend, state_of, take_census
from stepwell.store import Store
from stepwell.store.operations import Release
from stepwell.store.situation_operations import ReadSituation
from stepwell.store.sqlite import SqliteStore
from stepwell.store.upkeep_operations import RepairInstance
from stepwell.testing import TestEngine
from tests.engine.flows import workflow
from tests.store.scenes import NOW, claim, create, folded, held, instance, register, release, worker

LONG = NOW + 2 * PATIENCE_MS
PARKS_AFTER_MS = 1_000


@pytest.fixture
async def store() -> Any:
    """An empty store."""
    opened = SqliteStore.in_memory()
    yield opened
    await opened.close()


async def _asleep(store: Store) -> None:
    """Have an instance `a` that nobody has, and that nothing will make due."""
    await store.run(release(await held(store)))


async def _miscounted(store: Store) -> None:
    """Have an instance `a` whose row counts steps that its history has not."""
    await _asleep(store)
    row = (await instance(store)).row
    await store.run(RepairInstance(row.row, row.turn, row.seq, 5, row.started_at, NOW - 3, NOW))


async def test_census_counts_instances_by_their_reason() -> None:
    """The first of each; those that have ended, if that is asked for."""

    async def run(event: Any, step: Any) -> None:
        if event["payload"] == "nap":
            await step.sleep("nap", "1 hour")
        elif event["payload"] == "ask":
            await step.wait_for_event("answer", "answer", timeout="1 hour")

    flow = workflow(run)
    async with TestEngine.open([flow]) as engine:
        for id, params in (("a", "nap"), ("b", "nap"), ("c", "ask"), ("d", "end")):
            await engine.create(flow, id=id, params=params)
        await engine.run_until_idle()
        now = engine.clock.now()

        unfinished = await take_census(engine.store, now, PARKS_AFTER_MS)
        all_of_them = await take_census(engine.store, now, PARKS_AFTER_MS, with_ended=True)

    assert unfinished.reasons == {why.Sleeping: 2, why.EventAwaited: 1}
    assert (unfinished.looked_at, unfinished.wrong) == (3, [])
    assert (all_of_them.looked_at, all_of_them.reasons, all_of_them.wrong) == (4, unfinished.reasons, [])


async def test_long_history_is_looked_at_too() -> None:
    """More instances than a page, and more records than are folded at once."""

    async def run(event: Any, step: Any) -> None:
        for _ in range(event["payload"]):
            await step.do("one", lambda: 1)
        await step.sleep("nap", "1 hour")

    flow = workflow(run)
    async with TestEngine.open([flow]) as engine:
        for n in (600, *[0] * 101):
            await engine.create(flow, params=n)
        await engine.run_until_idle()

        census = await take_census(engine.store, engine.clock.now(), PARKS_AFTER_MS)

    assert (census.looked_at, census.reasons, census.wrong) == (102, {why.Sleeping: 102}, [])


async def test_what_is_stalled_is_told_and_mended(store: Store) -> None:
    """Nothing will make it due: it is made so, once; what has gone on meanwhile is none of it."""
    await _asleep(store)

    (seen,) = (await take_census(store, LONG, PARKS_AFTER_MS)).wrong
    again = await look_again(store, [seen], LONG, PARKS_AFTER_MS)
    done = [await mend(store, seen, LONG)]
    after = await look_again(store, [seen], LONG, PARKS_AFTER_MS)
    (turn,) = (await claim(store, await worker(store, lease_until=2 * LONG), at=LONG)).turns
    done.append(await mend(store, seen, LONG))

    assert again == [seen]
    assert f"{seen.said}; {seen.remedy}" == (
        "orders/a of account acme does not go on: nobody has it, and nothing will make it due; "
        "`stepwell doctor --fix` makes it due"
    )
    assert (after, turn.id, done) == ([], "a", [True, False])


async def test_row_that_is_not_the_fold_is_told_and_mended(store: Store) -> None:
    """Steps and starts are corrected; what hangs on more is not."""
    await _miscounted(store)

    (seen,) = (await take_census(store, NOW + 5, PARKS_AFTER_MS)).wrong
    done = await mend(store, seen, NOW + 5)

    found = await instance(store)
    assert f"{seen.said}; {seen.remedy}" == (
        f"orders/a of account acme: its row says step_count 5, its history 0, its row says queued_at {NOW - 3}, its "
        f"history {NOW}; `stepwell doctor --fix` corrects the row"
    )
    assert done
    assert state_of(found.row) == folded(found)
    assert (await take_census(store, NOW + 5, PARKS_AFTER_MS)).wrong == []


async def test_row_of_another_status_is_not_mended(store: Store) -> None:
    """What follows from a status is more than the row."""
    turn = await held(store)
    # A turn that says it has ended, and gives no record of it.
    await store.run(Release(turn.row, turn.turn, 1, 2, [], 0, "complete", None, NOW + 1, NOW + 1))

    (seen,) = (await take_census(store, LONG, PARKS_AFTER_MS, with_ended=True)).wrong

    assert not seen.is_mendable
    assert seen.said.startswith("orders/a of account acme: its row says status complete, its history running, ")
    assert "`stepwell restore` makes a store of a backup" in seen.remedy


async def test_damage_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the instance that has it, and the others are looked at."""
    await register(store)
    await create(store, "a", "b")
    run = store.run

    def damaged(operation: Any) -> Any:
        if isinstance(operation, ReadSituation) and operation.id == "a":
            raise StoreDamaged("record 1 is not what was written")
        return run(operation)

    monkeypatch.setattr(store, "run", damaged)

    census = await take_census(store, NOW, PARKS_AFTER_MS)

    assert (census.looked_at, census.reasons, census.ended) == (2, {why.Queued: 1}, 0)
    (seen,) = census.wrong
    assert not seen.is_mendable
    assert seen.said.startswith("orders/a of account acme is damaged: record 1 is not what was written")


async def test_stall_that_lasts_is_said_in_the_log_once(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """At the second look; again when it has gone on and is stalled once more."""
    await _asleep(store)
    stalls = Stalls(store, VirtualClock(LONG), PARKS_AFTER_MS)
    said = []
    with caplog.at_level(logging.WARNING, "stepwell.stalls"):
        for look in range(6):
            if look == 3:
                row = (await instance(store)).row
                await store.run(RepairInstance(row.row, row.turn, row.seq, 0, row.started_at, None, NOW))
                (turn,) = (await claim(store, await worker(store))).turns
                await store.run(release(turn, seen=4))
            await stalls.look()
            said.append(len(caplog.messages))

    assert said == [0, 1, 1, 1, 2, 2]
    assert set(caplog.messages) == {
        "orders/a of account acme does not go on: nobody has it, and nothing will make it due; "
        "`stepwell doctor --fix` makes it due"
    }


async def test_many_stalls_are_some_lines(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """And how many more there are."""
    await register(store)
    await create(store, *(f"i{n}" for n in range(25)))
    asked = await worker(store)
    for turn in (await claim(store, asked, limit=100)).turns:
        await store.run(release(turn))
    stalls = Stalls(store, VirtualClock(LONG), PARKS_AFTER_MS)
    with caplog.at_level(logging.WARNING, "stepwell.stalls"):
        await stalls.look()
        await stalls.look()

    assert len(caplog.messages) == 21
    assert caplog.messages[-1] == "5 more instances do not go on; `stepwell doctor` names them"
