"""Several hosts count what ends in one database: none waits for another, and the sum is exact."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from stepwell.core.records import Terminated
from stepwell.store import Store, codec
from stepwell.store.control_operations import TerminateInstance
from stepwell.store.migrations import known
from stepwell.store.operations import Claim, GetWorkflow, Operation, RegisterWorker
from stepwell.store.sql.counts import COUNTS
from tests import postgres
from tests.store.scenes import NOW, claim, create, ending, outcomes, register

HAS_POSTGRES = postgres.is_there()
if HAS_POSTGRES:
    import asyncpg

    from stepwell.store.postgres.address import Address
    from stepwell.store.postgres.dialect import to_postgres
    from stepwell.store.postgres.hosts import FOLD_COUNTS
    from stepwell.store.postgres.schema import prepare
    from stepwell.store.postgres.store import PostgresStore

# Read before there is a loop, which that would block.
BEFORE = known("postgres")[:2]
ROWS = "select status, host, n from ended_counts order by host, status"
_MANY_ENDED = """
    insert into instances (account, workflow, id, version, status, trigger, seq, created_at, modified_at, tx)
    select 'acme', w.row, cast(n as text), w.version, case when n % 500 = 0 then 'queued' else 'complete' end,
        'api', 1, 1, 1, 1
    from generate_series(1, 20000) as n
    cross join workflows as w
    where w.name = 'orders'
    """


@pytest.fixture
def url(require: Callable[..., None]) -> str:
    """A database without tables, which is not used again."""
    require(postgres.REASON, "a store in it", HAS_POSTGRES)
    return postgres.databases.make()


@pytest.fixture
async def hosts(url: str) -> AsyncIterator[list[Any]]:
    """Two stores in one database, as two processes open them."""
    opened = [await asyncio.to_thread(PostgresStore.open, url) for _ in range(2)]
    yield opened
    for store in opened:
        await store.close()


def _host(store: Any) -> int:
    host: int = store._shell._opened.host
    return host


async def _turns(store: Store, *ids: str) -> list[Claim]:
    """Return turns of new instances."""
    await create(store, *ids)
    worker = await store.run(RegisterWorker("worker", 2**62, NOW))
    return (await claim(store, worker, limit=len(ids))).turns


async def _counts(store: Store) -> dict[str, int]:
    return (await store.run(GetWorkflow("acme", "orders"))).counts


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


def _terminating(turn: Claim) -> Operation[Any]:
    return TerminateInstance("acme", "orders", turn.id, codec.to_row(Terminated(NOW, "api")))


@pytest.mark.parametrize("end", [ending, _terminating], ids=["by turns", "from outside"])
@pytest.mark.parametrize("together", [1, 2], ids=["alone", "in batches with others"])
async def test_hosts_do_not_wait_for_each_others_counts(
    url: str, hosts: list[Any], together: int, end: Callable[[Claim], Operation[Any]]
) -> None:
    """While one host's transaction has counted and is not over, another ends instances of the same workflow."""
    await register(hosts[0])
    turns = await _turns(hosts[0], "a", *(f"i-{n}" for n in range(2 * together)))
    first, *ends = map(end, turns)
    await hosts[0].run(first)

    async with _connected(url) as connection, connection.transaction():
        # What a transaction of the first host under way holds.
        await connection.execute("select 1 from ended_counts where host = $1 for update", _host(hosts[0]))
        waiting = asyncio.ensure_future(outcomes(hosts[0], ends[:together]))
        async with asyncio.timeout(10):
            done = await outcomes(hosts[1], ends[together:])
        was_waiting = not waiting.done()

    assert was_waiting
    assert [answer for answer in [*done, *(await waiting)] if isinstance(answer, Exception)] == []
    assert list((await _counts(hosts[0])).values()) == [1 + 2 * together]


async def test_host_that_is_closed_leaves_its_counts(url: str) -> None:
    """They are nobody's then, and those of all such hosts are one row."""
    for n in range(3):
        store = await asyncio.to_thread(PostgresStore.open, url)
        await register(store)
        (turn,) = await _turns(store, f"i-{n}")
        await store.run(ending(turn))
        await store.close()

    assert postgres.query(url, ROWS) == [("complete", 0, 3)]


async def test_host_that_is_forgotten_may_come_back(url: str, hosts: list[Any]) -> None:
    """What it had counted is nobody's, and it counts on."""
    await register(hosts[0])
    first, second = await _turns(hosts[0], "a", "b")
    await hosts[0].run(ending(first))
    async with _connected(url) as connection:
        await connection.execute("delete from hosts where row = $1", _host(hosts[0]))

    third = await asyncio.to_thread(PostgresStore.open, url)
    folded = postgres.query(url, ROWS)
    await hosts[0].run(ending(second))

    assert folded == [("complete", 0, 1)]
    assert postgres.query(url, ROWS) == [("complete", 0, 1), ("complete", _host(hosts[0]), 1)]
    assert await _counts(third) == {"complete": 2}
    await third.close()


async def test_nothing_is_lost_between_a_host_and_those_who_forget_it(url: str, hosts: list[Any]) -> None:
    """However often its counts are taken while it ends instances, by two at once, their sum is what has ended."""
    await register(hosts[0])
    turns = await _turns(hosts[0], *(f"i-{n}" for n in range(60)))
    async with _connected(url) as connection:
        # Made again by its pulse only where it finds that it is gone.
        await connection.execute("delete from hosts")
    begun, ended = asyncio.Semaphore(0), asyncio.Event()

    taking = [asyncio.ensure_future(_take(url, begun, ended)) for _ in range(2)]
    for _ in taking:
        await begun.acquire()
    answers = [await hosts[0].run(ending(turn)) for turn in turns]
    ended.set()
    rounds = await asyncio.gather(*taking)

    assert all(answer.done for answer in answers)
    assert min(rounds) > 0
    assert await _counts(hosts[0]) == {"complete": 60}


async def _take(url: str, begun: asyncio.Semaphore, ended: asyncio.Event) -> int:
    """Take what hosts that are no more have counted, again and again; return how often."""
    rounds = 0
    async with _connected(url) as connection:
        begun.release()
        while not ended.is_set():
            await connection.execute("delete from hosts")
            await connection.execute(FOLD_COUNTS)
            rounds += 1
    return rounds


async def test_counts_look_at_no_instance_that_has_ended(url: str, hosts: list[Any]) -> None:
    """A database reads the parts of an index that have statuses of what has not ended, of however many there are."""
    await register(hosts[0])
    async with _connected(url) as connection:
        await connection.execute(_MANY_ENDED)
        await connection.execute("vacuum analyze instances")
        counted = dict(await connection.fetch(to_postgres(COUNTS), 1))
        sql = to_postgres(COUNTS).replace("$1", "1")
        plan = [str(line) for (line,) in await connection.fetch(f"explain (analyze, costs off, timing off) {sql}")]

    assert counted == {"queued": 40}
    assert [line for line in plan if "Seq Scan on instances" in line] == []
    (place,) = [place for place, line in enumerate(plan) if "instances_by_status" in line]
    assert re.search(r"actual rows=40[ .]", plan[place])
    assert "status = ANY" in plan[place + 1]
    assert not any("Filter" in line for line in plan[place:])


async def test_what_had_ended_before_the_counts_is_counted(url: str) -> None:
    """A database that was written before is counted once, when its schema is brought up to date."""
    await prepare(Address.of(url), BEFORE)
    async with _connected(url) as connection:
        await connection.execute(
            """
            insert into workflows (id, account, name, script, class_name, version, created_at, modified_at)
            values ('w', 'acme', 'orders', 'shop', 'Orders', 'v', 1, 2)
            """
        )
        await connection.execute(_MANY_ENDED)

    store = await asyncio.to_thread(PostgresStore.open, url)

    assert await _counts(store) == {"complete": 19_960, "queued": 40}
    await store.close()
