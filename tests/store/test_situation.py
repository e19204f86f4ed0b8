"""The contract of every store: what only it knows of why an instance does not go on."""

import pytest

from stepwell.core.why import Situation
from stepwell.errors import InstanceNotFound, WorkflowNotFound
from stepwell.store import Store
from stepwell.store.operations import ClaimDue, EndLease, RegisterWorker, RegisterWorkflow
from stepwell.store.situation_operations import NoteBlocked, ReadSituation
from stepwell.store.snapshot_operations import SaveSnapshot, ServeSnapshot
from stepwell.store.workflow_operations import DeleteWorkflow
from tests.store.scenes import NOW, create, creation, register

VERSION = "acme-orders-version-1"
QUEUED = Situation(NOW, None, False, 0, 0, [], "shop", "Orders", True, VERSION)


async def situation(store: Store, id: str = "a", *, at: int = NOW, most: int = 1_000) -> Situation:
    """Return the situation of an instance."""
    return (await store.run(ReadSituation("acme", "orders", id, at, most))).situation


async def test_situation_of_what_is_due_counts_what_is_before_it(store: Store) -> None:
    """Those that are due earlier, or as early and older; of all accounts, but of no deleted workflow; up to a bound."""
    await register(store)
    await register(store, "refunds", account="other")
    await register(store, "gone")
    await store.run(creation("x", workflow="refunds", account="other", at=NOW - 1))
    await store.run(creation("y", workflow="gone", at=NOW - 1))
    await create(store, "a", "b", "c")
    await store.run(DeleteWorkflow("acme", "gone", NOW))

    counts = [(await situation(store, id)).before for id in "abc"]

    assert counts == [1, 2, 3]
    assert (await situation(store, "c", most=2)).before == 2
    # What is due later waits for its moment, not for others.
    assert (await situation(store, "c", at=NOW - 1)).before == 0


async def test_situation_has_owner_and_workers(store: Store) -> None:
    """A worker is alive as long as its lease is; one that died is told as long as it holds the instance."""
    await register(store)
    await create(store, "a")
    first = await store.run(RegisterWorker("worker 1", NOW + 10, NOW))
    await store.run(RegisterWorker("worker 2", NOW + 20, NOW))
    assert await situation(store) == Situation(
        NOW, None, False, 0, 0, ["worker 1", "worker 2"], "shop", "Orders", True, VERSION
    )

    await store.run(ClaimDue(first, NOW, 1))
    held = Situation(None, "worker 1", True, 0, 0, ["worker 1", "worker 2"], "shop", "Orders", True, VERSION)
    assert await situation(store) == held
    assert await situation(store, at=NOW + 10) == Situation(
        None, "worker 1", False, 0, 0, ["worker 2"], "shop", "Orders", True, VERSION
    )

    await store.run(EndLease(first))
    assert await situation(store) == Situation(
        None, "worker 1", False, 0, 0, ["worker 2"], "shop", "Orders", True, VERSION
    )


async def test_situation_tells_since_when_the_owner_is_blocked(store: Store) -> None:
    """Also where, as far as that is known, the latest that was noted; of this worker alone, until it answers."""
    await register(store)
    await create(store, "a")
    first, second = [await store.run(RegisterWorker(name, NOW + 10, NOW)) for name in ("worker 1", "worker 2")]
    await store.run(ClaimDue(first, NOW, 1))

    found = []
    for note in (
        NoteBlocked(second, NOW + 9),
        NoteBlocked(first, NOW + 1),
        NoteBlocked(first, NOW + 1, "here\n  f()"),
        NoteBlocked(first, None),
    ):
        await store.run(note)
        blocked = await situation(store)
        found.append((blocked.blocked_since, blocked.blocked_stack))

    assert found == [(None, None), (NOW + 1, None), (NOW + 1, "here\n  f()"), (None, None)]


async def test_note_about_a_worker_that_is_gone_is_passed_over(store: Store) -> None:
    """It may have died just then; who took its place is not meant."""
    await register(store)
    await create(store, "a")
    gone, held = [await store.run(RegisterWorker(name, NOW + 10, NOW)) for name in ("worker 1", "worker 2")]
    await store.run(EndLease(gone))
    await store.run(ClaimDue(held, NOW, 1))

    await store.run(NoteBlocked(gone, NOW, "here"))

    found = await situation(store)
    assert (found.owner, found.blocked_since) == ("worker 2", None)


async def test_situation_counts_lost_turns(store: Store) -> None:
    """A turn is lost when another worker takes the instance of one that died."""
    await register(store)
    await create(store, "a")
    for name in ("worker 1", "worker 2"):
        worker = await store.run(RegisterWorker(name, NOW + 10, NOW))
        await store.run(ClaimDue(worker, NOW, 1))
        await store.run(EndLease(worker))

    found = await situation(store)

    assert (found.owner, found.lost_turns, found.lost_in_a_row) == ("worker 2", 1, 2)


async def test_situation_tells_whether_the_class_is_loaded(store: Store) -> None:
    """A class that its script lost is not."""
    await register(store)
    await create(store, "a")
    assert await situation(store) == QUEUED

    other = RegisterWorkflow("acme", "others", "shop", "Others", "bb", "o", "o-1", NOW, classes=("Others",))
    await store.run(other)

    assert (await situation(store)).is_loaded is False


async def test_situation_comes_with_the_history(store: Store) -> None:
    """Both are of one moment."""
    await register(store)
    await create(store, "a")

    found = await store.run(ReadSituation("acme", "orders", "a", NOW))

    assert [record.kind for record in found.records] == ["created"]


@pytest.mark.parametrize(("workflow", "error"), [("orders", InstanceNotFound), ("nothing", WorkflowNotFound)])
async def test_situation_of_nothing_is_refused(store: Store, workflow: str, error: type[Exception]) -> None:
    """The workflow is looked for first."""
    await register(store)

    with pytest.raises(error):
        await store.run(ReadSituation("acme", workflow, "a", NOW))


async def test_situation_has_the_workers_of_the_instance_s_own_code(store: Store) -> None:
    """One that stays on earlier code waits for a worker that has that, whatever the class is called now."""
    snapshots = [await store.run(SaveSnapshot("acme", sha256, ".", "3", "{}", [], NOW)) for sha256 in ("1", "2")]
    for number, name in zip(snapshots, ("Orders", "Renamed"), strict=True):
        await store.run(ServeSnapshot("acme", number, NOW))
        made = RegisterWorkflow(
            "acme", "orders", "shop", name, name, "w", f"v-{name}", NOW, classes=(name,), snapshot=number
        )
        await store.run(made)
        await create(store, name)
        await store.run(RegisterWorker(f"worker of {name}", NOW + 10, NOW, number))
    old, new = [await situation(store, id) for id in ("Orders", "Renamed")]
    gone = await situation(store, "Orders", at=NOW + 10)

    assert (old.workers, old.version, old.is_loaded) == (["worker of Orders"], "v-Orders", True)
    assert (new.workers, new.version, new.is_loaded) == (["worker of Renamed"], "v-Renamed", True)
    assert gone.workers == []
