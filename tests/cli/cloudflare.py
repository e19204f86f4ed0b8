"""A server that has Cloudflare's routes and no other: what it knows it asks of a real one of ours."""

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from stepwell.api.refusals import MethodNotAllowed, RouteNotFound
from stepwell.api.routes import Route, find
from tests.cli.scripted import body_of, listening
from tests.crash.server import DEADLINE_S

# Word for word, but for the path.
_NO_ROUTE = """{"success": false, "errors": [
  {"code": 7003, "message": "Could not route to %s, perhaps your object identifier is invalid?"},
  {"code": 7000, "message": "No route for that URI"}], "messages": [], "result": null}"""


@dataclass
class Cloudflare:
    """Where the server is, and what it was asked: what it has, and what it has not."""

    url: str = ""
    known: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    # Names in queries that Cloudflare's route does not have.
    odd: list[str] = field(default_factory=list)


def _route(method: str, path: str) -> Route | None:
    try:
        route = find(method, path)[0]
    except (RouteNotFound, MethodNotAllowed):
        return None
    return None if route.number is None else route


@contextmanager
def cloudflare(url: str) -> Iterator[Cloudflare]:
    """Give such a server before one of ours."""
    told = Cloudflare()
    ours = urlsplit(url).netloc

    def answer(request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        body = body_of(request)
        route = _route(request.command, parts.path)
        line = f"{request.command} {parts.path.partition('/client/v4/accounts/local/')[2]}"
        if route is None:
            told.unknown.append(line)
            _reply(request, 404, (_NO_ROUTE % parts.path).encode())
            return
        told.known.append(line)
        told.odd += [name for name, _ in parse_qsl(parts.query) if name not in route.query]
        connection = http.client.HTTPConnection(ours, timeout=DEADLINE_S)
        headers = {name: value for name in ("authorization", "content-type") if (value := request.headers.get(name))}
        connection.request(request.command, request.path, body, headers)
        answered = connection.getresponse()
        _reply(request, answered.status, answered.read())
        connection.close()

    with listening(answer, ThreadingHTTPServer) as told.url:
        yield told


def _reply(request: BaseHTTPRequestHandler, status: int, content: bytes) -> None:
    request.send_response(status)
    request.send_header("content-type", "application/json")
    request.send_header("content-length", str(len(content)))
    request.send_header("cf-ray", "8f2c1d-FRA")
    request.end_headers()
    request.wfile.write(content)
