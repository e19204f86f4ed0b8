"""The embedded store: one SQLite file that this process alone writes, or a store in memory for tests."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, TypeVar

from stepwell.errors import StoreUnavailable
from stepwell.store import Listener
from stepwell.store.listeners import Listeners
from stepwell.store.operations import InstanceRow, Operation
from stepwell.store.sql.reads import READS
from stepwell.store.sql.threads import ReaderThreads, Request, WriterThread, settle
from stepwell.store.sql.transaction import Tidings
from stepwell.store.sqlite.connections import FileReading, open_ledger
from stepwell.store.sqlite.faults import translated
from stepwell.store.sqlite.file import FileLock, open_in_memory, open_reader, open_writer

READERS = 2

A = TypeVar("A")


class SqliteStore:
    """A store in one SQLite file. See `Store` for what it promises.

    A read sees everything that was acknowledged before it was asked.
    """

    def __init__(self, shell: "_Shell", listeners: Listeners) -> None:
        self._shell = shell
        self._listeners = listeners
        self._is_closed = False

    @classmethod
    def open(cls, path: Path | str) -> "SqliteStore":
        """Open the store in a file, which is made if need be, for this process alone. Blocks for a moment.

        Raises StoreUnavailable, StoreDamaged, StoreInUse or StoreTooNew.
        """
        listeners = Listeners()
        return cls(_File(Path(path).absolute(), listeners), listeners)

    @classmethod
    def in_memory(cls) -> "SqliteStore":
        """Open an empty store that does everything at once, without threads, and ends with `close`."""
        listeners = Listeners()
        return cls(_Inline(listeners), listeners)

    def run(self, operation: Operation[A]) -> "asyncio.Future[A]":
        """Do an operation; see `Store.run`."""
        future: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        if self._is_closed:
            future.set_exception(StoreUnavailable(f"{self._shell.where} has been closed"))
        else:
            self._shell.put(Request(operation, future))
        return future

    def listen(self, worker: int, listener: Listener) -> None:
        """Tell a worker of what is due and what came from outside, on the running event loop."""
        self._listeners.add(worker, listener)

    def ignore(self, worker: int) -> None:
        """Tell a worker nothing more."""
        self._listeners.remove(worker)

    def watch(self, instance: InstanceRow, told: Callable[[], None]) -> Callable[[], None]:
        """Call `told` when an instance gets a record or is deleted; return what ends that."""
        return self._listeners.watchers.watch(instance, told)

    async def close(self) -> None:
        """Do what was asked, then let go of the file. Operations asked from now on fail."""
        if not self._is_closed:
            self._is_closed = True
            await self._shell.close()


class _Shell(Protocol):
    """What stands between a caller and SQLite."""

    where: str

    def put(self, request: Request) -> None: ...

    async def close(self) -> None: ...


class _File:
    """Threads round a file."""

    def __init__(self, path: Path, listeners: Listeners) -> None:
        self.where = str(path)
        with ExitStack() as opened, translated(path):
            self._lock = FileLock(path)
            opened.callback(self._lock.release)
            writer = open_writer(path)
            opened.callback(writer.close)
            readers = [FileReading(open_reader(path), self.where) for _ in range(READERS)]
            ledger = open_ledger(writer, self.where)
            opened.pop_all()
        self._writer = WriterThread(ledger, lambda tidings: _announce(listeners, tidings))
        self._readers = ReaderThreads(readers)

    def put(self, request: Request) -> None:
        if type(request.operation) in READS:
            self._readers.put(request)
        else:
            self._writer.put(request)

    async def close(self) -> None:
        await asyncio.to_thread(self._finish)

    def _finish(self) -> None:
        # The writer's connection is the last to close, so it takes the log into the database and removes it.
        self._readers.finish()
        self._writer.finish()
        self._lock.release()


class _Inline:
    """One connection and the caller's own thread."""

    where = "the store in memory"

    def __init__(self, listeners: Listeners) -> None:
        connection = open_in_memory()
        self._ledger = open_ledger(connection, self.where)
        self._reading = FileReading(connection, self.where)
        self._listeners = listeners

    def put(self, request: Request) -> None:
        if type(request.operation) in READS:
            settle(request.future, self._reading.outcome(request.operation))
            return
        written = self._ledger.write([request.operation])
        settle(request.future, written.outcomes[0])
        _announce(self._listeners, written.tidings)
        while self._ledger.has_rubbish:
            self._ledger.tidy()

    async def close(self) -> None:
        self._ledger.close()


def _announce(listeners: Listeners, tidings: Tidings) -> None:
    listeners.watchers.changed(tidings.changed)
    if tidings.due_at is not None:
        listeners.instance_due(tidings.due_at)
    for worker, row in tidings.told:
        listeners.instance_told(worker, row)
