"""The contract of every store: slots of limits that steps share."""

import pytest

from stepwell.core.records import Completed, Key, PauseAsked, Paused, SlotGiven, StepKind, Terminated, Waiting
from stepwell.errors import LimitNotFound, TurnLost
from stepwell.flow import Rate, SharedLimit, shared_text
from stepwell.store import Store, codec
from stepwell.store.control_operations import PauseInstance, TerminateInstance
from stepwell.store.flow_operations import AskSlot, LeaveSlot, ListGates, SharedLimitRow, ShareLimit, SweepSlots
from stepwell.store.operations import Claim, EndLease, ReadHistory, RecordRow, Release
from stepwell.store.retention_operations import DeleteExpired
from stepwell.store.workflow_operations import DeleteWorkflow
from tests.store.scenes import NOW, claim, create, creation, instance, register, worker

WORK = codec.to_step(Key(StepKind.DO, "work", 1))
MINUTE = 60_000


async def _turns(store: Store, *ids: str, limit: SharedLimit | None = None) -> list[Claim]:
    """Create instances, claim them, and set the limit `desk`."""
    if limit is not None:
        await store.run(ShareLimit("acme", "desk", shared_text(limit), NOW))
    await create(store, *ids)
    claims = (await claim(store, await worker(store))).turns
    return sorted(claims, key=lambda one: one.id)


async def _ask(store: Store, turn: Claim, at: int = NOW, step: str = WORK, limit: str = "desk") -> int | None:
    return (await store.run(AskSlot(turn.row, turn.turn, "acme", limit, step, at))).start_at


async def _leave(store: Store, turn: Claim, at: int = NOW, step: str = WORK) -> None:
    await store.run(LeaveSlot(turn.row, turn.turn, "acme", "desk", step, at))


async def _shared(store: Store) -> SharedLimitRow:
    (found,) = (await store.run(ListGates("acme"))).shared
    return found


async def _park(store: Store, turn: Claim, at: int = NOW, due_at: int | None = None) -> None:
    await _release(store, turn, codec.to_row(Waiting(at)), ("waiting", due_at, None), at)


async def _release(
    store: Store, turn: Claim, last: RecordRow, how: tuple[str, int | None, int | None], at: int = NOW
) -> None:
    history: list[RecordRow] = await store.run(ReadHistory(turn.row))
    status, due_at, ended_at = how
    released = await store.run(Release(turn.row, turn.turn, 1, len(history), [last], 0, status, due_at, ended_at, at))
    assert released.done


async def _given(store: Store, turn: Claim) -> list[SlotGiven]:
    history: list[RecordRow] = await store.run(ReadHistory(turn.row))
    return [each.record for each in codec.from_rows(history) if isinstance(each.record, SlotGiven)]


async def _again(store: Store, at: int = NOW) -> list[Claim]:
    """Claim what is due."""
    return (await claim(store, await worker(store), at=at)).turns


async def test_slots_are_given_in_the_order_of_asking(store: Store) -> None:
    """Not in that of creation: who asked a millisecond before comes first."""
    await register(store)
    a, b, c = await _turns(store, "a", "b", "c", limit=SharedLimit(1))

    assert [await _ask(store, a), await _ask(store, c, NOW + 1), await _ask(store, b, NOW + 2)] == [NOW, None, None]
    await _leave(store, a, NOW + 3)

    assert ([len(await _given(store, one)) for one in (a, b, c)]) == [0, 0, 1]
    assert (await _given(store, c))[0] == SlotGiven(
        NOW + 3, codec.from_step(WORK), "desk", since=NOW + 1, start_at=NOW + 3
    )


async def test_asking_twice_is_asking_once(store: Store) -> None:
    """A question that is sent again has the same answer, and counts no second start."""
    await register(store)
    a, b = await _turns(store, "a", "b", limit=SharedLimit(rate=Rate(2, MINUTE)))

    assert [await _ask(store, a), await _ask(store, a, NOW + 1), await _ask(store, b, NOW + 2)] == [NOW, NOW, NOW + 2]
    assert (await _shared(store)).held == 2


async def test_one_slot_at_most_is_given_for_a_moment_to_come(store: Store) -> None:
    """Who is next is given a moment when that one has come: after an outage they do not all begin at once."""
    await register(store)
    a, b, c, d = await _turns(store, "a", "b", "c", "d", limit=SharedLimit(rate=Rate(1, MINUTE)))

    asked = [await _ask(store, one) for one in (a, b, c, d)]
    late = NOW + 10 * MINUTE
    assert asked == [NOW, NOW + MINUTE, None, None]
    assert await _ask(store, b, late) == NOW + MINUTE
    assert [record.start_at for record in await _given(store, c)] == [late]
    assert await _ask(store, c, late + 1) == late
    assert [record.start_at for record in await _given(store, d)] == [late + MINUTE]


async def test_moment_that_is_given_back_is_the_next_ones(store: Store) -> None:
    """It does not count as a start, and none before it is forgotten."""
    await register(store)
    a, b, c = await _turns(store, "a", "b", "c", limit=SharedLimit(rate=Rate(1, MINUTE)))

    assert [await _ask(store, one) for one in (a, b)] == [NOW, NOW + MINUTE]
    await _leave(store, b, NOW + 1)

    assert await _ask(store, c, NOW + 2) == NOW + MINUTE


async def test_slot_of_a_lost_attempt_is_kept_and_the_next_counts(store: Store) -> None:
    """Whoever goes on with the instance has its slot before all others; for the rate it begins once more."""
    await register(store)
    a, b = await _turns(store, "a", "b", limit=SharedLimit(1, Rate(2, MINUTE)))
    assert [await _ask(store, a), await _ask(store, b)] == [NOW, None]
    await store.run(EndLease(1))
    again = {turn.id: turn for turn in await _again(store, NOW + 1)}

    assert await _ask(store, again["b"], NOW + 2) is None
    assert await _ask(store, again["a"], NOW + 3) == NOW + 3
    await _leave(store, again["a"], NOW + 4)

    # Two have begun in this minute.
    assert [record.start_at for record in await _given(store, again["b"])] == [NOW + MINUTE]


async def test_slot_that_came_to_a_turn_that_had_not_asked_counts_once(store: Store) -> None:
    """It waited in a turn before, and asks when it comes to its step."""
    await register(store)
    a, b = await _turns(store, "a", "b", limit=SharedLimit(1, Rate(2, MINUTE)))
    assert [await _ask(store, a), await _ask(store, b)] == [NOW, None]
    await _park(store, b, due_at=NOW + 1)
    (later,) = await _again(store, NOW + 1)
    await _leave(store, a, NOW + 2)

    assert await _ask(store, later, NOW + 3) == NOW + 2
    await _leave(store, later, NOW + 4)
    # The first two have begun at NOW and at NOW + 2.
    assert await _ask(store, a, NOW + 5) == NOW + MINUTE


async def test_late_goodbye_takes_nothing_from_the_successor(store: Store) -> None:
    """A turn that was lost gives back nothing that the next turn may use."""
    await register(store)
    (a,) = await _turns(store, "a", limit=SharedLimit(1))
    await _ask(store, a)
    await store.run(EndLease(1))
    (again,) = await _again(store, NOW + 1)
    await _ask(store, again, NOW + 2)

    await _leave(store, a, NOW + 3)
    assert (await _shared(store)).held == 1
    await _leave(store, again, NOW + 4)
    assert (await _shared(store)).held == 0


async def test_paused_one_is_passed_over(store: Store) -> None:
    """Its worker may have died before it gave up its place."""
    await register(store)
    a, b, c = await _turns(store, "a", "b", "c", limit=SharedLimit(1))
    for one in (a, b, c):
        await _ask(store, one)
    await store.run(PauseInstance("acme", "orders", "b", codec.to_row(PauseAsked(NOW)), codec.to_row(Paused(NOW))))
    await _release(store, b, codec.to_row(Paused(NOW)), ("paused", None, None))

    await _leave(store, a, NOW + 1)

    assert [len(await _given(store, one)) for one in (b, c)] == [0, 1]
    assert (await _shared(store)).waiting == 0


async def test_slot_of_one_that_is_terminated_before_it_goes_on_is_the_next_ones(store: Store) -> None:
    """Nobody holds it, so nobody else would give it back."""
    await register(store)
    a, b, c = await _turns(store, "a", "b", "c", limit=SharedLimit(1))
    for one in (a, b, c):
        await _ask(store, one)
    await _park(store, b)
    await _leave(store, a, NOW + 1)
    assert len(await _given(store, b)) == 1

    await store.run(TerminateInstance("acme", "orders", "b", codec.to_row(Terminated(NOW + 2, "api"))))

    assert len(await _given(store, c)) == 1


async def test_one_that_waits_is_due_when_it_has_its_slot(store: Store) -> None:
    """It is put back without a moment, and claimed with the slot."""
    await register(store)
    a, b = await _turns(store, "a", "b", limit=SharedLimit(1))
    for one in (a, b):
        await _ask(store, one)
    await _park(store, b)
    assert await _again(store) == []

    await _leave(store, a, NOW + 5)

    (again,) = await _again(store, NOW + 5)
    assert (again.id, await _ask(store, again, NOW + 6)) == ("b", NOW + 5)


@pytest.mark.parametrize("how", ["ended", "waits elsewhere"])
async def test_slot_that_was_left_is_taken_back(store: Store, how: str) -> None:
    """By a sweep, once it was given long enough ago; one that is at work keeps its own."""
    await register(store)
    a, b, c = await _turns(store, "a", "b", "c", limit=SharedLimit(2))
    for one in (a, b, c):
        await _ask(store, one)
    if how == "ended":
        await _release(store, a, codec.to_row(Completed(NOW, "1")), ("complete", None, NOW))
    else:
        await _park(store, a, due_at=NOW + 10 * MINUTE)

    early = await store.run(SweepSlots(NOW + 50, 100))
    late = await store.run(SweepSlots(NOW + 200, 100))

    assert (early, late) == (0, 1)
    assert len(await _given(store, c)) == 1


async def test_slots_of_a_deleted_workflow_are_free(store: Store) -> None:
    """Whether its rows are gone by then or not; another workflow's step has one when somebody looks."""
    await register(store)
    await register(store, "others")
    (a,) = await _turns(store, "a", limit=SharedLimit(1))
    await _ask(store, a)
    await store.run(creation("b", workflow="others"))
    (b,) = await _again(store)
    assert await _ask(store, b) is None

    await store.run(DeleteWorkflow("acme", "orders", NOW))
    await store.run(SweepSlots(NOW + 200, 100))

    assert len(await _given(store, b)) == 1


async def test_other_limit_of_newer_code_takes_the_place_of_the_first(store: Store) -> None:
    """The slot of the one is given back when the step asks for that of another."""
    await register(store)
    a, b = await _turns(store, "a", "b", limit=SharedLimit(1))
    await store.run(ShareLimit("acme", "other", shared_text(SharedLimit(1)), NOW))
    assert [await _ask(store, a), await _ask(store, b)] == [NOW, None]

    assert await _ask(store, a, NOW + 1, limit="other") == NOW + 1

    assert len(await _given(store, b)) == 1


async def test_turn_that_is_lost_gets_no_slot(store: Store) -> None:
    """It is told so, and nothing has changed."""
    await register(store)
    (a,) = await _turns(store, "a", limit=SharedLimit(1))
    await store.run(EndLease(1))
    (again,) = await _again(store, NOW + 1)
    assert again.turn == a.turn + 1

    with pytest.raises(TurnLost):
        await _ask(store, a)
    assert ((await _shared(store)).held, (await _shared(store)).waiting) == (0, 0)


async def test_limit_that_is_taken_back_is_forgotten_once_no_step_names_it(store: Store) -> None:
    """As long as one waits for it, it is known, and says that nobody has set it."""
    await register(store)
    (a,) = await _turns(store, "a", limit=SharedLimit(1))
    await _ask(store, a)
    await store.run(ShareLimit("acme", "desk", None, NOW))
    assert await _shared(store) == SharedLimitRow("desk", None, is_set=False, held=1, waiting=0, since=None)

    await _leave(store, a)
    await store.run(ShareLimit("acme", "desk", None, NOW))

    assert (await store.run(ListGates("acme"))).shared == []
    with pytest.raises(LimitNotFound, match='steps of the account share no limit "desk"'):
        await store.run(ShareLimit("acme", "desk", None, NOW))


async def test_slot_of_a_step_that_its_next_turn_does_not_ask_for_is_taken_back(store: Store) -> None:
    """The worker died behind the step's result, before the slot was given back, and it works at something else."""
    await register(store)
    a, b = await _turns(store, "a", "b", limit=SharedLimit(1))
    assert [await _ask(store, a), await _ask(store, b)] == [NOW, None]
    await _park(store, b)
    await store.run(EndLease(1))
    (again,) = await _again(store, NOW + 150)
    assert again.id == "a"

    early = await store.run(SweepSlots(NOW + 200, 100))
    late = await store.run(SweepSlots(NOW + 300, 100))

    assert (early, late) == (0, 1)
    assert len(await _given(store, b)) == 1


async def test_slot_that_its_next_turn_has_asked_for_stays(store: Store) -> None:
    """However long ago it was given."""
    await register(store)
    (a,) = await _turns(store, "a", limit=SharedLimit(1))
    await _ask(store, a)
    await store.run(EndLease(1))
    (again,) = await _again(store, NOW + 150)
    await _ask(store, again, NOW + 160)

    assert await store.run(SweepSlots(NOW + 10 * MINUTE, 100)) == 0
    assert (await _shared(store)).held == 1


async def test_clock_of_another_host_that_is_behind_keeps_nobody_waiting(store: Store) -> None:
    """What has begun by one host's clock is nothing to come by another's, and a changed limit leaves it alone."""
    await register(store)
    a, b = await _turns(store, "a", "b", limit=SharedLimit(rate=Rate(5, MINUTE)))

    assert await _ask(store, a, NOW + 100) == NOW + 100
    assert await _ask(store, b, NOW) == NOW
    await store.run(ShareLimit("acme", "desk", shared_text(SharedLimit(2)), NOW))

    assert (await _shared(store)).held == 2


async def test_expired_instance_has_no_slot_any_more(store: Store) -> None:
    """Its worker died before it gave the slot back, and now nobody would."""
    await register(store)
    (turn,) = await _turns(store, "a", limit=SharedLimit(1))
    await _ask(store, turn)
    await store.run(TerminateInstance("acme", "orders", "a", codec.to_row(Terminated(NOW, "api"))))
    held = (await _shared(store)).held

    gone = await store.run(DeleteExpired([(turn.row, (await instance(store)).row.seq)]))

    assert (held, gone, (await _shared(store)).held) == (1, 1, 0)
