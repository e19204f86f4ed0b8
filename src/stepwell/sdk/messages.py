"""Requests and answers as values, without IO."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from stepwell.errors import InvalidInput, NotSerialisable
from stepwell.values.plain import encode_json

BYTES = "application/octet-stream"

# What would lead to another path, and halves of characters, which no URL can hold.
_UNFIT = re.compile(r"\A\.{1,2}\Z|[\ud800-\udfff]")
# No server takes as many, and of far more the HTTP library makes no URL.
_LONGEST = 1_000
_SWITCHING = 101


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a server. `path` lies below its base address and is percent-encoded.

    `is_repeatable`: whether it may be sent again where nobody knows what became of it. `wait_s` is how much longer than
    others it may take.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_repeatable: bool = False
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said. The names of headers are in small letters; of what is opened the body is empty."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def is_good(self) -> bool:
        """Whether it brings what was asked for: a result, or a WebSocket."""
        return 200 <= self.status < 300 or self.status == _SWITCHING  # noqa: PLR2004  # what HTTP calls successful

    @property
    def media_type(self) -> str:
        """What its body is."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def request_id(self) -> str | None:
        """What the server, or a proxy before it, calls the request."""
        return self.headers.get("cf-ray") or self.headers.get("x-request-id")


def get(
    path: str, query: Mapping[str, Any] | None = None, *, headers: Mapping[str, str] | None = None, wait_s: float = 0.0
) -> Request:
    """Return a request that only looks. What is None in the query is left out."""
    return Request("GET", path, encode_query(query or {}), None, headers or {}, is_repeatable=True, wait_s=wait_s)


def post(path: str, body: Any, *, key: str | None = None, is_repeatable: bool = False) -> Request:
    """Return a request with a JSON body; under a key of its own the server does it once."""
    return send_json("POST", path, body, key=key, is_repeatable=is_repeatable)


def send_json(method: str, path: str, body: Any, *, key: str | None = None, is_repeatable: bool = False) -> Request:
    """Return a request of any method with a JSON body. Raises InvalidInput for what is no JSON."""
    headers = {"content-type": "application/json"}
    if key is not None:
        headers["idempotency-key"] = key
    return Request(method, path, body=to_json(body), headers=headers, is_repeatable=is_repeatable or key is not None)


def to_json(value: Any) -> bytes:
    """Return a value as JSON, as servers do with what code gives them. Raises InvalidInput for what has no JSON."""
    try:
        return encode_json(value, "body").encode()
    except NotSerialisable as error:
        raise InvalidInput(error.path, f"{error.path} cannot be sent as JSON: {error.problem}") from error


def path_of(*parts: str) -> str:
    """Return the path of these parts, each encoded as a whole. Raises InvalidInput for one that leads elsewhere."""
    return "".join(f"/{quote(_part(part), safe='')}" for part in parts)


def texts_of(field: str, given: Iterable[str]) -> list[str]:
    """Return texts as a list. Raises InvalidInput for one text alone, which would be as many as it has characters."""
    if isinstance(given, str):
        raise InvalidInput(field, f'{field} must be several texts, got the text "{given:.100}"; put it into a list')
    return list(given)


def encode_query(query: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return a query as pairs of texts: what is None is left out, of several values each is a pair."""
    return tuple((name, text) for name, value in query.items() for text in _texts(value))


def _part(given: object) -> str:
    if isinstance(given, str) and 0 < len(given) <= _LONGEST and not _UNFIT.search(given):
        return given
    shown = f'"{given:.100}"' if isinstance(given, str) else f"a {type(given).__name__}"
    raise InvalidInput("path", f'{shown} is no id or name; give a text of 1 to {_LONGEST} characters, not "." or ".."')


def _texts(value: Any) -> Iterable[str]:
    match value:
        case None:
            return ()
        case bool():
            return (str(value).lower(),)
        case datetime():
            # Naive ones are UTC, as everywhere on Cloudflare.
            moment = value if value.tzinfo else value.replace(tzinfo=UTC)
            return (moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),)
        case str():
            return (value,)
        case list() | tuple() | set() | frozenset():
            return tuple(text for one in value for text in _texts(one))
        case _:
            return (str(value),)
