"""A real server is killed with SIGKILL in the middle of a job."""

import json
import urllib.request
from pathlib import Path
from typing import Any

from tests.crash.server import DEADLINE_S, DevServer, ask_store, wait_until

WORKFLOW = """
from stepwell import WorkflowEntrypoint

class Wait(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.wait_for_event("go", "go", timeout="1 hour")
"""
COUNT = 1_600
RESTARTS = "select count(*), count(distinct instance) from records where kind = 'restarted'"


def jobs(server: DevServer, path: str = "", body: Any = None) -> Any:
    """Ask the routes of jobs; return the result."""
    url = f"{server.url}/client/v4/accounts/local/stepwell/jobs{path}"
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=DEADLINE_S) as answer:
        return json.load(answer)["result"]


def test_job_goes_on_after_sigkill_and_changes_each_instance_once(tmp_path: Path) -> None:
    """Whatever it was doing: as many restarts are on record as there are instances, one of each, and it counts them."""
    (tmp_path / "flows.py").write_text(WORKFLOW)
    with DevServer(tmp_path) as server:
        for first in range(0, COUNT, 100):
            server.call("/wait/instances/batch", [{"instance_id": f"i-{first + n}"} for n in range(100)])
        id = jobs(server, body={"action": "restart", "workflow_name": "wait"})["id"]
        before = wait_until(lambda: (job := jobs(server, f"/{id}"))["done"] and job, lambda: server.log)
        server.kill()

    with DevServer(tmp_path) as server:
        done = wait_until(
            lambda: (job := jobs(server, f"/{id}"))["status"] == "complete" and job,
            lambda: f"{server.log}\n{jobs(server, f'/{id}')}",
        )

    assert before["status"] == "running"
    assert (done["done"], done["passed_over"], done["failed"]) == (COUNT, 0, 0)
    assert ask_store(tmp_path / "data" / "stepwell.db", RESTARTS) == [(COUNT, COUNT)]
