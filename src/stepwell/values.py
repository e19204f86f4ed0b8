"""What a workflow may store: JSON values, as the JSON text that people see and replay decodes.

What the author gets is always decoded from that text, on the first run as on replay, so a tuple arrives as a list
both times. Integers of any size keep their digits; NaN and the infinities, which JSON lacks, are refused.
"""

import math

import msgspec

from stepwell.errors import NotSerialisable
from stepwell.limits import VALUE_DEPTH

Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]

# Neither CPython nor msgspec reads a number of more than 4,300 characters, a sign included.
_INTEGER_DIGITS = 4_299
_INTEGER_END = 10**_INTEGER_DIGITS
# The path of a value in a very deep place is cut.
_SHOWN_STEPS = 20


def encode(value: object, path: str = "result") -> str:
    """Return the JSON text of a value; `path` is what a refusal calls it.

    Raises NotSerialisable, naming the path inside the value, for anything that JSON cannot say exactly.
    """
    try:
        _check(value, 0)
        return _ENCODER.encode(value).decode()
    except _Refused as refused:
        raise NotSerialisable(path + refused.shown_path(), refused.problem) from None
    except UnicodeEncodeError:
        raise NotSerialisable(path, "a text in it has a lone surrogate, which UTF-8 cannot hold") from None


def decode(text: str) -> Value:
    """Return the value of a JSON text that `encode` made or that was checked at the edge."""
    value: Value = msgspec.json.decode(text)
    return value


def _as_builtin(value: object) -> object:
    """Say a subclass of str, int or float as its base; everything else has been refused by then."""
    match value:
        case str():
            return str.__str__(value)
        case int():
            return int.__int__(value)
        case _:
            return float.__float__(value)  # type: ignore[arg-type]  # a float by then


_ENCODER = msgspec.json.Encoder(enc_hook=_as_builtin)


class _Refused(Exception):
    def __init__(self, problem: str) -> None:
        self.problem = problem
        self.path: list[str] = []

    def shown_path(self) -> str:
        steps = self.path[::-1]
        return "".join(steps if len(steps) <= _SHOWN_STEPS else [*steps[:_SHOWN_STEPS], "..."])


def _check(value: object, depth: int) -> None:
    match value:
        case None | bool() | str():
            return
        case int():
            if not -_INTEGER_END < value < _INTEGER_END:
                raise _Refused(f"the integer has more than {_INTEGER_DIGITS:,} digits")
        case float():
            if not math.isfinite(value):
                raise _Refused(f"{value} is not a JSON number")
        case list() | tuple():
            _check_items(value, depth)
        case dict():
            _check_members(value, depth)
        case _:
            raise _Refused(f"a {type(value).__name__} is not a JSON value")


def _check_items(items: list[object] | tuple[object, ...], depth: int) -> None:
    _check_depth(depth)
    for i, item in enumerate(items):
        try:
            _check(item, depth + 1)
        except _Refused as refused:
            refused.path.append(f"[{i}]")
            raise


def _check_members(members: dict[object, object], depth: int) -> None:
    _check_depth(depth)
    for key, item in members.items():
        if not isinstance(key, str):
            raise _Refused(f"the key {key!r:.100} is not a string")
        try:
            _check(item, depth + 1)
        except _Refused as refused:
            refused.path.append(f'["{key}"]')
            raise


def _check_depth(depth: int) -> None:
    if depth >= VALUE_DEPTH:
        raise _Refused(f"it is nested more than {VALUE_DEPTH} deep, or contains itself")
