"""Which classes stored data may become.

A class is stored by name. A name found in stored data is only ever looked up in a table that was made before, of the
classes of the script's own modules and of those that an annotation names: nothing is imported because of what is
stored.
"""

import dataclasses
import enum
import typing
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import msgspec


class Classes:
    """A table of classes by stored name, `module:Class`.

    `modules` is asked when it is needed, and again when a name is missing: modules may be imported late. A module that
    was looked through is not looked through again until another one comes.
    """

    def __init__(self, modules: Callable[[], Iterable[ModuleType]] = tuple, extra: Iterable[Any] = ()) -> None:
        self._modules = modules
        self._extra = _reachable(extra)
        self._seen: tuple[int, ...] | None = None
        self._table: dict[str, type] = {}
        self._sums: dict[tuple[Any, ...], Classes] = {}

    def find(self, name: str) -> type | None:
        """Return the class of a stored name, or None if there is none in the table."""
        if name not in self._table:
            self._look_again()
        return self._table.get(name)

    def name_of(self, kind: type) -> str | None:
        """Return the stored name of a class; None if it could not be found again."""
        name = stored_name(kind)
        return name if self.find(name) is kind else None

    def plus(self, *extra: Any) -> "Classes":
        """Return these classes and those that classes or annotations lead to, through their fields too."""
        try:
            known = self._sums.get(extra)
        except TypeError:  # an annotation that cannot be hashed
            return Classes(self._modules, [*self._extra, *extra])
        if known is None:
            known = self._sums[extra] = Classes(self._modules, [*self._extra, *extra])
        return known

    def _look_again(self) -> None:
        modules = list(self._modules())
        seen = tuple(id(module) for module in modules)
        if seen == self._seen:
            return
        table = {stored_name(kind): kind for kind in self._extra}
        for module in modules:
            for kind in list(vars(module).values()):
                if isinstance(kind, type) and kind.__module__ == module.__name__:
                    _add(table, kind)
        # Filled before it is shown, and before it counts as looked through: bodies in threads ask, too.
        self._table = table
        self._seen = seen


def _add(table: dict[str, type], kind: type) -> None:
    name = stored_name(kind)
    if table.get(name) is kind:
        return
    table[name] = kind
    for inner in list(vars(kind).values()):
        if isinstance(inner, type) and inner.__qualname__.startswith(kind.__qualname__ + "."):
            _add(table, inner)


def stored_name(kind: type) -> str:
    """Return the name that a class is stored under."""
    return f"{kind.__module__}:{kind.__qualname__}"


def is_record(kind: type) -> bool:
    """Tell whether objects of a class are made of named fields that can be read and set: what is stored of them."""
    return (
        dataclasses.is_dataclass(kind)
        or issubclass(kind, msgspec.Struct)
        or hasattr(kind, "__attrs_attrs__")
        or hasattr(kind, "__pydantic_fields__")
    )


def hints_of(kind: Any) -> dict[str, Any]:
    """Return the annotations of a class's fields, those that can be resolved."""
    try:
        return typing.get_type_hints(kind)
    except Exception:  # a name that exists for type checkers only, a broken annotation: then there is no check
        return {}


def _reachable(roots: Iterable[Any]) -> list[type]:
    found: dict[type, None] = {}
    seen: list[Any] = []
    waiting = list(roots)
    while waiting:
        wanted = waiting.pop()
        if any(wanted is known for known in seen):
            continue
        seen.append(wanted)
        waiting += typing.get_args(wanted)
        if isinstance(wanted, type) and _is_built(wanted):
            found[wanted] = None
        if isinstance(wanted, type) and (is_record(wanted) or hasattr(wanted, "__annotations__")):
            waiting += hints_of(wanted).values()
    return list(found)


def _is_built(kind: type) -> bool:
    """Tell whether a class is one that values are built of: fields, an enum, a named tuple, an exception."""
    is_named_tuple = issubclass(kind, tuple) and hasattr(kind, "_fields")
    return is_record(kind) or issubclass(kind, enum.Enum | BaseException) or is_named_tuple


NO_CLASSES = Classes()
