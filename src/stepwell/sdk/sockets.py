"""The events of an instance over a WebSocket, which is what Cloudflare has for them: one event in each text frame.

It is loaded with the first client of such a server. Connections are websockets' own, beside those of the HTTP client.

Source: developers.cloudflare.com/workflows/build/subscribe-to-instance-events/
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection as AsyncConnection
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from stepwell.sdk.effects import Connect
from stepwell.sdk.errors import TimedOut, Unreachable
from stepwell.sdk.messages import Answer
from stepwell.sdk.settings import Settings
from stepwell.sdk.transport import silence_of, socket_options_of

# How a server says that there is nothing more to tell.
_DONE = 1000
# Params and outputs may be a megabyte each.
_MESSAGE_BYTES = 8 * 1024 * 1024
# What a server answers that has opened a socket.
OPEN = Answer(101, {})


class Refused(Exception):
    """The server answered and opened nothing; `answer` says why."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


def begin(effect: Connect, settings: Settings, until: ExitStack) -> Connection:
    """Open a socket, until that is over. Raises Refused and Unreachable."""
    with _in_our_words(settings):
        connection: Connection = until.enter_context(connect(**_options(effect, settings)))
        return connection


def pieces(connection: Connection, settings: Settings) -> Iterator[bytes]:
    """Give what comes on a socket until the server closes it in good order. Raises Unreachable."""
    with _in_our_words(settings):
        try:
            while True:
                yield from _bytes_in(connection.recv())
        except ConnectionClosed:
            if connection.protocol.close_code != _DONE:
                raise


async def begin_async(effect: Connect, settings: Settings, until: AsyncExitStack) -> AsyncConnection:
    """Open a socket, until that is over. Raises Refused and Unreachable."""
    with _in_our_words(settings):
        return await until.enter_async_context(_Direct(**_options(effect, settings)))


async def pieces_async(connection: AsyncConnection, settings: Settings) -> AsyncIterator[bytes]:
    """Give what comes on a socket until the server closes it in good order. Raises Unreachable."""
    with _in_our_words(settings):
        try:
            while True:
                for piece in _bytes_in(await connection.recv()):
                    yield piece
        except ConnectionClosed:
            if connection.close_code != _DONE:
                raise


class _Direct(connect_async):
    """Goes nowhere else: a redirection would take the token along."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def _options(effect: Connect, settings: Settings) -> dict[str, Any]:
    return {
        **socket_options_of(effect.request, settings),
        "open_timeout": settings.timeout_s,
        "compression": None,
        "max_size": _MESSAGE_BYTES,
    }


def _bytes_in(message: str | bytes) -> Iterator[bytes]:
    # An empty piece would be the end.
    if message:
        yield message.encode() if isinstance(message, str) else message


@contextmanager
def _in_our_words(settings: Settings) -> Iterator[None]:
    try:
        yield
    except InvalidStatus as error:
        given = error.response
        headers = {name.lower(): value for name, value in given.headers.raw_items()}
        raise Refused(Answer(given.status_code, headers, bytes(given.body or b""))) from error
    except TimeoutError as error:
        raise TimedOut(silence_of(settings), is_sent=True) from error
    except (OSError, WebSocketException, EOFError) as error:
        told = f"{settings.base_url} does not answer: {str(error) or type(error).__name__}"
        raise Unreachable(told, is_sent=isinstance(error, ConnectionClosed)) from error
