"""Servers are killed while they send traces: each comes at least once, and what comes twice is the same spans."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import postgres
from tests.crash.fleet import FleetServer
from tests.crash.server import DevServer, ask_store, wait_until
from tests.traces.receiver import Received, Receiver, receiving

FLOWS = """
from stepwell import WorkflowEntrypoint


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.do("first", lambda: 1)
        await step.sleep("nap", 50)
        await step.do("second", lambda: 2)
"""
COUNT = 20
IDS = {f"i{n}" for n in range(COUNT)}
NAMES = ("order", "first", "first attempt", "nap", "second", "second attempt")
# What two minutes do: others may send what the dead had taken.
LATER = "update traces set taken_until = 0"


class Killer:
    """Kills the first server that sends, by the name of its service: when its request has come, or was read."""

    def __init__(self, *, is_read: bool) -> None:
        self._is_read = is_read
        self.servers: dict[str, DevServer] = {}
        self.dead: str | None = None
        # Until then requests wait.
        self.is_armed = threading.Event()
        self._lock = threading.Lock()

    def before(self, service: str) -> bool:
        """Kill it where its spans are to be lost."""
        self.is_armed.wait(30)
        return not self._is_read and self._kill(service)

    def behind(self, service: str) -> None:
        """Kill it where nobody tells it that its spans have come."""
        if self._is_read:
            self._kill(service)

    def _kill(self, service: str) -> bool:
        with self._lock:
            if self.dead is None:
                self.dead = service
                self.servers[service].process.kill()
            return self.dead == service

    def wait(self) -> str:
        """Let it kill; return whom it has killed, once it is dead."""
        self.is_armed.set()
        dead = wait_until(lambda: self.dead, lambda: "nobody has sent anything")
        self.servers[dead].kill()
        return dead


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """What gets the spans of the servers of this test."""
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        yield receiver


def hold(receiver: Receiver, *, is_read: bool, log: Callable[[], str]) -> None:
    """Hold what came against what has to: each trace whole, and each of its spans the same whenever it came."""

    def has_come() -> bool:
        came = list(receiver.spans)
        is_twice = len(came) > len({span.span_id for span in came})
        return {span.attributes.get("stepwell.instance.id") for span in came} >= IDS and is_twice == is_read

    wait_until(has_come, log)
    known: dict[str, Received] = {}
    for span in receiver.spans:
        assert known.setdefault(span.span_id, span) == span
    # An attempt that was lost with its server is one more of the same name.
    names = {(span.trace_id, span.name) for span in known.values()}
    assert Counter(name for _, name in names) == dict.fromkeys(NAMES, COUNT)


@pytest.mark.long
@pytest.mark.parametrize("is_read", [pytest.param(False, id="unsent"), pytest.param(True, id="unacknowledged")])
def test_killed_server_sends_each_trace_at_least_once(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, is_read: bool
) -> None:
    """Whether it was killed when it had taken instances, or before it heard that their spans had come."""
    (tmp_path / "flows.py").write_text(FLOWS)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "first")
    killer = receiver.fault = Killer(is_read=is_read)
    with DevServer(tmp_path) as server:
        killer.servers["first"] = server
        for id in IDS:
            server.create("order", id)
        killer.wait()
    ask_store(tmp_path / "data" / "stepwell.db", LATER)

    monkeypatch.setenv("OTEL_SERVICE_NAME", "second")
    with DevServer(tmp_path) as server:
        hold(receiver, is_read=is_read, log=lambda: server.log)


@pytest.mark.long
@pytest.mark.parametrize("is_read", [pytest.param(False, id="unsent"), pytest.param(True, id="unacknowledged")])
def test_other_host_sends_what_a_killed_one_had_taken(
    tmp_path: Path, url: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, is_read: bool
) -> None:
    """Of two hosts of a database that send, one is killed: nobody starts it again."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "flows.py").write_text(FLOWS)
    killer = receiver.fault = Killer(is_read=is_read)
    with ExitStack() as opened:
        for name in ("first", "second"):
            monkeypatch.setenv("OTEL_SERVICE_NAME", name)
            server = FleetServer(tmp_path, url, "app", "--set", "host_lease=1 second")
            killer.servers[name] = opened.enter_context(server)
        for id in IDS:
            killer.servers["first"].create("order", id)
        dead = killer.wait()
        postgres.query(url, LATER)

        left = next(server for name, server in killer.servers.items() if name != dead)
        hold(receiver, is_read=is_read, log=lambda: left.log)
