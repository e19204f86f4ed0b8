"""What is due is sent to whom it is due: at least once, again after a failure, and to nobody at others' cost."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from standardwebhooks import Webhook

from stepwell.clock import SystemClock
from stepwell.core.records import StepConfig
from stepwell.durations import DAY_MS
from stepwell.server_settings import Settings
from stepwell.store import Store
from stepwell.store.sqlite import SqliteStore
from stepwell.store.webhook_operations import DeliveryRow, EndAttempt, ForgetDeliveries
from stepwell.webhooks import posting, sender
from stepwell.webhooks.book import Webhooks
from stepwell.webhooks.sender import EACH, GIVEN_UP_MS, Sender
from tests.store.scenes import create, register
from tests.webhooks.receivers import OK, Message, Receiver, receiver

TOLD = Settings(webhook_networks="loopback")
BROKEN = b"HTTP/1.1 500 Broken\r\ncontent-length: 0\r\n\r\n"
GONE = b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n"
NOW = SystemClock().now()


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    """A store with a workflow."""
    store = await asyncio.to_thread(SqliteStore.in_memory)
    await register(store)
    yield store
    await store.close()


@pytest.fixture
def book(store: Store) -> Webhooks:
    """The webhooks of the store."""
    return Webhooks(store, SystemClock(), "loopback")


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often, so that no test waits for a second."""
    monkeypatch.setattr(sender, "LOOK_EVERY_S", 0.01)


@asynccontextmanager
async def sending(store: Store) -> AsyncIterator[None]:
    """Send what is due meanwhile."""
    task = asyncio.create_task(Sender(store, SystemClock(), TOLD).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(book: Webhooks, id: str, count: int, outcome: str) -> list[DeliveryRow]:
    """Return the deliveries of a webhook, oldest first, once so many have come to something."""
    async with asyncio.timeout(10):
        while True:
            found = await book.deliveries("acme", id, 100, outcome=outcome)
            if len(found) >= count:
                return found[::-1]
            await asyncio.sleep(0.01)


async def reached(there: Receiver, count: int) -> None:
    """Wait until a receiver has got so many messages."""
    async with asyncio.timeout(10):
        while len(there.got) < count:  # noqa: ASYNC110 - nobody is told of it
            await asyncio.sleep(0.01)


async def made(book: Webhooks, url: str) -> tuple[str, str]:
    """Make a webhook; return its id and its secret."""
    row, secret = await book.create("acme", url, [], [], "ann")
    assert secret is not None
    return row.id, secret


async def test_message_is_cloudflares_and_signed(store: Store, book: Webhooks) -> None:
    """It has type, source, payload and metadata as the documentation shows them, and nothing else."""
    async with receiver() as there:
        id, secret = await made(book, there.url)
        await create(store, "a", at=NOW)
        async with sending(store):
            (done,) = await until(book, id, 1, "delivered")

    (message,) = there.got
    body = Webhook(secret).verify(message.body, message.headers)
    assert body == {
        "type": "cf.workflows.workflow.instance.queued",
        "source": {"type": "workflows.workflow", "workflowName": "orders"},
        "payload": {"versionId": "acme-orders-version-1", "instanceId": "a"},
        "metadata": {
            "accountId": "acme",
            "eventSubscriptionId": id,
            "eventSchemaVersion": 1,
            "eventTimestamp": body["metadata"]["eventTimestamp"],
        },
    }
    assert message.headers["webhook-id"] == f"msg_{id}_{done.row}"
    assert [(one.status, one.problem) for one in done.attempts] == [(204, None)]


async def test_failed_attempt_is_followed_by_another(
    store: Store, book: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same body under the same id, later each time, until it is taken."""
    monkeypatch.setattr(sender, "CONFIG", StepConfig(15, 20, "exponential", 15_000))
    monkeypatch.setattr(sender, "_LONGEST_REST_MS", 10)
    answers = iter([BROKEN, b"nonsense", OK])

    async def answer(_: Message, writer: asyncio.StreamWriter) -> None:
        writer.write(next(answers))

    async with receiver(answer) as there:
        id, _ = await made(book, there.url)
        await create(store, "a", at=NOW)
        async with sending(store):
            (done,) = await until(book, id, 1, "delivered")

    assert [one.status for one in done.attempts] == [500, None, 204]
    assert len({(message.body, message.headers["webhook-id"]) for message in there.got}) == 1
    first, second, third = (one.at for one in done.attempts)
    assert second - first >= 20
    assert third - second >= 40


async def test_message_is_given_up_after_the_last_attempt(
    store: Store, book: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit counts retries; somebody may have it sent once more, with all of them again."""
    monkeypatch.setattr(sender, "CONFIG", StepConfig(1, 1, "constant", 15_000))
    monkeypatch.setattr(sender, "_LONGEST_REST_MS", 1)
    async with receiver(BROKEN) as there:
        id, _ = await made(book, there.url)
        await create(store, "a", at=NOW)
        async with sending(store):
            (lost,) = await until(book, id, 1, "given_up")
            await book.redeliver("acme", id, f"msg_{id}_{lost.row}")
            await reached(there, 4)
            (again,) = await until(book, id, 1, "given_up")

    assert [len(each.attempts) for each in (lost, again)] == [2, 4]


async def test_receiver_that_is_gone_is_sent_nothing_more(store: Store, book: Webhooks) -> None:
    """It has said so, by 410."""
    async with receiver(GONE) as there:
        id, _ = await made(book, there.url)
        await create(store, "a", at=NOW)
        async with sending(store):
            await until(book, id, 1, "given_up")
            await create(store, "b", at=NOW)
            await asyncio.sleep(0.1)

    assert len(there.got) == 1
    assert (await book.get("acme", id)).disabled_why == "gone"


async def test_slow_receiver_holds_back_nobody_else(store: Store, book: Webhooks) -> None:
    """It has so many messages at a time and no more, and others get theirs meanwhile."""
    hangs = asyncio.Event()

    async def hang(_: Message, __: asyncio.StreamWriter) -> None:
        await hangs.wait()

    async with receiver(hang) as slow, receiver() as well:
        await made(book, slow.url)
        id, _ = await made(book, well.url)
        await create(store, *(f"a{n}" for n in range(EACH * 3)), at=NOW)
        async with sending(store):
            await until(book, id, EACH * 3, "delivered")

    assert slow.busiest == EACH
    assert well.busiest <= EACH


async def test_receiver_that_fails_is_sent_one_message_at_a_time(store: Store, book: Webhooks) -> None:
    """However many wait for it: it is not run down, and a dead one costs next to nothing."""
    async with receiver(BROKEN) as there:
        id, _ = await made(book, there.url)
        await create(store, *(f"a{n}" for n in range(EACH * 5)), at=NOW)
        async with sending(store):
            await reached(there, EACH)
            await asyncio.sleep(0.3)

    assert len(there.got) == EACH
    assert (await book.get("acme", id)).pending == EACH * 5


async def test_what_is_too_old_is_given_up_and_what_is_over_forgotten(store: Store, book: Webhooks) -> None:
    """By the hosts themselves, after three days, and after what the setting says."""
    id, _ = await made(book, "http://127.0.0.1:9/")
    await create(store, "old", at=NOW - GIVEN_UP_MS - 1_000)
    await create(store, "new", at=NOW)

    await Sender(store, SystemClock(), TOLD).forget()
    (given_up,) = await book.deliveries("acme", id, 100, outcome="given_up")
    forgotten = await store.run(ForgetDeliveries(NOW + 8 * DAY_MS, 0, NOW + 8 * DAY_MS - TOLD.delivery_retention))

    assert given_up.instance == "old"
    assert forgotten == 1
    assert [one.instance for one in await book.deliveries("acme", id, 100)] == ["new"]


async def test_test_is_sent_whatever_is_wanted(store: Store, book: Webhooks) -> None:
    """It says what it is, and is of no instance."""
    async with receiver() as there:
        row, _ = await book.create("acme", there.url, ["none"], ["errored"], "ann")
        await book.test("acme", row.id)
        async with sending(store):
            await until(book, row.id, 1, "delivered")

    body = json.loads(there.got[0].body)
    assert (body["type"], body["source"], body["payload"]) == (
        "stepwell.webhook.test",
        {"type": "stepwell.webhook"},
        {},
    )


async def test_sender_goes_on_after_a_defect(store: Store, book: Webhooks, monkeypatch: pytest.MonkeyPatch) -> None:
    """One delivery that cannot be sent for a reason nobody foresaw ends no other."""
    broken = 0

    async def post(*given: object) -> object:
        nonlocal broken
        broken += 1
        if broken == 1:
            raise ZeroDivisionError
        return await posting.post(*given)  # type: ignore[arg-type]  # as they were given

    monkeypatch.setattr(sender, "post", post)
    async with receiver() as there:
        id, _ = await made(book, there.url)
        await create(store, "a", "b", at=NOW)
        async with sending(store):
            (done,) = await until(book, id, 1, "delivered")

    assert done.instance in {"a", "b"}
    assert not await store.run(EndAttempt(999, 1, NOW))
