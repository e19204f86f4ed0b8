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

from stepwell.errors import StoreError
from stepwell.store.operations import Commit
from stepwell.store.sqlite import SqliteStore
from tests.store.scenes import NOW, creation, happening, held, register, started

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
        resource.setrlimit(resource.RLIMIT_FSIZE, (800_000, hard))
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
    program.__name__: program for program in (full_disk, open_as_nobody, lock, work)
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](Path(sys.argv[2]))
