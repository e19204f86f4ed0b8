"""A server with instances in every status, one for all tests of a module, and the browser before all servers."""

import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest_asyncio

from stepwell.api import create_app
from stepwell.clock import VirtualClock
from stepwell.engine import Engine
from stepwell.hosts import LOOPBACK_HOSTS
from stepwell.http_server import HttpServer
from stepwell.server_settings import Settings
from stepwell.store.sqlite import SqliteStore
from stepwell.tokens import Tokens
from tests.api.conftest import NOW
from tests.api.histories import Histories
from tests.dashboard import browser


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium(require: Callable[..., None]) -> AsyncIterator[Any]:
    """The browser, which is started once: whoever opens a page in it has a profile of his own."""
    require(browser.REASON, "the dashboard is looked at in it", browser.IS_THERE)
    async with browser.launched() as chromium:
        yield chromium


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(chromium: Any) -> AsyncIterator[browser.Site]:
    """A server that asks for no token."""
    async for site in _site(chromium, wants_tokens=False):
        yield site


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def guarded_site(chromium: Any) -> AsyncIterator[browser.Site]:
    """A server that asks for tokens."""
    async for site in _site(chromium, wants_tokens=True):
        yield site


async def _site(chromium: Any, *, wants_tokens: bool) -> AsyncIterator[browser.Site]:
    clock = VirtualClock(NOW)
    engine = Engine(SqliteStore.in_memory(), clock, Settings(webhook_networks="loopback"))
    histories, tokens = Histories(engine, clock), Tokens(engine.store, clock)
    await _fill(histories)
    app = create_app(
        engine,
        account=None if wants_tokens else "local",
        hosts=LOOPBACK_HOSTS,
        tokens=tokens if wants_tokens else None,
    )
    sock = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(app)
    await server.start(sock)
    url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    site = browser.Site(url, engine, histories, tokens, chromium)
    yield site
    await site.close()
    app.end_streams()
    await server.stop(0.5)
    await engine.store.close()


async def _fill(histories: Histories) -> None:
    """Make workflows and instances; their ids say how they are."""
    await histories.register("order")
    await histories.register("empty")
    await histories.complete("order", "done-1")
    await histories.errored("order", "broken-1")
    await histories.waiting("order", "waits-1")
    await histories.running("order", "runs-1")
