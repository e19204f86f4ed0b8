"""Three hosts and their PostgreSQL server are killed, stopped, restarted and cut off at random under load."""

import asyncio
import itertools
import json
import os
import random
import signal
import threading
import time
import urllib.error
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from stepwell.core.records import Completed, Key, Recorded, StepSucceeded
from stepwell.stalls import state_of
from stepwell.store import codec
from stepwell.store.operations import GetInstance, InstanceHistory
from tests import pgbouncer, postgres
from tests.crash.fleet import FleetServer, FleetWorker
from tests.crash.server import DevServer, wait_until
from tests.store.scenes import folded

LEASE_S = 1.0
SHORT = ("--set", f"host_lease={LEASE_S:.0f} second", "--set", "lost_turns=1000")
CUT = """
    select count(pg_terminate_backend(pid))
    from pg_stat_activity
    where datname = current_database()
        and pid <> pg_backend_pid()
    """
PLACES = """
    select i.id, r.turn, r.n
    from records as r
    join instances as i on i.row = r.instance
    where r.turn > 0
        and r.n > 0
    order by i.row, r.seq
    """
UNFINISHED = """
    select id, status, due_at - extract(epoch from now()) * 1000 as due_in, owner, turn, n, seq, lost_turns, (
            select kind
            from records as r
            where r.instance = i.row
            order by r.seq desc
            limit 1
        ) as last
    from instances as i
    where ended_at is null
    order by row
    """
LEASES = """
    select row, name, lease_until - extract(epoch from now()) * 1000 as lease_for, snapshot
    from leases
    order by row
    """
WORKFLOW = """
import asyncio, json, os, uuid
from stepwell import Flow, SharedLimit, WorkflowEntrypoint

LEDGER = {ledger!r}


def note(*entry):
    with open(LEDGER, "a") as ledger:
        ledger.write(json.dumps(entry) + "\\n")


class Load(WorkflowEntrypoint):
    flow = Flow(shared={{"desk": SharedLimit(3)}})

    async def run(self, event, step):
        me = event["instanceId"]

        async def work(name, fails=0, limit=None):
            @step.do(name, limit=limit, config={{"retries": {{"limit": 1000, "delay": 40, "backoff": "constant"}}}})
            async def body(ctx):
                value = uuid.uuid4().hex
                note(me, name, ctx["attempt"], ctx["idempotency_key"], value)
                await asyncio.sleep(0.01)
                if ctx["attempt"] <= fails:
                    raise ValueError("not yet")
                return value
            return await body()

        done = [await work(f"one {{i}}", fails=i % 3) for i in range(4)]
        await step.sleep("nap", 300)
        await step.sleep("sleep", "1.5 seconds")
        go = await step.wait_for_event("go", "go", timeout="1 hour")
        done += await asyncio.gather(*(work(f"two {{i}}", i % 2, "desk") for i in range(3)))
        return [*done, go["payload"]["for"]]
"""
STEPS = [*(f"one {n}" for n in range(4)), *(f"two {n}" for n in range(3))]
# A line of the ledger: instance, step, attempt, idempotency key, value.
Line = tuple[str, str, int, str, str]


@dataclass
class Fleet:
    """A PostgreSQL server, and three hosts that see it at `url`: two servers, and a worker without files."""

    folder: Path
    seed: int
    database: postgres.Server
    url: str
    hosts: list[DevServer] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)
    created: list[str] = field(default_factory=list)

    def start(self) -> None:
        """Start all hosts."""
        self.hosts = [self._server(), self._server(), FleetWorker(self.folder, self.url, "", *SHORT)]

    def end(self) -> None:
        """Leave no process behind."""
        for host in self.hosts:
            _go_on(host)
            host.kill()

    def explain(self) -> str:
        """Say what helps to find what went wrong."""
        logs = "\n\n".join(host.log[-6_000:] for host in self.hosts)
        return f"seed {self.seed}, {dict(self.figures)}\n{self._unfinished()}\n{logs}"

    def _unfinished(self) -> str:
        """Say how those stand that have not ended, and who is alive."""
        try:
            rows = [*postgres.query(self.database.url, UNFINISHED), *postgres.query(self.database.url, LEASES)]
        except Exception as error:  # it only helps to explain
            return f"how the rest stands is not known: {error!r}"
        return "\n".join(map(str, rows))

    def kill(self, rng: random.Random) -> None:
        """Kill a host, or a worker of one; start the host again."""
        place = rng.randrange(3)
        host = self.hosts[place]
        self.figures["kills"] += 1
        if rng.random() < 0.4:
            for pid in host.workers():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return
        host.kill()
        self.hosts[place] = self._again(host)

    def stop(self, rng: random.Random) -> None:
        """Stop a host until its lease is over, with its workers or without them, and let it go on."""
        host = rng.choice(self.hosts)
        self.figures["stops"] += 1
        _signal(host, signal.SIGSTOP, with_workers=rng.random() < 0.5)
        time.sleep(LEASE_S * rng.uniform(1.2, 2.5))
        _go_on(host)

    def restart(self, rng: random.Random) -> None:
        """Let PostgreSQL die, and start it again: at once, or when nobody has patience any more."""
        self.figures["restarts"] += 1
        self.database.crash()
        time.sleep(rng.choice((0, 0.5, 6.5)))
        self.database.start()

    def cut(self, rng: random.Random) -> None:
        """End all connections a few times."""
        for _ in range(rng.randint(1, 5)):
            self.figures["cuts"] += 1
            postgres.query(self.database.url, CUT)
            time.sleep(0.05)

    def _server(self) -> FleetServer:
        return FleetServer(self.folder, self.url, "app", *SHORT)

    def _again(self, host: DevServer) -> DevServer:
        return self._server() if isinstance(host, FleetServer) else FleetWorker(self.folder, *_url_of(host), "", *SHORT)


def _url_of(host: DevServer) -> tuple[str]:
    return (host.place[1],)


def _signal(host: DevServer, number: int, *, with_workers: bool) -> None:
    for pid in (host.process.pid, *(host.workers() if with_workers else ())):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _go_on(host: DevServer) -> None:
    if host.process.poll() is None:
        _signal(host, signal.SIGCONT, with_workers=True)


class Load:
    """A client that creates instances and sends each its event, at either server, until that is acknowledged."""

    def __init__(self, fleet: Fleet, count: int, pause_s: float) -> None:
        self.is_done = threading.Event()
        self._fleet = fleet
        self._pause_s = pause_s
        self._turn = itertools.cycle(range(2))
        self._thread = threading.Thread(target=self._run, args=(count,), daemon=True)
        self._thread.start()

    def _run(self, count: int) -> None:
        for number in range(count):
            instance = f"i{number}"
            self._until_acknowledged("/load/instances", {"instance_id": instance})
            self._fleet.created.append(instance)
            self._until_acknowledged(f"/load/instances/{instance}/events/go", {"for": instance})
            time.sleep(self._pause_s)
        self.is_done.set()

    def _until_acknowledged(self, path: str, body: object) -> None:
        while True:
            host = self._fleet.hosts[next(self._turn)]
            try:
                host.call(path, body)
            except urllib.error.HTTPError as error:
                # Created by a call whose answer was lost, or finished by an event whose answer was.
                if b"10405" in (text := error.read()) or b"10401" in text:
                    return
                if error.code < 500:
                    raise
            except (OSError, HTTPException):
                time.sleep(0.02)
            else:
                return


def _all_complete(fleet: Fleet, server: DevServer, count: int) -> Callable[[], bool]:
    def look() -> bool:
        with suppress(OSError):
            counts = server.call("/load")["instances"]
            assert counts["errored"] == 0, fleet.explain()
            return bool(counts["complete"] == count)
        return False

    return look


def _lines(folder: Path) -> list[Line]:
    """Return the ledger. A line of a process that was killed as it wrote may be cut off, and another follow it."""
    lines = []
    for text in (folder / "ledger").read_text().splitlines():
        with suppress(ValueError):
            lines.append(tuple(json.loads(text)))
    return lines


async def _histories(url: str, instances: list[str]) -> list[InstanceHistory]:
    from stepwell.store.postgres import PostgresStore

    store = await asyncio.to_thread(PostgresStore.open, url)
    found = [await store.run(GetInstance("local", "load", instance)) for instance in instances]
    await store.close()
    return found


def _places(url: str) -> dict[str, list[tuple[int, int]]]:
    """Return turn and number in it of each record that a turn has written, by instance, in the order of the history."""
    places: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for instance, turn, n in postgres.query(url, PLACES):
        places[instance].append((turn, n))
    return places


def _check(found: InstanceHistory, places: list[tuple[int, int]], lines: list[Line]) -> None:
    """See that an instance ended right, that each step succeeded once, and that no lost turn has written."""
    records = codec.from_rows(found.records)
    values = _values(records)
    produced = {(step, value) for _, step, _, _, value in lines}
    keys = {(step, key) for _, step, _, key, _ in lines}

    assert found.row.status == "complete"
    assert state_of(found.row) == folded(found)
    assert [record.seq for record in records] == list(range(1, found.row.seq + 1))
    assert places == sorted(set(places))
    assert sorted(key.name for key in values) == STEPS
    assert {(key.name, value) for key, value in values.items()} <= produced
    assert len(keys) == len(STEPS)
    end = records[-1].record
    assert isinstance(end, Completed)
    assert json.loads(str(end.value)) == [*(values[_key(values, step)] for step in STEPS), found.row.id]


def _values(records: list[Recorded]) -> dict[Key, Any]:
    """Return what each step has returned, by its key; one that has done so twice fails the test."""
    values: dict[Key, Any] = {}
    for _, record in records:
        if isinstance(record, StepSucceeded):
            assert record.key not in values
            values[record.key] = json.loads(str(record.value))
    return values


def _key(values: dict[Key, Any], step: str) -> Key:
    return next(key for key in values if key.name == step)


def _soak(fleet: Fleet, instances: int, disturbances: int) -> None:
    """Disturb a fleet under load; then let one server alone end what is left, and hold records against the ledger."""
    rng, folder = random.Random(fleet.seed), fleet.folder
    (folder / "app").mkdir()
    (folder / "app" / "flows.py").write_text(WORKFLOW.format(ledger=str(folder / "ledger")))
    try:
        fleet.start()
        load = Load(fleet, instances, disturbances * 1.2 / instances)
        # Each of them at least once, in any order.
        acts = [fleet.kill, fleet.stop, fleet.restart, fleet.cut]
        acts += rng.choices(acts, [3, 3, 1, 2], k=max(disturbances - 4, 0))
        rng.shuffle(acts)
        for act in acts:
            time.sleep(rng.uniform(0.2, 0.8))
            act(rng)
        start = time.monotonic()
        wait_until(load.is_done.is_set, fleet.explain)
        for host in fleet.hosts[1:]:
            host.kill()
        wait_until(_all_complete(fleet, fleet.hosts[0], instances), fleet.explain)
        took_s = time.monotonic() - start
        _hold_against(fleet, instances, took_s)
    finally:
        fleet.end()


def _hold_against(fleet: Fleet, instances: int, took_s: float) -> None:
    by_instance: dict[str, list[Line]] = defaultdict(list)
    lines = _lines(fleet.folder)
    for line in lines:
        by_instance[line[0]].append(line)
    found = asyncio.run(_histories(fleet.database.url, fleet.created))
    places = _places(fleet.database.url)
    assert len(fleet.created) == instances
    for one in found:
        try:
            _check(one, places[one.row.id], by_instance[one.row.id])
        except AssertionError as error:
            raise AssertionError(f"seed {fleet.seed}, instance {one.row.id}: {error}") from error
    (shared,) = postgres.query(fleet.database.url, "select held from shared_limits")
    assert shared[0] == postgres.query(fleet.database.url, "select count(*) from shared_slots")[0][0]
    lost = max(sum(record.kind == "running" for record in one.records) for one in found)
    print(
        f"seed {fleet.seed}: {dict(fleet.figures)}; {len(lines)} executions, {instances * len(STEPS)} successes and "
        f"{sum(len(one.records) for one in found)} records, at most {lost} turns; complete after {took_s:.1f} s"
    )


@pytest.mark.timeout(150)
def test_fleet_in_chaos_loses_nothing_and_does_nothing_twice(tmp_path: Path, own_database: postgres.Server) -> None:
    """Hosts and database fail in every way once: all ends right, each step has one success, and no lost turn wrote."""
    _soak(Fleet(tmp_path, 2026, own_database, own_database.url), instances=40, disturbances=4)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(1, 5))
def test_fleet_in_long_chaos_loses_nothing_and_does_nothing_twice(
    tmp_path: Path, own_database: postgres.Server, seed: int
) -> None:
    """The same many times over, in other orders."""
    _soak(Fleet(tmp_path, seed, own_database, own_database.url), instances=200, disturbances=40)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_fleet_behind_a_pooler_in_chaos_loses_nothing_and_does_nothing_twice(
    tmp_path: Path, own_database: postgres.Server, require: Callable[..., None]
) -> None:
    """The same where each transaction of a host is on another connection to the database."""
    require(pgbouncer.REASON, "a fleet behind it", pgbouncer.is_there())
    pooler = pgbouncer.Pooler(own_database.url, size=4)
    try:
        _soak(Fleet(tmp_path, 5, own_database, pooler.url(own_database.url)), instances=200, disturbances=40)
    finally:
        pooler.remove()
