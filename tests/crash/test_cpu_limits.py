"""Workers that may have so much of the processors and no more: real servers, where the system lets us make cgroups."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.server import DevServer

FLOWS = """
import os, subprocess, sys, time
from stepwell import WorkflowEntrypoint

BURN = "import time; end = time.monotonic() + 1.5\\nwhile time.monotonic() < end: pass"


def burn():
    begun = os.times()
    child = subprocess.Popen([sys.executable, "-c", BURN])
    exec(BURN)
    child.wait()
    spent = [now - before for now, before in zip(os.times(), begun)]
    return [sum(spent[:4]) / spent[4], group()]


def group():
    return open("/proc/self/cgroup").read()


class Flow(WorkflowEntrypoint):
    async def run(self, event, step):
        return [await step.do("burn", burn), await step.do("apart", group, isolated=True)]
"""


@pytest.fixture(scope="module")
def refusal() -> str:
    """What keeps this machine from making cgroups; "": nothing does."""
    # In a process of its own: where there is version 2 it would leave the place where this one is.
    asked = [sys.executable, "-c", "from stepwell import cpu_limits; cpu_limits.find(0.5)"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stderr


def test_worker_has_no_more_of_the_processors_with_all_that_it_starts(tmp_path: Path, refusal: str) -> None:
    """The kernel holds it back; its cgroup is gone when the server is."""
    if refusal:
        # Not by `require`: whether a machine has some is not for whoever installs programs to say.
        pytest.skip(f"needs cgroups that this process may make: {refusal.strip().splitlines()[-1]}")
    (tmp_path / "flows.py").write_text(FLOWS)
    with DevServer(tmp_path, "flows.py", "--set", "worker_cpu=0.1") as server:
        server.create("flow", "a")

        (share, within), apart = json.loads(server.wait_for_status("flow", "a", "complete")["output"])

        (worker,) = server.workers()
        (folder,) = _made_by(server.process.pid)
        assert within == apart == Path(f"/proc/{worker}/cgroup").read_text()
        assert f"/{folder.name}\n" in within
        # Others that want the processors may leave it less than it may have.
        assert share <= 0.1 * 1.25
        assert int(dict(line.split() for line in (folder / "cpu.stat").read_text().splitlines())["nr_throttled"]) > 0
        assert server.terminate() == 0

    assert _made_by(server.process.pid) == []


def test_limit_that_cannot_be_held_keeps_the_server_from_starting(tmp_path: Path, refusal: str) -> None:
    """It is never passed over: the message has the remedy."""
    (tmp_path / "flows.py").write_text(FLOWS)
    # Where it could be held it must not seem so.
    hide = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys/fs/cgroup && exec "$@"', "sh"]
    command = [
        *([] if refusal else hide),
        sys.executable,
        "-m",
        "stepwell",
        "dev",
        "flows.py",
        "--port",
        "0",
        "--set",
        "worker_cpu=1",
    ]

    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30)

    assert ended.returncode == 1
    assert ended.stderr.startswith("error: worker_cpu is 1, and this server can make no cgroups (")
    assert "start it by systemd with Delegate=cpu in its unit" in ended.stderr


def _made_by(pid: int) -> list[Path]:
    return list(Path("/sys/fs/cgroup").rglob(f"stepwell-{pid}-*"))
