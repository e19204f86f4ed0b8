"""What each request is called: in the header `x-request-id` of its answer, and in the log where something went wrong.

It is ours alone: `cf-ray` is what Cloudflare's edge says, also before a server of ours, and an id that a caller sends
would let him write into the log. It counts nothing: nobody learns from it how much the server is asked.
"""

import random

from starlette.types import Message, Send

_HEADER = b"x-request-id"
_STARTS = frozenset({"http.response.start", "websocket.http.response.start", "websocket.accept"})


def new_id() -> str:
    """Return an id that no other request has."""
    return f"{random.getrandbits(64):016x}"


def with_id(send: Send, id: str) -> Send:
    """Return what sends an answer with a request's id in its head."""

    async def send_with_id(message: Message) -> None:
        if message["type"] in _STARTS:
            message = {**message, "headers": [*(message.get("headers") or ()), (_HEADER, id.encode())]}
        await send(message)

    return send_with_id
