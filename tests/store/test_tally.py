"""What is counted for `/metrics` of what a store writes, on each kind of store that has threads."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from stepwell import metrics
from stepwell.core.failures import Failure
from stepwell.core.records import (
    AttemptFailed,
    AttemptInterrupted,
    AttemptLost,
    AttemptStarted,
    Failed,
    Key,
    Record,
    StepCancelled,
    StepFailed,
    StepKind,
    StepSucceeded,
)
from stepwell.errors import InstanceNotFound, StoreDamaged, StoreUnavailable, TurnLost, WorkflowNotFound
from stepwell.metrics import OTHER
from stepwell.store import Store, codec
from stepwell.store.operations import EndLease, RecordRow
from stepwell.store.sqlite import SqliteStore
from stepwell.store.tally import Tally
from tests import postgres
from tests.scraping import Scrape
from tests.store.scenes import NOW, claim, commit, control, create, ending, held, instance, register, release, worker

HAS_POSTGRES = postgres.is_there()
OURS = {"account": "acme", "workflow": "orders"}
CHARGE = Key(StepKind.DO, "charge", 1)
LOST = Failure("ValueError", "no")


@pytest.fixture
def tally() -> Tally:
    """Nothing is counted yet."""
    return Tally()


@pytest.fixture(params=["file", pytest.param("postgres", marks=pytest.mark.long)])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, require: Callable[..., None], tally: Tally
) -> AsyncIterator[Store]:
    """An empty store of each kind, which counts."""
    if request.param == "file":
        opened: Store = await asyncio.to_thread(SqliteStore.open, tmp_path / "store.db", tally=tally)
        yield opened
        await opened.close()
        return
    require(postgres.REASON, "a store in it", HAS_POSTGRES)
    from stepwell.store.postgres.store import PostgresSettings, PostgresStore

    url = await asyncio.to_thread(postgres.databases.take)
    opened = await asyncio.to_thread(PostgresStore.open, url, PostgresSettings(tally=tally))
    yield opened
    await opened.close()
    await asyncio.to_thread(postgres.databases.give_back, url)


async def counted(store: Store, tally: Tally) -> Scrape:
    """Return what is told, once all that was answered is counted: a batch is before the next one is written."""
    await worker(store)
    return Scrape.of(metrics.text(tally.metrics()))


def attempt(number: int, at: int) -> RecordRow:
    """An attempt of `charge` began."""
    return codec.to_row(AttemptStarted(at, CHARGE, number))


async def test_life_of_an_instance_is_counted(store: Store, tally: Tally) -> None:
    """Its creation, claim, step and end, with how long they took, under the names of account and workflow."""
    turn = await held(store)
    await store.run(commit(turn, attempt(1, NOW), codec.to_row(StepSucceeded(NOW + 700, CHARGE, 1, "1"))))
    end = replace(ending(turn, n=3, seen=4), ended_at=NOW + 2_000)
    await store.run(end)

    found = await counted(store, tally)

    step = {**OURS, "step": "charge", "kind": "do"}
    assert found.sum("stepwell_instances_created_total", **OURS) == 1
    assert found.sum("stepwell_instances_ended_total", **OURS) == 1
    assert found.sum("stepwell_instances_ended_total", **OURS, outcome="complete") == 1
    assert found.sum("stepwell_instance_duration_seconds_sum", **OURS, outcome="complete") == 2
    assert found.sum("stepwell_steps_total", **step, outcome="succeeded") == 1
    assert found.sum("stepwell_step_attempts_total", **step, outcome="succeeded") == 1
    assert found.sum("stepwell_step_attempt_duration_seconds_sum", **step) == pytest.approx(0.7)
    assert found.sum("stepwell_step_attempt_duration_seconds_bucket", **step, le="0.5") == 0
    assert found.sum("stepwell_step_attempt_duration_seconds_bucket", **step, le="1") == 1
    assert found.sum("stepwell_claim_lateness_seconds_count") == 1
    assert found.sum("stepwell_store_records_total") == 3
    assert found.sum("stepwell_store_commit_seconds_count") == found.sum("stepwell_store_batch_operations_count") >= 5


async def test_step_takes_as_long_as_all_its_attempts(store: Store, tally: Tally) -> None:
    """A step that is tried again in another turn took from its first attempt on, and each attempt what it took."""
    turn = await held(store)
    failed = codec.to_row(AttemptFailed(NOW + 1_000, CHARGE, 1, LOST, NOW + 60_000))
    await store.run(commit(turn, attempt(1, NOW), failed))
    await store.run(release(turn, n=3, seen=4, due_at=NOW + 60_000))
    (again,) = (await claim(store, await worker(store), at=NOW + 90_000)).turns
    done = codec.to_row(StepSucceeded(NOW + 92_000, CHARGE, 2, "1"))
    await store.run(commit(again, attempt(2, NOW + 90_000), done, seen=6))

    found = await counted(store, tally)

    assert found.sum("stepwell_step_duration_seconds_sum", step="charge") == 92
    assert found.sum("stepwell_step_attempt_duration_seconds_sum", step="charge") == 3
    assert found.sum("stepwell_step_attempts_total", step="charge", outcome="failed") == 1
    # 0 when it was created, and half a minute behind its retry.
    assert found.sum("stepwell_claim_lateness_seconds_sum") == 30


TIMED_OUT = Failure("WorkflowTimeoutError", "late")


@pytest.mark.parametrize(
    ("record", "attempts", "steps"),
    [
        pytest.param(AttemptFailed(NOW + 1, CHARGE, 1, LOST, NOW + 9), ["failed"], [], id="failed"),
        pytest.param(AttemptFailed(NOW + 1, CHARGE, 1, TIMED_OUT, NOW + 9), ["timed_out"], [], id="timed out"),
        pytest.param(AttemptLost(NOW + 1, CHARGE, 1), ["lost"], [], id="lost"),
        pytest.param(AttemptInterrupted(NOW + 1, CHARGE, 1), ["interrupted"], [], id="interrupted"),
        pytest.param(StepFailed(NOW + 1, CHARGE, 1, LOST), ["failed"], ["failed"], id="failed for good"),
        pytest.param(StepCancelled(NOW + 1, CHARGE), ["cancelled"], ["cancelled"], id="cancelled"),
    ],
)
async def test_attempt_ends_as_its_record_says(
    store: Store, tally: Tally, record: AttemptFailed, attempts: list[str], steps: list[str]
) -> None:
    """Each way in which an attempt ends has an outcome of its own; the step ends only where it does."""
    turn = await held(store)

    await store.run(commit(turn, attempt(1, NOW), codec.to_row(record)))

    found = await counted(store, tally)
    told = [one.labels["outcome"] for one in found.find("stepwell_step_attempts_total", step="charge")]
    assert told == attempts
    assert [one.labels["outcome"] for one in found.find("stepwell_steps_total", step="charge")] == steps


async def test_step_that_fails_between_two_attempts_had_none_more(store: Store, tally: Tally) -> None:
    """A failure for good that follows a failed attempt is the step's alone."""
    turn = await held(store)
    failed: list[Record] = [AttemptFailed(NOW + 1, CHARGE, 1, LOST), StepFailed(NOW + 1, CHARGE, 1, LOST)]

    await store.run(commit(turn, attempt(1, NOW), *(codec.to_row(record) for record in failed)))

    found = await counted(store, tally)
    assert found.sum("stepwell_step_attempts_total", step="charge") == 1
    assert found.sum("stepwell_steps_total", step="charge", outcome="failed") == 1


async def test_ends_of_all_kinds_are_counted_once(store: Store, tally: Tally) -> None:
    """Those that turns write, those that come from outside, and nothing for what was refused."""
    turn = await held(store)
    errored = replace(ending(turn), records=[codec.to_row(Failed(NOW + 1, LOST))], status="errored")
    await store.run(errored)
    with pytest.raises(TurnLost):
        await store.run(replace(errored, turn=7))
    await store.run(control("restart"))
    await store.run(control("terminate"))

    found = await counted(store, tally)

    ended = {one.labels["outcome"]: one.value for one in found.find("stepwell_instances_ended_total", **OURS)}
    assert ended == {"errored": 1, "terminated": 1, "complete": 0}
    assert (await instance(store)).row.status == "terminated"


async def test_turn_of_a_worker_that_died_is_lost(store: Store, tally: Tally) -> None:
    """It is counted when another worker takes it, under its workflow, and says nothing of how late that was."""
    await register(store)
    await create(store, "a")
    dead = await worker(store)
    await claim(store, dead)
    before = await counted(store, tally)
    await store.run(EndLease(dead))
    await claim(store, await worker(store), at=NOW + 10_000)

    found = await counted(store, tally)

    assert [one.value for one in before.find("stepwell_turns_lost_total", **OURS)] == [0]
    assert found.sum("stepwell_turns_lost_total", **OURS) == 1
    assert found.sum("stepwell_claim_lateness_seconds_count") == 1


async def test_what_a_caller_did_wrong_is_no_fault_of_the_store(store: Store, tally: Tally) -> None:
    """Only what the store could not do is counted, by the name of its error, from the beginning."""
    with pytest.raises((WorkflowNotFound, InstanceNotFound)):
        await store.run(control("terminate"))
    fine = await counted(store, tally)

    tally.failed(StoreUnavailable("the disk is full"))
    tally.failed(StoreDamaged("a sector of zeros"))

    found = await counted(store, tally)
    assert fine.sum("stepwell_store_errors_total") == 0
    assert fine.find("stepwell_store_errors_total", error="StoreUnavailable")
    assert found.sum("stepwell_store_errors_total", error="StoreUnavailable") == 1
    assert found.sum("stepwell_store_errors_total") == 2


async def test_what_cannot_be_counted_is_written_all_the_same(
    store: Store, tally: Tally, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A defect of what counts is told, and keeps nobody from writing."""

    def broken(*_: object) -> None:
        raise KeyError("a defect")

    monkeypatch.setattr(tally, "wrote", broken)

    await held(store)

    assert (await instance(store)).row.status == "running"
    assert "a batch could not be counted for /metrics" in caplog.text


async def test_worker_makes_no_series_of_its_own(store: Store, tally: Tally) -> None:
    """Code that writes records itself gets no text into what is told, and no series for each."""
    turn = await held(store)
    told = codec.to_row(StepSucceeded(NOW, CHARGE, 1, "1"))
    forged = [
        replace(told, body=told.body.replace('"do"', kind)) for kind in ('"a\\nstepwell_hosts 9\\n#"', '"b"', '"sleep"')
    ]
    await store.run(commit(turn, told, *forged))

    found = await counted(store, tally)

    assert found.sum("stepwell_steps_total", **OURS) == found.sum("stepwell_steps_total", **OURS, kind="do") == 1
    assert "stepwell_hosts 9" not in metrics.text(tally.metrics())


async def test_series_are_bounded(tmp_path: Path) -> None:
    """Workflows and steps that come later are told together; what they come to is right."""
    tally = Tally(most_workflows=1, most_steps=2)
    store = await asyncio.to_thread(SqliteStore.open, tmp_path / "store.db", tally=tally)
    for name in ("orders", "refunds", "returns"):
        turn = await held(store, workflow=name)
        for number, step in enumerate(("a", 'b"\\\n', "c")):
            key = Key(StepKind.DO, step, 1)
            done = codec.to_row(StepSucceeded(NOW, key, 1, "1"))
            await store.run(commit(turn, done, n=1 + number, seen=2 + number))

    found = await counted(store, tally)

    await store.close()
    created = {one.labels["workflow"]: one.value for one in found.find("stepwell_instances_created_total")}
    steps = {(one.labels["workflow"], one.labels["step"]): one.value for one in found.find("stepwell_steps_total")}
    assert created == {"orders": 1, OTHER: 2}
    assert steps == {
        ("orders", "a"): 1,
        ("orders", 'b"\\\N{REPLACEMENT CHARACTER}'): 1,
        ("orders", OTHER): 1,
        (OTHER, OTHER): 6,
    }
