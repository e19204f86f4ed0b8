"""JSON as YAML: the same values, which readers of YAML 1.1 and of 1.2 take for the same.

Every text is in double quotes, where YAML knows all escapes of JSON: `no`, `1e3` and `2026-11-27` stay texts. Names of
members that no reader takes for anything else are written plainly. Numbers keep their digits.

Source: yaml.org/spec/1.2.2/#73-flow-scalar-styles, yaml.org/spec/1.1/#id872840, yaml.org/type/float.html
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from stepwell.cli.terminal import clean_yaml

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
# What YAML 1.1 takes for a truth or for nothing, in any case.
_OTHER_THAN_NAMES = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))
# The name of a member that is longer has to be said to be one.
_LONGEST_NAME = 1_000
_EXPONENT = re.compile(r"(-?[0-9]+)(\.[0-9]+)?([eE])([+-]?)([0-9]+)")
_CONSTANTS = {"NaN": ".nan", "Infinity": ".inf", "-Infinity": "-.inf"}
_INDENT = "  "


class _Plain(str):
    """A number, as YAML has it."""

    __slots__ = ()


def document(text: str) -> str:
    """Return JSON as a document of YAML, which another one may follow."""
    return "\n".join(("---", *_lines(_decoded(text), "", "")))


def item(text: str) -> str:
    """Return JSON as an item of a list, which is a document of YAML with the items before and behind it."""
    return "\n".join(_lines(_decoded(text), "-", ""))


def _decoded(text: str) -> Any:
    return json.loads(text, parse_int=_Plain, parse_float=_number, parse_constant=lambda name: _Plain(_CONSTANTS[name]))


def _number(digits: str) -> _Plain:
    """Return a number with a fraction or an exponent; YAML 1.1 wants a point and a sign where there is an exponent."""
    found = _EXPONENT.fullmatch(digits)
    if found is None:
        return _Plain(digits)
    whole, fraction, e, sign, exponent = found.groups()
    return _Plain(f"{whole}{fraction or '.0'}{e}{sign or '+'}{exponent}")


def _lines(value: Any, begin: str, indent: str) -> Iterator[str]:
    """Yield the lines of a value behind what its line begins with; those below it are indented further.

    Without a call for each level: a value may be nested as deeply as JSON can be read.
    """
    left = [(begin, indent, value)]
    while left:
        begin, indent, value = left.pop()
        if not (isinstance(value, dict | list) and value):
            yield f"{begin} {_scalar(value)}" if begin else _scalar(value)
            continue
        inner = indent + _INDENT if begin else indent
        heads = list(_heads(value, inner))
        if begin.endswith(":"):
            yield begin
            begin = ""
        # The first part of an item stands in the item's own line.
        begins = [f"{begin} " if begin else inner, *[inner] * (len(heads) - 1)]
        left += [(f"{before}{head}", inner, part) for before, (head, part) in zip(begins, heads, strict=True)][::-1]


def _heads(value: Any, indent: str) -> Iterator[tuple[str, Any]]:
    """Yield what the line of each part of an object or an array begins with, and the part."""
    if isinstance(value, list):
        yield from (("-", part) for part in value)
        return
    for name, part in value.items():
        shown = name if _is_plain(name) else _quoted(name)
        yield (f"{shown}:" if len(shown) <= _LONGEST_NAME else f"? {shown}\n{indent}:"), part


def _is_plain(name: str) -> bool:
    return _PLAIN_NAME.fullmatch(name) is not None and name.lower() not in _OTHER_THAN_NAMES


def _scalar(value: Any) -> str:
    match value:
        case _Plain():
            return value
        case str():
            return _quoted(value)
        case _:
            # An empty object or array, a truth, or nothing.
            return json.dumps(value)


def _quoted(text: str) -> str:
    return clean_yaml(json.dumps(text, ensure_ascii=False))
