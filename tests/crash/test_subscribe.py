"""Streams of a real server that is killed, restarted and stopped."""

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.crash.processes import running
from tests.crash.server import DEADLINE_S, DevServer

SOURCE = """
from stepwell import WorkflowEntrypoint


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do
        async def charge():
            return {"paid": True}

        await charge()
        await step.wait_for_event("approval", "approved")
        return "shipped"


class Watcher(WorkflowEntrypoint):
    async def run(self, event, step):
        async def watch():
            order = await self.env.ORDER.get("a")
            with await order.subscribe() as subscription:
                return [told["type"] async for told in subscription]

        return await step.do("watch", watch)
"""
PAST = [
    "workflow_queued",
    "workflow_started",
    "workflow_running",
    "step_started",
    "attempt_started",
    "attempt_completed",
    "step_completed",
    "wait_started",
    "workflow_waiting",
]
REST = ["workflow_running", "wait_completed", "workflow_completed"]


def follow(server: DevServer, query: str = "") -> Any:
    """Open the WebSocket of the order."""
    url = server.url.replace("http", "ws", 1)
    return connect(f"{url}/client/v4/accounts/local/workflows/order/instances/a/subscribe{query}", proxy=None)


def read(socket: Any, most: int = 1_000) -> list[Any]:
    """Read events to the end, or so many."""
    seen: list[Any] = []
    try:
        while len(seen) < most:
            seen.append(json.loads(socket.recv(DEADLINE_S)))
    except ConnectionClosed:
        pass
    return seen


def types(events: list[Any]) -> list[str]:
    """Return the types of events."""
    return [event["type"] for event in events]


def test_stream_goes_on_after_the_server_was_killed(tmp_path: Path) -> None:
    """Numbers outlive `kill -9`: with the last one as cursor nothing is missed, and nothing told twice."""
    (tmp_path / "flows.py").write_text(SOURCE)
    with DevServer(tmp_path) as server:
        server.create("order", "a")
        server.wait_for_status("order", "a", "waiting")
        with follow(server) as socket:
            past = read(socket, len(PAST))
            server.kill()
            broken = read(socket)
    with DevServer(tmp_path) as server, follow(server, f"?cursor={past[-1]['eventId']}") as socket:
        server.call("/order/instances/a/events/approved", 5)
        rest = read(socket)
        with follow(server) as again:
            whole = read(again)

    assert (types(past), broken, types(rest)) == (PAST, [], REST)
    assert socket.protocol.close_code == 1000
    assert whole == past + rest


def test_server_that_stops_closes_its_streams_at_once(tmp_path: Path) -> None:
    """SIGTERM ends streams of both kinds, and does not wait for those who read them."""
    (tmp_path / "flows.py").write_text(SOURCE)
    with DevServer(tmp_path, "flows.py", "--set", "grace=1 hour") as server:
        server.create("order", "a")
        server.wait_for_status("order", "a", "waiting")
        url = f"{server.url}/client/v4/accounts/local/stepwell/workflows/order/instances/a/events"
        with follow(server) as socket, urllib.request.urlopen(url, timeout=DEADLINE_S) as stream:
            past = read(socket, len(PAST))
            ids = [stream.readline() for _ in range(3 * len(PAST))][::3]
            code = server.terminate()

            assert (read(socket), stream.read()) == ([], b"")
            assert (socket.protocol.close_code, code) == (1012, 0)
    assert ids == [b"id: %d\n" % event["eventId"] for event in past]


def test_curl_follows_an_instance(tmp_path: Path) -> None:
    """A program that knows nothing but HTTP reads the events line by line, to the end."""
    (tmp_path / "flows.py").write_text(SOURCE)
    program = (
        "import sys, urllib.request as r\nfor line in r.urlopen(sys.argv[1]): print(line.decode(), end='', flush=True)"
    )
    with DevServer(tmp_path) as server:
        server.create("order", "a")
        url = f"{server.url}/client/v4/accounts/local/stepwell/workflows/order/instances/a/events?filter=wait_started"
        command = [sys.executable, "-c", program, f"{url}&filter=workflow_completed"]
        with running(command) as reader:
            assert reader.stdout is not None
            first = [reader.stdout.readline() for _ in range(3)]
            server.call("/order/instances/a/events/approved", 5)
            rest = reader.stdout.read()
            code = reader.wait(DEADLINE_S)

    assert json.loads(first[1].removeprefix("data: "))["type"] == "wait_started"
    assert '"type":"workflow_completed","output":"shipped"}' in rest
    assert code == 0


def test_author_code_follows_another_instance(tmp_path: Path) -> None:
    """A subscription of a binding is told over the worker's line, as it happens, without asking again and again."""
    (tmp_path / "flows.py").write_text(SOURCE)
    with DevServer(tmp_path) as server:
        server.create("order", "a")
        server.wait_for_status("order", "a", "waiting")
        server.create("watcher", "w")
        server.wait_for_status("watcher", "w", "running")

        server.call("/order/instances/a/events/approved", 5)

        watched = server.wait_for_status("watcher", "w", "complete")
    assert json.loads(watched["output"]) == PAST + REST
