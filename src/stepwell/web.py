"""What a Cloudflare source answers HTTP with: WorkerEntrypoint, Request and Response.

As much of them as Python sources use, without JavaScript behind it. `env` and `ctx` are as in workflows.

Source: developers.cloudflare.com/workers/languages/python/
"""

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Iterable, Mapping
from functools import partial
from http import HTTPMethod, HTTPStatus
from typing import TYPE_CHECKING, Any

from stepwell.facts import fact

if TYPE_CHECKING:
    from http.client import HTTPMessage

logger = logging.getLogger(__name__)

HeadersLike = Mapping[str, str] | Iterable[tuple[str, str]]
# By another name, as the classes have methods called `bytes`.
Content = bytes

# Source: www.rfc-editor.org/rfc/rfc9110#name-field-names
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_LARGEST_STATUS = 599
# Source: fetch.spec.whatwg.org/#null-body-status
_WITHOUT_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT, HTTPStatus.NOT_MODIFIED)
_SMALLEST_STATUS = 200
_LATIN_1 = 0xFF


class WorkerEntrypoint:
    """Base of an author's Worker: override `fetch`."""

    def __init__(self, ctx: "WorkerContext | None" = None, env: Any = None) -> None:
        self.ctx = ctx
        self.env = env

    async def fetch(self, request: "Request") -> "Response":  # noqa: ARG002 - for authors to use
        """Answer a request."""
        raise TypeError(f"{type(self).__name__} has no method `fetch(self, request)`")


class WorkerContext:
    """What `self.ctx` is: work that goes on after the response has been sent. Safe to use from any thread."""

    def __init__(self, tasks: set[asyncio.Task[Any]]) -> None:
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()

    def wait_until(self, work: Awaitable[Any]) -> None:
        """Let a coroutine or task go on behind the response. What it raises is in the log.

        Source: developers.cloudflare.com/workers/runtime-apis/context/#waituntil
        """
        self._loop.call_soon_threadsafe(self._begin, work)

    waitUntil = wait_until  # noqa: N815 - Cloudflare's spelling

    def _begin(self, work: Awaitable[Any]) -> None:
        task = self._loop.create_task(_finish(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Request:
    """A request, as `fetch` receives it. Its body can be read once; read a `clone()` to read it again.

    Source: developers.cloudflare.com/workers/runtime-apis/request/
    """

    def __init__(
        self, url: str, method: str = "GET", headers: HeadersLike = (), body: Content | str | None = None
    ) -> None:
        self.url = url
        # A text all the same, with the names that Cloudflare gives them.
        self.method = HTTPMethod(method) if method in HTTPMethod.__members__ else method
        self.headers = to_headers(headers)
        self.body_used = False
        self._body = _to_bytes(body)

    async def bytes(self) -> Content:
        """Return the body. Raises OSError if it was read before."""
        if self.body_used:
            raise OSError("Body already used: a request's body can be read once; read a clone() to read it again")
        self.body_used = True
        return self._body

    async def buffer(self) -> Content:
        """Return the body, as `bytes` does."""
        return await self.bytes()

    async def text(self) -> str:
        """Return the body as text."""
        return (await self.bytes()).decode(errors="replace")

    async def json(self, **options: Any) -> Any:
        """Return what the body says in JSON; `options` go to `json.loads`. Raises ValueError if it is no JSON."""
        return json.loads(await self.text(), **options)

    def clone(self) -> "Request":
        """Return a request that is the same, with a body of its own. Raises OSError if the body was read."""
        if self.body_used:
            raise OSError("Body already used: clone a request before its body is read")
        return Request(self.url, self.method, self.headers.items(), self._body)

    def __repr__(self) -> str:
        """Show method and address."""
        return f"Request(method={str(self.method)!r}, url={self.url!r})"


class _Json:
    """`Response.json(data)` makes a response; `await response.json()` reads one."""

    def __get__(self, response: "Response | None", kind: type["Response"]) -> Any:
        return kind.from_json if response is None else partial(_read_json, response)


class Response:
    """A response to a request. `body` is a text, bytes or None; `headers` a dict or pairs.

    Source: developers.cloudflare.com/workers/runtime-apis/response/
    """

    json = _Json()

    def __init__(
        self,
        body: str | Content | None = None,
        status: int | None = None,
        status_text: str = "",
        headers: HeadersLike | None = None,
    ) -> None:
        if isinstance(status, bool) or not isinstance(status, int | None):
            raise TypeError(f"a Response's status must be a number, got {status!r:.100}")
        if not isinstance(body, str | Content | None):
            raise TypeError(f"Unsupported type in Response: {type(body).__name__}; Response.json(...) sends JSON")
        status = HTTPStatus.OK if status is None else status
        if not _SMALLEST_STATUS <= status <= _LARGEST_STATUS:
            raise ValueError(f"a Response's status must be {_SMALLEST_STATUS} to {_LARGEST_STATUS}, got {status}")
        if body and status in _WITHOUT_BODY:
            raise TypeError(f"a Response with status {status:d} has no body; give None")
        self.status = int(status)
        self.status_text = status_text
        self.headers = to_headers(headers)
        if isinstance(body, str) and "content-type" not in self.headers:
            self.headers["content-type"] = "text/plain;charset=UTF-8"
        self.content = _to_bytes(body)

    @classmethod
    def from_json(
        cls, data: Any, status: int | None = None, status_text: str = "", headers: HeadersLike | None = None
    ) -> "Response":
        """Return a response with data as JSON. Raises TypeError for what is not JSON."""
        response = cls(json.dumps(data).encode(), status, status_text, headers)
        if "content-type" not in response.headers:
            response.headers["content-type"] = "application/json"
        return response

    @classmethod
    def redirect(cls, url: str, status: int = HTTPStatus.FOUND) -> "Response":
        """Return a response that leads to another address."""
        return cls(None, status, headers={"location": url})

    @property
    def ok(self) -> bool:
        """Whether the status is one of success."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    async def bytes(self) -> Content:
        """Return the body."""
        return self.content

    async def text(self) -> str:
        """Return the body as text."""
        return self.content.decode(errors="replace")

    def __repr__(self) -> str:
        """Show the status."""
        return f"Response(status={self.status})"


async def _read_json(response: Response, **options: Any) -> Any:
    return json.loads(await response.text(), **options)


def to_headers(given: HeadersLike | None) -> "HTTPMessage":
    """Return headers as a mapping that keeps repeated names and does not look at their case."""
    # Imported here: most workers serve no HTTP.
    from http.client import HTTPMessage  # noqa: PLC0415 - see above

    headers = HTTPMessage()
    pairs = given.items() if isinstance(given, Mapping | HTTPMessage) else given or ()
    for name, value in pairs:
        check_header(name, str(value))
        headers.add_header(name, str(value))
    return headers


def check_header(name: str, value: str) -> None:
    """Raise ValueError for a header that cannot be sent: a name that is none, control characters, no Latin-1."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"a header cannot be called {name!r:.100}")
    if _FORBIDDEN.search(value) or (not value.isascii() and any(ord(character) > _LATIN_1 for character in value)):
        raise ValueError(f"the header {name} cannot be {value!r:.100}: no line breaks or controls, Latin-1 alone")


def _to_bytes(body: str | bytes | None) -> bytes:
    return body.encode() if isinstance(body, str) else body or b""


async def _finish(work: Awaitable[Any]) -> None:
    try:
        await work
    except asyncio.CancelledError:
        raise
    except BaseException:  # `sys.exit` behind a response must not end the worker
        logger.exception("what was handed to ctx.wait_until failed", extra=fact("fetch.left_failed"))
