"""The contract of every store: what becomes of an instance that is moved, and of whoever holds it."""

import msgspec
import pytest

from stepwell.core.records import AttemptInterrupted, Key, Moved, StepKind
from stepwell.errors import InstanceFinished, RestartedMeanwhile, TurnLost, VersionNotFound
from stepwell.stalls import state_of
from stepwell.store import Store, codec
from stepwell.store.control_operations import MoveInstance
from stepwell.store.operations import InstanceRow, RecordRow
from tests.store.scenes import (
    NOW,
    claim,
    commit,
    control,
    create,
    ending,
    folded,
    held,
    instance,
    kinds,
    register,
    release,
    sleeping,
    started,
    succeeded,
    worker,
)

FIRST, SECOND = "acme-orders-version-1", "acme-orders-version-2"
CUT = codec.to_row(AttemptInterrupted(NOW + 5, Key(StepKind.DO, "charge", 1), 1))


async def _other_version(store: Store) -> None:
    await register(store, sha256="bb", n=2)


async def _move(store: Store, row: InstanceRow, *cut: RecordRow, version: str = SECOND, seq: int | None = None) -> None:
    records = [*cut, codec.to_row(Moved(NOW + 5, version, row.version))]
    seq = row.seq if seq is None else seq
    await store.run(MoveInstance("acme", "orders", row.id, version, records, row.row, seq))


async def test_turn_that_is_held_is_lost_and_the_next_one_has_the_version(store: Store) -> None:
    """What is still sent of it is not recorded; what ran is tried again by the next turn, which is due at once."""
    turn = await held(store)
    await store.run(commit(turn, started(), step_count=1))
    await _other_version(store)
    row = (await instance(store)).row

    await _move(store, row, CUT)

    with pytest.raises(TurnLost):
        await store.run(commit(turn, succeeded(), n=2, seen=5, step_count=1))
    moved = await instance(store)
    assert (moved.row.version, moved.row.status, moved.row.due_at) == (SECOND, "running", NOW + 5)
    assert state_of(moved.row) == folded(moved)
    assert (await kinds(store))[-2:] == ["attempt_interrupted", "moved"]
    (again,) = (await claim(store, await worker(store), at=NOW + 5)).turns
    assert (again.version, again.turn) == (SECOND, row.turn + 2)


async def test_instance_that_sleeps_is_due_at_once_and_one_that_is_paused_is_not(store: Store) -> None:
    """Other code may not sleep there; what is paused waits until it is resumed."""
    turn = await held(store)
    await store.run(release(turn, sleeping(), step_count=1, due_at=NOW + 1_000))
    await _other_version(store)

    await _move(store, (await instance(store)).row)
    assert (await instance(store)).row.due_at == NOW + 5

    await store.run(control("pause"))
    row = (await instance(store)).row
    assert row.status == "paused"
    await _move(store, row, version=FIRST)
    moved = (await instance(store)).row
    assert (moved.status, moved.due_at, moved.version) == ("paused", None, FIRST)


async def test_move_that_is_decided_upon_what_was_before_is_refused(store: Store) -> None:
    """As are another workflow's versions, and the end of it."""
    turn = await held(store)
    await create(store, "b")
    await _other_version(store)
    await register(store, "parcels")
    row = (await instance(store)).row
    with pytest.raises(RestartedMeanwhile):
        await _move(store, row, seq=row.seq - 1)
    with pytest.raises(RestartedMeanwhile):
        await _move(store, msgspec.structs.replace((await instance(store, "b")).row, row=row.row))
    with pytest.raises(VersionNotFound):
        await _move(store, row, version="acme-parcels-version-1")
    before = await instance(store)
    assert (before.row.version, before.row.seq) == (FIRST, row.seq)
    await store.run(ending(turn))
    with pytest.raises(InstanceFinished):
        await _move(store, (await instance(store)).row)
