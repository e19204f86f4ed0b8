"""The dashboard's pages in a browser: what they show, what they do, and what they never do."""

import asyncio
from typing import Any

import pytest

from stepwell.graph.source import graph_of
from stepwell.tokens import Permission
from tests.api.histories import do
from tests.dashboard.browser import LARGE, PHONE, Site, axe, is_wider_than_its_window

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sqlite]

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
            "/workflows/nothing",
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

        assert await page.locator(".numbers li", has_text="errored").locator("b").inner_text() != "0"
        await page.get_by_role("link", name="broken-1").first.click()
        assert page.url.endswith("/workflows/order/instances/broken-1")
        assert "broken-1" in await page.title()


@pytest.mark.long
async def test_workflows_are_searched_and_lead_to_their_instances(site: Site) -> None:
    """The search is in the address; a count leads to the instances in that status."""
    async with site.open("/workflows") as page:
        await page.keyboard.press("/")
        await page.keyboard.type("ord")
        await page.wait_for_url("**/workflows?q=ord")
        await page.get_by_role("link", name="empty").wait_for(state="detached")

        await page.get_by_role("link", name="errored").click()

        assert page.url.endswith("/workflows/order?status=errored")
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
        assert await dialog.get_by_role("button", name="Cancel").evaluate("it => it === document.activeElement")
        await page.keyboard.press("Escape")
        await dialog.wait_for(state="detached")
        assert (await site.engine.get("local", "order", "p-2")).row.status == "paused"
        await page.get_by_role("button", name="Delete").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await site.sees(page, "2 instances deleted")
        await site.sees(page, "Nothing paused")


async def test_graph_of_a_version_is_drawn(site: Site) -> None:
    """Without a style of its own, which the policy would not let in; names in it stay text."""
    source = "class Order(WorkflowEntrypoint):\n    async def run(self, event, step):\n"
    body = f"        await step.do({ATTACKS[0]!r}, work)\n"
    await site.histories.draw(graph_of({"shop.py": source + body}, "shop.py", "Order"))
    async with site.open("/workflows/order/graph") as page:
        drawing = page.locator(".drawing svg")
        await drawing.wait_for()

        assert ATTACKS[0] in await drawing.text_content()
        assert await page.locator(".drawing img, .drawing style, .drawing script").count() == 0
        box = await drawing.locator("g.item .box").first.evaluate("it => getComputedStyle(it).strokeWidth")
        assert box == "1.25px"


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
        page.on("dialog", lambda dialog: alerts.append(dialog.message))
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

    assert alerts == []


async def test_keyboard_skips_the_header_and_begins_at_the_content(site: Site) -> None:
    """The first key leads to the link that skips the header; on another page the focus is at its content."""
    async with site.open("/workflows") as page:
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.id") == "content"

        await page.get_by_role("link", name="order", exact=True).click()
        await page.get_by_role("link", name="done-1").wait_for()
        assert await page.evaluate("document.activeElement.id") == "content"
        await page.keyboard.press("j")
        await page.keyboard.press("j")
        assert await page.evaluate("document.activeElement.closest('tr').rowIndex") == 2


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
        assert page.url.endswith("live=0")

        await site.histories.queued("empty", "unseen")
        await page.wait_for_timeout(300)
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
        assert "create" not in page.url
        await page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        assert not await is_wider_than_its_window(page)


@pytest.mark.long
async def test_page_says_when_the_server_is_away_and_comes_back(site: Site) -> None:
    """What was read stays, with a word that it is old; where nothing was read there is an error to try again."""
    async with site.open("/workflows/order", size=LARGE) as page:
        await page.get_by_role("link", name="done-1").wait_for()
        await page.route("**/client/**", lambda route: route.fulfill(status=503, body="down"))
        await page.keyboard.press("p")
        await page.keyboard.press("p")
        await site.sees(page, "Not up to date: last read")
        assert await page.get_by_role("link", name="done-1").count() == 1

        await page.get_by_role("link", name="Versions").click()
        await site.sees(page, "The server answered 503")
        await page.unroute("**/client/**")
        await page.get_by_role("button", name="Try again").click()

        await site.sees(page, "new instances get this one")


@pytest.mark.long
async def test_page_asks_now_and_then_where_no_stream_comes_through(site: Site) -> None:
    """A proxy that holds back streams makes the page slower, not wrong."""
    async with site.open("/login") as page:
        await page.route("**/ui/live*", lambda route: route.fulfill(status=502, body="no stream"))
        await page.goto(site.url + "/workflows/empty")
        await page.get_by_role("switch", name="Live updates: Every 5 s").wait_for(timeout=20_000)
        await site.histories.queued("empty", "polled")

        await page.get_by_role("link", name="polled").wait_for(timeout=10_000)
