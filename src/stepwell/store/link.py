"""The line between a parent process and a worker: frames over a socket pair, each a msgpack message.

A frame is four bytes of length and a message. What is written within one pass of the event loop goes out as one piece.
"""

import asyncio
import socket
import threading
from collections.abc import Callable
from contextvars import Context
from typing import Any

import msgspec

from stepwell.core.records import Attributes, StreamRef
from stepwell.core.step_answers import Attempt
from stepwell.isolation import Isolation
from stepwell.outlook import Outlook
from stepwell.problems import Problem
from stepwell.store.fact_operations import Fact
from stepwell.store.operations import Claim, InstanceRow

_HEAD_BYTES = 4
# A frame holds at most one operation with its payloads; more than this is no frame of ours.
_LONGEST_FRAME = 2**28
_READ_BYTES = 256 * 2**10


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Base of what is said on the line."""


class Ask(Message, frozen=True):
    """Worker: do this operation. `body` is the encoded operation."""

    id: int
    body: msgspec.Raw


class Answer(Message, frozen=True):
    """Parent: what the operation answered, encoded."""

    id: int
    body: msgspec.Raw


class Refusal(Message, frozen=True):
    """Parent: the operation raised this error of ours."""

    id: int
    kind: str
    message: str
    fields: dict[str, Any]


class Listen(Message, frozen=True):
    """Worker: tell me what this worker wants to hear of."""

    worker: int


class Ignore(Message, frozen=True):
    """Worker: tell me nothing more for this worker."""

    worker: int


class Watch(Message, frozen=True):
    """Worker: tell me, by this number, when this instance changes."""

    number: int
    instance: InstanceRow | None
    of_turns: bool


class Unwatch(Message, frozen=True):
    """Worker: tell me nothing more by this number."""

    number: int


class Changed(Message, frozen=True):
    """Parent: an instance that is watched by this number got a record, or was deleted."""

    number: int


class Due(Message, frozen=True):
    """Parent: something that nobody holds is or will be due."""

    worker: int
    at: int


class Told(Message, frozen=True):
    """Parent: an instance that the worker holds got a record from outside, or was deleted."""

    worker: int
    row: int


class Given(Message, frozen=True):
    """Parent: the worker, which had said that it is idle, has got these turns; None: perhaps some."""

    worker: int
    claims: list[Claim] | None


class Loaded(Message, frozen=True):
    """Worker: the author's files are loaded and I claim instances from now on."""

    worker: int
    workflows: list[str]
    # Whether the author's `fetch` is served.
    serves_fetch: bool = False
    # What the author is to be warned of.
    warnings: list[str] = []


class LoadFailed(Message, frozen=True):
    """Worker: the author's files cannot be loaded; this is the report."""

    report: str


class Rehearse(Message, frozen=True):
    """Parent: replay this instance without doing anything, and say by this number what would become of it."""

    number: int
    claim: Claim


class Rehearsed(Message, frozen=True):
    """Worker: that would become of it; None: it is another instance by now, or gone."""

    number: int
    outlook: Outlook | None


class RunStep(Message, frozen=True):
    """Parent: replay this instance up to a step, and run that attempt of it.

    `details` is what an earlier attempt said of itself last, as stored text.
    """

    claim: Claim
    attempt: Attempt
    isolation: Isolation
    details: str | None


class StepSaid(Message, frozen=True):
    """Worker: the step has printed or logged a line; `always`: by `step.log`."""

    level: str
    text: str
    always: bool


class StepBeat(Message, frozen=True):
    """Worker: the step gives a sign of life, with details as stored text."""

    details: str


class StepDescribed(Message, frozen=True):
    """Worker: the step says this of itself so far."""

    attributes: Attributes


class StepProgress(Message, frozen=True):
    """Worker: the step says how far the instance is, as JSON text."""

    value: str


class StepRan(Message, frozen=True):
    """Worker: the step has returned this, as stored text, or as a stream; or it has failed."""

    text: str | None
    stream: StreamRef | None = None
    problem: Problem | None = None


class Drain(Message, frozen=True):
    """Parent: claim no more, and end when the attempts in flight have."""


class Interrupt(Message, frozen=True):
    """Parent: put everything back now, and end."""


class Ping(Message, frozen=True):
    """Parent: say that you are there."""

    number: int


class Pong(Message, frozen=True):
    """Worker: I am. A worker whose event loop is blocked cannot say so."""

    number: int


class Said(Message, frozen=True):
    """Worker: my log tells this."""

    fact: Fact


AnyMessage = (
    Ask
    | Said
    | Answer
    | Refusal
    | Listen
    | Ignore
    | Watch
    | Unwatch
    | Changed
    | Due
    | Told
    | Given
    | Loaded
    | LoadFailed
    | Rehearse
    | Rehearsed
    | RunStep
    | StepSaid
    | StepBeat
    | StepDescribed
    | StepProgress
    | StepRan
    | Drain
    | Interrupt
    | Ping
    | Pong
)

encode = msgspec.msgpack.Encoder().encode
decode_message = msgspec.msgpack.Decoder(AnyMessage).decode


class Line:
    """One end of the line. It has the socket to itself; what is sent may be sent from any thread."""

    def __init__(self, sock: socket.socket, received: Callable[[Message], None], lost: Callable[[], None]) -> None:
        """Begin to hear, on the running event loop, which calls `received` and, at the end, once, `lost`."""
        sock.setblocking(False)
        self._sock = sock
        self._received = received
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._incoming = bytearray()
        # What waits for its turn, and what is left of a piece that the socket had no room for.
        self._outgoing: list[bytes] = []
        self._rest = memoryview(b"")
        self._is_closing = self._has_ended = False
        self._lock = threading.Lock()
        self._loop.add_reader(sock, self._read)

    def send(self, message: Message) -> None:
        """Send a message with the others of this pass of the loop, in which this is called."""
        if self.put(message):
            # An empty context: sending is not work of the author's task that caused it.
            self._loop.call_soon(self.flush, context=Context())

    def put(self, message: Message) -> bool:
        """Let a message wait for `flush`; tell whether it is the first that does. From any thread."""
        body = encode(message)
        with self._lock:
            is_first = not self._outgoing
            self._outgoing += [len(body).to_bytes(_HEAD_BYTES, "little"), body]
        return is_first

    def flush(self) -> None:
        """Send what is waiting now. From any thread."""
        with self._lock:
            if not self._rest:
                self._write()

    def close(self) -> None:
        """Hang up, after what was sent."""
        self.flush()
        with self._lock:
            self._is_closing = True
            if not self._rest:
                self._loop.call_soon(self._end, context=Context())

    def _write(self) -> None:
        """Write what waits, as far as there is room; what is left goes on when there is. With the lock."""
        if self._outgoing:
            self._rest = memoryview(b"".join([self._rest, *self._outgoing]))
            self._outgoing.clear()
        if not self._rest or self._has_ended:
            return
        try:
            self._rest = self._rest[self._sock.send(self._rest) :]
        except BlockingIOError:
            pass
        except OSError:
            # The other end is gone, as is said when the loop reads; nobody hears this any more.
            self._rest = memoryview(b"")
        # A loop that is closed has nobody left who could go on.
        if self._rest and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wait_for_room, context=Context())

    def _wait_for_room(self) -> None:
        if not self._has_ended:
            self._loop.add_writer(self._sock, self._write_on)

    def _write_on(self) -> None:
        with self._lock:
            self._loop.remove_writer(self._sock)
            self._write()
            if self._is_closing and not self._rest:
                self._loop.call_soon(self._end, context=Context())

    def _end(self) -> None:
        if self._has_ended:
            return
        with self._lock:
            self._has_ended = True
            self._loop.remove_reader(self._sock)
            self._loop.remove_writer(self._sock)
            self._sock.close()
        self._lost()

    def _read(self) -> None:
        """Cut what came into frames."""
        try:
            data = self._sock.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._end()
            return
        incoming = self._incoming
        incoming += data
        start = 0
        while len(incoming) - start >= _HEAD_BYTES:
            length = int.from_bytes(incoming[start : start + _HEAD_BYTES], "little")
            if length > _LONGEST_FRAME:
                self.close()
                return
            end = start + _HEAD_BYTES + length
            if len(incoming) < end:
                break
            self._received(decode_message(bytes(incoming[start + _HEAD_BYTES : end])))
            start = end
        del incoming[:start]
