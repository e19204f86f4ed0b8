"""What `stepwell dev` warns an author of: once, with file and line, however many workers load the file."""

import os
import signal
from pathlib import Path

from tests.crash.server import DevServer, wait_until

SOURCE = """
from stepwell import WorkflowEntrypoint

class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        step.sleep("nap", "1 minute")
"""
WARNING = "flows.py:6:9: not-awaited: step.sleep(...) is not awaited"


def test_mistake_is_warned_of_once(tmp_path: Path) -> None:
    """Another worker in a dead one's place says nothing again; a mistake that comes back is told again."""
    source = tmp_path / "flows.py"
    source.write_text(SOURCE)

    with DevServer(tmp_path) as server:
        server.wait_for_line(WARNING)
        (worker,) = server.workers()
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: server.workers() not in ([], [worker]), lambda: server.log)
        server.create("order", "a")
        server.wait_for_status("order", "a", "complete")
        assert server.log.count(WARNING) == 1

        source.write_text(SOURCE.replace("step.sleep", "await step.sleep"))
        server.wait_for_line("changed; now serving")
        source.write_text(SOURCE + "\n")
        wait_until(lambda: server.log.count(WARNING) == 2, lambda: server.log)
