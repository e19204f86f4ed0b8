"""Instances as JSON lines: out of a store, and into one.

Each line is an object with its `type`. An instance is a line `instance`, then its streams (`stream`, `piece`), its
history (`record`), what it has said (`line`, `note`), and a line `end`; several follow one another. Params, results
and events are there as they were stored. What steps return that are `sensitive` is there only if it is asked for: else
the first line says of how many steps it was left out, and what would have had it is marked. Such an instance can be
read, and not brought in: it could not go on, nor be restarted or forked from a step, as the one that it was. What comes
in is untrusted, and held against the rules before the instance is there.
"""

import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec

from stepwell import __version__, labels, limits
from stepwell.clock import SystemClock
from stepwell.core.instance import FINAL, ImpossibleHistory, InstanceState, Status, advance
from stepwell.core.records import AttemptStarted, Key, Record, StepForced, StepKind, StepSucceeded
from stepwell.errors import InstanceNotFound, InvalidInput
from stepwell.store import Store, codec
from stepwell.store.note_operations import LogLine, Note, ReadLog
from stepwell.store.operations import RecordRow
from stepwell.store.stream_operations import BeginStream, ReadPiece, WritePiece
from stepwell.store.transfer_operations import (
    AbandonImport,
    BeginImport,
    ExportedInstance,
    ExportInstance,
    FinishImport,
    ImportedInstance,
    ImportNotes,
    ImportRecords,
    InstanceFacts,
    ListStreams,
    Moment,
    Number,
    PlacedRecord,
    ReadNotes,
    ReadRecords,
)

# The newest form of the lines, and all that this program reads.
FORMAT = 1

_LINES_AT_ONCE = 1_000
_GATHERED_SIZE = 2**20
_GATHERED_RECORDS = 1_000
# What no worker takes.
_RESTING = FINAL | {Status.PAUSED}
# No such stream is in any store: a record may name one that was dropped before.
_DROPPED = 0

# The members of records that are moments, beside when they were written; and what is raised where there is no record.
_MOMENTS = frozenset(("until", "deadline", "retry_at", "start_at", "since"))
_NO_RECORD = (ImpossibleHistory, msgspec.MsgspecError, LookupError, TypeError, ValueError, RecursionError)

_NOTHING = msgspec.Raw()


class _Line(msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True):
    """Base of all lines."""


class _InstanceLine(_Line, frozen=True, tag="instance"):
    format: int
    stepwell: str
    workflow: str
    id: str
    facts: InstanceFacts
    # The results of so many steps were.
    left_out: Number = 0


class _StreamLine(_Line, frozen=True, tag="stream"):
    stream: Number
    step: str
    attempt: Number
    left_out: bool = False


class _PieceLine(_Line, frozen=True, tag="piece"):
    stream: Number
    n: Number
    body: bytes


class _RecordLine(_Line, frozen=True, tag="record"):
    seq: Number
    turn: Number
    n: Number
    kind: str
    at: Moment
    body: msgspec.Raw
    value: msgspec.Raw = _NOTHING
    left_out: bool = False


class _LogLine(_Line, frozen=True, tag="line"):
    n: Number
    at: Moment
    level: str
    text: str
    step: str | None = None
    attempt: Number | None = None


class _NoteLine(_Line, frozen=True, tag="note"):
    name: str
    at: Moment
    value: msgspec.Raw


class _EndLine(_Line, frozen=True, tag="end"):
    records: Number


_AnyLine = _InstanceLine | _StreamLine | _PieceLine | _RecordLine | _LogLine | _NoteLine | _EndLine
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_AnyLine).decode
_decode_body = msgspec.json.Decoder(dict[str, Any]).decode


# ---- out of a store


async def export(
    store: Store, account: str, workflow: str, id: str, *, with_sensitive: bool = False
) -> AsyncIterator[bytes]:
    """Yield the lines of an instance, as it is at one moment, each with its line break.

    What sensitive steps return is among them only `with_sensitive`. Raises WorkflowNotFound or InstanceNotFound, the
    latter also where it is deleted meanwhile.
    """
    exported = await store.run(ExportInstance(account, workflow, id))
    hidden = frozenset[Key]() if with_sensitive else await _sensitive(store, exported)
    yield _line(_InstanceLine(FORMAT, __version__, workflow, id, exported.facts, len(hidden)))
    async for part in _streams(store, exported.row, hidden):
        yield _line(part)
    count = 0
    async for record in _records(store, exported, hidden):
        count += 1
        yield _line(record)
    async for part in _said(store, (account, workflow, id), exported):
        yield _line(part)
    again = await store.run(ExportInstance(account, workflow, id))
    if again.row != exported.row or count != exported.facts.seq:
        raise InstanceNotFound(workflow, id)
    yield _line(_EndLine(exported.facts.seq))


def left_out(line: bytes) -> int:
    """Return of how many steps the results were left out, if this is the first line of an instance; else 0."""
    part = _decode(line)
    return part.left_out if isinstance(part, _InstanceLine) else 0


async def _sensitive(store: Store, exported: ExportedInstance) -> frozenset[Key]:
    """Return the steps that are sensitive, or once were, and have something that has to be left out."""
    sensitive, found = set(), {codec.from_step(kept.step) for kept in await store.run(ListStreams(exported.row))}
    async for placed in _placed(store, exported):
        record = codec.from_row(placed.record).record
        if isinstance(record, AttemptStarted) and record.config is not None and record.config.sensitive:
            sensitive.add(record.key)
        elif (key := _returned_by(record)) is not None:
            found.add(key)
    return frozenset(sensitive & found)


def _returned_by(record: Record) -> Key | None:
    """Return the step whose result a record has; None: it has none. What a rollback returns is not kept."""
    match record:
        case StepSucceeded(key=key) if key.kind is StepKind.DO:
            return key
        case StepForced(key=key, value=value) if value is not None:
            return key
        case _:
            return None


async def _streams(store: Store, row: int, hidden: frozenset[Key]) -> AsyncIterator[_Line]:
    for kept in await store.run(ListStreams(row)):
        is_hidden = codec.from_step(kept.step) in hidden
        yield _StreamLine(kept.stream, kept.step, kept.attempt, is_hidden)
        for n in range(1, kept.pieces + 1) if not is_hidden else ():
            yield _PieceLine(kept.stream, n, await store.run(ReadPiece(kept.stream, n)))


async def _records(store: Store, exported: ExportedInstance, hidden: frozenset[Key]) -> AsyncIterator[_Line]:
    async for placed in _placed(store, exported):
        record = placed.record
        is_hidden = bool(hidden) and _returned_by(codec.from_row(record).record) in hidden
        value = _NOTHING if record.value is None or is_hidden else _raw(record.value)
        place = (record.seq, placed.turn, placed.n)
        yield _RecordLine(*place, record.kind, record.at, _raw(record.body), value, is_hidden)


async def _placed(store: Store, exported: ExportedInstance) -> AsyncIterator[PlacedRecord]:
    seq = 0
    while records := await store.run(ReadRecords(exported.row, seq, exported.facts.seq)):
        for placed in records:
            yield placed
        seq = records[-1].record.seq


async def _said(store: Store, named: tuple[str, str, str], exported: ExportedInstance) -> AsyncIterator[_Line]:
    after, last = 0, exported.facts.log_n
    while after < last and (lines := (await store.run(ReadLog(*named, after, _LINES_AT_ONCE))).lines):
        for line in lines:
            if line.n <= last:
                yield _LogLine(line.n, line.at, line.level, line.text, line.step, line.attempt)
        after = lines[-1].n
    for note in await store.run(ReadNotes(exported.row)):
        yield _NoteLine(note.name, note.at, _raw(note.value))


def _raw(text: str) -> msgspec.Raw:
    # A line break in JSON stands between values, where a blank does as well.
    return msgspec.Raw(text.replace("\n", " ").replace("\r", " ").encode())


def _line(line: _Line) -> bytes:
    return _encode(line) + b"\n"


# ---- into a store


async def import_next(
    store: Store, account: str, lines: Iterator[tuple[int, bytes]], id: str | None = None
) -> ImportedInstance | None:
    """Bring in the next instance of which there are lines; None: there are no more.

    `lines` are numbered, for errors; `id`: the one that it is to have. Raises InvalidInput, and then nothing has been
    brought in; WorkflowNotFound, InstanceAlreadyExists.
    """
    begin = next(_parts(lines), None)
    if begin is None:
        return None
    coming = await _Coming.begin(store, account, *begin, id)
    try:
        return await coming.take(_parts(lines))
    except BaseException:
        await store.run(AbandonImport(coming.row))
        raise


def _parts(lines: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, _AnyLine]]:
    for number, line in lines:
        if line.strip():
            try:
                yield number, _decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise _wrong(number, f"is no line of an exported instance: {error}") from error


class _Coming:
    """An instance that is being brought in."""

    def __init__(self, store: Store, account: str, begin: _InstanceLine, id: str) -> None:
        self.id = id
        self.row = 0
        self._store = store
        self._account = account
        self._begin = begin
        self._streams: dict[int, int] = {_DROPPED: _DROPPED}
        self._records: list[PlacedRecord] = []
        self._lines: list[LogLine] = []
        self._size = 0
        self._seq = 0
        self._state = InstanceState()

    @classmethod
    async def begin(cls, store: Store, account: str, number: int, line: _AnyLine, id: str | None) -> "_Coming":
        """Make room for an instance. Raises InvalidInput, WorkflowNotFound or InstanceAlreadyExists."""
        if not isinstance(line, _InstanceLine):
            raise _wrong(number, "is not the first line of an instance: the file was cut off at its beginning")
        if line.format != FORMAT:
            raise _wrong(
                number,
                f"has the format {line.format}, of Stepwell {line.stepwell:.20}; this one, {__version__}, reads "
                f"{FORMAT}: use a newer one",
            )
        if line.left_out:
            raise _wrong(
                number,
                f'says that the results of {line.left_out} sensitive steps of "{line.id:.100}" were left out, without '
                "which it cannot go on: export it with --with-sensitive",
            )
        wanted = line.id if id is None else id
        if not limits.is_addressed_instance_id(wanted):
            raise _wrong(number, f'"{wanted:.100}" is no id of an instance; it has {limits.ADDRESSED_INSTANCE_ID_RULE}')
        problem = labels.problem_of_kept(line.facts.labels)
        if problem is not None:
            raise _wrong(number, f"has labels that no instance can have: {problem}")
        coming = cls(store, account, line, wanted)
        token = f"import-{uuid.uuid4().hex}"
        now = SystemClock().now()
        coming.row = await store.run(BeginImport(account, line.workflow, wanted, token, line.facts.turn, now))
        return coming

    async def take(self, parts: Iterator[tuple[int, _AnyLine]]) -> ImportedInstance:
        """Take all lines up to the last one; then the instance is there.

        Raises InvalidInput, WorkflowNotFound or InstanceAlreadyExists.
        """
        for number, part in parts:
            if isinstance(part, _EndLine):
                return await self._finish(number, part)
            await self._add(number, part)
        raise InvalidInput("end", f'the lines end before the instance "{self.id}" does: the file was cut off')

    async def _add(self, number: int, part: _AnyLine) -> None:
        match part:
            case _StreamLine():
                _check_step(number, part.step)
                asked = BeginStream(self.row, self._begin.facts.turn, part.step, part.attempt)
                self._streams[part.stream] = await self._store.run(asked)
            case _PieceLine():
                stream = self._stream(number, part.stream)
                await self._store.run(WritePiece(self.row, self._begin.facts.turn, stream, part.n, part.body))
            case _RecordLine():
                self._add_record(number, part)
            case _LogLine():
                line = LogLine(part.at, part.step, part.attempt, part.level, part.text, part.n)
                self._lines.append(line)
                self._size += len(part.text)
            case _NoteLine():
                note = Note(part.name, part.at, _text(part.value))
                await self._store.run(ImportNotes(self.row, [], [note]))
            case _:
                raise _wrong(number, f'begins another instance before the end of "{self.id}"')
        if self._size >= _GATHERED_SIZE or len(self._records) + len(self._lines) >= _GATHERED_RECORDS:
            await self._flush()

    async def _finish(self, number: int, end: _EndLine) -> ImportedInstance:
        facts = self._begin.facts
        if end.records != self._seq or facts.seq != self._seq:
            raise _wrong(number, f"{self._seq} records have come of {facts.seq}: lines are missing")
        self._check(number, facts)
        await self._flush()
        return await self._store.run(FinishImport(self.row, self._account, self._begin.workflow, self.id, facts))

    def _add_record(self, number: int, part: _RecordLine) -> None:
        if part.seq != self._seq + 1:
            raise _wrong(number, f"has record {part.seq} where {self._seq + 1} comes: lines are missing")
        value = None if part.value == _NOTHING else _text(part.value)
        record = RecordRow(part.kind, part.at, _text(part.body), value, seq=part.seq)
        try:
            record = self._with_streams(record)
            self._state = advance(self._state, _checked(codec.from_row(record).record))
        except _NO_RECORD as error:
            raise _wrong(number, f"has no record that can be here: {error!r:.200}") from error
        if self._state.status is None:
            raise _wrong(number, f"has the record {part.kind} where a history begins with created")
        self._seq = part.seq
        self._records.append(PlacedRecord(part.turn, part.n, record))
        self._size += len(record.body) + len(record.value or "")

    def _with_streams(self, record: RecordRow) -> RecordRow:
        """Return a record that names its stream by the number that it has here, and is written as any other one.

        An error that is to be sealed is found by how it is written.
        """
        body = _decode_body(record.body)
        if body.get("stream") is not None:
            body["stream"]["id"] = self._streams.get(body["stream"]["id"], _DROPPED)
        return msgspec.structs.replace(record, body=_encode(body).decode())

    def _stream(self, number: int, stream: int) -> int:
        if stream not in self._streams:
            raise _wrong(number, f"has a piece of the stream {stream}, of which there is no line before")
        return self._streams[stream]

    def _check(self, number: int, facts: InstanceFacts) -> None:
        """Hold what was said of the instance against its history."""
        queued_at = facts.created_at if facts.renewed_at is None else facts.renewed_at
        times = (facts.created_at, queued_at, facts.started_at, facts.ended_at)
        status = self._state.status
        if facts.status != status or self._state != InstanceState(status, facts.step_count, *times):
            raise _wrong(number, "ends a history that does not lead to what its first line says of the instance")
        if status in _RESTING and (facts.is_held or facts.due_at is not None):
            raise _wrong(number, f"ends an instance that is {status}, and still held or due: export it again")
        if facts.is_held and facts.due_at is not None:
            raise _wrong(number, f"ends an instance that a worker holds, and due at {facts.due_at}: export it again")

    async def _flush(self) -> None:
        records, lines = self._records, self._lines
        self._records, self._lines, self._size = [], [], 0
        if records:
            await self._store.run(ImportRecords(self.row, records))
        if lines:
            await self._store.run(ImportNotes(self.row, lines, []))


def _checked(record: Record) -> Record:
    """Return a record, if all that it has is of the kind that the program has there. Raises ValidationError."""
    parts = msgspec.to_builtins(record)
    msgspec.convert(parts, type(record))
    for name in _MOMENTS & parts.keys():
        msgspec.convert(parts[name], Moment | None)
    return record


def _check_step(number: int, text: str) -> None:
    """Raise InvalidInput if a text is not how a step's key is stored."""
    try:
        codec.from_step(text)
    except _NO_RECORD as error:
        raise _wrong(number, f'has a stream of "{text:.100}", which is no step') from error


def _text(raw: msgspec.Raw) -> str:
    return bytes(raw).decode()


def _wrong(number: int, problem: str) -> InvalidInput:
    return InvalidInput(f"line {number}", f"line {number} {problem}")
