"""The WebSocket of an instance: one event in each text frame, and 1000 at the end.

What a client sends is read and thrown away, up to a bound. A refusal is a plain HTTP answer, before the upgrade.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from starlette.types import Receive, Send

from stepwell.api.events import encode
from stepwell.api.streams import Cut, Place
from stepwell.facts import fact
from stepwell.subscriptions import Subscription

# How much a client may send on one socket, in all.
HEARD_BYTES = 64 * 1024

# Source: www.rfc-editor.org/rfc/rfc6455#section-7.4.1, and of the last www.iana.org/assignments/websocket
_TOO_MUCH = 1008
_BROKEN = 1011
# Of a stream that has come to its end, and of one that is cut.
_CODES = {None: 1000, Cut.SERVER_STOPS: 1012, Cut.TOKEN_ENDED: 1008}

_log = logging.getLogger(__name__)


async def speak(subscription: Subscription, place: Place, receive: Receive, send: Send) -> None:
    """Accept a socket and tell what happens to an instance, until it has ended or either side leaves.

    Its place among the streams is given back then.
    """
    try:
        await send({"type": "websocket.accept"})
        code = await _first_of(_listen(receive), _tell(subscription, place, send))
        if code is not None:
            await send({"type": "websocket.close", "code": code})
    except OSError:
        # The client has gone in this moment.
        pass
    finally:
        place.end()


async def _first_of(*ways: Coroutine[Any, Any, int | None]) -> int | None:
    """Return the close code of the first way to end that comes true; None: the client has gone."""
    tasks = [asyncio.create_task(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task.done()).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _tell(subscription: Subscription, place: Place, send: Send) -> int | None:
    try:
        while (told := await subscription.next()) is not None:
            if not await _has_sent(encode(subscription, told).decode(), send):
                return None
    except Exception:  # whatever it is, the client is told that it is not its fault, and can go on where it was
        _log.exception(
            "the stream of an instance broke behind the event %s", subscription.cursor, extra=fact("stream.broke")
        )
        return _BROKEN
    return _CODES[place.cut]


async def _has_sent(text: str, send: Send) -> bool:
    try:
        await send({"type": "websocket.send", "text": text})
    except (OSError, RuntimeError):
        # The client has gone, or the server is about to close the socket, because of what came from it.
        return False
    return True


async def _listen(receive: Receive) -> int | None:
    heard = 0
    while heard <= HEARD_BYTES:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return None
        heard += len(message.get("text") or message.get("bytes") or "")
    return _TOO_MUCH
