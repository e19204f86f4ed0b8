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

from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import PlainTextResponse
from starlette.responses import Response as HttpResponse
from starlette.types import Receive, Scope, Send

from stepwell import limits
from stepwell.attempts import trace_of
from stepwell.hosts import is_served
from stepwell.http_server import HttpServer
from stepwell.threads import Threads
from stepwell.web import Request, Response, WorkerContext, WorkerEntrypoint

logger = logging.getLogger(__name__)

# How long requests in flight, and then what goes on behind their responses, may take when the worker stops: together
# less than the grace that its parent gives it.
_REQUESTS_S = 3.0
_BEHIND_S = 1.5


class FetchServer:
    """Serves one Worker. `hosts` are the names that it answers to; None: any."""

    def __init__(self, worker: type[WorkerEntrypoint] | None, env: Any, hosts: frozenset[str] | None) -> None:
        self._app = FetchApp(worker, env, hosts)
        self._server = HttpServer(self._app)
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
        await self._server.stop(_REQUESTS_S)
        await self._app.finish(_BEHIND_S)


class FetchApp:
    """The ASGI application round a Worker's `fetch`."""

    def __init__(self, worker: type[WorkerEntrypoint] | None, env: Any, hosts: frozenset[str] | None) -> None:
        self._worker = worker
        self._env = env
        self._hosts = hosts
        self._threads = Threads()
        self._context = WorkerContext()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        response = await self._respond(HttpRequest(scope, receive))
        await response(scope, receive, send)

    async def finish(self, grace_s: float) -> None:
        """Wait for what goes on behind responses, and end what does not end."""
        tasks = self._context.tasks
        if tasks:
            await asyncio.wait(tasks, timeout=grace_s)
        self.cut_off()

    def cut_off(self) -> None:
        """End what goes on behind responses."""
        for task in list(self._context.tasks):
            task.cancel()

    async def _respond(self, http: HttpRequest) -> HttpResponse:
        host = http.headers.get("host", "")
        if self._hosts is not None and not is_served(host, self._hosts):
            return _refusal(403, f'this server does not answer to the host "{host:.300}"; see --allow-host')
        if self._worker is None:
            return _refusal(404, "the code that is served now has no WorkerEntrypoint with `fetch`")
        try:
            body = await _read(http)
        except ClientDisconnect:
            # Nobody reads this; the server drops it.
            return HttpResponse(status_code=400)
        if body is None:
            return _refusal(413, f"the body is larger than {limits.FETCH_BODY_BYTES:,} bytes")
        return await self._fetch(self._worker, http, body)

    async def _fetch(self, worker: type[WorkerEntrypoint], http: HttpRequest, body: bytes) -> HttpResponse:
        try:
            request = Request(_url(http), http.method, _headers(http), body)
            response = await self._call(worker(self._context, self._env), request)
            return _answer(response)
        except Exception as error:  # the author's code may raise anything, and the server goes on
            asked = f"{http.method} {_path(http)}"
            logger.error("%s.fetch failed for %s:\n%s", worker.__name__, asked, trace_of(error))  # noqa: TRY400 - without our frames
            return _refusal(500, f"fetch raised {type(error).__name__}; the server's log has its traceback")

    async def _call(self, entrypoint: WorkerEntrypoint, request: Request) -> Any:
        if inspect.iscoroutinefunction(entrypoint.fetch):
            return await entrypoint.fetch(request)
        # As a step that is a plain function: in a thread, where it may block.
        context = copy_context()
        answer = await self._threads.run(lambda: context.run(entrypoint.fetch, request))
        return await answer if hasattr(answer, "__await__") else answer


async def _read(http: HttpRequest) -> bytes | None:
    """Return the body, or None if it is too large."""
    parts, size = [], 0
    async for part in http.stream():
        size += len(part)
        if size > limits.FETCH_BODY_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)


def _url(http: HttpRequest) -> str:
    """Return the address as the caller wrote it, escapes and all."""
    query = http.scope["query_string"].decode("latin-1")
    return f"http://{http.headers.get('host', '')}{_path(http)}" + (f"?{query}" if query else "")


def _path(http: HttpRequest) -> str:
    raw: bytes = http.scope["raw_path"]
    return raw.partition(b"?")[0].decode("latin-1")


def _headers(http: HttpRequest) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in http.headers.raw]


def _answer(response: Any) -> HttpResponse:
    if not isinstance(response, Response):
        raise TypeError(f"fetch returned {type(response).__name__}; expected a Response")
    answer = HttpResponse(response.content, response.status)
    own = [(name.lower(), value) for name, value in response.headers.items()]
    unsaid = [(name, value) for name, value in answer.raw_headers if name == b"content-length"]
    answer.raw_headers = [
        *((name.encode("latin-1"), value.encode("latin-1")) for name, value in own if name != "content-length"),
        *unsaid,
    ]
    return answer


def _refusal(status: int, text: str) -> HttpResponse:
    return PlainTextResponse(text + "\n", status)
