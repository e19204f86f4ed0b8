"""The log of a real server and its workers as JSON, and how a request is found in it."""

import json
import os
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.crash.server import DevServer, wait_until
from tests.crash.test_serve import Server

FLOW = """
import logging
from stepwell import WorkflowEntrypoint

class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.do("charge", self.charge)
        await step.sleep("an hour", "1 hour")

    def charge(self):
        logging.getLogger("shop").warning("card is slow")
        try:
            raise ValueError("no such card")
        except ValueError:
            logging.getLogger("shop").exception("it failed")
"""


def logged(server: DevServer, event: str) -> list[dict[str, Any]]:
    """Return the lines of the log about an event; each line that is not of the terminal is an object."""
    objects = [json.loads(line) for line in list(server.lines) if line.startswith("{")]
    return [line for line in objects if line["event"] == event]


def test_log_is_one_object_a_line(tmp_path: Path) -> None:
    """Of server and workers; what an author's code logs has its instance and step, and a traceback is a field."""
    (tmp_path / "flows.py").write_text(FLOW)
    with DevServer(tmp_path, "flows.py", "--log-format", "json") as server:
        (worker,) = server.workers()
        server.create("order", "a", {"card": "4111"})
        server.wait_for_status("order", "a", "waiting")
        os.kill(worker, signal.SIGKILL)
        (died,) = wait_until(lambda: logged(server, "worker.died"), lambda: server.log)
        said = logged(server, "author.log")
        told = [line for line in server.lines if not line.startswith("{")]

    place = {"account": "local", "workflow": "order", "instance": "a", "step": "charge-1", "attempt": 1}
    assert [line["message"] for line in said] == ["card is slow", "it failed"]
    assert [{name: line[name] for name in place} for line in said] == [place, place]
    assert (said[0]["level"], said[0]["process"], said[0]["logger"]) == ("warning", "worker 1", "shop")
    assert said[1]["traceback"].endswith("ValueError: no such card")
    assert (died["process"], died["worker"], died["pid"]) == ("server", "worker 1", worker)
    assert [line.partition(":")[0] for line in told] == ["Data", "Workflows", "Stepwell is ready"]
    assert "4111" not in server.log


@pytest.mark.parametrize("place", ["environment", pytest.param("file", marks=pytest.mark.long)])
def test_setting_says_how_the_log_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """A refused request leads by the id in its answer's header to its line."""
    (tmp_path / "flows.py").write_text(FLOW)
    if place == "file":
        (tmp_path / "stepwell.toml").write_text('[settings]\nlog_format = "json"\n')
    else:
        monkeypatch.setenv("STEPWELL_LOG_FORMAT", "json")
    with Server(tmp_path) as server:
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{server.url}/metrics", timeout=30)
        refused.value.close()
        (line,) = wait_until(lambda: logged(server, "request.refused"), lambda: server.log)

    assert line["request"] == refused.value.headers["x-request-id"]
    assert (line["status"], line["path"], line["address"]) == (401, "/metrics", "127.0.0.1")
