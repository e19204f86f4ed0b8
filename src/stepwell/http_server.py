"""The HTTP server: uvicorn with httptools and websockets, quiet, bounded in what it reads, and stopped when asked.

It installs no signal handlers: whoever starts it decides what ends it. The event loop is the caller's, too.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import uvicorn
from msgspec import Struct
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from stepwell import models

# Request line and headers together; also what stands between the parts of a body or behind it, in one piece. Ours;
# Cloudflare's edge takes less.
HEAD_BYTES = 64 * 1024

# How long a connection that is open when the server stops may take to say what it was opened for.
_LAST_HEAD_S = 0.5

# How many passes of the loop lie between an accepted socket and its connection, and some more.
_ACCEPT_PASSES = 5

# How long the head of a request may take, from its first byte or the connection's beginning.
HEAD_S = 30.0

# A client that has read nothing of an answer for so long has gone, or means no good: what it does not read is held
# here.
STALLED_S = 120.0

# What a client may send in one message of a WebSocket. How often a silent one shows that it
# lives, and for how long its client may owe the answer: one that reads slowly sees the question late.
_MESSAGE_BYTES = 16 * 1024
_PING_S = 15.0
_PONG_S = 120.0

# Of what it says of its own accord.
_HEADERS: Mapping[str, str] = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class Texts(Struct, frozen=True):
    """What a server says, as JSON, of its own accord: to what is no HTTP, is too slow, or is one too many.

    `no_handshake` is for who asks for a WebSocket in a wrong way, where there is one.
    """

    bad_request: bytes
    slow: bytes
    busy: bytes
    no_handshake: bytes = b""


def _envelope(code: int, text: str) -> bytes:
    return msgspec.json.encode(models.Failure(errors=[models.Problem(code, f"workflows.api.error.{text}")]))


ENVELOPES = Texts(
    _envelope(10002, "body: this is no HTTP that can be read, or its headers are longer than 64 KiB"),
    _envelope(10002, f"body: the head of the request was not complete after {HEAD_S:g} seconds"),
    _envelope(10001, "internal_server: as many connections are open as there may be; close some, or come back later"),
    _envelope(
        10002,
        "body: this is no handshake of a WebSocket; it needs GET, HTTP/1.1, a Sec-WebSocket-Key, version 13, "
        "and no header above 8 KiB",
    ),
)


class HttpServer:
    """Serves an application on a socket that is bound already."""

    def __init__(  # noqa: PLR0913 - what a server is told, by name
        self,
        app: ASGIApp,
        *,
        max_connections: int = 4096,
        texts: Texts = ENVELOPES,
        head_s: float = HEAD_S,
        stalled_s: float = STALLED_S,
        has_sockets: bool = False,
    ) -> None:
        """Above `max_connections` requests are answered with 503; a head that takes longer than `head_s` with 408.

        Who reads nothing of an answer for `stalled_s` is cut off.

        Without `has_sockets` a request for a WebSocket is taken for a plain one.
        """
        self._app = app
        self._max_connections = max_connections
        self._texts = texts
        self._server = _Server(
            _Config(
                texts,
                head_s,
                stalled_s,
                self._answer,
                http=_Protocol,
                interface="asgi3",
                ws=_speak if has_sockets else "none",
                ws_max_size=_MESSAGE_BYTES,
                ws_ping_interval=_PING_S,
                ws_ping_timeout=_PONG_S,
                ws_per_message_deflate=False,
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=75,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if len(self._server.server_state.connections) <= self._max_connections:
            await self._app(scope, receive, send)
            return
        headers = {"connection": "close", "retry-after": "1", **_HEADERS}
        busy = Response(self._texts.busy, 503, headers, "application/json")
        await busy(scope, receive, send)

    async def start(self, sock: socket.socket) -> None:
        """Answer requests on the socket from now on. The socket is the server's: stop closes it."""
        self._serving = asyncio.create_task(self._server.serve(sockets=[sock]))
        ready = asyncio.create_task(self._server.ready.wait())
        await asyncio.wait({self._serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        if self._serving.done():
            ready.cancel()
            await self._serving

    async def stop(self, grace_s: float) -> None:
        """Take no more requests, let those in flight end for so many seconds, then cut them off."""
        if self._serving is None:
            return
        await self._server.stop_accepting()
        self._server.config.timeout_graceful_shutdown = grace_s  # type: ignore[assignment]  # goes to asyncio as it is
        self._server.leave()
        await self._serving
        self._server.cut_off()

    def cut_off(self) -> None:
        """End a `stop` that is under way: wait for no request any more."""
        self._server.force_exit = True
        self._server.cut_off()


def _speak(**given: Any) -> asyncio.Protocol:
    """Return what speaks over one WebSocket."""
    # Imported here: a server that nobody subscribes to needs none of it.
    from stepwell.http_sockets import speak  # noqa: PLC0415 - see above

    return speak(**given)


class _Config(uvicorn.Config):
    own_headers = _HEADERS

    def __init__(self, texts: Texts, head_s: float, stalled_s: float, app: ASGIApp, **settings: Any) -> None:
        super().__init__(app, **settings)
        self.texts = texts
        self.no_handshake = texts.no_handshake
        self.head_s = head_s
        self.stalled_s = stalled_s


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self._leaving = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        # uvicorn would look ten times a second whether to stop. Its Date header needs a look once a second.
        while not self._leaving.is_set():
            await self.on_tick(0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), 1)

    async def stop_accepting(self) -> None:
        """Accept no more, and let those that were accepted in this moment become connections.

        asyncio drops, with a reset, what it has accepted and not yet wrapped when its server closes.
        """
        loop = asyncio.get_running_loop()
        if isinstance(loop, asyncio.SelectorEventLoop):
            for sock in (sock for server in self.servers for sock in server.sockets):
                loop.remove_reader(sock.fileno())
            for _ in range(_ACCEPT_PASSES):
                await asyncio.sleep(0)

    def leave(self) -> None:
        self.should_exit = True
        self._leaving.set()

    def cut_off(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()


class _Protocol(HttpToolsProtocol):
    """Refuses heads without end, says what is no HTTP, and answers what was on its way when the server stops."""

    # How much has come since something was complete, or was a part of a body.
    _pending_bytes = 0
    _in_head = False
    _is_leaving = False
    _head_timer: asyncio.TimerHandle | None = None
    _reader_timer: asyncio.TimerHandle | None = None
    config: _Config

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's signature
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_here()
        self._forget_reader()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        self._forget_reader()
        super().resume_writing()

    def shutdown(self) -> None:
        """Close when the request that is under way, or on its way here, has been answered."""
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            super().shutdown()
        else:
            self._is_leaving = True
            self.loop.call_later(_LAST_HEAD_S, self._leave)

    def _leave(self) -> None:
        super().shutdown()

    def data_received(self, data: bytes) -> None:
        self._pending_bytes += len(data)
        super().data_received(data)
        # Also of a body: the size of a chunk may have an extension without end, and headers may stand behind the last.
        if self._pending_bytes > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("")

    def on_message_begin(self) -> None:
        self._in_head = True
        if self._head_timer is None:
            self._expect_head()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        # Nobody reads those behind a body, and they are none of the request's, which may be under way already.
        if self._in_head:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        self._pending_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._pending_bytes = 0
        super().on_message_complete()

    def on_headers_complete(self) -> None:
        self._pending_bytes = 0
        self._in_head = False
        self._head_is_here()
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > HEAD_BYTES:
            raise ValueError("the head of the request is too large")
        super().on_headers_complete()
        if self._is_leaving and self.cycle is not None:
            self.cycle.keep_alive = False

    def handle_websocket_upgrade(self) -> None:
        if self.url.isascii():
            super().handle_websocket_upgrade()
        else:
            self.send_400_response("")

    def _unsupported_upgrade_warning(self) -> None:
        # It would tell to install something that nothing here would use.
        pass

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text is no envelope
        self._refuse("400 Bad Request", self.config.texts.bad_request)

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(self.config.head_s, self._give_up)

    def _head_is_here(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        if self._in_head:
            self._refuse("408 Request Timeout", self.config.texts.slow)
        else:
            # Nothing was said that could be answered.
            self.transport.close()

    def _watch_reader(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._reader_timer = self.loop.call_later(self.config.stalled_s, self._look_at_reader, left)

    def _look_at_reader(self, left_before: int) -> None:
        if self.transport.get_write_buffer_size() < left_before:
            self._watch_reader()
        else:
            self.transport.abort()

    def _forget_reader(self) -> None:
        if self._reader_timer is not None:
            self._reader_timer.cancel()
            self._reader_timer = None

    def _refuse(self, status: str, body: bytes) -> None:
        if self.transport.is_closing():
            return
        headers = {"content-type": "application/json", "content-length": len(body), "connection": "close", **_HEADERS}
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items())]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)
        self.transport.close()
