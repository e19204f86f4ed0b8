"""The dashboard's settings of a workflow, and its page about itself, in a browser."""

import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from stepwell import __version__, schedules
from stepwell.dashboard import shell
from stepwell.engine import WorkflowPut
from stepwell.store.operations import RegisterWorkflow, VersionSettings
from stepwell.store.snapshot_operations import SaveSnapshot
from stepwell.tokens import Permission
from tests.api.conftest import NOW
from tests.dashboard.browser import PHONE, Site, axe, expect, is_wider_than_its_window

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.sqlite]

HOSTILE = "<img src=x onerror=alert(1)>\u202e"
LONG = HOSTILE + "x" * 200
# As the page shows it.
SHOWN = HOSTILE.replace("\u202e", "⟦U+202E⟧")
DAY_MS = 86_400_000
CHECKS = {"resultTypes": ["violations"], "runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}
VENDOR = Path(shell.__file__).parent / "static" / "vendor"


async def test_settings_are_what_is_declared_and_in_force(site: Site) -> None:
    """Class, script, version, limits, retention and schedules; what nobody has declared says what holds instead."""
    declared = VersionSettings(7_000, 3, 30 * DAY_MS, None, ("0 9 * * MON-FRI",))
    ids = str(uuid4()), str(uuid4())
    code = SaveSnapshot("local", "4" * 64, HOSTILE, "3.13.1", "{}", [], NOW)
    schema = '{"title": "<b>", "maxProperties": 12345678901234567890}'
    snapshot = await site.engine.store.run(code)
    made = RegisterWorkflow("local", "hostile", HOSTILE, LONG, "4" * 64, *ids, NOW, schema, snapshot=snapshot)
    await site.engine.store.run(made)
    await site.engine.put_workflow("local", "hostile", WorkflowPut(HOSTILE, LONG, declared))
    (version,) = (await site.engine.versions("local", "hostile", limit=1)).rows
    async with site.open("/workflows/hostile") as page:
        await page.get_by_role("link", name="Settings").click()
        await page.wait_for_url("**/workflows/hostile/settings")
        await expect(page).to_have_title("Settings - hostile - Stepwell")

        for name, said in {
            "class": SHOWN + "x" * 200,
            "script": SHOWN,
            "newest version": version.id,
            "hash of the code": "4" * 12,
            "snapshot": f"number 1{SHOWN}, first with Python 3.13.1",
            "versions": "2",
            "steps of an instance": "at most 7,000",
            "instances that run": "at most 3",
            "complete": "30 dof the workflow",
            "errored, terminated": "7 dof the account, or the server",
        }.items():
            await expect(_fact(page, name)).to_have_text(said)
        assert await page.locator("main img").count() == 0
        await expect(page.get_by_role("group", name="schema of the params")).to_contain_text("12345678901234567890")
        choice = page.get_by_role("combobox", name="while an instance of 0 9 * * MON-FRI has not ended")
        await expect(choice).to_have_value("allow")
        await page.route("**/stepwell/schedules/**", lambda route: route.fulfill(status=503, body="down"))
        await choice.select_option("cancel")
        await site.sees(page, "The server answered 503")
        await expect(choice).to_have_value("allow")
        await page.unroute_all()
        await choice.select_option("skip")
        await page.locator(".problem").wait_for(state="detached")
        await expect(choice).to_be_enabled()
        await expect(choice).to_have_value("skip")
        shown = await schedules.get(site.engine, "local", "hostile", "0 9 * * MON-FRI")
        assert shown.overlap == "skip"
        await page.emulate_media(color_scheme="dark")
        await page.evaluate(axe())
        found = (await page.evaluate("checks => axe.run(document, checks)", CHECKS))["violations"]
        assert [(one["id"], one["impact"]) for one in found if one["impact"] in ("serious", "critical")] == []
        await _fits_a_phone(page)
        await page.get_by_role("link", name="Pause, resume and run them").click()
        await page.wait_for_url("**/workflows/hostile/schedules")


async def test_settings_that_nobody_declares_say_what_holds(site: Site) -> None:
    """A workflow that is not there is told as it is on each tab; the page can be asked for again."""
    async with site.open("/workflows/order/settings") as page:
        await expect(_fact(page, "steps of an instance")).to_contain_text("the server's setting steps_per_instance")
        await expect(_fact(page, "instances that run")).to_contain_text("not limited")
        await expect(_fact(page, "snapshot")).to_have_text("nonestepwell dev runs the files as they are")
        await site.sees(page, "Any JSON. Where the class names a type")
        await site.sees(page, "None. A workflow gets them")

        await page.route("**/workflows/settings", lambda route: route.fulfill(status=503, body="down"))
        await page.reload()
        await site.sees(page, "The server answered 503")
        assert await page.locator(".facts").count() == 0
        await page.unroute_all()
        await page.get_by_role("button", name="Try again").click()
        await expect(_fact(page, "class")).to_have_text("Order")


async def test_about_says_what_it_is_and_who_looks(guarded_site: Site) -> None:
    """A token that reads is told so, and sees no setting that it may not change; its name is text."""
    token = await guarded_site.tokens.create("local", [Permission.SCRIPTS_READ], name=HOSTILE[:-1])
    await guarded_site.histories.schedule("empty")
    async with guarded_site.open("/about") as page:
        await page.get_by_label("API token").fill(token)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page).to_have_title("About - Stepwell")

        await expect(_fact(page, "Stepwell")).to_have_text(__version__)
        await expect(_fact(page, "account")).to_have_text("local")
        await expect(_fact(page, "you may")).to_have_text("read all, and change nothing")
        await expect(_fact(page, "token")).to_contain_text(HOSTILE[:-1])
        await expect(_fact(page, "permissions")).to_have_text("Workers Scripts Read")
        await expect(_fact(page, "kind")).to_have_text(re.compile(r"SQLite 3\.\d+"))
        assert await page.locator("main img").count() == 0
        await _fits_a_phone(page)

        await page.goto(f"{guarded_site.url}/workflows/empty/settings")
        await guarded_site.sees(page, "allow another instance")
        assert await page.locator("main select").count() == 0


async def test_about_keeps_keys_and_theme(site: Site) -> None:
    """Keys are switched off and a theme is chosen there, and both are remembered; licences are a click away."""
    async with site.open("/") as page:
        await page.get_by_role("link", name="About").click()
        await page.wait_for_url("**/about")
        dark, switch = page.get_by_role("radio", name="dark"), page.get_by_label("these keys are switched on")
        await dark.check()
        await switch.uncheck()
        await page.reload()

        await expect(dark).to_be_checked()
        await expect(switch).not_to_be_checked()
        assert await page.evaluate("document.documentElement.dataset.theme") == "dark"
        await page.keyboard.press("?")
        await page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        assert await page.get_by_role("dialog").count() == 0
        await switch.check()
        await page.keyboard.press("?")
        await page.get_by_role("dialog", name="Keys").get_by_role("button", name="Close", exact=True).click()
        for file, name in (("LICENSE-preact", "MIT"), ("LICENSE-htm", "Apache-2.0")):
            url = await page.get_by_role("link", name=name).get_attribute("href")
            answer = await page.request.get(url)
            assert (answer.headers["content-type"], await answer.text()) == (
                "text/plain; charset=utf-8",
                (VENDOR / file).read_text(),
            )


def _fact(page: Any, name: str) -> Any:
    """Return what a fact says."""
    return page.locator(".facts div", has=page.locator("dt", has_text=re.compile(f"^{name}$"))).locator("dd")


async def _fits_a_phone(page: Any) -> None:
    """On the smallest one nothing has to be scrolled sideways."""
    size = page.viewport_size
    await page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    assert not await is_wider_than_its_window(page)
    await page.set_viewport_size(size)
