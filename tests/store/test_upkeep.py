"""What is counted can be held against what is there, and put right, in either database; rows can be, too."""

from collections.abc import Callable
from typing import Any

import pytest

from stepwell.core.records import Created, PauseAsked, Paused, Terminated
from stepwell.flow import Flow, SharedLimit, shared_text
from stepwell.store import Store, codec
from stepwell.store.control_operations import PauseInstance, TerminateInstance
from stepwell.store.flow_operations import AskSlot, ShareLimit
from stepwell.store.operations import ClaimDue, Claims, CreateInstance
from stepwell.store.sql.reads import READS
from stepwell.store.sql.rows import every
from stepwell.store.upkeep_operations import FindMiscounts, ListAccounts, Miscount, Recount, RepairInstance
from tests.store.scenes import NOW, claim, held, instance, register, release, worker
from tests.store.slots import ACCOUNT, Work
from tests.store.test_shared_slots import WORK
from tests.store.test_slots import either

BOTH = pytest.mark.parametrize("store", ["memory", "postgres"])


def _miscounts(work: Work) -> Any:
    return READS[FindMiscounts](work.connection, FindMiscounts())


def _create(work: Work, *ids: str) -> None:
    record = codec.to_row(Created(work.now, "api", '{"k": "ann"}'))
    work.write([CreateInstance(ACCOUNT, "orders", id, "api", record, work.now, key="ann") for id in ids])


def _due(work: Work) -> dict[str, bool]:
    """Return of each unfinished instance whether it may run."""
    rows = every(work.connection, "select id, due_at, owner from instances where ended_at is null order by id")
    return {id: due_at is not None or owner is not None for id, due_at, owner in rows}


@BOTH
def test_what_is_miscounted_is_found_and_put_right(require: Callable[..., None], store: str) -> None:
    """Ends, slots of workflows and keys, those that wait, and slots that steps share; once each."""
    with either(require, store, Flow(limit=2, key="k", limit_per_key=2)) as work:
        _create(work, "a", "b", "c", "d")
        (claims,) = work.write([ClaimDue(work.workers[0], work.now, 5)])
        assert isinstance(claims, Claims)
        turn = claims.turns[0]
        work.write([ShareLimit(ACCOUNT, "desk", shared_text(SharedLimit(3)), work.now)])
        work.write([AskSlot(turn.row, turn.turn, ACCOUNT, "desk", WORK, work.now)])
        record = codec.to_row(Terminated(work.now, "api"))
        work.write([TerminateInstance(ACCOUNT, "orders", "d", record, None)])
        assert _miscounts(work) == []

        for table in ("gates set held = held + 2, queued = queued - 1", "queues set held = held + 1"):
            every(work.connection, f"update {table} returning workflow")
        every(work.connection, "update shared_limits set held = held - 1 returning row")
        every(work.connection, "update ended_counts set n = n + 5 returning workflow")
        wrong = _miscounts(work)
        done = work.write([Recount(work.now)])

        (of, limit) = (wrong[0].of, wrong[-1].of)
        assert wrong == [
            Miscount("ended", of, "terminated", 6, 1, "orders of account acme"),
            Miscount("slots", of, "", 4, 2, "orders of account acme"),
            Miscount("queued", of, "", 0, 1, "orders of account acme"),
            Miscount("key", of, "ann", 3, 2, "orders of account acme"),
            Miscount("limit", limit, "", 0, 1, "desk of account acme"),
        ]
        assert done == [5]
        assert _miscounts(work) == []
        assert work.write([Recount(work.now)]) == [0]
        work.check()


@BOTH
def test_who_waits_for_a_slot_that_is_free_gets_it_with_the_count(require: Callable[..., None], store: str) -> None:
    """Nobody else would give it to him."""
    with either(require, store, Flow(limit=1)) as work:
        every(work.connection, "update gates set held = 1 returning workflow")
        _create(work, "a", "b")
        assert _due(work) == {"a": False, "b": False}

        work.write([Recount(work.now)])

        assert _due(work) == {"a": True, "b": False}


async def test_accounts_are_those_that_have_workflows(store: Store) -> None:
    """Each once."""
    assert await store.run(ListAccounts()) == []
    await register(store)
    await register(store, "refunds")
    await register(store, "orders", account="other")

    assert await store.run(ListAccounts()) == ["acme", "other"]


async def _parked(store: Store) -> RepairInstance:
    """Have an instance that nothing will make due; return what puts it right as it is."""
    turn = await held(store)
    await store.run(release(turn, due_at=None))
    row = (await instance(store)).row
    return RepairInstance(row.row, row.turn, row.seq, row.step_count, row.started_at, row.renewed_at)


def _with(repair: RepairInstance, **told: Any) -> RepairInstance:
    return RepairInstance(**{**{name: getattr(repair, name) for name in repair.__struct_fields__}, **told})


async def test_row_says_what_it_is_told_of_steps_and_starts(store: Store) -> None:
    """And nothing else of it changes: it is due no earlier."""
    repair = await _parked(store)
    before = (await instance(store)).row

    done = await store.run(_with(repair, step_count=3, started_at=NOW - 5, renewed_at=NOW - 6))

    after = (await instance(store)).row
    told = {name: getattr(after, name) for name in after.__struct_fields__}
    changed = {name: told[name] for name in told if told[name] != getattr(before, name)}
    assert done is True
    assert changed == {"step_count": 3, "started_at": NOW - 5, "renewed_at": NOW - 6}


async def test_what_nothing_wakes_is_made_due(store: Store) -> None:
    """Whoever claims gets it."""
    repair = await _parked(store)
    asked = await worker(store)
    assert (await claim(store, asked, at=NOW + 9)).turns == []

    assert await store.run(_with(repair, due_at=NOW + 9)) is True

    assert [turn.id for turn in (await claim(store, asked, at=NOW + 9)).turns] == ["a"]


@pytest.mark.parametrize("what", ["seq", "turn"])
async def test_what_has_gone_on_meanwhile_is_left_alone(store: Store, what: str) -> None:
    """It is not what it was when somebody decided."""
    repair = await _parked(store)

    done = await store.run(_with(repair, due_at=NOW, step_count=9, **{what: getattr(repair, what) - 1}))

    row = (await instance(store)).row
    assert (done, row.step_count, row.due_at) == (False, 0, None)


@pytest.mark.parametrize("how", ["held", "paused", "ended"])
async def test_what_has_a_reason_not_to_be_due_is_not_made_due(store: Store, how: str) -> None:
    """Somebody has it, or somebody has to resume it, or it has ended."""
    repair = await _parked(store)
    if how == "paused":
        records = [codec.to_row(PauseAsked(NOW + 2)), codec.to_row(Paused(NOW + 2))]
        await store.run(PauseInstance("acme", "orders", "a", *records))
    elif how == "ended":
        await store.run(TerminateInstance("acme", "orders", "a", codec.to_row(Terminated(NOW + 2, "api")), None))
    else:
        await store.run(_with(repair, due_at=NOW))
        await claim(store, await worker(store))
    row = (await instance(store)).row

    done = await store.run(_with(repair, turn=row.turn, seq=row.seq, due_at=NOW + 7))

    assert (done, (await instance(store)).row.due_at) == (True, None)


@BOTH
def test_lease_without_a_worker_is_no_reason(require: Callable[..., None], store: str) -> None:
    """Nobody claims from a worker that is not even known."""
    with either(require, store, Flow(limit=1)) as work:
        _create(work, "a")
        every(work.connection, "update instances set owner = 999, due_at = null returning row")
        (row, turn, seq) = every(work.connection, "select row, turn, seq from instances")[0]

        assert work.write([RepairInstance(row, turn, seq, 0, None, None, work.now)]) == [True]

        assert every(work.connection, "select due_at, owner from instances") == [(work.now, None)]


@BOTH
def test_what_waits_for_a_slot_is_not_made_due(require: Callable[..., None], store: str) -> None:
    """Its gate does that."""
    with either(require, store, Flow(limit=1)) as work:
        _create(work, "a", "b")
        (row, turn, seq) = every(work.connection, "select row, turn, seq from instances where id = 'b'")[0]

        assert work.write([RepairInstance(row, turn, seq, 0, None, None, work.now)]) == [True]

        assert _due(work) == {"a": True, "b": False}
