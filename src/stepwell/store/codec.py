"""Records as rows and back.

A record's `at` and `value` have columns of their own; its other fields are one JSON object, so that a person with
nothing but the `sqlite3` shell can read a history.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from typing import Any, TypedDict, get_args

import msgspec

from stepwell import values
from stepwell.core.failures import Failure, from_parts, to_parts
from stepwell.core.records import (
    Action,
    Firing,
    Key,
    Payload,
    PayloadRef,
    Record,
    Recorded,
    StepConfig,
    StreamRef,
)
from stepwell.limits import INLINE_VALUE_BYTES, LOG_OUTPUT_CHARACTERS
from stepwell.store.operations import RecordRow


def to_row(record: Record) -> RecordRow:
    """Return the row of a record; the store gives it its seq."""
    form = _FORMS_OF[type(record)]
    body = {name: part for name, part in zip(form.parts, form.parts_of(record), strict=True) if part is not None}
    if isinstance(error := body.get("error"), Failure):
        body["error"] = to_parts(error)
    value, text = getattr(record, "value", None), _encode(body).decode()
    if isinstance(value, PayloadRef):
        # It came from outside, and becomes a step's result: it stays where it lies.
        return RecordRow(form.name, record.at, text, value.preview, value.id, value.size)
    return RecordRow(form.name, record.at, text, value)


def from_row(row: RecordRow) -> Recorded:
    """Return the record of a row."""
    form = _FORMS[row.kind]
    body = form.decode(row.body)
    for name, build in form.built:
        if name in body:
            body[name] = build(body[name])
    if row.value is not None:
        body["value"] = _payload(row)
    return Recorded(row.seq, form.kind(at=row.at, **body))


def from_rows(rows: Iterable[RecordRow]) -> list[Recorded]:
    """Return the records of rows, in the same order."""
    return [from_row(row) for row in rows]


def to_step(key: Key) -> str:
    """Return the key of a step as text."""
    return msgspec.json.encode(list(key)).decode()


def from_step(text: str) -> Key:
    """Return the key of a step from its text."""
    return _key(text)


def lies_apart(row: RecordRow) -> bool:
    """Tell whether a new row's value is too large to lie in its record."""
    value = row.value
    return value is not None and (
        len(value) > INLINE_VALUE_BYTES
        # Only a text near the limit needs to be encoded to know its bytes.
        or (len(value) * 4 > INLINE_VALUE_BYTES and len(value.encode()) > INLINE_VALUE_BYTES)
    )


def preview(row: RecordRow) -> str:
    """Return what a record keeps of a value that lies apart: its first characters, as people see it."""
    assert row.value is not None
    is_plain = row.kind in _PLAIN
    return (row.value if is_plain else values.readable(row.value))[:LOG_OUTPUT_CHARACTERS]


def _payload(row: RecordRow) -> Payload:
    assert row.value is not None
    return row.value if row.payload is None else PayloadRef(row.payload, row.size, row.value)


@lru_cache(256)
def _config(text: bytes) -> StepConfig:
    """Return the config of its JSON text: most steps of a history have the same one."""
    return StepConfig(**msgspec.json.decode(text))


def name_of(kind: type[Record]) -> str:
    """Return what a kind of record is called in its rows: StepSucceeded is step_succeeded."""
    return "".join("_" + c.lower() if c.isupper() else c for c in kind.__name__).lstrip("_")


_encode = msgspec.json.Encoder().encode
# What came from outside is JSON, and shown as it was sent.
_PLAIN = frozenset(("created", "event_received", "step_forced"))
# What the decoder makes of a part of a body by itself, in a fraction of the time; a config stays text.
_TYPES: dict[str, Any] = {"key": Key, "parent": Key, "action": Action, "config": msgspec.Raw}
_BUILDERS: dict[str, Any] = {
    "error": from_parts,
    "config": lambda text: _config(bytes(text)),
    "stream": lambda parts: StreamRef(**parts),
    "schedule": lambda parts: Firing(**parts),
}


class _Form:
    """How a kind of record lies in rows."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self.name = name_of(kind)
        # What its body is made of, and how to take all of it from a record at once.
        self.parts = [f.name for f in fields(kind) if f.name not in {"at", "value"}]
        self.parts_of = _getter(self.parts)
        # What of it is more than JSON, and what it is built by.
        self.built = [(part, _BUILDERS[part]) for part in self.parts if part in _BUILDERS]
        parts = {part: _TYPES.get(part, Any) for part in self.parts}
        self.decode: Callable[[str], dict[str, Any]] = msgspec.json.Decoder(
            TypedDict(self.name, parts, total=False)  # type: ignore[operator]  # made of data
        ).decode


def _getter(names: Sequence[str]) -> Callable[[object], Sequence[Any]]:
    """Return what gets attributes of these names; `attrgetter` of less than two returns no tuple."""
    return attrgetter(*names) if len(names) > 1 else lambda value: [getattr(value, name) for name in names]


_FORMS_OF: dict[type, _Form] = {kind: _Form(kind) for kind in get_args(Record)}
_FORMS: dict[str, _Form] = {form.name: form for form in _FORMS_OF.values()}
_key = msgspec.json.Decoder(Key).decode
