"""Plain JSON as the types that authors name: params as their class, and the JSON Schema that says what fits it."""

import sys
import typing
import weakref
from collections.abc import Callable
from typing import Any

import msgspec

from stepwell.errors import UnfitValue

# Annotations that lead to no class worth looking for.
_PLAIN: tuple[Any, ...] = (
    None,
    "None",
    bool,
    "bool",
    int,
    "int",
    float,
    "float",
    str,
    "str",
    list,
    "list",
    dict,
    "dict",
)

_annotations: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def convert(plain: object, wanted: Any, path: str) -> Any:
    """Return a plain JSON value as the type that is wanted.

    Raises UnfitValue, naming the place, if it does not fit.
    """
    try:
        if _is_model(wanted):
            return wanted.model_validate(plain)
        try:
            return msgspec.convert(plain, wanted)
        except TypeError:  # a type that msgspec does not know; pydantic may
            return _adapter(wanted).validate_python(plain)
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at `")
        raise UnfitValue(path + place.rstrip("`").removeprefix("$"), problem) from None
    except ValueError as error:
        raise _unfit(error, path) from None


def schema(wanted: Any) -> dict[str, Any] | None:
    """Return the JSON Schema of a type, or None if there is none to be had."""
    if wanted is None or wanted is Any:
        return None
    try:
        if _is_model(wanted):
            found: dict[str, Any] = wanted.model_json_schema()
            return found
        return msgspec.json.schema(wanted)
    except TypeError:
        pass
    try:
        found = _adapter(wanted).json_schema()
    except Exception:  # whatever pydantic says of a type that it cannot describe
        return None
    return found


def annotation_of(function: Callable[..., Any]) -> Any:
    """Return what a function says it returns, or None if it does not say, or says it with names that do not exist."""
    bare: Any = getattr(function, "__func__", function)
    if not getattr(bare, "__annotations__", {}).get("return"):
        return None
    code = getattr(bare, "__code__", None)
    # Functions made anew in each `run` share their code, but what a closure names may be another class each time.
    if code is None or bare.__closure__ or "<locals>" in bare.__qualname__:
        return None if bare.__annotations__["return"] in _PLAIN else _resolve(bare)
    if code not in _annotations:
        _annotations[code] = _resolve(bare)
    return _annotations[code]


def _resolve(function: Any) -> Any:
    try:
        return typing.get_type_hints(function, include_extras=True).get("return")
    except Exception:  # a name that exists for type checkers only
        return None


def _is_model(wanted: Any) -> bool:
    return isinstance(wanted, type) and hasattr(wanted, "__pydantic_fields__")


def _adapter(wanted: Any) -> Any:
    """Return pydantic's adapter for a type. Raises UnfitValue if the author does not use pydantic."""
    pydantic = sys.modules.get("pydantic")
    if pydantic is None:
        raise UnfitValue("params", f"no JSON can be made a {wanted}; use a dataclass, a TypedDict or a pydantic model")
    return pydantic.TypeAdapter(wanted)


def _unfit(error: Any, path: str) -> UnfitValue:
    """Say what pydantic found first."""
    found: dict[str, Any] = error.errors()[0] if hasattr(error, "errors") else {"loc": (), "msg": str(error)}
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in found["loc"])
    return UnfitValue(path + place, found["msg"])
