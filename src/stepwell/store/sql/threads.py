"""The threads of a store: one that writes whatever is waiting as one transaction, and some that read.

A caller's event loop is told of a whole batch in one call, and only once the batch is durable.
"""

import asyncio
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, NamedTuple, Protocol, TypeVar

from stepwell.store.child_operations import StartChild
from stepwell.store.forcing_operations import ForceStep
from stepwell.store.listeners import call_soon
from stepwell.store.note_operations import WriteNotes
from stepwell.store.once import Once
from stepwell.store.operations import AppendEvent, Commit, CreateInstance, Operation, RecordRow, Release
from stepwell.store.snapshot_operations import SaveSnapshot
from stepwell.store.sql.ledger import Written
from stepwell.store.sql.transaction import Tidings
from stepwell.store.stream_operations import WritePiece

# A batch ends here: the first caller of a large one should not wait for all the others.
BATCH_OPERATIONS = 500
BATCH_SIZE = 4 * 2**20
LINGER_S = 0.005
# What deleted workflows have left is tidied up whenever no request has come for so long, and at least so often.
TIDY_PAUSE_S = 0.001
TIDY_EVERY_S = 0.1
# A busy event loop lets go of the interpreter often, but only for microseconds, and each time the wait of a
# thread begins anew. With Python's 5 ms the writer can starve: a commit then takes a second (measured).
SWITCH_INTERVAL_S = 0.000_05


class Request(NamedTuple):
    """An operation and who waits for it."""

    operation: Operation[Any]
    future: "asyncio.Future[Any]"


# None ends a thread once everything before it is done.
Requests = SimpleQueue[Request | None]


class Gathering(Protocol):
    """A batch of operations."""

    def do(self, operation: Operation[Any]) -> None:
        """Do one more operation, or note it."""


B = TypeVar("B", bound=Gathering)


class Batches(Protocol[B]):
    """What a thread writes batches to. Answers are durable when `finish` returns."""

    has_rubbish: bool

    def begin(self) -> B:
        """Open a batch; the next call has to be `finish`."""

    def finish(self, batch: B, /) -> Written:
        """Make a batch durable."""

    def tidy(self) -> None:
        """Delete a bounded part of what something deleted has left."""

    def close(self) -> None:
        """Let go of the database."""


class Reading(Protocol):
    """A connection that reads."""

    def outcome(self, operation: Operation[Any]) -> object:
        """Return the answer of a read, or the exception that its caller is to get."""

    def close(self) -> None:
        """Let go of the connection."""


class WriterThread:
    """Writes requests in their order, in batches."""

    def __init__(self, ledger: Batches[Any], announce: Callable[[Tidings], None]) -> None:
        self._ledger = ledger
        self._announce = announce
        self._requests: Requests = SimpleQueue()
        self._tidy_at = 0.0
        sys.setswitchinterval(min(SWITCH_INTERVAL_S, sys.getswitchinterval()))
        self._thread = threading.Thread(target=self._work, name="stepwell-writer", daemon=True)
        self._thread.start()

    def put(self, request: Request) -> None:
        """Ask for a request to be written."""
        self._requests.put(request)

    def finish(self) -> None:
        """Wait until everything asked is done, and end. Blocks."""
        self._requests.put(None)
        self._thread.join()
        self._ledger.close()

    def _work(self) -> None:
        while (first := self._next()) is not None:
            gathered = _Gathered(first)
            # Done while company is awaited: what an urgent request finds done already it need not wait for.
            batch = self._ledger.begin()
            batch.do(first.operation)
            while not gathered.is_full and (request := self._company(gathered)):
                gathered.add(request)
                batch.do(request.operation)
            written = self._ledger.finish(batch)
            answer(gathered.requests, written.outcomes)
            self._announce(written.tidings)

    def _next(self) -> Request | None:
        """Return the next request; tidy up while there is none, and now and then even if there is always one."""
        while self._ledger.has_rubbish:
            with suppress(Empty):
                if monotonic() < self._tidy_at:
                    return self._requests.get(timeout=TIDY_PAUSE_S)
            self._ledger.tidy()
            self._tidy_at = monotonic() + TIDY_EVERY_S
        return self._requests.get()

    def _company(self, gathered: "_Gathered") -> Request | None:
        """Return the next request for a batch, or None if the batch is to go as it is."""
        # Asking first is cheaper than an exception for each batch of one.
        if gathered.is_urgent and self._requests.empty():
            return None
        try:
            request = self._requests.get(timeout=gathered.patience_s())
        except Empty:
            return None
        if request is None:
            self._requests.put(None)
        return request


class _Gathered:
    """Requests to be written together. While none of them is urgent it waits for company."""

    def __init__(self, first: Request) -> None:
        self.requests: list[Request] = []
        self.is_urgent = False
        self._size = 0
        self._deadline = monotonic() + LINGER_S
        self.add(first)

    @property
    def is_full(self) -> bool:
        return len(self.requests) >= BATCH_OPERATIONS or self._size >= BATCH_SIZE

    def add(self, request: Request) -> None:
        operation = request.operation
        self.requests.append(request)
        self._size += _size(operation)
        if not _may_wait(operation):
            self.is_urgent = True

    def patience_s(self) -> float:
        return 0.0 if self.is_urgent else max(0.0, self._deadline - monotonic())


def _may_wait(operation: Operation[Any]) -> bool:
    return isinstance(operation, WriteNotes) or (isinstance(operation, Commit) and not operation.urgent)


class ReaderThreads:
    """Reads requests, each thread on a connection of its own: a long read does not hold up the others."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        self._requests: Requests = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, args=(reading,), name="stepwell-reader", daemon=True)
            for reading in readings
        ]
        for thread in self._threads:
            thread.start()

    def put(self, request: Request) -> None:
        """Ask for a request to be read."""
        self._requests.put(request)

    def finish(self) -> None:
        """Wait until everything asked is done, and end. Blocks."""
        for _ in self._threads:
            self._requests.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self, reading: Reading) -> None:
        while request := self._requests.get():
            answer([request], [reading.outcome(request.operation)])
        reading.close()


def answer(requests: Sequence[Request], outcomes: Sequence[object]) -> None:
    """Give each request its outcome, with one call per event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], object]]] = {}
    for request, outcome in zip(requests, outcomes, strict=True):
        by_loop.setdefault(request.future.get_loop(), []).append((request.future, outcome))
    for loop, settled in by_loop.items():
        call_soon(loop, _settle_all, settled)


def settle(future: "asyncio.Future[Any]", outcome: object) -> None:
    """Complete a future with its outcome, unless its caller has cancelled it."""
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _settle_all(settled: Sequence[tuple["asyncio.Future[Any]", object]]) -> None:
    for future, outcome in settled:
        settle(future, outcome)


def _size(operation: Operation[Any]) -> int:
    """Return how large an operation is: its characters, or bytes; between these is no need to tell."""
    match operation:
        case Commit() | Release():
            return sum(map(_length, operation.records))
        case CreateInstance() | AppendEvent() | ForceStep():
            return _length(operation.record)
        case StartChild(creation=creation):
            return _size(creation)
        case WritePiece():
            return len(operation.body)
        case SaveSnapshot():
            return sum(len(file.body) for file in operation.files)
        case Once():
            return _size(operation.operation)
        case _:
            return 0


def _length(record: RecordRow) -> int:
    return len(record.body) + len(record.value or "")
