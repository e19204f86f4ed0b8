"""Jobs: one change of all instances that match a search, whoever stops in the middle."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from stepwell.clock import VirtualClock
from stepwell.engine import Engine
from stepwell.errors import StoreUnavailable, WorkflowNotFound
from stepwell.server_settings import Settings
from stepwell.store.control_operations import DeleteInstance
from stepwell.store.job_operations import AdvanceJob, JobFailure, JobRow
from stepwell.store.operations import Operation
from stepwell.store.search_operations import Wanted
from stepwell.store.workflow_operations import DeleteWorkflow
from stepwell.testing.stores import never
from tests.engine.stores import CheckedStore
from tests.store.copies import inside
from tests.store.scenes import NOW, create, creation, instance, register

A = TypeVar("A")

COUNT = 130
ALL = Wanted()


def is_advance(operation: object) -> bool:
    """Tell whether an operation changes a page of a job."""
    return isinstance(operation, AdvanceJob)


class StoppingStore(CheckedStore):
    """A store whose host is killed at the n-th page of a job: that one is done, or not, and nothing is answered."""

    def __init__(self) -> None:
        super().__init__()
        self.pages_left: int | None = None
        self.does_last = False
        self.refusals = 0
        self.is_dead = asyncio.Event()

    def run(self, operation: Operation[A]) -> "asyncio.Future[A]":
        """Do an operation, or never answer."""
        if self.pages_left is None or not is_advance(operation):
            return super().run(operation)
        if self.refusals:
            self.refusals -= 1
            refused: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            refused.set_exception(StoreUnavailable("no room"))
            return refused
        if self.pages_left:
            self.pages_left -= 1
            return super().run(operation)
        if self.does_last:
            super().run(operation)
        self.is_dead.set()
        return never()


@pytest.fixture
async def store() -> StoppingStore:
    """A store with a workflow and many instances of it."""
    store = StoppingStore()
    await register(store)
    await create(store, *(f"i-{n}" for n in range(COUNT)))
    return store


async def ended(engine: Engine, job: JobRow) -> JobRow:
    """Wait until a job has ended."""
    async with asyncio.timeout(20):
        while True:
            found = await engine.jobs.get("acme", job.id)
            if found.ended_at is not None:
                return found
            await asyncio.sleep(0)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 - nobody is told of it
            await asyncio.sleep(0)


async def seqs(store: StoppingStore) -> set[int]:
    """Return how many records instances have."""
    return {(await instance(store, f"i-{n}")).row.seq for n in range(COUNT)}


@pytest.mark.parametrize("does_last", [pytest.param(True, id="after"), pytest.param(False, id="before")])
@pytest.mark.parametrize("pages", [0, 1, 3, 5])
async def test_each_instance_is_changed_once_whoever_is_killed(
    store: StoppingStore, pages: int, does_last: bool
) -> None:
    """A server that is killed at any page, before or after it is written, is followed by one that does the rest."""
    store.pages_left, store.does_last = pages, does_last
    killed = Engine(store, VirtualClock(NOW))
    job = await killed.jobs.start("acme", "restart", "orders", ALL, "ann")
    await asyncio.wait_for(store.is_dead.wait(), 20)
    await killed.jobs.stop()

    store.pages_left = None
    engine = Engine(store, VirtualClock(NOW))
    await engine.jobs.resume()
    done = await ended(engine, job)

    assert (done.done, done.passed_over, done.failed, done.is_cancelled) == (COUNT, 0, 0, False)
    assert await seqs(store) == {2}


async def test_two_hosts_at_one_job_change_nothing_twice(store: StoppingStore) -> None:
    """Both begin at the same place: one goes on, the other leaves it to that one."""
    one, other = (Engine(store, VirtualClock(NOW)) for _ in range(2))
    job = await one.jobs.start("acme", "restart", "orders", ALL, "ann")
    await other.jobs.resume()

    done = await ended(one, job)

    assert (done.done, done.passed_over) == (COUNT, 0)
    assert await seqs(store) == {2}


async def test_store_that_refuses_for_a_while_is_asked_again(
    store: StoppingStore, caplog: pytest.LogCaptureFixture
) -> None:
    """The job goes on when there is room again, and the log says what it waits for."""
    store.pages_left, store.refusals = 1_000, 2
    clock = VirtualClock(NOW)
    engine = Engine(store, clock)

    job = await engine.jobs.start("acme", "terminate", "orders", ALL, "ann")
    for _ in range(2):
        await until(lambda: clock.next_alarm_at() is not None)
        clock.move_to(clock.now() + 1_000)

    assert (await ended(engine, job)).done == COUNT
    assert "is to go on; the store refuses: no room" in caplog.text


async def test_only_what_matches_and_was_there_is_changed(store: StoppingStore) -> None:
    """Instances that are created later are not, also while it goes on."""
    engine = Engine(store, VirtualClock(NOW))
    job = await engine.jobs.start("acme", "terminate", None, Wanted(id_prefix="i-1"), "ann")
    await store.run(creation("i-1-later"))

    done = await ended(engine, job)

    # i-1, i-10 to i-19, i-100 to i-129
    assert (done.done, done.passed_over) == (41, 0)
    assert (await instance(store, "i-1-later")).row.status == "queued"
    assert (await instance(store, "i-2")).row.status == "queued"


@pytest.mark.sqlite  # the fault is a trigger, which is put into the file
async def test_what_could_not_be_changed_is_told_and_the_others_are_changed(store: StoppingStore) -> None:
    """One that the store cannot write is counted and named with its reason; nobody waits for it."""
    inside(store.inner).execute(
        "create trigger broken before update on instances when old.id = 'i-77' begin select raise(abort, 'torn'); end"
    )
    engine = Engine(store, VirtualClock(NOW))

    done = await ended(engine, await engine.jobs.start("acme", "terminate", "orders", ALL, "ann"))

    assert (done.done, done.passed_over, done.failed) == (COUNT - 1, 0, 1)
    (failure,) = done.failures
    assert (failure.workflow, failure.id) == ("orders", "i-77")
    assert "torn" in failure.message
    assert isinstance(failure, JobFailure)


async def test_cancelled_job_goes_on_no_more(store: StoppingStore) -> None:
    """What it has done stays; the rest is left as it is."""
    store.pages_left, store.does_last = 2, False
    engine = Engine(store, VirtualClock(NOW))
    job = await engine.jobs.start("acme", "terminate", "orders", ALL, "ann")
    await asyncio.wait_for(store.is_dead.wait(), 20)

    cancelled = await engine.jobs.cancel("acme", job.id)
    await engine.jobs.stop()
    store.pages_left = None
    await engine.jobs.resume()
    await asyncio.sleep(0.02)

    assert (cancelled.is_cancelled, cancelled.done) == (True, 50)
    assert await engine.jobs.get("acme", job.id) == cancelled
    statuses = [(await instance(store, f"i-{n}")).row.status for n in range(COUNT)]
    assert statuses.count("terminated") == 50


async def test_job_cancelled_under_way_leaves_its_page(store: StoppingStore) -> None:
    """Who is at a page when it is cancelled finds that out when he comes to write it."""
    engine = Engine(store, VirtualClock(NOW))
    job = await engine.jobs.start("acme", "terminate", "orders", ALL, "ann")

    cancelled = await engine.jobs.cancel("acme", job.id)
    await asyncio.sleep(0.02)

    assert await engine.jobs.get("acme", job.id) == cancelled
    assert (cancelled.done, (await instance(store, "i-0")).row.status) == (0, "queued")


async def test_restarts_keep_to_the_rate_of_creations(store: StoppingStore) -> None:
    """They count as creations: so many in a second, and the job waits for the next one."""
    clock = VirtualClock(NOW)
    engine = Engine(store, clock, Settings(creations_per_second=60))

    job = await engine.jobs.start("acme", "restart", "orders", ALL, "ann")
    done = []
    for _ in range(3):
        await until(lambda: clock.next_alarm_at() is not None or not engine.jobs.is_busy)
        done.append((await engine.jobs.get("acme", job.id)).done)
        clock.move_to(clock.now() + 1_000)

    assert done == [60, 120, COUNT]
    assert await seqs(store) == {2}


async def test_workflow_that_is_deleted_ends_its_job(store: StoppingStore) -> None:
    """Its instances are gone; a job for a workflow that is not there is refused."""
    store.pages_left = 1
    engine = Engine(store, VirtualClock(NOW))
    job = await engine.jobs.start("acme", "terminate", "orders", ALL, "ann")
    await asyncio.wait_for(store.is_dead.wait(), 20)
    await engine.jobs.stop()
    await store.run(DeleteWorkflow("acme", "orders", NOW))
    store.pages_left = None

    await engine.jobs.resume()

    assert (await ended(engine, job)).done == 25
    with pytest.raises(WorkflowNotFound):
        await engine.jobs.start("acme", "terminate", "orders", ALL, "ann")


async def test_instance_that_is_gone_meanwhile_is_passed_over(store: StoppingStore) -> None:
    """It was found, and deleted before it could be changed."""
    store.pages_left, store.does_last = 0, False
    engine = Engine(store, VirtualClock(NOW))
    job = await engine.jobs.start("acme", "terminate", "orders", ALL, "ann")
    await asyncio.wait_for(store.is_dead.wait(), 20)
    await engine.jobs.stop()
    await store.run(DeleteInstance("acme", "orders", "i-129", NOW))
    store.pages_left = None

    await engine.jobs.resume()

    assert (await ended(engine, job)).done == COUNT - 1
