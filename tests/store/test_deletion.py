"""The contract of every store: workflows that are deleted, and what becomes of their instances."""

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from stepwell.errors import InstanceNotFound, TurnLost, WorkflowNotFound
from stepwell.store import Store
from stepwell.store.note_operations import PROGRESS, LogLine, Note, ReadLog, WriteNotes
from stepwell.store.operations import (
    NO_SETTINGS,
    ClaimDue,
    Claims,
    EndLease,
    GetInstance,
    GetWorkflow,
    ListInstances,
    ListWorkflows,
    Operation,
    ReadHistory,
    RegisterWorker,
    RegisterWorkflow,
)
from stepwell.store.sql import threads
from stepwell.store.sql.rows import only
from stepwell.store.sqlite import SqliteStore
from stepwell.store.sqlite.connections import open_ledger
from stepwell.store.sqlite.file import FileConnection, open_writer
from stepwell.store.stream_operations import BeginStream, WritePiece
from stepwell.store.workflow_operations import DeleteWorkflow, ListVersions, PurgeDeleted, PutWorkflow
from tests.store.scenes import (
    LEASE,
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
    started,
    succeeded,
    worker,
)

BIG = '"' + "x" * 9_000 + '"'
DELETE = DeleteWorkflow("acme", "orders", NOW)
TABLES = (
    *("instances", "records", "payloads", "log_lines", "notes", "streams", "pieces"),
    *("versions", "deleted_workflows"),
)


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param(GetWorkflow("acme", "orders"), id="workflow"),
        pytest.param(ListInstances("acme", "orders", limit=1), id="list"),
        pytest.param(GetInstance("acme", "orders", "a"), id="instance"),
        pytest.param(ReadLog("acme", "orders", "a", 0, 1), id="log"),
        pytest.param(ListVersions("acme", "orders", 1, 0), id="versions"),
        pytest.param(creation("b"), id="create"),
        pytest.param(happening("a"), id="event"),
        pytest.param(DELETE, id="delete again"),
    ],
)
async def test_deleted_workflow_is_unknown_at_once(store: Store, operation: Operation[object]) -> None:
    """A workflow that was deleted is found by nothing, nor are its instances."""
    await register(store)
    await create(store, "a")

    await store.run(DELETE)

    with pytest.raises(WorkflowNotFound):
        await store.run(operation)
    assert (await store.run(ListWorkflows("acme", 9, 0))).rows == []


async def test_name_is_free_at_once(store: Store) -> None:
    """A new workflow of the same name has nothing of the old one: neither id nor instances nor row numbers."""
    await register(store, n=1)
    (old,) = await create(store, "a")
    await store.run(DELETE)

    workflow = await register(store, n=2)

    (new,) = await create(store, "a")
    assert (workflow.id, workflow.version, workflow.counts) == ("acme-orders-2", "acme-orders-version-2", {})
    assert new.row > old.row
    assert (await store.run(ListInstances("acme", "orders", limit=9))).total == 1


async def test_class_of_a_deleted_workflow_can_be_used_again(store: Store) -> None:
    """What workers have loaded stays known: a PUT makes the workflow again."""
    await register(store)
    await store.run(DELETE)

    made = await store.run(PutWorkflow("acme", "orders", "shop", "Orders", "w2", "v2", NO_SETTINGS, NOW))

    assert (made.id, made.version) == ("w2", "v2")


async def test_instances_of_a_deleted_workflow_are_not_claimed(store: Store) -> None:
    """What is deleted takes nobody's turn: others that are due are claimed, and nothing else is said to be due."""
    await register(store, "orders")
    await register(store, "mail")
    await create(store, *(f"a-{n}" for n in range(20)), at=NOW)
    await store.run(creation("m", workflow="mail", at=NOW + 1))
    number = await worker(store)

    await store.run(DELETE)
    claims = await claim(store, number, at=NOW + 5, limit=5)

    assert [turn.id for turn in claims.turns] == ["m"]
    assert claims.next_due_at is None


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda turn: commit(turn, started()), id="commit"),
        pytest.param(commit, id="look for records from outside"),
        pytest.param(lambda turn: release(turn, due_at=NOW + 9), id="park"),
        pytest.param(ending, id="end"),
        pytest.param(lambda turn: WriteNotes(turn.row, turn.turn, 0, [], [Note("progress", NOW, "1")], 0), id="notes"),
    ],
)
async def test_turn_of_a_deleted_instance_is_lost(store: Store, write: Callable[..., Operation[object]]) -> None:
    """Whatever a worker still writes is refused, before the rows are gone as after."""
    turn = await held(store)
    deleted, refused, tidied, again = await outcomes(store, [DELETE, write(turn), PurgeDeleted(), write(turn)])

    assert (deleted, type(refused), type(tidied), type(again)) == (None, TurnLost, bool, TurnLost)


async def test_worker_that_holds_an_instance_hears_of_its_end(store: Store) -> None:
    """The worker is told of each instance that it has lost, so that it notices now."""
    turn = await held(store)
    ear, number = Ear(), await worker(store)
    await store.run(release(turn, due_at=NOW))
    (turn,) = (await claim(store, number)).turns
    store.listen(number, ear)

    await store.run(DELETE)

    assert await heard(ear.told) == turn.row
    store.ignore(number)


async def test_dead_worker_leaves_nothing_to_claim(store: Store) -> None:
    """What a dead worker held of a deleted workflow is nobody's, and due for nobody."""
    await register(store)
    await create(store, "a")
    dead = await worker(store)
    await claim(store, dead)
    await store.run(DELETE)

    count = await store.run(EndLease(dead))
    claims = await store.run(ClaimDue(await worker(store), NOW + 5, 10))

    assert count == 0
    assert (claims.turns, claims.next_due_at) == ([], None)


async def test_history_of_a_deleted_instance_comes_to_an_end(store: Store) -> None:
    """A worker that claimed an instance just before reads an empty history once the rows are gone."""
    turn = await held(store)
    await store.run(DELETE)
    while await store.run(PurgeDeleted()):
        pass

    assert await store.run(ReadHistory(turn.row)) == []


async def test_other_workflows_and_accounts_keep_everything(store: Store) -> None:
    """Only the workflow that is named is deleted."""
    await register(store, "orders")
    await register(store, "mail")
    await register(store, "orders", account="other")
    await store.run(creation("m", workflow="mail", params=BIG))
    await store.run(creation("o", account="other"))
    before = await instance(store, "m", workflow="mail")

    await store.run(DELETE)
    while await store.run(PurgeDeleted()):
        pass

    assert await instance(store, "m", workflow="mail") == before
    assert (await store.run(GetInstance("other", "orders", "o"))).row.id == "o"
    with pytest.raises(InstanceNotFound):
        await store.run(GetInstance("other", "orders", "a"))


async def test_unknown_workflow_cannot_be_deleted(store: Store) -> None:
    """Another account's workflow is unknown too."""
    await register(store, account="other")

    with pytest.raises(WorkflowNotFound):
        await store.run(DELETE)


# ---- in the file


def _count(connection: FileConnection) -> dict[str, int]:
    return {table: only(connection, f"select count(*) from {table}")[0] for table in TABLES}


async def _filled(path: Path, instances: int) -> None:
    """Make a store with instances that have records, values that lie apart, log lines, notes and streams."""
    store = await asyncio.to_thread(SqliteStore.open, path)
    await register(store)
    await create(store, *(f"i-{n}" for n in range(instances)))
    turns = (await claim(store, await worker(store), limit=instances)).turns
    for turn in turns:
        await store.run(commit(turn, started(), succeeded(value=BIG), step_count=1))
        line = LogLine(NOW, None, None, "INFO", "said")
        await store.run(WriteNotes(turn.row, turn.turn, 0, [line] * 10, [Note(PROGRESS, NOW, "1")], 0))
        stream = await store.run(BeginStream(turn.row, turn.turn, "export", 1))
        for n in (1, 2):
            await store.run(WritePiece(turn.row, turn.turn, stream, n, bytes(9_000)))
    await store.close()


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A store of five instances."""
    path = tmp_path / "store.db"
    asyncio.run(_filled(path, 5))
    return path


async def _deletion_has_ended(path: Path) -> dict[str, int]:
    """Wait until another connection sees that nothing is left to be deleted; return what the tables hold then."""
    connection = await asyncio.to_thread(FileConnection, str(path), apsw.SQLITE_OPEN_READONLY)
    async with asyncio.timeout(10):
        while any(_count(connection)[table] for table in ("deleted_workflows", "streams")):  # noqa: ASYNC110 - another process would have to look, too
            await asyncio.sleep(0.01)
    counts = _count(connection)
    connection.close()
    return counts


async def test_rows_are_deleted_behind_the_answer(filled: Path) -> None:
    """A store in a file deletes by itself everything that a deleted workflow has left."""
    store = await asyncio.to_thread(SqliteStore.open, filled)

    await store.run(DELETE)

    left = await _deletion_has_ended(filled)
    await store.close()
    assert left == dict.fromkeys(TABLES, 0)


async def test_deletion_gets_on_under_load(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are deleted also while there is always something else to be written."""
    monkeypatch.setattr(threads, "TIDY_PAUSE_S", 1_000)
    store = await asyncio.to_thread(SqliteStore.open, filled)
    await register(store, "mail")
    await store.run(DELETE)

    async with asyncio.timeout(10):
        for number in itertools.count():
            await store.run(creation(f"m-{number}", workflow="mail"))
            if (await asyncio.to_thread(_left, filled))["streams"] == 0:
                break

    await store.close()
    left = _left(filled)
    assert (left["deleted_workflows"], left["payloads"], left["pieces"]) == (0, 0, 0)


def _left(path: Path) -> dict[str, int]:
    connection = FileConnection(str(path), apsw.SQLITE_OPEN_READONLY)
    counts = _count(connection)
    connection.close()
    return counts


async def test_store_goes_on_deleting_after_it_was_opened_again(filled: Path) -> None:
    """What a process did not get to delete before it ended is deleted by the next one that opens the store."""
    before = await asyncio.to_thread(_die_before_the_rows_are_deleted, filled)

    store = await asyncio.to_thread(SqliteStore.open, filled)

    left = await _deletion_has_ended(filled)
    await store.close()
    assert (before["instances"], before["payloads"], before["deleted_workflows"]) == (5, 5, 1)
    assert left == dict.fromkeys(TABLES, 0)


def _die_before_the_rows_are_deleted(path: Path) -> dict[str, int]:
    connection = open_writer(path)
    open_ledger(connection, "here").write([DELETE])
    counts = _count(connection)
    connection.close()
    return counts


@pytest.mark.parametrize(
    ("bounds", "parts"),
    [
        pytest.param({"instances": 2}, 3, id="instances"),
        pytest.param({"rows": 7}, 10, id="rows"),
        pytest.param({"size": 9_000}, 5, id="bytes"),
    ],
)
def test_each_part_of_the_deletion_is_bounded(filled: Path, bounds: dict[str, int], parts: int) -> None:
    """Other writes wait for a bounded part at most; each part gets on, and the last one leaves nothing."""
    connection = open_writer(filled)
    ledger = open_ledger(connection, "here")
    ledger.write([DELETE])

    left = [_count(connection)]
    while ledger.write([PurgeDeleted(**bounds)]).outcomes == [True]:
        left.append(_count(connection))

    gone = [
        {table: before[table] - after[table] for table in TABLES}
        for before, after in itertools.pairwise([*left, _count(connection)])
    ]
    connection.close()
    assert left[0]["records"] == 20
    assert len(gone) >= parts
    assert all(any(part.values()) for part in gone)
    assert max(part["instances"] for part in gone) <= bounds.get("instances", 5)
    assert max(part["records"] + part["log_lines"] for part in gone) <= bounds.get("rows", 10**6)
    assert max(part["payloads"] for part in gone) <= (1 if "size" in bounds else 5)
    assert sum(part["payloads"] for part in gone) == 5
    assert not any(left[0][table] - sum(part[table] for part in gone) for table in TABLES)


def test_instances_are_not_claimed_before_their_rows_are_gone(filled: Path) -> None:
    """As long as rows of a deleted workflow are there, they take no place of what others have due, and are not due."""
    connection = open_writer(filled)
    ledger = open_ledger(connection, "here")
    mail = RegisterWorkflow("acme", "mail", "shop", "Mail", "aa", "w", "v", NOW)
    due = [creation(f"due-{n}", at=NOW) for n in range(9)]
    ledger.write([*due, mail, creation("m", workflow="mail", at=NOW + 1), DELETE])

    (number, claims) = ledger.write([RegisterWorker("worker", LEASE, NOW), ClaimDue(2, NOW + 5, 3)]).outcomes

    assert number == 2
    assert isinstance(claims, Claims)
    assert [turn.id for turn in claims.turns] == ["m"]
    assert claims.next_due_at is None
    assert _count(connection)["instances"] == 15
    connection.close()


def test_what_the_same_transaction_wrote_is_deleted_too(filled: Path) -> None:
    """Records that were appended in the very transaction of the deletion leave nothing behind."""
    connection = open_writer(filled)

    outcomes = open_ledger(connection, "here").write(
        [creation("late"), happening("late", payload=BIG), DELETE, PurgeDeleted()]
    )

    assert outcomes.outcomes[2:] == [None, False]
    assert _count(connection) == dict.fromkeys(TABLES, 0)
    connection.close()
