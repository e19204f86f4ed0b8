"""The body of a request: read with a bound, decoded once, and refused with a reason.

JSON arrives as it will be stored: its text is kept, so integers keep all their digits.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

import msgspec
from msgspec import inspect
from starlette.requests import Request

from stepwell.api.refusals import BodyCompressed, BodyTooLarge, BodyTooSlow, invalid
from stepwell.errors import InvalidInput
from stepwell.limits import PAYLOAD_BYTES, VALUE_DEPTH

# Ours: params that are sent as a JSON string grow by their escapes; no valid body grows further than this.
_GROWTH = 4

# Ours: a client that sends nothing for so long has gone, or means no good; so has one that for longer has sent less a
# second, which would hold a connection for ever by a byte now and then.
SLOWEST_S = 30.0
LEAST_A_SECOND = 1024

_SURROGATE_PAIR = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")

# How the decoder names a value that is none of those there are, and a step of the path to it.
_WRONG_VALUE = re.compile(r"^Invalid enum value .*?(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.(\w+)|\[[\d.]*\]")

# What the document says of a body that names many instances.
MANY = msgspec.Meta(min_length=1, extra_json_schema={"maxItems": "{batch_instances}"})

T = TypeVar("T")


async def read(request: Request, payload_bytes: int) -> bytes:
    """Return the whole body, whose payload may have so many bytes.

    Raises BodyTooLarge as soon as it is known to be, BodyTooSlow or BodyCompressed.
    """
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.strip().lower() != "identity":
        raise BodyCompressed(encoding)
    # Bodies without a payload are bounded too, and not by a setting that makes payloads small.
    most = _GROWTH * max(payload_bytes, PAYLOAD_BYTES)
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length[:20]) > most:
        raise BodyTooLarge(most)
    parts = bytearray()
    async for part in pieces(request):
        parts += part
        if len(parts) > most:
            raise BodyTooLarge(most)
    return bytes(parts).strip(b" \t\r\n")


async def pieces(request: Request) -> AsyncIterator[bytes]:
    """Yield the body as it arrives. Raises BodyTooSlow."""
    stream, time = aiter(request.stream()), asyncio.get_running_loop().time
    ends_at = time() + SLOWEST_S
    while (part := await _next(stream, min(time() + SLOWEST_S, ends_at))) is not None:
        ends_at += len(part) / LEAST_A_SECOND
        yield part


async def _next(stream: AsyncIterator[bytes], until: float) -> bytes | None:
    """Return the next part of a body, or None at its end."""
    try:
        async with asyncio.timeout_at(until):
            return await anext(stream, None)
    except TimeoutError:
        raise BodyTooSlow(SLOWEST_S, LEAST_A_SECOND) from None


def decode(text: bytes | msgspec.Raw, kind: type[T], what: str = "the request body") -> T:
    """Return JSON as a value of a type. Raises InvalidInput, saying of `what` how it is wrong."""
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        raise invalid(what, f"{what}: {error}{_one_of(kind, str(error))}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(what, bytes(text), error) from None


def json_text(text: bytes | msgspec.Raw, what: str) -> str:
    """Return JSON as the text that is stored. Raises InvalidInput if it is none, or nested too deep."""
    _check_depth(decode(text, object, what), what)
    return bytes(text).decode()


def check_many(named: Sequence[object], most: int, how: str) -> None:
    """Raise InvalidInput unless a body names from 1 to `most` instances, `how` it has to."""
    if not 1 <= len(named) <= most:
        raise invalid("body", f"the request body must {how} 1 to {most:,} instances, got {len(named):,}")


def _one_of(kind: type, problem: str) -> str:
    """Return which values there are where a value of some type is none of them."""
    place = _WRONG_VALUE.search(problem)
    if place is None:
        return ""
    found = _alternatives(inspect.type_info(kind))
    for name in _STEP.findall(place["path"] or ""):
        found = [deeper for each in found for deeper in _members(each, name)]
    values = [value for each in found if isinstance(each, inspect.LiteralType) for value in each.values]
    return f"; it must be one of {', '.join(map(str, values))}" if values else ""


def _members(outer: inspect.Type, name: str) -> list[inspect.Type]:
    """Return of which types a member of a value is; no name: an item."""
    if name and isinstance(outer, inspect.StructType):
        return [kind for field in outer.fields if field.encode_name == name for kind in _alternatives(field.type)]
    return _alternatives(outer.item_type) if not name and isinstance(outer, inspect.ListType) else []


def _alternatives(kind: inspect.Type) -> list[inspect.Type]:
    if isinstance(kind, inspect.Metadata):
        return _alternatives(kind.type)
    return (
        [each for one in kind.types for each in _alternatives(one)] if isinstance(kind, inspect.UnionType) else [kind]
    )


def _malformed(what: str, text: bytes, error: Exception) -> InvalidInput:
    if isinstance(error, RecursionError):
        return _too_deep(what)
    if isinstance(error, UnicodeDecodeError):
        return invalid(what, f"{what} is not UTF-8")
    # The decoder says of a lone surrogate that the input ends too early, which helps nobody.
    if _SURROGATE.search(_SURROGATE_PAIR.sub(b"", text)):
        return invalid(what, f"{what} has a lone surrogate such as \\ud800, which is no character; leave it out")
    return invalid(what, f"{what} is not JSON: {error}")


def _check_depth(value: object, what: str) -> None:
    level = [value]
    for _ in range(VALUE_DEPTH):
        level = [part for outer in level for part in _parts(outer)]
        if not level:
            return
    raise _too_deep(what)


def _parts(value: object) -> list[object]:
    """Return the containers that lie directly in a value."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [part for part in inner if isinstance(part, dict | list)]


def _too_deep(what: str) -> InvalidInput:
    return invalid(what, f"{what} is nested more than {VALUE_DEPTH} deep")
