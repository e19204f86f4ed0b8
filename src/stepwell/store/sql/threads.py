"""The threads of a store: one that writes whatever is waiting as one transaction, and some that read.

A caller's event loop is told of a whole batch in one call, and only once the batch is durable.
"""

import asyncio
import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, NamedTuple, Protocol, TypeVar

from stepwell.facts import fact
from stepwell.store import Reply
from stepwell.store.audit_operations import Audited
from stepwell.store.child_operations import StartChild
from stepwell.store.flow_operations import GiveSlots
from stepwell.store.forcing_operations import ForceStep
from stepwell.store.listeners import Calls, Listeners
from stepwell.store.note_operations import WriteNotes
from stepwell.store.once import Once
from stepwell.store.operations import AppendEvent, ClaimDue, Commit, CreateInstance, Operation, RecordRow, Release
from stepwell.store.retention_operations import DeleteExpired
from stepwell.store.snapshot_operations import SaveSnapshot
from stepwell.store.sql.idle import IdleWorkers
from stepwell.store.sql.ledger import Written
from stepwell.store.sql.transaction import Tidings
from stepwell.store.stream_operations import WritePiece
from stepwell.store.tally import Tally

logger = logging.getLogger(__name__)

# A batch ends here: the first caller of a large one should not wait for all the others.
BATCH_OPERATIONS = 500
BATCH_SIZE = 4 * 2**20
LINGER_S = 0.005
# What has expired is deleted, and what deleted workflows have left is tidied up, whenever no request has come for so
# long, and at least so often.
TIDY_PAUSE_S = 0.001
TIDY_EVERY_S = 0.1
# Room is given back, and the log wiped of what was deleted, when no request has come for so long: a store that is busy
# uses the one again, and writes over the other.
WIPE_PAUSE_S = 0.2
# A busy event loop lets go of the interpreter often, but only for microseconds, and each time the wait of a
# thread begins anew. With Python's 5 ms the writer can starve: a commit then takes a second (measured).
SWITCH_INTERVAL_S = 0.000_05


class Request(NamedTuple):
    """An operation and who waits for it."""

    operation: Operation[Any]
    answer: "asyncio.Future[Any] | Reply"


# None ends a thread once everything before it is done.
Requests = SimpleQueue[Request | None]


class Gathering(Protocol):
    """A batch of operations."""

    def do(self, operation: Operation[Any]) -> None:
        """Do one more operation, or note it."""

    def join(self, claim: ClaimDue) -> None:
        """Claim one of those that the batch creates; its answer comes behind those of the operations."""


B = TypeVar("B", bound=Gathering)


class Batches(Protocol[B]):
    """What a thread writes batches to. Answers are durable when `finish` returns."""

    has_rubbish: bool
    # Whether what was deleted has room that can be given back, or can still be read in the database's log.
    has_traces: bool

    def begin(self) -> B:
        """Open a batch; the next call has to be `finish`."""

    def finish(self, batch: B, /) -> Written:
        """Make a batch durable."""

    def tidy(self) -> None:
        """Delete a bounded part of what something deleted has left."""

    def wipe(self) -> None:
        """Give a bounded part of what is free back; at last let nothing that was deleted be left in the log."""

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

    def __init__(
        self,
        ledger: Batches[Any],
        listeners: Listeners,
        tell: Callable[[Tidings], None] | None = None,
        tally: Tally | None = None,
    ) -> None:
        """Let `listeners` hear of what was written; `tell` tells those of other processes, `tally` counts it."""
        self._ledger = ledger
        self._listeners = listeners
        self._tell = tell
        self._tally = tally
        self._idle = IdleWorkers(listeners.has)
        self._requests: Requests = SimpleQueue()
        self._tidy_at = 0.0
        # Odd while a batch is being made durable.
        self._writes = 0
        # When slots were given last, if there may be more to give.
        self._slots_at: int | None = None
        self._waiting: deque[Request] = deque()
        sys.setswitchinterval(min(SWITCH_INTERVAL_S, sys.getswitchinterval()))
        self._thread = threading.Thread(target=self._work, name="stepwell-writer", daemon=True)
        self._thread.start()

    def put(self, request: Request) -> None:
        """Ask for a request to be written."""
        self._requests.put(request)

    def mark(self) -> int | None:
        """Return what is another number after each batch; None: one is being made durable."""
        writes = self._writes
        return None if writes % 2 else writes

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
            self._finish(gathered.requests, batch)
        while self._waiting:
            self._do_what_waits()

    def _finish(self, requests: Sequence[Request], batch: Gathering) -> None:
        operations = [request.operation for request in requests]
        joined = self._idle.claims(operations)
        for claim in joined:
            batch.join(claim)
        began = monotonic()
        written = self._write(batch)
        took_s = monotonic() - began
        outcomes, given = written.outcomes[: len(operations)], written.outcomes[len(operations) :]
        # First of all what somebody goes on with. Who only looks would have the cores before him.
        calls = Calls()
        for worker, claims in self._idle.given(joined, given):
            self._listeners.turns_given(worker, claims, calls)
        answer(requests, outcomes, calls)
        self._idle.note(operations, outcomes)
        self._announce(written.tidings, calls)
        # Last: nobody waits for it.
        if self._tally is not None:
            _count(self._tally, [*operations, *joined], written, took_s)

    def _write(self, batch: Gathering) -> Written:
        self._writes += 1
        try:
            return self._ledger.finish(batch)
        finally:
            self._writes += 1

    def _announce(self, tidings: Tidings, calls: Calls) -> None:
        """Make calls, behind which whoever hears it is told of what was written."""
        self._listeners.hear(tidings, calls)
        if tidings.slots_at is not None:
            self._slots_at = tidings.slots_at
        calls.make()
        if self._tell is not None:
            self._tell(tidings)

    def _give_slots(self, now: int) -> None:
        """Give a bounded part of the slots that are left to give."""
        self._slots_at = None
        batch = self._ledger.begin()
        batch.do(GiveSlots(now))
        self._announce(self._write(batch).tidings, Calls())

    def _next(self) -> Request | None:
        """Return the next request; do what waits while there is none, and now and then even if there is always one."""
        while True:
            with suppress(Empty):
                if not self._waiting and not self._ledger.has_rubbish and self._slots_at is None:
                    return self._get(WIPE_PAUSE_S if self._ledger.has_traces else None)
                if monotonic() < self._tidy_at:
                    return self._get(TIDY_PAUSE_S)
            self._do_what_waits()

    def _get(self, timeout_s: float | None) -> Request | None:
        """Return the next request that does not wait for a pause.

        Raises Empty when the time is over, or, where there is no limit, when one came that does.
        """
        end = None if timeout_s is None else monotonic() + timeout_s
        while True:
            request = self._requests.get(timeout=None if end is None else max(0.0, end - monotonic()))
            if request is None or not isinstance(request.operation, DeleteExpired):
                return request
            self._waiting.append(request)
            if end is None:
                raise Empty

    def _do_what_waits(self) -> None:
        """Do one thing that waits for a pause: a request, slots, a part of the tidying up, or the log."""
        if self._waiting:
            request = self._waiting.popleft()
            batch = self._ledger.begin()
            batch.do(request.operation)
            self._finish([request], batch)
        elif self._slots_at is not None:
            self._give_slots(self._slots_at)
        elif self._ledger.has_rubbish:
            self._ledger.tidy()
        elif self._ledger.has_traces:
            self._ledger.wipe()
            return
        self._tidy_at = monotonic() + TIDY_EVERY_S

    def _company(self, gathered: "_Gathered") -> Request | None:
        """Return the next request for a batch, or None if the batch is to go as it is."""
        # Asking first is cheaper than an exception for each batch of one.
        if gathered.is_urgent and self._requests.empty():
            return None
        try:
            request = self._get(gathered.patience_s())
        except Empty:
            return None
        if request is None:
            self._requests.put(None)
        return request


def _count(tally: Tally, operations: Sequence[Operation[Any]], written: Written, took_s: float) -> None:
    try:
        tally.wrote(operations, written.outcomes, took_s)
        tally.came(written.tidings.created, written.tidings.terminated)
    except Exception:  # a defect of what counts must not keep anybody from writing
        logger.exception("a batch could not be counted for /metrics", extra=fact("metrics.failed"))


class _Gathered:
    """Requests to be written together. While none of them is urgent it waits for company."""

    def __init__(self, first: Request) -> None:
        self.requests: list[Request] = []
        self.is_urgent = False
        # What is created behind an idle worker's claim is that worker's, once the claim is answered.
        self._ends_here = False
        self._size = 0
        self._deadline = monotonic() + LINGER_S
        self.add(first)

    @property
    def is_full(self) -> bool:
        return self._ends_here or len(self.requests) >= BATCH_OPERATIONS or self._size >= BATCH_SIZE

    def add(self, request: Request) -> None:
        operation = request.operation
        self.requests.append(request)
        self._size += _size(operation)
        if not _may_wait(operation):
            self.is_urgent = True
        if isinstance(operation, ClaimDue) and operation.is_idle:
            self._ends_here = True

    def patience_s(self) -> float:
        return 0.0 if self.is_urgent else max(0.0, self._deadline - monotonic())


def _may_wait(operation: Operation[Any]) -> bool:
    return isinstance(operation, WriteNotes) or (isinstance(operation, Commit) and not operation.urgent)


class ReaderThreads:
    """Reads requests, each thread on a connection of its own: a long read does not hold up the others."""

    def __init__(self, readings: Sequence[Reading], tally: Tally | None = None) -> None:
        """`tally` counts what cannot be read."""
        self._tally = tally
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
            calls, outcome = Calls(), reading.outcome(request.operation)
            answer([request], [outcome], calls)
            calls.make()
            if self._tally is not None and isinstance(outcome, Exception):
                self._tally.failed(outcome)
        reading.close()


def answer(requests: Sequence[Request], outcomes: Sequence[object], calls: Calls) -> None:
    """Give each request its outcome."""
    for request, outcome in zip(requests, outcomes, strict=True):
        if isinstance(waiting := request.answer, asyncio.Future):
            calls.add(waiting.get_loop(), settle, waiting, outcome)
        else:
            calls.add(waiting.outlet, waiting.take, outcome)


def give(request: Request, outcome: object) -> None:
    """Give a request its outcome at once, in the thread of who has asked."""
    if isinstance(waiting := request.answer, asyncio.Future):
        settle(waiting, outcome)
    else:
        waiting.take(outcome)
        waiting.outlet.flush()


def settle(future: "asyncio.Future[Any]", outcome: object) -> None:
    """Complete a future with its outcome, unless its caller has cancelled it."""
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


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
        case Once() | Audited():
            return _size(operation.operation)
        case _:
            return 0


def _length(record: RecordRow) -> int:
    return len(record.body) + len(record.value or "")
