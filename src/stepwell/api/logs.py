"""What instances say: the lines that their code prints and logs, and their progress. Stepwell's own routes.

Every text in it is the author's: it goes out as JSON and nothing else.
"""

import asyncio
from collections.abc import AsyncIterator

import msgspec
from starlette.responses import Response

from stepwell import limits
from stepwell.api import envelope
from stepwell.api.request import ApiRequest
from stepwell.api.streams import SIGN_OF_LIFE_S, Stream
from stepwell.core.steplog import iso
from stepwell.engine import Engine
from stepwell.errors import InstanceNotFound, WorkflowNotFound
from stepwell.store.note_operations import LogLine, LogPage, Note, ReadLog

LINES_AT_ONCE = 1_000
# How soon a new line is seen by those who follow.
_LOOK_EVERY_S = 0.25

# Browsers ask with a session: what code has printed is never to be taken for a page.
_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}

_encoder = msgspec.json.Encoder()


class Line(msgspec.Struct):
    """A line of the log. `step` is None for what `run` itself says; `level` is a log level, `stdout` or `stderr`."""

    n: int
    at: str
    step: str | None
    attempt: int | None
    level: str
    text: str


class Progress(msgspec.Struct):
    """How far the instance says it is."""

    value: msgspec.Raw
    at: str


class Log(msgspec.Struct):
    """A page of an instance's log. `next` is what to give as `after` for the lines behind it."""

    status: str
    progress: Progress | None
    lines: list[Line]
    next: int


async def get_logs(engine: Engine, request: ApiRequest) -> Response:
    """Answer with lines of the log, oldest first; with `follow=true` with each new line until the instance ends."""
    after = request.query.number("after", lowest=0) or 0
    limit = request.query.number("limit", LINES_AT_ONCE) or 100
    follows = request.query.choice("follow", ("true", "false")) == "true"
    step = request.query.text("step", limits.LOGGED_NAME_LENGTH)
    page = await _page(engine, request, after, limit, step)
    if follows:
        return _follow(engine, request, after, step)
    lines = [_line(line) for line in page.lines]
    log = Log(page.status, progress(page.progress), lines, lines[-1].n if lines else after)
    return envelope.success(log)


async def _page(engine: Engine, request: ApiRequest, after: int, limit: int, step: str | None) -> LogPage:
    return await engine.store.run(ReadLog(request.account, request.workflow, request.instance, after, limit, step))


def _follow(engine: Engine, request: ApiRequest, after: int, step: str | None) -> Response:
    ended = asyncio.Event()
    place = request.take_stream(ended.set)
    lines = _lines(engine, request, after, step, ended)
    return Stream(lines, "application/x-ndjson", _HEADERS, place.end)


async def _lines(
    engine: Engine, request: ApiRequest, after: int, step: str | None, ended: asyncio.Event
) -> AsyncIterator[bytes]:
    """Yield each line as a line of JSON, and an empty one now and then, until the instance ends or the server stops."""
    time = asyncio.get_running_loop().time
    said_at = time()
    while not ended.is_set():
        try:
            page = await _page(engine, request, after, LINES_AT_ONCE, step)
        except (InstanceNotFound, WorkflowNotFound):
            # Deleted meanwhile; the answer has begun, and can say so in no other way.
            return
        for line in page.lines:
            after, said_at = line.n, time()
            yield _encoder.encode(_line(line)) + b"\n"
        if page.ended_at is not None and not page.lines:
            return
        if time() - said_at >= SIGN_OF_LIFE_S:
            said_at = time()
            yield b"\n"
        if not page.lines:
            await asyncio.sleep(_LOOK_EVERY_S)


def _line(line: LogLine) -> Line:
    return Line(line.n, iso(line.at), line.step, line.attempt, line.level, line.text)


def progress(note: Note | None) -> Progress | None:
    """Show how far an instance says it is."""
    return None if note is None else Progress(msgspec.Raw(note.value.encode()), iso(note.at))
