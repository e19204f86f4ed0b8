"""What attempts say of themselves, on the page of their instance."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from stepwell.core.records import AttemptFailed, AttemptStarted, StepSucceeded
from tests.api.histories import BROKEN, CONFIG, do
from tests.dashboard import flows
from tests.dashboard.browser import expect
from tests.dashboard.shop import ORDER, Shop, open_shop

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.sqlite, pytest.mark.long]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(chromium: Any) -> AsyncIterator[Shop]:
    """A server whose workflows run in the test's own process, and a browser before it."""
    async with open_shop(chromium) as shop:
        yield shop


async def test_attributes_stand_with_their_attempt_and_are_summed(shop: Shop) -> None:
    """As text, whatever is in them; new ones come as the attempt ends, and the sums stand with the data."""
    turn = await shop.histories.turn("order", "thinker")
    await turn.write(
        AttemptStarted(turn.now(), do("think"), 1, CONFIG),
        AttemptFailed(turn.now(), do("think"), 1, BROKEN, turn.now(), {"model": flows.EVIL, "tokens": 5}),
        AttemptStarted(turn.now(), do("think"), 2),
    )

    async with shop.open(f"{ORDER}/thinker?step=think-1&tab=data") as page:
        panel = page.get_by_role("complementary", name="Step")
        await panel.get_by_text("2 attempts").wait_for()
        await expect(panel.locator(".facts")).to_have_count(0)
        await page.locator("main .facts", has_text="tokens").get_by_text("5", exact=True).wait_for()

        await turn.write(StepSucceeded(turn.now(), do("think"), 2, "1", None, {"tokens": 7}))

        await panel.locator(".facts", has_text="tokens").get_by_text("7", exact=True).wait_for()
        await page.locator("main .facts", has_text="tokens").get_by_text("12", exact=True).wait_for()
        await panel.get_by_role("link", name="1 ").first.click()
        await panel.locator(".facts", has_text="<img src=x onerror=alert(1)>").wait_for()
