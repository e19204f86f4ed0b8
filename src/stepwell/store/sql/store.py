"""A store over a database: what a caller sees of it, and how it does everything at once where tests want that."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from stepwell.errors import StoreUnavailable
from stepwell.store import Listener, Reply
from stepwell.store.flow_operations import GiveSlots
from stepwell.store.listeners import Calls, Listeners
from stepwell.store.operations import InstanceRow, Operation
from stepwell.store.sql.ledger import Written
from stepwell.store.sql.lookups import Lookups
from stepwell.store.sql.reads import READS
from stepwell.store.sql.threads import ReaderThreads, Reading, Request, WriterThread, give

A = TypeVar("A")


class Shell(Protocol):
    """What stands between a caller and a database."""

    where: str

    def put(self, request: Request) -> None:
        """Ask for a request to be done."""

    def mark(self) -> int | None:
        """Return what is another number after each write; None: it is being written to, or others write, too."""

    async def close(self) -> None:
        """Do what was asked, then let go of the database."""


class SqlStore:
    """A store in a database. See `Store` for what it promises.

    A read sees everything that was acknowledged before it was asked.
    """

    def __init__(self, shell: Shell, listeners: Listeners) -> None:
        """`shell` announces to `listeners` what it has written."""
        self._shell = shell
        self._listeners = listeners
        self._lookups = Lookups(shell.mark)
        self._is_closed = False

    def run(self, operation: Operation[A]) -> "asyncio.Future[A]":
        """Do an operation; see `Store.run`."""
        future: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        if self._is_closed:
            future.set_exception(self._closed())
        elif (known := self._lookups.find(operation)) is not None:
            future.set_result(known)  # type: ignore[arg-type]  # it was the answer to the same operation
        else:
            self._lookups.keep(operation, future)
            self._shell.put(Request(operation, future))
        return future

    def ask(self, operation: Operation[Any], reply: Reply) -> None:
        """Do an operation; what comes of it is for `reply`, in whichever thread it is known first."""
        request = Request(operation, reply)
        if self._is_closed:
            give(request, self._closed())
        else:
            self._shell.put(request)

    def listen(self, worker: int, listener: Listener) -> None:
        """Tell a worker of what is due and what came from outside, on the running event loop."""
        self._listeners.add(worker, listener)

    def ignore(self, worker: int) -> None:
        """Tell a worker nothing more."""
        self._listeners.remove(worker)

    def watch(
        self, instance: InstanceRow | None, told: Callable[[], None], *, of_turns: bool = True
    ) -> Callable[[], None]:
        """Call `told` when an instance, or any, gets a record or is deleted; return what ends that."""
        return self._listeners.watchers.watch(instance, told, of_turns=of_turns)

    def _closed(self) -> StoreUnavailable:
        return StoreUnavailable(f"{self._shell.where} has been closed")

    async def close(self) -> None:
        """Do what was asked, then let go of the database. Operations asked from now on fail."""
        if not self._is_closed:
            self._is_closed = True
            await self._shell.close()


class Writer(Protocol):
    """What writes operations, durably, in the caller's thread."""

    has_rubbish: bool

    def write(self, operations: list[Operation[Any]], /) -> Written:
        """Do operations in one batch."""

    def tidy(self) -> None:
        """Delete a bounded part of what something deleted has left."""


class Inline:
    """Does each request at once, in the caller's own thread."""

    def __init__(self, writer: Writer, reading: Reading, listeners: Listeners) -> None:
        self._writer = writer
        self._reading = reading
        self._listeners = listeners
        self._writes = 0

    def mark(self) -> int | None:
        """Return how many writes there have been."""
        return self._writes

    def put(self, request: Request) -> None:
        """Do a request."""
        if type(request.operation) in READS:
            give(request, self._reading.outcome(request.operation))
            return
        self._writes += 1
        written = self._writer.write([request.operation])
        give(request, written.outcomes[0])
        self._announce(written)
        while (now := written.tidings.slots_at) is not None:
            self._writes += 1
            written = self._writer.write([GiveSlots(now)])
            self._announce(written)
        while self._writer.has_rubbish:
            self._writer.tidy()

    def _announce(self, written: Written) -> None:
        calls = Calls()
        self._listeners.hear(written.tidings, calls)
        calls.make()


class Threaded:
    """Does requests in threads: one that writes, and some that read."""

    def __init__(self, writer: WriterThread, readers: ReaderThreads) -> None:
        self._writer = writer
        self._readers = readers

    def mark(self) -> int | None:
        """Return what is another number after each batch; None: one is being made durable."""
        return self._writer.mark()

    def put(self, request: Request) -> None:
        """Ask for a request to be done."""
        if type(request.operation) in READS:
            self._readers.put(request)
        else:
            self._writer.put(request)

    async def close(self) -> None:
        """Do what was asked, then let go of the database."""
        await asyncio.to_thread(self.finish)

    def finish(self) -> None:
        """Do what was asked, and end the threads; the writer's is the last. Blocks."""
        self._readers.finish()
        self._writer.finish()
