"""Expiry: what it leaves in a file, how it goes on after a crash, and that it takes nothing but what has ended."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given
from msgspec.structs import replace

from stepwell import expiry
from stepwell.clock import VirtualClock
from stepwell.core.failures import Failure
from stepwell.core.records import Completed, Failed, Restarted, Terminated
from stepwell.expiry import Expiry
from stepwell.server_settings import Settings
from stepwell.store import codec
from stepwell.store.control_operations import DeleteInstance, RestartInstance, TerminateInstance
from stepwell.store.operations import (
    AppendEvent,
    ClaimDue,
    Claims,
    Operation,
    RegisterWorker,
    RegisterWorkflow,
    Release,
    Retention,
)
from stepwell.store.retention_operations import DeleteExpired, Expired, FindExpired
from stepwell.store.sql import threads
from stepwell.store.sql.ledger import Ledger
from stepwell.store.sql.rows import every, only
from stepwell.store.sql.tables import GAPS
from stepwell.store.sqlite import SqliteStore
from stepwell.store.sqlite.connections import open_ledger, read
from stepwell.store.sqlite.file import open_in_memory, open_reader
from tests.engine.stores import refused
from tests.store.difference import miscounted
from tests.store.scenes import LEASE, NOW, claim, control, creation, ending, happening, outcomes, register, worker

SECRET = "x" * 5_000 + "the secret of the order" + "y" * 5_000
_WORKFLOW = RegisterWorkflow("acme", "orders", "shop", "Orders", "aa", "w", "v", NOW)


def _told(kept_ms: int) -> Settings:
    return Settings(success_retention=kept_ms, error_retention=kept_ms)


def _expiry(store: Any, now: int = NOW + 1_000) -> Expiry:
    return Expiry(store, VirtualClock(now), _told(0), pause_s=0)


async def _ended(store: SqliteStore, count: int, params: str) -> None:
    await register(store)
    labels = {"secret": "the secret of the label"}
    await outcomes(store, [replace(creation(f"i-{n}", params=params), labels=labels) for n in range(count)])
    number = await worker(store)
    while turns := (await claim(store, number, limit=500)).turns:
        failed = [codec.to_row(Failed(NOW + 1, Failure("Lost", "the secret of the error")))]
        errored = replace(ending(turns[0]), records=failed, status="errored")
        await outcomes(store, [errored, *(ending(turn, value=f'"{SECRET}"') for turn in turns[1:])])


def _bytes(path: Path) -> bytes:
    log = path.with_name(path.name + "-wal")
    return path.read_bytes() + (log.read_bytes() if log.exists() else b"")


async def _until(is_so: Any) -> None:
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(is_so):  # noqa: ASYNC110 - nobody is told of it
            await asyncio.sleep(0.02)


async def test_what_has_expired_is_nowhere_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values, labels and errors are neither in the database nor in its log, while the server runs."""
    monkeypatch.setattr(threads, "WIPE_PAUSE_S", 0.02)
    path = tmp_path / "store.db"
    store = await asyncio.to_thread(SqliteStore.open, path)
    await _ended(store, 3, params=f'"{SECRET}"')
    await store.run(creation("kept", params='"another secret"'))
    before = await asyncio.to_thread(_bytes, path)

    await _expiry(store).look()
    await _until(lambda: b"the secret of" not in _bytes(path))

    assert b"the secret of" in before
    assert b"another secret" in await asyncio.to_thread(_bytes, path)
    await store.close()


async def test_file_gives_its_room_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When most has expired the file is smaller, without a restart."""
    monkeypatch.setattr(threads, "WIPE_PAUSE_S", 0.01)
    path = tmp_path / "store.db"
    store = await asyncio.to_thread(SqliteStore.open, path)
    await _ended(store, 300, params=f'"{SECRET}"')
    reader = await asyncio.to_thread(open_reader, path)
    (before,) = only(reader, "pragma page_count")

    await _expiry(store).look()
    await _until(lambda: only(reader, "pragma page_count")[0] < before // 3)

    reader.close()
    await store.close()
    assert before > 1_500


async def test_server_looks_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends while it runs goes, too, and a look that fails is not the last one."""
    monkeypatch.setattr(expiry, "LOOK_EVERY_S", 0.01)
    path = tmp_path / "store.db"
    store = await asyncio.to_thread(SqliteStore.open, path)
    reader = await asyncio.to_thread(open_reader, path)
    await register(store)
    looking = asyncio.create_task(_expiry(_FailsOnce(store)).run())

    for _ in range(2):
        await store.run(creation())
        await store.run(control("terminate"))
        await _until(lambda: only(reader, "select count(*) from instances")[0] == 0)

    looking.cancel()
    await asyncio.wait([looking])
    reader.close()
    await store.close()


class _FailsOnce:
    """A store that is away when it is asked first."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._is_away = True

    def run(self, operation: Operation[Any]) -> "asyncio.Future[Any]":
        if not self._is_away:
            return self._store.run(operation)
        self._is_away = False
        return refused("the disk is away")


def test_store_in_memory_gives_nothing_back() -> None:
    """It has no file that could be smaller, and is not asked again and again."""
    ledger = open_ledger(open_in_memory(), "here")
    ledger.write([_WORKFLOW, creation(params=f'"{SECRET}"'), control("terminate"), DeleteExpired([(1, 2)])])

    ledger.wipe()

    assert not ledger.has_traces


_KILLED = """
import asyncio, sys
from stepwell.clock import VirtualClock
from stepwell.expiry import Expiry
from stepwell.server_settings import Settings
from stepwell.store.sqlite import SqliteStore

async def main():
    store = SqliteStore.open(sys.argv[1])
    print("open", flush=True)
    told = Settings(success_retention=0, error_retention=0)
    await Expiry(store, VirtualClock(int(sys.argv[2])), told, pause_s=0.005).look()

asyncio.run(main())
"""


def _count(path: Path) -> int:
    reader = open_reader(path)
    try:
        return int(only(reader, "select count(*) from instances")[0])
    finally:
        reader.close()


@pytest.mark.long
async def test_killed_in_the_middle_it_goes_on(tmp_path: Path) -> None:
    """After SIGKILL what is left is whole and counted, and the next server deletes the rest."""
    path = tmp_path / "store.db"
    store = await asyncio.to_thread(SqliteStore.open, path)
    await _ended(store, 1_000, params="{}")
    await store.run(creation("kept"))
    await store.close()

    left = await asyncio.to_thread(_kill_in_the_middle, path)

    store = await asyncio.to_thread(SqliteStore.open, path)
    reader = await asyncio.to_thread(open_reader, path)
    assert 1 < left < 1_001
    assert every(reader, GAPS) == []
    assert miscounted(lambda sql: every(reader, sql)) == []
    await _expiry(store).look()
    assert every(reader, "select id from instances where workflow > 0") == [("kept",)]
    assert miscounted(lambda sql: every(reader, sql)) == []
    reader.close()
    await store.close()


def _kill_in_the_middle(path: Path) -> int:
    command = [sys.executable, "-c", _KILLED, str(path), str(NOW + 1_000)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        while _count(path) > 900:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
    return _count(path)


# ---- whatever happens


@dataclass
class _Known:
    """What has to be so of an instance: when it ended, and how long it is kept."""

    kept_ms: int
    ended_at: int | None = None


_MOVES = st.sampled_from(["create", "create own", "claim and end", "terminate", "restart", "event", "delete", "late"])
_STEPS = st.lists(st.tuples(_MOVES, st.integers(0, 3), st.integers(0, 40)), max_size=40)


@given(_STEPS)
def test_nothing_that_has_not_ended_ever_expires(steps: list[tuple[str, int, int]]) -> None:
    """Whatever is done, and whenever it is looked: all that has expired goes, and nothing else, also if it is late."""
    connection = open_in_memory()
    ledger = open_ledger(connection, "here")
    ledger.write([_WORKFLOW, RegisterWorker("worker", LEASE, NOW)])
    known: dict[str, _Known] = {}
    found: list[tuple[int, int]] = []
    now = NOW

    for move, number, passed in steps:
        now += passed
        id = f"i-{number}"
        if move == "late":
            # What was found before the last steps.
            ledger.write([DeleteExpired(found)])
        else:
            _move(ledger, known, (move, id, now))
        expired = read(connection, FindExpired(now, 50, 50))
        assert isinstance(expired, Expired)
        found = expired.instances
        if number % 2:
            ledger.write([DeleteExpired(found)])

        there = {id for (id,) in every(connection, "select id from instances where workflow > 0")}
        over = {id for id, one in known.items() if one.ended_at is not None and one.ended_at + one.kept_ms <= now}
        assert {*known} - over <= there
        assert not number % 2 or there == {*known} - over
        known = {id: one for id, one in known.items() if id in there}
        assert miscounted(lambda sql: every(connection, sql)) == []
    connection.close()


def _move(ledger: Ledger, known: dict[str, _Known], asked: tuple[str, str, int]) -> None:
    move, id, now = asked
    where = ("acme", "orders", id)
    match move:
        case "create" | "create own":
            own = Retention(20, 20) if move == "create own" else None
            if not _is_refused(ledger, replace(creation(id, at=now), retention=own)):
                known[id] = _Known(50 if own is None else 20)
        case "claim and end":
            for id in _end_all(ledger, now):
                known[id].ended_at = now
        case "terminate" if not _is_refused(ledger, TerminateInstance(*where, codec.to_row(Terminated(now, "api")))):
            known[id].ended_at = now
        case "restart" if not _is_refused(ledger, RestartInstance(*where, "api", codec.to_row(Restarted(now, "api")))):
            known[id].ended_at = None
        case "delete" if not _is_refused(ledger, DeleteInstance(*where, now)):
            del known[id]
        case _:
            _is_refused(ledger, AppendEvent(*where, happening().record))


def _end_all(ledger: Ledger, now: int) -> Iterator[str]:
    """End whatever is due; yield the ids."""
    (claims,) = ledger.write([ClaimDue(1, now, 10)]).outcomes
    assert isinstance(claims, Claims)
    for turn in claims.turns:
        done = [codec.to_row(Completed(now, "1"))]
        end = Release(turn.row, turn.turn, turn.n, len(turn.history or []), done, 0, "complete", None, now, now)
        assert not _is_refused(ledger, end)
        yield turn.id


def _is_refused(ledger: Ledger, operation: Operation[Any]) -> bool:
    (outcome,) = ledger.write([operation]).outcomes
    return isinstance(outcome, Exception)
