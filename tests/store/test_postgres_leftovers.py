"""What a host was at when it was lost, another one goes on with."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from stepwell import leftovers
from stepwell.core.records import Terminated
from stepwell.engine import Engine
from stepwell.leftovers import Leftovers
from stepwell.store import Store, codec
from stepwell.store.control_operations import IsTerminating, StartTermination, TerminateSome
from stepwell.store.job_operations import AdvanceJob, GetJob, JobChange, StartJob
from stepwell.store.search_operations import Wanted
from tests import postgres
from tests.store.scenes import NOW, create, instance, register

if postgres.is_there():
    import asyncpg

    from stepwell.store.postgres import PostgresStore

ALL = StartTermination("acme", "orders", ["queued", "running", "waiting"])
SOME = TerminateSome("acme", "orders", codec.to_row(Terminated(NOW + 1, "api")))

_DELETED = "select row from deleted_workflows"


@pytest.fixture
def url(require: Callable[..., None]) -> Iterator[str]:
    """An empty database."""
    require(postgres.REASON, "a store in it", postgres.is_there())
    taken = postgres.databases.take()
    yield taken
    postgres.databases.give_back(taken)


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    """A host that lives."""
    opened = await asyncio.to_thread(PostgresStore.open, url)
    yield opened
    await opened.close()


@pytest.fixture
async def _looks_often(store: Store, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setattr(leftovers, "LOOK_EVERY_S", 0.02)
    engine = Engine(store)
    looking = asyncio.create_task(Leftovers(store, engine.terminations, engine.jobs).run())
    yield
    looking.cancel()
    await asyncio.wait([looking])
    await engine.terminations.stop()
    await engine.jobs.stop()


@pytest.mark.usefixtures("_looks_often")
async def test_termination_of_all_goes_on_elsewhere(store: Store, url: str) -> None:
    """The host that was told to terminate them is gone before it has begun: the one that is left does it."""
    lost = await asyncio.to_thread(PostgresStore.open, url)
    await register(lost)
    await create(lost, *(f"i-{number}" for number in range(250)))
    await lost.run(ALL)
    await lost.close()

    async with asyncio.timeout(20):
        while await store.run(IsTerminating("acme", "orders")):  # noqa: ASYNC110 - nobody is told of it
            await asyncio.sleep(0.02)

    statuses = {(await instance(store, f"i-{number}")).row.status for number in range(250)}
    assert statuses == {"terminated"}


@pytest.mark.usefixtures("_looks_often")
async def test_job_goes_on_elsewhere(store: Store, url: str) -> None:
    """The host that it was begun on is gone in the middle: the one that is left does the rest, and nothing twice."""
    lost = await asyncio.to_thread(PostgresStore.open, url)
    await register(lost)
    rows = await create(lost, *(f"i-{number}" for number in range(70)))
    job = await lost.run(StartJob("acme", "job", "restart", "orders", Wanted(), NOW + 1, "ann"))
    newest = sorted(rows, key=lambda row: -row.row)[:30]
    changes = [JobChange(row.row, "orders", row.id) for row in newest]
    await lost.run(AdvanceJob("acme", "job", None, (NOW, newest[-1].row), changes, NOW + 2))
    await lost.close()

    async with asyncio.timeout(20):
        while (job := await store.run(GetJob("acme", "job"))).ended_at is None:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.02)

    assert (job.done, job.passed_over, job.failed) == (70, 0, 0)
    assert {(await instance(store, f"i-{number}")).row.seq for number in range(70)} == {2}


async def test_job_that_another_host_is_at_is_left_to_it(store: Store, url: str) -> None:
    """Nobody waits for the other, and nothing is done."""
    await register(store)
    (row,) = await create(store, "a")
    await store.run(StartJob("acme", "job", "terminate", "orders", Wanted(), NOW, "ann"))
    advance = AdvanceJob("acme", "job", None, None, [JobChange(row.row, "orders", "a")], NOW)
    other = await asyncpg.connect(url)
    await other.execute("begin; select 1 from jobs for update")

    answer = await store.run(advance)

    assert (answer, (await instance(store)).row.status) == (None, "queued")
    await other.close()
    assert (await store.run(advance)) is not None
    assert (await instance(store)).row.status == "terminated"


@pytest.mark.usefixtures("_looks_often")
async def test_what_was_deleted_goes_elsewhere(url: str) -> None:
    """Rows of a workflow whose host died before they were gone do not wait for a start."""
    await asyncio.to_thread(postgres.query, url, "insert into deleted_workflows (row) values (77)")

    async with asyncio.timeout(20):
        while await asyncio.to_thread(postgres.query, url, _DELETED):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.02)


async def test_termination_that_another_host_is_at_is_left_to_it(store: Store, url: str) -> None:
    """Nobody waits for the other's rows; it is still known, and done when the other has let go."""
    await register(store)
    await create(store, "a")
    await store.run(ALL)
    other = await asyncpg.connect(url)
    await other.execute("begin; select 1 from terminations for update")

    more = await store.run(SOME)

    assert more is False
    assert await store.run(IsTerminating("acme", "orders"))
    await other.close()
    await store.run(SOME)
    assert (await instance(store)).row.status == "terminated"
