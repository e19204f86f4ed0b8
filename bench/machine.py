"""What this machine can do with nothing round it: the ceiling of any engine. `python -m bench.machine FOLDER`."""

import asyncio
import os
import time
from collections.abc import Callable
from itertools import count

import apsw

from bench.driver import Driver, Figures, drive

BATCH_ROWS = 100
ROW = b"x" * 180


class Machine(Driver):
    """No engine at all: its only work is named `machine`."""

    works = ("machine",)

    async def start(self) -> dict[str, str]:
        """Start nothing."""
        return {"SQLite": apsw.sqlite_lib_version()}

    async def measure(self, work: str) -> tuple[str, Figures]:
        """Measure the disk, SQLite, PostgreSQL and the loop, one after the other."""
        seconds = self.sizes.seconds / 3
        figures = {
            "syncs_per_s": self._syncs_per_s(seconds),
            "commits_per_s": self._rows_per_s(seconds, 1),
            "rows_per_s": self._rows_per_s(seconds, BATCH_ROWS),
            "round_trips_per_s": await _round_trips_per_s(seconds),
        }
        if self.database:
            figures["postgres_commits_per_s"] = await self._postgres_commits_per_s(seconds)
        return f"{seconds:g} s each", figures

    def _syncs_per_s(self, seconds: float) -> float:
        """Append 4 KiB and wait until they are on the disk."""
        with (self.folder / "appended").open("wb", buffering=0) as file:

            def append() -> None:
                file.write(b"x" * 4096)
                os.fdatasync(file.fileno())

            return _per_s(seconds, append)

    def _rows_per_s(self, seconds: float, rows: int) -> float:
        db = apsw.Connection(str(self.folder / f"rows-{rows}.db"))
        db.execute("pragma journal_mode = wal")
        db.execute("pragma synchronous = full")
        db.execute("create table facts (instance integer, seq integer, body blob, primary key (instance, seq))")
        numbers = count()

        def commit() -> None:
            db.execute("begin immediate")
            db.executemany("insert into facts values (1, ?, ?)", [(next(numbers), ROW) for _ in range(rows)])
            db.execute("commit")

        found = _per_s(seconds, commit) * rows
        db.close()
        return found

    async def _postgres_commits_per_s(self, seconds: float) -> float:
        import asyncpg  # noqa: PLC0415 - not everybody has it

        connection = await asyncpg.connect(self.database)
        await connection.execute("create table facts (seq bigint primary key, body bytea)")
        insert = await connection.prepare("insert into facts values ($1, $2)")
        done, until = 0, time.perf_counter() + seconds
        while time.perf_counter() < until:
            await insert.fetch(done, ROW)
            done += 1
        await connection.close()
        return done / seconds


def _per_s(seconds: float, act: Callable[[], None]) -> float:
    done, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        act()
        done += 1
    return done / (time.perf_counter() - begun)


async def _round_trips_per_s(seconds: float) -> float:
    """Send a line to a server on this loop and wait for it to come back."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()
        ended.set()

    ended = asyncio.Event()
    server = await asyncio.start_server(echo, "127.0.0.1")
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    done, until = 0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        writer.write(b"there and back\n")
        await reader.readline()
        done += 1
    writer.close()
    await ended.wait()
    server.close()
    return done / seconds


if __name__ == "__main__":
    drive(Machine)
