"""What the dashboard hears of changes: `/ui/live`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp

from stepwell.api import Api, create_app
from stepwell.api.ui import live
from stepwell.clock import VirtualClock
from stepwell.engine import Engine
from stepwell.hosts import LOOPBACK_HOSTS
from stepwell.samples import MOST_ACCOUNTS, STRETCH_MS, STRETCHES
from stepwell.store.sqlite import SqliteStore
from stepwell.tokens import Permission, Tokens
from tests.api.asgi import ask
from tests.api.conftest import serve
from tests.api.histories import Histories
from tests.api.signed_in import session_of


@asynccontextmanager
async def listening(port: int, topics: str, after: str = "none") -> AsyncIterator[AsyncIterator[str]]:
    """Listen to topics; give each event as its type and data."""
    params = {"topics": topics, "after": after}
    async with (
        httpx.AsyncClient(timeout=5) as client,
        client.stream("GET", f"http://127.0.0.1:{port}/ui/live", params=params) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield _events(answer)


async def _events(answer: httpx.Response) -> AsyncIterator[str]:
    kind = ""
    async for line in answer.aiter_lines():
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data:"):
            yield f"{kind} {line.removeprefix('data:').strip()}".strip()


async def test_changes_are_named_and_not_shown(port: int, histories: Histories) -> None:
    """Whatever happens in the account, each list is named once; what has changed is not said."""
    async with listening(port, "overview,workflow:order") as events:
        hello = await anext(events)
        await histories.complete("order", "secret-name")
        changed = await anext(events)

    assert (hello, changed) == ("hello changed", 'changed ["overview","workflow:order"]')


async def test_lists_are_named_at_most_once_a_second(port: int, histories: Histories) -> None:
    """A busy server tells a page no more often than it could read."""
    time = asyncio.get_running_loop().time
    async with listening(port, "overview") as events:
        await anext(events)
        await histories.complete("order", "a")
        await anext(events)
        first = time()
        for number in range(20):
            await histories.queued("order", f"b-{number}")
        await anext(events)
        second = time()

    assert 0.9 < second - first < 3


@pytest.mark.parametrize(
    ("is_list", "pages", "pause"),
    [(True, 1, 1.0), (True, 50, 1.0), (True, 200, 4.0), (False, 1, 0.1), (False, 50, 0.1), (False, 200, 0.4)],
)
def test_more_pages_are_told_no_more_in_all(is_list: bool, pages: int, pause: float) -> None:
    """Of lists 50 in a second, of instances 500, however many are open."""
    assert live.pause_s(is_list=is_list, pages=pages) == pause


async def test_open_pages_are_what_a_pause_is_made_of(
    port: int, histories: Histories, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where ten pages are told in a second, one of four hears nothing for 400 ms."""
    monkeypatch.setattr(live, "LIST_S", 0)
    monkeypatch.setattr(live, "LISTS_A_SECOND", 10)
    time = asyncio.get_running_loop().time
    async with AsyncExitStack() as pages:
        first, *_ = [await pages.enter_async_context(listening(port, "overview")) for _ in range(4)]
        await anext(first)
        await histories.queued("order", "a")
        await anext(first)
        told = time()
        await histories.queued("order", "b")
        await anext(first)

        assert time() - told > 0.35


async def test_instance_is_named_when_it_changes_and_no_other(port: int, histories: Histories) -> None:
    """The page of an instance hears of that one alone, also of an id with a slash."""
    await histories.waiting("order", "a")
    async with listening(port, "instance:order/a,instance:order/no%2Fthing") as events:
        await anext(events)
        await histories.complete("order", "b")
        await histories.engine.send_event("local", "order", "a", "approved", "{}")

        assert await anext(events) == 'changed ["instance:order/a"]'


async def test_page_that_has_missed_nothing_is_told_so(port: int, histories: Histories) -> None:
    """With the mark that it had before it read, a page need not read again, unless something has changed since."""
    async with httpx.AsyncClient() as client:
        mark = (await client.get(f"http://127.0.0.1:{port}/ui/session")).json()["result"]["mark"]

    async with listening(port, "overview", mark) as events:
        before = await anext(events)
    await histories.queued("order", "a")
    async with listening(port, "overview", mark) as events:
        behind = await anext(events)

    assert (before, behind) == ("hello", "hello changed")


async def test_page_of_an_instance_goes_on_hearing_of_it(port: int, histories: Histories) -> None:
    """Each change is told, and not only the first."""
    await histories.waiting("order", "a")
    async with listening(port, "instance:order/a") as events:
        await anext(events)
        for number in range(3):
            await histories.engine.send_event("local", "order", "a", "approved", f"{number}")
            assert await anext(events) == 'changed ["instance:order/a"]'


async def test_outcomes_are_those_of_the_latest_ends(client: httpx.AsyncClient, histories: Histories) -> None:
    """By workflow, the last end last, whichever began first; one that is not there has none; too many are refused."""
    await histories.register("invoice")
    await histories.errored("order", "bad")
    await histories.complete("order", "good")
    await histories.queued("order", "new")

    asked = "http://localhost:8787/ui/outcomes?"
    result = (await client.get(asked + "workflow=order&workflow=invoice&workflow=gone")).json()["result"]
    refused = await client.get(asked + "&".join(f"workflow=w{n}" for n in range(101)))

    assert result == {"order": ["errored", "complete"], "invoice": [], "gone": []}
    assert (refused.status_code, "100 times, got 101" in refused.text) == (400, True)


async def test_ends_are_told_by_the_hour(client: httpx.AsyncClient, histories: Histories) -> None:
    """Each of the last 24, the present one last; what ended before them is not there."""
    await histories.complete("order", "yesterday")
    histories.clock.move_to(histories.clock.now() + 23 * 3_600_000)
    await histories.errored("order", "bad")
    histories.clock.move_to(histories.clock.now() + 3_600_000)
    await histories.complete("order", "good")

    result = (await client.get("http://localhost:8787/ui/ends")).json()["result"]

    assert len(result["hours"]) == 24
    assert (result["hours"][22], result["hours"][23], result["is_partial"]) == ({"errored": 1}, {"complete": 1}, False)
    assert sum(sum(hour.values()) for hour in result["hours"]) == 2


async def test_what_ran_is_told_by_stretches_of_a_day(client: httpx.AsyncClient, histories: Histories) -> None:
    """The most that a look has seen in each, the present one last; nothing where nobody looked, and a day at most."""
    samples, clock = histories.engine.samples, histories.clock
    first = (await client.get("http://localhost:8787/ui/peaks")).json()["result"]
    await histories.waiting("order", "waits")
    await histories.running("order", "runs")
    await samples.take()
    await histories.complete("order", "done")
    await histories.engine.control.terminate("local", "order", "waits")
    await samples.take()
    clock.move_to(clock.now() + 3 * STRETCH_MS)
    await samples.take()

    result = (await client.get("http://localhost:8787/ui/peaks")).json()["result"]
    most = result["most"]
    clock.move_to(clock.now() + (STRETCHES - 2) * STRETCH_MS)
    later = (await client.get("http://localhost:8787/ui/peaks")).json()["result"]["most"]

    assert (result["stretch_ms"], result["since"]) == (300_000, "2026-11-23T10:00:00.000Z")
    assert first == {"stretch_ms": 300_000, "since": None, "most": dict.fromkeys(most, [None] * 288)}
    assert {name: stretches[-5:] for name, stretches in most.items()} == {
        "running": [None, 1, None, None, 1],
        "queued": [None, 0, None, None, 0],
        "waiting": [None, 1, None, None, 0],
        "paused": [None, 0, None, None, 0],
    }
    assert [(at, many) for at, many in enumerate(later["running"]) if many is not None] == [(1, 1)]


async def test_accounts_that_are_looked_at_are_few(histories: Histories) -> None:
    """Whoever asks about many leaves no more behind than there is room for; the last one stays."""
    samples = histories.engine.samples
    for number in range(MOST_ACCOUNTS + 5):
        samples.of(f"account-{number}")
    await samples.take()

    assert samples.of(f"account-{MOST_ACCOUNTS + 4}")["running"][-1] == 0
    assert samples.of("account-0")["running"][-1] is None


async def test_overview_is_one_answer(client: httpx.AsyncClient, histories: Histories) -> None:
    """All workflows, the latest failures with their errors, and the latest instances of any workflow, newest first."""
    await histories.register("invoice")
    await histories.errored("order", "bad")
    await histories.queued("invoice", "new")

    result = (await client.get("http://localhost:8787/ui/overview")).json()["result"]

    assert [one["name"] for one in result["workflows"]] == ["invoice", "order"]
    assert [(one["workflow_name"], one["id"]) for one in result["errored"]] == [("order", "bad")]
    assert result["errored"][0]["error"] == {"name": "ValueError", "message": "the card was refused"}
    assert [(one["workflow_name"], one["id"]) for one in result["recent"]] == [("invoice", "new"), ("order", "bad")]


async def test_stream_ends_politely_when_the_server_stops(app: Api, histories: Histories) -> None:
    """The page is told, so that it does not take the end for a fault."""
    server, port = await serve(app)
    async with listening(port, "overview") as events:
        await anext(events)
        app.end_streams()
        last = [event async for event in events]
    await server.stop(0.5)

    assert last == ["bye"]


async def test_page_that_goes_while_its_stream_begins_is_watched_for_no_more(
    tmp_path: Path, clock: VirtualClock
) -> None:
    """What was watched already is let go of, as when the second of two instances cannot be read."""
    store = await asyncio.to_thread(SqliteStore.open, tmp_path / "store.db")
    watchers = store._listeners.watchers
    histories = Histories(Engine(store, clock), clock)
    await histories.register("order")
    for name in ("a", "b"):
        await histories.waiting("order", name)
    app = create_app(histories.engine, account="local", hosts=LOOPBACK_HOSTS)

    asked = asyncio.create_task(ask(app, "/ui/live?topics=instance:order/a,instance:order/b"))
    while not watchers.rows:  # noqa: ASYNC110 - nobody tells when a watcher comes
        await asyncio.sleep(0)
    asked.cancel()
    await asyncio.wait([asked])

    assert (asked.cancelled(), watchers.rows) == (True, [])
    await store.close()


@pytest.mark.parametrize("topics", ["", "everything", "workflow:", "instance:order", ",".join(map(str, range(9)))])
async def test_wrong_topics_are_refused(client: httpx.AsyncClient, topics: str) -> None:
    """A topic that nobody tells would be waited for in vain."""
    answer = await client.get("http://localhost:8787/ui/live", params={"topics": topics})

    assert answer.status_code == 400
    assert "topics" in answer.json()["errors"][0]["message"]


async def test_nobody_listens_without_a_session(guarded: ASGIApp, tokens: Tokens) -> None:
    """What changes is for those who may read."""
    session = await session_of(tokens, await tokens.create("local", [Permission.DEPLOY]))

    nobody = await ask(guarded, "/ui/live?topics=overview")
    useless = await ask(guarded, "/ui/live?topics=overview", headers=[("cookie", f"stepwell_session={session}")])

    assert (nobody.status, useless.status) == (401, 403)
