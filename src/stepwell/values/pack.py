"""Values as stored text, without loss.

Plain JSON is stored as it is. Any other value is an object whose first member is `$`:

    {"$": "bytes", "v": base64}                     bytearray too
    {"$": "datetime", "v": ISO 8601, "z": zone}     `z`: the key of a ZoneInfo, `f`: 1 for the second of two equal hours
    {"$": "date" | "time", "v": ISO 8601}
    {"$": "timedelta", "v": [days, seconds, microseconds]}
    {"$": "decimal" | "uuid" | "float", "v": text}  float: nan, inf, -inf
    {"$": "tuple" | "set" | "frozenset", "v": [...]}
    {"$": "dict", "v": [[key, value], ...]}         keys that are no strings, or a first key `$` of the author's
    {"$": "enum", "c": class, "v": name}            "n": the value, for a flag that has no name
    {"$": "named", "c": class, "v": [...]}          a named tuple
    {"$": "object", "c": class, "v": {field: ...}}  dataclasses, attrs, msgspec and pydantic classes
"""

import dataclasses
import math
from base64 import b64encode
from collections.abc import AsyncIterable, Callable, Iterable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec

from stepwell.errors import NotSerialisable
from stepwell.limits import VALUE_DEPTH
from stepwell.values.classes import NO_CLASSES, Classes, is_record, stored_name
from stepwell.values.plain import Refused, check_depth, check_integer, is_exact, to_text

_PLAIN = frozenset((type(None), bool, str))


def encode(value: object, path: str = "result", classes: Classes = NO_CLASSES) -> str:
    """Return the stored text of a value; `path` is what a refusal calls it.

    Raises NotSerialisable, naming the path inside the value, for anything that could not be built again.
    """
    try:
        packed = value if _is_plain(value, 0) else _pack(value, 0, classes)
    except Refused as refused:
        raise refused.to_error(path) from None
    except RecursionError:
        raise NotSerialisable(path, "it is nested too deep") from None
    return to_text(packed, path)


def _is_plain(value: Any, depth: int) -> bool:
    """Tell whether a value is stored as it is. Most are."""
    kind = type(value)
    if kind in _PLAIN:
        return True
    if kind is int:
        return is_exact(value)
    if kind is float:
        return bool(math.isfinite(value))
    if depth >= VALUE_DEPTH:
        return False
    if kind is list:
        return all(_is_plain(item, depth + 1) for item in value)
    if kind is dict and next(iter(value), None) != "$":
        return all(type(key) is str and _is_plain(item, depth + 1) for key, item in value.items())
    return False


def _pack(value: Any, depth: int, classes: Classes) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if (form := _FORMS.get(kind)) is not None:
        return form(value)
    if (packer := _PACKERS.get(kind)) is not None:
        return packer(value, depth, classes)
    if isinstance(value, Enum):
        return _pack_enum(value, depth, classes)
    if is_record(kind):
        return _pack_object(value, depth, classes)
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return {"$": "named", "c": _name(kind, classes), "v": _pack_items(value, depth + 1, classes)}
    return _pack_as_base(value, depth, classes)


def _pack_as_base(value: Any, depth: int, classes: Classes) -> Any:
    """Say an object of a subclass of JSON's own types, which has no form of its own, as one of those."""
    match value:
        case str():
            return str.__str__(value)
        case int():
            return _pack_int(int.__int__(value))
        case float():
            return _pack_float(float.__float__(value))
        case dict():
            return _pack_dict(dict(value), depth, classes)
        case list():
            return _pack_items(value, depth, classes)
        case AsyncIterable():
            raise Refused("a stream is stored only as the whole result of a step")
        case _:
            raise Refused(f"{type(value).__name__} is not storable")


def _pack_int(value: int) -> Any:
    check_integer(value)
    return value


def _pack_float(value: float) -> Any:
    return value if math.isfinite(value) else {"$": "float", "v": repr(value)}


def _pack_items(items: Iterable[Any], depth: int, classes: Classes) -> list[Any]:
    check_depth(depth)
    packed = []
    # Few calls a level: what is nested 256 deep must not meet Python's limit of recursion.
    for i, item in enumerate(items):
        try:
            packed.append(_pack(item, depth + 1, classes))
        except Refused as refused:
            refused.path.append(f"[{i}]")
            raise
    return packed


def _pack_part(value: Any, depth: int, classes: Classes, step: str) -> Any:
    try:
        return _pack(value, depth, classes)
    except Refused as refused:
        refused.path.append(step)
        raise


def _pack_dict(members: dict[Any, Any], depth: int, classes: Classes) -> Any:
    check_depth(depth)
    are_texts = all(isinstance(key, str) and not isinstance(key, Enum) for key in members)
    if are_texts and next(iter(members), None) != "$":
        return {str.__str__(key): _pack_part(item, depth + 1, classes, f'["{key}"]') for key, item in members.items()}
    pairs = []
    for key, item in members.items():
        packed_key = _pack_part(key, depth + 2, classes, f"[key {key!r:.50}]")
        pairs.append([packed_key, _pack_part(item, depth + 2, classes, f"[{key!r:.50}]")])
    return {"$": "dict", "v": pairs}


def _zone_of(value: datetime) -> str | None:
    if value.tzinfo is None or isinstance(value.tzinfo, timezone):
        return None
    # Imported here: most moments are of UTC.
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - see above

    return value.tzinfo.key if isinstance(value.tzinfo, ZoneInfo) else None


def _pack_datetime(value: datetime) -> Any:
    if (zone := _zone_of(value)) is not None:
        packed = {"$": "datetime", "v": value.replace(tzinfo=None).isoformat(), "z": zone}
    else:
        packed = {"$": "datetime", "v": value.isoformat()}
    if value.fold:
        packed["f"] = "1"
    return packed


def _pack_time(value: time) -> Any:
    if value.tzinfo is not None and value.utcoffset() is None:
        raise Refused("a time whose zone depends on the date is not storable; use a datetime")
    return {"$": "time", "v": value.isoformat(), **({"f": "1"} if value.fold else {})}


def _pack_enum(value: Enum, depth: int, classes: Classes) -> Any:
    kind = type(value)
    name = _name(kind, classes)
    if value.name in kind.__members__:
        return {"$": "enum", "c": name, "v": value.name}
    return {"$": "enum", "c": name, "n": _pack(value.value, depth + 1, classes)}


def _pack_object(value: Any, depth: int, classes: Classes) -> Any:
    check_depth(depth)
    kind = type(value)
    packed: dict[str, Any] = {"$": "object", "c": _name(kind, classes)}
    packed["v"] = {
        name: _pack_part(getattr(value, name), depth + 2, classes, f".{name}")
        for name in _field_names(value)
        if hasattr(value, name)
    }
    if hasattr(kind, "__pydantic_fields__"):
        packed["s"] = sorted(value.model_fields_set)
        for member, attribute in (("x", "__pydantic_extra__"), ("p", "__pydantic_private__")):
            if (extra := getattr(value, attribute, None)) is not None:
                packed[member] = _pack_dict(extra, depth + 1, classes)
    return packed


def _field_names(value: Any) -> list[str]:
    kind = type(value)
    if issubclass(kind, msgspec.Struct):
        return list(kind.__struct_fields__)
    if hasattr(kind, "__pydantic_fields__"):
        return list(kind.__pydantic_fields__)
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    return [attribute.name for attribute in kind.__attrs_attrs__]


def _name(kind: type, classes: Classes) -> str:
    name = classes.name_of(kind)
    if name is not None:
        return name
    if "<locals>" in kind.__qualname__:
        raise Refused(f"the class {kind.__name__} is defined inside a function; define it in the module")
    raise Refused(
        f"the class {stored_name(kind)} is not of the script's own modules; annotate the step's function with what it "
        "returns, so that it can be built again"
    )


_PACKERS: dict[type, Callable[[Any, int, Classes], Any]] = {
    list: _pack_items,
    dict: _pack_dict,
    tuple: lambda value, depth, classes: {"$": "tuple", "v": _pack_items(value, depth + 1, classes)},
    set: lambda value, depth, classes: {"$": "set", "v": _pack_items(value, depth + 1, classes)},
    frozenset: lambda value, depth, classes: {"$": "frozenset", "v": _pack_items(value, depth + 1, classes)},
}
# Those that have no parts.
_FORMS: dict[type, Callable[[Any], Any]] = {
    int: _pack_int,
    float: _pack_float,
    bytes: lambda value: {"$": "bytes", "v": b64encode(value).decode()},
    bytearray: lambda value: {"$": "bytearray", "v": b64encode(value).decode()},
    datetime: _pack_datetime,
    date: lambda value: {"$": "date", "v": value.isoformat()},
    time: _pack_time,
    timedelta: lambda value: {"$": "timedelta", "v": [value.days, value.seconds, value.microseconds]},
    Decimal: lambda value: {"$": "decimal", "v": str(value)},
    UUID: lambda value: {"$": "uuid", "v": str(value)},
}
