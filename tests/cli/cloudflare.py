"""A server that has Cloudflare's routes and no other: what it knows it asks of a real one of ours."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from stepwell.api.refusals import MethodNotAllowed, RouteNotFound
from stepwell.api.routes import Route, find
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

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            route = _route(self.command, parts.path)
            line = f"{self.command} {parts.path.partition('/client/v4/accounts/local/')[2]}"
            if route is None:
                told.unknown.append(line)
                self.reply(404, (_NO_ROUTE % parts.path).encode())
                return
            told.known.append(line)
            told.odd += [name for name, _ in parse_qsl(parts.query) if name not in route.query]
            connection = http.client.HTTPConnection(ours, timeout=DEADLINE_S)
            connection.request(self.command, self.path, body, {"content-type": "application/json"} if body else {})
            answer = connection.getresponse()
            self.reply(answer.status, answer.read())
            connection.close()

        def reply(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.send_header("cf-ray", "8f2c1d-FRA")
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PATCH = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the names that http.server looks for

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield told
        finally:
            server.shutdown()
            thread.join()
