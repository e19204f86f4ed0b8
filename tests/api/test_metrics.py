"""`GET /metrics`: what Prometheus reads, on the application and on a real server."""

import asyncio
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp

from stepwell import metrics
from stepwell.api import create_app
from stepwell.clock import VirtualClock
from stepwell.engine import Engine
from stepwell.errors import StoreUnavailable
from stepwell.metrics import OTHER, Bounded, Metric
from stepwell.server_settings import Settings
from stepwell.store.host_operations import ListHosts
from stepwell.survey import Survey
from stepwell.tokens import Permission, Tokens
from tests.api.asgi import ask
from tests.api.histories import Histories
from tests.crash.server import DevServer, wait_until
from tests.scraping import Scrape
from tools import metrics_reference

ACME = "/client/v4/accounts/local/workflows"
INSTANCE = "/client/v4/accounts/{account_id}/workflows/{workflow_name}/instances/{instance_id}"
FLOW = """
from stepwell import WorkflowEntrypoint

class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.do("charge", lambda: 1)
"""


def scrape(server: DevServer) -> str:
    """Return what a server tells Prometheus."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=30) as answer:
        assert answer.headers["content-type"] == metrics.CONTENT_TYPE
        told: bytes = answer.read()
    return told.decode()


def test_server_tells_what_the_reference_has(tmp_path: Path, require: Callable[..., None]) -> None:
    """Prometheus' own parser reads it, it has each metric of the reference and no other, and names follow its rules."""
    (tmp_path / "flows.py").write_text(FLOW)
    with DevServer(tmp_path) as server:
        server.create("order", "a")
        server.wait_for_status("order", "a", "complete")
        text = wait_until(
            lambda: told if 'stepwell_instances_ended_total{account="local"' in (told := scrape(server)) else None,
            lambda: scrape(server),
        )
    found = Scrape.of(text)

    documented = [metric.name.removesuffix("_total") for metric in metrics_reference.metrics()]
    assert sorted(found.names) == sorted(documented)
    assert [
        metric.name for metric in metrics_reference.metrics() if (metric.kind == "counter") is not is_total(metric)
    ] == []
    assert found.sum("stepwell_steps_total", workflow="order", step="charge", outcome="succeeded") == 1
    assert found.sum("stepwell_instances", workflow="order", status="complete") == 1
    assert found.sum("stepwell_workers") == 1
    assert found.sum("stepwell_hosts", state="alive") == 1
    assert found.sum("stepwell_disk_free_bytes") > 0
    require("promtool", "the check of names and help texts")
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def is_total(metric: Metric) -> bool:
    """Tell whether a metric is called as counters are."""
    return metric.name.endswith("_total")


async def test_requests_are_told_by_route_and_status(app: ASGIApp, histories: Histories) -> None:
    """By the pattern of the route, never by a path, also where nothing is found; those that wait are not timed."""
    await histories.queued("order", "a")
    await ask(app, f"{ACME}/order/instances/a")
    await ask(app, f"{ACME}/order/instances/b")
    await ask(app, f"{ACME}/order/instances/a", headers={"host": "localhost", "prefer": "wait=0"})
    await ask(app, "/nothing/here")
    await ask(app, ACME, headers={"host": "evil.example"})

    found = Scrape.of((await ask(app, "/metrics")).body.decode())

    requests = {
        (one.labels["method"], one.labels["route"], one.labels["status"]): one.value
        for one in found.find("stepwell_api_requests_total")
    }
    assert requests == {
        ("GET", INSTANCE, "200"): 2,
        ("GET", INSTANCE, "404"): 1,
        ("none", "none", "404"): 1,
        ("none", "none", "403"): 1,
    }
    assert found.sum("stepwell_api_request_duration_seconds_count", route=INSTANCE) == 2


@pytest.mark.parametrize("access", ["token", "open"])
async def test_operator_may_let_anybody_read_it(engine: Engine, tokens: Tokens, access: str) -> None:
    """Where tokens are asked for, one with `metrics` reads it; with `metrics_access=open` anybody, and nothing else."""
    told = Engine(engine.store, engine.clock, settings=Settings(metrics_access=access))
    app = create_app(told, account=None, hosts=None, tokens=tokens)
    secret = await tokens.create("acme", [Permission.METRICS])

    named = await ask(app, "/metrics", headers={"authorization": f"Bearer {secret}"})
    nameless = await ask(app, "/metrics")
    elsewhere = await ask(app, ACME)

    assert named.status == 200
    assert nameless.status == (200 if access == "open" else 401)
    assert elsewhere.status == 401


class Counting:
    """A store that counts how often it is looked at, and may be away."""

    def __init__(self, engine: Engine) -> None:
        self.inner = engine.store
        self.looks = 0
        self.is_away = False

    def run(self, operation: Any) -> "asyncio.Future[Any]":
        """Do an operation."""
        if self.is_away:
            raise StoreUnavailable("it is away")
        self.looks += isinstance(operation, ListHosts)
        return self.inner.run(operation)


async def test_store_is_looked_at_seldom(engine: Engine, clock: VirtualClock, histories: Histories) -> None:
    """Who asks again within a second is told what was seen, with its age; a store that is away leaves that as it is."""
    await histories.queued("order", "a")
    counting = Counting(engine)
    survey = Survey(counting, clock, Bounded(10))  # type: ignore[arg-type]  # it is asked for nothing but reads

    async def seen() -> Scrape:
        return Scrape.of(metrics.text(await survey.metrics()))

    first = await seen()
    await histories.queued("order", "b")
    clock.move_to(clock.now() + 989)
    again = await seen()
    clock.move_to(clock.now() + 1)
    later = await seen()
    counting.is_away = True
    clock.move_to(clock.now() + 60_000)
    away = await seen()

    many = [one.sum("stepwell_instances", workflow="order", status="queued") for one in (first, again, later, away)]
    assert many == [1, 1, 2, 2]
    assert counting.looks == 2
    assert [one.sum("stepwell_survey_age_seconds") for one in (first, again, later, away)] == [0, 0.999, 0, 60]
    assert first.sum("stepwell_due_instances") == 1
    assert [one.sum("stepwell_oldest_due_seconds") for one in (first, later)] == [0, 1]


async def test_store_that_was_never_seen_tells_nothing(engine: Engine, clock: VirtualClock) -> None:
    """There is no number that would look like an empty queue."""
    counting = Counting(engine)
    counting.is_away = True

    found = Scrape.of(metrics.text(await Survey(counting, clock, Bounded(10)).metrics()))  # type: ignore[arg-type]  # as above

    assert found.samples == []


async def test_workflows_beyond_the_bound_are_told_together(
    engine: Engine, clock: VirtualClock, histories: Histories
) -> None:
    """Their instances are counted all the same."""
    for name in ("order", "refund", "return"):
        await histories.register(name)
        await histories.queued(name, "a")

    found = Scrape.of(metrics.text(await Survey(engine.store, clock, Bounded(1)).metrics()))

    told = {one.labels["workflow"]: one.value for one in found.find("stepwell_instances", status="queued")}
    assert told == {"order": 1, OTHER: 2}
