"""A server that gives the answers that it is told, for what a real one does only now and then."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    """A status, and what is in the body: an envelope, or the lines of a stream."""

    content: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    # Is called before the answer is given.
    first: Callable[[], None] = lambda: None

    @classmethod
    def result(cls, result: Any) -> "Answer":
        """Return an answer that all is well."""
        return cls({"success": True, "errors": [], "messages": [], "result": result})

    @classmethod
    def refusal(cls, status: int, code: int, message: str, **headers: str) -> "Answer":
        """Return an answer that says no."""
        return cls({"success": False, "errors": [{"code": code, "message": message}], "result": None}, status, headers)

    @classmethod
    def stream(cls, *lines: Any) -> "Answer":
        """Return a stream that ends behind these lines."""
        return cls(list(lines))


@dataclass
class Scripted:
    """Where the server is, and what it has been asked: method, the end of the path, and the body."""

    url: str = ""
    asked: list[tuple[str, str, Any]] = field(default_factory=list)


@contextmanager
def listening(answer: Callable[[BaseHTTPRequestHandler], None], kind: type[HTTPServer] = HTTPServer) -> Iterator[str]:
    """Give the address of a server that answers each request in this way."""

    class Handler(BaseHTTPRequestHandler):
        do_GET = do_PATCH = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the names that http.server looks for

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with kind(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def body_of(request: BaseHTTPRequestHandler) -> bytes:
    """Return the body of a request."""
    return request.rfile.read(int(request.headers.get("content-length", 0)))


@contextmanager
def scripted(answers: Sequence[Answer]) -> Iterator[Scripted]:
    """Give a server that answers one request after another."""
    told = Scripted()
    left = iter(answers)

    def answer(request: BaseHTTPRequestHandler) -> None:
        body = body_of(request)
        is_json = request.headers.get("content-type") == "application/json"
        said = json.loads(body) if body and is_json else body or None
        told.asked.append((request.command, request.path.rpartition("/")[2], said))
        answer = next(left)
        answer.first()
        texts = answer.content if isinstance(answer.content, list) else [answer.content]
        request.send_response(answer.status)
        for name, value in answer.headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write("".join(f"{json.dumps(text)}\n" for text in texts).encode())

    with listening(answer) as told.url:
        yield told
