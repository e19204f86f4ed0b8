"""What is created while a worker is idle is its, without its asking: in a store that writes in a thread."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stepwell.store import Store
from stepwell.store.operations import ClaimDue, Claims, EndLease, Operation, RegisterWorker
from stepwell.store.situation_operations import NoteBlocked
from stepwell.store.sqlite import SqliteStore
from tests import postgres
from tests.store.conftest import in_postgres, over_a_line
from tests.store.scenes import LEASE, NOW, Ear, claim, commit, create, heard, instance, register, started, worker

HAS_POSTGRES = postgres.is_there()


@pytest.fixture(params=["file", "line", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, require: Callable[..., None]) -> AsyncIterator[Store]:
    """An empty store that writes in a thread."""
    if request.param == "postgres":
        require(postgres.REASON, "a store in it", HAS_POSTGRES)
        async with in_postgres("postgres") as opened:
            yield opened
        return
    file = await asyncio.to_thread(SqliteStore.open, tmp_path / "store.db")
    if request.param == "file":
        yield file
    else:
        async with over_a_line(file) as remote:
            yield remote
    await file.close()


def _idle_claim(number: int, snapshot: int = 0) -> ClaimDue:
    return ClaimDue(number, NOW, 10, snapshot, is_idle=True)


async def _idle_worker(store: Store) -> tuple[int, Ear]:
    """Add a worker that listens and has found nothing due."""
    number, ear = await worker(store), Ear()
    store.listen(number, ear)
    assert (await store.run(_idle_claim(number))).turns == []
    return number, ear


async def test_idle_worker_is_given_what_is_created(store: Store) -> None:
    """It hears of the turn that it would have claimed, and of nothing due."""
    await register(store)
    number, ear = await _idle_worker(store)

    (row,) = await create(store, "a", at=NOW + 5)

    (turn,) = await heard(ear.given) or []
    assert row.status == "queued"
    assert ear.due.empty()
    await create(store, "b", at=NOW + 5)
    assert await heard(ear.due) == NOW + 5
    assert ear.due.empty()
    (claimed,) = (await claim(store, number, at=NOW + 5)).turns
    assert turn == msgspec.structs.replace(claimed, row=row.row, id="a")
    found, other = await instance(store, "a"), await instance(store, "b")
    assert found.records == other.records
    named = {"row": found.row.row, "id": "a"}
    assert msgspec.structs.replace(other.row, **named) == found.row


async def test_worker_may_say_that_it_is_idle_without_looking(store: Store) -> None:
    """With a claim of nothing it gets nothing, not even what is due, and then one when something is created."""
    await register(store)
    await create(store, "due")
    number, ear = await worker(store), Ear()
    store.listen(number, ear)

    claims = await store.run(msgspec.structs.replace(_idle_claim(number), limit=0))
    await create(store, "a", at=NOW + 5)

    assert claims == Claims([], None)
    (turn,) = await heard(ear.given) or []
    # Where that is the older one, somebody has to claim what was created.
    told = [] if turn.id == "a" else [await heard(ear.due)]
    assert (turn.id, told, ear.due.empty()) in (("a", [], True), ("due", [NOW + 5], True))


async def test_given_turn_goes_on_as_any(store: Store) -> None:
    """What a turn that was given writes is taken."""
    await register(store)
    _, ear = await _idle_worker(store)
    await create(store, "a")
    (turn,) = await heard(ear.given) or []

    assert (await store.run(commit(turn, started()))).seq == 3


async def test_idle_worker_is_given_one(store: Store) -> None:
    """The rest of what is created at once is for whoever claims it."""
    await register(store)
    number, ear = await _idle_worker(store)

    await asyncio.gather(create(store, "a"), create(store, "b"), create(store, "c"))

    (turn,) = await heard(ear.given) or []
    left = (await claim(store, number)).turns
    assert sorted([turn.id, *(each.id for each in left)]) == ["a", "b", "c"]
    assert ear.given.empty()


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param(lambda number: ClaimDue(number, NOW, 0), id="claims"),
        pytest.param(EndLease, id="is dead"),
        pytest.param(lambda number: NoteBlocked(number, NOW, None), id="is blocked"),
    ],
)
async def test_worker_is_idle_no_more(store: Store, operation: Callable[[int], Operation[Any]]) -> None:
    """A worker that has claimed again, is dead, or does not answer is given nothing."""
    await register(store)
    number, ear = await _idle_worker(store)

    await store.run(operation(number))
    await create(store, "a")

    assert await heard(ear.due) == NOW
    assert (await instance(store, "a")).row.status == "queued"


async def test_worker_that_does_not_listen_is_given_nothing(store: Store) -> None:
    """Nobody would run it."""
    await register(store)
    number, _ = await _idle_worker(store)
    store.ignore(number)

    await create(store, "a")

    assert (await instance(store, "a")).row.status == "queued"


async def test_worker_with_other_code_is_given_nothing(store: Store) -> None:
    """An instance is for workers of its snapshot alone."""
    await register(store)
    other, ear = await store.run(RegisterWorker("worker", LEASE, NOW, snapshot=7)), Ear()
    store.listen(other, ear)
    assert await store.run(_idle_claim(other, snapshot=7)) == Claims([], None)

    await create(store, "a")

    assert await heard(ear.due) == NOW
    assert (await instance(store, "a")).row.status == "queued"


async def test_busy_worker_is_given_nothing(store: Store) -> None:
    """A worker that does not say that it is idle asks for what it wants."""
    await register(store)
    number, ear = await worker(store), Ear()
    store.listen(number, ear)
    await claim(store, number)

    await create(store, "a")

    assert await heard(ear.due) == NOW
    assert (await instance(store, "a")).row.status == "queued"
