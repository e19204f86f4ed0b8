"""What comes bit by bit: the events of an instance, and the bytes of a step's output.

Source: html.spec.whatwg.org/multipage/server-sent-events.html
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from stepwell.sdk.answers import error_of, result_of
from stepwell.sdk.effects import Connect, Emit, Flow, Open, Pause, Program, Read
from stepwell.sdk.errors import Conflict, Unreachable, UnreadableAnswer
from stepwell.sdk.messages import BYTES, Answer, Request
from stepwell.sdk.models import FINAL_STATUSES, InstanceEvent
from stepwell.sdk.own_models import Log, LogLine
from stepwell.sdk.retries import Retries, ask

# Where a WebSocket is closed behind one of these, however that is said, nothing more would come.
_LAST = frozenset({"workflow_completed", "workflow_errored", "workflow_terminated"})

T = TypeVar("T")

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


class Frames:
    """Takes the texts of a WebSocket, each of which is the data of one event."""

    def feed(self, piece: bytes) -> Iterator[Block]:
        """Take a text; yield it as a block."""
        yield Block(None, piece)


def follow(
    request_behind: Callable[[str | None], Request], retries: Retries, effect: type[Open | Connect] = Open
) -> Flow[InstanceEvent]:
    """Give the events of an instance until it has ended, and go on behind the last one where the connection is lost.

    Each comes once. `request_behind` makes the request for what is behind a cursor; `effect` is Connect where the
    server has a WebSocket for it. Raises ApiError; Unreachable only after several tries in vain, one behind the other.
    """
    patient = retries.patient()
    cursor: str | None = None
    failures = 0
    while True:
        is_over, brought = False, False
        failure: Unreachable | None = None
        answer = yield from _opened(request_behind(cursor), patient, effect)
        blocks = Blocks() if effect is Open else Frames()
        try:
            while piece := (yield Read()):
                for block in blocks.feed(piece):
                    brought = True
                    if not block.data:
                        # The server's last word: up to where all has been told.
                        cursor, is_over = block.id or cursor, True
                        continue
                    event = _read(block.data, InstanceEvent, answer)
                    cursor = block.id or (cursor if effect is Open else str(event.event_id))
                    is_over = effect is Connect and event.type in _LAST
                    yield Emit(event)
            # A WebSocket that is closed in good order has told all.
            is_over = is_over or effect is Connect
        except Unreachable as error:
            failure = error
        if is_over:
            return
        failures = 0 if brought else failures + 1
        if failures > patient.most:
            raise failure or Unreachable("the stream of events ends again and again", is_sent=True)
        yield Pause(patient.delay_s(failures))


def follow_lines(
    stream_behind: Callable[[int], Request], page_behind: Callable[[int], Request], after: int, retries: Retries
) -> Flow[LogLine]:
    """Give the lines of an instance behind one of a number, and each new one, until the instance has ended.

    A stream ends without a word also with its connection or its server; the page that is behind the last line tells
    whether there may be more. Raises ApiError; Unreachable only after several tries in vain, one behind the other.
    """
    patient = retries.patient()
    failures = 0
    while True:
        first, failure = after, None
        answer = yield from _opened(stream_behind(after), patient)
        rest = b""
        try:
            while piece := (yield Read()):
                *lines, rest = (rest + piece).split(b"\n")
                # An empty one shows that the server lives.
                for line in filter(bytes.strip, lines):
                    said = _read(line, LogLine, answer)
                    after = said.n
                    yield Emit(said)
        except Unreachable as error:
            failure = error
        log = result_of((yield from ask(page_behind(after), patient)), Log)
        if log.status in FINAL_STATUSES and not log.lines:
            return
        failures = 0 if after > first else failures + 1
        if failures > patient.most:
            raise failure or Unreachable("the stream of a log ends again and again", is_sent=True)
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


def _opened(request: Request, retries: Retries, effect: type[Open | Connect] = Open) -> Program[Answer]:
    """Open a stream; return its head. Raises ApiError."""
    answer = yield from ask(request, retries, effect=effect)
    if not answer.is_good:
        raise error_of((yield from _read_whole(answer)) if effect is Open else answer)
    return answer


def _read_whole(answer: Answer) -> Program[Answer]:
    pieces = []
    while piece := (yield Read()):
        pieces.append(piece)
    return Answer(answer.status, answer.headers, b"".join(pieces))


def _read(data: bytes, kind: type[T], answer: Answer) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        what = "an event" if kind is InstanceEvent else "a line"
        told = f"{what} is not one of this API ({error}): {data[:200]!r}"
        raise UnreadableAnswer(told, status=answer.status, request_id=answer.request_id) from error
