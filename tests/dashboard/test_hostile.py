"""Every page of the dashboard, with markup and marks of direction in all that somebody else could choose."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
import pytest_asyncio

from stepwell.core.failures import Failure
from stepwell.core.records import AttemptFailed, AttemptStarted, StepFailed
from stepwell.dashboard import shell
from stepwell.graph.source import graph_of
from stepwell.store.audit_operations import Asked, Audited
from stepwell.store.control_operations import DeleteInstance
from stepwell.store.job_operations import StartJob
from stepwell.store.operations import RegisterWorkflow
from stepwell.store.search_operations import Wanted
from stepwell.store.webhook_operations import AddWebhook, EndAttempt, TakeDeliveries
from tests.api.histories import ACCOUNT, CONFIG, do
from tests.dashboard.browser import PHONE, Site, is_wider_than_its_window

STATIC = Path(shell.__file__).parent / "static"
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.sqlite]

ATTACK = '"><img src=x onerror=alert(1)><script>alert(2)</script>\u202egnp.exe\u2066' + "W" * 120
URL = "https://" + "h" * 200 + "/'onerror=alert(1)//" + "p" * 200
MARKS = "\u202e\u2066"
EVIL = "/workflows/order/instances/evil"

# Each page by the name that the router has for it, and each view of an instance: an address of it with what is hostile.
PAGES = {
    "overview": "/",
    "login": "/login",
    "workflows": f"/workflows?q={quote(ATTACK)}",
    "instances": f"/workflows/order?status=errored&error={quote(ATTACK)}",
    "nothing": f"/{quote(ATTACK)}",
    "instance": f"{EVIL}?step={quote(ATTACK)}-1",
    "graph": "/workflows/order/graph",
    "source": "/workflows/order/source",
    "versions": "/workflows/order/versions",
    "schedules": "/schedules",
    "limits": "/workflows/order/limits",
    "settings": "/workflows/order/settings",
    "compare": "/workflows/order/compare?a=evil&b=done-1&all=1",
    "hosts": "/hosts",
    "jobs": "/jobs",
    "audit": "/audit",
    "facts": "/facts",
    "webhooks": "/webhooks",
    "about": "/about",
}
HOOK = "c0ffee"
VIEWS = ("timeline", "steps", "graph", "log", "history", "data", "family")
# What is looked at each time; the others at length.
FIRST = {"instance", "jobs", "data"}
CASES = {**PAGES, **{view: f"{EVIL}?tab={view}&step={quote(ATTACK)}-1" for view in VIEWS if view != "graph"}}
CASES["a webhook"] = f"/webhooks/{HOOK}"
CASES["graph of an instance"] = f"{EVIL}?tab=graph"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def evil(site: Site) -> Site:
    """A server with one of everything that is hostile."""
    engine, histories, now = site.engine, site.histories, site.engine.clock.now()
    failure = Failure(ATTACK, ATTACK)
    await engine.store.run(AddWebhook(ACCOUNT, HOOK, URL, "whsec_", ["order", ATTACK], [], now, ATTACK, 50))
    turn = await histories.turn("order", "evil", f'{{"{ATTACK[2:]}":"{ATTACK[2:]}"}}')
    await turn.write(
        AttemptStarted(turn.now(), do(ATTACK), 1, CONFIG),
        AttemptFailed(turn.now(), do(ATTACK), 1, failure),
        StepFailed(turn.now(), do(ATTACK), 1, failure),
    )
    await turn.fail(failure)
    source = f"from stepwell import WorkflowEntrypoint\n# {ATTACK}\nclass Order(WorkflowEntrypoint):\n"
    source += f"    async def run(self, event, step):\n        await step.do({ATTACK!r}, work)\n"
    graph = graph_of({"shop.py": source}, "shop.py", "Order")
    await histories.draw(graph)
    await histories.serve("shop.py", {"shop.py": source}, graph=graph)
    ids = (str(uuid4()), str(uuid4()))
    await engine.store.run(RegisterWorkflow(ACCOUNT, "wicked", ATTACK, ATTACK, "0" * 64, *ids, now))
    wanted = Wanted(error_text=ATTACK, error_name=ATTACK)
    await engine.store.run(StartJob(ACCOUNT, str(uuid4()), "pause", "order", wanted, now, ATTACK))
    (due,) = await engine.store.run(TakeDeliveries(engine.clock.now(), now, 1, 1))
    await engine.store.run(EndAttempt(due.row, due.attempt, now, None, ATTACK, next_at=now))
    asked = Asked("session", ATTACK, now, ATTACK, ATTACK, ATTACK)
    await engine.store.run(Audited(DeleteInstance(ACCOUNT, "order", "runs-1", now), asked))
    return site


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in FIRST else pytest.mark.long) for name in CASES]
)
async def test_nothing_on_a_page_is_more_than_text(evil: Site, name: str) -> None:
    """No element and no script of somebody else's, no mark that turns what is read, and nothing wider than a phone."""
    alerts: list[str] = []

    def note(dialog: Any) -> None:
        alerts.append(dialog.message)

    async with evil.open(CASES[name], size=PHONE) as page:
        page.on("dialog", note)
        await page.wait_for_selector(".loading", state="detached")

        assert await page.locator("main img, main script, [onerror]").count() == 0
        assert not set(MARKS) & set(await page.inner_text("body"))
        assert not set(MARKS) & set(await page.title())
        assert not await is_wider_than_its_window(page)
        page.remove_listener("dialog", note)

    assert alerts == []


async def test_no_page_is_forgotten() -> None:
    """The router's pages and tabs, and the views of an instance, are all in the table."""
    router, instance = (STATIC / name for name in ("router.js", "views/instance.js"))
    named = set(re.findall(r'\w+"?: "(\w+)"', "".join(re.findall(r"const (?:pages|tabs) = \{.*", router.read_text()))))
    views = set(re.findall(r"(\w+): \[", re.findall(r"^const TABS = \{.*", instance.read_text(), re.MULTILINE)[0]))

    assert named | {"overview", "instance", "nothing"} == set(PAGES)
    assert views == set(VIEWS)
