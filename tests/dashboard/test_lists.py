"""The dashboard's lists of instances, schedules, limits, hosts and jobs in a browser: how what is there is found."""

import re
import socket
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from stepwell import __version__
from stepwell.api import create_app
from stepwell.fact_log import FactLog
from stepwell.flow import Rate, SharedLimit
from stepwell.hosts import LOOPBACK_HOSTS
from stepwell.http_server import HttpServer
from stepwell.store.audit_operations import AUDIT_ACTIONS, Asked, Audited
from stepwell.store.control_operations import DeleteInstance
from stepwell.store.fact_operations import Fact
from stepwell.store.flow_operations import LimitAccount
from stepwell.store.job_operations import AdvanceJob, JobFailure, StartJob
from stepwell.store.search_operations import Wanted
from tests.api.conftest import NOW
from tests.api.histories import JOB_ID
from tests.dashboard import flows
from tests.dashboard.browser import PHONE, axe, expect, is_wider_than_its_window
from tests.dashboard.shop import Shop, open_shop

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.sqlite]

FULL = (
    "/instances",
    "/schedules",
    "/hosts",
    "/jobs",
    "/audit",
    "/facts",
    "/workflows/report/limits",
    "/workflows/report/settings",
    "/workflows/report",
)
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(chromium: Any) -> AsyncIterator[Shop]:
    """A server with orders and reports of some customers, and a browser before it."""
    async with open_shop(chromium) as shop:
        for n, customer in enumerate(("ann", "ann", "bob", HOSTILE, "x" * 256)):
            labels = {"customer": customer, "env": "prod"}
            await shop.workers.create(
                flows.Report, id=f"report-{n}", params={"customer": customer[:200]}, labels=labels
            )
        await shop.workers.create(flows.Order, id="order-1", labels={"customer": "ann", "env": "test"})
        await shop.workers.create(flows.Order, id="order-2", params={"declines": 9}, labels={"customer": "bob"})
        await shop.engine.jobs.start("local", "pause", None, Wanted(labels={"customer": "x" * 256}), HOSTILE)
        for n in range(51):
            asked = Asked("token", HOSTILE, NOW + n, "aa", HOSTILE, HOSTILE)
            await shop.engine.store.run(Audited(LimitAccount("local", None, NOW), asked))
        await shop.workers.advance("1 day")
        yield shop


async def test_instance_of_a_customer_is_found_from_anywhere(shop: Shop) -> None:
    """`/` leads to the search over all workflows; a label is a chip, and in the address; the row says what it does."""
    async with shop.open("/workflows/order/versions") as page:
        await page.keyboard.press("/")
        await page.wait_for_url("**/instances")
        field = page.get_by_label("Id, or a label")
        await page.locator("[data-search]:focus").wait_for()
        # At once: a field that is read a quarter of a second after a key may be drawn anew before the next one.
        await page.keyboard.insert_text("customer=ann")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/instances?label=customer%3Dann")
        await expect(page.locator("tbody a.row")).to_have_text(["order-1", "report-1", "report-0"])
        await expect(field).to_have_value("")

        await page.get_by_role("link", name="env=test").first.click()
        await page.wait_for_url("**/instances?label=customer%3Dann&label=env%3Dtest")
        await expect(page.locator("tbody a.row")).to_have_text(["order-1"])
        await page.locator("tr", has_text="order-1").get_by_text("waiting for approved, ").wait_for()
        await page.get_by_role("link", name="remove env=test").click()
        await page.get_by_role("link", name="report-0").wait_for()
        await page.get_by_role("link", name="order-1").click()
        await page.locator(".facts", has_text="customer=ann").wait_for()


async def test_statuses_ids_and_errors_are_searched_for_together(shop: Shop) -> None:
    """Each chip is a switch; beginnings of ids, names and texts of errors narrow what is found; `Clear` ends that."""
    async with shop.open("/instances") as page:
        chips = page.get_by_role("list", name="Instances by status")
        await chips.get_by_role("link", name="errored").click()
        await chips.get_by_role("link", name="waiting").click()
        await page.wait_for_url("**/instances?status=errored&status=waiting")
        await page.get_by_role("link", name="order-1").wait_for()
        await chips.get_by_role("link", name="waiting").click()
        await page.wait_for_url("**/instances?status=errored")
        await page.get_by_role("link", name="order-2").wait_for()
        await expect(page.get_by_role("link", name="order-1")).to_have_count(0)

        await page.get_by_role("link", name="PaymentDeclined").click()
        await page.wait_for_url("**/instances?status=errored&error=PaymentDeclined")
        await page.get_by_label("Text of the error").fill("funds")
        await page.wait_for_url("**&error_text=funds")
        await page.get_by_role("link", name="order-2").wait_for()
        await page.get_by_label("Id, or a label").fill("report")
        await shop.sees(page, "Nothing matches")

        await page.get_by_role("link", name="Clear", exact=True).click()
        await page.get_by_role("link", name="report-0").wait_for()
        assert page.url.endswith("/instances")


async def test_version_trigger_and_duration_are_asked_for_in_the_form(shop: Shop) -> None:
    """Their fields are there when somebody wants more, or an address has them; a duration that is none is told."""
    versions = await shop.engine.versions("local", "order", limit=1)
    async with shop.open("/workflows/order") as page:
        more = page.get_by_role("button", name="More filters")
        await more.wait_for()
        assert await page.get_by_label("Took at least").count() == 0
        await more.click()
        await page.locator(f"datalist option[value='{versions.rows[0].id}']").wait_for(state="attached")
        await page.get_by_label("Took at least").fill("1 minute")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/order?duration_min=1+minute")
        await page.get_by_role("link", name="order-1").wait_for()
        await expect(page.get_by_role("link", name="order-2")).to_have_count(0)
        await page.get_by_label("Created by").select_option("cron")
        await page.wait_for_url("**/order?duration_min=1+minute&trigger=cron")
        await shop.sees(page, "Nothing matches")
        await page.get_by_role("link", name="remove by cron").click()
        await page.get_by_label("Version").fill(versions.rows[0].id)
        await page.keyboard.press("Enter")
        await page.get_by_role("link", name=f"remove version {versions.rows[0].id}").wait_for()
        await page.get_by_role("link", name="order-1").wait_for()

        await page.get_by_label("Took at most").fill("soon")
        await page.keyboard.press("Enter")
        await page.locator(".problem", has_text="duration_max").wait_for()
    async with shop.open("/instances?duration_max=1+minute") as page:
        assert await page.get_by_role("textbox", name="Took at most").input_value() == "1 minute"
        await page.get_by_role("link", name="order-2").wait_for()


async def test_search_that_was_cut_short_says_so_and_goes_on(shop: Shop) -> None:
    """A page that has found nothing so far is not shown as if there were nothing."""
    async with shop.open("/docs") as page:

        async def cut_short(route: Any) -> None:
            answer = await route.fetch()
            body = await answer.json()
            body["result"] = []
            body["result_info"] |= {
                "has_more": True,
                "is_partial": True,
                "cursor": "further",
                "looked_to": "2026-11-23T12:03:00.000Z",
            }
            await route.fulfill(json=body)

        await page.route("**/stepwell/instances?*", cut_short)
        await page.goto(f"{shop.url}/instances?error_text=rare")
        await shop.sees(page, "Nothing found so far")
        await shop.sees(page, "looked back to")
        await page.unroute("**/stepwell/instances?*")
        await page.get_by_role("link", name="Go on").click()

        await page.wait_for_url("**/instances?error_text=rare&cursor=further")


async def test_instance_is_created_with_labels(shop: Shop) -> None:
    """One in each line; a label that may not be is refused inside the dialog."""
    async with shop.open("/workflows/report?create=1") as page:
        await page.get_by_label("Id (optional)").fill("labelled")
        await page.get_by_label("Labels").fill("customer=cat\nnothing")
        await page.get_by_role("button", name="Create", exact=True).click()
        await page.locator("dialog .problem", has_text="the value of the label nothing").wait_for()

        await page.get_by_label("Labels").fill("customer=cat\n\n note = a=b ")
        await page.get_by_role("button", name="Create", exact=True).click()
        await page.locator("dialog .problem", has_text="name of a label").wait_for()
        await page.get_by_label("Labels").fill("customer=cat\nnote=a=b")
        await page.get_by_role("button", name="Create", exact=True).click()

        await page.wait_for_url("**/workflows/report/instances/labelled")
        await page.get_by_role("link", name="note=a=b").wait_for()


async def test_workflow_shows_how_its_latest_instances_ended(shop: Shop) -> None:
    """A bar for each, the last on the right, told in words, too; what ends while somebody looks is there by itself."""
    await shop.order("fails", declines=9, then="30 seconds")
    async with shop.open("/workflows") as page:
        await page.locator("tr", has_text="trip").get_by_text("none").wait_for()
        row = page.locator("tr", has_text="Order in")
        strip = row.get_by_role("img", name="the latest")
        await expect(strip).to_have_attribute("aria-label", re.compile("; the last errored$"))
        before = await strip.locator("rect").count()

        await shop.workers.create(flows.Order, id="ends")
        await shop.workers.instance(flows.Order, "ends").terminate()
        await row.get_by_role("img", name=re.compile("terminated; the last terminated$")).wait_for()

        assert await strip.locator("rect").count() == before + 1
        assert await strip.locator("rect").last.get_attribute("x") == "92"


async def test_schedule_is_paused_resumed_and_run(shop: Shop) -> None:
    """It is told in words, with its next firings in UTC and here; what is done to it is seen at once."""
    async with shop.open("/schedules") as page:
        row = page.locator("tr", has_text="MON-FRI")
        await row.get_by_text("At 09:00 on Monday through Friday, UTC").wait_for()
        await row.locator("summary").click()
        assert await row.locator("li", has_text="09:00 UTC").count() == 5

        await row.get_by_role("button", name="Pause").click()
        await row.locator(".s-paused").wait_for()
        await row.get_by_role("button", name="Resume").click()
        await row.locator(".s-paused").wait_for(state="detached")
        await row.get_by_role("button", name="Run now").click()
        await page.get_by_role("button", name="Open").click()

        await page.wait_for_url("**/workflows/report/instances/manual-*")


async def test_limits_say_who_runs_and_who_waits(shop: Shop) -> None:
    """How many run of how many, and each key with its queue."""
    async with shop.open("/workflows/report/limits") as page:
        await page.locator(".numbers li", has_text="0 of 2").wait_for()
        key = page.locator("tr", has_text="ann")

        assert (await key.locator("td").all_inner_texts())[1:3] == ["0", "1"]
        assert await page.locator("main img").count() == 0


async def test_limits_that_steps_share_stand_below(shop: Shop) -> None:
    """How many steps run of how many, at every workflow, as all of them share it; a name is shown as it is."""
    await shop.engine.share_limit("local", "a:desk", SharedLimit(3, Rate(500, 60_000)))
    async with shop.open("/workflows/report/limits") as page:
        row = page.get_by_role("table", name="Limits that steps share").locator("tbody tr")
        await row.wait_for()
        cells = await row.locator("td").all_inner_texts()

    assert cells[:4] == ["a:desk", "0 of 3", "0", "500 in 1 m"]


async def test_hosts_are_shown_with_what_they_hold(shop: Shop) -> None:
    """Of a file there is one, without heartbeats; above stand what is due, and the file's size."""
    async with shop.open("/") as page:
        await page.evaluate("window.isTheSame = true")
        await page.get_by_role("link", name="Hosts").click()
        await page.wait_for_url("**/hosts")
        assert await page.evaluate("window.isTheSame")
        row = page.locator("tbody tr")
        await row.get_by_text("alive").wait_for()

        for at, said in enumerate(("0due", "nonelag")):
            await expect(page.locator(".numbers li").nth(at)).to_have_text(said)
        assert await page.get_by_role("columnheader", name="heartbeat").count() == 0
        assert f"Stepwell {__version__}" in await row.inner_text()


async def test_host_that_was_lost_is_told_from_the_others(shop: Shop) -> None:
    """Its state is a word, as are its blocked workers; what is read again by the time alone is seen."""
    async with shop.open("/docs") as page:
        answers = [_of_hosts("alive", 0), _of_hosts("lost", 95_000)]
        await page.route("**/stepwell/hosts", lambda route: route.fulfill(json=answers[0]))
        await page.goto(f"{shop.url}/hosts")
        await page.locator("tr", has_text=HOSTILE).get_by_text("alive").wait_for()
        answers.pop(0)
        row = page.locator("tr", has_text=HOSTILE)
        await row.get_by_text("lost").wait_for(timeout=15_000)

        assert await row.get_by_text("1 blocked").count() == 1
        assert await row.get_by_text("1 m 35 s").count() == 1
        assert "10,000+" in await page.locator(".numbers").inner_text()
        await page.get_by_role("list", name="Instances that have not ended").get_by_text("waiting 17").wait_for()
        assert await page.locator(".numbers", has_text="PostgreSQL 17.5").get_by_text("2.0 GB").count() == 1
        await page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        assert not await is_wider_than_its_window(page)


def _of_hosts(state: str, lag_ms: int) -> dict[str, Any]:
    host = {
        "id": "3",
        "name": HOSTILE,
        "version": None,
        "state": state,
        "opened_on": None,
        "renewed_on": "2026-11-23T10:00:00.000Z",
        "workers": 2,
        "blocked_workers": 1,
        "held": 7,
        "lag_ms": lag_ms,
    }
    waiting = {"due": 10_000, "lag_ms": lag_ms, "queued": 4, "by_status": {"waiting": 17}}
    database = {"kind": "postgresql", "version": "17.5", "size": 2**31}
    return {"success": True, "result": {"hosts": [host], "waiting": waiting, "database": database}}


async def test_server_log_is_narrowed_and_comes_live(shop: Shop) -> None:
    """What comes is there without a click; a filter is asked of the server, and what is hostile is text."""
    log = FactLog(shop.engine.store, HOSTILE, "local")
    said = Fact(1_795_428_000_000, "error", "worker.died", HOSTILE, "", "worker 1", "local", "order", "order-1")
    log.hear("worker 1", said)
    await log.note()
    async with shop.open("/facts") as page:
        await page.locator("tbody tr", has_text="worker.died").get_by_text(HOSTILE).first.wait_for()
        assert await page.get_by_role("link", name="order-1").count() == 1
        log.hear("worker 2", msgspec.structs.replace(said, event="turn.lost"))
        await log.note()
        await page.locator("tbody tr", has_text="turn.lost").get_by_text("worker 2").wait_for()

        await page.get_by_label("Event").fill("turn.lost")
        await page.keyboard.press("Tab")

        await expect(page.locator("tbody tr")).to_have_count(1)
        assert page.url.endswith("/facts?event=turn.lost")


@pytest.mark.long
async def test_ended_instance_says_until_when_it_is_kept(shop: Shop) -> None:
    """As all stands now."""
    async with shop.open("/workflows/order/instances/order-2") as page:
        await page.locator(".facts div", has_text="kept until").locator("time").wait_for()


@pytest.mark.long
@pytest.mark.parametrize("path", FULL)
async def test_full_page_keeps_nobody_out(shop: Shop, path: str) -> None:
    """In both themes, with labels as long as they may be: no finding of axe, and no scrolling sideways on a phone."""
    for theme in ("light", "dark"):
        async with shop.open(path, theme=theme) as page:
            await page.locator("td").first.wait_for()
            await page.evaluate(axe())
            found = await page.evaluate(
                "axe.run(document, {resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag22aa']})"
            )
            assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found["violations"]] == []
            await page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
            assert not await is_wider_than_its_window(page)


@pytest.mark.long
async def test_all_of_several_workflows_that_match_are_changed_together(shop: Shop) -> None:
    """How many there are is not counted: somebody types that all are meant, and each is changed in its workflow."""
    for n in range(26):
        await shop.workers.create(flows.Order, id=f"lot-{n}", labels={"lot": "1"})
    await shop.workers.create(flows.Report, id="lot-0", labels={"lot": "1"})
    await shop.workers.run_until_idle()
    async with shop.open("/instances?label=lot%3D1&per=25") as page:
        await page.get_by_label("tick all rows").check()
        await page.get_by_role("button", name="Select all that match").click()
        await page.get_by_role("button", name="Terminate").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_text("All instances, label lot=1.").wait_for()
        assert await dialog.get_by_role("button", name="Terminate").is_disabled()
        await dialog.get_by_label("Type all to go on").fill("all")
        await dialog.get_by_role("button", name="Terminate").click()

        await page.wait_for_url("**/jobs")
        row = page.get_by_role("table", name="Jobs").locator("tbody tr", has_text="lot=1")
        await row.get_by_text("complete").wait_for(timeout=20_000)
        assert (await row.locator("td").all_inner_texts())[1:5] == ["Terminate label=lot=1", "27", "0", "0"]


async def test_job_is_cancelled_and_what_failed_is_tried_again(shop: Shop) -> None:
    """One that goes on has a button for that; the number of those that failed leads to each with its reason."""
    await shop.workers.create(flows.Order, id="torn", params={"declines": 9})
    await shop.workers.run_until_idle()
    wanted = Wanted(statuses=("waiting",), labels={"lot": "<b>1"})
    await shop.engine.store.run(StartJob("local", JOB_ID, "terminate", "order", wanted, NOW, "ann"))
    failure = JobFailure("order", "torn", "the page is torn")
    await shop.engine.store.run(AdvanceJob("local", JOB_ID, None, (NOW, 1), [], NOW, (failure,)))
    async with shop.open("/") as page:
        await page.get_by_role("link", name="Jobs").click()
        row = page.get_by_role("table", name="Jobs").locator("tbody tr", has_text="lot=<b>1")
        await row.get_by_text("running").wait_for()
        assert "Terminate order status=waiting label=lot=<b>1" in await row.inner_text()
        assert "by ann" in await row.inner_text()
        await row.get_by_role("button", name="Cancel").click()
        await row.get_by_text("cancelled").wait_for()
        await row.get_by_role("link", name="1", exact=True).click()
        failures = page.get_by_role("table", name="Failures").locator("tbody tr")
        await failures.get_by_text("the page is torn").wait_for()
        await page.get_by_role("button", name="Try these again").click()
        await page.get_by_role("dialog").get_by_role("button", name="Terminate").click()
        await page.get_by_text("1 instance terminated").wait_for()

    assert (await shop.engine.get("local", "order", "torn")).row.status == "terminated"


async def test_audit_log_is_shown_and_searched(shop: Shop) -> None:
    """Newest first, a page at a time; what callers say of themselves is text, and all of it can be had as a file."""
    await shop.workers.create(flows.Order, id="audited")
    asked = Asked("session", "ann", NOW + 99, "bb", "192.0.2.7", "Firefox")
    await shop.engine.store.run(Audited(DeleteInstance("local", "order", "audited", NOW), asked))
    async with shop.open("/") as page:
        await page.get_by_role("link", name="Audit").click()
        rows = page.get_by_role("table", name="Audit log").locator("tbody tr")
        await rows.first.get_by_text("instance.delete").wait_for()
        first = await rows.first.inner_text()
        assert all(text in first for text in ("ann", "signed in", "audited", "192.0.2.7", "Firefox"))
        assert await rows.count() == 50
        assert HOSTILE in await rows.nth(1).inner_text()
        await page.get_by_role("link", name="Older").click()
        await expect(rows).to_have_count(2)
        await page.get_by_label("Action").select_option("instance.delete")
        await expect(rows).to_have_count(1)
        address = await page.get_by_role("link", name="CSV").get_attribute("href")
        assert address == "/client/v4/accounts/local/stepwell/audit?action=instance.delete&format=csv"
        async with page.expect_download() as download:
            await page.get_by_role("link", name="CSV").click()
        assert (await download.value).suggested_filename == "audit.csv"


async def test_page_offers_all_actions_that_there_are(shop: Shop) -> None:
    """Each by its name in the API."""
    async with shop.open("/audit") as page:
        offered = await page.get_by_label("Action").locator("option").all_inner_texts()

    assert offered == ["any", *AUDIT_ACTIONS]


async def test_who_may_not_read_the_audit_log_is_not_led_there(shop: Shop) -> None:
    """There is no link; and whoever goes there all the same is told what is missing."""
    denied = {"success": False, "errors": [{"code": 10000, "message": "the token needs audit"}], "result": None}
    async with shop.open("/hosts") as page:
        found = await (await page.request.get(f"{shop.url}/ui/session")).json()
        found["result"]["can_audit"] = False
        await page.route("**/ui/session", lambda route: route.fulfill(json=found))
        await page.route("**/stepwell/audit*", lambda route: route.fulfill(status=403, json=denied))
        await page.goto(f"{shop.url}/audit")
        await page.get_by_text("the token needs audit").wait_for()
        assert await page.get_by_role("navigation", name="Main").get_by_role("link", name="Audit").count() == 0


async def test_page_works_below_a_path_of_a_proxy(shop: Shop) -> None:
    """Links, reads, changes, drawings and what comes by itself keep to it, and so does the address."""
    app = create_app(shop.engine, account="local", hosts=LOOPBACK_HOSTS, base="/shop/flows")
    server = HttpServer(app)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        await server.start(sock)
        root = f"http://127.0.0.1:{sock.getsockname()[1]}/shop/flows"
        async with shop.open("/login") as page:
            asked: list[str] = []
            await page.goto(f"{root}/instances?label=customer%3Dbob")
            page.on("request", note := lambda request: asked.append(request.url))
            await page.get_by_role("link", name="report-2").click()
            await page.wait_for_url(f"{root}/workflows/report/instances/report-2")
            await page.get_by_role("switch", name="Live updates: Live").wait_for()
            await page.get_by_role("button", name="Pause").click()
            await page.locator(".facts .badge", has_text="paused").wait_for()
            await page.get_by_role("link", name="Data").click()
            assert await page.get_by_role("link", name="Download as JSON").get_attribute("href") == (
                "/shop/flows/client/v4/accounts/local/workflows/report/instances/report-2"
            )
            await page.get_by_role("link", name="report", exact=True).click()
            await page.wait_for_url(f"{root}/workflows/report")
            await page.go_back()
            await page.wait_for_url("**/report-2?tab=data")
            await page.get_by_role("link", name="Stepwell").click()
            await page.wait_for_url(f"{root}/")
            assert [url for url in asked if not url.startswith(f"{root}/")] == []
            page.remove_listener("request", note)
        app.end_streams()
        await server.stop(0.5)
