"""Requests without a socket and without a client's tidying: the path arrives as it is written."""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import httpx
import msgspec
from starlette.types import ASGIApp, Message

BASE = "/client/v4/accounts/any-account/"
ENVELOPE_MEMBERS = {"success", "errors", "messages", "result"}


@dataclass(frozen=True)
class Answer:
    """What the application answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    # The header x-request-id, which no two answers have the same.
    request_id: str | None = field(default=None, compare=False)

    def json(self) -> Any:
        """Return the decoded body."""
        return msgspec.json.decode(self.body)

    def refusal(self) -> tuple[int, int, str]:
        """Return status, code and message of a failure, after checking that its envelope is one."""
        envelope = self.json()
        assert set(envelope) == ENVELOPE_MEMBERS
        assert (envelope["success"], envelope["messages"], envelope["result"]) == (False, [], None)
        (problem,) = envelope["errors"]
        assert set(problem) == {"code", "message"}
        return self.status, problem["code"], problem["message"]


async def ask(
    app: ASGIApp,
    target: str,
    method: str = "GET",
    body: bytes | Iterable[bytes] = b"",
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (("host", "localhost:8787"),),
    *,
    peer: str | None = None,
) -> Answer:
    """Send one request, from an address. A target that does not begin with a slash lies below the account."""
    path, _, query = (target if target.startswith("/") else BASE + target).partition("?")
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    scope = {
        "type": "http",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs],
        "client": None if peer is None else (peer, 50_000),
    }
    parts = [body] if isinstance(body, bytes) else list(body) or [b""]
    sent: list[Message] = []

    async def receive() -> Message:
        if not parts:
            # The client waits for its answer.
            await asyncio.Event().wait()
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = sent[0]
    answered = {name.decode(): value.decode() for name, value in start["headers"]}
    id = answered.pop("x-request-id", None)
    return Answer(start["status"], answered, b"".join(message.get("body", b"") for message in sent[1:]), id)


async def ask_socket(
    app: ASGIApp, target: str, headers: Iterable[tuple[str, str]] = (("host", "localhost:8787"),)
) -> Answer:
    """Ask for a WebSocket, and leave as soon as there is one: the status is 101 then."""
    path, _, query = (target if target.startswith("/") else BASE + target).partition("?")
    scope = {
        "type": "websocket",
        "path": unquote(path),
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
        "client": None,
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.disconnect", "code": 1006}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    id = answered.pop("x-request-id", None)
    return Answer(sent[0].get("status", 101), answered, b"".join(message.get("body", b"") for message in sent[1:]), id)


async def begun(request: Coroutine[Any, Any, httpx.Response]) -> asyncio.Task[httpx.Response]:
    """Begin a request, and let it come to where it waits."""
    task = asyncio.create_task(request)
    for _ in range(20):
        await asyncio.sleep(0)
    return task
