"""Programs that the fault tests run as processes of their own: `python -m tests.store.children NAME PATH`.

Each prints one line of JSON for what it found; a process that cannot write, or is killed, hurts nobody else.
"""

import asyncio
import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
from msgspec.structs import replace

from stepwell.errors import StoreError
from stepwell.store.operations import Commit, RegisterWorkflow
from stepwell.store.retention_operations import DeleteExpired
from stepwell.store.sqlite import SqliteStore
from stepwell.store.sqlite.connections import open_ledger
from stepwell.store.sqlite.file import open_writer
from tests.store.scenes import NOW, control, creation, happening, held, register, started

NOBODY = 65534
BIG = '"' + "x" * 20_000 + '"'


def say(**facts: object) -> None:
    """Tell the test something."""
    print(json.dumps(facts), flush=True)


def full_disk(path: Path) -> None:
    """Create instances until the disk is full, make room, and go on."""

    async def fill() -> None:
        store = await asyncio.to_thread(SqliteStore.open, path)
        await register(store)
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (900_000, hard))
        acknowledged, error = [], None
        for number in range(100):
            try:
                acknowledged.append((await store.run(creation(f"before-{number}", params=BIG))).id)
            except StoreError as raised:
                error = raised
                break
        together = await asyncio.gather(
            *(store.run(creation(f"full-{number}", params=BIG)) for number in range(20)),
            return_exceptions=True,
        )
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        acknowledged += [row.id for row in together if not isinstance(row, BaseException)]
        acknowledged += [(await store.run(creation(f"after-{number}", params=BIG))).id for number in range(5)]
        refused = {type(row).__name__ for row in together if isinstance(row, BaseException)}
        await store.close()
        say(acknowledged=acknowledged, error=type(error).__name__, text=str(error), refused=sorted(refused))

    asyncio.run(fill())


def wipe_on_a_full_disk(path: Path) -> None:
    """Delete what has expired, wipe its traces while nothing can be written, and once more when there is space."""
    ledger = open_ledger(open_writer(path), str(path))
    numbers = range(1, 31)
    workflow = RegisterWorkflow("acme", "orders", "shop", "Orders", "aa", "w", "v", NOW)
    ledger.write([workflow, *(creation(f"i-{number}", params=BIG) for number in numbers)])
    ledger.write([replace(control("terminate"), id=f"i-{number}") for number in numbers])
    ledger.write([creation("last"), DeleteExpired([(number, 2) for number in numbers])])
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, hard))
    ledger.wipe()
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    was_given_up = not ledger.has_traces
    ledger.write([replace(control("terminate"), id="last"), DeleteExpired([(31, 2)])])
    while ledger.has_traces:
        ledger.wipe()
    ledger.close()
    say(was_given_up=was_given_up, is_there=BIG[1:-1].encode() in path.read_bytes())


def open_as_nobody(path: Path) -> None:
    """Open a store without the rights of root, and tell what is said."""
    if os.geteuid() == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    try:
        SqliteStore.open(path)
    except StoreError as error:
        say(error=type(error).__name__, text=str(error))
    else:
        say(error=None, text="it was opened")


def lock(path: Path) -> None:
    """Hold the file as another program does, until a line comes in."""
    connection = apsw.Connection(str(path))
    connection.execute("begin exclusive")
    say(locked=True)
    sys.stdin.readline()
    connection.close()


def work(path: Path) -> None:
    """Create, send events and commit without end, and tell of each thing only when it was acknowledged."""

    async def go_on() -> None:
        store = await asyncio.to_thread(SqliteStore.open, path)
        turn = await held(store, "turn")
        say(pid=os.getpid())

        async def create() -> None:
            number = 0
            while True:
                number += 1
                row = await store.run(creation(f"c-{number}"))
                event = await store.run(happening(row.id))
                say(created=row.id, event=event)

        async def commit() -> None:
            n, seq = 1, 2
            while True:
                records = [started(f"s-{n}"), started(f"s-{n + 1}")]
                answer = await store.run(Commit(turn.row, turn.turn, n, seq, records, n + 1, NOW))
                n, seq = n + 2, answer.seq
                say(committed=n)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(create())
            tasks.create_task(commit())

    asyncio.run(go_on())


PROGRAMS: dict[str, Callable[[Path], None]] = {
    program.__name__: program for program in (full_disk, wipe_on_a_full_disk, open_as_nobody, lock, work)
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](Path(sys.argv[2]))
