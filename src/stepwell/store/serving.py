"""The parent's end of a worker's line: does the worker's operations in the store, and tells it what it listens for."""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextvars import Context
from typing import Any, Union

import msgspec

from stepwell.errors import StepwellError
from stepwell.store import Store
from stepwell.store.link import Answer, Ask, Due, Line, Message, Refusal, Told, encode
from stepwell.store.operations import OPERATIONS, EndLease, Operation, RegisterWorker

logger = logging.getLogger(__name__)

_decode_operation: Callable[[Any], Operation[Any]] = msgspec.msgpack.Decoder(
    # The union of all operations, told apart by their tags.
    Union[OPERATIONS]  # noqa: UP007 - a tuple has no |
).decode


class WorkerLine:
    """A worker's line. `heard` gets what is not about the store; `hung_up` is called when the worker is gone."""

    def __init__(self, store: Store, heard: Callable[[Message], None], hung_up: Callable[[], None]) -> None:
        self.worker = 0
        self._store = store
        self._heard = heard
        self._hung_up = hung_up
        self._line: Line | None = None

    async def connect(self, sock: socket.socket) -> None:
        """Take the parent's end of the line."""
        loop = asyncio.get_running_loop()
        _, self._line = await loop.create_unix_connection(lambda: Line(self._receive, self._lose), sock=sock)

    def say(self, message: Message) -> None:
        """Say something to the worker."""
        if self._line is not None:
            self._line.send(message)

    def close(self) -> None:
        """Hang up."""
        if self._line is not None:
            self._line.close()

    def instance_due(self, at: int) -> None:
        """Pass on that something is due."""
        self.say(Due(at))

    def instance_told(self, row: int) -> None:
        """Pass on that an instance got a record from outside."""
        self.say(Told(row))

    async def end_lease(self) -> int:
        """Let what the worker held be claimed by others at once; answer how many instances those are."""
        if not self.worker:
            return 0
        self._store.ignore(self.worker)
        return await self._store.run(EndLease(self.worker))

    def _receive(self, message: Message) -> None:
        if isinstance(message, Ask):
            operation = _decode_operation(message.body)
            answer = self._store.run(operation)
            answer.add_done_callback(lambda done: self._answer(message.id, operation, done), context=Context())
        else:
            self._heard(message)

    def _answer(self, number: int, operation: Operation[Any], done: asyncio.Future[Any]) -> None:
        try:
            result = done.result()
        except StepwellError as error:
            self.say(Refusal(number, type(error).__name__, str(error), dict(vars(error))))
            return
        except Exception as error:
            logger.exception("the store failed on %s", type(operation).__name__)
            self.say(Refusal(number, "StoreError", f"the store failed: {error}", {}))
            return
        if isinstance(operation, RegisterWorker):
            self.worker = result
            self._store.listen(result, self)
        self.say(Answer(number, msgspec.Raw(encode(result))))

    def _lose(self) -> None:
        self._line = None
        self._hung_up()
