"""The contract of every store: workers, their leases, and who gets which turn."""

import pytest

from stepwell.errors import StoreUnavailable
from stepwell.store import Store, codec
from stepwell.store.operations import AbandonUnknown, ClaimDue, EndLease, ListHoldings, ReadHistory, RenewLease
from tests.store.scenes import (
    LEASE,
    NOW,
    LossyStore,
    claim,
    commit,
    create,
    creation,
    ending,
    happening,
    held,
    instance,
    register,
    release,
    started,
    succeeded,
    worker,
)


async def test_claim_takes_the_longest_due_first(store: Store) -> None:
    """Instances are claimed in the order in which they became due, up to the limit."""
    await register(store)
    await create(store, "late", at=NOW + 2)
    await create(store, "early", at=NOW)
    await create(store, "middle", at=NOW + 1)

    claims = await claim(store, await worker(store), at=NOW + 10, limit=2)

    assert [turn.id for turn in claims.turns] == ["early", "middle"]


async def test_claim_begins_a_turn(store: Store) -> None:
    """A claim raises the turn, starts the instance and records it, in one."""
    await register(store)
    (row,) = await create(store, "a")

    (turn,) = (await claim(store, await worker(store), at=NOW + 5)).turns

    found = await instance(store, "a")
    assert (turn.row, turn.turn, turn.n) == (row.row, 1, 1)
    assert (turn.account, turn.workflow, turn.id) == ("acme", "orders", "a")
    assert (turn.version, turn.created_at, turn.lost_turns) == ("acme-orders-version-1", NOW, 0)
    assert (found.row.status, found.row.turn, found.row.seq) == ("running", 1, 2)
    assert (found.row.due_at, found.row.started_at) == (None, NOW + 5)
    assert [(record.kind, record.at) for record in found.records] == [
        ("created", NOW),
        ("running", NOW + 5),
    ]


async def test_second_turn_keeps_the_start(store: Store) -> None:
    """An instance has started when its first turn did."""
    turn = await held(store, "a")
    await store.run(release(turn, due_at=NOW + 50))

    (second,) = (await claim(store, await worker(store), at=NOW + 50)).turns

    assert (second.turn, second.n, second.lost_turns) == (2, 1, 0)
    assert (await instance(store, "a")).row.started_at == NOW


async def test_what_is_held_is_not_claimed_again(store: Store) -> None:
    """Two workers never hold the same instance."""
    await register(store)
    await create(store, "a", "b", "c")
    one, two = await worker(store), await worker(store)

    first = await claim(store, one, limit=2)
    second = await claim(store, two, limit=2)
    third = await claim(store, one, limit=2)

    assert [turn.id for turn in first.turns] == ["a", "b"]
    assert [turn.id for turn in second.turns] == ["c"]
    assert third.turns == []


async def test_what_is_not_yet_due_is_left(store: Store) -> None:
    """An instance is claimed at the moment when it is due, not before; the claim tells when that is."""
    turn = await held(store, "a")
    await store.run(release(turn, due_at=NOW + 100))
    number = await worker(store)

    before = await claim(store, number, at=NOW + 99)
    then = await claim(store, number, at=NOW + 100)

    assert (before.turns, before.next_due_at) == ([], NOW + 100)
    assert [turn.id for turn in then.turns] == ["a"]
    assert then.next_due_at is None


async def test_next_due_is_what_the_limit_left(store: Store) -> None:
    """A claim that stops at its limit tells that more is due already."""
    await register(store)
    await create(store, "a", at=NOW)
    await create(store, "b", at=NOW + 1)

    claims = await claim(store, await worker(store), at=NOW + 5, limit=1)

    assert claims.next_due_at == NOW + 1


async def test_what_waits_for_ever_is_never_due(store: Store) -> None:
    """An instance that was let go without a due moment is not claimed until something makes it due."""
    turn = await held(store, "a")
    await store.run(release(turn, due_at=None))

    claims = await claim(store, await worker(store), at=NOW + 10**12)

    assert (claims.turns, claims.next_due_at) == ([], None)


async def test_instance_that_has_ended_is_never_due(store: Store) -> None:
    """A finished instance is not claimed again."""
    turn = await held(store, "a")
    await store.run(ending(turn))

    claims = await claim(store, await worker(store), at=NOW + 10**12)

    assert (claims.turns, claims.next_due_at) == ([], None)


async def test_ended_lease_gives_its_instances_away(store: Store) -> None:
    """What a dead worker held can be claimed at once; the new turn knows that the old one was lost."""
    await register(store)
    await create(store, "a", "b")
    dead = await worker(store)
    await claim(store, dead)

    count = await store.run(EndLease(dead))
    claims = await claim(store, await worker(store), at=NOW + 1)

    rows = await store.run(ReadHistory(claims.turns[0].row))
    history = codec.from_rows(rows)
    assert count == 2
    assert [(turn.id, turn.turn, turn.n, turn.lost_turns) for turn in claims.turns] == [
        ("a", 2, 1, 1),
        ("b", 2, 1, 1),
    ]
    assert [getattr(recorded.record, "lost", None) for recorded in history] == [None, False, True]


async def test_claim_whose_answer_was_lost_is_made_again(store: Store) -> None:
    """A worker names what it knows of; the rest is claimed as from one who died, also by itself."""
    await register(store)
    await create(store, "known", "unheard")
    holder = await worker(store)
    (known,) = (await claim(store, holder, limit=1)).turns
    with pytest.raises(StoreUnavailable):
        await LossyStore(store).run(ClaimDue(holder, NOW, 10))

    count = await store.run(AbandonUnknown(holder, [(known.row, known.turn)]))
    claims = await claim(store, holder, at=NOW + 1)

    again = await store.run(AbandonUnknown(holder, [(turn.row, turn.turn) for turn in (known, *claims.turns)]))
    assert (count, again) == (1, 0)
    assert [(turn.id, turn.turn, turn.lost_turns) for turn in claims.turns] == [("unheard", 2, 1)]
    await store.run(commit(known, started()))


async def test_lease_that_ran_out_gives_its_instances_away(store: Store) -> None:
    """Nobody has to notice a death: a worker that did not renew its lease in time is dead."""
    await register(store)
    await create(store, "a")
    await claim(store, await worker(store, lease_until=NOW + 100))
    other = await worker(store)

    before = await claim(store, other, at=NOW + 99)
    then = await claim(store, other, at=NOW + 100)

    assert before.turns == []
    assert [(turn.id, turn.lost_turns) for turn in then.turns] == [("a", 1)]


async def test_renewed_lease_keeps_its_instances(store: Store) -> None:
    """A worker that renews its lease keeps what it holds."""
    await register(store)
    await create(store, "a")
    alive = await worker(store, lease_until=NOW + 100)
    await claim(store, alive)

    renewed = await store.run(RenewLease(alive, NOW + 200))
    claims = await claim(store, await worker(store), at=NOW + 150)

    assert renewed is True
    assert claims.turns == []


async def test_ended_lease_is_never_renewed(store: Store) -> None:
    """A worker that was declared dead hears so, whether it held something or not."""
    await register(store)
    await create(store, "a")
    holder, idle = await worker(store), await worker(store)
    await claim(store, holder)
    await store.run(EndLease(holder))
    await store.run(EndLease(idle))

    renewed = [await store.run(RenewLease(number, LEASE)) for number in (holder, idle)]

    assert renewed == [False, False]


async def test_lease_that_was_claimed_from_is_never_renewed(store: Store) -> None:
    """A worker that was late and lost its instances hears so when it comes to renew."""
    await register(store)
    await create(store, "a", "b")
    late = await worker(store, lease_until=NOW + 100)
    await claim(store, late)
    await claim(store, await worker(store), at=NOW + 100, limit=1)

    assert await store.run(RenewLease(late, LEASE)) is False


async def test_late_worker_that_nobody_noticed_may_renew(store: Store) -> None:
    """A lease that ran out is still its worker's as long as nobody took anything from it."""
    late = await worker(store, lease_until=NOW + 100)

    assert await store.run(RenewLease(late, NOW + 500)) is True


async def test_worker_whose_lease_was_ended_gets_no_turns(store: Store) -> None:
    """A dead worker cannot take what would then be nobody's."""
    await register(store)
    await create(store, "a")
    dead = await worker(store)
    await store.run(EndLease(dead))

    claims = await store.run(ClaimDue(dead, NOW, 10))

    assert claims.turns == []
    assert [turn.id for turn in (await claim(store, await worker(store))).turns] == ["a"]


async def test_late_worker_does_not_lose_its_instances_to_itself(store: Store) -> None:
    """A worker that claims before it renews does not take its own instances as lost."""
    await register(store)
    await create(store, "a")
    late = await worker(store, lease_until=NOW + 100)
    await claim(store, late)

    assert (await claim(store, late, at=NOW + 200)).turns == []


async def test_lost_turns_left_by_the_limit_are_due_now(store: Store) -> None:
    """A claim that could not take all of a dead worker's instances tells that more is due."""
    await register(store)
    await create(store, "a", "b", "c")
    dead = await worker(store)
    await claim(store, dead)
    await store.run(EndLease(dead))
    number = await worker(store)

    claims = await claim(store, number, at=NOW + 7, limit=2)
    rest = await claim(store, number, at=NOW + 7, limit=2)

    assert claims.next_due_at == NOW + 7
    assert [turn.id for turn in rest.turns] == ["c"]
    assert rest.next_due_at is None


async def test_lost_turns_in_a_row_are_counted(store: Store) -> None:
    """Each turn that is lost without an outcome raises the count."""
    await register(store)
    await create(store, "a")
    counts = []

    for _ in range(3):
        number = await worker(store)
        (turn,) = (await claim(store, number)).turns
        await store.run(commit(turn, started(), seen=turn.turn + 1))
        await store.run(EndLease(number))
        counts.append(turn.lost_turns)

    assert counts == [0, 1, 2]


async def test_outcome_clears_the_lost_turns(store: Store) -> None:
    """An instance that gets something done is not a hopeless one."""
    await register(store)
    await create(store, "a")
    number = await worker(store)
    (turn,) = (await claim(store, number)).turns
    await store.run(EndLease(number))
    number = await worker(store)
    (turn,) = (await claim(store, number)).turns
    await store.run(commit(turn, started(), succeeded(), seen=3, is_outcome=True))
    await store.run(EndLease(number))

    (turn,) = (await claim(store, await worker(store))).turns

    assert turn.lost_turns == 1


async def test_park_clears_the_lost_turns(store: Store) -> None:
    """A turn that ended in order clears the count as an outcome does."""
    await register(store)
    await create(store, "a")
    number = await worker(store)
    await claim(store, number)
    await store.run(EndLease(number))
    (turn,) = (await claim(store, await worker(store))).turns
    await store.run(release(turn, seen=3, due_at=NOW + 9))

    (turn,) = (await claim(store, await worker(store), at=NOW + 9)).turns

    assert turn.lost_turns == 0


async def test_turn_let_go_while_running_keeps_the_lost_turns(store: Store) -> None:
    """An interrupted turn proves nothing: the count stays."""
    await register(store)
    await create(store, "a")
    number = await worker(store)
    await claim(store, number)
    await store.run(EndLease(number))
    (turn,) = (await claim(store, await worker(store))).turns
    running = release(turn, seen=3, due_at=NOW)
    fields = {name: getattr(running, name) for name in running.__struct_fields__}
    await store.run(type(running)(**{**fields, "records": [], "status": "running"}))

    (turn,) = (await claim(store, await worker(store))).turns

    assert (turn.turn, turn.lost_turns) == (3, 1)


async def test_worker_numbers_are_never_used_again(store: Store) -> None:
    """A new worker is never taken for one that is gone."""
    first = await worker(store)
    await store.run(EndLease(first))

    second = await worker(store)

    assert second > first


async def test_holdings_come_with_their_histories_latest_change_first(store: Store) -> None:
    """One can see what a worker was at when it died."""
    await register(store)
    await create(store, "a", "b", "c")
    number = await worker(store)
    turns = (await claim(store, number)).turns
    await store.run(commit(turns[0], started("pack")))
    await store.run(release(turns[1]))
    await store.run(happening("c", at=NOW + 9))

    holdings = await store.run(ListHoldings(number, limit=10))
    latest = await store.run(ListHoldings(number, limit=1))

    assert [(holding.workflow, holding.id) for holding in holdings] == [("orders", "c"), ("orders", "a")]
    assert [record.kind for record in holdings[1].records] == ["created", "running", "attempt_started"]
    assert [holding.id for holding in latest] == ["c"]


async def _dies(store: Store, *suspects: int, limit: int = 100) -> list[int]:
    """Let a worker that holds so many suspects claim, and die; return how many turns each instance had lost by then."""
    number = await worker(store)
    claims = await store.run(ClaimDue(number, NOW + 5, limit, suspects=suspects))
    await store.run(EndLease(number))
    return sorted(turn.lost_turns for turn in claims.turns)


async def test_what_kills_its_worker_is_found_by_elimination(store: Store) -> None:
    """All are tried again after a first death; after a second 20 at a time, then one. The others are spared."""
    await register(store)
    await create(store, *(f"i-{n:02}" for n in range(30)))

    lost = [await _dies(store) for _ in range(5)]

    assert lost[:3] == [[0] * 30, [1] * 30, [2] * 20]
    # Those that were not tried the third time are, beside one of those that were.
    assert lost[3] == [*[2] * 10, 3]
    assert lost[4] == [*[3] * 0, 4]


async def test_worker_that_holds_suspects_gets_no_more_than_it_may(store: Store) -> None:
    """And is told of none that it could not take: the next that is due for it is another."""
    await register(store)
    await create(store, *(f"i-{n:02}" for n in range(25)))
    for _ in range(2):
        await _dies(store)
    await store.run(creation("fresh", at=NOW + 900))

    full = await store.run(ClaimDue(await worker(store), NOW + 5, 100, suspects=(20, 0)))
    nearly = await store.run(ClaimDue(await worker(store), NOW + 5, 100, suspects=(18, 1)))

    assert (full.turns, full.next_due_at) == ([], NOW + 900)
    assert [turn.lost_turns for turn in nearly.turns] == [2, 2]


async def test_suspects_keep_nobody_else_waiting(store: Store) -> None:
    """What has lost no turn is claimed past them."""
    await register(store)
    await create(store, *(f"i-{n:02}" for n in range(25)))
    for _ in range(2):
        await _dies(store)
    await store.run(creation("fresh", at=NOW + 3))

    claims = await store.run(ClaimDue(await worker(store), NOW + 5, 10, suspects=(20, 0)))

    assert [turn.id for turn in claims.turns] == ["fresh"]
