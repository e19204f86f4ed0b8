"""What docs/operating.md says of four faults, on a real server: metrics, log and API tell each, and which it is."""

import json
import os
import re
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.server import DevServer, wait_until
from tests.scraping import Scrape, Stretch

pytestmark = pytest.mark.long

GUIDE = Path("docs/operating.md").read_text("utf-8")
FLOWS = """
import asyncio
import os
import signal
from stepwell import WorkflowEntrypoint

class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.do("reserve", self.reserve)
        config = {"retries": {"limit": 2, "delay": 300, "backoff": "constant"}}
        await step.do("charge", self.charge(event), config=config)

    async def reserve(self):
        return 1

    def charge(self, event):
        async def charge():
            match event.payload.get("fault"):
                case "slow":
                    await asyncio.sleep(0.7)
                case "fails":
                    raise ConnectionError("the bank does not answer")
                case "kills" if not os.path.exists("killed"):
                    open("killed", "w").close()
                    os.kill(os.getpid(), signal.SIGKILL)
        return charge
"""
CHARGE, RESERVE = {"workflow": "order", "step": "charge"}, {"workflow": "order", "step": "reserve"}
ATTEMPT_S = "stepwell_step_attempt_duration_seconds"


class Observed:
    """A server, and what is seen of it from outside."""

    def __init__(self, server: DevServer) -> None:
        self.server = server
        self.begun = self.scrape()

    def scrape(self) -> Scrape:
        """Return what it tells Prometheus now."""
        with urllib.request.urlopen(f"{self.server.url}/metrics", timeout=30) as answer:
            return Scrape.of(answer.read().decode())

    def run(self, fault: str, count: int = 5) -> Stretch:
        """Let instances run with a fault, and return what was scraped before and after."""
        before = self.scrape()
        for number in range(count):
            self.server.create("order", f"{fault}-{number}", {"fault": fault})

        def after() -> Scrape | None:
            now = self.scrape()
            ended = Stretch(before, now).increase("stepwell_instances_ended_total", workflow="order")
            return now if ended >= count else None

        return Stretch(before, wait_until(after, lambda: self.server.log))

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of the log about an event."""
        lines = [json.loads(line) for line in list(self.server.lines) if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def ask(self, path: str) -> Any:
        """Return what the dashboard is told."""
        with urllib.request.urlopen(f"{self.server.url}{path}", timeout=30) as answer:
            return json.load(answer)["result"]


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    """A server without a fault, whose metrics have been scraped."""
    folder = tmp_path_factory.mktemp("faults")
    (folder / "flows.py").write_text(FLOWS)
    with DevServer(folder, "flows.py", "--log-format", "json") as server:
        seen = Observed(server)
        healthy = seen.run("none")
        assert healthy.increase("stepwell_instances_ended_total", outcome="complete") == 5
        yield seen


def asked(section: str) -> str:
    """Return the queries that the guide has for a fault."""
    part = GUIDE.partition(f"### {section}\n")[2].partition("\n### ")[0]
    return "\n".join(re.findall(r"```promql\n(.*?)```", part, re.DOTALL))


def test_slow_step_is_the_one_whose_attempts_take_long(observed: Observed) -> None:
    """Instances take longer, the step that is slow stands out, nothing fails, and no worker is blocked."""
    healthy = Stretch(observed.begun, observed.scrape())

    slow = observed.run("slow")

    assert healthy.quantile(0.99, ATTEMPT_S, **CHARGE) <= 0.5
    assert slow.quantile(0.99, ATTEMPT_S, **CHARGE) == 1
    assert slow.quantile(0.99, ATTEMPT_S, **RESERVE) <= 0.5
    assert slow.quantile(0.95, "stepwell_instance_duration_seconds", workflow="order") == 1
    assert slow.increase("stepwell_step_attempts_total", outcome="failed") == 0
    assert slow.after.sum("stepwell_workers_blocked") == 0
    assert all(name in asked("A step is slow") for name in (ATTEMPT_S, "stepwell_instance_duration_seconds"))


def test_dependency_that_fails_shows_at_its_step(observed: Observed) -> None:
    """All attempts of the step fail, others none; steps fail for good, and instances end with the error."""
    failing = observed.run("fails")

    failed = failing.increase("stepwell_step_attempts_total", **CHARGE, outcome="failed")
    assert failed == failing.increase("stepwell_step_attempts_total", **CHARGE) == 15
    assert failing.increase("stepwell_step_attempts_total", **RESERVE, outcome="failed") == 0
    assert failing.increase("stepwell_steps_total", **CHARGE, outcome="failed") == 5
    assert failing.increase("stepwell_instances_ended_total", workflow="order", outcome="errored") == 5
    # With both waits of 300 ms between its three attempts.
    assert failing.quantile(0.5, "stepwell_step_duration_seconds", **CHARGE) >= 1
    assert failing.quantile(0.5, ATTEMPT_S, **CHARGE) < 0.1
    overview = observed.ask("/ui/overview")
    assert {one["error"]["message"] for one in overview["errored"]} == {"the bank does not answer"}
    assert all(
        name in asked("A dependency fails")
        for name in ("stepwell_step_attempts_total", "stepwell_steps_total", "stepwell_instances_ended_total")
    )


def test_worker_that_died_is_counted_and_named(observed: Observed) -> None:
    """The death, the turns that were lost with their workflow, the attempt with its step; the log says what it ran."""
    killed = observed.run("kills", count=1)

    assert killed.increase("stepwell_worker_deaths_total", reason="died") == 1
    assert killed.increase("stepwell_turns_lost_total", workflow="order") == 1
    assert killed.increase("stepwell_step_attempts_total", **CHARGE, outcome="lost") == 1
    assert killed.increase("stepwell_instances_ended_total", workflow="order", outcome="complete") == 1
    (died,) = observed.logged("worker.died")
    assert died["held"] == ["order/kills-0 step charge-1"]
    assert "SIGKILL" in died["message"]
    assert all(name in asked("A worker dies") for name in ("stepwell_worker_deaths_total", "stepwell_turns_lost_total"))


def test_queue_that_is_full_shows_its_age_and_why(observed: Observed) -> None:
    """While the only worker is stopped the oldest gets older; when it goes on, the lateness of claims tells of it."""
    before = observed.scrape()
    (worker,) = observed.server.workers()
    os.kill(worker, signal.SIGSTOP)
    try:
        for number in range(30):
            observed.server.create("order", f"queued-{number}", {})
        time.sleep(2.5)
        full = wait_until(
            lambda: found if (found := observed.scrape()).sum("stepwell_workers_blocked") else None,
            lambda: observed.server.log,
        )
        (host,) = observed.ask("/client/v4/accounts/local/stepwell/hosts")["hosts"]
    finally:
        os.kill(worker, signal.SIGCONT)

    def empty() -> Scrape | None:
        now = observed.scrape()
        ended = Stretch(before, now).increase("stepwell_instances_ended_total", workflow="order")
        return now if ended == 30 else None

    after = wait_until(empty, lambda: observed.server.log)
    assert before.sum("stepwell_due_instances") == 0
    # One may have been on its way to the worker.
    assert full.sum("stepwell_due_instances") >= 29
    assert full.sum("stepwell_oldest_due_seconds") >= 1
    assert full.sum("stepwell_instances", workflow="order", status="queued") >= 29
    assert observed.logged("worker.blocked")[0]["pid"] == worker
    assert host["blocked_workers"] == 1
    assert Stretch(before, after).quantile(0.99, "stepwell_claim_lateness_seconds") >= 1
    wait_until(lambda: observed.scrape().sum("stepwell_due_instances") == 0, lambda: observed.server.log)
    assert all(
        name in asked("The queue is full")
        for name in ("stepwell_oldest_due_seconds", "stepwell_due_instances", "stepwell_claim_lateness_seconds")
    )
