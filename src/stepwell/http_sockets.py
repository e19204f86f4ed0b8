"""What speaks over a WebSocket: uvicorn's protocol on websockets, quiet, and bounded in what it keeps."""

import asyncio
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame
from websockets.http11 import Response as Handshake
from websockets.server import ServerProtocol

# In how many frames a client may send one message.
_MOST_FRAMES = 100

# uvicorn tells of every WebSocket with its whole address, in which a token may stand.
_quiet = logging.getLogger(__name__)
_quiet.setLevel(logging.WARNING)


class SocketConfig(uvicorn.Config):
    """What a server is told, with what it says to a handshake that is none: JSON, and its headers."""

    no_handshake: bytes
    own_headers: Mapping[str, str]


def speak(config: SocketConfig, server_state: ServerState, app_state: dict[str, Any]) -> asyncio.Protocol:
    """Return what speaks over one WebSocket."""
    return _Socket(config, server_state, app_state)


class _Socket(WebSocketsSansIOProtocol):
    """Refuses a handshake that is none in the server's own words, and tells the log nothing of others.

    It keeps nothing for a client that asks whether it is there and does not read the answers.
    """

    # The answers to the last questions, for when the client reads again.
    _owed = b""
    config: SocketConfig

    def __init__(self, config: SocketConfig, server_state: ServerState, app_state: dict[str, Any]) -> None:
        super().__init__(config, server_state, app_state)
        self.logger = _quiet
        self.conn = _Handshakes(config)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # The whole head comes at once; where nothing came of it, websockets could not read it, and would wait for ever.
        if not self.handshake_initiated and not self.transport.is_closing():
            self.handshake_complete = self.close_sent = True
            self.transport.write(self.conn.reject(HTTPStatus.BAD_REQUEST, "").serialize())
            self.transport.close()

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            # uvicorn would call a refusal an error of the application.
            self.handshake_complete = True

    def handle_ping(self) -> None:
        if self.writable.is_set():
            super().handle_ping()
        else:
            self._owed = b"".join(self.conn.data_to_send()) or self._owed

    def resume_writing(self) -> None:
        super().resume_writing()
        owed, self._owed = self._owed, b""
        if owed and not self.transport.is_closing():
            self.transport.write(owed)

    def handle_cont(self, event: Frame) -> None:
        # Those that are empty add nothing to the size of the message, which is bounded.
        if len(self.frames) >= _MOST_FRAMES:
            self.transport.abort()
        else:
            super().handle_cont(event)


class _Handshakes(ServerProtocol):
    def __init__(self, config: SocketConfig) -> None:
        super().__init__(max_size=config.ws_max_size, logger=_quiet)
        self._text = config.no_handshake
        self._own_headers = config.own_headers

    def reject(self, status: int, text: str) -> Handshake:
        response = super().reject(status, text)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return response
        response.body = self._text
        headers = {"Content-Type": "application/json", "Content-Length": str(len(self._text)), **self._own_headers}
        for name, value in headers.items():
            if name in response.headers:
                # Else it would be there twice.
                del response.headers[name]
            response.headers[name] = value
        return response
