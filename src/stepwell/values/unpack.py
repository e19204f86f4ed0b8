"""Stored text as the values it was made of; `pack` lists the forms.

Objects are built with the state that was stored, without running their `__init__` again: what it did once is in the
state. Fields that the class has got since receive their defaults; stored fields that it no longer has are dropped.
"""

import dataclasses
import enum
import types
import typing
from base64 import b64decode
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal, Union, get_args, get_origin
from uuid import UUID

import msgspec

from stepwell.errors import UnreadableValue
from stepwell.values.classes import NO_CLASSES, Classes, hints_of, is_record

_REMEDY = "give the class back what it had, or restart the instance from before that step"


def decode(text: str, classes: Classes = NO_CLASSES, path: str = "result") -> Any:
    """Return the value of a text that `encode` made.

    Raises UnreadableValue, naming the place, if a class is gone or what is stored no longer fits it.
    """
    value = msgspec.json.decode(text)
    if not has_forms(text):
        return value
    try:
        return _unpack(value, path, classes)
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        problem = f"what is stored of it is no value that Stepwell wrote ({type(error).__name__}: {error})"
        raise UnreadableValue(path, problem) from error


def has_forms(text: str) -> bool:
    """Tell whether a stored text has anything that JSON lacks; inside a JSON string the quotes would be escaped."""
    return '{"$":"' in text


def _unpack(node: Any, path: str, classes: Classes) -> Any:
    if isinstance(node, list):
        return [_unpack(item, f"{path}[{i}]", classes) for i, item in enumerate(node)]
    if not isinstance(node, dict):
        return node
    if next(iter(node), None) != "$":
        return {key: _unpack(item, f'{path}["{key}"]', classes) for key, item in node.items()}
    if (form := _FORMS.get(node["$"])) is not None:
        return form(node["v"])
    reader = _READERS.get(node["$"])
    if reader is None:
        raise UnreadableValue(path, f"its form {node['$']!r:.50} is not known; it was stored by a newer Stepwell")
    return reader(node, path, classes)


def _items(node: Any, path: str, classes: Classes) -> list[Any]:
    return [_unpack(item, f"{path}[{i}]", classes) for i, item in enumerate(node["v"])]


def _dict(node: Any, path: str, classes: Classes) -> dict[Any, Any]:
    pairs = ((_unpack(key, path, classes), item) for key, item in node["v"])
    return {key: _unpack(item, f"{path}[{key!r:.50}]", classes) for key, item in pairs}


def _datetime(node: Any, path: str, classes: Classes) -> datetime:  # noqa: ARG001 - all readers are called alike
    moment = datetime.fromisoformat(node["v"]).replace(fold=int(node.get("f", 0)))
    if "z" not in node:
        return moment
    # Imported here: most moments are of UTC.
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - see above

    try:
        return moment.replace(tzinfo=ZoneInfo(node["z"]))
    except (KeyError, ValueError, OSError):
        raise UnreadableValue(path, f'this machine has no time zone "{node["z"]}"; install tzdata') from None


def _time(node: Any, path: str, classes: Classes) -> time:  # noqa: ARG001 - all readers are called alike
    return time.fromisoformat(node["v"]).replace(fold=int(node.get("f", 0)))


def _class(node: Any, path: str, classes: Classes, fits: Callable[[type], bool]) -> type:
    kind = classes.find(node["c"])
    if kind is None or not fits(kind):
        raise UnreadableValue(path, f"it is a {node['c']}, and the script has no such class any more; {_REMEDY}")
    return kind


def _enum(node: Any, path: str, classes: Classes) -> enum.Enum:
    kind: Any = _class(node, path, classes, lambda kind: issubclass(kind, enum.Enum))
    try:
        return kind[node["v"]] if "v" in node else kind(_unpack(node["n"], path, classes))  # type: ignore[no-any-return]  # a member
    except (KeyError, ValueError):
        shown = node.get("v", node.get("n"))
        raise UnreadableValue(path, f"{node['c']} has no member {shown!r:.100} any more; {_REMEDY}") from None


def _named(node: Any, path: str, classes: Classes) -> Any:
    kind: Any = _class(node, path, classes, lambda kind: issubclass(kind, tuple) and hasattr(kind, "_fields"))
    items = _items(node, path, classes)
    try:
        return kind(*items)
    except TypeError:
        raise UnreadableValue(
            path, f"{node['c']} has {len(kind._fields)} fields, and {len(items)} are stored; {_REMEDY}"
        ) from None


def _object(node: Any, path: str, classes: Classes) -> Any:
    kind = _class(node, path, classes, is_record)
    stored = {name: _unpack(item, f"{path}.{name}", classes) for name, item in node["v"].items()}
    if hasattr(kind, "__pydantic_fields__"):
        extra = None if node.get("x") is None else _unpack(node["x"], path, classes)
        private = None if node.get("p") is None else _unpack(node["p"], path, classes)
        return _model(kind, node, stored, (extra, private), path)
    fields = _fields(kind)
    hints = hints_of(kind)
    for name in fields.keys() & stored.keys():
        if name in hints and not _fits(stored[name], hints[name]):
            raise UnreadableValue(
                f"{path}.{name}",
                f"{type(stored[name]).__name__} is stored, and {node['c']} wants {_shown(hints[name])}; {_REMEDY}",
            )
    members = {}
    for name, default in fields.items():
        if name not in stored and default is None:
            raise UnreadableValue(
                path, f"{node['c']} has a field {name} without a default, and none is stored; give it a default"
            )
        members[name] = stored[name] if name in stored else default()  # type: ignore[misc]  # it is not None
    return _build(kind, members)


def _build(kind: Any, members: dict[str, Any]) -> Any:
    if issubclass(kind, msgspec.Struct):
        # There is no other way to make one.
        return kind(**members)
    built = kind.__new__(kind)
    for name, member in members.items():
        object.__setattr__(built, name, member)
    return built


def _model(kind: Any, node: Any, stored: dict[str, Any], more: tuple[Any, Any], path: str) -> Any:
    """Build a pydantic model with what was stored; what it got since receives its default."""
    fields = kind.__pydantic_fields__
    for name, field in fields.items():
        if name not in stored and field.is_required():
            raise UnreadableValue(
                path, f"{node['c']} has a field {name} without a default, and none is stored; give it a default"
            )
    members = {
        name: stored[name] if name in stored else field.get_default(call_default_factory=True)
        for name, field in fields.items()
    }
    for name in fields.keys() & stored.keys():
        if not _fits(stored[name], fields[name].annotation):
            raise UnreadableValue(
                f"{path}.{name}",
                f"{type(stored[name]).__name__} is stored, and {node['c']} wants "
                f"{_shown(fields[name].annotation)}; {_REMEDY}",
            )
    extra, private = more
    built = kind.__new__(kind)
    built.__setstate__(
        {
            "__dict__": members,
            "__pydantic_extra__": extra,
            "__pydantic_fields_set__": set(node.get("s", ())) & {*fields, *(extra or ())},
            "__pydantic_private__": private,
        }
    )
    return built


def _fields(kind: Any) -> dict[str, Callable[[], Any] | None]:
    """Return a class's fields, each with what makes its default, or None if it has no default."""
    if issubclass(kind, msgspec.Struct):
        return {
            field.name: _default(field.default, field.default_factory, msgspec.NODEFAULT)
            for field in msgspec.structs.fields(kind)
        }
    if dataclasses.is_dataclass(kind):
        return {
            field.name: _default(field.default, field.default_factory, dataclasses.MISSING)
            for field in dataclasses.fields(kind)
        }
    return {attribute.name: _attrs_default(attribute.default) for attribute in kind.__attrs_attrs__}


def _default(value: Any, factory: Any, missing: Any) -> Callable[[], Any] | None:
    if value is not missing:
        return lambda: value
    return None if factory is missing else factory


def _attrs_default(default: Any) -> Callable[[], Any] | None:
    if type(default).__name__ in {"_Nothing", "NOTHING"} or repr(default) == "NOTHING":
        return None
    factory = getattr(default, "factory", None)
    if factory is not None and hasattr(default, "takes_self"):
        return None if default.takes_self else factory
    return lambda: default


def _fits(value: Any, wanted: Any) -> bool:
    """Tell whether a stored member is of its field's type, as far as its outermost class tells."""
    origin = get_origin(wanted)
    if origin in (Union, types.UnionType):
        return any(_fits(value, member) for member in get_args(wanted))
    if origin is Literal:
        return value in get_args(wanted)
    if origin is typing.Annotated:
        return _fits(value, get_args(wanted)[0])
    if wanted is None:
        return value is None
    kind = origin or wanted
    if not isinstance(kind, type):
        return True
    if kind is float:
        return isinstance(value, int | float)
    try:
        return isinstance(value, kind)
    except TypeError:  # a protocol, a TypedDict
        return True


def _shown(wanted: Any) -> str:
    return wanted.__name__ if isinstance(wanted, type) else str(wanted)


_READERS: dict[str, Callable[[Any, str, Classes], Any]] = {
    "datetime": _datetime,
    "time": _time,
    "tuple": lambda node, path, classes: tuple(_items(node, path, classes)),
    "set": lambda node, path, classes: set(_items(node, path, classes)),
    "frozenset": lambda node, path, classes: frozenset(_items(node, path, classes)),
    "dict": _dict,
    "enum": _enum,
    "named": _named,
    "object": _object,
}
# Those that have no parts.
_FORMS: dict[str, Callable[[Any], Any]] = {
    "bytes": b64decode,
    "bytearray": lambda text: bytearray(b64decode(text)),
    "date": date.fromisoformat,
    "timedelta": lambda parts: timedelta(*parts),
    "decimal": Decimal,
    "uuid": UUID,
    "float": float,
}
