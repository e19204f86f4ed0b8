"""A real server and its worker are killed with SIGKILL at random moments under load. Nothing acknowledged is lost."""

import os
import random
import signal
import threading
import time
import urllib.error
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.crash.server import DevServer, wait_until

WORKFLOW = """
import asyncio, os, time
from stepwell import WorkflowEntrypoint

def note(instance, step):
    with open("runs", "a") as runs:
        runs.write(f"{instance} {step} {time.time_ns() // 1_000_000}\\n")

class Load(WorkflowEntrypoint):
    async def run(self, event, step):
        me = event["instanceId"]

        async def work(name, fails=0):
            @step.do(name, config={"retries": {"limit": 9, "delay": 40, "backoff": "constant"}})
            async def body(ctx):
                note(me, name)
                await asyncio.sleep(0.005)
                if ctx["attempt"] <= fails:
                    raise ValueError("not yet")
                return name
            return await body()

        done = [await work(f"one {i}", fails=i % 3) for i in range(4)]
        await step.sleep("nap", 300)
        await step.sleep("sleep", "1.2 seconds")
        go = await step.wait_for_event("go", "go", timeout="1 hour")
        done += await asyncio.gather(*(work(f"two {i}", fails=1) for i in range(3)))
        return [*done, go["payload"]]
"""
EXPECTED = '["one 0","one 1","one 2","one 3","two 0","two 1","two 2",{"for":"%s"}]'


class Load:
    """A client that creates instances and sends each its event, again and again until it is acknowledged."""

    def __init__(self, server: DevServer, count: int) -> None:
        self.server = server
        self.created: list[str] = []
        self.is_done = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(count,), daemon=True)
        self._thread.start()

    def _run(self, count: int) -> None:
        for number in range(count):
            instance = f"i{number}"
            self._until_acknowledged("/load/instances", {"instance_id": instance})
            self.created.append(instance)
            self._until_acknowledged(f"/load/instances/{instance}/events/go", {"for": instance})
            # Spread over the kills, so that each of them finds instances in every state.
            time.sleep(0.04)
        self.is_done.set()

    def _until_acknowledged(self, path: str, body: object) -> None:
        while True:
            try:
                self.server.call(path, body)
            except urllib.error.HTTPError as error:
                # Created by a call whose answer was lost, or finished by an event whose answer was.
                if b"10405" in (text := error.read()) or b"10401" in text:
                    return
                raise
            except OSError:
                time.sleep(0.02)
            else:
                return


def _kill_at_random(load: Load, folder: Path, rng: random.Random, kills: int) -> DevServer:
    server = load.server
    for _ in range(kills):
        time.sleep(rng.uniform(0.3, 1.2))
        if rng.random() < 0.5:
            server.kill()
            server = load.server = DevServer(folder)
        else:
            for pid in server.workers():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    return server


def _stop_at_random(load: Load, folder: Path, rng: random.Random, stops: int) -> DevServer:
    server = load.server
    for _ in range(stops):
        time.sleep(rng.uniform(0.3, 1.2))
        assert server.terminate() == 0, server.log
        server = load.server = DevServer(folder)
    return server


def _milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def _check(server: DevServer, folder: Path, created: list[str]) -> None:
    runs = defaultdict(list)
    for line in (folder / "runs").read_text().splitlines():
        instance, one, two, at = line.split()
        runs[instance, f"{one} {two}-1"].append(int(at))
    for instance in created:
        found = server.get("load", instance)
        assert found["output"] == EXPECTED % instance
        for entry in found["steps"]:
            if entry["type"] == "step":
                assert [attempt["success"] for attempt in entry["attempts"]].count(True) == 1
                # A body that ran after its result was on record would have begun after the step's end.
                assert max(runs[instance, entry["name"]]) <= _milliseconds(entry["end"])


Disturb = Callable[[Load, Path, random.Random, int], DevServer]


def _soak(folder: Path, seed: int, instances: int, kills: int, disturb: Disturb = _kill_at_random) -> list[Any]:
    """Disturb a server under load, see that all instances end right, and return them."""
    (folder / "flows.py").write_text(WORKFLOW)
    server = DevServer(folder)
    try:
        load = Load(server, instances)
        server = disturb(load, folder, random.Random(seed), kills)
        start = time.monotonic()
        wait_until(load.is_done.is_set, lambda: server.log)

        def all_complete() -> bool:
            counts = server.call("/load")["instances"]
            assert counts["errored"] == 0, server.log
            return bool(counts["complete"] == instances)

        wait_until(all_complete, lambda: f"{server.call('/load')}\n{server.log}")
        print(f"seed {seed}: {kills} kills, all complete {time.monotonic() - start:.1f} s after the last one")
        assert len(load.created) == instances
        _check(server, folder, load.created)
        return [server.get("load", instance) for instance in load.created]
    finally:
        server.kill()


def test_killed_at_random_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    """Kill server or worker four times under load: every instance ends right, and no recorded step runs again."""
    _soak(tmp_path, seed=2026, instances=80, kills=4)


def test_restart_under_load_loses_nothing_and_counts_no_attempt(tmp_path: Path) -> None:
    """Stop the server three times, and start it again: what it interrupts is no failure, and none of it is lost."""
    _restart(tmp_path, instances=60, stops=3)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_many_restarts_under_load_lose_nothing_and_count_no_attempt(tmp_path: Path) -> None:
    """The same with more instances and more stops."""
    _restart(tmp_path, instances=400, stops=20)


def _restart(folder: Path, instances: int, stops: int) -> None:
    ended = _soak(folder, seed=2027, instances=instances, kills=stops, disturb=_stop_at_random)

    attempts = [
        (step["name"], attempt) for one in ended for step in one["steps"] for attempt in step.get("attempts", [])
    ]
    errors = Counter(attempt["error"]["name"] for _, attempt in attempts if attempt["error"])
    assert set(errors) <= {"ValueError", "AttemptInterrupted"}
    # Two of the four first steps fail once or twice, and each of the others once, whatever was interrupted beside.
    assert errors["ValueError"] == instances * (0 + 1 + 2 + 0 + 3 * 1)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(8))
def test_killed_at_random_many_times(tmp_path: Path, seed: int) -> None:
    """The same with other moments, more instances and more kills."""
    _soak(tmp_path, seed=seed, instances=450, kills=20)
