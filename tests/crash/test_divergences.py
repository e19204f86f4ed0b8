"""A real server tells of code that goes another way than its history: in its log, and in the instance's."""

import json
import urllib.request
from pathlib import Path

from tests.crash.server import DEADLINE_S, DevServer

SOURCE = """
import time

from stepwell import WorkflowEntrypoint


class Pay(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.do(f"pay at {time.time_ns()}", lambda: 1)
        await step.wait_for_event("go", "go")
"""


def test_dev_tells_of_it_with_the_cause(tmp_path: Path) -> None:
    """`stepwell dev` says at which line, and why; the instance goes on, and its log has the same."""
    flows = tmp_path / "flows.py"
    flows.write_text(SOURCE)
    cause = f"Likely because of the time of day: `time.time_ns()` at {flows}:9. "

    with DevServer(tmp_path) as server:
        server.create("pay", "a")
        server.wait_for_status("pay", "a", "waiting")
        server.call("/pay/instances/a/events/go", {})
        server.wait_for_status("pay", "a", "complete")
        line = server.wait_for_line("pay/a: replayed, it goes another way than before: ")
        url = f"{server.url}/client/v4/accounts/local/stepwell/workflows/pay/instances/a/logs"
        with urllib.request.urlopen(url, timeout=DEADLINE_S) as answer:
            (noted,) = json.load(answer)["result"]["lines"]

    assert cause in line
    assert noted["level"] == "WARNING"
    assert cause in noted["text"]
