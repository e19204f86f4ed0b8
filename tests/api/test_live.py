"""What the dashboard hears of changes: `/ui/live`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.types import ASGIApp

from stepwell.api import Api
from stepwell.tokens import Permission, Tokens
from tests.api.asgi import ask
from tests.api.conftest import serve
from tests.api.histories import Histories


@asynccontextmanager
async def listening(port: int, topics: str) -> AsyncIterator[AsyncIterator[str]]:
    """Listen to topics; give each event as its type and data."""
    async with (
        httpx.AsyncClient(timeout=5) as client,
        client.stream("GET", f"http://127.0.0.1:{port}/ui/live", params={"topics": topics}) as answer,
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

    assert (hello, changed) == ("hello", 'changed ["overview","workflow:order"]')


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


async def test_instance_is_named_when_it_changes_and_no_other(port: int, histories: Histories) -> None:
    """The page of an instance hears of that one alone, also of an id with a slash."""
    await histories.waiting("order", "a")
    async with listening(port, "instance:order/a,instance:order/no%2Fthing") as events:
        await anext(events)
        await histories.complete("order", "b")
        await histories.engine.send_event("local", "order", "a", "approved", "{}")

        assert await anext(events) == 'changed ["instance:order/a"]'


async def test_stream_ends_politely_when_the_server_stops(app: Api, histories: Histories) -> None:
    """The page is told, so that it does not take the end for a fault."""
    server, port = await serve(app)
    async with listening(port, "overview") as events:
        await anext(events)
        app.end_streams()
        last = [event async for event in events]
    await server.stop(0.5)

    assert last == ["bye"]


@pytest.mark.parametrize("topics", ["", "everything", "workflow:", "instance:order", ",".join(map(str, range(9)))])
async def test_wrong_topics_are_refused(client: httpx.AsyncClient, topics: str) -> None:
    """A topic that nobody tells would be waited for in vain."""
    answer = await client.get("http://localhost:8787/ui/live", params={"topics": topics})

    assert answer.status_code == 400
    assert "topics" in answer.json()["errors"][0]["message"]


async def test_nobody_listens_without_a_session(guarded: ASGIApp, tokens: Tokens) -> None:
    """What changes is for those who may read."""
    deploy = await tokens.create("local", [Permission.DEPLOY])

    nobody = await ask(guarded, "/ui/live?topics=overview")
    useless = await ask(guarded, "/ui/live?topics=overview", headers=[("cookie", f"stepwell_session={deploy}")])

    assert (nobody.status, useless.status) == (401, 403)
