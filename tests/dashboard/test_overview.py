"""The dashboard's overview in a browser: what somebody has to look after, and where its numbers lead."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.dashboard import flows
from tests.dashboard.browser import PHONE, expect, is_wider_than_its_window
from tests.dashboard.shop import Shop, open_shop

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.sqlite]

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(chromium: Any) -> AsyncIterator[Shop]:
    """A server with an order that failed, one that waits, and one that is paused."""
    async with open_shop(chromium) as shop:
        await shop.workers.create(flows.Hostile, id="evil", params={})
        await shop.order("refused", declines=9, then="30 seconds")
        await shop.order("waits", then="1 day")
        yield shop


async def test_hosts_that_were_lost_or_hang_are_told_first(shop: Shop) -> None:
    """Each with its name, as it is; those that are well are not there."""
    hosts = [_host("well", "alive", 0), _host(HOSTILE, "lost", 0), _host("hangs", "alive", 2)]
    waiting = {"due": 0, "lag_ms": 0, "queued": 0, "by_status": {}}
    database = {"kind": "postgresql", "version": "17.5", "size": 2**31}
    standing = {"success": True, "result": {"hosts": hosts, "waiting": waiting, "database": database}}
    async with shop.open("/docs") as page:
        await page.route("**/stepwell/hosts", lambda route: route.fulfill(json=standing))
        await page.goto(shop.url)
        told = page.get_by_role("list", name="Needs attention").get_by_role("listitem")

        await told.nth(0).get_by_text(f"Host {HOSTILE} is lost: last heartbeat").wait_for()
        await told.nth(1).get_by_text("Host hangs has 2 workers that do not answer.").wait_for()
        assert await told.count() == 2
        await told.nth(1).get_by_role("link").click()
        await page.wait_for_url("**/hosts")


@pytest.mark.long
async def test_what_failed_lately_says_with_what(shop: Shop) -> None:
    """Beside each instance stands its error; a hostile one is text, and stretches no page."""
    await shop.workers.advance("2 days")
    async with shop.open("/", size=PHONE) as page:
        failed = page.get_by_role("table", name="Failed lately")
        await failed.locator("tr", has_text="refused").get_by_text("PaymentDeclined: insufficient funds").wait_for()
        await failed.locator("tr", has_text="evil").get_by_text("WorkflowTimeoutError").wait_for()

        assert await page.locator("main img").count() == 0
        assert not await is_wider_than_its_window(page)


async def test_numbers_lead_to_their_instances(shop: Shop) -> None:
    """That of the running ones to those that roll back, too. Below them is drawn what was seen in a day."""
    shop.engine.samples.of("local")
    await shop.engine.samples.take()
    async with shop.open("/") as page:
        numbers = page.locator(".numbers")
        course = numbers.get_by_role("img", name="waiting in 24 h: at most 1; seen since 2026-11-2")
        # The present stretch alone, as high as there is room.
        await expect(course.locator("path")).to_have_attribute("d", "M287 24V0h1V24z")
        await numbers.get_by_role("link", name="errored").click()
        await page.wait_for_url("**/instances?status=errored")
        await page.get_by_role("link", name="refused").wait_for()
        await page.go_back()
        await numbers.get_by_role("link", name="running").click()

        await page.wait_for_url("**/instances?status=running&status=rollingBack")


@pytest.mark.long
async def test_phone_has_four_items_at_its_foot(shop: Shop) -> None:
    """The last of them is a menu of the other pages; nothing lies below them that cannot be scrolled to."""
    async with shop.open("/", size=PHONE, has_touch=True) as page:
        bar = page.get_by_role("navigation", name="Main")
        shown = bar.locator("a:visible, button:visible")
        assert await shown.all_inner_texts() == ["Overview", "Workflows", "Instances", "More"]
        box = await bar.bounding_box()
        assert (box["x"], box["width"], box["y"] + box["height"]) == (0, PHONE[0], PHONE[1])

        await bar.get_by_role("button", name="More").click()
        await page.get_by_role("menuitem", name="Jobs").click()
        await page.wait_for_url("**/jobs")


@pytest.mark.long
async def test_rare_filters_of_a_phone_are_there_when_somebody_wants_more(shop: Shop) -> None:
    """The list begins in the upper half of the window."""
    async with shop.open("/workflows/order", size=(390, 844)) as page:
        first = page.locator("tbody tr").first
        await first.wait_for()
        assert await page.get_by_label("Order").is_hidden()
        assert (await first.bounding_box())["y"] < 844 * 0.65

        await page.get_by_role("button", name="More filters").click()
        await page.get_by_label("Order").select_option("created")
        await page.wait_for_url("**/workflows/order?sort=created")


@pytest.mark.long
async def test_ticked_rows_of_a_phone_are_changed_by_a_sheet(shop: Shop) -> None:
    """One button opens what can be done to them, with how many it fits."""
    async with shop.open("/workflows/order", size=PHONE, has_touch=True) as page:
        await page.get_by_label("tick refused").check()
        await page.get_by_label("tick waits").check()
        bar = page.get_by_role("region", name="Ticked instances")
        await bar.get_by_role("button", name="Actions").click()
        await page.get_by_role("menuitem", name="Pause 1").click()

        await page.get_by_text("1 instance told to pause").wait_for()
        assert not await is_wider_than_its_window(page)


def _host(name: str, state: str, blocked: int) -> dict[str, Any]:
    moments = dict.fromkeys(("opened_on", "renewed_on"), "2026-11-23T10:00:00.000Z")
    counts = {"workers": 2, "blocked_workers": blocked, "held": 0, "lag_ms": 0}
    return {"id": name, "name": name, "version": None, "state": state, **moments, **counts}
