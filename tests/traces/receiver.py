"""A receiver of spans on loopback, as a collector is one: OTLP over HTTP, decoded."""

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Received:
    """A span as it came."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start: int
    end: int
    attributes: dict[str, str | int | bool]
    error: str | None
    links: list[tuple[str, str]] = field(hash=False)
    state: str


class Fault(Protocol):
    """What befalls whoever sends, when a request of a service has come and when its spans are kept."""

    def before(self, service: str) -> bool:
        """Do it, and tell whether the request is lost."""

    def behind(self, service: str) -> None:
        """Do it before the answer."""


class Receiver:
    """Keeps what comes; `is_away`: refuses it."""

    def __init__(self) -> None:
        self.spans: list[Received] = []
        self.resources: list[dict[str, Any]] = []
        self.is_away = False
        self.refused = 0
        self.url = ""
        self.fault: Fault | None = None

    def take(self, body: bytes) -> int:
        """Take a request; return the status of the answer."""
        if self.is_away:
            self.refused += 1
            return 400
        found = ExportTraceServiceRequest.FromString(body).resource_spans
        resources = [_attributes(resource.resource.attributes) for resource in found]
        if self.fault is not None and self.fault.before(resources[0]["service.name"]):
            return 400
        self.resources += resources
        self.spans += [_received(span) for resource in found for scope in resource.scope_spans for span in scope.spans]
        if self.fault is not None:
            self.fault.behind(resources[0]["service.name"])
        return 200

    def named(self, name: str) -> Received:
        """Return the one span with a name; it may have come twice."""
        (found,) = {span.span_id: span for span in self.spans if span.name == name}.values()
        return found

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until something is so."""
        end = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < end, self.spans
            time.sleep(0.02)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Receive on a port of this machine."""
    receiver = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status = receiver.take(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield receiver
    server.shutdown()
    server.server_close()
    thread.join()


def _received(span: Any) -> Received:
    return Received(
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.name,
        span.start_time_unix_nano // 1_000_000,
        span.end_time_unix_nano // 1_000_000,
        _attributes(span.attributes),
        span.status.message if span.status.code == span.status.STATUS_CODE_ERROR else None,
        [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        span.trace_state,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in pairs}
