"""A process that fires is killed at any moment: each firing has one instance, and none is missing."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import apsw

from stepwell.clock import VirtualClock
from tests.crash.server import wait_until

# Fires minute after minute, as fast as it can; says so when it has begun.
PROCESS = """
import asyncio, sys
from pathlib import Path
from stepwell.store.operations import RegisterWorkflow, VersionSettings
from stepwell.store.schedule_operations import FireSchedules
from stepwell.store.sqlite import SqliteStore

async def main(path, now):
    store = SqliteStore.open(Path(path))
    every = VersionSettings(schedules=("* * * * *", "*/2 * * * *"))
    await store.run(RegisterWorkflow("a", "w", "s", "W", "0" * 64, "wid", "vid", now, None, every))
    begun = Path(path + ".begun")
    while True:
        fired = await store.run(FireSchedules(now, 10**12))
        now = fired.next_at
        if fired.created:
            begun.touch()

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""
MINUTE = 60_000
# The whole minute behind the beginning of tests.
FIRST = 1_790_000_040_000


def test_killed_at_any_moment_it_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """After each SIGKILL there are the instances of all firings up to the moment to which the schedule has moved on."""
    path, begun = tmp_path / "store.db", tmp_path / "store.db.begun"
    now = VirtualClock().now()

    for life in range(6):
        begun.unlink(missing_ok=True)
        process = subprocess.Popen([sys.executable, "-c", PROCESS, str(path), str(now)])
        wait_until(begun.exists, lambda: "it has not begun to fire")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

        with apsw.Connection(str(path)) as connection:
            moved: dict[Any, Any] = dict(connection.execute("select cron, next_at from schedules").fetchall())  # type: ignore[arg-type]  # pairs, as asked
            ids = sorted(id for (id,) in connection.execute("select id from instances"))
        expected = [
            f"{cron}-{at}"
            for cron, step in (("* * * * *", MINUTE), ("*/2 * * * *", 2 * MINUTE))
            for at in range(FIRST, moved[cron], step)
        ]
        assert ids == sorted(expected), f"life {life}"
        now = min(moved.values())
