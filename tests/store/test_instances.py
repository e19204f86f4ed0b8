"""The contract of every store: instances, seen and told from outside."""

import pytest

from stepwell.core.failures import Failure
from stepwell.core.instance import Status
from stepwell.core.records import RollbackEnded, RollbackStarted
from stepwell.errors import InstanceAlreadyExists, InstanceFinished, InstanceNotFound, WorkflowNotFound
from stepwell.store import Store, codec
from stepwell.store.operations import AppendEvent, GetInstance, ListInstances, ReadHistory, ReadPayload, Release
from stepwell.store.sql import instances
from tests.store.scenes import (
    NOW,
    claim,
    commit,
    control,
    create,
    creation,
    ending,
    happening,
    held,
    instance,
    kinds,
    register,
    release,
    started,
    succeeded,
    worker,
)


async def test_created_instance_is_queued_and_due_now(store: Store) -> None:
    """An instance that was created is there, with its params, and due at once."""
    workflow = await register(store)

    row = await store.run(creation("a", params='{"book":1}'))

    found = await instance(store, "a")
    assert found.row == row
    assert (row.account, row.workflow, row.workflow_id, row.id) == ("acme", "orders", workflow.id, "a")
    assert (row.status, row.trigger, row.step_count, row.seq, row.turn) == ("queued", "api", 0, 1, 0)
    assert (row.due_at, row.created_at, row.modified_at) == (NOW, NOW, NOW)
    assert (row.started_at, row.ended_at) == (None, None)
    assert [(record.kind, record.value, record.seq) for record in found.records] == [("created", '{"book":1}', 1)]


async def test_id_that_is_taken_is_refused(store: Store) -> None:
    """An id is used once in a workflow; the instance that has it stays as it is."""
    await register(store)
    await store.run(creation("a", params="1"))

    with pytest.raises(InstanceAlreadyExists) as raised:
        await store.run(creation("a", params="2", at=NOW + 1))

    found = await instance(store, "a")
    assert (raised.value.workflow, raised.value.instance) == ("orders", "a")
    assert [record.value for record in found.records] == ["1"]


async def test_refused_create_does_not_trigger_the_workflow(store: Store) -> None:
    """An operation that raises has written nothing, not even when the workflow was last triggered."""
    await register(store)
    await store.run(creation("a"))

    with pytest.raises(InstanceAlreadyExists):
        await store.run(creation("a", at=NOW + 9))

    assert (await register(store)).triggered_at == NOW


async def test_same_id_in_two_workflows_is_two_instances(store: Store) -> None:
    """Ids are unique in their workflow, not beyond it."""
    await register(store, "orders")
    await register(store, "returns")

    first = await store.run(creation("a", workflow="orders"))
    second = await store.run(creation("a", workflow="returns"))

    assert first.row != second.row


async def test_create_in_unknown_workflow_is_refused(store: Store) -> None:
    """There is no instance without its workflow."""
    with pytest.raises(WorkflowNotFound) as raised:
        await store.run(creation("a", workflow="orders"))

    assert raised.value.workflow == "orders"


async def test_instance_of_another_account_is_not_found(store: Store) -> None:
    """Accounts do not see each other's instances, whatever their names."""
    await register(store, account="acme")
    await register(store, account="other")
    await store.run(creation("a", account="other"))

    with pytest.raises(InstanceNotFound):
        await store.run(GetInstance("acme", "orders", "a"))
    with pytest.raises(InstanceNotFound):
        await store.run(happening("a"))

    listed = await store.run(ListInstances("acme", "orders", limit=10))
    assert (listed.rows, listed.total) == ([], 0)


async def test_what_is_not_there_is_named(store: Store) -> None:
    """A missing workflow and a missing instance are told apart."""
    await register(store)

    with pytest.raises(WorkflowNotFound):
        await store.run(GetInstance("acme", "returns", "a"))
    with pytest.raises(InstanceNotFound) as raised:
        await store.run(GetInstance("acme", "orders", "a"))
    with pytest.raises(WorkflowNotFound):
        await store.run(ListInstances("acme", "returns", limit=10))
    with pytest.raises(WorkflowNotFound):
        await store.run(happening("a", workflow="returns"))

    assert (raised.value.workflow, raised.value.instance) == ("orders", "a")


async def test_records_of_an_instance_that_is_as_known_are_not_read(store: Store) -> None:
    """Whoever has an instance's row as it is gets it back alone; who has an older one gets everything."""
    await register(store)
    (older,) = await create(store, "a")
    await store.run(happening("a"))
    found = await instance(store, "a")

    looks = [
        await store.run(GetInstance("acme", "orders", "a", with_steps, known))
        for with_steps in (True, False)
        for known in (found.row, older)
    ]

    assert [look.row for look in looks] == [found.row] * 4
    assert [len(look.records) for look in looks] == [0, 2, 0, 1]


@pytest.mark.parametrize("acts", [(), ("end",), ("end", "restart"), ("terminate", "restart", "terminate"), ("undo",)])
async def test_short_history_is_found_as_a_long_one(
    store: Store, monkeypatch: pytest.MonkeyPatch, acts: tuple[str, ...]
) -> None:
    """Whether the records come along with the row or are read behind it, they are the same."""
    turn = await held(store, "a")
    await store.run(commit(turn, started(), succeeded(), step_count=1))
    for act in acts:
        match act:
            case "end":
                await store.run(ending(turn, n=3, seen=4, step_count=1))
            case "undo":
                begun = codec.to_row(RollbackStarted(NOW, Failure("Error", "no"), None))
                place = (turn.row, turn.turn, 4, 5)
                undone = codec.to_row(RollbackEnded(NOW, None))
                await store.run(commit(turn, begun, n=3, seen=4, has_rollbacks=True, status=Status.ROLLING_BACK))
                await store.run(Release(*place, [undone], 1, Status.ERRORED, None, NOW, NOW))
            case _:
                await store.run(control(act))
    asked = [GetInstance("acme", "orders", "a", with_steps) for with_steps in (True, False)]
    along = [await store.run(one) for one in asked]

    monkeypatch.setattr(instances, "SHORT_HISTORY", 0)
    behind = [await store.run(one) for one in asked]

    assert along == behind


async def test_without_steps_only_params_and_output_are_read(store: Store) -> None:
    """A brief look has what tells params, output and error, however long the history."""
    turn = await held(store, "a")
    await store.run(commit(turn, started(), succeeded()))
    await store.run(happening("a"))
    unfinished = await store.run(GetInstance("acme", "orders", "a", with_steps=False))
    await store.run(ending(turn, n=3, seen=5, value='"done"'))

    finished = await store.run(GetInstance("acme", "orders", "a", with_steps=False))

    assert [record.kind for record in unfinished.records] == ["created"]
    assert [(record.kind, record.value) for record in finished.records] == [
        ("created", "{}"),
        ("completed", '"done"'),
    ]
    assert finished.row.status == "complete"


async def test_history_is_read_from_a_seq_on(store: Store) -> None:
    """A turn reads what came after what it knows."""
    turn = await held(store, "a")
    await store.run(commit(turn, started(), succeeded()))

    records = await store.run(ReadHistory(turn.row, after=2))

    assert [(record.seq, record.kind) for record in records] == [
        (3, "attempt_started"),
        (4, "step_succeeded"),
    ]


async def test_event_for_a_parked_instance_makes_it_due_now(store: Store) -> None:
    """An instance that sleeps until later is due when an event comes."""
    turn = await held(store, "a")
    await store.run(release(turn, due_at=NOW + 3_600_000))

    seq = await store.run(happening("a", payload='"yes"', at=NOW + 10))

    found = await instance(store, "a")
    assert seq == 4
    assert (found.row.due_at, found.row.status, found.row.seq) == (NOW + 10, "waiting", 4)
    assert [(record.kind, record.value, record.seq) for record in found.records[3:]] == [("event_received", '"yes"', 4)]


async def test_event_for_an_instance_that_is_due_leaves_its_place(store: Store) -> None:
    """An instance that has been due for a while does not fall back in the queue because of an event."""
    await register(store)
    await create(store, "a", at=NOW)

    await store.run(happening("a", at=NOW + 10))

    assert (await instance(store, "a")).row.due_at == NOW


async def test_event_for_a_held_instance_does_not_make_it_due(store: Store) -> None:
    """Nobody else can claim an instance because an event came for it."""
    await held(store, "a")

    await store.run(happening("a"))

    assert (await claim(store, await worker(store))).turns == []
    assert (await instance(store, "a")).row.due_at is None
    assert await kinds(store, "a") == ["created", "running", "event_received"]


async def test_event_for_an_ended_instance_is_refused(store: Store) -> None:
    """An instance that has ended takes no events, and says what it is."""
    turn = await held(store, "a")
    await store.run(ending(turn))

    with pytest.raises(InstanceFinished) as raised:
        await store.run(happening("a"))

    assert raised.value.status == "complete"
    assert await kinds(store, "a") == ["created", "running", "completed"]


async def test_large_value_lies_apart_and_is_whole(store: Store) -> None:
    """A value above 4 KiB leaves its beginning in the record and is read by itself, unchanged."""
    text = '"' + "wörd " * 2_000 + '"'
    await register(store)
    await store.run(creation("a", params=text))

    (record,) = (await instance(store, "a")).records

    assert record.payload is not None
    assert (record.value, record.size) == (text[:1024], 12_002)
    assert await store.run(ReadPayload(record.payload)) == text


@pytest.mark.parametrize(
    ("text", "is_apart"),
    [
        pytest.param("1" * 4096, False, id="4096 bytes lie in the record"),
        pytest.param("1" * 4097, True, id="4097 bytes lie apart"),
        pytest.param("é" * 2048, False, id="4096 bytes in 2048 characters lie in the record"),
        pytest.param("é" * 2049, True, id="4098 bytes in 2049 characters lie apart"),
    ],
)
async def test_limit_of_a_value_in_its_record_is_in_bytes(store: Store, text: str, is_apart: bool) -> None:
    """Whether a value lies apart depends on its size as UTF-8."""
    turn = await held(store, "a")

    await store.run(commit(turn, succeeded(value=text)))

    record = (await instance(store, "a")).records[2]
    assert (record.payload is not None) is is_apart


async def test_every_kind_of_writer_may_bring_a_large_value(store: Store) -> None:
    """Params, event payloads, step results and outputs all may lie apart, each one for itself."""
    await register(store)
    await store.run(creation("a", params='"' + "p" * 5_000 + '"'))
    await store.run(happening("a", payload='"' + "e" * 5_000 + '"'))
    (turn,) = (await claim(store, await worker(store))).turns
    await store.run(commit(turn, started(), succeeded(value='"' + "s" * 5_000 + '"'), seen=3))
    await store.run(ending(turn, n=3, seen=5, value='"' + "o" * 5_000 + '"'))

    payloads = [r.payload for r in (await instance(store, "a")).records if r.payload is not None]

    values = [await store.run(ReadPayload(payload)) for payload in payloads]
    assert [(value[1], len(value)) for value in values] == [(c, 5_002) for c in "peso"]


async def test_operations_of_one_caller_are_done_in_their_order(store: Store) -> None:
    """What is asked later is done later, also where the answers are not waited for in between."""
    await register(store)

    first = store.run(creation("a"))
    events = [store.run(happening("a")) for _ in range(20)]

    assert (await first).seq == 1
    assert [await seq for seq in events] == list(range(2, 22))


async def test_cancelled_call_is_done_all_the_same(store: Store) -> None:
    """Cancelling the wait for an answer does not undo what was asked."""
    await register(store)
    asked = store.run(creation("a"))
    asked.cancel()

    await store.run(AppendEvent("acme", "orders", "a", happening().record))

    assert await kinds(store, "a") == ["created", "event_received"]
