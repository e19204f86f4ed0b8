"""Names, durations and configs of steps as the source has them: as text, and as patterns where values decide."""

import ast
import re
from collections.abc import Callable, Iterator
from typing import Any

from stepwell.core import retries
from stepwell.errors import InvalidStepConfig
from stepwell.graph.nodes import Config, Duration, EventOptions, Retries

_LONGEST = 200
_DEFAULT_WAIT = "24 hours"
_FORMATTED = re.compile(r"\{[^{}]*\}|%\([^)]*\)[a-z]|%[sdrifx]")
_MOST_PARTS = 50
# The largest number that every reader of JSON has exactly (RFC 8259, section 6).
_LARGEST = 2**53 - 1
_SEVERAL = re.compile(r"(?:\.\*){2,}")

Resolve = Callable[[str], ast.expr | None]


class Unknown(str):
    """A part of a text that only the running code knows: its source."""

    __slots__ = ()


def text_of(node: ast.AST) -> str:
    """Return the source of an expression on one line, cut if it is long."""
    try:
        text = " ".join(ast.unparse(node).split())
    except ValueError:
        # It has a number of more digits than Python writes.
        return "..."
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def name_of(node: ast.expr | None, resolve: Resolve) -> tuple[str, str | None]:
    """Return the name that an expression gives, with `{...}` for what is not known, and its pattern if that is so."""
    if node is None or (isinstance(node, ast.Constant) and node.value is None):
        return "", None
    parts = list(_parts(node, resolve, 0))
    name = "".join(f"{{{part}}}" if isinstance(part, Unknown) else part for part in parts)
    if not any(isinstance(part, Unknown) for part in parts):
        return name, None
    pattern = "".join(".*" if isinstance(part, Unknown) else re.escape(part) for part in parts)
    return name, _SEVERAL.sub(".*", pattern)


def duration_of(node: ast.expr | None, resolve: Resolve) -> Duration:
    """Return a duration: a number of milliseconds, a text, or the source of what makes it."""
    value = literal(node, resolve)
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        return value
    if isinstance(node, ast.JoinedStr | ast.BinOp):
        return name_of(node, resolve)[0]
    return "" if node is None else text_of(node)


def options_of(event_type: ast.expr, timeout: ast.expr | None, resolve: Resolve) -> EventOptions:
    """Return what a wait waits for; where nothing is said it does so for 24 hours."""
    name, _ = name_of(event_type, resolve)
    return EventOptions(event_type=name, timeout=_DEFAULT_WAIT if timeout is None else duration_of(timeout, resolve))


def config_of(node: ast.expr | None, resolve: Resolve) -> Config:
    """Return the retries and the timeout of a step, merged with the defaults; what no config can say is left out."""
    given = literal(node, resolve)
    asked = {name: given[name] for name in ("retries", "timeout") if name in given} if isinstance(given, dict) else {}
    try:
        merged = retries.merge("", asked)
    except (InvalidStepConfig, TypeError):
        # What the source says is no config, or cannot be known before it runs.
        merged = retries.DEFAULTS
    backoff: Any = merged.backoff
    return Config(retries=Retries(limit=int(merged.limit), delay=merged.delay, backoff=backoff), timeout=merged.timeout)


def literal(node: ast.expr | None, resolve: Resolve, depth: int = 0) -> Any:
    """Return the value of a literal, with names that stand for one in it; None if it is none.

    A member of a dict that is no literal is left out.
    """
    if depth > _MOST_PARTS:
        return None
    match node:
        case ast.Constant(value=int() | float() as value):
            return _exact(value)
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return literal(resolve(name), resolve, depth + 1)
        case ast.Dict(keys=keys, values=values):
            return _dict(list(zip(keys, values, strict=True)), resolve, depth)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            value = literal(operand, resolve, depth + 1)
            return -value if isinstance(value, int | float) else None
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            one, other = literal(left, resolve, depth + 1), literal(right, resolve, depth + 1)
            return _exact(one * other) if isinstance(one, int | float) and isinstance(other, int | float) else None
        case _:
            return None


def _exact(number: float) -> float | None:
    """Return a number that JSON has as it is, for all who read it; else None."""
    return number if abs(number) <= _LARGEST else None


def _dict(members: list[tuple[ast.expr | None, ast.expr]], resolve: Resolve, depth: int) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key, value in members:
        its = literal(value, resolve, depth + 1)
        if key is None:
            found.update(its if isinstance(its, dict) else {})
        elif isinstance(key, ast.Constant) and its is not None:
            found[key.value] = its
    return found


def _parts(node: ast.expr, resolve: Resolve, depth: int) -> Iterator[str]:
    if depth > _MOST_PARTS:
        yield Unknown(text_of(node))
        return
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=values):
            for value in values:
                yield from _parts(value, resolve, depth + 1)
        case ast.FormattedValue(value=value, format_spec=form):
            if form is None:
                yield from _parts(value, resolve, depth + 1)
            else:
                yield Unknown(text_of(value))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield from _parts(left, resolve, depth + 1)
            yield from _parts(right, resolve, depth + 1)
        case ast.Name(id=name) if isinstance(found := literal(resolve(name), resolve), str | int):
            yield str(found)
        case (
            ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="format"))
            | ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Mod())
        ):
            yield from _formatted(text)
        case _:
            yield Unknown(text_of(node))


def _formatted(text: str) -> Iterator[str]:
    at = 0
    for found in _FORMATTED.finditer(text):
        yield text[at : found.start()]
        yield Unknown(found[0].strip("{}") if found[0].startswith("{") and found[0] != "{}" else "...")
        at = found.end()
    yield text[at:]
