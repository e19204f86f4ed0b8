"""What people come to the dashboard for: each of ten tasks from the overview, with at most three clicks.

Before a real `stepwell dev`. Only clicks of the pointer are counted; what somebody types is none.
"""

import json
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.crash.server import DevServer, wait_until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.sqlite, pytest.mark.long]

MOST_CLICKS = 3
THIRTY = 30
FLOWS = """
import time
from stepwell import WorkflowEntrypoint

class Order(WorkflowEntrypoint):
    schedules = "0 9 * * MON-FRI"

    async def run(self, event, step):
        @step.do("reserve")
        async def reserve():
            return 1

        @step.do("price")
        def price():
            time.sleep(0.2)

        @step.do("charge", config={"retries": {"limit": 1, "delay": 1, "backoff": "constant"}})
        async def charge():
            if event["payload"].get("declines"):
                raise ValueError("the card was refused")

        await reserve()
        await price()
        await charge()
        await step.wait_for_event("approval", "approved", timeout="7 days")
"""
CHANGED = (
    FLOWS
    + """
        @step.do("ship")
        async def ship():
            pass

        await ship()
"""
)
_COUNT_CLICKS = """
    window.clicks = 0;
    addEventListener("click", (event) => (window.clicks += event.isTrusted && event.detail > 0), true);
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    """A server with orders that failed, one that waits for approval, thirty of one batch, and two versions."""
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "flows.py").write_text(FLOWS)
    with DevServer(folder) as server:
        for id in ("declined", "refused"):
            _create(server, id, {"declines": True}, customer="ann")
        _create(server, "waits", {}, customer="bob")
        for number in range(THIRTY):
            _create(server, f"batch-{number}", {}, batch="7")
        wait_until(lambda: _counts(server) == {"errored": 2, "waiting": THIRTY + 1}, lambda: server.log)
        (folder / "flows.py").write_text(CHANGED)
        wait_until(lambda: len(server.call("/order/versions")) > 1, lambda: server.log)
        yield server


def _create(server: DevServer, id: str, params: object, **labels: str) -> None:
    body = json.dumps({"instance_id": id, "params": params, "labels": labels}).encode()
    url = f"{server.url}/client/v4/accounts/local/stepwell/workflows/order/instances"
    urllib.request.urlopen(urllib.request.Request(url, body)).close()


def _counts(server: DevServer) -> dict[str, int]:
    counts = server.call("/order")["instances"]
    return {status: count for status, count in counts.items() if count}


@asynccontextmanager
async def overview(server: DevServer, chromium: Any) -> AsyncIterator[Any]:
    """Open the overview; afterwards few clicks may have been done, and nothing may have been complained of."""
    page = await chromium.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    await page.add_init_script(_COUNT_CLICKS)
    await page.goto(server.url)
    await page.get_by_role("heading", name="Latest instances").wait_for()
    yield page
    assert 0 < await page.evaluate("window.clicks") <= MOST_CLICKS
    assert said == []
    await page.close()


async def test_why_did_this_fail(server: DevServer, chromium: Any) -> None:
    """The overview says it of what failed lately, the instance at its top, and its step with the traceback."""
    async with overview(server, chromium) as page:
        row = page.get_by_role("table", name="Failed lately").locator("tr", has_text="declined")
        await row.get_by_text("ValueError: the card was refused").wait_for()
        await row.get_by_role("link", name="declined").click()
        await page.locator(".failure", has_text="ValueError: the card was refused").wait_for()
        await page.locator(".failure").get_by_role("link", name="charge-1").click()

        await page.get_by_text('raise ValueError("the card was refused")').wait_for()


async def test_which_step_and_attempt(server: DevServer, chromium: Any) -> None:
    """It stands beside the error."""
    async with overview(server, chromium) as page:
        await page.get_by_role("link", name="declined").first.click()

        await page.get_by_text("Raised by charge-1, in attempt 2 of 2.").wait_for()


async def test_what_is_it_waiting_for(server: DevServer, chromium: Any) -> None:
    """It stands at the top of the instance."""
    async with overview(server, chromium) as page:
        await _search(page, "waits")
        await page.get_by_role("link", name="waits", exact=True).click()

        await page.get_by_text("Waits for the event approved in approval-1").wait_for()


async def test_send_it_that_event(server: DevServer, chromium: Any) -> None:
    """The button beside what it waits for knows the type."""
    _create(server, "approves", {}, customer="cat")
    server.wait_for_status("order", "approves", "waiting")
    async with overview(server, chromium) as page:
        await page.get_by_role("link", name="approves").first.click()
        await page.get_by_role("button", name="Send this event").click()
        await page.get_by_role("button", name="Send", exact=True).click()

        await page.locator(".facts .badge", has_text="complete").wait_for()


async def test_restart_from_that_step(server: DevServer, chromium: Any) -> None:
    """The button beside the error knows the step; what came before keeps its results."""
    async with overview(server, chromium) as page:
        await page.get_by_role("link", name="refused").first.click()
        await page.get_by_role("button", name="Restart from this step").click()
        await page.get_by_role("dialog").get_by_role("button", name="Restart").click()

        await page.get_by_text("Restarted from charge-1.").wait_for()


async def test_what_ran_slowly(server: DevServer, chromium: Any) -> None:
    """The steps, those that took longest at the top."""
    async with overview(server, chromium) as page:
        await page.get_by_role("link", name="declined").first.click()
        await page.get_by_role("link", name="Steps").click()
        await page.get_by_role("button", name="took").click()

        await page.locator("tbody tr:first-child [data-step=price-1]").wait_for()


async def test_find_the_instance_of_this_customer(server: DevServer, chromium: Any) -> None:
    """A label, typed at the overview."""
    async with overview(server, chromium) as page:
        await _search(page, "customer=bob")
        await page.get_by_role("link", name="waits", exact=True).click()

        await page.locator(".facts", has_text="customer=bob").wait_for()


async def test_what_is_scheduled_next(server: DevServer, chromium: Any) -> None:
    """The overview has the next ones, and a click leads to all of them."""
    async with overview(server, chromium) as page:
        await page.get_by_role("table", name="Next schedules").get_by_text("At 09:00 on Monday").wait_for()
        await page.get_by_role("navigation", name="Main").get_by_role("link", name="Schedules").click()
        await page.locator("tr", has_text="MON-FRI").locator("summary").click()

        await page.get_by_text("09:00 UTC").nth(4).wait_for()


async def test_what_changed_between_two_versions(server: DevServer, chromium: Any) -> None:
    """The newest two stand side by side."""
    async with overview(server, chromium) as page:
        await page.get_by_role("link", name="order", exact=True).first.click()
        await page.get_by_role("link", name="Versions").click()
        before, after = (page.locator(".side-by-side section").nth(number) for number in range(2))

        await after.locator(".drawing", has_text="ship").wait_for()
        await before.locator(".drawing", has_text="charge").wait_for()
        assert await before.locator(".drawing", has_text="ship").count() == 0


async def test_terminate_these_thirty(server: DevServer, chromium: Any) -> None:
    """Found by what they have in common, ticked, and ended; all others go on."""
    async with overview(server, chromium) as page:
        await _search(page, "batch=7")
        await page.get_by_text("30 instances").wait_for()
        await page.get_by_label("tick all rows").click()
        await page.get_by_role("button", name="Terminate").click()
        await page.get_by_role("dialog").get_by_role("button", name="Terminate").click()
        await page.get_by_text("30 instances terminated").wait_for()

    assert (_counts(server)["terminated"], server.get("order", "waits")["status"]) == (THIRTY, "waiting")


async def _search(page: Any, text: str) -> None:
    await page.keyboard.press("/")
    await page.locator("[data-search]:focus").wait_for()
    await page.keyboard.type(text)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/instances?*")
