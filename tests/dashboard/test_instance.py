"""The page of one instance in a browser: what it says at a glance, what it does, and what it never does."""

from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
import pytest_asyncio

from stepwell.core.records import AttemptStarted, StepSucceeded
from stepwell.graph.source import graph_of
from stepwell.tokens import Permission
from tests.api.histories import CONFIG, do
from tests.dashboard import flows
from tests.dashboard.browser import PHONE, Site, axe, boxes, expect, is_wider_than_its_window
from tests.dashboard.shop import ORDER, Shop, open_shop

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.sqlite]

TABS = ("timeline", "steps", "graph", "log", "history", "data")
HOSTILE = "/workflows/hostile/instances"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(chromium: Any) -> AsyncIterator[Shop]:
    """A server whose workflows run in the test's own process, and a browser before it."""
    async with open_shop(chromium) as shop:
        yield shop


async def test_why_it_failed_is_told_at_once_and_shown_by_one_click(shop: Shop) -> None:
    """The error and the step that raised it; a click leads to the attempt, its traceback and what it printed."""
    path = await shop.order("declined", declines=9, then="30 seconds")

    async with shop.open(path) as page:
        await page.locator(".failure", has_text="PaymentDeclined: insufficient funds").wait_for()
        await page.locator(".failure a", has_text="charge-1").click()

        panel = page.get_by_role("complementary", name="Step")
        await panel.get_by_text('raise PaymentDeclined("insufficient funds")').wait_for()
        await panel.get_by_text("charging, attempt 3").wait_for()
        assert page.url.endswith("?step=charge-1&attempt=3")

        await panel.get_by_role("link", name="1 ").first.click()
        await panel.get_by_text("charging, attempt 1").wait_for()
        assert page.url.endswith("?step=charge-1&attempt=1")

        await page.go_back()
        await panel.get_by_text("charging, attempt 3").wait_for()


async def test_attempts_of_a_step_share_a_row_and_idle_time_is_folded(shop: Shop) -> None:
    """Bars lie in the order of what happened, within the axis; a fold is opened by a click, all of them by `f`."""
    path = await shop.order("folded", declines=1, then="2 days")

    async with shop.open(path) as page:
        row = page.locator('[data-step="charge-1"]')
        await row.locator(".seg.done").wait_for()
        await page.locator(".fold", has_text="d").first.wait_for()
        parts = [f'[data-step="charge-1"] .seg.{kind}' for kind in ("failed", "delay", "done")]
        *bars, axis, nap = await boxes(page, *parts, ".axis", '[data-step="sleep:cool down-1"] .seg')

        ends = [(bar["x"], bar["x"] + bar["width"]) for bar in bars]
        assert all(end <= start + 3 for (_, end), (start, _) in pairwise(ends))
        assert ends[-1][1] <= nap["x"] + 3
        assert axis["x"] <= ends[0][0]
        assert nap["x"] + nap["width"] <= axis["x"] + axis["width"]

        await row.locator(".seg.failed").click()
        await page.wait_for_url("**?step=charge-1&attempt=1")
        await page.keyboard.press("Escape")

        await page.locator(".fold").last.click()
        await page.wait_for_url("**?fold=*")
        await page.keyboard.press("f")
        await page.wait_for_url("**?fold=0")
        await expect(page.locator(".fold")).to_have_count(0)


async def test_event_that_it_waits_for_is_sent_with_three_clicks(shop: Shop) -> None:
    """The banner knows the type; what comes of it is seen without loading the page again."""
    path = await shop.order("approved", then="1 day")

    async with shop.open(path) as page:
        await page.get_by_role("switch", name="Live updates: Live").wait_for()
        await page.get_by_role("button", name="Send this event").click()
        assert await page.get_by_label("Type").input_value() == "approved"
        await page.get_by_label("Payload").fill('{"by": ')
        await shop.sees(page, "line 1")
        await page.get_by_label("Payload").fill('{"by": "ann"}')
        await page.get_by_role("button", name="Send", exact=True).click()

        await shop.goes_to(page, "complete")
        await page.get_by_role("link", name="Data").click()
        await page.locator(".json", has_text="ann").wait_for()
    assert (await shop.workers.instance(flows.Order, "approved").output())["approval"] == {"by": "ann"}


async def test_event_that_nothing_waits_for_is_named_beside_the_one_that_is(shop: Shop) -> None:
    """Who has spelt its type otherwise sees both."""
    path = await shop.order("misspelt", then="1 day")
    await shop.workers.instance(flows.Order, "misspelt").send_event("aproved", None)

    async with shop.open(path) as page:
        await shop.sees(page, "What has come, and nothing waits for: aproved.")


@pytest.mark.long
async def test_sleep_is_skipped_by_hand(shop: Shop) -> None:
    """The dialog says what will happen; who decided is on record."""
    path = await shop.order("skipped")

    async with shop.open(path) as page:
        await page.locator(".why").get_by_role("button", name="Skip").click()
        await shop.sees(page, "Who decided is on record")
        await page.locator("dialog").get_by_role("button", name="Skip").click()

        await page.get_by_role("button", name="Send this event").wait_for()
        await page.get_by_role("link", name="Data").click()
        await page.locator("li", has_text="skip cool down-1, by local").wait_for()


@pytest.mark.long
async def test_restart_from_a_step_says_what_stays(shop: Shop) -> None:
    """By the order of the log: what came before stays, the step and all after it are run again."""
    path = await shop.order("restarted", declines=9, then="30 seconds")

    async with shop.open(path) as page:
        await page.get_by_role("button", name="Restart from this step").click()
        await shop.sees(page, "Stay, with their results: reserve-1.")
        await shop.sees(page, "Are cleared and run again: charge-1.")
        await page.locator("dialog").get_by_role("button", name="Restart").click()

        await page.locator(".failure").wait_for(state="detached")
        await page.locator(".why li", has_text="failed 1 time").wait_for()


async def test_fork_from_a_step_is_a_new_instance(shop: Shop) -> None:
    """What came before is copied, this one stays as it is, and the page of the new one is shown."""
    path = await shop.order("forked", declines=9, then="30 seconds")

    async with shop.open(path) as page:
        await page.get_by_role("group", name="Actions").get_by_role("button", name="Fork").click()
        await page.get_by_label("From").select_option(index=2)
        await shop.sees(page, "Are copied, with their results: reserve-1.")
        await page.locator("dialog").get_by_role("button", name="Fork").click()

        await page.wait_for_url(lambda url: "/instances/" in url and not url.endswith("/forked"))
        await page.get_by_text("forked_from").first.wait_for()
        await page.get_by_text("reserve-1").first.wait_for()


@pytest.mark.long
async def test_termination_asks_with_the_focus_on_cancel(shop: Shop) -> None:
    """What is in flight is named; an end takes the buttons away that make no sense any more."""
    path = await shop.order("ended")

    async with shop.open(path) as page:
        await page.get_by_role("button", name="Terminate").click()
        await expect(page.get_by_role("button", name="Cancel")).to_be_focused()
        await page.locator("dialog").get_by_role("button", name="Terminate").click()

        await shop.goes_to(page, "terminated")
        assert await page.get_by_role("group", name="Actions").get_by_role("button").all_inner_texts() == [
            "Restart",
            "Fork",
            "Delete",
        ]


async def test_actions_are_a_sheet_on_a_phone(shop: Shop) -> None:
    """One button opens them from below, as wide as the window, with words; Escape and a tap beside it close it."""
    path = await shop.order("phone")

    async with shop.open(path, size=PHONE, has_touch=True) as page:
        button = page.get_by_role("button", name="Actions")
        await button.click()
        sheet = page.get_by_role("menu", name="Actions")
        words = ["Pause", "Send event", "Restart", "Fork", "Terminate", "Delete"]
        await sheet.wait_for()
        await expect(sheet.get_by_role("menuitem")).to_have_text(words)
        box = await sheet.bounding_box()
        assert (box["x"], box["width"], box["y"] + box["height"]) == (0, PHONE[0], PHONE[1])
        await page.touchscreen.tap(160, 20)
        await sheet.wait_for(state="detached")

        await button.click()
        await sheet.get_by_role("menuitem", name="Terminate").click()
        await page.get_by_role("button", name="Cancel").click()
        await expect(button).to_be_focused()
        await button.click()
        await sheet.get_by_role("menuitem", name="Pause").click()

        await shop.goes_to(page, "paused")
        assert not await is_wider_than_its_window(page)


async def test_steps_are_reached_by_keyboard(shop: Shop) -> None:
    """Arrows move, Enter opens, Escape closes, and the focus is where it was."""
    path = await shop.order("keys")

    async with shop.open(path) as page:
        await page.locator('[data-step="reserve-1"]').focus()
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**?step=charge-1")
        await page.get_by_role("complementary", name="Step").wait_for()

        await page.keyboard.press("Escape")
        await page.get_by_role("complementary", name="Step").wait_for(state="detached")
        await page.wait_for_function("document.activeElement.dataset.step === 'charge-1'")


@pytest.mark.long
async def test_numbers_keep_their_digits(shop: Shop) -> None:
    """Params and results are shown as they were written."""
    path = await shop.order("digits")

    async with shop.open(f"{path}?step=reserve-1") as page:
        await page.get_by_role("complementary", name="Step").get_by_text("12345678901234567890").wait_for()


async def test_graph_leads_to_the_step(shop: Shop) -> None:
    """The drawing has how each node stands; a click on one opens its step."""
    await shop.histories.draw(graph_of({"shop.py": SOURCE}, "shop.py", "Order"))
    await shop.histories.errored("order", "drawn")

    async with shop.open(f"{ORDER}/drawn?tab=graph") as page:
        await page.locator(".drawing .errored", has_text="charge").first.click()
        await page.wait_for_url("**?tab=graph&step=charge-1")

        await page.get_by_text("As an outline").click()
        await page.locator(".outline li", has_text="ship").get_by_text("not reached").wait_for()


@pytest.mark.long
async def test_log_goes_on_when_its_stream_has_ended(shop: Shop) -> None:
    """A server that stops ends the stream, or breaks it off; lines come again when it is back."""
    path = await shop.order("broken-off")
    ends = [200, 503]

    async def end_twice(route: Any) -> None:
        await (route.fulfill(status=ends.pop(0), body="") if ends else route.continue_())

    async with shop.open("/workflows") as page:
        await page.route("**/logs?follow=true*", end_twice)
        await page.goto(f"{shop.url}{path}?tab=log")
        await page.get_by_text("charging, attempt 1").wait_for()
        await shop.sees(page, "New lines do not come")

        await page.get_by_text("New lines do not come").wait_for(state="detached")
        assert await page.get_by_text("charging, attempt 1").count() == 1


@pytest.mark.long
async def test_graph_follows_the_instance(shop: Shop) -> None:
    """Nodes change how they stand as it goes on."""
    await shop.histories.draw(graph_of({"shop.py": SOURCE}, "shop.py", "Order"))
    path = await shop.order("followed")

    async with shop.open(f"{path}?tab=graph") as page:
        await page.get_by_role("switch", name="Live updates: Live").wait_for()
        await page.locator(".drawing .faint", has_text="ship").wait_for()
        await shop.workers.advance("1 day")
        await shop.workers.instance(flows.Order, "followed").send_event("approved")
        await shop.workers.run_until_idle()

        await page.locator(".drawing .complete", has_text="ship").wait_for()


SOURCE = """
class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.do("charge", work)
        await step.do("ship", work)
"""


@pytest.mark.long
async def test_log_has_new_lines_as_they_are_said(shop: Shop) -> None:
    """Lines with their step; those that come later come by themselves, and levels choose."""
    path = await shop.order("talks", declines=1)

    async with shop.open(f"{path}?tab=log") as page:
        await page.locator(".line", has_text="charging, attempt 1").wait_for()
        await shop.workers.advance("10 seconds")
        await page.locator(".line", has_text="charging, attempt 2").wait_for()

        await page.get_by_label("Levels").select_option("errors")
        await page.wait_for_url("**?tab=log&level=errors")
        await expect(page.locator(".line")).to_have_count(1)


@pytest.mark.parametrize("tab", [*(pytest.param(tab, marks=pytest.mark.long) for tab in TABS[:-1]), TABS[-1]])
async def test_hostile_values_stay_text(shop: Shop, tab: str) -> None:
    """Names, errors, lines and results: nothing runs, nothing turns the direction of what follows."""
    await shop.workers.create(flows.Hostile, id=f"evil-{tab}", params={flows.EVIL: flows.EVIL})
    await shop.workers.run_until_idle()

    async with shop.open(f"{HOSTILE}/evil-{tab}?tab={tab}", size=PHONE) as page:
        await page.locator(".pane", has_text="<img src=x onerror=alert(1)>").wait_for()

        assert await page.locator("main img, main script").count() == 0
        assert "\u202e" not in await page.inner_text("main")
        assert not await is_wider_than_its_window(page)


@pytest.mark.long
async def test_large_output_is_shown_when_asked_for(shop: Shop) -> None:
    """First its beginning; a name without a space breaks nothing."""
    await shop.workers.create(flows.Hostile, id="large", params={})
    await shop.workers.run_until_idle()

    async with shop.open(f"{HOSTILE}/large?step={'W' * 250}-1", size=PHONE) as page:
        await shop.sees(page, "The first 64 KB of 879 KB")
        await page.get_by_role("button", name="Show all").click()
        await page.get_by_text("The first 64 KB").wait_for(state="detached")


@pytest.mark.long
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_page_keeps_nobody_out(shop: Shop, theme: str) -> None:
    """Axe finds nothing serious, in both themes, on any tab, with a step open."""
    path = await shop.order(f"seen-{theme}", declines=1, then="2 days")

    for tab in TABS:
        async with shop.open(f"{path}?tab={tab}&step=charge-1", theme=theme) as page:
            await page.locator(".attempts").wait_for()
            await page.wait_for_timeout(150)
            await expect(page.locator(".loading")).to_have_count(0)
            found = await page.evaluate(f"{axe()}; axe.run(document, {{resultTypes: ['violations']}})")
            serious = [rule["id"] for rule in found["violations"] if rule["impact"] in ("serious", "critical")]
            assert serious == [], [
                (rule["id"], [node["html"][:200] for node in rule["nodes"][:3]]) for rule in found["violations"]
            ]


@pytest.mark.long
async def test_instance_that_it_awaits_is_a_click_away(shop: Shop) -> None:
    """At the top, in the step and as a tree; from there the way back."""
    await shop.workers.create(flows.Trip, id="trip")
    await shop.workers.run_until_idle()

    async with shop.open("/workflows/trip/instances/trip?tab=family") as page:
        await page.locator(".why", has_text="Awaits the instance trip-").wait_for()
        assert await page.get_by_role("button", name="Send this event").count() == 0
        await page.locator(".family li").last.get_by_role("link").click()
        await page.wait_for_url("**/workflows/order/instances/trip-*")

        await page.locator(".facts", has_text="awaited by").get_by_role("link", name="trip", exact=True).click()
        await page.wait_for_url("**/workflows/trip/instances/trip")


@pytest.mark.long
async def test_every_kind_of_entry_is_drawn(shop: Shop) -> None:
    """Attempts that were lost or interrupted, calls that were cancelled, waits that an event or time has ended."""
    await shop.histories.complete("order", "all-kinds")

    async with shop.open(f"{ORDER}/all-kinds?fold=0") as page:
        retried = page.locator('[data-step="retried-1"]')
        await retried.locator(".seg.done").wait_for()

        assert [await retried.locator(f".seg.{kind}").count() for kind in ("failed", "cut", "delay")] == [2, 1, 3]
        assert await page.locator('[data-step="wait:approval-1"] .diamond').count() == 1
        assert await page.locator('[data-step="wait:silence-1"] .clock').count() == 1
        await page.locator('[data-step="card-1"] a').click()
        await shop.sees(page, "Hidden by the workflow")


@pytest.mark.long
async def test_pause_and_event_are_drawn_where_they_were(shop: Shop) -> None:
    """A band as long as the pause lasted, named on the axis; an event that came before its wait leads to it."""
    path = await shop.order("paused", then="1 hour")
    instance = shop.workers.instance(flows.Order, "paused")
    await instance.send_event("approved", {"by": "ann"})
    await instance.pause()
    await shop.workers.advance("2 days")
    await instance.resume()
    await shop.workers.advance("2 days")

    async with shop.open(f"{path}?fold=0") as page:
        await page.locator(".pause-word", has_text="paused 2 d").wait_for()
        of_sleep, of_wait = '[data-step="sleep:cool down-1"]', '[data-step="wait:approval-1"]'
        parts = [".waterfall .pause", f"{of_sleep} .seg", f"{of_wait} .came", f"{of_wait} .seg"]
        band, nap, came, wait = await boxes(page, *parts)

        assert nap["x"] < band["x"] < band["x"] + band["width"] < nap["x"] + nap["width"]
        assert came["x"] <= band["x"]
        assert abs(came["x"] + came["width"] - wait["x"]) < 4
        assert await page.locator(".axis .mark.event").count() == 1


@pytest.mark.long
async def test_termination_is_a_line_through_all_rows(shop: Shop) -> None:
    """Where somebody ended the instance."""
    path = await shop.order("terminated")
    await shop.workers.instance(flows.Order, "terminated").terminate()

    async with shop.open(path) as page:
        await page.locator(".waterfall .ended").get_by_role("img", name="terminated").wait_for()


@pytest.mark.long
async def test_steps_at_the_same_time_stand_in_a_bracket(shop: Shop) -> None:
    """As far as the graph says that they are meant to."""
    source = """
import asyncio

class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        await asyncio.gather(step.do("left", work), step.do("right", work))
"""
    await shop.histories.draw(graph_of({"shop.py": source}, "shop.py", "Order"))
    turn = await shop.histories.turn("order", "both")
    both = do("left"), do("right")
    await turn.write(*[AttemptStarted(turn.now(), key, 1, CONFIG) for key in both])
    await turn.write(*[StepSucceeded(turn.now(), key, 1, "1") for key in both])
    await turn.complete()

    async with shop.open(f"{ORDER}/both") as page:
        await page.locator('.bracket.first[data-step="left-1"]').wait_for()
        await page.locator('.bracket.last[data-step="right-1"]').wait_for()


@pytest.mark.long
async def test_history_has_all_records(shop: Shop) -> None:
    """Numbered, chosen by kind, with new ones as they come; a step in it leads to its panel."""
    path = await shop.order("recorded", declines=1)

    async with shop.open(f"{path}?tab=history") as page:
        await page.get_by_role("switch", name="Live updates: Live").wait_for()
        await page.locator(".record", has_text="attempt failed").wait_for()
        await shop.workers.advance("10 seconds")
        await page.locator(".record", has_text="sleep started").wait_for()

        await page.get_by_label("Kinds").select_option("sleeps")
        await page.wait_for_url("**?tab=history&kind=sleeps")
        await expect(page.locator(".record")).to_have_count(1)
        await page.locator(".record a").click()
        await page.get_by_role("complementary", name="Step").wait_for()
        assert "step=sleep" in page.url


@pytest.mark.long
async def test_brackets_lead_through_the_list(shop: Shop) -> None:
    """`[` and `]` go to the instance before and behind, in the order of the list that one came from."""
    for name in ("one", "two", "three"):
        await shop.order(f"walk-{name}")

    async with shop.open("/workflows/order?sort=created&range=custom") as page:
        await page.get_by_role("link", name="walk-two").click()
        await page.locator(".facts").wait_for()
        await page.keyboard.press("]")
        await page.wait_for_url("**/walk-three")
        await page.get_by_role("button", name="previous instance of the list").click()
        await page.wait_for_url("**/walk-two")
        await page.keyboard.press("[")
        await page.wait_for_url("**/walk-one")


@pytest.mark.long
async def test_failed_rollback_can_be_gone_on_with(site: Site) -> None:
    """Both errors stand at the top; rollbacks have rows of their own."""
    await site.histories.rolled_back("order", "undone")

    async with site.open(f"{ORDER}/undone") as page:
        await page.locator(".failure", has_text="The rollback failed: ValueError").wait_for()
        await page.locator('[data-step="rollback:pay-1"] .seg.undo').wait_for()
        await page.get_by_role("button", name="Go on with the rollback").click()
        await page.locator("dialog").get_by_role("button", name="Go on").click()

        await page.locator(".facts .badge", has_text="rolling back").wait_for()


async def test_reader_sees_no_action(guarded_site: Site) -> None:
    """Who may only read is offered nothing else."""
    secret = await guarded_site.tokens.create("local", [Permission.SCRIPTS_READ])

    async with guarded_site.open(f"{ORDER}/waits-1") as page:
        await page.get_by_label("API token").fill(secret)
        await page.get_by_role("button", name="Sign in").click()
        await page.locator(".why li").first.wait_for()

        assert await page.get_by_role("group", name="Actions").count() == 0
        assert await page.get_by_role("button", name="Send this event").count() == 0


@pytest.mark.long
async def test_five_thousand_steps_stay_quick(shop: Shop) -> None:
    """Only what can be seen is drawn; the last row is there as soon as it is scrolled to."""
    await shop.workers.create(flows.Many, id="many", params={"steps": 5_000})
    await shop.workers.run_until_idle()

    async with shop.open("/workflows/many/instances/many") as page:
        await page.get_by_text("5,000 rows").wait_for(timeout=30_000)
        await page.locator(".bars").evaluate("box => { box.scrollTop = box.scrollHeight; }")
        await page.locator('[data-step="page 4999-1"]').wait_for()

        assert await page.evaluate("document.querySelectorAll('*').length") < 2_000
