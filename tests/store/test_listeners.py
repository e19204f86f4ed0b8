"""The contract of every store: who is told of what, without asking again and again."""

import asyncio

from stepwell.store import Store
from stepwell.store.operations import EndLease
from tests.store.scenes import (
    NOW,
    Ear,
    claim,
    commit,
    create,
    creation,
    ending,
    happening,
    heard,
    held,
    instance,
    outcomes,
    register,
    release,
    waiting,
    worker,
)


async def test_new_instance_is_due_for_every_listener(store: Store) -> None:
    """Each worker that listens hears of an instance that was created."""
    await register(store)
    ears = [Ear(), Ear()]
    for ear in ears:
        store.listen(await worker(store), ear)

    await create(store, "a", at=NOW + 5)

    assert [await heard(ear.due) for ear in ears] == [NOW + 5, NOW + 5]


async def test_event_for_a_parked_instance_is_due_now(store: Store) -> None:
    """Workers hear of an instance that an event has made due."""
    turn = await held(store, "a")
    await store.run(release(turn, due_at=NOW + 3_600_000))
    ear = Ear()
    store.listen(await worker(store), ear)

    await store.run(happening("a", at=NOW + 10))

    assert await heard(ear.due) == NOW + 10


async def test_event_for_a_held_instance_is_told_to_its_worker_alone(store: Store) -> None:
    """The worker that holds an instance hears of an event for it, and nobody else does."""
    await register(store)
    number, other = await worker(store), await worker(store)
    (row,) = await create(store, "a")
    await claim(store, number)
    ear, deaf = Ear(), Ear()
    store.listen(number, ear)
    store.listen(other, deaf)

    await store.run(happening("a"))

    assert await heard(ear.told) == row.row
    await create(store, "b", at=NOW + 1)
    assert await heard(deaf.due) == NOW + 1
    assert deaf.told.empty()
    assert ear.due.get_nowait() == NOW + 1


async def test_parked_instance_tells_when_it_is_due(store: Store) -> None:
    """Workers hear when an instance that was let go needs its next turn."""
    turn = await held(store, "a")
    ear = Ear()
    store.listen(await worker(store), ear)

    await store.run(release(turn, due_at=NOW + 777))

    assert await heard(ear.due) == NOW + 777


async def test_ended_lease_is_due_at_once(store: Store) -> None:
    """Workers hear at once of what a dead one held."""
    await register(store)
    await create(store, "a")
    dead = await worker(store)
    await claim(store, dead)
    ear = Ear()
    store.listen(await worker(store), ear)

    await store.run(EndLease(dead))

    assert await heard(ear.due) <= NOW


async def test_what_was_refused_is_not_told(store: Store) -> None:
    """A create that was refused makes nothing due."""
    await register(store)
    await create(store, "a")
    ear = Ear()
    store.listen(await worker(store), ear)

    await outcomes(store, [creation("a", at=NOW + 1)])
    await create(store, "b", at=NOW + 2)

    assert await heard(ear.due) == NOW + 2


async def test_worker_that_is_ignored_hears_nothing(store: Store) -> None:
    """After `ignore` a worker is not told any more."""
    await register(store)
    gone, there = await worker(store), await worker(store)
    silent, ear = Ear(), Ear()
    store.listen(gone, silent)
    store.listen(there, ear)
    store.ignore(gone)

    await create(store, "a")

    assert await heard(ear.due) == NOW
    assert silent.due.empty()


async def test_told_only_after_it_is_there(store: Store) -> None:
    """A worker that claims because it was told finds the instance."""
    await register(store)
    number = await worker(store)
    ear = Ear()
    store.listen(number, ear)
    created = asyncio.ensure_future(store.run(creation("a")))

    at = await heard(ear.due)
    claims = await claim(store, number, at=at)

    await created
    assert [turn.id for turn in claims.turns] == ["a"]


async def test_commit_without_records_is_no_news(store: Store) -> None:
    """Who watches an instance hears of its next record, and not of a commit that has none."""
    turn = await held(store, "a")
    heard_of: list[int] = []
    stop = store.watch((await instance(store, "a")).row, lambda: heard_of.append(1))

    await store.run(commit(turn))
    await asyncio.sleep(0)

    assert heard_of == []
    stop()


async def test_who_waits_for_the_end_hears_of_no_turn_that_goes_on(store: Store) -> None:
    """A claim and a commit are told to who watches all, and not to who waits for the end; its end is, and an event."""
    await register(store)
    await create(store, "a")
    row = (await instance(store, "a")).row
    all_of_it: asyncio.Queue[int] = asyncio.Queue()
    the_end: asyncio.Queue[int] = asyncio.Queue()
    stops = [
        store.watch(row, lambda: all_of_it.put_nowait(1)),
        store.watch(row, lambda: the_end.put_nowait(1), of_turns=False),
    ]

    (turn,) = (await claim(store, await worker(store))).turns
    await heard(all_of_it)
    await store.run(commit(turn, waiting()))
    await heard(all_of_it)
    assert the_end.empty()

    await store.run(happening("a"))
    assert await heard(the_end) == 1
    await store.run(ending(turn, n=2, seen=4))

    assert await heard(the_end) == 1
    for stop in stops:
        stop()


async def test_any_change_is_told_to_who_waits_for_any(store: Store) -> None:
    """A workflow's first version, a new instance and an event: each is heard of, until it is no more."""
    told: asyncio.Queue[int] = asyncio.Queue()
    stop = store.watch(None, lambda: told.put_nowait(1))

    await register(store)
    assert await heard(told) == 1
    await create(store, "a")
    assert await heard(told) == 1
    await store.run(happening("a"))
    assert await heard(told) == 1
    stop()
    await store.run(happening("a", at=NOW + 1))
    await asyncio.sleep(0)

    assert told.empty()


async def test_any_change_but_those_of_turns_that_go_on(store: Store) -> None:
    """Who waits for any instance may leave out what a turn records and goes on, but not its end."""
    await register(store)
    await create(store, "a")
    (turn,) = (await claim(store, await worker(store))).turns
    told: asyncio.Queue[int] = asyncio.Queue()
    all_of_it: asyncio.Queue[int] = asyncio.Queue()
    stops = [
        store.watch(None, lambda: told.put_nowait(1), of_turns=False),
        store.watch(None, lambda: all_of_it.put_nowait(1)),
    ]

    await store.run(commit(turn, waiting()))
    await heard(all_of_it)
    assert told.empty()
    await store.run(happening("a"))
    assert await heard(told) == 1
    await store.run(ending(turn, n=2, seen=4))

    assert await heard(told) == 1
    for stop in stops:
        stop()
