"""The head of every answer, whoever makes it: what the server adds, and the strictest of what an answer leaves open.

An answer that says nothing of it is kept by nobody, is taken for nothing but what it says it is, may load and run
nothing where it is shown, is framed by nobody, and its address is told to no other site. Pages say for themselves what
they need.

Source: owasp.org/www-project-secure-headers/ and cheatsheetseries.owasp.org/cheatsheets/REST_Security_Cheat_Sheet.html
"""

from functools import lru_cache

from starlette.types import Message, Send

# Headers, as ASGI has them.
Head = list[tuple[bytes, bytes]]

STRICTEST: Head = [
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]
# To browsers that came over TLS: come back by no other way, for a year. Of names below ours we know nothing, but for
# what the setting `strict_transport` says.
OVER_TLS = {
    "host": (b"strict-transport-security", b"max-age=31536000"),
    "subdomains": (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
}

_STARTS = frozenset({"http.response.start", "websocket.http.response.start"})


@lru_cache(256)
def _missing(names: tuple[bytes, ...]) -> Head:
    """Return the strictest headers but for those of these names: of all answers there are few sets of names."""
    return [header for header in STRICTEST if header[0] not in names]


def with_head(send: Send, head: Head) -> Send:
    """Return what sends an answer with these headers in its head, and with the strictest of those that it has not."""

    async def send_with_head(message: Message) -> None:
        if message["type"] in _STARTS:
            own = message.get("headers") or ()
            message = {**message, "headers": [*own, *_missing(tuple([name for name, _ in own])), *head]}
        elif message["type"] == "websocket.accept":
            message = {**message, "headers": [*(message.get("headers") or ()), *head]}
        await send(message)

    return send_with_head
