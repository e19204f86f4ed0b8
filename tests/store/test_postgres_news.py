"""What stores tell each other by notifications is heard without a look, and nobody else's word is."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from stepwell.store import Store
from stepwell.store.control_operations import DeleteInstance
from stepwell.store.listeners import Listeners
from stepwell.store.operations import RegisterWorker
from stepwell.store.sql.transaction import Tidings
from tests import postgres
from tests.store.scenes import NOW, Ear, claim, create, creation, happening, instance, register

HAS_POSTGRES = postgres.is_there()
if HAS_POSTGRES:
    from stepwell.store.postgres import pulse
    from stepwell.store.postgres.address import Address
    from stepwell.store.postgres.news import greeting, hear, texts
    from stepwell.store.postgres.store import PostgresStore


@pytest.fixture(autouse=True)
def _news(require: Callable[..., None]) -> None:
    require(postgres.REASON, "the package for it", HAS_POSTGRES)


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """A database."""
    taken = await asyncio.to_thread(postgres.databases.take)
    yield taken
    await asyncio.to_thread(postgres.databases.give_back, taken)


@pytest.fixture
async def hosts(url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Store, Store]]:
    """Two stores in one database that look once, when they come, and then never."""
    monkeypatch.setattr(pulse, "LOOK_EVERY_S", 3600.0)
    monkeypatch.setattr(pulse, "LOOK_OFTEN_S", 3600.0)
    opened = [await asyncio.to_thread(PostgresStore.open, url) for _ in range(2)]
    yield opened[0], opened[1]
    for store in opened:
        await store.close()


async def _heard_of(act: Callable[[], object], heard: "asyncio.Queue[int]") -> int:
    """Do something again and again until it is heard: a store may just be coming."""
    async with asyncio.timeout(20):
        while heard.empty():
            act()
            await asyncio.sleep(0.05)
        return await heard.get()


async def test_what_is_due_is_told(hosts: tuple[Store, Store]) -> None:
    """A worker hears that another process has created an instance."""
    one, other = hosts
    await register(one)
    ear, ids = Ear(), itertools.count()
    one.listen(await one.run(RegisterWorker("worker", 2**62, NOW)), ear)

    assert await _heard_of(lambda: other.run(creation(f"i{next(ids)}")), ear.due) == NOW


async def test_what_a_store_writes_before_it_is_heard_of_is_told(url: str, hosts: tuple[Store, Store]) -> None:
    """A host that has just come may take an event before it has a connection to tell of it."""
    one, other = hosts
    await register(one)
    ear, ids = Ear(), itertools.count()
    one.listen(await one.run(RegisterWorker("worker", 2**62, NOW)), ear)
    await _heard_of(lambda: other.run(creation(f"i{next(ids)}")), ear.due)

    coming = pulse.Pulse(Address.of(url), 2**30, 60_000, Listeners())
    await coming.start()
    coming.tell(Tidings(due_at=NOW + 7))

    async with asyncio.timeout(20):
        while await ear.due.get() != NOW + 7:
            pass
    await coming.stop()


async def test_event_for_a_turn_is_told(hosts: tuple[Store, Store]) -> None:
    """The worker that holds an instance hears that another process has taken an event for it."""
    holding, other = hosts
    await register(holding)
    await create(holding, "a")
    worker, ear = await holding.run(RegisterWorker("worker", 2**62, NOW)), Ear()
    (turn,) = (await claim(holding, worker)).turns
    holding.listen(worker, ear)

    assert await _heard_of(lambda: other.run(happening("a")), ear.told) == turn.row


async def test_change_and_end_of_what_is_watched_are_told(hosts: tuple[Store, Store]) -> None:
    """Who watches an instance hears of a record, and of its deletion, in another process."""
    watching, other = hosts
    await register(watching)
    await create(watching, "a")
    told: asyncio.Queue[int] = asyncio.Queue()
    stop = watching.watch((await instance(watching)).row, lambda: told.put_nowait(1))
    await _heard_of(lambda: other.run(happening("a")), told)
    while not told.empty():
        told.get_nowait()

    await other.run(DeleteInstance("acme", "orders", "a", NOW))

    assert await asyncio.wait_for(told.get(), 20) == 1
    stop()


def test_much_is_told_in_parts() -> None:
    """A notification of PostgreSQL has less than 8,000 bytes."""
    rows = [2**62 + n for n in range(1_000)]
    tidings = Tidings(due_at=NOW, told=[(row, row) for row in rows], changed={*rows, *map(str, rows)})

    parts = texts(7, tidings)

    assert max(len(part.encode()) for part in parts) < 8_000
    found = [msgspec.json.decode(part) for part in parts]
    assert {row for part in found for row in part[3]} == tidings.changed
    assert sorted(tuple(pair) for part in found for pair in part[2]) == tidings.told
    assert [part[1] for part in found if part[1] is not None] == [NOW]


@pytest.mark.parametrize("text", ["", "[]", "{}", '["x"]', "[1,2,3", '[1,"soon"]', "[1,null,[[1]]]"])
def test_what_is_none_of_ours_is_passed_over(text: str) -> None:
    """Whoever may use the database may notify."""
    assert hear(text, 7, Listeners()) is None


def test_own_word_is_known() -> None:
    """So a store knows that notifications arrive, and tells its listeners nothing twice."""
    listeners, ear = Listeners(), Ear()

    assert hear(greeting(7), 7, listeners) == 7
    assert hear(greeting(8), 7, listeners) == 8
    assert ear.due.empty()
