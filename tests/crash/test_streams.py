"""Streams of a real server and its worker: killed in the middle, read by programs, and larger than memory."""

import hashlib
import http.client
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.crash.server import DevServer, wait_until

PIECE = 256 * 1024
WORKFLOW = """
import asyncio, hashlib, time
from pathlib import Path
from stepwell import WorkflowEntrypoint

PIECE = 256 * 1024

class Export(WorkflowEntrypoint):
    async def run(self, event, step):
        pieces, stops_at = event["payload"]["pieces"], event["payload"].get("stops_at")

        async def export(ctx):
            for n in range(pieces):
                yield n.to_bytes(4, "big") * (PIECE // 4)
                if n == stops_at and ctx.attempt == 1:
                    Path("stopped").touch()
                    await asyncio.sleep(3600)

        stream = await step.do("export", export, config={"timeout": "1 hour"})

        def digest():
            found = hashlib.sha256()
            for piece in stream:
                found.update(piece)
            return found.hexdigest()

        first = await step.do("digest in a thread", digest)
        found = hashlib.sha256()
        async for piece in stream:
            found.update(piece)
        return [stream.size, first, found.hexdigest()]

class Tick(WorkflowEntrypoint):
    async def run(self, event, step):
        slowest = 0
        for n in range(event["payload"]["steps"]):
            began = time.perf_counter()
            await step.do(f"tick {n}", lambda: n)
            slowest = max(slowest, time.perf_counter() - began)
            await asyncio.sleep(0.02)
        return slowest
"""


def _digest(pieces: int) -> str:
    found = hashlib.sha256()
    for n in range(pieces):
        found.update(n.to_bytes(4, "big") * (PIECE // 4))
    return found.hexdigest()


@contextmanager
def _downloading(server: DevServer, step: str = "export-1") -> Iterator[http.client.HTTPResponse]:
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    path = f"/client/v4/accounts/local/workflows/export/instances/a/step?name={step}&type=step"
    connection.request("GET", path)
    with connection.getresponse() as response:
        yield response
    connection.close()


def _digest_of(response: http.client.HTTPResponse) -> tuple[int, str]:
    found, size = hashlib.sha256(), 0
    while part := response.read(PIECE):
        found.update(part)
        size += len(part)
    return size, found.hexdigest()


def test_stream_is_whole_after_a_kill_in_its_middle(tmp_path: Path) -> None:
    """The next attempt begins it anew, nothing of the first is in it, and programs read it over the API."""
    (tmp_path / "flows.py").write_text(WORKFLOW)
    with DevServer(tmp_path) as server:
        server.create("export", "a", {"pieces": 40, "stops_at": 20})
        wait_until((tmp_path / "stopped").exists, lambda: server.log)
        server.kill()

    with DevServer(tmp_path) as server:
        output = json.loads(server.wait_for_status("export", "a", "complete")["output"])
        with _downloading(server) as response:
            size, digest = _digest_of(response)
        command = [sys.executable, "-m", "stepwell", "instances", "step", "export", "a", "export-1"]
        written = subprocess.run([*command, "--url", server.url], capture_output=True, timeout=60, check=True)
        with Path("/dev/full").open("wb") as full:
            refused = subprocess.run(
                [*command, "--url", server.url], stdout=full, stderr=subprocess.PIPE, timeout=60, check=False
            )

    assert output == [40 * PIECE, _digest(40), _digest(40)]
    assert (size, digest) == (40 * PIECE, _digest(40))
    # The disk of whoever asks is no fault of the server.
    assert refused.returncode == 1
    assert refused.stderr == b"error: the output cannot be written: No space left on device\nhint: free some space\n"
    assert (len(written.stdout), hashlib.sha256(written.stdout).hexdigest()) == (40 * PIECE, _digest(40))


def _memory_mb(pid: int) -> int:
    """Return what a process has in memory that is its own, at its most so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) // 1024


@pytest.mark.long
@pytest.mark.timeout(900)
def test_gibibyte_takes_no_more_memory_than_a_megabyte(tmp_path: Path) -> None:
    """Writing, replaying and downloading it, the processes stay as they were; steps of others go on beside it."""
    (tmp_path / "flows.py").write_text(WORKFLOW)
    pieces = 4_096
    with DevServer(tmp_path, "flows.py", "--set", "instance_size=2 GB") as server:
        server.create("export", "warm", {"pieces": 4})
        server.wait_for_status("export", "warm", "complete")
        pids = [server.process.pid, *server.workers()]
        before = [_memory_mb(pid) for pid in pids]

        server.create("export", "a", {"pieces": pieces})
        server.create("tick", "beside", {"steps": 100})
        ticks = server.wait_for_status("tick", "beside", "complete")
        was_running = server.get("export", "a")["status"] == "running"
        ended = threading.Event()
        while not ended.wait(1) and server.get("export", "a")["status"] == "running":
            assert server.process.poll() is None
        output = json.loads(server.wait_for_status("export", "a", "complete")["output"])
        with _downloading(server) as response:
            size, digest = _digest_of(response)
        after = [_memory_mb(pid) for pid in pids]

    expected = _digest(pieces)
    assert output == [2**30, expected, expected]
    assert (size, digest) == (2**30, expected)
    assert was_running, "the steps beside it ended first"
    print("memory before and after, MB:", before, after, "slowest step beside it, s:", ticks["output"])
    assert max(now - then for then, now in zip(before, after, strict=True)) < 64
