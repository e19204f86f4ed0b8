"""Streams: what a step returns as an async iterator of bytes, stored in pieces and given back piece by piece.

Never more than a few pieces are in memory, however long the stream is.

Source: developers.cloudflare.com/workflows/build/workers-api/#readablestream-return-values
"""

import asyncio
import codecs
import json
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Coroutine
from contextlib import aclosing
from typing import Any, NamedTuple, Protocol, TypeVar

from msgspec.structs import astuple

from stepwell import values
from stepwell.calls import Work
from stepwell.core.execution import Execution
from stepwell.core.records import Key, StreamRef
from stepwell.core.steplog import TRUNCATED
from stepwell.errors import InstanceTooLarge, NotSerialisable, TurnClosed, TurnLost
from stepwell.limits import LOG_OUTPUT_CHARACTERS, STREAM_CHUNK_BYTES, STREAM_PIECE_BYTES
from stepwell.problems import Unstorable
from stepwell.reader import Reader
from stepwell.steps import StepStream
from stepwell.store.operations import Claim, Operation
from stepwell.store.stream_operations import BeginStream, ReadPiece, WritePiece

A = TypeVar("A")

# So many bytes are enough to show what a text begins with.
_HEAD_BYTES = LOG_OUTPUT_CHARACTERS * 4


class StreamHost(Protocol):
    """The turn, as its streams see it."""

    claim: Claim
    execution: Execution
    is_over: bool

    def help(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the author's code; if it cannot be done at all the turn ends."""


class StoredResult(NamedTuple):
    """The stored text of a step's result; of a stream where it lies, and the text that people are shown of it."""

    text: str
    stream: StreamRef | None = None


class TurnStreams:
    """The streams of one turn: what its attempts return, and what its code reads."""

    def __init__(self, host: StreamHost, reader: Reader, work: Callable[[Work], Awaitable[Any]]) -> None:
        self._host = host
        self._reader = reader
        self._work = work
        self._loop = asyncio.get_running_loop()

    async def store(self, chunks: AsyncIterable[Any], key: Key, attempt: int) -> StoredResult:
        """Store what a step gives piece by piece. One piece is on its way while the next is gathered.

        Raises Unstorable, and whatever the author's iterator raises.
        """
        stream = await self._ask(BeginStream(*self._turn(), json.dumps(astuple(key)), attempt))
        head, size, n = b"", 0, 0
        on_its_way: asyncio.Future[Any] | None = None
        async with aclosing(_cut(chunks)) as pieces:
            async for piece in pieces:
                head, size, n = head or piece[:_HEAD_BYTES], size + len(piece), n + 1
                self._check_room(key, size)
                if on_its_way is not None:
                    await on_its_way
                on_its_way = self._ask(WritePiece(*self._turn(), stream, n, piece))
        if on_its_way is not None:
            await on_its_way
        return StoredResult(values.encode(_shown(head, size)), StreamRef(stream, size))

    def replay(self, stream: StreamRef) -> StepStream:
        """Return a stream as a step returns it."""
        return StepStream(stream.id, stream.size, self)

    async def piece(self, stream: int, n: int) -> bytes:
        """Read a piece for the author's code, when it is its turn. Raises TurnClosed."""
        piece: bytes = await self._work(lambda: self._reader.read(ReadPiece(stream, n, *self._turn())))
        return piece

    def piece_in_thread(self, stream: int, n: int) -> bytes:
        """Read a piece for a thread of the author's, and block it meanwhile. Raises TurnClosed."""
        if self._host.is_over:
            raise TurnClosed("a stream was read after its turn had ended")
        reading = self._reader.read(ReadPiece(stream, n, *self._turn()))
        try:
            return asyncio.run_coroutine_threadsafe(reading, self._loop).result()
        except TurnLost as error:
            raise TurnClosed(str(error)) from None

    def _turn(self) -> tuple[int, int]:
        return self._host.claim.row, self._host.claim.turn

    def _ask(self, operation: Operation[A]) -> "asyncio.Future[A]":
        """Ask the store for something; if it cannot be done at all the turn ends, and no answer comes."""
        answer: asyncio.Future[A] = self._loop.create_future()
        self._host.help(self._reader.answer(operation, answer))
        return answer

    def _check_room(self, key: Key, size: int) -> None:
        try:
            self._host.execution.room.check(key, size)
        except InstanceTooLarge as error:
            raise Unstorable(error) from None


async def _cut(chunks: AsyncIterable[Any]) -> AsyncGenerator[bytes]:
    """Cut the author's chunks into pieces as they are stored; all but the last are of one size."""
    gathered = bytearray()
    iterator = aiter(chunks)
    try:
        async for chunk in iterator:
            gathered += _checked(chunk)
            while len(gathered) >= STREAM_PIECE_BYTES:
                yield bytes(gathered[:STREAM_PIECE_BYTES])
                del gathered[:STREAM_PIECE_BYTES]
    finally:
        # The code behind it ends with it, whatever ended it.
        if (close := getattr(iterator, "aclose", None)) is not None:
            await close()
    if gathered:
        yield bytes(gathered)


def _checked(chunk: Any) -> bytes | bytearray | memoryview:
    if not isinstance(chunk, bytes | bytearray | memoryview):
        problem = f"a stream consists of bytes, and one of its chunks is of type {type(chunk).__name__}"
        raise Unstorable(NotSerialisable("result", problem))
    size = memoryview(chunk).nbytes
    if size > STREAM_CHUNK_BYTES:
        problem = f"a chunk of its stream has {size:,} bytes; at most {STREAM_CHUNK_BYTES:,} may come at a time"
        raise Unstorable(NotSerialisable("result", problem))
    return chunk


def _shown(head: bytes, size: int) -> str:
    """Return what people are shown of a stream: what its text begins with, or how many bytes it has."""
    is_whole = len(head) == size
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head, final=is_whole)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        return f"[ReadableStream (binary): {size} bytes]"
    if is_whole and len(text) <= LOG_OUTPUT_CHARACTERS:
        return text
    return text[:LOG_OUTPUT_CHARACTERS] + TRUNCATED
