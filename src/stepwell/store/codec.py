"""Records as rows and back.

A record's `at` and `value` have columns of their own; its other fields are one JSON object, so that a person with
nothing but the `sqlite3` shell can read a history.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, get_args

import msgspec
from msgspec.structs import FieldInfo, fields

from stepwell import values
from stepwell.core.failures import Failure
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
    value, text = getattr(record, "value", None), _encode(form.written(*form.written_of(record))).decode()
    if isinstance(value, PayloadRef):
        # It came from outside, and becomes a step's result: it stays where it lies.
        return RecordRow(form.name, record.at, text, value.preview, value.id, value.size)
    return RecordRow(form.name, record.at, text, value)


def from_row(row: RecordRow) -> Recorded:
    """Return the record of a row. Raises KeyError or ValueError if it is damaged."""
    form = _FORMS[row.kind]
    body = form.read(row.body)
    if form.has_config and body.config is not None:
        body.config = _config(bytes(body.config))
    if not (form.may_lack_value if row.value is None else form.takes_value):
        raise ValueError(f"record {row.seq}, {row.kind}, has {'no' if row.value is None else 'a'} value")
    if form.takes_value:
        # Whatever the body of one that comes from elsewhere has in this place.
        body.value = None if row.value is None else _payload(row)
    return Recorded(row.seq, form.kind(row.at, *form.read_of(body)))


def from_rows(rows: Iterable[RecordRow]) -> list[Recorded]:
    """Return the records of rows, in the same order."""
    return [from_row(row) for row in rows]


def to_step(key: Key) -> str:
    """Return the key of a step as text."""
    return msgspec.json.encode(key).decode()


def from_step(text: str) -> Key:
    """Return the key of a step from its text."""
    return _key(text)


def from_error(parts: object) -> Failure:
    """Return the failure that a body has as `error`, from its JSON. Raises ValidationError, a ValueError."""
    return msgspec.convert(parts, Failure)


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
# What the decoder is to make of a part of a body; any other is what its JSON says. A config stays text.
_TYPES: dict[str, Any] = {
    "key": Key,
    "parent": Key,
    "action": Action,
    "error": Failure,
    "stream": StreamRef,
    "schedule": Firing,
    "config": msgspec.Raw,
}


class _Form:
    """How a kind of record lies in rows."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self.name = name_of(kind)
        # All that a record has but its time, and what of that its body has.
        parts = [part for part in fields(kind) if part.name != "at"]
        names = [part.name for part in parts if part.name != "value"]
        self.written = msgspec.defstruct(self.name, [(name, Any, None) for name in names], omit_defaults=True)
        self.written_of = _getter(names)
        self.has_config = "config" in names
        value = next((part for part in parts if part.name == "value"), None)
        self.takes_value, self.may_lack_value = value is not None, value is None or not value.required
        # A body is read with a place for the value, so that it has all in the order in which the record takes it.
        read = msgspec.defstruct(self.name, [_field_of_body(part) for part in parts])
        self.read: Callable[[str], Any] = msgspec.json.Decoder(read).decode
        self.read_of = _getter([part.name for part in parts])


def _field_of_body(part: FieldInfo) -> tuple[str, Any] | tuple[str, Any, Any]:
    """Return name, type and, unless a body has to have it, default of a part that is read."""
    type = _TYPES.get(part.name, Any)
    if part.name == "value" or not part.required:
        return part.name, type, None if part.required else part.default
    return part.name, type


def _getter(names: Sequence[str]) -> Callable[[object], Sequence[Any]]:
    """Return what gets attributes of these names; `attrgetter` of less than two returns no tuple."""
    return attrgetter(*names) if len(names) > 1 else lambda value: [getattr(value, name) for name in names]


_FORMS_OF: dict[type, _Form] = {kind: _Form(kind) for kind in get_args(Record)}
_FORMS: dict[str, _Form] = {form.name: form for form in _FORMS_OF.values()}
_key = msgspec.json.Decoder(Key).decode
