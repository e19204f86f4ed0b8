"""What requests may wish for: to wait for a change of an instance, and to be done once."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from stepwell import waits
from stepwell.clock import VirtualClock
from stepwell.engine import Engine
from stepwell.store.operations import GetInstance, Operation, RegisterWorkflow
from stepwell.store.sqlite import SqliteStore
from tests.api.asgi import begun
from tests.api.conftest import NOW
from tests.api.histories import Histories, do

INSTANCES = "workflows/order/instances"
ONE_DAY_MS = 86_400_000


class BusyStore:
    """A store in which something happens right after somebody has looked at an instance for the first time."""

    def __init__(self, inner: SqliteStore, happens: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        self._inner = inner
        self._happens = happens
        self.looks = 0

    def engine(self, clock: VirtualClock) -> Engine:
        """Return an engine that asks this store."""
        return Engine(self, clock)  # type: ignore[arg-type]  # no worker listens

    def watch(self, *args: Any, **options: Any) -> Callable[[], None]:
        return self._inner.watch(*args, **options)

    async def run(self, operation: Operation[Any]) -> Any:
        answer = await self._inner.run(operation)
        self.looks += 1
        if self._happens is not None and self.looks == 1:
            await self._happens()
        return answer


async def wait_for_change(
    engine: Engine, instance: str = "a", *, seen: int | None = None, timeout_s: float = 60
) -> None:
    """Wait for a change of an instance of `order`."""
    asked = GetInstance("local", "order", instance, with_steps=False)
    known = None if seen is None else waits.Seen(seen)
    await waits.wait_for_change(engine.store, asked, seen=known, timeout_s=timeout_s)


# ---- to wait


async def test_request_waits_until_the_instance_changes(client: httpx.AsyncClient, histories: Histories) -> None:
    """With `Prefer: wait` the answer comes with the change, and says that it waited."""
    await histories.queued("order", "a")

    waiting = await begun(client.get(f"{INSTANCES}/a", headers={"prefer": "wait=30"}))
    was_done = waiting.done()
    await client.post(f"{INSTANCES}/a/events/go", json={})
    answer = await asyncio.wait_for(waiting, 10)

    assert was_done is False
    assert (answer.status_code, answer.headers["preference-applied"]) == (200, "wait=30")
    assert answer.json()["result"]["status"] == "queued"


async def test_change_that_came_before_is_not_missed(client: httpx.AsyncClient, histories: Histories) -> None:
    """With the tag of what it has seen a request is answered at once if there is more."""
    await histories.queued("order", "a")
    first = await client.get(f"{INSTANCES}/a")
    await client.post(f"{INSTANCES}/a/events/go", json={})

    tag = {"prefer": "respond-async, wait=30", "if-none-match": first.headers["etag"]}
    answer = await asyncio.wait_for(client.get(f"{INSTANCES}/a", headers=tag), 10)

    assert answer.headers["etag"] != first.headers["etag"]


async def test_who_is_shown_no_steps_does_not_wait_for_them(client: httpx.AsyncClient, histories: Histories) -> None:
    """With `simple=true` a step ends no wait, neither one that goes on nor the next with the tag of that; rest does."""
    turn = await histories.turn("order", "a")
    simple = f"{INSTANCES}/a?simple=true"
    seen = (await client.get(simple)).headers["etag"]
    shown = await begun(client.get(f"{INSTANCES}/a", headers={"prefer": "wait=30"}))
    waiting = await begun(client.get(simple, headers={"prefer": "wait=30"}))

    await turn.step(do("pay"), "1")
    await asyncio.wait_for(shown, 10)
    tagged = await begun(client.get(simple, headers={"prefer": "wait=30", "if-none-match": seen}))
    were_done = waiting.done(), tagged.done()
    await turn.park()
    answers = [await asyncio.wait_for(one, 10) for one in (waiting, tagged)]

    assert were_done == (False, False)
    assert [answer.json()["result"]["status"] for answer in answers] == ["waiting", "waiting"]
    again = await client.get(simple, headers={"prefer": "wait=30", "if-none-match": seen})
    assert again.headers["etag"] == answers[0].headers["etag"] != seen


async def test_instance_that_has_ended_is_answered_at_once(client: httpx.AsyncClient, histories: Histories) -> None:
    """Nothing will change any more."""
    await histories.complete("order", "a")

    answer = await asyncio.wait_for(client.get(f"{INSTANCES}/a?simple=true", headers={"prefer": "wait=60"}), 10)

    assert answer.json()["result"]["status"] == "complete"


async def test_wait_ends_when_the_workflow_is_deleted(client: httpx.AsyncClient, histories: Histories) -> None:
    """Whoever waits for an instance of it is told at once that it is gone; who waits for another's goes on."""
    await histories.register("other")
    await histories.queued("order", "a")
    await histories.queued("other", "a")
    wish = {"prefer": "wait=30"}
    waiting = await begun(client.get(f"{INSTANCES}/a", headers=wish))
    others = await begun(client.get("workflows/other/instances/a", headers=wish))

    await client.delete("workflows/order")
    answer = await asyncio.wait_for(waiting, 10)

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, 10200)
    assert others.done() is False
    others.cancel()


async def test_instance_that_was_made_anew_is_not_waited_for(
    store: SqliteStore, clock: VirtualClock, histories: Histories
) -> None:
    """Where another instance has taken the name between the look and the watch, nothing of the old one is awaited."""
    await histories.queued("order", "a")

    async def make_anew() -> None:
        await histories.engine.delete_workflow("local", "order")
        await histories.register("order")
        await histories.queued("order", "a")

    busy = BusyStore(store, make_anew)
    await asyncio.wait_for(wait_for_change(busy.engine(clock)), 10)

    assert busy.looks == 2


async def test_change_between_the_look_and_the_watch_is_not_missed(
    store: SqliteStore, clock: VirtualClock, histories: Histories
) -> None:
    """What came while nobody was watching yet ends the wait."""
    await histories.queued("order", "a")

    async def send() -> None:
        await histories.engine.send_event("local", "order", "a", "go", "{}")

    busy = BusyStore(store, send)
    await asyncio.wait_for(wait_for_change(busy.engine(clock)), 10)

    assert busy.looks == 2


async def test_instance_is_looked_at_twice_only_to_be_watched(
    store: SqliteStore, clock: VirtualClock, histories: Histories
) -> None:
    """One look is enough where there is nothing to wait for."""
    await histories.complete("order", "ended")
    await histories.queued("order", "a")
    busy = BusyStore(store)
    engine = busy.engine(clock)

    looks = []
    for instance, seen, timeout_s in (("ended", None, 60), ("a", 7, 60), ("a", 1, 0)):
        before = busy.looks
        await wait_for_change(engine, instance, seen=seen, timeout_s=timeout_s)
        looks.append(busy.looks - before)

    assert looks == [1, 1, 2]


async def test_wait_ends_when_its_time_is_over(client: httpx.AsyncClient, histories: Histories) -> None:
    """The answer is what a request without a wish gets."""
    await histories.queued("order", "a")

    answer = await asyncio.wait_for(client.get(f"{INSTANCES}/a", headers={"prefer": "wait=1"}), 10)

    plain = await client.get(f"{INSTANCES}/a")
    assert answer.content == plain.content
    assert "preference-applied" not in plain.headers


@pytest.mark.parametrize("wish", ["wait=0", "wait", "wait=-1", "wait=x", "waiting=5", ""])
async def test_wish_that_is_none_is_passed_over(client: httpx.AsyncClient, histories: Histories, wish: str) -> None:
    """A preference that cannot be read is no error: the answer comes at once."""
    await histories.queued("order", "a")

    answer = await asyncio.wait_for(client.get(f"{INSTANCES}/a", headers={"prefer": wish}), 10)

    assert (answer.status_code, "preference-applied" in answer.headers) == (200, False)


async def test_long_wish_is_cut(client: httpx.AsyncClient, histories: Histories) -> None:
    """Nobody waits for longer than a minute."""
    await histories.complete("order", "a")

    answer = await client.get(f"{INSTANCES}/a", headers={"prefer": 'wait="86400"'})

    assert answer.headers["preference-applied"] == "wait=60"


# ---- to be done once


async def create(client: httpx.AsyncClient, key: str, body: Any) -> httpx.Response:
    """Create an instance under a key."""
    return await client.post(INSTANCES, json=body, headers={"idempotency-key": key})


async def test_create_that_is_sent_again_is_answered_as_before(client: httpx.AsyncClient) -> None:
    """One instance, and the first answer, also where the server chose the id and where it was given."""
    first, again = await create(client, "k1", {"params": 5}), await create(client, "k1", {"params": 5})
    named = [await create(client, "k2", {"instance_id": "mine"}) for _ in range(2)]
    other = await create(client, "k3", {"params": 5})

    assert first.json() == again.json()
    assert named[0].json() == named[1].json()
    assert other.json()["result"]["id"] != first.json()["result"]["id"]
    assert len((await client.get(INSTANCES)).json()["result"]) == 3


async def test_creates_that_are_sent_at_once_make_one(client: httpx.AsyncClient) -> None:
    """The key is looked at in the transaction that creates."""
    answers = await asyncio.gather(*(create(client, "k", {}) for _ in range(20)))

    assert len({answer.json()["result"]["id"] for answer in answers}) == 1


async def test_event_that_is_sent_again_is_received_once(client: httpx.AsyncClient, clock: VirtualClock) -> None:
    """The second receipt is the first one, moment included; the history has one event."""
    await client.post(INSTANCES, json={"instance_id": "a"})

    async def send() -> Any:
        return (await client.post(f"{INSTANCES}/a/events/go", json={}, headers={"idempotency-key": "k"})).json()

    first = await send()
    clock.move_to(clock.now() + 5_000)
    seq = (await client.get(f"{INSTANCES}/a")).headers["etag"]

    assert await send() == first
    assert (await client.get(f"{INSTANCES}/a")).headers["etag"] == seq


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param(INSTANCES, {"params": 6}, id="another body"),
        pytest.param(f"{INSTANCES}/a/events/go", {"params": 5}, id="another route"),
    ],
)
async def test_key_that_comes_with_another_request_is_refused(client: httpx.AsyncClient, path: str, body: Any) -> None:
    """A key stands for one request; nothing is done for the other."""
    await create(client, "k", {"params": 5})
    await client.post(INSTANCES, json={"instance_id": "a"})
    before = (await client.get(f"{INSTANCES}/a")).headers["etag"]

    refused = await client.post(path, json=body, headers={"idempotency-key": "k"})

    (error,) = refused.json()["errors"]
    assert (refused.status_code, error["code"]) == (400, 10002)
    assert 'the Idempotency-Key "k" came with another request before' in error["message"]
    assert (await client.get(f"{INSTANCES}/a")).headers["etag"] == before


async def test_refused_request_leaves_its_key_free(client: httpx.AsyncClient) -> None:
    """What was not done can be done later under the same key."""
    gone = await client.post(f"{INSTANCES}/a/events/go", json={}, headers={"idempotency-key": "k"})
    await client.post(INSTANCES, json={"instance_id": "a"})

    done = await client.post(f"{INSTANCES}/a/events/go", json={}, headers={"idempotency-key": "k"})

    assert (gone.status_code, done.status_code) == (404, 200)


async def test_key_is_forgotten_after_a_day(client: httpx.AsyncClient, clock: VirtualClock) -> None:
    """The same request is a new one then."""
    first = await create(client, "k", {})
    clock.move_to(clock.now() + ONE_DAY_MS)

    assert (await create(client, "k", {})).json()["result"]["id"] != first.json()["result"]["id"]


@pytest.mark.parametrize("key", ["", "two words", "k" * 256])
async def test_key_that_is_none_is_refused(client: httpx.AsyncClient, key: str) -> None:
    """The error says what a key is."""
    refused = await create(client, key, {})

    assert (refused.status_code, "printable ASCII" in refused.json()["errors"][0]["message"]) == (400, True)


async def test_what_was_done_is_answered_though_it_would_be_refused_now(
    engine: Engine, client: httpx.AsyncClient
) -> None:
    """A repetition is not held against a type of params that came later."""
    first = await create(client, "k", {"params": 5})
    schema = '{"type":"object"}'
    await engine.store.run(RegisterWorkflow("local", "order", "s", "Order", "new", "w", "v-new", NOW, schema))

    another, again = await create(client, "k2", {"params": 5}), await create(client, "k", {"params": 5})

    assert (again.status_code, another.status_code) == (200, 400)
    assert again.json()["result"]["id"] == first.json()["result"]["id"]
