"""The contract of every store: decisions about steps from outside."""

import pytest

from stepwell.core.records import Action, Key, PayloadRef, Restarted, StepForced, StepKind, StepSucceeded
from stepwell.errors import InstanceFinished, InstanceNotFound, RestartedMeanwhile
from stepwell.store import Store, codec
from stepwell.store.control_operations import RestartInstance
from stepwell.store.forcing_operations import ForceStep, ListDecisions
from stepwell.store.operations import ReadPayload
from tests.store.scenes import NOW, commit, ending, held, instance, kinds, register, release, started

KEY = Key(StepKind.DO, "charge", 1)


def forcing(value: str = "7", *, at: int = NOW + 10, row: int = 1, restarted_seq: int = 0) -> ForceStep:
    """Say that somebody completes a step of the store's first instance."""
    record = codec.to_row(StepForced(at, KEY, Action.COMPLETE, "ann", value=value))
    return ForceStep("acme", "orders", "a", record, row, restarted_seq)


async def test_decision_makes_a_parked_instance_due_now(store: Store) -> None:
    """As an event does."""
    turn = await held(store, "a")
    await store.run(release(turn, due_at=NOW + 3_600_000))

    assert await store.run(forcing()) == 4

    found = await instance(store, "a")
    assert (found.row.due_at, found.row.status, found.row.seq) == (NOW + 10, "waiting", 4)
    assert codec.from_row(found.records[3]).record == StepForced(NOW + 10, KEY, Action.COMPLETE, "ann", value="7")


async def test_decision_comes_with_the_next_commit_of_a_turn(store: Store) -> None:
    """A turn that is held hears of it; a large value becomes the step's result where it lies."""
    text = '"' + "wörd " * 2_000 + '"'
    turn = await held(store, "a")
    await store.run(forcing(text))

    committed = await store.run(commit(turn, started(), step_count=1))
    (outside,) = committed.outside
    decision = codec.from_row(outside).record
    assert isinstance(decision, StepForced)
    assert isinstance(decision.value, PayloadRef)
    result = codec.to_row(StepSucceeded(NOW + 20, KEY, 1, decision.value))
    await store.run(commit(turn, result, n=2, seen=4, step_count=1))

    record = codec.from_row((await instance(store, "a")).records[-1]).record
    assert isinstance(record, StepSucceeded)
    assert record.value == decision.value
    assert await store.run(ReadPayload(decision.value.id)) == text


async def test_decision_upon_what_was_restarted_is_refused(store: Store) -> None:
    """It was decided upon a history that no longer counts; upon the new one it is taken."""
    await held(store, "a")
    restarted = codec.to_row(Restarted(NOW + 1, "api"))
    await store.run(RestartInstance("acme", "orders", "a", "api", restarted))

    with pytest.raises(RestartedMeanwhile):
        await store.run(forcing())
    with pytest.raises(RestartedMeanwhile):
        await store.run(forcing(row=2, restarted_seq=3))

    assert await kinds(store, "a") == ["created", "running", "restarted"]
    assert await store.run(forcing(restarted_seq=3)) == 4


async def test_decision_about_an_ended_instance_is_refused(store: Store) -> None:
    """And about one that is not there."""
    turn = await held(store, "a")
    await store.run(ending(turn))

    with pytest.raises(InstanceFinished):
        await store.run(forcing())
    await register(store)
    with pytest.raises(InstanceNotFound):
        await store.run(ForceStep("acme", "orders", "b", forcing().record, 1, 0))


async def test_latest_decisions_are_listed_latest_first(store: Store) -> None:
    """As many as are asked for; of another instance none."""
    await held(store, "a")
    for number in range(3):
        await store.run(forcing(str(number), at=NOW + 10 + number))

    found = await store.run(ListDecisions(1, limit=2))

    assert [(record.at, record.value) for record in found] == [(NOW + 12, "2"), (NOW + 11, "1")]
    assert await store.run(ListDecisions(2)) == []
