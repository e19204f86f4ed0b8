"""What each request is called: in the header `x-request-id` of its answer, and in the log where something went wrong.

It is ours alone: `cf-ray` is what Cloudflare's edge says, also before a server of ours, and an id that a caller sends
would let him write into the log. It counts nothing: nobody learns from it how much the server is asked.
"""

import random

from starlette.types import Message, Send

# Headers of an answer, as ASGI has them.
Head = list[tuple[bytes, bytes]]

_HEADER = b"x-request-id"
_STARTS = frozenset({"http.response.start", "websocket.http.response.start", "websocket.accept"})


def new_id() -> str:
    """Return an id that no other request has."""
    return f"{random.getrandbits(64):016x}"


def head_of(id: str) -> Head:
    """Return what the head of a request's answer has besides the answer's own headers. More can be added to it."""
    return [(_HEADER, id.encode())]


def with_head(send: Send, head: Head) -> Send:
    """Return what sends an answer with these headers in its head."""

    async def send_with_head(message: Message) -> None:
        if message["type"] in _STARTS:
            message = {**message, "headers": [*(message.get("headers") or ()), *head]}
        await send(message)

    return send_with_head
