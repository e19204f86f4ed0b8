"""The contract of every store: an instance goes out whole, and comes in whole or not at all."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from stepwell.core.records import Completed, Created, Running, Waiting
from stepwell.errors import InstanceAlreadyExists, InstanceNotFound, StoreError, WorkflowNotFound
from stepwell.stalls import state_of
from stepwell.store import Store, codec
from stepwell.store.note_operations import LogLine, Note, ReadLog
from stepwell.store.operations import GetInstance, GetWorkflow, ListInstances, RecordRow, RegisterWorkflow
from stepwell.store.sqlite import SqliteStore
from stepwell.store.stream_operations import BeginStream, ReadPiece, WritePiece
from stepwell.store.transfer_operations import (
    AbandonImport,
    BeginImport,
    ExportInstance,
    FinishImport,
    ImportNotes,
    ImportRecords,
    InstanceFacts,
    ListStreams,
    PlacedRecord,
    ReadNotes,
    ReadRecords,
)
from stepwell.store.workflow_operations import PurgeDeleted
from tests.store.scenes import NOW, claim, creation, folded, held, instance, kinds, register, worker

FACTS = InstanceFacts(
    version="gone",
    sha256="none",
    script="shop",
    class_name="Orders",
    trigger="api",
    status="waiting",
    step_count=0,
    seq=3,
    turn=1,
    due_at=NOW + 50,
    is_held=False,
    lost_turns=0,
    logged=0,
    log_n=0,
    created_at=NOW,
    modified_at=NOW,
    started_at=NOW,
    ended_at=None,
    renewed_at=None,
    restarted_seq=0,
    has_rollbacks=False,
)
HISTORY = [
    PlacedRecord(0, 0, replace(codec.to_row(Created(NOW, "api", '{"to":"Graz"}')), seq=1)),
    PlacedRecord(1, 1, replace(codec.to_row(Running(NOW)), seq=2)),
    PlacedRecord(1, 2, replace(codec.to_row(Waiting(NOW)), seq=3)),
]
LARGE = '"' + "x" * 100_000 + '"'


async def _begin(store: Store, id: str = "a") -> int:
    return await store.run(BeginImport("acme", "orders", id, f"token-{id}", 1, NOW))


async def _bring_in(store: Store, facts: InstanceFacts = FACTS, id: str = "a") -> bool:
    row = await _begin(store, id)
    await store.run(ImportRecords(row, HISTORY))
    return (await store.run(FinishImport(row, "acme", "orders", id, facts))).is_same_version


async def test_instance_goes_out_as_it_is(store: Store) -> None:
    """Facts of the row, and all records, each with its whole value."""
    await register(store)
    await store.run(creation(params=LARGE))
    turn = (await claim(store, await worker(store))).turns[0]

    exported = await store.run(ExportInstance("acme", "orders", "a"))

    facts = exported.facts
    assert (exported.row, facts.status, facts.seq, facts.turn) == (turn.row, "running", 2, 1)
    assert (facts.is_held, facts.due_at, facts.has_rollbacks) == (True, None, False)
    assert (facts.script, facts.class_name, facts.sha256) == ("shop", "Orders", "aa")
    records = [*await store.run(ReadRecords(turn.row, 0, 2)), *await store.run(ReadRecords(turn.row, 1, 2))]
    assert [(record.turn, record.n, record.record.kind) for record in records][-2:] == [(1, 1, "running")] * 2
    assert (records[0].record.value, records[0].record.payload) == (LARGE, None)


async def test_records_go_out_in_parts_where_they_are_large(store: Store) -> None:
    """An answer has about a mebibyte, and never less than a record."""
    await register(store)
    row = await _begin(store)
    large = [
        PlacedRecord(0, 0, RecordRow("event_received", NOW, '{"event_type":"e"}', LARGE, seq=seq))
        for seq in range(1, 31)
    ]
    await store.run(ImportRecords(row, large))
    await store.run(FinishImport(row, "acme", "orders", "a", replace(FACTS, seq=30)))

    parts = [await store.run(ReadRecords(row, 0, 30))]
    while (last := parts[-1][-1].record.seq) < 30:
        parts.append(await store.run(ReadRecords(row, last, 30)))

    assert [record.record.seq for part in parts for record in part] == list(range(1, 31))
    assert max(map(len, parts)) == 11


async def test_instance_that_is_not_there_cannot_go_out(store: Store) -> None:
    """It is said what is missing: the workflow, or the instance."""
    with pytest.raises(WorkflowNotFound):
        await store.run(ExportInstance("acme", "orders", "a"))
    await register(store)
    with pytest.raises(InstanceNotFound):
        await store.run(ExportInstance("acme", "orders", "a"))


async def test_what_has_ended_is_counted_when_it_has_come_in(store: Store) -> None:
    """Not before it is one of its workflow's instances, and then as one that ended there."""
    await register(store)
    row = await _begin(store)
    ended = PlacedRecord(1, 2, replace(codec.to_row(Completed(NOW, "42")), seq=3))
    await store.run(ImportRecords(row, [*HISTORY[:2], ended]))
    before = (await store.run(GetWorkflow("acme", "orders"))).counts

    facts = replace(FACTS, status="complete", due_at=None, ended_at=NOW)
    await store.run(FinishImport(row, "acme", "orders", "a", facts))

    assert before == {}
    assert (await store.run(GetWorkflow("acme", "orders"))).counts == {"complete": 1}


async def test_what_comes_in_is_nowhere_until_it_is_whole(store: Store) -> None:
    """Nothing finds it and no worker takes it; then both do."""
    await register(store)
    row = await _begin(store)
    await store.run(ImportRecords(row, HISTORY))

    assert (await store.run(ListInstances("acme", "orders", 10))).total == 0
    assert (await claim(store, await worker(store), at=NOW + 100)).turns == []

    imported = await store.run(FinishImport(row, "acme", "orders", "a", FACTS))

    found = await instance(store)
    assert (imported.row, found.row.row) == (found.row, row)
    assert state_of(found.row) == folded(found)
    assert (await claim(store, await worker(store), at=NOW + 49)).next_due_at == NOW + 50
    (turn,) = (await claim(store, await worker(store), at=NOW + 50)).turns
    assert (turn.row, turn.turn) == (row, 2)


async def test_what_was_held_comes_in_as_if_its_worker_had_died(store: Store) -> None:
    """The next worker takes it up at once, and knows that a turn was lost."""
    await register(store)
    row = await _begin(store)
    await store.run(ImportRecords(row, HISTORY[:2]))
    facts = replace(FACTS, seq=2, status="running", due_at=None, is_held=True)
    await store.run(FinishImport(row, "acme", "orders", "a", facts))

    (turn,) = (await claim(store, await worker(store))).turns

    assert (turn.turn, turn.lost_turns) == (2, 1)
    assert codec.from_row((await instance(store)).records[-1]).record == Running(NOW, lost=True)


@pytest.mark.parametrize(
    ("versions", "facts", "expected"),
    [
        pytest.param([("aa", 1)], replace(FACTS, version="acme-orders-version-1"), (1, True), id="its own"),
        pytest.param(
            [("aa", 1), ("bb", 2)], replace(FACTS, version="acme-orders-version-1"), (1, True), id="an earlier"
        ),
        pytest.param([("aa", 1), ("bb", 2)], replace(FACTS, sha256="aa"), (1, True), id="the same code"),
        pytest.param([("aa", 1), ("bb", 2)], FACTS, (2, False), id="the newest"),
    ],
)
async def test_version_is_the_one_that_it_had(
    store: Store, versions: list[tuple[str, int]], facts: InstanceFacts, expected: tuple[int, bool]
) -> None:
    """By id, else by its code, else it is the newest, and that is said."""
    for sha256, n in versions:
        await register(store, sha256=sha256, n=n)

    is_same = await _bring_in(store, facts)

    n, was_said = expected
    assert ((await instance(store)).row.version, is_same) == (f"acme-orders-version-{n}", was_said)


async def test_it_stays_on_the_snapshot_of_its_version(store: Store) -> None:
    """A worker of that snapshot takes it, and no other does."""
    for snapshot, sha256 in ((1, "aa"), (2, "bb")):
        ids = (f"id-{snapshot}", f"version-{snapshot}")
        await store.run(RegisterWorkflow("acme", "orders", "shop", "Orders", sha256, *ids, NOW, snapshot=snapshot))

    await _bring_in(store, replace(FACTS, sha256="aa"))

    claimed = {n: (await claim(store, await worker(store), at=NOW + 50, snapshot=n)).turns for n in (2, 1)}
    assert {n: len(turns) for n, turns in claimed.items()} == {2: 0, 1: 1}


@pytest.mark.parametrize("seq", [0, 2, 4])
async def test_instance_without_all_of_its_history_is_refused(store: Store, seq: int) -> None:
    """One that has none, one of which more came in than it has, and one of which some did not; nothing is added."""
    await register(store)
    row = await _begin(store)
    if seq:
        await store.run(ImportRecords(row, HISTORY))

    with pytest.raises(StoreError, match='the instance "a" comes in with gaps in its history'):
        await store.run(FinishImport(row, "acme", "orders", "a", replace(FACTS, seq=seq)))

    assert (await store.run(ListInstances("acme", "orders", 10))).total == 0


async def test_id_that_is_taken_is_refused(store: Store) -> None:
    """Before anything is brought in, and once more in the end."""
    await register(store)
    row = await _begin(store)
    await store.run(ImportRecords(row, HISTORY))
    await store.run(creation())

    with pytest.raises(InstanceAlreadyExists):
        await _begin(store)
    with pytest.raises(InstanceAlreadyExists):
        await store.run(FinishImport(row, "acme", "orders", "a", FACTS))

    assert await kinds(store) == ["created"]


async def test_workflow_that_is_not_there_is_named(store: Store) -> None:
    """Its code has to be served once."""
    with pytest.raises(WorkflowNotFound):
        await _begin(store)


async def test_history_with_a_gap_does_not_come_in(store: Store) -> None:
    """What is missing is not found later, when the instance cannot be read."""
    await register(store)
    row = await _begin(store)
    await store.run(ImportRecords(row, [HISTORY[0], HISTORY[2]]))

    with pytest.raises(StoreError, match="gaps"):
        await store.run(FinishImport(row, "acme", "orders", "a", FACTS))

    assert (await store.run(ListInstances("acme", "orders", 10))).total == 0


async def test_what_it_has_said_goes_with_it(store: Store) -> None:
    """Log lines under their numbers, notes, and streams in their pieces."""
    await register(store)
    row = await _begin(store)
    stream = await store.run(BeginStream(row, 1, "export", 2))
    await store.run(WritePiece(row, 1, stream, 1, b"ab"))
    await store.run(WritePiece(row, 1, stream, 2, b"c"))
    lines = [LogLine(NOW, None, None, "stdout", "hello", 7), LogLine(NOW, "charge-1", 2, "INFO", "there", 8)]
    note = Note("progress", NOW, '{"done":1}')
    await store.run(ImportNotes(row, lines, []))
    await store.run(ImportNotes(row, [], [note]))
    await store.run(ImportRecords(row, HISTORY))
    await store.run(FinishImport(row, "acme", "orders", "a", replace(FACTS, log_n=8, logged=1)))

    (kept,) = await store.run(ListStreams(row))

    assert (kept.stream, kept.step, kept.attempt, kept.pieces) == (stream, "export", 2, 2)
    assert [await store.run(ReadPiece(stream, n)) for n in (1, 2)] == [b"ab", b"c"]
    log = await store.run(ReadLog("acme", "orders", "a", 0, 10))
    assert (log.lines, log.progress) == (lines, note)
    assert await store.run(ReadNotes(row)) == [note]


@pytest.mark.parametrize(
    ("facts", "history", "claimed"),
    [
        pytest.param(replace(FACTS, status="queued", seq=1, turn=0, started_at=None, due_at=None), 1, ["a"], id="slot"),
        pytest.param(replace(FACTS, due_at=None), 3, ["a"], id="child"),
        pytest.param(FACTS, 3, [], id="moment"),
    ],
)
async def test_what_waits_for_no_moment_is_due_where_it_comes_in(
    store: Store, facts: InstanceFacts, history: int, claimed: list[str]
) -> None:
    """A slot, or another instance, that it waited for elsewhere would never wake it here."""
    await register(store)
    row = await _begin(store)
    await store.run(ImportRecords(row, HISTORY[:history]))
    await store.run(FinishImport(row, "acme", "orders", "a", facts))

    turns = (await claim(store, await worker(store))).turns

    assert [turn.id for turn in turns] == claimed


async def test_instance_queues_where_it_comes_in_as_it_did(store: Store) -> None:
    """Its key and its priority go out, and come in, with it: what is limited by key stays so."""
    await register(store)
    facts = replace(FACTS, key="größe", bias_ms=-60_000)

    await _bring_in(store, facts)

    exported = (await store.run(ExportInstance("acme", "orders", "a"))).facts
    assert (exported.key, exported.bias_ms) == ("größe", -60_000)


async def test_import_that_is_abandoned_leaves_nothing(store: Store) -> None:
    """Its rows are deleted, and the id is free."""
    await register(store)
    row = await _begin(store)
    await store.run(ImportRecords(row, HISTORY))

    await store.run(AbandonImport(row))
    while await store.run(PurgeDeleted()):
        pass

    assert await store.run(ReadRecords(row, 0, 3)) == []
    assert await _bring_in(store) is False


async def test_instance_that_is_there_cannot_be_abandoned(store: Store) -> None:
    """What has come in whole stays, whoever says what."""
    turn = await held(store)

    await store.run(AbandonImport(turn.row))

    assert (await store.run(GetInstance("acme", "orders", "a"))).row.row == turn.row


async def test_import_that_a_crash_cut_off_is_deleted_at_the_next_start(tmp_path: Path) -> None:
    """Whoever was bringing it in is gone."""
    path = tmp_path / "store.db"
    first = await asyncio.to_thread(SqliteStore.open, path)
    await register(first)
    row = await _begin(first)
    await first.run(ImportRecords(row, HISTORY))
    await first.close()

    second = await asyncio.to_thread(SqliteStore.open, path)
    while await second.run(PurgeDeleted()):
        pass
    left = await second.run(ReadRecords(row, 0, 3))
    await second.close()

    assert left == []
