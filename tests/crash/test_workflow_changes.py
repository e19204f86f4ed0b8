"""Workflows that are made, changed and deleted while `stepwell dev` serves them."""

import json
import urllib.request
from pathlib import Path
from typing import Any

from tests.crash.server import DEADLINE_S, DevServer, ask_store, wait_until

FLOWS = """
import asyncio
from pathlib import Path
from stepwell import WorkflowEntrypoint

class Count(WorkflowEntrypoint):
    async def run(self, event, step):
        for number in range(event["payload"]):
            await step.do("count", lambda: number)
        return event["workflowName"]

class Stuck(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do()
        async def wait():
            Path("begun").touch()
            try:
                await asyncio.sleep(3600)
            finally:
                Path("cancelled").touch()
        await wait()
"""
WRANGLER = """{"name": "shop", "workflows": [
    {"name": "count", "binding": "COUNT", "class_name": "Count", "limits": {"steps": 3}}
]}"""
PUT = {"script_name": "shop", "class_name": "Count", "limits": {"steps": 5}}


def _write(folder: Path) -> None:
    (folder / "flows.py").write_text(FLOWS)
    (folder / "wrangler.json").write_text(WRANGLER)


def _ask(server: DevServer, method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{server.url}/client/v4/accounts/local/workflows{path}", data, method=method)
    with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
        return json.load(answer)["result"]


def test_workflow_that_a_put_has_made_runs_and_outlives_a_crash(tmp_path: Path) -> None:
    """A name that only a PUT has given is run by the worker, with its limit, before and after a `kill -9`.

    By the way: a server that is not to watch does not load the code that changes meanwhile.
    """
    _write(tmp_path)
    with DevServer(tmp_path, "flows.py", "--no-watch") as server:
        (tmp_path / "flows.py").write_text(f"{FLOWS}# changed\n")
        _ask(server, "PUT", "/count-eu", PUT)
        server.create("count-eu", "before", 5)
        server.create("count", "declared", 4)
        assert server.wait_for_status("count-eu", "before", "complete")["output"] == "count-eu"
        assert "limit of 3 steps" in server.wait_for_status("count", "declared", "errored")["error"]["message"]
        assert "flows.py changed" not in server.log

    with DevServer(tmp_path) as server:
        server.create("count-eu", "after", 5)
        server.create("count-eu", "beyond", 6)
        assert server.wait_for_status("count-eu", "after", "complete")["step_count"] == 5
        assert "limit of 5 steps" in server.wait_for_status("count-eu", "beyond", "errored")["error"]["message"]


def test_put_outlives_a_reload(tmp_path: Path) -> None:
    """Changed code is a new version of every name of its class, with the settings that a PUT has given."""
    _write(tmp_path)
    with DevServer(tmp_path) as server:
        made = _ask(server, "PUT", "/count-eu", PUT)
        (tmp_path / "flows.py").write_text(FLOWS.replace('event["workflowName"]', "'changed'"))
        server.wait_for_line("flows.py changed; now serving")

        versions = _ask(server, "GET", "/count-eu/versions")
        server.create("count-eu", "a", 5)

        assert [version.get("limits") for version in versions] == [{"steps": 5}, {"steps": 5}]
        assert versions[1]["id"] == made["version_id"]
        assert server.wait_for_status("count-eu", "a", "complete")["output"] == "changed"
        assert server.get("count-eu", "a")["versionId"] == versions[0]["id"]


def test_deleted_workflow_stops_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    """What runs is cancelled in the worker process, and the rows are gone soon; the name can be put again."""
    _write(tmp_path)
    with DevServer(tmp_path) as server:
        server.create("stuck", "a")
        wait_until((tmp_path / "begun").exists, lambda: server.log)

        answer = _ask(server, "DELETE", "/stuck")

        wait_until((tmp_path / "cancelled").exists, lambda: server.log)
        file = tmp_path / "data" / "stepwell.db"
        wait_until(lambda: ask_store(file, "select count(*) from records") == [(0,)], lambda: server.log)
        _ask(server, "PUT", "/stuck", {**PUT, "class_name": "Stuck"})
        server.create("stuck", "a")
        assert answer == {"status": "ok", "success": True}
        assert server.wait_for_status("stuck", "a", "running")["step_count"] <= 1
        assert "WARNING" not in server.log


def test_workflow_that_another_script_takes_over_is_named(tmp_path: Path) -> None:
    """A file that is renamed takes its workflows along, and one line of the log says so, with what to do."""
    (tmp_path / "flows.py").write_text(FLOWS)
    with DevServer(tmp_path, ".") as server:
        (tmp_path / "flows.py").rename(tmp_path / "shop.py")
        line = server.wait_for_line('workflow "count" belonged to')
        server.wait_for_line("now serving")
        server.create("count", "a", 1)

        assert server.wait_for_status("count", "a", "complete")["output"] == "count"
        assert "WARNING" in line
        assert 'belonged to the script "flows" and belongs to "shop" now' in line
        assert sum("belonged to the script" in line for line in server.lines) == 2
