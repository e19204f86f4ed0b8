"""`stepwell worker --metrics-port`: a host without an API tells what its own workers did."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests import postgres
from tests.crash.fleet import FleetServer, FleetWorker
from tests.crash.server import make_token, wait_until
from tests.scraping import Scrape

LISTENS = ("--metrics-host", "localhost", "--metrics-port", "0")
HAS_POSTGRES = postgres.is_there()
FLOWS = """
from stepwell import WorkflowEntrypoint

class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.do("charge", lambda: 1)
"""


def _ask(url: str, token: str | None = None) -> tuple[int, str]:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_host_without_an_api_tells_its_metrics(tmp_path: Path, require: Callable[..., None]) -> None:
    """With a token; each step is counted by the host that ran it, instances are the same from both; nothing else."""
    require(postgres.REASON, "a store that two hosts share", HAS_POSTGRES)
    url = postgres.databases.make()
    (tmp_path / "flows.py").write_text(FLOWS)
    secret = make_token(tmp_path, url, "metrics")
    with (
        FleetServer(tmp_path, url, "flows.py") as server,
        FleetWorker(tmp_path, url, "", *LISTENS) as worker,
    ):
        place = worker.wait_for_line("metrics: ").rpartition("metrics: ")[2].removesuffix("/metrics")
        for number in range(40):
            server.call("/order/instances", {"instance_id": f"a-{number}"})

        def told() -> tuple[Scrape, Scrape] | None:
            both = [Scrape.of(_ask(f"{where}/metrics", secret)[1]) for where in (server.url, place)]
            steps = sum(one.sum("stepwell_steps_total", workflow="order", outcome="succeeded") for one in both)
            there = [one.sum("stepwell_instances", workflow="order", status="complete") for one in both]
            return (both[0], both[1]) if (steps, there) == (40, [40, 40]) else None

        first, second = wait_until(told, lambda: server.log + worker.log)
        refused, elsewhere = _ask(f"{place}/metrics"), _ask(f"{place}/client/v4/accounts/local/workflows", secret)
        health = _ask(f"{place}/healthz")

    assert first.sum("stepwell_instances_created_total") == 40
    assert second.sum("stepwell_instances_created_total") == 0
    assert first.sum("stepwell_hosts", state="alive") == second.sum("stepwell_hosts", state="alive") == 2
    assert (refused[0], health) == (401, (200, '{"status":"ok"}'))
    assert (elsewhere[0], json.loads(elsewhere[1])["errors"][0]["code"]) == (404, 7003)
