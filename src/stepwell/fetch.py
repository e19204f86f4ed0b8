"""Serves the `fetch` of an author's WorkerEntrypoint over HTTP, on a port of its own, inside the worker process.

The listening socket is the parent's, which hands it to each worker: so the address stays when a worker is replaced, and
whoever asks in between waits instead of being refused. What fetch raises is for the log; the caller sees its kind.
"""

import asyncio
import inspect
import logging
import socket
from contextvars import copy_context
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import PlainTextResponse
from starlette.responses import Response as HttpResponse
from starlette.types import Receive, Scope, Send

from stepwell import limits
from stepwell.facts import fact
from stepwell.hosts import READING, is_served, is_served_origin
from stepwell.http_server import HttpServer, Texts
from stepwell.problems import trace_of
from stepwell.scope import AuthorExit
from stepwell.threads import Threads
from stepwell.web import Request, Response, WorkerContext, WorkerEntrypoint, check_header

logger = logging.getLogger(__name__)

# How long requests in flight, and then what goes on behind their responses, may take when the worker stops: together
# less than the grace that its parent gives it.
_REQUESTS_S = 3.0
_BEHIND_S = 1.5
# Bodies of all requests together may be so many times as large as one alone.
_BODIES = 4
_TEXTS = Texts(
    b'{"error":"this is no HTTP that can be read, or its headers are longer than 64 KiB"}',
    b'{"error":"the head of the request was not complete in time"}',
    b'{"error":"as many connections are open as there may be; close some, or come back later"}',
)
# What is between one connection and the next, and for the server to say.
# Source: www.rfc-editor.org/rfc/rfc9110#name-connection
_HOP_BY_HOP = {"connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}


class FetchServer:
    """Serves one Worker. `hosts` are the names that it answers to; None: any."""

    def __init__(
        self,
        worker: type[WorkerEntrypoint] | None,
        env: Any,
        hosts: frozenset[str] | None,
        body_bytes: int = limits.FETCH_BODY_BYTES,
    ) -> None:
        self._app = FetchApp(worker, env, hosts, body_bytes)
        self._server = HttpServer(self._app, texts=_TEXTS)
        self._stopping: asyncio.Task[None] | None = None

    async def start(self, sock: socket.socket) -> None:
        """Answer on a socket that listens."""
        await self._server.start(sock)

    def begin_stop(self) -> None:
        """Take no more requests; let those in flight, and what goes on behind them, end within a few seconds."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop())

    def cut_off(self) -> None:
        """Wait for nothing more."""
        self._server.cut_off()
        self._app.cut_off()

    async def stopped(self) -> None:
        """Return when everything has ended."""
        self.begin_stop()
        if self._stopping is not None:
            await self._stopping

    async def _stop(self) -> None:
        ends_requests = asyncio.get_running_loop().call_later(_REQUESTS_S, self._app.end_requests)
        # A moment more than requests have: those that are ended are still told so.
        await self._server.stop(_REQUESTS_S + 0.5)
        ends_requests.cancel()
        await self._app.finish(_BEHIND_S)


class FetchApp:
    """The ASGI application round a Worker's `fetch`."""

    def __init__(
        self,
        worker: type[WorkerEntrypoint] | None,
        env: Any,
        hosts: frozenset[str] | None,
        body_bytes: int = limits.FETCH_BODY_BYTES,
    ) -> None:
        self._body_bytes = body_bytes
        self._worker = worker
        self._env = env
        self._hosts = hosts
        self._threads = Threads()
        self._requests: set[asyncio.Task[HttpResponse]] = set()
        self._behind: set[asyncio.Task[Any]] = set()
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        response = await self._respond(HttpRequest(scope, receive))
        await response(scope, receive, send)

    def end_requests(self) -> None:
        """End the requests in flight: their callers are told that the server stops."""
        for request in list(self._requests):
            request.cancel()

    async def finish(self, grace_s: float) -> None:
        """Wait for what goes on behind responses, and end what does not end."""
        if self._behind:
            await asyncio.wait(list(self._behind), timeout=grace_s)
        self.cut_off()

    def cut_off(self) -> None:
        """End what goes on, before responses and behind them."""
        self.end_requests()
        for task in list(self._behind):
            task.cancel()

    async def _respond(self, http: HttpRequest) -> HttpResponse:
        """Answer in a task of its own, which can be ended without ending the one that has to say so."""
        request = asyncio.create_task(self._answer(http))
        self._requests.add(request)
        request.add_done_callback(self._requests.discard)
        try:
            await asyncio.wait([request])
        finally:
            request.cancel()
        if request.cancelled():
            logger.warning(
                "%s was not answered in time before the worker had to stop", _asked(http), extra=fact("fetch.late")
            )
            return _refusal(503, "the server stops or is given new code; ask again")
        return request.result()

    async def _answer(self, http: HttpRequest) -> HttpResponse:
        refusal = self._guard(http.method, http.headers)
        if refusal is not None:
            return refusal
        if self._worker is None:
            return _refusal(404, "the code that is served now has no WorkerEntrypoint with `fetch`")
        held = bytearray()
        try:
            refusal = await self._read(http, held)
            return await self._fetch(self._worker, http, bytes(held)) if refusal is None else refusal
        except ClientDisconnect:
            # Nobody reads this; the server drops it.
            return HttpResponse(status_code=400)
        finally:
            self._held_bytes -= len(held)

    def _guard(self, method: str, headers: Headers) -> HttpResponse | None:
        """Refuse what a page of another site sends, on a server that only this machine reaches."""
        if self._hosts is None:
            return None
        named = headers.getlist("host")
        if not is_served(named, self._hosts):
            shown = ", ".join(f'"{host:.300}"' for host in named) or "none"
            known = ", ".join(sorted(self._hosts))
            return _refusal(403, f"the Host header names {shown}; this server answers to: {known}. See --allow-host")
        for origin in headers.getlist("origin") if method not in READING else ():
            if not is_served_origin(origin, self._hosts):
                return _refusal(403, f'a page of the origin "{origin:.300}" may not change anything here')
        return None

    async def _read(self, http: HttpRequest, held: bytearray) -> HttpResponse | None:
        """Read the body into `held`; return the refusal of one that is too large."""
        length = http.headers.get("content-length", "0")
        if length.isdecimal() and int(length[:20]) > self._body_bytes:
            return _too_large(self._body_bytes)
        async for part in http.stream():
            if len(held) + len(part) > self._body_bytes:
                return _too_large(self._body_bytes)
            if self._held_bytes + len(part) > _BODIES * self._body_bytes:
                return _refusal(503, "too many large bodies are on their way at once; ask again")
            held += part
            self._held_bytes += len(part)
        return None

    async def _fetch(self, worker: type[WorkerEntrypoint], http: HttpRequest, body: bytes) -> HttpResponse:
        try:
            request = Request(_url(http), http.method, _headers(http), body)
            context = WorkerContext(self._behind)
            return _http(await self._call(worker(context, self._env), request))
        except BaseException as error:  # the author's code may raise anything, and the server goes on
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                # Ours. One that is the author's, of a task that he awaits, is an error as any other.
                raise
            cause = error.error if isinstance(error, AuthorExit) else error
            # Not `exception`: without our own frames.
            logger.error(  # noqa: TRY400 - see above
                "%s.fetch failed for %s:\n%s",
                worker.__name__,
                _asked(http),
                trace_of(cause),
                extra=fact("fetch.failed", error=type(cause).__name__),
            )
            return _refusal(500, f"fetch raised {type(cause).__name__}; the server's log has its traceback")

    async def _call(self, entrypoint: WorkerEntrypoint, request: Request) -> Any:
        if inspect.iscoroutinefunction(entrypoint.fetch):
            return await entrypoint.fetch(request)
        # As a step that is a plain function: in a thread, where it may block.
        context = copy_context()
        answer = await self._threads.run(lambda: context.run(entrypoint.fetch, request))
        return await answer if hasattr(answer, "__await__") else answer


def _asked(http: HttpRequest) -> str:
    return f"{http.method} {_path(http)}"


def _url(http: HttpRequest) -> str:
    """Return the address as the caller wrote it, escapes and all."""
    query = http.scope["query_string"].decode("latin-1")
    return f"http://{http.headers.get('host', '')}{_path(http)}" + (f"?{query}" if query else "")


def _path(http: HttpRequest) -> str:
    raw: bytes = http.scope["raw_path"]
    return raw.partition(b"?")[0].decode("latin-1")


def _headers(http: HttpRequest) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in http.headers.raw]


def _http(response: Any) -> HttpResponse:
    """Return an author's response as it is sent. Raises TypeError or ValueError for one that cannot be."""
    if not isinstance(response, Response):
        raise TypeError(f"fetch returned {type(response).__name__}; expected a Response")
    answer = HttpResponse(response.content, response.status)
    length = [(name, value) for name, value in answer.raw_headers if name == b"content-length"]
    own = [(name.lower(), value) for name, value in response.headers.items() if name.lower() not in _HOP_BY_HOP]
    for name, value in own:
        # Once more: the author may have set it since.
        check_header(name, value)
    answer.raw_headers = [*((name.encode("latin-1"), value.encode("latin-1")) for name, value in own), *length]
    return answer


def _too_large(most: int) -> HttpResponse:
    return _refusal(413, f"the body is larger than {most:,} bytes")


def _refusal(status: int, text: str) -> HttpResponse:
    return PlainTextResponse(text + "\n", status)
