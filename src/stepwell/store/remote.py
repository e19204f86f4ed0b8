"""A store that is reached over the line to a parent process. How workers commit without opening the file."""

import asyncio
import itertools
import socket
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, get_args

import msgspec

from stepwell import errors
from stepwell.errors import StepwellError, StoreUnavailable
from stepwell.store import Listener
from stepwell.store.audit_operations import Audited
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
from stepwell.store.operations import InstanceRow, Operation

A = TypeVar("A")

_HUNG_UP = "the line to the parent process is closed"


class RemoteStore:
    """Asks the parent to do each operation; many can be under way at once.

    Messages that are not about operations go to `heard`. `hung_up` is called when the parent is gone.
    """

    def __init__(self, heard: Callable[[Message], None], hung_up: Callable[[], None]) -> None:
        self._heard = heard
        self._hung_up = hung_up
        self._numbers = itertools.count(1)
        self._asked: dict[int, tuple[asyncio.Future[Any], msgspec.msgpack.Decoder[Any]]] = {}
        self._listeners: dict[int, Listener] = {}
        self._watches: dict[int, Callable[[], None]] = {}
        self._line: Line | None = None

    async def connect(self, sock: socket.socket) -> None:
        """Take the worker's end of the line."""
        self._line = Line(sock, self._receive, self._lose)

    def run(self, operation: Operation[A]) -> asyncio.Future[A]:
        """Do an operation; see `Store.run`."""
        future: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        if self._line is None:
            future.set_exception(StoreUnavailable(_HUNG_UP))
            return future
        number = next(self._numbers)
        # What is audited answers as it would alone.
        wanted = operation.operation if isinstance(operation, Audited) else operation
        self._asked[number] = (future, _answer_decoder(type(wanted)))
        self._line.send(Ask(number, msgspec.Raw(encode(operation))))
        return future

    def say(self, message: Message) -> None:
        """Say something to the parent that is not about an operation."""
        if self._line is not None:
            self._line.send(message)
            self._line.flush()

    def listen(self, worker: int, listener: Listener) -> None:
        """Tell a worker of what is due and what came from outside."""
        self._listeners[worker] = listener
        self.say(Listen(worker))

    def ignore(self, worker: int) -> None:
        """Tell a worker nothing more."""
        if self._listeners.pop(worker, None) is not None:
            self.say(Ignore(worker))

    def watch(
        self, instance: InstanceRow | None, told: Callable[[], None], *, of_turns: bool = True
    ) -> Callable[[], None]:
        """Call `told` when an instance, or any, gets a record or is deleted; return what ends that."""
        number = next(self._numbers)
        self._watches[number] = told
        # Before whatever is asked from now on: the parent does things in the order in which they came.
        self.say(Watch(number, instance, of_turns))

        def stop() -> None:
            if self._watches.pop(number, None) is not None:
                self.say(Unwatch(number))

        return stop

    async def close(self) -> None:
        """Wait for the answers to what was asked, then hang up."""
        waiting = [future for future, _ in self._asked.values() if not future.done()]
        if waiting:
            await asyncio.wait(waiting)
        if self._line is not None:
            self._line.close()

    def _receive(self, message: Message) -> None:
        match message:
            case Answer(id=number, body=body):
                future, decoder = self._asked.pop(number)
                if not future.done():
                    future.set_result(decoder.decode(body))
            case Refusal(id=number):
                future, _ = self._asked.pop(number)
                if not future.done():
                    future.set_exception(_rebuild(message))
            case Changed() | Due() | Told() | Given():
                self._tell(message)
            case _:
                self._heard(message)

    def _tell(self, message: Changed | Due | Told | Given) -> None:
        """Tell whoever wants to hear of it; it may be somebody who no longer does."""
        match message:
            case Changed(number=number):
                if (told := self._watches.get(number)) is not None:
                    told()
            case Due(worker=worker, at=at):
                if (listener := self._listeners.get(worker)) is not None:
                    listener.instance_due(at)
            case Told(worker=worker, row=row):
                if (listener := self._listeners.get(worker)) is not None:
                    listener.instance_told(row)
            case Given(worker=worker, claims=claims):
                if (listener := self._listeners.get(worker)) is not None:
                    listener.turns_given(claims)

    def _lose(self) -> None:
        self._line = None
        asked, self._asked = self._asked, {}
        for future, _ in asked.values():
            if not future.done():
                future.set_exception(StoreUnavailable(_HUNG_UP))
        self._hung_up()


@cache
def _answer_decoder(kind: type[Operation[Any]]) -> msgspec.msgpack.Decoder[Any]:
    """Return the decoder of an operation's answer, whose type is the parameter of its base."""
    (base,) = kind.__orig_bases__  # type: ignore[attr-defined]  # every operation is a subclass of Operation[...]
    (answer,) = get_args(base)
    return msgspec.msgpack.Decoder(answer)


def _rebuild(refusal: Refusal) -> StepwellError:
    """Build the error that the parent's store raised; only classes of `stepwell.errors` are built."""
    kind = getattr(errors, refusal.kind, StoreUnavailable)
    error: StepwellError = kind.__new__(kind)
    Exception.__init__(error, refusal.message)
    error.__dict__.update(refusal.fields)
    return error
