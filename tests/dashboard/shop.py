"""A server whose workflows run in this process, on a clock that stands still, and a browser before it."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from stepwell.api import create_app
from stepwell.clock import VirtualClock
from stepwell.hosts import LOOPBACK_HOSTS
from stepwell.http_server import HttpServer
from stepwell.testing import TestEngine
from stepwell.tokens import Tokens
from tests.api.conftest import NOW
from tests.api.histories import Histories
from tests.dashboard import browser, flows

ORDER = "/workflows/order/instances"


class Shop(browser.Site):
    """A site whose workflows run, on a clock that the test moves."""

    workers: TestEngine

    async def goes_to(self, page: Any, status: str) -> None:
        """Wait until the page shows a status."""
        await page.locator(".facts .badge", has_text=status).wait_for()

    async def order(self, id: str, declines: int = 0, then: str = "0 seconds") -> str:
        """Make an order, let time pass, and return the address of its page."""
        await self.workers.create(flows.Order, id=id, params={"declines": declines})
        await self.workers.advance(then)
        return f"{ORDER}/{id}"


@asynccontextmanager
async def open_shop(chromium: Any) -> AsyncIterator[Shop]:
    """Start all of it before a browser, and stop it."""
    clock = VirtualClock(NOW)
    async with TestEngine.open(flows.WORKFLOWS, clock=clock) as workers:
        engine = workers.engine
        app = create_app(engine, account="local", hosts=LOOPBACK_HOSTS)
        sock = socket.create_server(("127.0.0.1", 0))
        server = HttpServer(app)
        await server.start(sock)
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        shop = Shop(url, engine, Histories(engine, clock), Tokens(engine.store, clock), chromium)
        shop.workers = workers
        yield shop
        await shop.close()
        app.end_streams()
        await server.stop(0.5)
