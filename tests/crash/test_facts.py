"""What a server and its workers log is found by others, also when it is gone."""

import os
import signal
from pathlib import Path
from typing import Any

import httpx

from tests.crash.server import DEADLINE_S, DevServer, wait_until

FLOWS = """
import logging

from stepwell import WorkflowEntrypoint


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        fields = {"account": "other", "workflow": "order", "instance": "a"}
        logging.getLogger("stepwell.runner").warning("as if", extra={"event": "turn.lost", "fields": fields})
        await step.sleep("rest", "1 day")
"""


def facts(server: DevServer, event: str) -> list[dict[str, Any]]:
    """Return the facts of a kind."""
    url = f"{server.url}/client/v4/accounts/local/stepwell/facts"
    found: list[dict[str, Any]] = httpx.get(url, params={"event": event}, timeout=DEADLINE_S).json()["result"]
    return found


def test_fact_outlives_the_server_that_has_told_it(tmp_path: Path) -> None:
    """The death of a worker is told by its server; that is killed, too, and the next one still shows it."""
    (tmp_path / "flows.py").write_text(FLOWS)
    with DevServer(tmp_path) as server:
        (worker,) = server.workers()
        os.kill(worker, signal.SIGKILL)
        (told,) = wait_until(lambda: facts(server, "worker.died"), lambda: server.log)
        server.create("order", "a")
        (of_worker,) = wait_until(lambda: facts(server, "turn.lost"), lambda: server.log)

    with DevServer(tmp_path) as server:
        found = facts(server, "worker.died")

    assert found == [told]
    assert (told["level"], told["process"]) == ("warning", "server")
    # A worker is believed what happened, not of whom.
    assert (of_worker["process"][:6], of_worker["account"], of_worker["instance_id"]) == ("worker", "local", "a")
