"""The contract of every store: jobs, which change all instances that match a search, bit by bit."""

import pytest

from stepwell.core.records import Terminated
from stepwell.errors import JobNotFound, WorkflowNotFound
from stepwell.store import Store, codec
from stepwell.store.control_operations import DeleteInstance, TerminateInstance
from stepwell.store.job_operations import (
    MOST_FAILURES,
    AdvanceJob,
    CancelJob,
    GetJob,
    JobChange,
    JobFailure,
    JobPlace,
    ListJobs,
    ListOpenJobs,
    StartJob,
    Verb,
)
from stepwell.store.operations import InstanceRow
from stepwell.store.search_operations import Wanted
from tests.store.scenes import NOW, claim, create, instance, register, worker

PLACE = (NOW, 1)


def start(verb: Verb = "pause", id: str = "job", wanted: Wanted | None = None, at: int = NOW) -> StartJob:
    """Say that a job is to begin, and what ended a second before is to be forgotten."""
    return StartJob("acme", id, verb, "orders", wanted or Wanted(), at, "ann", at - 1_000)


def advance(
    *rows: InstanceRow,
    place: tuple[int, int] | None = None,
    to: tuple[int, int] | None = PLACE,
    failures: tuple[JobFailure, ...] = (),
) -> AdvanceJob:
    """Say that a job is to change instances."""
    changes = [JobChange(row.row, row.workflow, row.id) for row in rows]
    return AdvanceJob("acme", "job", place, to, changes, NOW + 5, failures)


async def test_job_is_found_as_it_was_begun(store: Store) -> None:
    """All that is said of it is there, with the last row of the store at that moment."""
    await register(store)
    _, last = await create(store, "a", "b")
    wanted = Wanted(statuses=("queued",), labels={"a": "\0"}, error_text="no \0")

    job = await store.run(start(wanted=wanted))

    assert job == await store.run(GetJob("acme", "job"))
    assert (job.verb, job.workflow, job.wanted, job.created_by, job.upto) == (
        "pause",
        "orders",
        wanted,
        "ann",
        last.row,
    )
    assert (job.place, job.done, job.passed_over, job.failed, job.ended_at) == (None, 0, 0, 0, None)


@pytest.mark.parametrize(
    ("verb", "status"),
    [
        pytest.param("pause", "waitingForPause", id="pause"),
        pytest.param("terminate", "terminated", id="terminate"),
        pytest.param("restart", "queued", id="restart"),
    ],
)
async def test_instances_are_changed_and_counted(store: Store, verb: Verb, status: str) -> None:
    """What is done to them and how far the job is comes together."""
    await register(store)
    rows = await create(store, "a", "b")
    await claim(store, await worker(store))
    await store.run(start(verb))

    job = await store.run(advance(*rows))

    assert job is not None
    assert (job.place, job.done, job.passed_over) == (PLACE, 2, 0)
    assert [(await instance(store, id)).row.status for id in "ab"] == [status, status]
    assert [(await instance(store, id)).row.seq for id in "ab"] == [3, 3]


async def test_instances_are_deleted_by_a_job(store: Store) -> None:
    """They are found no more; one that was created anew under the id is another one, and stays."""
    await register(store)
    rows = await create(store, "a", "b")
    await store.run(DeleteInstance("acme", "orders", "b", NOW))
    await create(store, "b")
    await store.run(start("delete"))

    job = await store.run(advance(*rows))

    assert job is not None
    assert (job.done, job.passed_over) == (1, 1)
    assert (await instance(store, "b")).row.status == "queued"


async def test_job_moves_on_from_its_place_alone(store: Store) -> None:
    """Who is behind, as another one was at it meanwhile, does nothing: so each instance is changed once."""
    await register(store)
    (row,) = await create(store, "a")
    await store.run(start("restart"))

    answers = [await store.run(advance(row)) for _ in range(2)]

    assert [answer is None for answer in answers] == [False, True]
    assert (await instance(store)).row.seq == 2
    assert (await store.run(GetJob("acme", "job"))).done == 1


async def test_what_there_is_nothing_to_do_for_is_passed_over(store: Store) -> None:
    """It is so already, has ended, or its status is not what is searched for any more."""
    await register(store)
    (row,) = await create(store, "a")
    await claim(store, await worker(store))
    await store.run(start("pause"))
    first = await store.run(advance(row, row))
    await store.run(start("restart", "other", Wanted(statuses=("errored",))))
    other = await store.run(AdvanceJob("acme", "other", None, PLACE, [JobChange(row.row, "orders", "a")], NOW))
    await store.run(TerminateInstance("acme", "orders", "a", codec.to_row(Terminated(NOW, "api"))))
    second = await store.run(advance(row, place=PLACE, to=(NOW, 0)))

    assert [job and (job.done, job.passed_over) for job in (first, other, second)] == [(1, 1), (0, 1), (1, 2)]


async def test_job_ends_at_the_end_or_when_it_is_cancelled(store: Store) -> None:
    """It goes on no more then, and ending it again changes nothing; what it has done stays."""
    await register(store)
    (row,) = await create(store, "a")
    for id in ("job", "other"):
        await store.run(start("restart", id))

    done = await store.run(advance(row, to=None))
    cancelled = await store.run(CancelJob("acme", "other", NOW + 7))
    again = [await store.run(CancelJob("acme", id, NOW + 9)) for id in ("job", "other")]

    assert done is not None
    assert (done.ended_at, done.is_cancelled, cancelled.ended_at, cancelled.is_cancelled) == (
        NOW + 5,
        False,
        NOW + 7,
        True,
    )
    assert again == [done, cancelled]
    change = [JobChange(row.row, "orders", "a")]
    assert await store.run(AdvanceJob("acme", "other", None, None, change, NOW)) is None
    assert (await instance(store)).row.seq == 2


async def test_failures_are_kept_up_to_a_number(store: Store) -> None:
    """All are counted; lists leave them out."""
    await register(store)
    await store.run(start())
    failures = tuple(JobFailure("orders", f"i-{n}", "no \0") for n in range(MOST_FAILURES + 5))

    job = await store.run(advance(failures=failures))

    assert job is not None
    assert (job.failed, job.failures) == (MOST_FAILURES + 5, [*failures[:MOST_FAILURES]])
    assert [one.failures for one in (await store.run(ListJobs("acme", 9))).jobs] == [[]]


async def test_jobs_are_listed_and_forgotten_after_a_while(store: Store) -> None:
    """The newest first, a page at a time; those that ended long ago go when one begins, those that go on do not."""
    await register(store)
    for n in range(3):
        await store.run(start(id=f"j-{n}", at=NOW + n))
    await store.run(CancelJob("acme", "j-1", NOW + 10))

    page = await store.run(ListJobs("acme", 2, 1))
    unfinished = await store.run(ListOpenJobs())
    await store.run(start(id="late", at=NOW + 5_000))

    assert ([job.id for job in page.jobs], page.total) == (["j-1", "j-0"], 3)
    assert unfinished == [JobPlace("acme", "j-0"), JobPlace("acme", "j-2")]
    assert [job.id for job in (await store.run(ListJobs("acme", 9))).jobs] == ["late", "j-2", "j-0"]
    assert (await store.run(ListJobs("other", 9))).jobs == []


async def test_missing_workflow_or_job_is_told(store: Store) -> None:
    """A job of another account is none."""
    with pytest.raises(WorkflowNotFound):
        await store.run(start())
    await register(store)
    await store.run(start())
    for missing in (GetJob("other", "job"), CancelJob("acme", "none", NOW)):
        with pytest.raises(JobNotFound):
            await store.run(missing)
