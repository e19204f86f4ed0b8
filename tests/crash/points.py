"""Crash points: the engine is dropped behind the n-th commit of a scenario, whatever that commits, and opened anew.

Everything happens in this process and at once, so the n-th commit is the same each time. What is dropped is the whole
engine with its store: nothing of it writes any more, and nobody gets an answer that was still to come. Whoever uses it
goes on with what he has not been answered. The clock stands still meanwhile.
"""

import asyncio
import shutil
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

from stepwell.clock import VirtualClock
from stepwell.errors import StoreUnavailable
from stepwell.store.once import Once
from stepwell.store.operations import EndLease, Operation
from stepwell.store.sql.ledger import Written
from stepwell.store.sql.store import Inline, Shell, SqlStore, Writer
from stepwell.store.sql.threads import Request, give
from stepwell.store.workflow_operations import PurgeDeleted
from stepwell.testing import TestEngine
from tests import postgres
from tests.crash.flows import START_MS, WORKFLOWS, World, Worldly
from tests.crash.scenario import ACTS, SETTINGS, Ending, Scene, ending
from tests.store.files import InlineFile, open_inline


@dataclass(frozen=True)
class Played:
    """What a scenario has come to, how many commits that took, and of what they were.

    `returned`: how often the body of each step of each instance has returned.
    """

    ending: Ending
    returned: Mapping[tuple[str, str], int]
    commits: int
    operations: frozenset[type[Operation[Any]]]

    def differences(self, other: "Played") -> list[str]:
        """Return in what another one differs which the engine was dropped once in: there, bodies may have run again."""
        found = []
        ended, ended_there = self.ending.outcomes, other.ending.outcomes
        for name in sorted(ended.keys() | ended_there.keys()):
            ours, theirs = ended.get(name), ended_there.get(name)
            if ours is None or theirs is None:
                found.append(f"{name} is {'not ' if theirs is None else ''}there")
            elif ours != theirs:
                found += [f"{name}: {difference}" for difference in _differences(asdict(ours), asdict(theirs))]
        for name, value in self.ending.rest.items():
            if value != other.ending.rest[name]:
                found.append(f"{name}: {other.ending.rest[name]} in place of {value}")
        for body in sorted(self.returned.keys() | other.returned.keys()):
            ran, ran_there = self.returned.get(body, 0), other.returned.get(body, 0)
            if not ran <= ran_there <= 2 * ran:
                found.append(f"{body} has returned {ran_there} times in place of {ran}")
        return found


def _differences(ours: dict[str, Any], theirs: dict[str, Any]) -> Iterator[str]:
    for name, value in ours.items():
        if value == theirs[name]:
            continue
        if name == "facts":
            yield from (f"lacks {fact:.300}" for fact in (Counter(value) - Counter(theirs[name])).elements())
            yield from (f"has {fact:.300}" for fact in (Counter(theirs[name]) - Counter(value)).elements())
        else:
            yield f"{name} is {theirs[name]!s:.300} in place of {value!s:.300}"


class Place(Protocol):
    """Where the store of a scenario is kept."""

    def open(self) -> SqlStore:
        """Open a store that does everything at once: a new one, or what was left behind."""

    def drop(self) -> None:
        """Leave the store that is open as a process leaves it that is killed."""


class Files:
    """A folder for each life, with what the system had of the file when the one before was killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: list[InlineFile] = []
        self._lives = 0

    def open(self) -> SqlStore:
        """Open the file."""
        self._path.mkdir(exist_ok=True)
        store = open_inline(self._path / "store.db")
        assert isinstance(store._shell, InlineFile)
        # What is copied is what the system has, whether that is on the disk or not: nobody cuts the power here.
        store._shell.writer.execute("pragma synchronous = off")
        self._open.append(store._shell)
        return store

    def drop(self) -> None:
        """Copy database and log as they are. The lock goes with the process."""
        old = self._path
        self._lives += 1
        self._path.mkdir()
        for file in old.glob("store.db*"):
            if not file.name.endswith(("-shm", ".lock")):
                shutil.copy(file, self._path)

    def close(self) -> None:
        """Let go of the files of all lives."""
        for shell in self._open:
            shell.release()

    @property
    def _path(self) -> Path:
        return self._folder / str(self._lives)


class Database:
    """A database; the host that was killed is one whose lease is over."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._open: list[Shell] = []

    def open(self) -> SqlStore:
        """Open a connection."""
        from stepwell.store.postgres import PostgresStore

        store = PostgresStore.inline(self._url)
        self._open.append(store._shell)
        return store

    def drop(self) -> None:
        """End the leases of all hosts."""
        postgres.query(self._url, "update hosts set lease_until = 0")

    async def close(self) -> None:
        """Let go of all connections."""
        for shell in self._open:
            await shell.close()


async def play(place: Place, drops_behind: int = 0, *, answers_last: bool = False) -> Played:
    """Play the scenario to its end; drop the engine behind the n-th commit, before or after that is answered."""
    Worldly.world = world = World()
    others, client = asyncio.all_tasks(), _Client(world)
    commits = _Commits(place, drops_behind, answers_last=answers_last)
    while True:
        living = asyncio.create_task(client.live(await asyncio.to_thread(commits.open)))
        watching = asyncio.create_task(commits.dropped.wait())
        await asyncio.wait([living, watching], return_when=asyncio.FIRST_COMPLETED)
        if not commits.dropped.is_set():
            await _end([watching])
            if (error := living.exception()) is not None:
                error.add_note(f"dropped behind commit {drops_behind}, answered: {answers_last}")
            return Played(living.result(), world.returned, commits.count, frozenset(commits.operations))
        commits.dropped.clear()
        await asyncio.to_thread(place.drop)
        commits.bury()
        await _end([living])
        # What it has left behind, such as a worker that was about to stop.
        await _end(asyncio.all_tasks() - others)


async def _end(tasks: Collection[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        _, left = await asyncio.wait(tasks, timeout=30)
        assert not left, left
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class _Client:
    """Whoever uses the engine. What he has been answered he knows, whatever becomes of the engine; and the time."""

    world: World
    now: int = START_MS
    act: int = 0
    known: dict[object, Any] = field(default_factory=dict)

    async def live(self, store: SqlStore) -> Ending:
        """Go on with the scenario on an engine that begins; return what it has come to at its end."""
        clock = VirtualClock(self.now)
        self.world.now = clock.now
        try:
            async with TestEngine.open(WORKFLOWS, settings=SETTINGS, store=store, clock=clock) as engine:
                # As a server does when it starts.
                await engine.engine.terminations.resume()
                await engine.engine.jobs.resume()
                await engine.run_until_idle()
                while self.act < len(ACTS):
                    await ACTS[self.act](Scene(engine, self.world, self.act, self.known))
                    self.act += 1
                    await engine.run_until_idle()
                return await ending(engine)
        finally:
            self.now = clock.now()


class _Dropped(BaseException):
    """The engine is no more."""


class _Commits:
    """The commits of all lives, counted."""

    def __init__(self, place: Place, drops_behind: int, *, answers_last: bool) -> None:
        self.count = 0
        self.dropped = asyncio.Event()
        self.operations: set[type[Operation[Any]]] = set()
        self._place = place
        self._drops_behind = drops_behind
        self._answers_last = answers_last

    def open(self) -> SqlStore:
        """Open a store whose commits are counted."""
        store = self._place.open()
        inline = store._shell
        assert isinstance(inline, Inline)
        self._shell = store._shell = shell = _Shell(inline, self)
        inline._writer = cast("Writer", _Counted(inline._writer, shell))
        return store

    def bury(self) -> None:
        """Refuse what is still asked: whoever has lost the engine clears away what he had of it."""
        self._shell.is_buried = True

    def count_one(self, shell: "_Shell") -> None:
        """Count a commit, and drop the engine behind the last that it makes. Raises _Dropped if it is not answered."""
        self.count += 1
        if self.count == self._drops_behind:
            shell.is_dropped = True
            self.dropped.set()
            if not self._answers_last:
                raise _Dropped


class _Shell:
    """What stands between a caller and a database, until that is gone: then nobody is answered any more."""

    def __init__(self, inner: Inline, commits: _Commits) -> None:
        self.inner = inner
        self.where = str(inner)
        self.commits = commits
        self.is_dropped = self.is_buried = False

    def put(self, request: Request) -> None:
        """Do a request."""
        if not self.is_dropped:
            try:
                self.inner.put(request)
            except _Dropped:
                return
        elif isinstance(request.operation, EndLease):
            # The test kit ends its worker's lease, for which there is nobody any more.
            give(request, 0)
        elif self.is_buried:
            give(request, StoreUnavailable("the process has been killed"))

    def mark(self) -> int | None:
        """Return what is another number after each write."""
        return None if self.is_dropped else self.inner.mark()

    async def close(self) -> None:
        """Do nothing: whoever has opened the place closes it."""


class _Counted:
    """What writes, counted."""

    def __init__(self, inner: Writer, shell: _Shell) -> None:
        self._inner = inner
        self._shell = shell

    @property
    def has_rubbish(self) -> bool:
        """Whether something deleted has left rows."""
        return self._inner.has_rubbish

    def write(self, operations: list[Operation[Any]], /) -> Written:
        """Do operations in one batch."""
        self._refuse_if_dropped()
        written = self._inner.write(operations)
        for operation, outcome in zip(operations, written.outcomes, strict=True):
            if not isinstance(outcome, Exception):
                self._shell.commits.operations.add(type(operation))
                if isinstance(operation, Once):
                    self._shell.commits.operations.add(type(operation.operation))
        self._shell.commits.count_one(self._shell)
        return written

    def tidy(self) -> None:
        """Delete a bounded part of what something deleted has left."""
        self._refuse_if_dropped()
        self._inner.tidy()
        self._shell.commits.operations.add(PurgeDeleted)
        self._shell.commits.count_one(self._shell)

    def _refuse_if_dropped(self) -> None:
        if self._shell.is_dropped:
            raise _Dropped
