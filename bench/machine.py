"""What this machine's disk and SQLite can do with nothing round them: the ceiling for any engine on one file."""

import time
from itertools import count
from pathlib import Path

import apsw

SECONDS = 1.0
BATCH_ROWS = 100
ROW = b"x" * 180


def measure(folder: Path) -> dict[str, float]:
    """Return commits of one row a second, and rows a second in batches, both with fsync."""
    return {
        "machine: plain one-row commits/s": _rows_per_second(folder / "one.db", 1),
        "machine: batched rows/s": _rows_per_second(folder / "many.db", BATCH_ROWS),
    }


def _rows_per_second(path: Path, rows: int) -> float:
    db = apsw.Connection(str(path))
    db.execute("pragma journal_mode = wal")
    db.execute("pragma synchronous = full")
    db.execute(
        "create table facts (instance integer, seq integer, body blob, primary key (instance, seq)) without rowid"
    )
    numbers = count()
    start, written = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        db.execute("begin immediate")
        db.executemany("insert into facts values (1, ?, ?)", [(next(numbers), ROW) for _ in range(rows)])
        db.execute("commit")
        written += rows
    seconds = time.perf_counter() - start
    db.close()
    return written / seconds
