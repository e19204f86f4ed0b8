"""The contract of every store: operations that are done once under a key."""

import msgspec
import pytest

from stepwell.errors import IdempotencyKeyReused, InstanceNotFound, WorkflowNotFound
from stepwell.limits import IDEMPOTENCY_KEY_MS
from stepwell.store import Store
from stepwell.store.once import FindOnce, Once
from stepwell.store.operations import AppendEvent, CreateInstance, GetInstance, InstanceRow, RecordRow
from stepwell.store.workflow_operations import DeleteWorkflow
from tests.store.scenes import NOW, creation, register

EVENT = RecordRow("event_received", NOW, '{"type":"go"}', "{}")


def making(id: str) -> CreateInstance:
    """Return the operation that creates an instance."""
    return creation(id)


async def test_operation_is_done_once_and_answers_the_same(store: Store) -> None:
    """The second time another operation under the same key and request does nothing."""
    await register(store, "orders")

    first = await store.run(Once("acme", "k", "hash", NOW, making("a")))
    again = await store.run(Once("acme", "k", "hash", NOW + 5, making("b")))

    assert again == first
    assert (msgspec.msgpack.decode(first.body, type=InstanceRow).id, first.at) == ("a", NOW)
    with pytest.raises(InstanceNotFound):
        await store.run(GetInstance("acme", "orders", "b"))


async def test_key_is_an_accounts_own_and_for_one_request(store: Store) -> None:
    """Another request under it is refused; another account has its own."""
    for account in ("acme", "other"):
        await register(store, "orders", account=account)
    await store.run(Once("acme", "k", "hash", NOW, making("a")))

    with pytest.raises(IdempotencyKeyReused, match='"k" came with another request'):
        await store.run(Once("acme", "k", "else", NOW, making("b")))
    await store.run(Once("other", "k", "else", NOW, creation("b", account="other")))


async def test_what_was_refused_keeps_no_key(store: Store) -> None:
    """An operation that raises leaves nothing behind."""
    with pytest.raises(WorkflowNotFound):
        await store.run(Once("acme", "k", "hash", NOW, making("a")))
    await register(store, "orders")

    done = await store.run(Once("acme", "k", "else", NOW, making("a")))

    assert msgspec.msgpack.decode(done.body, type=InstanceRow).id == "a"


async def test_key_is_forgotten_in_time(store: Store) -> None:
    """After a day the key is free, whatever its request was."""
    await register(store, "orders")
    await store.run(Once("acme", "k", "hash", NOW, making("a")))

    later = await store.run(Once("acme", "k", "else", NOW + IDEMPOTENCY_KEY_MS, making("b")))

    assert msgspec.msgpack.decode(later.body, type=InstanceRow).id == "b"


async def test_event_is_appended_once(store: Store) -> None:
    """The answer is the first seq."""
    await register(store, "orders")
    await store.run(making("a"))
    event = AppendEvent("acme", "orders", "a", EVENT)

    seqs = [
        msgspec.msgpack.decode((await store.run(Once("acme", "k", "hash", NOW, event))).body, type=int)
        for _ in range(2)
    ]

    assert seqs[0] == seqs[1]
    assert len((await store.run(GetInstance("acme", "orders", "a"))).records) == 2


async def test_key_goes_with_its_workflow(store: Store) -> None:
    """After the workflow was deleted and made again, the request is done again."""
    await register(store, "orders")
    await store.run(Once("acme", "k", "hash", NOW, making("a")))
    await store.run(DeleteWorkflow("acme", "orders", NOW))
    found = await store.run(FindOnce("acme", "k", "hash", NOW))
    await register(store, "orders", n=2)

    again = await store.run(Once("acme", "k", "hash", NOW + 5, making("a")))

    assert (found, again.at) == (None, NOW + 5)
    assert (await store.run(GetInstance("acme", "orders", "a"))).row.id == "a"


async def test_what_was_answered_is_found(store: Store) -> None:
    """Under the key and the request; another request is refused, and a day later there is nothing."""
    await register(store, "orders")
    before = await store.run(FindOnce("acme", "k", "hash", NOW))
    done = await store.run(Once("acme", "k", "hash", NOW, making("a")))

    assert before is None
    assert await store.run(FindOnce("acme", "k", "hash", NOW + 5)) == done
    assert await store.run(FindOnce("acme", "k", "hash", NOW + IDEMPOTENCY_KEY_MS)) is None
    with pytest.raises(IdempotencyKeyReused):
        await store.run(FindOnce("acme", "k", "else", NOW + 5))


async def test_key_is_kept_for_as_long_as_the_operation_says(store: Store) -> None:
    """How long a key stands for its request is the caller's to say; then it is free, and forgotten by the next."""
    await register(store, "orders")
    await store.run(Once("acme", "k", "hash", NOW, making("a"), 5_000))

    kept = await store.run(FindOnce("acme", "k", "hash", NOW + 4_999, 5_000))
    longer = await store.run(FindOnce("acme", "k", "hash", NOW + 2 * IDEMPOTENCY_KEY_MS, 3 * IDEMPOTENCY_KEY_MS))
    free = await store.run(FindOnce("acme", "k", "hash", NOW + 5_000, 5_000))
    await store.run(Once("acme", "k2", "hash", NOW + 5_000, making("b"), 5_000))
    forgotten = await store.run(FindOnce("acme", "k", "hash", NOW, 5_000))

    assert (kept is None, longer == kept, free, forgotten) == (False, True, None, None)
