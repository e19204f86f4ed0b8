"""What comes bit by bit: the events of an instance, and the bytes of a step's output.

Source: html.spec.whatwg.org/multipage/server-sent-events.html
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from stepwell.sdk.answers import error_of, result_of
from stepwell.sdk.effects import Emit, Flow, Open, Pause, Program, Read
from stepwell.sdk.errors import Conflict, Unreachable, UnreadableAnswer
from stepwell.sdk.messages import BYTES, Answer, Request
from stepwell.sdk.models import InstanceEvent
from stepwell.sdk.retries import Retries, ask

_LINE = re.compile(rb"\r\n|\n|\r(?!\Z)")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a stream of events: its id and its data, None and empty where it has none."""

    id: str | None
    data: bytes


class Blocks:
    """Takes a stream of events as it comes, in pieces of any length, and gives its blocks."""

    def __init__(self) -> None:
        self._rest = b""
        self._id: str | None = None
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> Iterator[Block]:
        """Take a piece; yield the blocks that it completes. Comments, and names that are not known, are passed over."""
        *lines, self._rest = _LINE.split(self._rest + piece)
        for line in lines:
            if line:
                self._take(line)
            elif self._id is not None or self._data:
                yield Block(self._id, b"\n".join(self._data))
                self._id, self._data = None, []

    def _take(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        match name:
            case b"id":
                self._id = value.removeprefix(b" ").decode(errors="replace")
            case b"data":
                self._data.append(value.removeprefix(b" "))


def follow(request_behind: Callable[[str | None], Request], retries: Retries) -> Flow[InstanceEvent]:
    """Give the events of an instance until it has ended, and go on behind the last one where the connection is lost.

    Each comes once. `request_behind` makes the request for what is behind a cursor. Raises ApiError; Unreachable only
    after several tries in vain, one behind the other.
    """
    patient = retries.patient()
    cursor: str | None = None
    failures = 0
    while True:
        is_over, brought = False, False
        failure: Unreachable | None = None
        answer = yield from _opened(request_behind(cursor), patient)
        blocks = Blocks()
        try:
            while piece := (yield Read()):
                for block in blocks.feed(piece):
                    cursor, brought = block.id or cursor, True
                    # The server's last word: up to where all has been told.
                    is_over = not block.data
                    if block.data:
                        yield Emit(_event_in(block.data, answer))
        except Unreachable as error:
            failure = error
        if is_over:
            return
        failures = 0 if brought else failures + 1
        if failures > patient.most:
            raise failure or Unreachable("the stream of events ends again and again", is_sent=True)
        yield Pause(patient.delay_s(failures))


def step_bytes(request: Request, retries: Retries) -> Flow[bytes]:
    """Give the output of a step in parts: the bytes of a stream, or of anything else its JSON. Raises ApiError.

    Conflict: there is no output yet. Unreachable also where the connection is lost on the way.
    """
    answer = yield from _opened(request, retries)
    if answer.media_type == BYTES:
        while piece := (yield Read()):
            yield Emit(piece)
        return
    whole = yield from _read_whole(answer)
    state = result_of(whole, _Output)
    if state.output is msgspec.UNSET:
        raise Conflict(f"the step is {state.status} and has no output; wait for it, or look at it with `step`")
    yield Emit(bytes(state.output))


class _Output(msgspec.Struct):
    status: str
    output: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def _opened(request: Request, retries: Retries) -> Program[Answer]:
    """Open a stream; return its head. Raises ApiError."""
    answer = yield from ask(request, retries, effect=Open)
    if not answer.is_good:
        raise error_of((yield from _read_whole(answer)))
    return answer


def _read_whole(answer: Answer) -> Program[Answer]:
    pieces = []
    while piece := (yield Read()):
        pieces.append(piece)
    return Answer(answer.status, answer.headers, b"".join(pieces))


def _event_in(data: bytes, answer: Answer) -> InstanceEvent:
    try:
        return msgspec.json.decode(data, type=InstanceEvent)
    except msgspec.DecodeError as error:
        told = f"an event is not one of this API ({error}): {data[:200]!r}"
        raise UnreadableAnswer(told, status=answer.status, request_id=answer.request_id) from error
