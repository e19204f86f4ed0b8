"""The contract of every store: events are caught for webhooks, and what is due is given to one host at a time."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from stepwell.errors import DeliveryNotFound, InvalidInput, WebhookNotFound
from stepwell.sealing import KEY_BYTES, Vault
from stepwell.store import Store
from stepwell.store.control_operations import DeleteInstance
from stepwell.store.encryption_operations import Reencrypt
from stepwell.store.sqlite import SqliteStore
from stepwell.store.webhook_operations import (
    EVENTS,
    AddWebhook,
    AreDeliveriesDue,
    Attempt,
    ChangeWebhook,
    DeleteWebhook,
    DeliveryRow,
    Due,
    EndAttempt,
    ForgetDeliveries,
    GetWebhook,
    ListDeliveries,
    ListWebhooks,
    Redeliver,
    RotateWebhookSecret,
    TakeDeliveries,
    TryWebhook,
    WebhookRow,
)
from stepwell.testing import ACCOUNT, TestEngine
from stepwell.transfers import export, import_next
from stepwell.workflow import WorkflowEntrypoint
from tests.store.copies import copied, tables_of
from tests.store.scenes import NOW, claim, create, register, worker

SECRET = "whsec_c2VjcmV0"
# By then whoever has taken a delivery is taken for lost.
UNTIL = NOW + 30_000


async def hook(
    store: Store, id: str = "h", *, account: str = "acme", most: int = 50, **wanted: list[str]
) -> WebhookRow:
    """Add a webhook."""
    names = (wanted.get("workflows", []), wanted.get("events", []))
    return await store.run(AddWebhook(account, id, "https://example.com/", SECRET, *names, NOW, "ann", most))


async def sent(store: Store, id: str = "h", *, account: str = "acme") -> list[DeliveryRow]:
    """Return what a webhook was sent, or is to be, oldest first."""
    found = await store.run(ListDeliveries(account, id, 1_000))
    return found[::-1]


async def told(store: Store, id: str = "h", *, account: str = "acme") -> list[str]:
    """Return the events that a webhook is told of, each with its instance, oldest first."""
    return [f"{one.event} {one.instance}" for one in await sent(store, id, account=account)]


async def take(store: Store, at: int = NOW, **bounds: Any) -> list[Due]:
    """Take what is due."""
    return await store.run(replace(TakeDeliveries(at, at + 30_000, 100, 100), **bounds))


class Order(WorkflowEntrypoint):
    """Comes to the end that its params name."""

    async def run(self, event, step):
        await step.sleep("first", "1 hour")
        if event["payload"] == "fails":
            raise ValueError("secret")
        await step.sleep("second", "1 hour")
        return "secret"


async def test_each_event_of_a_life_is_caught_once(store: Store) -> None:
    """From the creation to the end; a sleep is none, and who goes on after a pause or a restart has started again."""
    async with TestEngine.open([Order], store=store) as engine:
        await hook(store, account=ACCOUNT)

        plain = await engine.create(Order, id="plain")
        await engine.run_until_idle()
        await engine.advance("3 hours")
        paused = await engine.create(Order, id="paused")
        await engine.run_until_idle()
        await paused.pause()
        await paused.resume()
        await engine.run_until_idle()
        await paused.terminate()
        await engine.create(Order, id="fails", params="fails")
        await engine.run_until_idle()
        await engine.advance("3 hours")
        await engine.engine.control.restart(ACCOUNT, "order", plain.id)
        await engine.run_until_idle()

        caught = await told(store, account=ACCOUNT)
    assert [one for one in caught if one.endswith("plain")] == [
        *("queued plain", "started plain", "completed plain"),
        *("queued plain", "started plain"),
    ]
    assert [one for one in caught if one.endswith("paused")] == [
        *("queued paused", "started paused", "paused paused", "started paused", "terminated paused"),
    ]
    assert [one for one in caught if one.endswith("fails")] == ["queued fails", "started fails", "errored fails"]
    assert len(caught) == 13


async def test_delivery_says_which_instance_when_and_of_which_version(store: Store) -> None:
    """And nothing of what the instance got or gave."""
    workflow = await register(store)
    await hook(store)

    await create(store, "a", at=NOW + 5)

    (one,) = await sent(store)
    assert one == DeliveryRow(one.row, "h", "queued", "orders", "a", workflow.version, NOW + 5, [], NOW + 5, None, None)


async def test_webhook_that_is_being_sent_least_comes_first(store: Store) -> None:
    """One whose receiver is slow, and of which much is due, takes the room from no other, though it came first."""
    await register(store)
    await hook(store, "slow")
    await hook(store, "other")
    await create(store, "a", "b")

    (before,) = await take(store, limit=1)
    (then,) = await take(store, limit=1, fewer={before.to.row: 7}, each=8)

    assert [before.to.id, then.to.id] == ["slow", "other"]


@pytest.mark.parametrize("name", ["\0", "orders\\"], ids=["zero", "backslash"])
async def test_whatever_a_webhook_wants_instances_go_on(store: Store, name: str) -> None:
    """Its names are compared within the transactions of others, also with what no workflow can be called."""
    await register(store)
    await create(store, "a")
    await hook(store, workflows=[name])
    await hook(store, "own", workflows=["order", "orders"])

    claims = await claim(store, await worker(store))

    assert [turn.id for turn in claims.turns] == ["a"]
    assert await told(store, "own") == ["started a"]
    assert await told(store) == []


async def test_webhook_is_told_of_what_it_wants(store: Store) -> None:
    """By workflow and event; of nothing while it is disabled, and of no other account."""
    await register(store)
    await register(store, "mail")
    await register(store, account="other")
    await hook(store, "all")
    await hook(store, "mail", workflows=["mail", "none"])
    await hook(store, "ends", events=["completed", "errored"])
    await hook(store, "other", account="other")
    await hook(store, "disabled")
    await store.run(ChangeWebhook("acme", "disabled", NOW, enabled=False))

    await create(store, "a")
    await store.run(ChangeWebhook("acme", "disabled", NOW, enabled=True))
    await create(store, "b")

    assert await told(store, "all") == ["queued a", "queued b"]
    assert [await told(store, id) for id in ("mail", "ends")] == [[], []]
    assert await told(store, "other", account="other") == []
    assert await told(store, "disabled") == ["queued b"]


async def test_change_that_is_refused_is_no_event(store: Store) -> None:
    """A second creation under an id is none, nor is a deletion."""
    await register(store)
    await hook(store)

    await create(store, "a")
    refused = await asyncio.gather(create(store, "a"), return_exceptions=True)
    await store.run(DeleteInstance("acme", "orders", "a", NOW))

    assert isinstance(refused[0], Exception)
    assert await told(store) == ["queued a"]


async def test_instance_that_comes_in_is_no_event(tmp_path: Path) -> None:
    """It was told where it was; what it does from then on is told here."""
    async with TestEngine.open([Order]) as there:
        await there.create(Order, id="over")
        await there.advance("3 hours")
        await there.create(Order, id="a")
        await there.run_until_idle()
        lines = [[line async for line in export(there.store, ACCOUNT, "order", id)] for id in ("over", "a")]
    async with TestEngine.open([Order]) as here:
        await hook(here.store, account=ACCOUNT)

        for of_one in lines:
            await import_next(here.store, ACCOUNT, enumerate(of_one, 1))
        assert await told(here.store, account=ACCOUNT) == []

        await here.advance("9 hours")
        assert await told(here.store, account=ACCOUNT) == ["completed a"]


async def test_copy_has_the_webhooks_and_tells_them_nothing_new(tmp_path: Path) -> None:
    """What waits in a store waits in its copy, and a copy that is made is no event."""
    source = await asyncio.to_thread(SqliteStore.open, tmp_path / "store.db")
    await register(source)
    await hook(source)
    await create(source, "a")
    await source.close()
    urls = [f"sqlite:///{tmp_path / name}" for name in ("store.db", "copy.db")]

    await asyncio.to_thread(copied, urls[0], urls[1])

    there, here = [await asyncio.to_thread(tables_of, url) for url in urls]
    assert here["deliveries"] == there["deliveries"]
    assert len(here["deliveries"]) == 1
    assert here["webhooks"] == there["webhooks"]


async def test_delivery_that_is_taken_is_due_again_when_its_taker_is_lost(store: Store) -> None:
    """Nobody else gets it before, and what the lost one has to say is not noted then."""
    await register(store)
    await hook(store)
    await create(store, "a")

    (first,) = await take(store)
    assert await take(store) == []
    assert not await store.run(AreDeliveriesDue(UNTIL - 1))
    assert await store.run(AreDeliveriesDue(UNTIL))
    (second,) = await take(store, UNTIL)
    late = await store.run(EndAttempt(first.row, first.attempt, UNTIL + 1, 200, outcome="delivered"))
    noted = await store.run(EndAttempt(second.row, second.attempt, UNTIL + 7, 204, outcome="delivered"))

    assert (first.attempt, second.attempt, second.tries) == (1, 2, 2)
    assert first.to.secrets == [SECRET]
    assert (late, noted) == (False, True)
    (one,) = await sent(store)
    assert one.attempts == [Attempt(NOW), Attempt(UNTIL, 7, 204)]
    assert (one.outcome, one.ended_at, one.next_at) == ("delivered", UNTIL + 7, None)
    assert await take(store, UNTIL + 90_000) == []


async def test_those_due_longest_are_taken_and_no_more_than_is_asked_for(store: Store) -> None:
    """Of each webhook so many, of one that is named fewer, and of all together no more than the limit."""
    await register(store)
    for id in ("one", "two"):
        await hook(store, id)
    await create(store, "a", "b", "c")

    few = await take(store, each=1)
    fewer = await take(store, fewer={few[0].to.row: 0})
    rest = await take(store, limit=1)

    assert [(due.to.id, due.instance) for due in few] == [("one", "a"), ("two", "a")]
    assert [(due.to.id, due.instance) for due in fewer] == [("two", "b"), ("two", "c")]
    assert [(due.to.id, due.instance) for due in rest] == [("one", "b")]


async def test_receiver_that_is_gone_has_its_webhook_disabled(store: Store) -> None:
    """What waits for it waits on, and is due when somebody enables it."""
    await register(store)
    await hook(store)
    await create(store, "a", "b")
    (first, _) = await take(store)

    await store.run(EndAttempt(first.row, first.attempt, NOW + 1, 410, outcome="given_up", is_gone=True))

    found = await store.run(GetWebhook("acme", "h"))
    assert (found.disabled_why, found.disabled_at, found.pending) == ("gone", NOW + 1, 1)
    assert not await store.run(AreDeliveriesDue(UNTIL))
    assert await take(store, UNTIL) == []
    await store.run(ChangeWebhook("acme", "h", NOW + 2, enabled=True))
    assert [due.instance for due in await take(store, UNTIL)] == ["b"]


async def test_delivery_that_is_asked_for_anew_has_all_its_tries_again(store: Store) -> None:
    """Its log stays; what becomes of an attempt that is under way meanwhile is not noted."""
    await register(store)
    await hook(store)
    await create(store, "a")
    (first,) = await take(store)

    again = await store.run(Redeliver("acme", "h", first.row, NOW + 1))
    late = await store.run(EndAttempt(first.row, first.attempt, NOW + 2, 500, next_at=NOW + 9_000))
    (second,) = await take(store, NOW + 1)

    assert (again.next_at, again.outcome, late) == (NOW + 1, None, False)
    assert (second.row, second.tries) == (first.row, 1)
    assert len((await sent(store))[0].attempts) == 2


async def test_old_deliveries_are_given_up_and_forgotten_by_and_by(store: Store) -> None:
    """A bounded part at a time; those of a webhook that was deleted, too, and then the webhook."""
    await register(store)
    for id in ("h", "deleted"):
        await hook(store, id)
    await create(store, "a", "b", "c")
    (done, *_) = await take(store, each=1)
    await store.run(EndAttempt(done.row, done.attempt, NOW + 1, 200, outcome="delivered"))
    await store.run(DeleteWebhook("acme", "deleted", NOW))

    counts = [await store.run(ForgetDeliveries(UNTIL + 1, NOW + 9, NOW + 5, 2)) for _ in range(6)]

    assert counts[-1] == 0
    assert [(one.instance, one.outcome) for one in await sent(store)] == [("b", "given_up"), ("c", "given_up")]
    assert [webhook.id for webhook in await store.run(ListWebhooks("acme"))] == ["h"]


async def test_secret_before_signs_for_a_while(store: Store) -> None:
    """Behind the new one, until that time is over; no list or answer has either."""
    await hook(store)
    await store.run(RotateWebhookSecret("acme", "h", "whsec_bmV3", NOW + 40_000))
    tried = await store.run(TryWebhook("acme", "h", NOW))

    (first,) = await take(store)
    (second,) = await take(store, NOW + 40_000)

    assert first.to.secrets == ["whsec_bmV3", SECRET]
    assert second.to.secrets == ["whsec_bmV3"]
    assert (tried.event, tried.instance, tried.workflow) == ("test", "", "")
    listed = await store.run(ListWebhooks("acme"))
    assert "whsec" not in repr(listed)


async def test_what_is_not_there_is_refused_by_name(store: Store) -> None:
    """Also what is another account's, or was deleted; and one webhook more than there may be."""
    await hook(store)
    await hook(store, "deleted")
    await store.run(DeleteWebhook("acme", "deleted", NOW))

    for account, id in (("other", "h"), ("acme", "none"), ("acme", "deleted")):
        with pytest.raises(WebhookNotFound):
            await store.run(GetWebhook(account, id))
    with pytest.raises(DeliveryNotFound):
        await store.run(Redeliver("acme", "h", 99, NOW))
    with pytest.raises(InvalidInput, match="has 1 webhooks, and may have no more"):
        await hook(store, "more", most=1)


async def test_secret_is_sealed_where_the_store_has_keys(tmp_path: Path) -> None:
    """It is read with its key alone, goes over to a new one, and what lies plain is sealed then."""
    old, new = ("2025", b"1" * KEY_BYTES), ("2026", b"2" * KEY_BYTES)
    path = tmp_path / "store.db"

    async def opened(*keys: tuple[str, bytes]) -> SqliteStore:
        return await asyncio.to_thread(lambda: SqliteStore.open(path, vault=Vault(keys) if keys else None))

    for keys, id in (((), "plain"), ((old,), "sealed")):
        store = await opened(*keys)
        await hook(store, id)
        await store.run(TryWebhook("acme", id, NOW))
        await store.close()
    store = await opened(new, old)
    done = await store.run(Reencrypt("webhooks", []))
    assert done is not None
    assert (done.sealed, done.left) == (2, 0)
    assert [due.to.secrets for due in await take(store)] == [[SECRET], [SECRET]]
    await store.close()

    stored = json.dumps([str(row) for row in (await asyncio.to_thread(tables_of, f"sqlite:///{path}"))["webhooks"]])
    assert SECRET not in stored
    assert stored.count("sealed:1:2026:") == 2
    store = await opened(new)
    assert len(await take(store, NOW + 60_000)) == 2
    await store.close()


def test_events_are_those_of_cloudflare() -> None:
    """Source: developers.cloudflare.com/workflows/reference/event-subscriptions."""
    assert EVENTS == ("queued", "started", "paused", "errored", "terminated", "completed")
