"""Settings of a real server: they come from file, environment and command line, and hold in all its processes."""

import json
import os
import time
import urllib.error
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.crash.server import DevServer, run_dev, wait_until

SOURCE = """
from stepwell import WorkflowEntrypoint


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do
        async def fails_once(ctx):
            if ctx["attempt"] == 1:
                raise ValueError("not yet")
            return "x" * 3_000_000

        result = await fails_once()
        sent = await step.wait_for_event("wait", "sent")
        return [len(event["payload"]["text"]), len(result), len(sent["payload"])]
"""


def _told(name: str) -> str:
    return f"{name} changed; settings are read when the server starts: start it again"


def _change(path: Path) -> bool:
    with path.open("a") as file:
        file.write("# changed\n")
    return True


def _delay_s(step: Any) -> float:
    first, second = step["attempts"]
    return (datetime.fromisoformat(second["start"]) - datetime.fromisoformat(first["end"])).total_seconds()


def test_settings_hold_in_a_real_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Larger payloads and results pass through all processes, and another delay is waited for before a retry."""
    (tmp_path / "flows.py").write_text(SOURCE)
    (tmp_path / "stepwell.toml").write_text('[settings]\npayload_size = "8 MiB"\nretry_delay = "1 hour"\n')
    monkeypatch.setenv("STEPWELL_STEP_RESULT_SIZE", "4 MB")

    with DevServer(tmp_path, "flows.py", "--set", "retry_delay=50") as server:
        server.create("order", "a", {"text": "x" * 6_000_000})
        server.wait_for_status("order", "a", "waiting")
        server.call("/order/instances/a/events/sent", "x" * 5_000_000)
        found = server.wait_for_status("order", "a", "complete")
        with pytest.raises(urllib.error.HTTPError) as refused:
            server.create("order", "b", {"text": "x" * 2**23})
        problem = refused.value.read()
        toml = tmp_path / "stepwell.toml"
        wait_until(lambda: _change(toml) and _told("stepwell.toml") in server.log, lambda: server.log)

    assert json.loads(found["output"]) == [6_000_000, 3_000_000, 5_000_000]
    step = next(step for step in found["steps"] if step["name"] == "fails_once-1")
    assert step["config"]["retries"] == {"limit": 5, "delay": 50, "backoff": "exponential"}
    assert 0.05 <= _delay_s(step) < 5
    assert refused.value.code == 400
    assert b"params is 8,388,620 bytes as JSON; at most 8,388,608 are allowed" in problem


def test_server_does_not_start_with_a_wrong_setting(tmp_path: Path) -> None:
    """The error is one line with place and remedy."""
    (tmp_path / "flows.py").write_text(SOURCE)
    (tmp_path / "stepwell.toml").write_text('[settings]\ngrace = "5s"\n')

    done = run_dev("flows.py", "--port", "0", cwd=tmp_path)

    assert done.returncode == 1
    assert done.stderr == (
        f'error: grace ({tmp_path.resolve()}{os.sep}stepwell.toml) is "5s"; it must be a number of milliseconds or a '
        'duration such as "5 minutes", from 0 seconds to 1 hour\n'
    )


def test_change_of_the_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings are read when the server starts; whoever changes them later is told so, and no worker is replaced.

    The file that `--config` names is watched as the project's is, and `--open` shows the page by the way.
    """
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "flows.py").write_text(SOURCE)
    (tmp_path / "project" / "stepwell.toml").write_text("[settings]\ngrace = 7000\n")
    (tmp_path / "other.conf").write_text("[settings]\ngrace = 2000\n")
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/shown\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))

    with DevServer(
        tmp_path / "project",
        "flows.py",
        "--config",
        "../other.conf",
        "--open",
        "--host",
        "0.0.0.0",
        "--base-path",
        "/s",
    ) as server:
        # Changed until it is seen: the server is ready a moment before it watches.
        wait_until(lambda: _change(tmp_path / "other.conf") and _told("other.conf") in server.log, lambda: server.log)
        wait_until(lambda: (tmp_path / "shown").exists() and (tmp_path / "shown").read_text(), lambda: server.log)
        assert server.terminate() == 0

    assert "now serving" not in server.log
    assert "steps in flight have 2 seconds to end" in server.log
    assert (tmp_path / "shown").read_text() == f"{server.url.replace('0.0.0.0', '127.0.0.1')}/\n"


SLOW = """
import asyncio

from stepwell import WorkflowEntrypoint


class Slow(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.do("work", lambda: asyncio.sleep(3600))
"""


def test_grace_is_as_long_as_it_is_set(tmp_path: Path) -> None:
    """A step in flight is interrupted when the grace is over, and not after the five seconds that it has otherwise."""
    (tmp_path / "flows.py").write_text(SLOW)

    with DevServer(tmp_path, "flows.py", "--set", "grace=6 seconds") as server:
        server.create("slow", "a")
        wait_until(lambda: server.get("slow", "a")["steps"], lambda: server.log)
        begun = time.monotonic()
        assert server.terminate() == 0

        # However late a busy machine is: never sooner.
        assert time.monotonic() - begun >= 6


RAISED = """
from stepwell import WorkflowEntrypoint


class Parent(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do
        async def start():
            return len(await self.env.CHILD.create_batch([{}] * 101))

        return await start()


class Child(WorkflowEntrypoint):
    async def run(self, event, step):
        return await step.do("large", lambda: "x" * 2_000, config={"retries": {"limit": 0, "delay": 0}})
"""
WRANGLER = """{"name": "shop", "workflows": [
    {"name": "parent", "binding": "PARENT", "class_name": "Parent", "limits": {"steps": 30000}},
    {"name": "child", "binding": "CHILD", "class_name": "Child"}
]}"""
TOML = """[settings]
batch_instances = 101
most_steps_per_instance = 30_000
payload_size = "1 kB"
step_result_size = "2002 bytes"
instance_size = "2003 bytes"
"""


def test_limits_hold_in_worker_and_server(tmp_path: Path) -> None:
    """A batch of a binding and of the API, the limit of steps of the wrangler file, the size of an instance."""
    (tmp_path / "flows.py").write_text(RAISED)
    (tmp_path / "wrangler.json").write_text(WRANGLER)
    (tmp_path / "stepwell.toml").write_text(TOML)

    with DevServer(tmp_path, "flows.py") as server:
        server.create("parent", "a")
        made = server.call("/child/instances/batch", [{"instance_id": f"b-{n}"} for n in range(101)])
        assert server.wait_for_status("parent", "a", "complete")["output"] == 101
        error = server.wait_for_status("child", "b-100", "errored")["error"]

    assert len(made) == 101
    assert "would hold 2,004 bytes" in error["message"]
    assert "At most 2,003 are allowed (the setting instance_size)" in error["message"]
