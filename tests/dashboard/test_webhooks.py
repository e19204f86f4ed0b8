"""The dashboard's webhooks in a browser: who is told, what each was sent, and what can be done about it."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from stepwell.server_settings import Settings
from stepwell.tokens import Permission
from stepwell.webhooks import sender
from stepwell.webhooks.sender import Sender
from tests.dashboard.browser import PHONE, Site, axe, expect, is_wider_than_its_window
from tests.webhooks.receivers import OK, receiver

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.sqlite]

BROKEN = b"HTTP/1.1 500 Broken\r\ncontent-length: 0\r\n\r\n"
WAREHOUSE = "ship_42-b"
# Nobody answers there.
NOBODY = "http://127.0.0.1:9/hook-of-ann?key=1"


@pytest_asyncio.fixture(loop_scope="session")
async def sending(site: Site, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Send what is due meanwhile. What is to be tried later is not: the clock stands still."""
    monkeypatch.setattr(sender, "LOOK_EVERY_S", 0.01)
    told = Settings(webhook_networks="loopback")
    task = asyncio.create_task(Sender(site.engine.store, site.engine.clock, told).run())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _keeps_nobody_out(page: Any) -> None:
    await page.evaluate(axe())
    found = await page.evaluate(
        "axe.run(document, {resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag22aa']})"
    )
    assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found["violations"]] == []


async def test_webhook_is_made_and_its_secret_shown_once(site: Site) -> None:
    """It leads to the webhook's page, which has no secret; and the list names the host alone."""
    async with site.open("/") as page:
        await page.get_by_role("link", name="Webhooks").click()
        await site.sees(page, "No webhooks")
        await page.get_by_role("button", name="Create webhook").click()
        dialog = page.get_by_role("dialog", name="Create a webhook")
        await dialog.get_by_label("Address").fill("ftp://127.0.0.1/")
        await dialog.get_by_label("errored").check()
        await dialog.get_by_label("Workflows").fill(f"order\n\n{WAREHOUSE}")
        await _keeps_nobody_out(page)
        await dialog.get_by_role("button", name="Create").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("https://example.com/hook")
        await dialog.get_by_label("Address").fill(NOBODY)
        await dialog.get_by_role("button", name="Create").click()
        secret = await page.get_by_role("dialog", name="Its secret").locator("code").inner_text()
        await page.get_by_role("button", name="Done").click()
        await page.wait_for_url(re.compile("/webhooks/[0-9a-f]{32}$"))
        await expect(page.locator(".facts")).to_contain_text(NOBODY)
        await page.reload()
        await expect(page.locator(".facts")).to_contain_text(f"order, {WAREHOUSE}")
        assert re.fullmatch(r"whsec_[\w+/=]{44}", secret)
        assert "whsec_" not in await page.content()
        await page.get_by_role("link", name="Webhooks").first.click()
        row = page.get_by_role("table", name="Webhooks").locator("tbody tr")
        await expect(row.locator("td")).to_have_text(
            ["127.0.0.1:9", "enabled", "errored", f"order, {WAREHOUSE}", "0", "none"]
        )
        assert "hook-of-ann" not in await page.content()
        # The least width that is not a phone's: all pages are named at the top.
        await page.set_viewport_size({"width": 641, "height": 800})
        assert not await is_wider_than_its_window(page)

    (webhook,) = await site.engine.webhooks.list("local")
    assert (webhook.url, webhook.events, webhook.workflows) == (NOBODY, ["errored"], ["order", WAREHOUSE])


async def test_message_that_failed_is_sent_again(site: Site, sending: None) -> None:
    """The log has each attempt with what came of it; a webhook is told nothing while it is disabled, and is deleted."""
    answers = [BROKEN]

    async def answer(_: Any, writer: Any) -> None:
        writer.write(answers[-1])

    async with receiver(answer) as there, site.open("/hosts") as page:
        webhook, _ = await site.engine.webhooks.create("local", there.url, ["order"], ["queued"], "ann")
        await site.histories.queued("order", "told-1")
        await page.goto(f"{site.url}/webhooks/{webhook.id}")
        row = page.get_by_role("table", name="Deliveries").locator("tbody tr", has_text="told-1")
        await expect(row).to_contain_text("1 attempt, 500")
        await expect(row).to_contain_text("pending")
        await expect(row.get_by_role("link", name="told-1")).to_have_attribute(
            "href", "/workflows/order/instances/told-1"
        )
        await row.locator("summary").click()
        await expect(row.locator("li")).to_have_text([re.compile(r"^\d{4}-\d\d-\d\d [\d:]{8}: 500\d+ ms$")])
        await page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        assert not await is_wider_than_its_window(page)
        await page.set_viewport_size({"width": 1280, "height": 800})
        await _keeps_nobody_out(page)

        answers.append(OK)
        # A receiver that failed rests for a second; a message is tried again by itself after five.
        site.histories.clock.move_to(site.engine.clock.now() + 1_000)
        await row.get_by_role("button", name="Redeliver: queued told-1").click()
        await expect(row).to_contain_text("delivered")
        await expect(row.locator("summary")).to_have_text("2 attempts, 204")

        await page.get_by_role("button", name="Disable").click()
        await expect(page.locator(".facts")).to_contain_text("disabled by hand")
        await expect(page.get_by_role("button", name=re.compile("Redeliver|test message"))).to_have_count(0)
        await page.get_by_role("button", name="Enable").click()
        await page.get_by_role("button", name="Send a test message").click()
        await expect(page.get_by_role("table", name="Deliveries").locator("tbody tr").first).to_contain_text("test")

        await page.get_by_role("button", name="New secret").click()
        await page.get_by_role("button", name="Make it").click()
        await expect(page.get_by_role("dialog", name="Its secret").locator("code")).to_contain_text("whsec_")
        await page.get_by_role("button", name="Done").click()
        await expect(page.locator(".facts")).to_contain_text("earlier secret signs until")
        await page.get_by_role("button", name="Delete").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await page.wait_for_url("**/webhooks")

    assert webhook.id not in {one.id for one in await site.engine.webhooks.list("local")}


async def test_who_may_not_make_webhooks_is_not_led_there(guarded_site: Site) -> None:
    """There is no link; and whoever goes there all the same is told what is missing."""
    token = await guarded_site.tokens.create("local", [Permission.SCRIPTS_WRITE])
    async with guarded_site.open("/webhooks") as page:
        await page.get_by_label("API token").fill(token)
        await page.get_by_role("button", name="Sign in").click()
        await guarded_site.sees(page, "/ui/webhooks needs webhooks")
        assert await page.get_by_role("link", name="Webhooks").count() == 0
        assert await page.get_by_role("button", name="Create webhook").count() == 0
