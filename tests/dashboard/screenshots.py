"""Takes a picture of each screen, in both themes and on a phone, into a folder: `make screenshots`.

Nothing is compared: somebody looks at them. The workflows are those of the tests, the clock stands still.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stepwell.core.failures import Failure
from stepwell.core.records import (
    AttemptFailed,
    AttemptStarted,
    SleepEnded,
    SleepStarted,
    StepSucceeded,
    WaitStarted,
)
from stepwell.graph.source import graph_of
from stepwell.store.schedule_operations import ChangeSchedule
from stepwell.store.webhook_operations import AddWebhook, ChangeWebhook, EndAttempt, TakeDeliveries
from stepwell.tokens import Permission
from tests.api.histories import BROKEN, CONFIG, Turn, do, sleep, wait
from tests.dashboard import browser, flows
from tests.dashboard.browser import Site
from tests.dashboard.shop import ORDER, Shop, open_shop

FOLDER = Path(".screenshots")
# After so much time everything is drawn.
_DRAWN_MS = 500
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"size": (1280, 800), "theme": "light"},
    "dark": {"size": (1280, 800), "theme": "dark"},
    "phone": {"size": (390, 844), "theme": "light", "has_touch": True, "device_scale_factor": 2},
    "small": {"size": (320, 640), "theme": "dark", "has_touch": True},
}
PAGES = {
    "overview": "/",
    "workflows": "/workflows",
    "instances": "/workflows/order",
    "instances-none": "/workflows/order?status=rollingBack",
    "instances-found": "/instances?label=customer%3Dann&status=waiting&status=errored",
    "instances-all": "/instances",
    "instances-more": "/workflows/order?duration_min=1+minute&trigger=api",
    "schedules": "/schedules",
    "schedules-none": "/workflows/order/schedules",
    "limits": "/workflows/report/limits",
    "limits-none": "/workflows/order/limits",
    "settings": "/workflows/report/settings",
    "settings-none": "/workflows/order/settings",
    "about": "/about",
    "hosts": "/hosts",
    "jobs": "/jobs",
    "audit": "/audit",
    "facts": "/facts",
    "webhooks": "/webhooks",
    "webhooks-create": "/webhooks?create=1",
    "webhook": "/webhooks/orders",
    "create": "/workflows/order?create=1",
    "graph": "/workflows/order/graph",
    "versions": "/workflows/order/versions",
    "nothing": "/nowhere",
    "login": "/login",
    **{f"instance-{tab}": f"{ORDER}/checkout-4711?tab={tab}" for tab in ("timeline", "steps", "graph", "history")},
    "instance-log": f"{ORDER}/order-1003?tab=log",
    "instance-data": f"{ORDER}/order-1001?tab=data",
    "instance-family": "/workflows/trip/instances/trip-7?tab=family",
    "instance-step": f"{ORDER}/checkout-4711?tab=timeline&step=charge%20the%20card-1",
    "instance-failed": f"{ORDER}/order-1003?tab=timeline&step=charge-1",
    "instance-rollback": f"{ORDER}/order-1007?tab=timeline",
    "instance-paused": f"{ORDER}/order-1004?tab=timeline",
    "instance-terminated": f"{ORDER}/order-1005?tab=timeline",
    "instance-hostile": "/workflows/hostile/instances/evil?tab=steps",
    "instance-many": "/workflows/many/instances/many?tab=timeline",
    "compare": "/workflows/order/compare?a=order-1001&b=order-1003",
    "compare-step": "/workflows/order/compare?a=order-1001&b=order-1003&step=charge-1&all=1",
    "compare-choose": "/workflows/order/compare?a=order-1003",
    "source-none": "/workflows/report/source",
    "instance-missing": f"{ORDER}/nobody",
}
SOURCE = """
import asyncio

class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.do("reserve the goods", reserve)
        charged = await step.do("charge the card", charge)
        await asyncio.gather(
            step.do("print the label", label), step.do("tell the customer", tell), step.do("book the parcel", book)
        )
        await step.sleep("cool down", "1 day")
        approval = await step.wait_for_event("approval", "approved", timeout="7 days")
        if approval["by"] == "nobody":
            await step.do("refund", refund)
        else:
            await step.do("ship", ship)
"""


async def main() -> None:
    """Take the pictures; arguments choose pages by their names."""
    FOLDER.mkdir(exist_ok=True)
    async with browser.launched() as chromium, open_shop(chromium) as shop:
        await _fill(shop)
        for look, options in LOOKS.items():
            for name, path in PAGES.items():
                if not sys.argv[1:] or name in sys.argv[1:]:
                    async with _opened(shop, path, options) as page:
                        await page.screenshot(path=FOLDER / f"{name}-{look}.png")
            if not sys.argv[1:] or "dialogs" in sys.argv[1:]:
                await _take_dialogs(shop, look, options)


@asynccontextmanager
async def _opened(site: Site, path: str, options: dict[str, Any]) -> AsyncIterator[Any]:
    async with site.open("/docs", **options) as page:
        # The page's clock is the server's, which stands still.
        await page.clock.set_fixed_time(datetime.fromtimestamp(site.engine.clock.now() / 1000, UTC))
        if path == "/login":
            await page.route("**/ui/session", _ask_for_a_token)
        await page.route("**/ui/peaks", _show_a_day)
        await page.goto(site.url + path)
        await page.wait_for_selector("h1")
        await page.wait_for_timeout(_DRAWN_MS)
        yield page


async def _show_a_day(route: Any) -> None:
    """Answer as a server that was started some hours ago, and did not look for a while: the test's clock skips them."""
    body = await (await route.fetch()).json()
    seen = [None if at < 60 or 150 < at < 170 else (at * at) % 37 // 4 for at in range(288)]
    body["result"] |= {"since": "2026-11-23T15:00:00.000Z", "most": dict.fromkeys(body["result"]["most"], seen)}
    body["result"]["most"]["queued"] = [None if one is None else 0 for one in seen]
    await route.fulfill(json=body)


async def _ask_for_a_token(route: Any) -> None:
    answer = await route.fetch()
    body = await answer.json()
    body["result"] |= {"wants_token": True, "is_signed_in": False}
    await route.fulfill(json=body)


async def _take_dialogs(shop: Shop, look: str, options: dict[str, Any]) -> None:
    """Take pictures of what only clicks lead to."""

    async def take(name: str) -> None:
        await page.wait_for_timeout(_DRAWN_MS)
        await page.screenshot(path=FOLDER / f"{name}-{look}.png")

    async with _opened(shop, "/workflows/order", options) as page:
        for number in (1, 2, 4):
            await page.get_by_label(f"tick order-100{number}").check()
        await take("bulk")
        bar = page.get_by_role("region", name="Ticked instances")
        if is_phone := await bar.get_by_role("button", name="Actions").count():
            await bar.get_by_role("button", name="Actions").click()
            await take("bulk-sheet")
        await (
            page.get_by_role("menuitem", name="Delete") if is_phone else bar.get_by_role("button", name="Delete")
        ).click()
        await take("bulk-delete")
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="actions for order-1002").click()
        await take("menu")
        await page.keyboard.press("Escape")
        await page.keyboard.press("?")
        await take("keys")
        await page.keyboard.press("Escape")
        if is_phone:
            await page.get_by_role("button", name="More", exact=True).click()
            await take("more")
    async with _opened(shop, f"{ORDER}/checkout-4711", options) as page:
        sheet = page.get_by_role("button", name="Actions")
        if is_phone := await sheet.count():
            await sheet.click()
            await take("sheet")
            await page.keyboard.press("Escape")
        for word in ("Send event", "Restart", "Terminate"):
            if is_phone:
                await sheet.click()
            await page.get_by_role("menuitem" if is_phone else "button", name=word).first.click()
            await take(word.lower().replace(" ", "-"))
            await page.get_by_role("button", name="Cancel").click()


async def _fill(shop: Shop) -> None:
    """Make instances of each kind, and last the one that most pictures are of."""
    workers = shop.workers
    await shop.histories.draw(graph_of({"shop.py": SOURCE}, "shop.py", "Order"))
    await shop.histories.rolled_back("order", "order-1007")
    await shop.order("order-1003", declines=9, then="30 seconds")
    await shop.order("order-1001", then="1 day")
    await workers.instance(flows.Order, "order-1001").send_event("approved", {"by": "ann", "cents": 129900})
    await workers.create(flows.Trip, id="trip-7")
    await workers.create(flows.Hostile, id="evil", params={flows.EVIL: flows.EVIL})
    await workers.create(flows.Many, id="many", params={"steps": 400})
    await shop.order("order-1002", declines=1, then="2 hours")
    await shop.order("order-1004", then="2 hours")
    await workers.instance(flows.Order, "order-1004").pause()
    await workers.advance("3 hours")
    await workers.instance(flows.Order, "order-1004").resume()
    await workers.advance("30 minutes")
    await workers.instance(flows.Order, "order-1004").pause()
    await shop.order("order-1005", then="20 minutes")
    await workers.instance(flows.Order, "order-1005").terminate()
    await shop.order("order-1006", declines=2, then="25 seconds")
    for number, customer in enumerate(("ann", "ann", "bob", "a" * 200, flows.EVIL.partition("\u202e")[0])):
        labels = {"customer": customer, "env": "prod"}
        await workers.create(flows.Report, id=f"report-{number}", params={"customer": customer}, labels=labels)
    await workers.create(flows.Order, id="order-1008", params={"declines": 9}, labels={"customer": "ann"})
    await workers.create(flows.Order, id="order-1009", labels={"customer": "ann", "stage": "charged"})
    await workers.advance("40 seconds")
    await workers.engine.store.run(ChangeSchedule("local", "report", "30 2 LW * *", workers.clock.now(), paused=True))
    await shop.tokens.create("local", [Permission.SCRIPTS_READ])
    await _tell(shop)
    await _checkout(await shop.histories.turn("order", "checkout-4711", '{"order": 4711, "cents": 129900}'))


async def _tell(shop: Shop) -> None:
    """Make webhooks, one of which has been sent something: it took one message, and not the other."""
    store, now = shop.engine.store, shop.engine.clock.now()
    for id, host in (("orders", "hooks.example.com"), ("reports", f"{'reports.' * 8}example.com")):
        url = f"https://{host}/services/T024/B7/x9"
        await store.run(AddWebhook("local", id, url, "", ["order"], ["queued", "errored"], now, "ann", 50))
    await store.run(ChangeWebhook("local", "reports", now, enabled=False))
    await shop.order("told-1")
    await shop.order("told-2")
    broken, fine = await store.run(TakeDeliveries(shop.engine.clock.now(), now, 2, 2))
    await store.run(EndAttempt(fine.row, fine.attempt, now + 120, 204, outcome="delivered"))
    for _ in range(2):
        await store.run(EndAttempt(broken.row, broken.attempt, now + 90, 500, next_at=now + 90))
        (broken,) = await store.run(TakeDeliveries(now + 100, now + 120, 1, 1))
    problem = "no TLS: certificate has expired"
    await store.run(EndAttempt(broken.row, broken.attempt, now + 130, None, problem, next_at=now + 40_000))


async def _checkout(turn: Turn) -> None:
    """Write an order that was charged at the third try, did three things at once, slept, and waits for approval."""
    clock = turn.clock

    def later(ms: int) -> int:
        clock.move_to(clock.now() + ms)
        return clock.now()

    await turn.write(AttemptStarted(later(4), do("reserve the goods"), 1, CONFIG))
    await turn.write(StepSucceeded(later(380), do("reserve the goods"), 1, '{"shelf":"B12"}'))
    charge = do("charge the card")
    for attempt, problem in enumerate((BROKEN, Failure("TimeoutError", "the bank did not answer")), 1):
        await turn.write(AttemptStarted(later(3), charge, attempt, CONFIG))
        failed = later(900 * attempt)
        await turn.write(AttemptFailed(failed, charge, attempt, problem, failed + 1_500))
        later(1_500)
    await turn.write(AttemptStarted(later(2), charge, 3, CONFIG))
    await turn.write(StepSucceeded(later(1_240), charge, 3, '{"id":"ch_1","cents":129900}'))
    together = [do("print the label"), do("tell the customer"), do("book the parcel")]
    await turn.write(*[AttemptStarted(later(1), key, 1, CONFIG) for key in together])
    for key, ms in zip(together, (460, 700, 350), strict=True):
        await turn.write(StepSucceeded(later(ms), key, 1, "null"))
    at = later(2)
    await turn.write(SleepStarted(at, sleep("cool down"), at + 86_400_000))
    await turn.write(SleepEnded(later(86_400_000), sleep("cool down")))
    at = later(3)
    await turn.write(WaitStarted(at, wait("approval"), "approved", at + 604_800_000, 604_800_000))
    await turn.park(at + 604_800_000)
    later(1_900_000)


if __name__ == "__main__":
    asyncio.run(main())
