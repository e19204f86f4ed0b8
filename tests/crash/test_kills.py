"""A real server and its worker are killed with SIGKILL behind a commit: what comes of it is as without that."""

import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.crash import killing
from tests.crash.server import DEADLINE_S, READY, DevServer, wait_until

pytestmark = pytest.mark.sqlite

# What fails does so for a while, and not for a number of attempts: a lost one counts.
FLOWS = """
import asyncio, time
from datetime import timezone
from stepwell import Flow, NonRetryableError, SharedLimit, WorkflowEntrypoint, WorkflowTimeoutError

PATIENT = {"retries": {"limit": 1000, "delay": 50, "backoff": "constant"}, "timeout": "1 hour"}

def age(event):
    return time.time() - event["timestamp"].replace(tzinfo=timezone.utc).timestamp()

async def undo(context):
    pass

class Parcel(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.sleep("nap", 200)
        return "sent"

class Order(WorkflowEntrypoint):
    flow = Flow(shared={"desk": SharedLimit(1)})

    async def run(self, event, step):
        async def charge():
            if age(event) < 0.3:
                raise ConnectionError("closed")
            return "x" * 10_000

        async def scan():
            if age(event) < 0.6:
                await asyncio.sleep(3600)
            return "scanned"

        async def part(n):
            return n

        async def letters():
            yield b"a"
            yield b"bc"

        told = [len(await step.do("charge", charge, config=PATIENT, rollback=undo))]
        told.append(await step.do("scan", scan, config=PATIENT | {"timeout": 100}))
        told.append(await asyncio.gather(*(step.do("part", part, n, limit="desk", config=PATIENT) for n in range(3))))
        told.append(await step.child("parcel", self.env.PARCEL, {}))
        told.append((await step.wait_for_event("early", "early"))["payload"])
        told.append((await step.wait_for_event("late", "late", timeout="1 hour"))["payload"])
        stream = await step.do("letters", letters)
        told.append((await stream.read()).decode())
        await step.set_labels({"stage": "late"})
        if event["payload"]["fails"]:
            raise ValueError("no car")
        return told
"""
INSTANCES = {"good": False, "bad": True}
ENDED = ("complete", "errored")
KILLS = 20


class KillingServer(DevServer):
    """A server that is killed behind its n-th commit; it may be so before it is ready."""

    def __init__(self, folder: Path, kills_behind: int) -> None:
        self.kills_behind = kills_behind
        super().__init__(folder)

    @property
    def is_dead(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def command_line(self, *arguments: str) -> list[str]:
        """Return the command line that starts it."""
        return [sys.executable, "-P", killing.__file__, str(self.kills_behind), *arguments]

    def wait_for_line(self, part: str) -> str:
        """Return the first line with this text in it; if it is killed before, an address at which nobody is."""

        def look() -> str | None:
            nowhere = f"{READY}http://127.0.0.1:9" if self.is_dead else None
            return next((line for line in list(self.lines) if part in line), nowhere)

        return wait_until(look, lambda: self.log)


class Client:
    """Does each of its acts until it is answered, by whatever server there is."""

    def __init__(self, server: KillingServer) -> None:
        self.server = server
        self.kills = 0

    def ask(self, path: str, body: object = None, key: str = "") -> Any:
        """Ask until there is an answer, under a key."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            url = f"{self.server.url}/client/v4/accounts/local/workflows{path}"
            data = None if body is None else json.dumps(body).encode()
            headers = {"Idempotency-Key": key} if key else {}
            try:
                with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=DEADLINE_S) as answer:
                    return json.load(answer)["result"]
            except urllib.error.HTTPError as error:
                raise AssertionError(error.read()) from error
            except OSError:
                self._start_again()
        raise AssertionError(self.server.log)

    def wait_for(self, instance: str, condition: Callable[[Any], bool]) -> Any:
        """Return an instance once something is true of it."""
        path = f"/order/instances/{instance}"

        def look() -> Any:
            found = self.ask(path)
            return found if condition(found) else None

        return wait_until(look, lambda: f"{self.ask(path)}\n{self.server.log}")

    def _start_again(self) -> None:
        wait_until(lambda: self.server.is_dead, lambda: f"it does not answer, and lives:\\n{self.server.log}")
        self.server.kill()
        self.kills += 1
        self.server = KillingServer(self.server.folder, 0)


def _play(folder: Path, kills_behind: int = 0) -> tuple[Mapping[str, Any], int, int]:
    """Return what has become of all instances; how often the server was killed; and how many commits the last made."""
    (folder / "flows.py").write_text(FLOWS)
    client = Client(KillingServer(folder, kills_behind))
    try:
        for id, fails in INSTANCES.items():
            client.ask("/order/instances", {"instance_id": id, "params": {"fails": fails}}, key=f"create-{id}")
            client.ask(f"/order/instances/{id}/events/early", {"n": 1}, key=f"early-{id}")
        for id in INSTANCES:
            client.wait_for(id, lambda found: any(step["name"] == "late-1" for step in found["steps"]))
            client.ask(f"/order/instances/{id}/events/late", {"n": 2}, key=f"late-{id}")
        found = {id: _outcome(client.wait_for(id, lambda found: found["status"] in ENDED)) for id in INSTANCES}
        client.server.terminate()
        said = next(line for line in client.server.lines if line.startswith(killing.COMMITS))
        return found, client.kills, int(said.removeprefix(killing.COMMITS))
    finally:
        client.server.kill()


def _outcome(instance: Any) -> dict[str, Any]:
    """Return what an instance has come to, and its steps: without times, and without attempts, as a lost one is one.

    The id of a child is another one for each instance; an event has its time.
    """
    shown: dict[str, Any] = {name: instance[name] for name in ("status", "output", "error", "rollback")}
    for step in instance["steps"]:
        told = {name: step[name] for name in ("success", "finished", "error", "output") if name in step}
        if step["type"] == "waitForEvent" or step["name"] == "parcel-1":
            told.pop("output")
        shown[f"{step['type']} {step['name']}"] = told
    return shown


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> tuple[Mapping[str, Any], int]:
    """What comes of it where nothing is killed, and how many commits that takes."""
    found, kills, commits = _play(tmp_path_factory.mktemp("straight"))
    assert (kills, found["good"]["status"], found["bad"]["status"]) == (0, "complete", "errored")
    return found, commits


@pytest.mark.long
@pytest.mark.timeout(180)  # five seconds, on a machine that does nothing else
@pytest.mark.parametrize("place", range(KILLS))
def test_kill_behind_a_commit_changes_nothing(
    straight: tuple[Mapping[str, Any], int], tmp_path: Path, place: int
) -> None:
    """Server and worker are gone at once; a server that is started then goes on, whatever the commit was."""
    expected, commits = straight

    # Some of the last commits may not come: how many go together is a matter of chance.
    n = 1 + place * (commits * 8 // 10) // (KILLS - 1)
    found, kills, _ = _play(tmp_path, n)

    assert found == expected, f"killed behind commit {n} of about {commits}"
    assert kills == 1
