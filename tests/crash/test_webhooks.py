"""Servers are killed while they send: each event reaches its receiver at least once, and is one event."""

import http.server
import json
import random
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

import pytest
from standardwebhooks import Webhook

from tests.crash.fleet import FleetServer
from tests.crash.server import DEADLINE_S, DevServer, make_token, wait_until

FLOWS = """
from stepwell import WorkflowEntrypoint


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.do("first", lambda: 1)
        await step.sleep("nap", 700)
        await step.do("second", lambda: 2)
"""
COUNT = 60
# An attempt whose server has died is made again half a minute later.
LOST_S = 120.0
# What of all messages may come twice: those that were answered in the moment of a kill.
MOST_TWICE = 40


class Ledger(http.server.ThreadingHTTPServer):
    """A receiver that writes down what it gets, and often answers badly, slowly or not at all."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.secret = ""
        self.random = random.Random(7)
        # By their ids: what each message is of, and how often it came.
        self.events: dict[str, tuple[str, str]] = {}
        self.came: Counter[str] = Counter()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}/"

    def missing(self) -> set[tuple[str, str]]:
        """Return which events of which instances have not come."""
        events = ("queued", "started", "completed")
        wanted = {(f"cf.workflows.workflow.instance.{event}", f"i{n}") for event in events for n in range(COUNT)}
        return wanted - {*self.events.values()}


class _Taking(http.server.BaseHTTPRequestHandler):
    server: Ledger
    bad: ClassVar[tuple[int, ...]] = (500, 302, 429)

    def do_POST(self) -> None:
        """Take a message."""
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        message = Webhook(self.server.secret).verify(body, headers)
        chance = self.server.random.random()
        if chance < 0.04:
            self.send_error(self.server.random.choice(self.bad))
            return
        id = headers["webhook-id"]
        self.server.came[id] += 1
        self.server.events[id] = (message["type"], message["payload"]["instanceId"])
        time.sleep(0.02)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """A receiver."""
    opened = Ledger()
    yield opened
    opened.shutdown()
    opened.server_close()


def subscribe(server: DevServer, ledger: Ledger, token: str | None = None) -> None:
    """Make a webhook that leads to a receiver."""
    headers = {"content-type": "application/json"} | ({} if token is None else {"authorization": f"Bearer {token}"})
    url = f"{server.url}/client/v4/accounts/local/stepwell/webhooks"
    request = urllib.request.Request(url, json.dumps({"url": ledger.url}).encode(), headers)
    with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
        ledger.secret = json.load(answer)["result"]["secret"]


def create_until_acknowledged(server: DevServer, numbers: range) -> None:
    """Create instances, each again until its creation is acknowledged."""
    for n in numbers:
        end = time.monotonic() + DEADLINE_S
        while True:
            try:
                server.create("order", f"i{n}")
                break
            except OSError as error:
                if "400" in str(error):
                    # It was created, and the answer was lost.
                    break
                if time.monotonic() > end:
                    pytest.fail(f"i{n} cannot be created: {error}")
                time.sleep(0.05)


def hold(ledger: Ledger, log: Callable[[], str]) -> None:
    """Hold what came against what has to: everything, and of each event one message."""
    end = time.monotonic() + LOST_S
    while ledger.missing() and time.monotonic() < end:
        time.sleep(0.2)
    assert ledger.missing() == set(), log()[-3_000:]
    assert max(Counter(ledger.events.values()).values()) == 1, "one event came as two messages"
    twice = sum(count - 1 for count in ledger.came.values())
    assert twice <= MOST_TWICE, f"{twice} messages came again"


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.sqlite
def test_killed_server_sends_each_event_at_least_once(tmp_path: Path, ledger: Ledger) -> None:
    """Whether it was killed between the event and its message, or while that was on its way."""
    (tmp_path / "flows.py").write_text(FLOWS)
    with ExitStack() as opened:
        servers = [opened.enter_context(DevServer(tmp_path, "flows.py"))]
        subscribe(servers[0], ledger)
        for part in range(4):
            create_until_acknowledged(servers[-1], range(part * 15, part * 15 + 15))
            time.sleep(ledger.random.uniform(0, 1.2))
            servers[-1].kill()
            servers.append(opened.enter_context(DevServer(tmp_path, "flows.py")))
        hold(ledger, lambda: servers[-1].log)


@pytest.mark.long
@pytest.mark.timeout(400)
def test_killed_hosts_send_each_event_at_least_once(tmp_path: Path, url: str, ledger: Ledger) -> None:
    """Of two hosts of a database each sends what the other has not; of two that are killed in turn, too."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "flows.py").write_text(FLOWS)
    options = ("--set", "host_lease=1 second", "--set", "webhook_networks=loopback")
    token = make_token(tmp_path, url, "webhooks")
    with ExitStack() as opened:
        servers = [opened.enter_context(FleetServer(tmp_path, url, "app", *options)) for _ in range(2)]
        subscribe(servers[0], ledger, token)
        for part in range(4):
            create_until_acknowledged(servers[0], range(part * 15, part * 15 + 15))
            time.sleep(ledger.random.uniform(0, 1.2))
            servers.pop(part % 2).kill()
            servers.append(opened.enter_context(FleetServer(tmp_path, url, "app", *options)))
        hold(ledger, lambda: "\n".join(server.log for server in servers))


@pytest.mark.sqlite
def test_event_outlasts_a_kill_before_it_is_sent(tmp_path: Path, ledger: Ledger) -> None:
    """What has happened by then is sent by the next server."""
    (tmp_path / "flows.py").write_text(FLOWS)
    ledger.shutdown()
    with DevServer(tmp_path, "flows.py") as server:
        subscribe(server, ledger)
        server.create("order", "i0")
        # Acknowledged: so it is kept, whatever comes.
        server.kill()
    threading.Thread(target=ledger.serve_forever, args=(0.05,), daemon=True).start()

    with DevServer(tmp_path, "flows.py") as server:
        wait_until(lambda: {event for event, id in ledger.events.values() if id == "i0"} >= ENDS, lambda: server.log)


ENDS: Any = {f"cf.workflows.workflow.instance.{event}" for event in ("queued", "started", "completed")}
