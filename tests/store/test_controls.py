"""The contract of every store: control operations that reach it at once are done one after the other."""

import itertools
from typing import Any

import pytest

from stepwell.errors import InstanceFinished, InstanceNotFound, TurnLost
from stepwell.stalls import state_of
from stepwell.store import Store, codec
from stepwell.store.child_operations import AwaitChild, ChildLink, StartChild
from stepwell.store.control_operations import DeleteInstance
from stepwell.store.operations import Claim, Operation
from tests.store.scenes import (
    NOW,
    commit,
    control,
    create,
    creation,
    folded,
    happening,
    held,
    instance,
    outcomes,
    register,
    release,
    started,
)

NAMES = ("pause", "resume", "terminate", "restart", "restart from", "delete", "event", "commit", "park")
OF_THE_TURN = {"commit", "park"}
FENCING = {"terminate", "restart", "restart from", "delete"}
PAIRS = [pair for pair in itertools.product(NAMES, NAMES) if not set(pair) <= OF_THE_TURN]


async def _scene(store: Store) -> Claim:
    """Return the turn of an instance that runs its first step."""
    turn = await held(store)
    await store.run(commit(turn, started(), step_count=1))
    return turn


def _operation(name: str, turn: Claim, history: list[Any]) -> Operation[Any]:
    match name:
        case "delete":
            return DeleteInstance("acme", "orders", "a", NOW)
        case "event":
            return happening()
        case "commit":
            return commit(turn, started("ship"), n=2, seen=3, step_count=2)
        case "park":
            return release(turn, n=2, seen=3, step_count=1, due_at=None)
    return control(name, history)


@pytest.mark.parametrize("names", PAIRS, ids=", ".join)
async def test_two_at_once_are_done_one_after_the_other(store: Store, names: tuple[str, str]) -> None:
    """Of two operations in one transaction each has an answer of its own, and the second sees what the first did."""
    turn = await _scene(store)
    history = codec.from_rows((await instance(store, "a")).records)

    answers = await outcomes(store, [_operation(name, turn, history) for name in names])

    assert not isinstance(answers[0], Exception)
    assert _refusal(*names) == (type(answers[1]) if isinstance(answers[1], Exception) else None)
    if names[1] == "park" and names[0] not in FENCING:
        # What came before it is heard first, and the turn goes on.
        assert (answers[1].done, bool(answers[1].outside)) == (names[0] == "resume", names[0] != "resume")
    if "delete" in names:
        with pytest.raises(InstanceNotFound):
            await instance(store, "a")
        return
    found = await instance(store, "a")
    assert state_of(found.row) == folded(found)
    assert [record.seq for record in found.records] == list(range(1, found.row.seq + 1))


def _refusal(first: str, second: str) -> type[Exception] | None:
    """Return the error of the second operation."""
    if second in OF_THE_TURN and first in FENCING:
        return TurnLost
    if first == "delete":
        return InstanceNotFound
    if first == "terminate" and second in ("pause", "event", "terminate"):
        return InstanceFinished
    return None


async def test_deleted_child_is_told_of_once(store: Store) -> None:
    """It has no end beside its deletion, whichever of its parents ends before it is purged."""
    await register(store)
    for row in await create(store, "a", "b"):
        await store.run(StartChild(creation("child"), ChildLink(row.row, 0, "child:orders/child")))
    delete = DeleteInstance("acme", "orders", "child", NOW)

    await outcomes(store, [delete, control("terminate")])

    told = [record for record in (await instance(store, "b")).records if record.kind == "event_received"]
    assert [record.value for record in told] == ['{"status": "deleted"}']


async def test_child_that_had_ended_is_not_told_of_again_when_it_is_deleted(store: Store) -> None:
    """Its parent has heard how it ended; that it is gone since then is no news."""
    await register(store)
    (parent,) = await create(store, "b")
    await store.run(StartChild(creation("a"), ChildLink(parent.row, 0, "child:orders/a")))
    await store.run(control("terminate"))

    await store.run(DeleteInstance("acme", "orders", "a", NOW))

    told = [record for record in (await instance(store, "b")).records if record.kind == "event_received"]
    assert [record.value for record in told] == ['{"status": "terminated"}']


@pytest.mark.parametrize("act", ["terminate", "restart", "delete"])
async def test_lost_turn_starts_and_awaits_no_child(store: Store, act: str) -> None:
    """A child that was on its way when its parent ended would outlive it."""
    turn = await _scene(store)
    history = codec.from_rows((await instance(store, "a")).records)
    link = ChildLink(turn.row, turn.turn, "child:orders/child")
    await store.run(StartChild(creation("child"), link))
    await store.run(_operation(act, turn, history))

    with pytest.raises(TurnLost):
        await store.run(StartChild(creation("other"), link))
    with pytest.raises(TurnLost):
        await store.run(AwaitChild("acme", "orders", "child", link, NOW))

    assert (await instance(store, "child")).row.status == "terminated"
    with pytest.raises(InstanceNotFound):
        await instance(store, "other")
