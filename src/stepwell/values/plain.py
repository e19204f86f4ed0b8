"""Plain JSON: params, event payloads, and whatever else is JSON already.

Integers of any size keep their digits; NaN and the infinities, which JSON lacks, are refused.
"""

import math
from typing import Any

import msgspec

from stepwell.errors import NotSerialisable
from stepwell.limits import VALUE_DEPTH

Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]

# Neither CPython nor msgspec reads a number of more than 4,300 characters, a sign included.
_INTEGER_DIGITS = 4_299
_INTEGER_END: int = 10**_INTEGER_DIGITS
# The path of a value in a very deep place is cut.
_SHOWN_STEPS = 20


class Refused(Exception):
    """A value that cannot be said; `path` gathers the steps to it, innermost first."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        self.path: list[str] = []

    def to_error(self, path: str) -> NotSerialisable:
        """Return the error for the author; `path` is what the whole value is called."""
        steps = self.path[::-1]
        shown = "".join(steps if len(steps) <= _SHOWN_STEPS else [*steps[:_SHOWN_STEPS], "..."])
        return NotSerialisable(path + shown, self.problem)


def encode_json(value: object, path: str = "result") -> str:
    """Return the JSON text of a value; `path` is what a refusal calls it.

    What has a natural form in JSON is said in it: a datetime in ISO 8601, an object as its fields, a set as an array.
    Raises NotSerialisable, naming the path inside the value, for anything else.
    """
    try:
        check(value, 0)
    except Refused as refused:
        return _encode_natural(value, refused, path)
    return to_text(value, path)


def decode_json(text: str) -> Value:
    """Return the value of a JSON text, as it is."""
    value: Value = msgspec.json.decode(text)
    return value


def to_text(value: object, path: str) -> str:
    """Return the JSON text of a value that has been checked. Raises NotSerialisable for a lone surrogate."""
    try:
        return _ENCODER.encode(value).decode()
    except UnicodeEncodeError:
        raise NotSerialisable(path, "a text in it has a lone surrogate, which UTF-8 cannot hold") from None


def check(value: object, depth: int) -> None:
    """Raise Refused for anything that JSON cannot say exactly."""
    match value:
        case None | bool() | str():
            return
        case int():
            check_integer(value)
        case float():
            if not math.isfinite(value):
                raise Refused(f"{value} is not a JSON number")
        case list() | tuple():
            check_depth(depth)
            for i, item in enumerate(value):
                _check_part(item, depth + 1, f"[{i}]")
        case dict():
            check_depth(depth)
            for key, item in value.items():
                if not isinstance(key, str):
                    raise Refused(f"the key {key!r:.100} is not a string")
                _check_part(item, depth + 1, f'["{key}"]')
        case _:
            raise Refused(f"a {type(value).__name__} is not a JSON value")


def is_exact(value: int) -> bool:
    """Tell whether a JSON parser here would read an integer again."""
    return -_INTEGER_END < value < _INTEGER_END


def check_integer(value: int) -> None:
    """Refuse an integer that no JSON parser here would read again."""
    if not is_exact(value):
        raise Refused(f"the integer has more than {_INTEGER_DIGITS:,} digits")


def check_depth(depth: int) -> None:
    """Refuse what is nested too deeply."""
    if depth >= VALUE_DEPTH:
        raise Refused(f"it is nested more than {VALUE_DEPTH} deep, or contains itself")


def _check_part(value: object, depth: int, step: str) -> None:
    try:
        check(value, depth)
    except Refused as refused:
        refused.path.append(step)
        raise


def _encode_natural(value: object, refused: Refused, path: str) -> str:
    try:
        natural = msgspec.to_builtins(value, enc_hook=_natural)
        check(natural, 0)
    except (Refused, TypeError, ValueError, RecursionError):
        raise refused.to_error(path) from None
    return to_text(natural, path)


def _natural(value: Any) -> Any:
    if hasattr(type(value), "__pydantic_fields__"):
        return value.model_dump(mode="json")
    return _as_builtin(value)


def _as_builtin(value: object) -> object:
    """Say a subclass of str, int or float as its base; everything else has been refused by then."""
    match value:
        case str():
            return str.__str__(value)
        case int():
            return int.__int__(value)
        case float():
            return float.__float__(value)
        case _:
            raise TypeError(type(value).__name__)


_ENCODER = msgspec.json.Encoder(enc_hook=_as_builtin)
