"""Several processes have one database open: what is lost is found, what one writes the others hear."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import pytest

from stepwell.errors import StoreDamaged, TurnLost
from stepwell.store import Store
from stepwell.store.control_operations import DeleteInstance
from stepwell.store.host_operations import ListHosts
from stepwell.store.operations import ClaimDue, Claims, EndLease, ReadHistory, RegisterWorker
from stepwell.store.workflow_operations import DeleteWorkflow
from tests import postgres
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
    instance,
    outcomes,
    register,
    release,
    started,
)

HAS_POSTGRES = postgres.is_there()
if HAS_POSTGRES:
    import asyncpg

    from stepwell.store.postgres.backoff import FIRST_S, delays
    from stepwell.store.postgres.pulse import Pulse
    from stepwell.store.postgres.store import PostgresSettings, PostgresStore

FOR_EVER = 2**62


@pytest.fixture
async def hosts(require: Callable[..., None]) -> AsyncIterator[tuple[Store, Store]]:
    """Two stores in one database, as two processes open them; their leases are half a second long."""
    require(postgres.REASON, "a store in it", HAS_POSTGRES)
    url = await asyncio.to_thread(postgres.databases.take)
    # A store that an earlier test has kept from saying goodbye is still on the list.
    await asyncio.to_thread(postgres.query, url, "delete from hosts returning row")
    settings = PostgresSettings(lease_ms=500)
    opened = [await asyncio.to_thread(PostgresStore.open, url, settings) for _ in range(2)]
    yield opened[0], opened[1]
    for store in opened:
        await store.close()
    await asyncio.to_thread(postgres.databases.give_back, url)


async def _worker(store: Store) -> int:
    return await store.run(RegisterWorker("worker", FOR_EVER, NOW))


async def _until(look: Callable[[], Awaitable[Any]]) -> Any:
    """Return what is found as soon as something is."""
    async with asyncio.timeout(20):
        while not (found := await look()):  # noqa: ASYNC110 - another process would have to look, too
            await asyncio.sleep(0.05)
    return found


def _inside(store: Any) -> Any:
    return store._shell


def _pause(store: Store) -> "Pulse":
    """Let a store say nothing more, as if its process had been stopped; return what lets it go on."""
    pulse: Pulse = _inside(store)._pulse
    _inside(store)._loop.do(pulse.stop())
    return pulse


async def test_lost_host_is_noticed(hosts: tuple[Store, Store]) -> None:
    """What the workers of a host held is claimed by others soon after its last sign of life."""
    lost, other = hosts
    await register(lost)
    await create(lost, "a")
    (turn,) = (await claim(lost, await _worker(lost))).turns
    taker = await _worker(other)

    before = await claim(other, taker)
    _pause(lost)
    claims = await _until(lambda: _claimed(other, taker))

    assert before.turns == []
    assert [(found.id, found.turn, found.lost_turns) for found in claims] == [("a", turn.turn + 1, 1)]


async def _claimed(store: Store, worker: int) -> Any:
    return (await claim(store, worker)).turns


async def test_host_that_comes_back_goes_on(hosts: tuple[Store, Store]) -> None:
    """A process that stood still records nothing for turns that others have, keeps the others, and claims again."""
    stopped, other = hosts
    await register(stopped)
    await create(stopped, "a", "b")
    worker = await _worker(stopped)
    taken, kept = (await claim(stopped, worker)).turns
    pulse = _pause(stopped)
    taker = await _worker(other)
    await _until(lambda: _one_claimed(other, taker))

    _inside(stopped)._loop.do(pulse.start())
    await _until(lambda: _is_alive(other))

    assert isinstance((await outcomes(stopped, [commit(taken, started())]))[0], TurnLost)
    await stopped.run(commit(kept, started()))
    assert (await claim(other, taker)).turns == []
    await create(stopped, "c")
    assert [found.id for found in (await claim(stopped, worker)).turns] == ["c"]


async def _one_claimed(store: Store, worker: int) -> Any:
    return (await store.run(ClaimDue(worker, NOW, 1))).turns


async def _is_alive(store: Store) -> bool:
    """Tell whether no lease is over."""
    found = await asyncio.to_thread(
        postgres.query, _inside(store)._opened.address.dsn, "select count(*) from leases where lease_until = 0"
    )
    return bool(found == [(0,)])


async def test_host_that_was_forgotten_is_there_again(hosts: tuple[Store, Store]) -> None:
    """Its number is its workers' for good, however long it was away."""
    away, other = hosts
    await _worker(away)
    pulse = _pause(away)
    await asyncio.to_thread(postgres.query, _inside(away)._opened.address.dsn, "delete from hosts")

    _inside(away)._loop.do(pulse.start())

    await _until(lambda: _is_alive(other))


async def test_host_whose_lease_is_over_claims_nothing_until_it_is_renewed(hosts: tuple[Store, Store]) -> None:
    """Its workers take nothing from one another, and what became due meanwhile is theirs when it is there again."""
    late, other = hosts
    await register(late)
    await create(late, "a")
    holder, idle = await _worker(late), await _worker(late)
    (held,) = (await claim(late, holder)).turns
    ear = Ear()
    late.listen(idle, ear)
    pulse = _pause(late)
    await _until(lambda: _is_over(other))
    await create(late, "b")

    meanwhile = await claim(late, idle)
    _inside(late)._loop.do(pulse.start())
    while not (again := (await claim(late, idle)).turns):
        await heard(ear.due)

    assert meanwhile == Claims([], None)
    assert [turn.id for turn in again] == ["b"]
    await late.run(commit(held, started()))


async def _is_over(store: Store) -> bool:
    """Tell whether the lease of a host is over."""
    sql = "select count(*) from leases where lease_until = 0"
    return bool((await asyncio.to_thread(postgres.query, _inside(store)._opened.address.dsn, sql))[0][0])


async def test_pulse_that_has_lost_its_connection_often_comes_back_as_soon_as_ever(
    hosts: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What went wrong before a connection was of use does not count: else each loss would make a lease end."""
    store, other = hosts
    waited: list[float] = []
    monkeypatch.setattr("stepwell.store.postgres.pulse.delays", lambda: _noted(waited))
    dsn = _inside(store)._opened.address.dsn
    for _ in range(4):
        await _renew_twice(other, dsn)
        await asyncio.to_thread(postgres.query, dsn, CUT_PULSES)
    await _renew_twice(other, dsn)

    # Both pulses, behind each of the four.
    assert waited.count(FIRST_S) >= 2 * 4


async def _renew_twice(store: Store, dsn: str) -> None:
    """Wait until all hosts have renewed their leases twice: by then each has heard that it has, once."""
    for _ in range(2):
        renewed = await asyncio.to_thread(postgres.query, dsn, RENEWED)
        await _until(partial(_are_renewed, store, renewed))


RENEWED = "select row, renewed_at from hosts order by row"
CUT_PULSES = """
    select pg_terminate_backend(pid, 5000)
    from pg_stat_activity
    where application_name = 'stepwell pulse'
        and datname = current_database()
    """


def _noted(waited: list[float]) -> Iterator[float]:
    for delay in delays():
        waited.append(delay)
        yield delay


async def _are_renewed(store: Store, before: list[tuple[int, int]]) -> bool:
    """Tell whether all hosts have renewed their leases since."""
    now = await asyncio.to_thread(postgres.query, _inside(store)._opened.address.dsn, RENEWED)
    return all(renewed > dict(before)[row] for row, renewed in now)


async def test_closed_store_leaves_what_it_held(hosts: tuple[Store, Store]) -> None:
    """Nobody waits for the lease of a process that has ended in order."""
    closed, other = hosts
    await register(closed)
    await create(closed, "a")
    await claim(closed, await _worker(closed))
    taker = await _worker(other)

    await closed.close()

    assert [found.id for found in (await claim(other, taker)).turns] == ["a"]


async def test_two_hosts_never_claim_the_same(hosts: tuple[Store, Store]) -> None:
    """However many claim at once, each turn is one worker's."""
    await register(hosts[0])
    await create(hosts[0], *(f"i-{n}" for n in range(60)))
    workers = [(store, await _worker(store)) for store in hosts for _ in range(4)]

    claims: list[Claims] = await asyncio.gather(
        *(store.run(ClaimDue(worker, NOW, 5)) for store, worker in workers for _ in range(3))
    )

    rows = [turn.row for each in claims for turn in each.turns]
    assert len(rows) == len(set(rows)) > 0


async def test_claim_passes_over_what_another_host_has_locked(hosts: tuple[Store, Store]) -> None:
    """A claim waits for nobody: it takes the rest, and is told at once to look again."""
    one, _ = hosts
    await register(one)
    await create(one, "a", "b")
    worker = await _worker(one)
    other = await asyncpg.connect(_inside(one)._opened.address.dsn)

    async with other.transaction():
        await other.execute("select 1 from instances where id = 'a' for update")
        got = await claim(one, worker)
    await other.close()

    assert ([turn.id for turn in got.turns], got.next_due_at) == (["b"], NOW)
    assert [turn.id for turn in (await claim(one, worker)).turns] == ["a"]


async def test_worker_that_was_ended_takes_nothing(hosts: tuple[Store, Store]) -> None:
    """A worker whose lease another host has ended gets no turn."""
    one, other = hosts
    await register(one)
    await create(one, "a")
    worker = await _worker(one)

    await other.run(EndLease(worker))

    assert await claim(one, worker) == Claims([], None)
    assert (await instance(one, "a")).row.status == "queued"


@pytest.mark.parametrize("change", ["turn = 2", "n = 2", "at = at + 1", "body = '{}'", "value = 'x'", "size = 1"])
async def test_damaged_record_of_a_claim_is_found(hosts: tuple[Store, Store], change: str) -> None:
    """The checksum that the database makes of a claim's record covers all of it."""
    one, _ = hosts
    await register(one)
    await create(one, "a")
    (turn,) = (await claim(one, await _worker(one))).turns
    assert [row.kind for row in await one.run(ReadHistory(turn.row))] == ["created", "running"]

    address = _inside(one)._opened.address.dsn
    await asyncio.to_thread(postgres.query, address, f"update records set {change} where seq = 2")

    with pytest.raises(StoreDamaged):
        await one.run(ReadHistory(turn.row))


async def test_what_another_host_made_due_is_heard(hosts: tuple[Store, Store]) -> None:
    """A worker claims what another process has created."""
    one, other = hosts
    await register(one)
    ear = Ear()
    one.listen(await _worker(one), ear)

    await other.run(creation("a"))

    assert await heard(ear.due) == NOW


async def test_event_from_another_host_is_told(hosts: tuple[Store, Store]) -> None:
    """The turn that holds an instance meets an event that another process has taken."""
    holding, other = hosts
    await register(holding)
    await create(holding, "a")
    worker, ear = await _worker(holding), Ear()
    (turn,) = (await claim(holding, worker)).turns
    holding.listen(worker, ear)
    assert await heard(ear.told) == turn.row

    await other.run(happening("a"))

    assert await heard(ear.told) == turn.row


@pytest.mark.parametrize(
    "operation", [happening("a"), DeleteInstance("acme", "orders", "a", NOW), DeleteWorkflow("acme", "orders", NOW)]
)
async def test_change_by_another_host_is_seen(hosts: tuple[Store, Store], operation: Any) -> None:
    """Who watches an instance hears of what other processes do to it."""
    watching, other = hosts
    await register(watching)
    await create(watching, "a")
    told: asyncio.Queue[None] = asyncio.Queue()
    stop = watching.watch((await instance(watching)).row, lambda: told.put_nowait(None))
    await asyncio.wait_for(told.get(), 10)

    await other.run(operation)

    await asyncio.wait_for(told.get(), 10)
    stop()


async def test_many_hosts_write_the_same_instances(hosts: tuple[Store, Store]) -> None:
    """Events in opposite orders are all kept: whoever is in the way of another waits, or is tried again."""
    await register(hosts[0])
    names = [f"i-{n}" for n in range(10)]
    await create(hosts[0], *names)
    sent = [(hosts[n % 2], [happening(id) for id in (names if n % 2 else names[::-1])]) for n in range(10)]

    answers = await asyncio.gather(*(outcomes(store, events) for store, events in sent))

    assert not [answer for each in answers for answer in each if isinstance(answer, Exception)]
    assert [(await instance(hosts[0], id)).row.seq for id in names] == [11] * 10


async def test_one_id_is_created_once(hosts: tuple[Store, Store]) -> None:
    """Of many creates of an id at once, in different processes, one wins."""
    await register(hosts[0])

    answers = await asyncio.gather(*(outcomes(store, [creation("a"), creation("b")]) for store in hosts * 5))

    assert sum(not isinstance(answer, Exception) for each in answers for answer in each) == 2


async def test_parent_and_child_end_at_once(hosts: tuple[Store, Store]) -> None:
    """A turn that parks, and one that ends, do not wait for each other in two processes."""
    await register(hosts[0])
    await create(hosts[0], *(f"i-{n}" for n in range(20)))
    turns = (await claim(hosts[0], await _worker(hosts[0]), limit=20)).turns

    answers = await asyncio.gather(
        outcomes(hosts[0], [ending(turn) for turn in turns[::2]] + [happening(turn.id) for turn in turns[1::2]]),
        outcomes(hosts[1], [release(turn) for turn in turns[1::2]] + [happening(turn.id) for turn in turns[1::2]]),
    )

    assert {type(answer).__name__ for each in answers for answer in each} <= {"Released", "int"}


async def test_hosts_are_listed(hosts: tuple[Store, Store]) -> None:
    """All that have the database open; one that says nothing more is lost, behind the others, with what it held."""
    lost, other = hosts
    await register(lost)
    await create(lost, "a")
    await claim(lost, await _worker(lost))

    before = (await other.run(ListHosts(NOW))).hosts
    _pause(lost)
    (alive, gone) = await _until(lambda: _with_a_lost_one(other))
    await lost.close()

    assert [(host.is_alive, host.workers, host.held) for host in before] == [(True, 0, 0), (True, 1, 1)]
    assert (alive.is_alive, gone.is_alive, gone.workers, gone.held) == (True, False, 1, 1)
    assert alive.renewed_at is not None
    assert gone.renewed_at is not None
    assert alive.renewed_at > gone.renewed_at
    assert [host.row for host in (await other.run(ListHosts(NOW))).hosts] == [alive.row]


async def _with_a_lost_one(store: Store) -> Any:
    found = (await store.run(ListHosts(NOW))).hosts
    return found if not all(host.is_alive for host in found) else None
