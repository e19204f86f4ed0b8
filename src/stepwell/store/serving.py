"""The parent's end of a worker's line: does the worker's operations in the store, and tells it what it listens for."""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from contextvars import Context
from functools import partial
from typing import Any, Union

import msgspec

from stepwell.errors import StepwellError, StoreError
from stepwell.facts import fact
from stepwell.store import (
    Reply,
    ReplyingStore,
    Store,
    audit_operations,
    fact_operations,
    session_operations,
    token_operations,
    webhook_operations,
)
from stepwell.store.audit_operations import Audited
from stepwell.store.catalogue import OPERATIONS
from stepwell.store.link import (
    Answer,
    Ask,
    Changed,
    Due,
    Given,
    Ignore,
    Line,
    Listen,
    Message,
    Refusal,
    Told,
    Unwatch,
    Watch,
    encode,
)
from stepwell.store.operations import Claim, EndLease, Operation, RegisterWorker
from stepwell.store.snapshot_operations import SaveSnapshot, ServeSnapshot

logger = logging.getLogger(__name__)

# What servers and commands ask for, and no worker: code that speaks for itself is not to make itself a token or a
# session, nor entries of what nobody has asked, nor facts of others, nor to have webhooks' secrets, or have the server
# send something.
_MODULES = (audit_operations, fact_operations, session_operations, token_operations, webhook_operations)
# The server, which may be root, writes the files of a snapshot to where they say.
_NOT_FOR_WORKERS: tuple[type[Operation[Any]], ...] = (
    SaveSnapshot,
    *(kind for kind in OPERATIONS if kind.__module__ in {module.__name__ for module in _MODULES}),
)

_decode_operation: Callable[[Any], Operation[Any]] = msgspec.msgpack.Decoder(
    # The union of all operations, told apart by their tags.
    Union[OPERATIONS]  # noqa: UP007 - a tuple has no |
).decode


class WorkerLine:
    """A worker's line. `heard` gets what is not about the store; `hung_up` is called when the worker is gone.

    `refused` are the operations that are not done for whoever is at its other end.
    """

    def __init__(
        self,
        store: Store,
        heard: Callable[[Message], None],
        hung_up: Callable[[], None],
        refused: tuple[type[Operation[Any]], ...] = _NOT_FOR_WORKERS,
    ) -> None:
        self.worker = 0
        self._store = store
        self._ask = store.ask if isinstance(store, ReplyingStore) else self._ask_on_the_loop
        self._heard = heard
        self._hung_up = hung_up
        self._refused = refused
        self._line: Line | None = None
        self._listening: set[int] = set()
        self._watches: dict[int, Callable[[], None]] = {}

    async def connect(self, sock: socket.socket) -> None:
        """Take the parent's end of the line."""
        self._line = Line(sock, self._receive, self._lose)

    def say(self, message: Message) -> None:
        """Say something to the worker."""
        if self._line is not None:
            self._line.send(message)

    def close(self) -> None:
        """Hang up."""
        if self._line is not None:
            self._line.close()

    async def end_lease(self) -> int:
        """Let what the worker held be claimed by others at once; answer how many instances those are."""
        if not self.worker:
            return 0
        return await self._store.run(EndLease(self.worker))

    def _receive(self, message: Message) -> None:
        match message:
            case Ask(id=number, body=body):
                operation = _decode_operation(body)
                self._run(operation, _Reply(self, number, operation))
            case Listen(worker=worker):
                self._listening.add(worker)
                self._store.listen(worker, _Ear(self, worker))
            case Ignore(worker=worker):
                self._ignore(worker)
            case Watch(number=number, instance=instance, of_turns=of_turns):
                told = partial(self.say, Changed(number))
                self._watches[number] = self._store.watch(instance, told, of_turns=of_turns)
            case Unwatch(number=number):
                self._watches.pop(number)()
            case _:
                self._heard(message)

    def _run(self, operation: Operation[Any], reply: Reply) -> None:
        asked: Any = operation
        if isinstance(operation, Audited) and isinstance(operation.operation, ServeSnapshot):
            # Code that somebody has deployed is made known by the worker that could load it, with the entry of that.
            asked = operation.operation
        # What wraps an operation has it by this name.
        while asked is not None and not isinstance(asked, self._refused):
            asked = getattr(asked, "operation", None)
        if asked is None:
            self._ask(operation, reply)
            return
        reply.take(StoreError(f"a worker may not ask for {type(asked).__name__}: only the server does"))
        self.flush()

    def _ask_on_the_loop(self, operation: Operation[Any], reply: Reply) -> None:
        def give(done: "asyncio.Future[Any]") -> None:
            reply.take(done.exception() or done.result())
            self.flush()

        self._store.run(operation).add_done_callback(give, context=Context())

    def put(self, message: Message) -> None:
        """Let something be said with the next `flush`. From any thread."""
        if (line := self._line) is not None:
            line.put(message)

    def flush(self) -> None:
        """Say what waits to be said. From any thread."""
        if (line := self._line) is not None:
            line.flush()

    def _ignore(self, worker: int) -> None:
        self._listening.discard(worker)
        self._store.ignore(worker)

    def _lose(self) -> None:
        self._line = None
        for worker in list(self._listening):
            self._ignore(worker)
        for stop in self._watches.values():
            stop()
        self._watches.clear()
        self._hung_up()


class _Reply:
    """Answers what a worker has asked."""

    __slots__ = ("_number", "_operation", "outlet")

    def __init__(self, line: WorkerLine, number: int, operation: Operation[Any]) -> None:
        self.outlet = line
        self._number = number
        self._operation = operation

    def take(self, outcome: object) -> None:
        if isinstance(self._operation, RegisterWorker) and isinstance(outcome, int):
            self.outlet.worker = outcome
        self.outlet.put(self._message(outcome))

    def _message(self, outcome: object) -> Message:
        if isinstance(outcome, StepwellError):
            return Refusal(self._number, type(outcome).__name__, str(outcome), dict(vars(outcome)))
        if isinstance(outcome, BaseException):
            # Whatever it is, the worker that asked has to hear of it.
            logger.error(
                "the store failed on %s",
                type(self._operation).__name__,
                exc_info=outcome,
                extra=fact("store.failed", operation=type(self._operation).__name__),
            )
            return Refusal(self._number, "StoreError", f"the store failed: {outcome}", {})
        return Answer(self._number, msgspec.Raw(encode(outcome)))


class _Ear:
    """Passes on what a worker at the other end of a line wants to hear of."""

    def __init__(self, line: WorkerLine, worker: int) -> None:
        self.outlet = line
        self._worker = worker

    def instance_due(self, at: int) -> None:
        self.outlet.put(Due(self._worker, at))

    def instance_told(self, row: int) -> None:
        self.outlet.put(Told(self._worker, row))

    def turns_given(self, claims: Sequence[Claim] | None) -> None:
        self.outlet.put(Given(self._worker, None if claims is None else list(claims)))
