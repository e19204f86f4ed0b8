"""What is changed from the dashboard's pages in a browser: how it is undone, and what is refused before it is sent."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.dashboard.shop import Shop, open_shop

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.sqlite, pytest.mark.long]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(chromium: Any) -> AsyncIterator[Shop]:
    """A server whose workflows run in the test's own process, and a browser before it."""
    async with open_shop(chromium) as shop:
        yield shop


async def test_pause_is_undone_by_a_click(shop: Shop) -> None:
    """What asks no question first offers the way back; the way back offers none."""
    path = await shop.order("paused")
    async with shop.open(path) as page:
        await page.get_by_role("button", name="Pause", exact=True).click()
        await shop.goes_to(page, "paused")
        await page.get_by_text("Told to pause.").wait_for()
        await page.get_by_role("button", name="Undo").click()

        await shop.goes_to(page, "waiting")
        await page.get_by_role("button", name="Undo").wait_for(state="detached")


async def test_id_that_may_not_be_is_told_before_it_is_sent(shop: Shop) -> None:
    """The field says so; with another id the form is sent."""
    async with shop.open("/workflows/order?create=1") as page:
        field = page.get_by_label("Id (optional)")
        await field.fill("not this one")
        await page.get_by_role("button", name="Create", exact=True).click()
        assert await field.evaluate("it => it.validity.patternMismatch")

        await field.fill("this-one_2")
        await page.get_by_role("button", name="Create", exact=True).click()
        await page.wait_for_url("**/workflows/order/instances/this-one_2")


async def test_several_are_created_one_after_another(shop: Shop) -> None:
    """The form stays, with its params, and says what it has made; each is a request of its own."""
    async with shop.open("/workflows/order?create=1") as page:
        await page.get_by_label("then another").check()
        await page.get_by_label("Params (JSON)").fill('{"declines": 0}')
        for _ in range(2):
            async with page.expect_response("**/instances") as answer:
                await page.get_by_role("button", name="Create", exact=True).click()
            assert (await answer.value).status == 200
            id = (await (await answer.value).json())["result"]["id"]
            await page.locator("dialog").get_by_text(f"{id} created").wait_for()
    await shop.workers.run_until_idle()


async def test_jobs_are_two_keys_away(shop: Shop) -> None:
    """`j` alone goes to the next row."""
    await shop.order("row")
    async with shop.open("/workflows") as page:
        await page.get_by_role("link", name="order", exact=True).wait_for()
        await page.keyboard.press("j")
        await page.locator("tbody a.row:focus").wait_for()
        await page.keyboard.press("g")
        await page.keyboard.press("j")

        await page.wait_for_url("**/jobs")
