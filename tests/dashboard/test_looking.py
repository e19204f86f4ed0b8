"""What values, graphs and sources are looked at with, in a browser, and the form for new instances."""

import hashlib
import re
import shlex
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from stepwell.graph.source import graph_of
from tests.dashboard import flows
from tests.dashboard.browser import axe, boxes, expect, is_wider_than_its_window
from tests.dashboard.shop import ORDER, Shop, open_shop

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.sqlite]

CLIPBOARD = ["clipboard-read", "clipboard-write"]
SOURCE = f"""
class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        # {flows.EVIL}</script>
        await step.do("charge", work)
        await step.do("ship", work)
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(chromium: Any) -> AsyncIterator[Shop]:
    """A server whose workflows run in the test's own process, and a browser before it."""
    async with open_shop(chromium) as shop:
        graph = graph_of({"shop.py": SOURCE}, "shop.py", "Order")
        assert graph is not None
        sources = {"shop.py": SOURCE, "flows.py": Path(flows.__file__).read_text()}
        await shop.histories.draw(msgspec.structs.replace(graph, sources=sources))
        yield shop


async def copied(page: Any) -> str:
    """Return what lies in the clipboard."""
    text: str = await page.evaluate("navigator.clipboard.readText()")
    return text


async def test_panel_is_made_wider_by_keyboard_and_by_drag(shop: Shop) -> None:
    """It has two fifths of the width, and as much as was given it last; so has the column of the names."""
    path = await shop.order("wide")

    async with shop.open(f"{path}?step=charge-1") as page:
        divider = page.get_by_role("separator", name="width of the step")
        await expect(divider).to_have_attribute("aria-valuenow", "40")
        await page.locator(".panel").wait_for()
        split, before = await boxes(page, ".split", ".panel")
        assert abs(before["width"] / split["width"] - 0.4) < 0.02
        await divider.focus()
        await page.keyboard.press("ArrowLeft")
        await expect(divider).to_have_attribute("aria-valuenow", "42")

        box = await divider.bounding_box()
        await page.mouse.move(box["x"] + 12, box["y"] + 50)
        await page.mouse.down()
        await page.mouse.move(split["x"] + split["width"] / 2, box["y"] + 60)
        await page.mouse.up()
        await expect(divider).to_have_attribute("aria-valuenow", "50")
        names = page.get_by_role("separator", name="width of the names")
        await names.press("ArrowRight")

        await page.reload()
        await expect(divider).to_have_attribute("aria-valuenow", "50")
        await expect(names).to_have_attribute("aria-valuenow", "256")


async def test_long_value_is_folded_and_searched(shop: Shop) -> None:
    """Each object and array by a click, all at once by a button; a search opens what hides what it finds."""
    params = {
        "declines": 0,
        "items": [{"n": n, flows.EVIL: flows.EVIL} for n in range(20)],
        "last": [{"word": "needle"}],
    }
    await shop.workers.create(flows.Order, id="long", params=params)
    await shop.workers.run_until_idle()

    async with shop.open(f"{ORDER}/long?tab=data") as page:
        value = page.get_by_role("group", name="params")
        await value.get_by_role("button", name='"items", 20 members').click()
        await expect(value.get_by_text('"n"')).to_have_count(0)
        await expect(value.locator(".row-of-value", has_text="items")).to_have_text('"items": [20 ...],')

        search = page.get_by_role("searchbox", name="Search params")
        await search.fill("ONERROR")
        await shop.sees(page, "1 of 20 lines")
        await search.press("Shift+Enter")
        await shop.sees(page, "20 of 20 lines")
        await expect(value.locator(".found mark")).to_have_count(2)

        await search.fill("needle")
        await expect(value.locator(".found")).to_have_text('"word": "needle"')
        assert await page.locator("main img, main script").count() == 0
        assert "\u202e" not in await page.inner_text("main")


async def test_bytes_are_shown_by_their_beginning_and_their_hash(shop: Shop) -> None:
    """The first 256 of them, as numbers and as text; all are downloaded."""
    await shop.workers.create(flows.Many, id="scanned", params={"steps": 0, "bytes": 1_000})
    await shop.workers.run_until_idle()
    whole = bytes(at % 256 for at in range(1_000))

    async with shop.open("/workflows/many/instances/scanned?step=scan-1") as page:
        await shop.sees(page, f"SHA-256 {hashlib.sha256(whole).hexdigest()}")
        lines = (await page.get_by_label("first bytes").inner_text()).split("\n")
        assert len(lines) == 16
        assert lines[4] == "0040  40 41 42 43 44 45 46 47 48 49 4a 4b 4c 4d 4e 4f  @ABCDEFGHIJKLMNO"


async def test_graph_is_zoomed_and_moved_and_leads_to_the_source(shop: Shop) -> None:
    """By buttons and keys; a drag moves it and is no click; a click on a node opens its lines, as text."""
    async with shop.open("/workflows/order/graph") as page:
        drawing = page.locator(".drawing")
        await drawing.locator("svg").wait_for()
        (fit,) = await boxes(page, ".drawing svg")
        for _ in range(4):
            await page.get_by_role("button", name="zoom in").click()
        (large,) = await boxes(page, ".drawing svg")
        assert large["width"] > 2 * fit["width"]

        box = await drawing.bounding_box()
        top = await drawing.evaluate("it => it.scrollTop")
        await page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 300)
        await page.mouse.down()
        await page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 200, steps=3)
        await page.mouse.up()
        assert await drawing.evaluate("it => it.scrollTop") == top + 100
        await page.keyboard.press("0")
        await expect(page.get_by_role("button", name="Fit")).to_have_attribute("aria-pressed", "true")
        assert "/graph" in page.url

        await page.get_by_text("As an outline").click()
        await expect(page.locator(".outline a")).to_have_text(["shop.py:5", "shop.py:6"])
        await drawing.locator("[data-key]", has_text="ship").first.click()
        await page.wait_for_url("**/source?version=*&file=shop.py&line=6")
        await expect(page.locator(".source .chosen")).to_have_text('6        await step.do("ship", work)')
        await expect(page.locator(".source > div")).to_have_count(6)
        assert await page.locator("main img, main script").count() == 0
        assert "\u202e" not in await page.inner_text("main")


async def test_traceback_leads_to_the_source(shop: Shop) -> None:
    """To the very line of that version, where its files have it."""
    path = await shop.order("raises", declines=1)

    async with shop.open(f"{path}?step=charge-1") as page:
        await page.locator(".raised a").click()
        await page.wait_for_url("**/source?version=*&file=flows.py&line=*")
        await expect(page.locator(".source .chosen code")).to_have_text(
            '                raise PaymentDeclined("insufficient funds")'
        )


async def test_form_has_what_was_typed_elsewhere(shop: Shop) -> None:
    """The params of another instance, as a command that a shell takes as it is meant; lines have numbers."""
    nasty = 'it\'s $(date) `x` \\ "q"'
    await shop.workers.create(flows.Order, id="model", params={"declines": 0, "note": nasty})
    await shop.workers.run_until_idle()

    async with shop.open("/workflows/order?create=1", permissions=CLIPBOARD) as page:
        params = page.get_by_label("Params (JSON)")
        await page.get_by_label("Params of an instance").fill("model")
        await page.get_by_label("Params of an instance").press("Enter")
        await expect(page.locator(".gutter").first).to_have_text("1\n2\n3\n4")
        await expect(page.locator("#new-params-says")).to_contain_text("of 1.0 MB")
        await page.get_by_label("Id (optional)").fill("-new")
        await page.get_by_label("Labels (optional)").fill("customer=ann's\nkind=a b")
        await page.get_by_role("button", name="copy as a command").click()
        words = shlex.split(await copied(page))
        assert words[:2] == ["stepwell", "trigger"]
        assert words[-2:] == ["order", await params.input_value()]
        assert words[2:-2] == ["--id=-new", "--label=customer=ann's", "--label=kind=a b", f"--url={shop.url}"]

        await params.press("Control+Home")
        await params.press("Control+]")
        assert (await params.input_value()).startswith("  {")
        await params.press("Control+[")
        assert (await params.input_value()).startswith("{")
        await params.press("Tab")
        await expect(params).not_to_be_focused()


async def test_params_are_remembered_unless_that_is_switched_off(shop: Shop) -> None:
    """In this browser, of this workflow; a form that has something in it asks before it goes."""
    async with shop.open("/workflows/order?create=1") as page:
        params = page.get_by_label("Params (JSON)")
        await page.get_by_label("then another").check()
        await params.fill('{"declines": 0}')
        await page.get_by_role("button", name="Create", exact=True).click()
        await page.locator("dialog").get_by_text("created").wait_for()
        assert await page.evaluate("localStorage['stepwell.params.order']") == '["{\\"declines\\": 0}"]'

        await page.get_by_label("remember the last 10 here").uncheck()
        assert await page.evaluate("localStorage['stepwell.params.order']") is None
        await page.get_by_role("button", name="Create", exact=True).click()
        await expect(page.get_by_role("button", name="Create", exact=True)).to_be_enabled()
        assert await page.evaluate("localStorage['stepwell.params.order']") is None

        asked: list[str] = []

        async def stay(dialog: Any) -> None:
            asked.append(dialog.message)
            await dialog.dismiss()

        page.on("dialog", stay)
        await page.keyboard.press("Escape")
        await expect(params).to_be_visible()
        assert asked == ["Close this and lose what was typed?"]
        page.remove_listener("dialog", stay)
    await shop.workers.run_until_idle()


async def test_rows_are_gone_through_and_ticked_by_keyboard(shop: Shop) -> None:
    """Arrows go on from a row, x ticks it, X all up to it, and the way right is into it."""
    for n in range(4):
        await shop.order(f"row-{n}")

    async with shop.open("/workflows/order?prefix=row-&sort=created") as page:
        await page.get_by_role("link", name="row-3").wait_for()
        await page.keyboard.press("j")
        await page.keyboard.press("x")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Shift+X")
        await expect(page.locator("tr.ticked")).to_have_count(3)

        await page.keyboard.press("ArrowUp")
        await page.keyboard.press("ArrowRight")
        await page.wait_for_url("**/row-1")


async def test_instance_is_copied_as_a_command(shop: Shop) -> None:
    """From the menu beside its id, also by who may only read; the file has what the API answers."""
    path = await shop.order("copied")

    async with shop.open(path, permissions=CLIPBOARD) as page:
        menu = page.get_by_role("button", name="elsewhere")
        await menu.click()
        await page.get_by_role("menuitem", name="Copy as a command").click()
        assert await copied(page) == f"stepwell instances describe --url={shop.url} order copied"
        await menu.click()
        async with page.expect_download() as saved:
            await page.get_by_role("menuitem", name="Download as JSON").click()
        assert (await saved.value).suggested_filename == "copied.json"


async def test_two_instances_are_compared(shop: Shop) -> None:
    """Ticked in the list, or one chosen from the other's page: what differs is said in words, and values by lines."""
    await shop.order("pair-bad", declines=9)
    await shop.order("pair-good", then="30 seconds")

    async with shop.open("/workflows/order?prefix=pair-") as page:
        await page.get_by_label("tick pair-good").check()
        await page.get_by_label("tick pair-bad").check()
        await page.get_by_role("region", name="Ticked").get_by_role("button", name="Compare").click()
        await page.wait_for_url("**/workflows/order/compare?a=pair-bad&b=pair-good")
        await shop.sees(
            page, "2 of 3 steps differ: 1 in both, 1 only in B. The first is charge-1: status, attempts, error."
        )
        steps = page.get_by_role("table", name="Steps of A and B").locator("tbody tr")
        await expect(steps).to_have_text(
            [
                re.compile(r"differscharge-1 do.*failed 3 attempts.*complete.*status, attempts, error"),
                re.compile(r"only in Bcool down-1 sleep.*did not run.*sleeping"),
            ]
        )
        await expect(page.get_by_role("group", name="params: lines that differ").locator(".in-A, .in-B")).to_have_text(
            ['only in A  "declines": 9', 'only in B  "declines": 0']
        )
        await page.get_by_role("link", name="Show the 1 step that is the same").click()
        await expect(steps).to_have_count(3)
        await steps.get_by_role("link", name="charge-1").click()
        await page.wait_for_url("**&all=1&step=charge-1")
        await expect(page.locator(".opened .raised")).to_have_text("PaymentDeclinedinsufficient funds")

        await page.get_by_role("link", name="Open it in B").click()
        await page.wait_for_url("**/instances/pair-good?step=charge-1")
        await page.get_by_role("button", name="elsewhere").click()
        await page.get_by_role("menuitem", name="Compare with").click()
        await page.wait_for_url("**/compare?a=pair-good")
        await page.get_by_role("link", name="errored", exact=True).click()
        await page.get_by_role("link", name="pair-bad").click()
        await page.wait_for_url("**/compare?a=pair-good&b=pair-bad")
        await page.goto(f"{shop.url}/workflows/order/compare?a=pair-good&b=nobody")
        await page.locator(".problem", has_text="nobody").wait_for()


async def test_hostile_instances_are_compared_as_text(shop: Shop) -> None:
    """Long outputs are read as a whole; those that are too long to be compared by lines are shown both."""
    for n in range(2):
        await shop.workers.create(flows.Hostile, id=f"evil-{n}", params={flows.EVIL: n})
    await shop.workers.run_until_idle()
    long = f"{'W' * 250}-1"

    async with shop.open(f"/workflows/hostile/compare?a=evil-0&b=evil-1&all=1&step={long}") as page:
        await shop.sees(page, "All 3 steps do not differ.")
        await shop.sees(page, "long outputs: open to compare")
        await page.locator(".opened").get_by_text("same", exact=True).wait_for()
        await expect(page.locator(".diff .in-B")).to_contain_text("onerror=alert(1)>⟦U+202E⟧gnp")
        assert await page.locator("main img, main script").count() == 0
        assert "\u202e" not in await page.inner_text("main")
        await page.set_viewport_size({"width": 320, "height": 640})
        assert not await is_wider_than_its_window(page)


@pytest.mark.long
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_what_is_looked_at_keeps_nobody_out(shop: Shop, theme: str) -> None:
    """Axe finds nothing serious in the form, a tree, a drawing and a source; nothing is wider than a phone."""
    items = {"declines": 0, "items": [{"n": n} for n in range(20)]}
    await shop.workers.create(flows.Order, id=f"axe-{theme}", params=items)
    await shop.order(f"bad-{theme}", declines=9, then="30 seconds")

    for path in (
        "/workflows/order?create=1",
        "/workflows/order/graph",
        "/workflows/order/source?line=5",
        f"/workflows/order/compare?a=axe-{theme}&b=bad-{theme}&all=1&step=charge-1",
        f"/workflows/order/compare?a=axe-{theme}",
        "/",
        f"{ORDER}/axe-{theme}?tab=data",
        f"{ORDER}/axe-{theme}?tab=graph&step=charge-1",
    ):
        async with shop.open(path, theme=theme) as page:
            await page.wait_for_timeout(150)
            await expect(page.locator(".loading")).to_have_count(0)
            found = await page.evaluate(f"{axe()}; axe.run(document, {{resultTypes: ['violations']}})")
            serious = [rule for rule in found["violations"] if rule["impact"] in ("serious", "critical")]
            assert serious == [], [(rule["id"], [node["html"][:200] for node in rule["nodes"][:3]]) for rule in serious]
            await page.set_viewport_size({"width": 320, "height": 640})
            assert not await is_wider_than_its_window(page)
