"""Code is deployed, and earlier code again, while instances are created and hosts are killed at random moments.

Each instance has to end on one code from its first step to its last: on what was served when it was created.
"""

import itertools
import json
import os
import random
import signal
import threading
import time
import urllib.error
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests import postgres
from tests.crash.fleet import FleetServer
from tests.crash.server import ON_POSTGRES, wait_until
from tests.crash.test_deploy import ask, let_in
from tests.crash.test_pinned import PLACE, Server

# A step has the name of its version: on other code it would not be found.
CODE = """
from stepwell import WorkflowEntrypoint


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        done = [await step.do("first", lambda: "{VERSION}")]
        await step.sleep("short", "0.2 seconds")
        done.append(await step.do("of {VERSION}", lambda: "{VERSION}"))
        await step.sleep("long", "1.5 seconds")
        return [*done, await step.do("last", lambda: "{VERSION}")]
"""
BROKEN = "import gone_away\n"
OPTIONS = ("--allow-deploy", "--set", "lost_turns=1000", "--set", "host_lease=1 second")
UNREACHABLE = (urllib.error.URLError, ConnectionError, HTTPException, TimeoutError)
PAUSE_S = 0.05


@dataclass
class Hosts:
    """Servers of one store, none of which has any files of its own."""

    folder: Path
    store: str
    count: int
    running: list[Server] = field(default_factory=list)
    killed: int = 0

    def start(self) -> None:
        """Start all of them; whoever asks one has the same token."""
        for number in range(self.count):
            (self.folder / f"host {number}").mkdir()
        self.running.append(self._server(0))
        let_in(self.running[0].folder, self.store)
        token = (self.running[0].folder / "token").read_text()
        for number in range(1, self.count):
            self.running.append(self._server(number))
            (self.running[number].folder / "token").write_text(token)

    def kill(self, rng: random.Random) -> None:
        """Kill a host and start it again, or one of its workers."""
        number = rng.randrange(self.count)
        host = self.running[number]
        workers = host.workers()
        if workers and rng.random() < 0.5:
            with suppress(ProcessLookupError):
                os.kill(rng.choice(workers), signal.SIGKILL)
        else:
            host.kill()
            self.running[number] = self._server(number)
        self.killed += 1

    def end(self) -> None:
        """Leave no process behind."""
        for host in self.running:
            host.kill()

    def _server(self, number: int) -> Server:
        place = self.folder / f"host {number}"
        if self.count == 1:
            return Server(place, "", *OPTIONS)
        return FleetServer(place, self.store, "", *OPTIONS)


class Load:
    """Creates instances, one after the other; what is served is told to it before and after each deployment."""

    def __init__(self, hosts: Hosts) -> None:
        self.served: list[str] = []
        # What is known to be served is not older than this.
        self.known = 0
        # By id: what each instance may be of.
        self.created: dict[str, set[str]] = {}
        self.error: BaseException | None = None
        self._hosts = hosts
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def begin(self) -> None:
        """Begin to create."""
        self._thread.start()

    def stop(self) -> None:
        """Create no more. Raises what went wrong."""
        self._is_over.set()
        if self._thread.is_alive():
            self._thread.join()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            for number in itertools.count():
                if self._is_over.wait(PAUSE_S):
                    return
                first = self.known
                self._create(f"i{number}")
                self.created[f"i{number}"] = set(self.served[first:])
        except BaseException as error:  # the test has to hear of it
            self.error = error

    def _create(self, id: str) -> None:
        """Create an instance, on whichever host answers."""
        for turn in itertools.count():
            host = self._hosts.running[turn % self._hosts.count]
            try:
                host.create("order", id)
            except urllib.error.HTTPError as error:
                # One whose answer was lost is there.
                if "already" not in error.read().decode():
                    raise
            except UNREACHABLE:
                time.sleep(PAUSE_S)
                continue
            return


def deploy(hosts: Hosts, load: Load, code: Path, version: str) -> None:
    """Serve code of a version."""
    (code / "flows.py").write_text(CODE.replace("{VERSION}", version))
    serve(hosts, load, version, "deploy", str(code))


def go_back(hosts: Hosts, load: Load) -> None:
    """Serve the code before the last."""
    listed = insist(hosts, lambda done: done.exit_code == 0, "deployments", "list").stdout.splitlines()
    number = listed[1].split("\t")[0]
    serve(hosts, load, load.served[-2], "rollback", number)


def serve(hosts: Hosts, load: Load, version: str, *command: str) -> None:
    """Let a command change what is served, and say so to the load."""
    load.served.append(version)
    insist(hosts, lambda done: done.exit_code == 0, *command)
    load.known = len(load.served) - 1


def refuse(hosts: Hosts, code: Path) -> None:
    """Deploy what cannot be served: nothing changes."""
    (code / "flows.py").write_text(BROKEN)
    insist(hosts, lambda done: done.exit_code != 0 and "gone_away" in done.stderr, "deploy", str(code))


def insist(hosts: Hosts, is_done: Callable[[Result], bool], *command: str) -> Result:
    """Give a command, however often that takes: a host may be killed while it is asked."""
    turns = itertools.count()

    def ask_one() -> Result | None:
        done = ask(hosts.running[next(turns) % hosts.count], *command)
        told.append(f"{done.exit_code} {done.stderr}")
        return done if is_done(done) else None

    told: list[str] = []
    return wait_until(ask_one, lambda: "\n".join(told[-3:]))


def end_of(hosts: Hosts, id: str) -> Any:
    """Return an instance that has ended."""

    def look() -> Any:
        with suppress(*UNREACHABLE):
            found = hosts.running[0].get("order", id)
            return found if found["status"] in ("complete", "errored", "terminated") else None
        return None

    return wait_until(look, lambda: "\n\n".join(host.log[-5_000:] for host in hosts.running))


def check(hosts: Hosts, load: Load) -> None:
    """Check that each instance has ended, on one code, which it may be of and which is that of its version."""
    codes: dict[str, set[str]] = defaultdict(set)
    wrong = []
    for id, may_be in load.created.items():
        found = end_of(hosts, id)
        output = json.loads(found["output"] or "[null]")
        codes[found["versionId"]] |= set(output)
        if found["status"] != "complete" or len(output) != 3 or len(set(output)) != 1 or output[0] not in may_be:
            wrong.append((id, found["status"], output, may_be, found["error"]))

    assert wrong == []
    assert [of for of in codes.values() if len(of) != 1] == []


def run(hosts: Hosts, code: Path, rng: random.Random, rounds: int) -> Load:
    """Deploy, go back and be refused, each so many times, with a kill at a random moment of each."""
    load = Load(hosts)
    hosts.start()
    deploy(hosts, load, code, "v0")
    load.begin()
    try:
        for number in range(1, rounds + 1):
            acts = [
                partial(deploy, hosts, load, code, f"v{number}"),
                partial(deploy, hosts, load, code, f"w{number}"),
                partial(refuse, hosts, code),
                partial(go_back, hosts, load),
            ]
            for act in acts:
                killing = threading.Timer(rng.uniform(0, 1), hosts.kill, (rng,))
                killing.start()
                act()
                killing.join()
    finally:
        load.stop()
    return load


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the code that is deployed, by a person without settings."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "app").mkdir()
    return tmp_path / "app"


@pytest.mark.skipif(ON_POSTGRES, reason="the same on PostgreSQL is below")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("rounds", [1, pytest.param(6, marks=pytest.mark.long)])
def test_every_instance_ends_on_the_code_that_it_should(code: Path, tmp_path: Path, rounds: int) -> None:
    """One server on a file, which is killed with or without its workers."""
    with ExitStack() as stack:
        hosts = Hosts(tmp_path, PLACE[1], 1)
        stack.callback(hosts.end)
        load = run(hosts, code, random.Random(rounds), rounds)
        check(hosts, load)

        assert hosts.killed == 4 * rounds
        assert len({version for may_be in load.created.values() for version in may_be}) == 1 + 2 * rounds


@pytest.mark.long
@pytest.mark.timeout(300)
def test_every_instance_ends_on_the_code_that_it_should_on_two_hosts(
    code: Path, tmp_path: Path, require: Callable[..., None]
) -> None:
    """Two servers on a database: the one goes on with what the other was given, or was in the middle of."""
    require(postgres.REASON, "two hosts on it", postgres.is_there())
    url = postgres.databases.take()
    with ExitStack() as stack:
        stack.callback(postgres.databases.give_back, url)
        hosts = Hosts(tmp_path, url, 2)
        stack.callback(hosts.end)
        load = run(hosts, code, random.Random(7), 6)
        check(hosts, load)

        assert hosts.killed == 24
        assert len({version for may_be in load.created.values() for version in may_be}) == 13
