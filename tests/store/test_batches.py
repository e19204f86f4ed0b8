"""The contract of every store: many operations at once."""

import asyncio
from collections import Counter

import pytest

from stepwell.errors import InstanceAlreadyExists, InstanceNotFound, StoreUnavailable, TurnLost
from stepwell.store import Store
from stepwell.store.once import Once
from stepwell.store.operations import GetWorkflow, InstanceRow, ListInstances
from stepwell.store.sql.threads import _size
from tests.store.scenes import (
    NOW,
    claim,
    commit,
    create,
    creation,
    happening,
    held,
    kinds,
    outcomes,
    register,
    started,
    worker,
)


async def test_one_bad_operation_among_a_hundred_fails_alone(store: Store) -> None:
    """Operations that are asked for together succeed or fail each for itself."""
    await register(store)
    await create(store, "50")

    results = await outcomes(store, [creation(str(number)) for number in range(100)])

    assert Counter(type(result) for result in results) == {InstanceRow: 99, InstanceAlreadyExists: 1}
    assert isinstance(results[50], InstanceAlreadyExists)
    assert (await store.run(ListInstances("acme", "orders", limit=1))).total == 100


async def test_bad_operations_of_every_kind_leave_the_good_ones_whole(store: Store) -> None:
    """A fenced-out commit or an event for nobody does not disturb those beside it."""
    turn = await held(store, "a")

    results = await outcomes(
        store,
        [
            commit(turn, started("one"), n=1),
            happening("nobody"),
            commit(turn, started("two"), n=2),
            commit(turn, started("two"), n=2),
            happening("a"),
        ],
    )
    old = type(turn)(turn.row, 0, 1, turn.account, turn.workflow, turn.id, turn.version, turn.created_at, 0)
    lost = await outcomes(store, [commit(old, started("x")), commit(turn, started("three"), n=3, seen=4)])

    assert isinstance(results[1], InstanceNotFound)
    assert [results[0].seq, results[2].seq, results[3].seq, results[4]] == [3, 4, 4, 5]
    assert isinstance(lost[0], TurnLost)
    assert [record.seq for record in lost[1].outside] == [5]
    assert await kinds(store, "a") == [
        "created",
        "running",
        "attempt_started",
        "attempt_started",
        "event_received",
        "attempt_started",
    ]


async def test_thousand_creates_at_once_are_all_there(store: Store) -> None:
    """However many wait at once, each one that was answered is stored."""
    await register(store)

    rows = await asyncio.gather(*(store.run(creation(str(number))) for number in range(1_000)))

    assert len({row.row for row in rows}) == 1_000
    assert (await store.run(GetWorkflow("acme", "orders"))).counts == {"queued": 1_000}


async def test_many_workers_at_once_share_without_overlap(store: Store) -> None:
    """Workers that claim at the same moment get different instances, and together all of them."""
    await register(store)
    await asyncio.gather(*(store.run(creation(str(number))) for number in range(60)))
    workers = [await worker(store) for _ in range(8)]

    claims = await asyncio.gather(*(claim(store, number, limit=10) for number in workers))

    taken = Counter(turn.id for one in claims for turn in one.turns)
    assert len(taken) == 60
    assert set(taken.values()) == {1}


async def test_commit_that_is_not_urgent_is_done_by_itself(store: Store) -> None:
    """A commit that waits for company is written even if none comes."""
    turn = await held(store, "a")

    answer = await asyncio.wait_for(store.run(commit(turn, started(), urgent=False)), timeout=10)

    assert answer.seq == 3
    assert await kinds(store, "a") == ["created", "running", "attempt_started"]


async def test_commit_that_is_not_urgent_keeps_its_place(store: Store) -> None:
    """An urgent commit takes the waiting one along, in the order in which they were asked for."""
    turn = await held(store, "a")
    patient = store.run(commit(turn, started("one"), n=1, urgent=False))
    urgent = store.run(commit(turn, started("two"), n=2))

    answers = await asyncio.wait_for(asyncio.gather(patient, urgent), timeout=10)

    assert [answer.seq for answer in answers] == [3, 4]


async def test_closed_store_refuses_everything(store: Store) -> None:
    """After `close` nothing is promised any more, and that is said."""
    await register(store)
    await store.close()

    results = await outcomes(store, [creation("a"), GetWorkflow("acme", "orders")])

    assert [type(result) for result in results] == [StoreUnavailable, StoreUnavailable]


async def test_close_finishes_what_was_asked(store: Store) -> None:
    """What was asked before `close` is answered."""
    await register(store)
    asked = [store.run(creation(str(number))) for number in range(50)]

    await store.close()

    rows = await asyncio.wait_for(asyncio.gather(*asked), timeout=10)
    assert len(rows) == 50


async def test_store_may_be_closed_twice(store: Store) -> None:
    """Closing again does nothing."""
    await store.close()

    await store.close()

    with pytest.raises(StoreUnavailable):
        await store.run(GetWorkflow("acme", "orders"))


async def test_operation_under_a_key_counts_as_large_as_it_is() -> None:
    """A transaction is bounded in size, whatever its operations come in."""
    operation = creation("a")

    assert _size(Once("acme", "k", "hash", NOW, operation)) == _size(operation) > 0
