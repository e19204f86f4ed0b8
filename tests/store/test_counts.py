"""The contract of every store: what a workflow counts is exact, and costs nothing for what has ended."""

import re
from typing import Any

import pytest
from msgspec.structs import replace

from stepwell.core.failures import Failure
from stepwell.core.records import Failed, RollbackResumed, Terminated
from stepwell.store import Store, codec
from stepwell.store.child_operations import ChildLink, StartChild
from stepwell.store.control_operations import DeleteInstance, ResumeRollback, TerminateInstance
from stepwell.store.migrations import known
from stepwell.store.operations import (
    Claim,
    GetWorkflow,
    ListInstances,
    ListWorkflows,
    Operation,
    RegisterWorkflow,
    Release,
)
from stepwell.store.sql.counts import COUNTS, ENDS, OUTCOMES, read_counts
from stepwell.store.sqlite.connections import open_ledger
from stepwell.store.sqlite.file import FileConnection, migrate, open_in_memory
from stepwell.store.workflow_operations import (
    CountEnds,
    DeleteWorkflow,
    EndCount,
    EndCounts,
    ListOutcomes,
    PurgeDeleted,
)
from tests.store.scenes import (
    NOW,
    claim,
    control,
    create,
    creation,
    ending,
    held,
    instance,
    outcomes,
    register,
    release,
    worker,
)

TERMINATED = codec.to_row(Terminated(NOW + 2, "api"))


def failing(turn: Claim) -> Release:
    """Say that a turn ends its instance with an error."""
    failed = codec.to_row(Failed(NOW + 1, Failure("ValueError", "no")))
    return replace(ending(turn), records=[failed], status="errored")


async def _counts(store: Store, workflow: str = "orders") -> dict[str, int]:
    """Return the counts of a workflow, for which each way to ask has the same."""
    counts = (await store.run(GetWorkflow("acme", workflow))).counts
    listed = {row.name: row.counts for row in (await store.run(ListWorkflows("acme", 10, 0))).rows}
    assert listed[workflow] == counts
    assert (await store.run(ListInstances("acme", workflow, 1))).total == sum(counts.values())
    for status in ("queued", "waiting", "complete", "errored", "terminated"):
        total = (await store.run(ListInstances("acme", workflow, 1, status=status))).total
        bounded = (await store.run(ListInstances("acme", workflow, 1, status=status, from_ms=0))).total
        assert total == bounded == counts.get(status, 0)
    return counts


async def _ended(store: Store) -> None:
    """Let one instance wait, `a` be terminated, and of two others each end in a way of its own."""
    await register(store)
    await create(store, "a", "b", "c", "d")
    turns = {turn.id: turn for turn in (await claim(store, await worker(store))).turns}
    await outcomes(
        store,
        [ending(turns["b"]), failing(turns["c"]), control("terminate"), release(turns["d"], due_at=NOW + 9)],
    )


async def test_each_end_is_counted(store: Store) -> None:
    """Whether a turn ends its instance or somebody from outside, alone or with others in one transaction."""
    await _ended(store)

    assert await _counts(store) == {"complete": 1, "errored": 1, "terminated": 1, "waiting": 1}


async def test_end_that_is_sent_again_is_counted_once(store: Store) -> None:
    """A release whose fate was unknown changes nothing the second time."""
    turn = await held(store)

    await outcomes(store, [ending(turn), ending(turn)])
    await store.run(ending(turn))

    assert await _counts(store) == {"complete": 1}


async def test_what_is_restarted_has_not_ended(store: Store) -> None:
    """It is queued again, and nothing else."""
    await _ended(store)

    await store.run(control("restart"))

    assert await _counts(store) == {"complete": 1, "errored": 1, "queued": 1, "waiting": 1}


async def test_rollback_that_is_gone_on_with_has_not_ended(store: Store) -> None:
    """An instance whose rollback failed is rolled back again."""
    await _ended(store)
    row = (await instance(store, "c")).row
    record = codec.to_row(RollbackResumed(NOW + 3))

    await store.run(ResumeRollback("acme", "orders", "c", record, row.row, row.seq))

    assert await _counts(store) == {"complete": 1, "rollingBack": 1, "terminated": 1, "waiting": 1}


async def test_what_is_deleted_is_not_counted(store: Store) -> None:
    """Neither what had ended, nor what had not, and its rows may still be there."""
    await _ended(store)

    await outcomes(store, [DeleteInstance("acme", "orders", id, NOW + 3) for id in ("b", "d")])

    assert await _counts(store) == {"errored": 1, "terminated": 1}
    while await store.run(PurgeDeleted()):
        pass
    assert await _counts(store) == {"errored": 1, "terminated": 1}


async def test_children_that_end_with_their_parent_are_counted(store: Store) -> None:
    """Each with its own workflow."""
    turn = await held(store)
    await register(store, "mails")
    link = ChildLink(turn.row, turn.turn, "ended")
    await store.run(StartChild(creation("b", workflow="mails"), link))

    await store.run(control("terminate"))

    assert (await _counts(store), await _counts(store, "mails")) == ({"terminated": 1}, {"terminated": 1})


async def test_workflow_of_the_same_name_begins_anew(store: Store) -> None:
    """What a deleted workflow has counted is gone with it."""
    await _ended(store)

    await store.run(DeleteWorkflow("acme", "orders", NOW))
    await register(store, n=2)

    assert await _counts(store) == {}


async def test_counts_know_what_the_same_transaction_has_done(store: Store) -> None:
    """Whoever makes a workflow known together with others is answered what they have made of it."""
    turn = await held(store)
    known_again = RegisterWorkflow("acme", "orders", "shop", "Orders", "aa", "w", "v", NOW)
    terminate = TerminateInstance("acme", "orders", "b", TERMINATED)
    sent: list[Operation[Any]] = [ending(turn), creation("b"), terminate, known_again]

    *_, registered = await outcomes(store, sent)

    assert registered.workflow.counts == {"complete": 1, "terminated": 1}


def test_what_had_ended_before_the_counts_is_counted() -> None:
    """A file that was written before is counted once, when its schema is brought up to date."""
    connection = FileConnection(":memory:")
    migrate(connection, known("sqlite")[:13], "here")
    connection.execute(
        """
        insert into workflows (id, account, name, script, class_name, version, created_at, modified_at)
        values ('w', 'acme', 'orders', 'shop', 'Orders', 'v', 1, 2);
        insert into deleted_workflows values (0);
        insert into instances (account, workflow, id, version, status, trigger, seq, created_at, modified_at, tx)
        values ('acme', 1, 'a', 'v', 'complete', 'api', 1, 1, 1, 1),
            ('acme', 1, 'b', 'v', 'complete', 'api', 1, 1, 1, 1),
            ('acme', 1, 'c', 'v', 'queued', 'api', 1, 1, 1, 1), ('acme', 0, '4', 'v', 'errored', 'api', 1, 1, 1, 1);
        """
    )

    migrate(connection, known("sqlite"), "here")

    assert read_counts(connection, 1) == {"complete": 2, "queued": 1}
    assert connection.execute("select * from ended_counts").fetchall() == [(1, "complete", 0, 2)]


def test_counts_look_at_no_instance_that_has_ended() -> None:
    """In a file only the parts of an index are read that have statuses of what has not ended."""
    connection = open_in_memory()

    plan = [row[3] for row in connection.execute(f"explain query plan {COUNTS}", (1,))]

    looked = [line for line in plan if re.match("(SCAN|SEARCH) (instances|ended_counts)", str(line))]
    assert looked == [
        "SEARCH instances USING COVERING INDEX instances_by_status (workflow=? AND status=?)",
        "SEARCH ended_counts USING PRIMARY KEY (workflow=?)",
    ]
    assert not any(status in COUNTS for status in ("complete", "errored", "terminated"))


@pytest.mark.parametrize("status", ["complete", "terminated"])
def test_numbers_that_are_zero_are_not_told(status: str) -> None:
    """A status that no instance has any more is not among the counts."""
    connection = open_in_memory()
    ledger = open_ledger(connection, "here")
    ledger.write([RegisterWorkflow("acme", "orders", "shop", "Orders", "aa", "w", "v", NOW)])
    connection.execute("insert into ended_counts values (1, ?, 0, 2), (1, ?, 7, -2)", (status, status))

    assert read_counts(connection, 1) == {}


async def test_outcomes_are_the_latest_ends(store: Store) -> None:
    """By workflow, the last end first, whichever came first; no more than were asked for, and none of what goes on."""
    await register(store)
    await register(store, "refunds")
    await create(store, "a", "b", "c", "d")
    turns = {turn.id: turn for turn in (await claim(store, await worker(store))).turns}
    for n, (id, end) in enumerate((("c", ending), ("a", failing), ("b", ending)), 1):
        await store.run(replace(end(turns[id]), ended_at=NOW + n, now=NOW + n))

    asked = ["orders", "refunds", "nobody"]
    found = await store.run(ListOutcomes("acme", asked))
    latest = await store.run(ListOutcomes("acme", ["orders"], 1))
    others = await store.run(ListOutcomes("other", ["orders"]))

    assert found == {"orders": ["complete", "errored", "complete"], "refunds": [], "nobody": []}
    assert (latest, others) == ({"orders": ["complete"]}, {"orders": []})


async def test_ends_are_counted_by_when_and_how(store: Store) -> None:
    """From a moment on, of the workflows that were asked for together; what there was no room for is told of."""
    await register(store)
    await create(store, "a", "b", "c", "d", "e")
    turns = {turn.id: turn for turn in (await claim(store, await worker(store))).turns}
    for after, id, end in ((9, "a", ending), (10, "b", failing), (19, "c", ending), (35, "d", ending)):
        await store.run(replace(end(turns[id]), ended_at=NOW + after, now=NOW + after))

    found = await store.run(CountEnds("acme", ["orders", "nobody"], NOW + 10, 10, 99))
    latest = await store.run(CountEnds("acme", ["orders"], NOW + 10, 10, 1))
    others = await store.run(CountEnds("other", ["orders"], NOW + 10, 10, 99))

    expected = [EndCount(0, "complete", 1), EndCount(0, "errored", 1), EndCount(2, "complete", 1)]
    assert found == EndCounts(expected, is_partial=False)
    assert latest == EndCounts([EndCount(2, "complete", 1)], is_partial=True)
    assert others == EndCounts([], is_partial=False)


@pytest.mark.parametrize(
    ("statement", "given"),
    [
        pytest.param(OUTCOMES, ("acme", "orders", 24), id="latest"),
        pytest.param(ENDS, (NOW, 1, "acme", "orders", 24), id="by-hours"),
    ],
)
def test_outcomes_are_read_from_their_index(statement: str, given: tuple[object, ...]) -> None:
    """However many have ended, as many rows are looked at as are answered."""
    connection = open_in_memory()

    plan = " ".join(row[3] for row in connection.execute(f"explain query plan {statement}", given))

    assert "instances_by_end (workflow=?" in plan
    assert "TEMP B-TREE FOR ORDER BY" not in plan
