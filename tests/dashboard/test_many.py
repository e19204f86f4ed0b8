"""The dashboard before a store of 100,000 instances: its list begins, is filtered, and goes on."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bench import search
from stepwell.api import create_app
from stepwell.clock import SystemClock
from stepwell.engine import Engine
from stepwell.hosts import LOOPBACK_HOSTS
from stepwell.http_server import HttpServer
from stepwell.store.sqlite import SqliteStore
from stepwell.tokens import Tokens
from tests.api.histories import Histories
from tests.dashboard.browser import Site, expect

# The store takes a few seconds of CPU time to fill.
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.sqlite, pytest.mark.long]

INSTANCES = 100_000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A server on a file that has them all, a fifth of them errored, and a browser before it."""
    path: Path = tmp_path_factory.mktemp("many") / "store.db"
    url = f"sqlite:///{path}"
    await search.register(url)
    await asyncio.to_thread(search.fill, url, INSTANCES)
    store = await asyncio.to_thread(SqliteStore.open, path)
    engine = Engine(store, SystemClock())
    app = create_app(engine, account="local", hosts=LOOPBACK_HOSTS)
    sock = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(app)
    await server.start(sock)
    address = f"http://127.0.0.1:{sock.getsockname()[1]}"
    # Nothing of the clock of histories is asked for.
    yield Site(address, engine, Histories(engine, SystemClock()), Tokens(store, SystemClock()), chromium)  # type: ignore[arg-type]  # see above
    app.end_streams()
    await server.stop(0.5)
    await store.close()


async def test_list_of_very_many_is_filtered_and_gone_through(site: Site) -> None:
    """Fifty rows at a time, the newest first; each filter finds the first of its rows, and a page leads to the next."""
    async with site.open("/workflows/many") as page:
        rows = page.locator("tbody a.row")
        await expect(rows).to_have_count(50)
        await expect(rows.first).to_have_text("order-100000")
        await expect(page.locator(".pager")).to_contain_text("50 of 100,000")

        await page.get_by_role("link", name="Next").click()
        await expect(rows.first).to_have_text("order-99950")
        await page.get_by_role("list", name="Instances by status").get_by_role("link", name="errored").click()
        await expect(page.locator(".pager")).to_contain_text("50 of 20,000")
        await expect(rows.nth(1)).to_have_text("order-99995")
        await page.get_by_label("Id, or a label").fill("customer=c5")
        await page.keyboard.press("Enter")
        await expect(rows.first).to_have_text("order-99005")
        await page.get_by_role("link", name="Clear", exact=True).click()
        await page.get_by_label("Id, or a label").fill("order-12345")
        await expect(rows).to_have_text(["order-12345"])


async def test_overview_of_very_many_tells_their_numbers(site: Site) -> None:
    """They are counted as they end, and not when somebody looks."""
    async with site.open("/") as page:
        numbers = page.locator(".numbers")
        await expect(numbers.get_by_role("link", name="complete")).to_contain_text("79,800")
        await expect(numbers.get_by_role("link", name="errored")).to_contain_text("20,000")
        await expect(page.get_by_role("table", name="Failed lately").locator("tbody tr")).to_have_count(5)
