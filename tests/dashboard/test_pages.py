"""The dashboard's pages in a browser: what they show, what they do, and what they never do."""

import asyncio
import re
import socket
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from stepwell.api import create_app
from stepwell.dashboard import bundle, shell, shorten, squeeze
from stepwell.graph.source import graph_of
from stepwell.hosts import LOOPBACK_HOSTS
from stepwell.http_server import HttpServer
from stepwell.tokens import Permission
from tests.api.histories import do
from tests.dashboard.browser import LARGE, PHONE, Site, axe, expect, is_wider_than_its_window

STATIC = Path(shell.__file__).parent / "static"
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.sqlite]

PAGES = [
    "/workflows/order",
    *(
        pytest.param(path, marks=pytest.mark.long)
        for path in (
            "/",
            "/workflows",
            "/workflows/order?status=errored&range=1h",
            "/workflows/order?create=1",
            "/workflows/order/graph",
            "/workflows/order/versions",
            "/workflows/order/schedules",
            "/workflows/order/limits",
            "/workflows/order/settings",
            "/workflows/nothing",
            "/instances",
            "/schedules",
            "/hosts",
            "/jobs",
            "/audit",
            "/facts",
            "/webhooks",
            "/webhooks?create=1",
            "/about",
            "/nowhere",
        )
    ),
]
ATTACKS = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "\u202egnp.exe\u0000\u2066",
    "a" * 10_000,
    "{{7*7}}${alert(1)}`",
)


async def test_overview_says_what_goes_on(site: Site) -> None:
    """Numbers by status, what failed, and the latest instances, each a link."""
    async with site.open("/") as page:
        await site.sees(page, "Failed lately")

        assert await page.locator(".numbers a", has_text="errored").locator("b").inner_text() != "0"
        await page.get_by_role("link", name="broken-1").first.click()
        await page.wait_for_url("**/workflows/order/instances/broken-1")
        await expect(page).to_have_title(re.compile("broken-1"))


async def test_workflows_are_sorted_by_a_click(site: Site) -> None:
    """The order is in the address and told to those who hear the page; what has no such thing is last either way."""
    async with site.open("/workflows?sort=-name") as page:
        names = page.locator("tbody a.row")
        await expect(names).to_have_text(["order", "empty"])
        await expect(page.get_by_role("columnheader", name="name")).to_have_attribute("aria-sort", "descending")

        for order, url in (("descending", "**/workflows?sort=-last"), ("ascending", "**/workflows?sort=last")):
            await page.get_by_role("link", name="last created").click()
            await page.wait_for_url(url)
            await expect(page.get_by_role("columnheader", name="last created")).to_have_attribute("aria-sort", order)
            await expect(names).to_have_text(["order", "empty"])
        await page.get_by_role("link", name="name", exact=True).click()
        await page.wait_for_url("**/workflows")
        await expect(names).to_have_text(["empty", "order"])


async def test_overview_tells_what_ended_in_a_day(site: Site) -> None:
    """Two numbers, each with how many ended in which hour, in words too."""
    async with site.open("/") as page:
        errored = page.locator(".ends", has_text="errored in 24 h")

        await expect(errored.locator("b")).to_have_text("1")
        await errored.get_by_role("img", name="1 errored in 24 h; at most 1 in an hour, 1 in the last").wait_for()
        await expect(page.locator(".ends", has_text="complete in 24 h").locator("b")).to_have_text("1")


async def test_pages_fit_at_twice_their_size_and_stand_still_when_asked_to(site: Site) -> None:
    """At 200 % nothing has to be scrolled sideways, in forced colours neither, and who wants no motion sees none."""
    still: dict[str, Any] = {"device_scale_factor": 2, "reduced_motion": "reduce", "forced_colors": "active"}
    async with site.open("/workflows", size=(640, 360), **still) as page:
        for path in ("/workflows", "/", "/instances?status=errored", "/workflows/order/instances/runs-1"):
            await page.goto(site.url + path)
            await page.wait_for_selector("main tbody tr, main .bar-row, main .numbers")
            assert (path, await is_wider_than_its_window(page)) == (path, False)
            assert await page.evaluate("document.getAnimations().length") == 0


async def test_what_a_click_opens_is_asked_for_again_if_it_did_not_come(site: Site) -> None:
    """The page says that a part is missing, and what stands in the first file works without it."""
    context = await site.browser.new_context()
    page = await context.new_page()
    # Else an idle moment tries again before the click.
    await page.add_init_script("window.requestIdleCallback = () => 0")
    await page.route("**/more.js*", lambda route: route.abort())
    await page.goto(f"{site.url}/workflows/order?create=1")
    await page.get_by_text("This part of the page cannot be loaded").wait_for()
    await page.get_by_role("link", name="done-1", exact=True).wait_for()
    await page.unroute("**/more.js*")
    await page.get_by_role("button", name="Try again").click()

    await page.get_by_role("dialog", name="Create an instance of order").wait_for()
    await context.close()


async def test_no_name_of_the_browsers_is_shortened(site: Site) -> None:
    """A script that calls one of its own so would be given another one wherever the browser's is meant."""
    modules = {path.relative_to(STATIC).as_posix(): path.read_text() for path in STATIC.rglob("*.js")}
    whole = chain.from_iterable(bundle.parts(modules, "app.js").values())
    parts = [part for part in whole if part.shared is not None]
    ours = shorten.shorten(shorten.Script(list(squeeze.tokens(one.text)), one.shared or frozenset()) for one in parts)
    async with site.open("/workflows") as page:
        theirs = await page.evaluate(
            "(() => { const all = []; for (let one = globalThis; one; one = Object.getPrototypeOf(one))"
            " all.push(...Object.getOwnPropertyNames(one)); return all; })()"
        )

    assert (len(ours.outer) > 300, len(ours.inner) > 300, len(theirs) > 800) == (True, True, True)
    assert (ours.outer | ours.inner) & set(theirs) == set()


@pytest.mark.long
async def test_workflows_are_searched_and_lead_to_their_instances(site: Site) -> None:
    """The search is in the address; a count leads to the instances in that status."""
    async with site.open("/workflows") as page:
        await page.keyboard.press("/")
        await page.keyboard.insert_text("ord")
        await page.wait_for_url("**/workflows?q=ord")
        await page.get_by_role("link", name="order", exact=True).wait_for()
        await expect(page.get_by_role("link", name="empty")).to_have_count(0)

        await page.get_by_role("link", name="errored").click()

        await page.wait_for_url("**/workflows/order?status=errored")
        await page.get_by_role("link", name="broken-1").wait_for()
        assert await page.get_by_role("link", name="done-1").count() == 0


@pytest.mark.long
async def test_filters_are_in_the_address_and_back_undoes_them(site: Site) -> None:
    """Each choice is an entry of the browser's history, and an address that can be sent to somebody."""
    async with site.open("/workflows/order") as page:
        await page.get_by_role("link", name="waiting").click()
        await page.get_by_label("Order").select_option("created")
        await page.wait_for_url("**/workflows/order?status=waiting&sort=created")
        await page.get_by_label("Created").select_option("15m")
        await site.sees(page, "Nothing waiting in the last 15 minutes")

        await page.go_back()
        await page.go_back()
        await page.go_back()

        await page.get_by_role("link", name="done-1").wait_for()
        assert page.url.endswith("/workflows/order")


async def test_list_shows_what_happens_as_it_happens(site: Site) -> None:
    """An instance that is created elsewhere is there without anybody loading the page again."""
    async with site.open("/workflows/empty") as page:
        await page.get_by_role("switch", name="Live updates: Live").wait_for()

        await site.histories.queued("empty", "new-1")

        await page.get_by_role("link", name="new-1").wait_for()


@pytest.mark.long
async def test_slow_list_of_a_busy_workflow_is_seen(site: Site) -> None:
    """What changes while it is read is read once more, and never in place of what is running."""

    async def answer_late(route: Any) -> None:
        await asyncio.sleep(1.5)
        await route.continue_()

    async def keep_busy() -> None:
        for number in range(40):
            await site.histories.queued("empty", f"busy-{number}")
            await asyncio.sleep(0.2)

    async with site.open("/login") as page:
        await page.route("**/instances?*", answer_late)
        busy = asyncio.create_task(keep_busy())

        await page.goto(site.url + "/workflows/empty")
        await page.get_by_role("link", name="busy-").first.wait_for()
        assert not busy.done()
        await busy

        await page.get_by_role("link", name="busy-39").wait_for()
        await page.unroute_all(behavior="ignoreErrors")


async def test_instance_is_created_from_json(site: Site) -> None:
    """What is no JSON is told with its place; digits stay as they were typed."""
    async with site.open("/workflows/order") as page:
        await page.keyboard.press("c")
        params = page.get_by_label("Params (JSON)")
        await params.fill('{\n  "cents": 12345678901234567890\n  "a": 1}')
        await site.sees(page, "line 3, column 3: expected , or }")
        assert await page.get_by_role("button", name="Create", exact=True).is_disabled()

        await params.fill('{"cents": 12345678901234567890}')
        await page.get_by_label("Id (optional)").fill("made-here")
        await page.get_by_role("button", name="Create", exact=True).click()

        await page.wait_for_url("**/workflows/order/instances/made-here")
        assert (await site.engine.get("local", "order", "made-here")).params == '{"cents": 12345678901234567890}'


@pytest.mark.long
async def test_refused_creation_stays_in_its_dialog(site: Site) -> None:
    """The server's words, with their code, stand where the mistake was made."""
    async with site.open("/workflows/order?create=1") as page:
        await page.get_by_label("Id (optional)").fill("done-1")
        await page.get_by_role("button", name="Create", exact=True).click()

        await page.locator("dialog .problem", has_text="code 10405").wait_for()


async def test_several_are_ticked_and_changed_together(site: Site) -> None:
    """What cannot be undone asks first, with the focus on Cancel; only what fits is changed."""
    for name in ("p-1", "p-2"):
        await site.histories.waiting("order", name)
    async with site.open("/workflows/order?status=waiting") as page:
        await page.get_by_label("tick p-1").check()
        await page.get_by_label("tick p-2").check()
        await page.get_by_role("button", name="Pause").click()
        await site.sees(page, "2 instances told to pause")
        assert (await site.engine.get("local", "order", "p-1")).row.status == "paused"

        await page.goto(site.url + "/workflows/order?status=paused")
        await page.get_by_label("tick all rows").check()
        await page.get_by_role("button", name="Terminate").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
        await page.keyboard.press("Escape")
        await dialog.wait_for(state="detached")
        assert (await site.engine.get("local", "order", "p-2")).row.status == "paused"
        await page.get_by_role("button", name="Delete").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await site.sees(page, "2 instances deleted")
        await site.sees(page, "Nothing paused")


@pytest.mark.long
async def test_one_is_changed_by_its_menu(site: Site) -> None:
    """What its status allows, by pointer or arrows; Escape closes the menu and gives the focus back."""
    await site.histories.waiting("order", "menu-1")
    async with site.open("/workflows/order?status=waiting") as page:
        button = page.get_by_role("button", name="actions for menu-1")
        await button.focus()
        await page.keyboard.press("Enter")
        menu = page.get_by_role("menu")
        await menu.get_by_role("menuitem").first.wait_for()
        assert await menu.get_by_role("menuitem").all_inner_texts() == [
            "Pause",
            "Send event",
            "Restart",
            "Terminate",
            "Delete",
            "Copy id",
        ]
        await page.keyboard.press("Escape")
        await menu.wait_for(state="detached")
        await expect(button).to_be_focused()

        await page.keyboard.press("Enter")
        await page.locator("[role=menuitem]:focus").wait_for()
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("ArrowUp")
        await page.keyboard.press("Enter")
        await site.sees(page, "1 instance told to pause")
    assert (await site.engine.get("local", "order", "menu-1")).row.status == "paused"


@pytest.mark.long
async def test_event_is_sent_to_several(site: Site) -> None:
    """To each that has not ended, with its type and payload typed once."""
    for name in ("told-1", "told-2"):
        await site.histories.waiting("order", name)
    async with site.open("/workflows/order?status=waiting") as page:
        await page.get_by_label("tick told-1").check()
        await page.get_by_label("tick told-2").check()
        await page.get_by_role("button", name="Send event").click()
        await page.get_by_label("Type").fill("noticed")
        await page.get_by_label("Payload").fill('{"n": 12345678901234567890}')
        await page.get_by_role("button", name="Send", exact=True).click()

        await site.sees(page, "2 instances sent the event")


@pytest.mark.long
async def test_all_that_match_are_changed_together(site: Site) -> None:
    """By a job of the server's, once somebody has typed how many; what does not match stays."""
    await site.histories.register("lots")
    for number in range(130):
        await site.histories.queued("lots", f"lot-{number}")
    await site.engine.control.terminate("local", "lots", "lot-7")
    async with site.open("/workflows/lots?status=queued&per=25") as page:
        await page.get_by_label("tick all rows").check()
        await page.get_by_role("button", name="Select all 129 that match").click()
        await site.sees(page, "all 129 that match")
        await page.get_by_role("button", name="Delete").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_text("All instances of this workflow that are queued.").wait_for()
        assert await dialog.get_by_role("button", name="Delete").is_disabled()
        await dialog.get_by_label("Type 129 to go on").fill("129")
        await dialog.get_by_role("button", name="Delete").click()

        await page.wait_for_url("**/jobs")
        row = page.get_by_role("table", name="Jobs").locator("tbody tr")
        await row.get_by_text("complete").wait_for(timeout=30_000)
        cells = await row.locator("td").all_inner_texts()
        await page.goto(f"{site.url}/workflows/lots")
        await page.get_by_role("link", name="lot-7").wait_for()
    assert cells[1:5] == ["Delete lots status=queued", "129", "0", "0"]
    assert (await site.engine.workflow("local", "lots")).counts.get("queued", 0) == 0


@pytest.mark.long
async def test_what_is_done_to_many_is_seen_on_the_whole_list_and_ends_with_it(site: Site) -> None:
    """Another filter hides neither its progress nor *Stop*; on another page nothing goes on that nobody sees."""
    sent = []
    await site.histories.register("many")
    for number in range(120):
        await site.histories.queued("many", f"many-{number}")

    async def answer_late(route: Any) -> None:
        sent.append(route.request.url)
        await asyncio.sleep(0.1)
        await route.continue_()

    async with site.open("/workflows/many?per=25") as page:
        await page.route("**/instances/many-*/events/go", answer_late)
        await page.get_by_label("tick all rows").check()
        await page.get_by_role("button", name="Select all 120 that match").click()
        await page.get_by_role("button", name="Send event").click()
        await page.get_by_label("Type", exact=True).fill("go")
        await page.get_by_label("Type 120 to go on").fill("120")
        await page.get_by_role("button", name="Send", exact=True).click()
        progress = page.get_by_role("region", name="Progress")
        await progress.wait_for()
        await page.get_by_role("link", name="terminated").click()
        await site.sees(page, "Nothing terminated")
        await progress.get_by_role("button", name="Stop").wait_for()
        await page.get_by_role("link", name="Overview").click()
        await page.get_by_text("instances sent the event").wait_for()
        await page.unroute_all(behavior="wait")

    assert 0 < len(sent) < 120


@pytest.mark.long
async def test_list_that_is_shown_is_the_one_that_is_read_again(site: Site) -> None:
    """Who undoes something after he has chosen another filter sees what that finds."""
    await site.histories.waiting("order", "back-1")
    async with site.open("/workflows/order?status=waiting&live=0") as page:
        await page.get_by_label("tick back-1").check()
        await page.get_by_role("button", name="Pause").click()
        await site.sees(page, "1 instance told to pause")
        await page.get_by_role("link", name="errored").click()
        await page.get_by_role("link", name="broken-1").wait_for()
        async with page.expect_response("**/instances?*") as read:
            await page.get_by_role("button", name="Undo").click()

        assert "status=errored" in (await read.value).url
        await site.sees(page, "1 instance told to resume")
        await page.get_by_role("link", name="broken-1").wait_for()
    assert (await site.engine.get("local", "order", "back-1")).row.status != "paused"


@pytest.mark.long
async def test_what_cannot_be_undone_is_told(site: Site) -> None:
    """An undoing that is refused is no less an answer than what it should undo."""
    await site.histories.waiting("order", "back-2")
    async with site.open("/workflows/order?status=waiting") as page:
        await page.get_by_label("tick back-2").check()
        await page.get_by_role("button", name="Pause").click()
        await site.sees(page, "1 instance told to pause")
        await page.route("**/status", lambda route: route.fulfill(status=503, body="down"))
        await page.get_by_role("button", name="Undo").click()

        await page.locator(".problem", has_text="back-2: The server answered 503").wait_for()


@pytest.mark.long
async def test_new_ones_wait_while_somebody_reads_further_down(site: Site) -> None:
    """Rows that are seen stay where they are and change in place; a click leads to what is new."""
    await site.histories.register("read")
    for number in range(40):
        await site.histories.queued("read", f"old-{number}")
    async with site.open("/workflows/read") as page:
        await page.get_by_role("switch", name="Live updates: Live").wait_for()
        await page.get_by_role("link", name="old-0", exact=True).scroll_into_view_if_needed()
        await site.histories.queued("read", "new-1")
        await page.get_by_role("button", name="1 new").wait_for()
        assert await page.get_by_role("link", name="new-1").count() == 0
        await site.engine.control.terminate("local", "read", "old-0")
        await page.locator("tr", has_text="old-0").locator(".s-terminated").wait_for()

        await page.get_by_role("button", name="1 new").click()
        await page.get_by_role("link", name="new-1").wait_for()
        assert await page.evaluate("scrollY") == 0

        await page.goto(site.url + "/workflows/read?sort=created&per=25")
        await page.get_by_role("switch", name="Live updates: Live").wait_for()
        await site.histories.queued("read", "new-2")
        await page.get_by_role("button", name="1 new").click()
        await page.get_by_role("link", name="new-2").wait_for()


async def test_graph_of_a_version_is_drawn(site: Site) -> None:
    """Without a style of its own, which the policy would not let in; names in it stay text."""
    source = "class Order(WorkflowEntrypoint):\n    async def run(self, event, step):\n"
    body = f"        await step.do({ATTACKS[0]!r}, work)\n"
    await site.histories.draw(graph_of({"shop.py": source + body}, "shop.py", "Order"))
    async with site.open("/workflows/order/graph") as page:
        drawing = page.locator(".drawing svg")

        await expect(drawing).to_contain_text(ATTACKS[0])
        assert await page.locator(".drawing img, .drawing style, .drawing script").count() == 0
        await expect(drawing.locator("g.item .box").first).to_have_css("stroke-width", "1.25px")


@pytest.mark.parametrize("path", PAGES)
async def test_page_keeps_nobody_out(site: Site, path: str) -> None:
    """Each page in both themes: no serious finding of axe, and on the smallest phone no scrolling sideways."""
    checks = {"resultTypes": ["violations"], "runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}
    found = []
    for theme in ("light", "dark"):
        async with site.open(path, theme=theme) as page:
            await page.wait_for_selector(".loading", state="detached")
            await page.evaluate(axe())
            result = await page.evaluate("checks => axe.run(document, checks)", checks)
            found += [
                (theme, one["id"], node["target"])
                for one in result["violations"]
                if one["impact"] in ("serious", "critical")
                for node in one["nodes"]
            ]
            await page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
            assert not await is_wider_than_its_window(page)

    assert found == []


async def test_nothing_hostile_becomes_more_than_text(site: Site) -> None:
    """Ids, class names, errors and params that somebody chose in bad faith run nothing and stretch no page."""
    alerts: list[str] = []
    for number, attack in enumerate(ATTACKS):
        turn = await site.histories.turn("order", f"hostile-{number}")
        await turn.step(do(attack[:200].replace("\0", "")), '"x"')
        await turn.complete(f'"{"b" * 100}"')
    async with site.open("/workflows/order", size=PHONE) as page:
        page.on("dialog", note := lambda dialog: alerts.append(dialog.message))
        for number in range(len(ATTACKS)):
            await page.goto(f"{site.url}/workflows/order/instances/hostile-{number}")
            await page.wait_for_selector(".badge")
            assert await page.locator("main img, main script").count() == 0
        for path in (
            f"/workflows/{'%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E'}",
            f"/workflows/order?status={'%3Cb%3E'}",
        ):
            await page.goto(site.url + path)
            await page.wait_for_selector(".problem, .empty")
            assert await page.locator("main img, main b b").count() == 0
            assert not await is_wider_than_its_window(page)
        page.remove_listener("dialog", note)

    assert alerts == []


async def test_keyboard_skips_the_header_and_begins_at_the_content(site: Site) -> None:
    """The first key leads to the link that skips the header; on another page the focus is at its content."""
    async with site.open("/workflows") as page:
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.locator("#content")).to_be_focused()

        await page.get_by_role("link", name="order", exact=True).click()
        await page.get_by_role("link", name="done-1").wait_for()
        await expect(page.locator("#content")).to_be_focused()
        await page.keyboard.press("j")
        await page.keyboard.press("j")
        await expect(page.locator("tbody tr").nth(1).locator("a.row")).to_be_focused()


async def test_graph_has_the_theme_that_was_chosen(site: Site) -> None:
    """Its colours are the page's, whatever the system's are."""
    body = "class Order(WorkflowEntrypoint):\n    async def run(self, event, step):\n        await step.do('a', a)\n"
    await site.histories.draw(graph_of({"shop.py": body}, "shop.py", "Order"))
    async with site.open("/workflows/order/graph", theme="dark") as page:
        await page.get_by_role("button", name="theme: the system's").click()
        box = page.locator(".stepwell-graph .step > .box").first

        await expect(box).to_have_css("fill", "rgb(255, 255, 255)")


@pytest.mark.long
async def test_theme_is_kept_and_shown_at_once(site: Site) -> None:
    """The theme that somebody chose is there before anything is drawn, also after loading again."""
    async with site.open("/") as page:
        await page.get_by_role("button", name="theme: the system's").click()
        await page.get_by_role("button", name="theme: light").click()
        await page.reload(wait_until="commit")
        await page.wait_for_selector("h1")

        background = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == "rgb(15, 18, 22)"


@pytest.mark.long
async def test_live_updates_can_be_paused(site: Site) -> None:
    """`p` pauses them, which the address says, and then nothing moves."""
    async with site.open("/workflows/empty") as page:
        await page.get_by_role("switch", name="Live updates: Live").wait_for()
        await page.keyboard.press("p")
        await page.get_by_role("switch", name="Live updates: Paused").wait_for()
        await page.wait_for_url("**live=0")

        async with site.open("/workflows/empty") as other:
            await other.get_by_role("switch", name="Live updates: Live").wait_for()
            await site.histories.queued("empty", "unseen")
            await other.get_by_role("link", name="unseen").wait_for()
        assert await page.get_by_role("link", name="unseen").count() == 0
        await page.keyboard.press("p")

        await page.get_by_role("link", name="unseen").wait_for()


async def _sign_in(page: Any, token: str) -> None:
    await page.get_by_label("API token").fill(token)
    await page.get_by_role("button", name="Sign in").click()


async def test_somebody_signs_in_and_out(guarded_site: Site) -> None:
    """A wrong token is told in words; the right one leads to where one wanted to be, and is nowhere in the page."""
    site = guarded_site
    token = await site.tokens.create("local", [Permission.SCRIPTS_WRITE], name="ann")
    async with site.open("/workflows/order") as page:
        await _sign_in(page, "sw_wrong")
        await site.sees(page, "the token is not known here")
        await _sign_in(page, token)
        await page.get_by_role("link", name="done-1").wait_for()

        assert page.url.endswith("/workflows/order")
        kept = await page.evaluate("document.cookie + JSON.stringify({...localStorage, ...sessionStorage})")
        assert token not in kept + await page.content()
        await page.get_by_role("button", name="Create instance").wait_for()
        await page.get_by_role("switch", name="Live updates: Live").wait_for()
        await page.evaluate("localStorage.setItem('stepwell.params.order', '[\"{}\"]')")
        await page.get_by_role("button", name="Sign out").click()
        await page.get_by_label("API token").wait_for()
        assert await page.evaluate("localStorage.getItem('stepwell.params.order')") is None


@pytest.mark.long
async def test_who_is_not_signed_out_is_told(guarded_site: Site) -> None:
    """Nobody walks away from a page that seems to have let go of him."""
    site = guarded_site
    token = await site.tokens.create("local", [Permission.SCRIPTS_READ])
    async with site.open("/workflows/order") as page:
        await _sign_in(page, token)
        await page.route("**/ui/session", lambda route: route.fulfill(status=503, body="down"))
        await page.get_by_role("button", name="Sign out").click()

        await site.sees(page, "Not signed out: The server answered 503")


async def test_who_may_read_sees_no_action(guarded_site: Site) -> None:
    """A token that may not write shows lists, and nothing to change them with."""
    site = guarded_site
    token = await site.tokens.create("local", [Permission.SCRIPTS_READ], name="bob")
    async with site.open("/workflows/order", size=LARGE) as page:
        await _sign_in(page, token)
        await page.get_by_role("link", name="done-1").wait_for()

        assert await page.get_by_role("button", name="Create instance").count() == 0
        assert await page.locator("input[type=checkbox]").count() == 0
        await page.keyboard.press("c")
        assert await page.evaluate("location.search") == ""
        await page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        assert not await is_wider_than_its_window(page)


async def test_who_may_read_changes_no_schedule(guarded_site: Site) -> None:
    """What a token may not ask for is not there."""
    token = await guarded_site.tokens.create("local", [Permission.SCRIPTS_READ])
    await guarded_site.histories.schedule("empty")
    async with guarded_site.open("/schedules") as page:
        await page.get_by_label("API token").fill(token)
        await page.get_by_role("button", name="Sign in").click()
        await page.locator("td code").wait_for()

        assert await page.locator("main button").count() == 0


@pytest.mark.long
@pytest.mark.parametrize(
    ("path", "asked", "empty"),
    [
        ("/schedules", "**/stepwell/schedules?*", "No schedule"),
        ("/hosts", "**/stepwell/hosts", "queued for a slot"),
        ("/workflows/empty/settings", "**/client/**/limits", "None. A workflow gets them"),
        ("/jobs?page=9", "**/stepwell/jobs?*", "No jobs"),
        ("/workflows/empty/schedules", "**/stepwell/schedules?*", "No schedule"),
        ("/workflows/empty/limits", "**/client/**/limits", "No limit"),
        ("/instances?label=nobody%3Dhas", "**/stepwell/instances?*", "Nothing matches"),
        ("/workflows/order/instances/done-1?tab=history&q=nowhere", "**/history?*", "No line fits."),
        ("/workflows/order/instances/done-1?tab=log", "**/logs?*", "Its code has printed and logged nothing."),
    ],
)
async def test_page_says_that_it_loads_that_it_cannot_and_that_there_is_nothing(
    site: Site, path: str, asked: str, empty: str
) -> None:
    """Each is told by itself: nothing is said not to be there before it was read, and a failure can be tried again."""
    answers = asyncio.Event()

    async def refuse(route: Any) -> None:
        await answers.wait()
        await route.fulfill(status=503, body="down")

    async with site.open("/login") as page:
        await page.route(asked, refuse)
        await page.goto(site.url + path)
        await page.get_by_role("status", name="loading").locator(".skeleton").first.wait_for()
        assert await page.get_by_text(empty).count() == 0

        answers.set()
        await site.sees(page, "The server answered 503")
        assert await page.get_by_text(empty).count() + await page.locator(".loading").count() == 0

        await page.unroute_all(behavior="wait")
        await page.get_by_role("button", name="Try again").click()
        await site.sees(page, empty)
        await page.locator(".problem").wait_for(state="detached")


@pytest.mark.long
async def test_page_says_when_the_server_is_away_and_comes_back(site: Site) -> None:
    """What was read stays, with a word that it is old; where nothing was read there is an error to try again."""
    async with site.open("/workflows/order", size=LARGE) as page:
        await page.get_by_role("link", name="done-1").wait_for()
        await page.route("**/client/**", lambda route: route.fulfill(status=503, body="down"))
        await page.get_by_role("switch", name="Live updates: Live").wait_for()
        await site.histories.queued("order", "away-1")
        await site.sees(page, "Not up to date: last read")
        assert await page.get_by_role("link", name="done-1").count() == 1

        await page.get_by_role("link", name="Versions").click()
        await site.sees(page, "The server answered 503")
        await page.unroute("**/client/**")
        await page.get_by_role("button", name="Try again").click()

        await site.sees(page, "new instances get this one")


async def test_page_is_read_once(site: Site) -> None:
    """Neither its first drawing nor another page asks for a thing twice, and the stream makes nobody read again."""
    asked: list[tuple[str, str]] = []
    async with site.open("/docs") as page:
        page.on("request", partial(_note, asked, site.url))
        for path in ("/", "/workflows", "/workflows/order"):
            await page.goto(site.url + path)
            await page.get_by_role("switch", name="Live updates: Live").wait_for()
        await page.get_by_role("link", name="done-1").click()
        await page.locator(".facts").wait_for()
        # What follows the instance does so a second later.
        await page.wait_for_timeout(1_200)
        await page.go_back()
        await page.get_by_role("link", name="done-1").wait_for()
        await page.get_by_role("switch", name="Live updates: Live").wait_for()
        await page.wait_for_timeout(200)

    reads = [one for one in asked if "/client/" in one[1] or "/ui/overview" in one[1]]
    assert reads.count(("/", "/ui/overview")) == 1
    # The list, and the counts above it: somebody has come back to them.
    again = {one for one in reads if one[1].endswith(("/workflows/order", "/instances?per_page=50"))}
    assert len(again) == 2
    assert {one: reads.count(one) for one in reads} == {one: 1 + (one in again) for one in reads}


def _note(asked: list[tuple[str, str]], site: str, request: Any) -> None:
    """Note what a page asks for. A document may still ask when another address has been opened."""
    asked.append((urlsplit(request.frame.url).path, request.url.removeprefix(site)))


@pytest.mark.long
async def test_page_says_when_nobody_answers_and_notices_when_somebody_does(site: Site) -> None:
    """The switch says since when nothing was heard, and what has changed meanwhile is there when a server is back."""
    app = create_app(site.engine, account="local", hosts=LOOPBACK_HOSTS)
    first, second = HttpServer(app), HttpServer(create_app(site.engine, account="local", hosts=LOOPBACK_HOSTS))
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        await first.start(sock)
        async with site.open("/login") as page:
            await page.goto(f"http://127.0.0.1:{port}/workflows/empty")
            await page.get_by_role("switch", name="Live updates: Live").wait_for()
            app.end_streams()
            await first.stop(0.5)
            await page.get_by_role("switch", name="No answer, last update").wait_for()
            await site.histories.queued("empty", "meanwhile")
            await second.start(socket.create_server(("127.0.0.1", port)))

            await page.get_by_role("link", name="meanwhile").wait_for(timeout=20_000)
            await page.get_by_role("switch", name="Live updates: Live").wait_for()
            await second.stop(0.5)


@pytest.mark.long
async def test_read_that_hangs_comes_to_an_end(site: Site) -> None:
    """Who waits for a server that takes a request and never answers is told so, and can try again."""
    async with site.open("/workflows/order") as page:
        await page.route("**/versions?*", lambda route: asyncio.sleep(0))
        await page.get_by_role("link", name="Versions").click()
        await page.get_by_text("The server has not answered for 30 s").wait_for(timeout=40_000)
        await page.unroute_all(behavior="ignoreErrors")
        await page.get_by_role("button", name="Try again").click()

        await site.sees(page, "new instances get this one")


@pytest.mark.long
async def test_switch_stays_where_one_goes(site: Site) -> None:
    """Paused is paused on each page, and each address says so, also that one goes back to."""
    async with site.open("/workflows/order") as page:
        await page.keyboard.press("p")
        await page.wait_for_url("**/workflows/order?live=0")
        await page.get_by_role("link", name="Versions").click()
        await page.wait_for_url("**/workflows/order/versions?live=0")
        await page.keyboard.press("p")
        await page.wait_for_url("**/workflows/order/versions")
        await page.go_back()

        await page.wait_for_url("**/workflows/order")
        await page.get_by_role("switch", name="Live updates: Live").wait_for()


@pytest.mark.long
async def test_page_asks_now_and_then_where_no_stream_comes_through(site: Site) -> None:
    """A proxy that holds back streams makes the page slower, not wrong."""
    async with site.open("/login") as page:
        await page.route("**/ui/live*", lambda route: route.fulfill(status=502, body="no stream"))
        await page.goto(site.url + "/workflows/empty")
        await page.get_by_role("switch", name="Live updates: Every 5 s").wait_for(timeout=20_000)
        await site.histories.queued("empty", "polled")

        await page.get_by_role("link", name="polled").wait_for(timeout=10_000)
