"""The real server on a real socket: what it reads, what it refuses, how it stops."""

import asyncio
import socket
import time
from dataclasses import dataclass

import msgspec
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from stepwell.api import body
from stepwell.http_server import HttpServer
from tests.api.conftest import serve
from tests.api.histories import Histories

GET = b"GET %s HTTP/1.1\r\nhost: localhost\r\n\r\n"
INSTANCES = b"/client/v4/accounts/a/workflows/order/instances"
CHUNKED = b"POST " + INSTANCES + b" HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"


@dataclass
class Connection:
    """A connection to a server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Read one answer: status, headers, body."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:-2])
        body = await self.reader.readexactly(int(headers["content-length"]))
        return int(head[0].split()[1]), headers, body

    async def is_closed(self) -> bool:
        """Wait for the server to close."""
        async with asyncio.timeout(5):
            return await self.reader.read() == b""

    async def close(self) -> None:
        self.writer.close()
        await asyncio.wait([asyncio.ensure_future(self.writer.wait_closed())])


async def _connect(port: int) -> Connection:
    return Connection(*await asyncio.open_connection("127.0.0.1", port))


async def _ask(port: int, request: bytes) -> tuple[int, dict[str, str], bytes]:
    connection = await _connect(port)
    await connection.send(request)
    answer = await connection.answer()
    await connection.close()
    return answer


def _code(body: bytes) -> int:
    code: int = msgspec.json.decode(body)["errors"][0]["code"]
    return code


async def test_server_does_not_name_itself(port: int) -> None:
    """No header tells what software answers."""
    status, headers, body = await _ask(port, GET % b"/healthz")

    assert (status, body) == (200, b'{"status":"ok"}')
    assert "server" not in headers


async def test_chunked_body_is_taken(port: int) -> None:
    """A body may come in chunks, without a content type."""
    status, _, body = await _ask(port, CHUNKED + b'f\r\n{"instance_id":\r\n4\r\n"a"}\r\n0\r\n\r\n')

    assert (status, msgspec.json.decode(body)["result"]["id"]) == (200, "a")


async def test_unescaped_path_is_taken(port: int, histories: Histories) -> None:
    """An id with slashes and stars reaches its route as clients write it."""
    status, _, body = await _ask(port, GET % (INSTANCES + b"/*/30%20*%20*%20*%20*-1786001400000?"))

    assert (status, _code(body)) == (404, 10400)


async def test_oversized_body_is_refused(port: int) -> None:
    """A client that announces too much is told before it has sent it, and may go on with its connection."""
    connection = await _connect(port)
    await connection.send(
        b"POST " + INSTANCES + b" HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9000000\r\n\r\n" + b"x" * 1000
    )

    status, _, body = await connection.answer()
    await connection.send(b"x" * (9_000_000 - 1000) + GET % b"/healthz")
    next_status, _, _ = await connection.answer()
    await connection.close()

    assert (status, _code(body), next_status) == (413, 10002, 200)


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(b"nonsense\r\n\r\n", id="no HTTP"),
        pytest.param(b"GET /\xff HTTP/1.1\r\nhost: localhost\r\n\r\n", id="path beyond ASCII"),
        pytest.param(b"GET / HTTP/1.1\r\nhost: localhost\r\nx: " + b"y" * 66_000 + b"\r\n" * 2, id="long header"),
        pytest.param(b"GET / HTTP/1.1\r\nx: " + b"y" * 66_000, id="header without end"),
        pytest.param(b"GET /" + b"y" * 66_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n", id="long path"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 11_000, id="headers without end"),
    ],
)
async def test_what_is_no_request_is_refused_in_the_envelope(port: int, request_bytes: bytes) -> None:
    """What is no HTTP, or has an endless head, gets 400 in the envelope and a closed connection."""
    connection = await _connect(port)
    await connection.send(request_bytes)

    status, headers, body = await connection.answer()
    await connection.close()

    assert (status, headers["connection"], _code(body)) == (400, "close", 10002)


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "rest",
    [
        pytest.param(b"0\r\n" + b"x: y\r\n" * 11_000, id="headers"),
        pytest.param(b"0\r\nx: " + b"y" * 66_000, id="header"),
        pytest.param(b"2;" + b"y" * 66_000, id="size of a chunk"),
    ],
)
async def test_what_is_beside_a_body_has_an_end(port: int, rest: bytes) -> None:
    """Nobody waits for it, or keeps it: it is refused as an endless head is."""
    connection = await _connect(port)
    await connection.send(CHUNKED[:-2] + b"expect: 100-continue\r\n\r\n")
    await connection.reader.readuntil(b"HTTP/1.1 100 Continue\r\n\r\n")
    await connection.send(rest)

    status, headers, body = await connection.answer()
    await connection.close()

    assert (status, headers["connection"], _code(body)) == (400, "close", 10002)


async def test_headers_behind_a_body_are_none_of_the_request() -> None:
    """Whoever could add to a request there could do so behind what a proxy has looked at."""
    app = _Echo()
    server, port = await serve(app)

    status, _, body = await _ask(port, CHUNKED + b"2\r\n{}\r\n0\r\nauthorization: Bearer x\r\n\r\n")
    await server.stop(1)

    assert (status, body) == (200, b"host, transfer-encoding")


async def test_http_1_0_without_a_host_is_refused(port: int) -> None:
    """A request that names no host is not for any of the allowed ones."""
    status, _, body = await _ask(port, b"GET / HTTP/1.0\r\n\r\n")

    assert (status, _code(body)) == (403, 10000)


async def test_many_requests_may_come_at_once(port: int) -> None:
    """Together they may be larger than the head of one."""
    connection = await _connect(port)
    await connection.send(GET % b"/healthz" * 2_000 + GET[:-4] % b"/healthz")

    statuses = {(await connection.answer())[0] for _ in range(2_000)}
    await connection.close()

    assert statuses == {200}


async def test_requests_may_be_pipelined(port: int) -> None:
    """Requests on one connection are answered in their order."""
    connection = await _connect(port)
    await connection.send(GET % b"/healthz" + GET % b"/nothing")

    answers = [await connection.answer(), await connection.answer()]
    await connection.close()

    assert [status for status, _, _ in answers] == [200, 404]


class _Echo:
    """Reads a request to its end, and answers with the names of its headers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        names = sorted(name.decode() for name, _ in scope["headers"])
        await PlainTextResponse(", ".join(names))(scope, receive, send)


class _SlowApp:
    """Answers after a while; tells when it has begun."""

    def __init__(self, seconds: float) -> None:
        self.has_begun = asyncio.Event()
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.has_begun.set()
        await asyncio.sleep(self._seconds)
        await PlainTextResponse("late")(scope, receive, send)


async def test_idle_connections_do_not_hold_up_the_stop(app: ASGIApp) -> None:
    """Open connections that wait for their next request, or never sent one, are closed at once."""
    server, port = await serve(app)
    silent, kept = await _connect(port), await _connect(port)
    await kept.send(GET % b"/healthz")
    await kept.answer()
    begun = time.monotonic()

    await server.stop(30)

    assert time.monotonic() - begun < 3
    assert [await silent.is_closed(), await kept.is_closed()] == [True, True]
    await silent.close()
    await kept.close()


async def test_request_in_flight_is_answered_before_the_stop() -> None:
    """A request that ends within the grace gets its answer."""
    slow = _SlowApp(0.2)
    server, port = await serve(slow)
    connection = await _connect(port)
    await connection.send(GET % b"/")
    await slow.has_begun.wait()

    await server.stop(30)

    assert (await connection.answer())[2] == b"late"
    await connection.close()


async def test_request_beyond_the_grace_is_cut_off() -> None:
    """A request that outlasts the grace does not outlast the server."""
    slow = _SlowApp(60)
    server, port = await serve(slow)
    connection = await _connect(port)
    await connection.send(GET % b"/")
    await slow.has_begun.wait()
    begun = time.monotonic()

    await server.stop(0.1)

    assert time.monotonic() - begun < 3
    await connection.close()


async def test_port_is_free_after_the_stop(app: ASGIApp) -> None:
    """A stopped server has let go of its port, and stopping it again does nothing."""
    server, port = await serve(app)

    await server.stop(1)
    await server.stop(1)

    socket.create_server(("127.0.0.1", port)).close()


async def test_connections_are_limited(app: ASGIApp) -> None:
    """Beyond the limit a connection is told to come back."""
    server, port = await serve(app, max_connections=2)
    held = await _connect(port)

    also = await _connect(port)
    status, headers, text = await _ask(port, GET % b"/healthz")

    assert (status, headers["retry-after"], _code(text)) == (503, "1", 10001)
    await also.close()
    await held.close()
    await server.stop(1)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"GET /healthz HT", 408, id="half a head"),
        pytest.param(GET % b"/healthz" + b"GET /", 408, id="second request without an end"),
        pytest.param(b"", None, id="nothing"),
    ],
)
async def test_head_that_does_not_come_is_not_waited_for(app: ASGIApp, sent: bytes, status: int | None) -> None:
    """A client that does not end the head of its request is told so, and its connection is closed."""
    server, port = await serve(app, head_s=0.2)
    connection = await _connect(port)
    await connection.send(sent)
    if sent.startswith(GET % b"/healthz"):
        await connection.answer()

    if status is not None:
        assert (await connection.answer())[0] == status

    assert await connection.is_closed()
    await connection.close()
    await server.stop(1)


class _Large:
    """Answers with 32 MB, and more that never comes; tells when its client has gone."""

    def __init__(self) -> None:
        self.is_left = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"32000001")]
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"x" * 32_000_000, "more_body": True})
        await receive()
        self.is_left.set()


async def test_client_that_does_not_read_is_cut_off() -> None:
    """What it was to read is given up; nobody holds memory here by doing nothing."""
    app = _Large()
    server, port = await serve(app, stalled_s=0.1)
    connection = await _connect(port)
    await connection.send(GET % b"/")

    async with asyncio.timeout(5):
        await app.is_left.wait()

    await connection.close()
    await server.stop(1)


async def test_client_that_reads_slowly_gets_everything() -> None:
    """It may take longer than one that does not read is waited for."""
    app = _Large()
    server, port = await serve(app, stalled_s=0.2)
    connection = await _connect(port)
    await connection.send(GET % b"/")
    await connection.reader.readuntil(b"\r\n\r\n")

    for _ in range(32):
        await connection.reader.readexactly(1_000_000)
        await asyncio.sleep(0.02)

    assert not app.is_left.is_set()
    await connection.close()
    await server.stop(1)


async def test_body_that_stops_coming_is_not_waited_for(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that sends half a body and then nothing is told so."""
    monkeypatch.setattr(body, "SLOWEST_S", 0.1)
    path = b"/client/v4/accounts/local/workflows/order/instances"
    head = b"POST %b HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n{" % path

    status, _, answer = await _ask(port, head)

    assert (status, _code(answer)) == (408, 10002)


@pytest.mark.parametrize(
    ("least", "status"), [pytest.param(10_000, 408, id="too slow"), pytest.param(1, 200, id="slow, and steady")]
)
async def test_body_may_be_slow_but_not_for_ever(
    port: int, monkeypatch: pytest.MonkeyPatch, least: int, status: int
) -> None:
    """A byte now and then keeps no connection; a line that is merely slow is waited for."""
    monkeypatch.setattr(body, "SLOWEST_S", 1.0)
    monkeypatch.setattr(body, "LEAST_A_SECOND", least)
    path = b"/client/v4/accounts/local/workflows/order/instances"
    connection = await _connect(port)
    await connection.send(b"POST %b HTTP/1.1\r\nhost: localhost\r\ncontent-length: 20\r\n\r\n" % path)

    async def drip() -> None:
        for _ in range(10):
            await asyncio.sleep(0.15)
            await connection.send(b"  ")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(drip())
        answered, _, _ = await connection.answer()

    assert answered == status
    await connection.close()


async def test_compressed_body_is_refused(port: int) -> None:
    """A small body could become a large one: it is to be sent as it is."""
    path = b"/client/v4/accounts/local/workflows/order/instances"
    head = b"POST %b HTTP/1.1\r\nhost: localhost\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}" % path

    status, _, answer = await _ask(port, head)

    assert (status, _code(answer)) == (415, 10002)


class _Socket:
    """Accepts a WebSocket; tells when it was told something, and when it has ended."""

    def __init__(self) -> None:
        self.was_told = asyncio.Event()
        self.has_ended = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            self.was_told.set()
        self.has_ended.set()


UPGRADE = (
    b"GET / HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
NO_MASK = bytes(4)


async def test_client_that_asks_and_does_not_read_fills_no_memory() -> None:
    """Of what it has asked meanwhile it gets the last answer, and not all of them."""
    app, sock = _Socket(), socket.create_server(("127.0.0.1", 0))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
    server = HttpServer(app, has_sockets=True)
    await server.start(sock)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", sock.getsockname()[1]))
    connection = Connection(*await asyncio.open_connection(sock=client, limit=4_096))
    await connection.send(UPGRADE)
    await connection.reader.readuntil(b"\r\n\r\n")

    for number in range(10_000):
        await connection.send(b"\x89\xfd" + NO_MASK + b"%0125d" % number)
    await connection.send(b"\x81\x80" + NO_MASK)
    async with asyncio.timeout(5):
        await app.was_told.wait()
        answers = 1
        while not (await connection.reader.readexactly(127)).endswith(b"9999"):
            answers += 1

    assert answers < 7_000
    await connection.close()
    await server.stop(1)


async def test_message_in_frames_without_end_is_cut_off() -> None:
    """Empty ones add nothing to its size, which is bounded."""
    app = _Socket()
    server, port = await serve(app, has_sockets=True)
    connection = await _connect(port)
    await connection.send(UPGRADE)
    await connection.reader.readuntil(b"\r\n\r\n")

    await connection.send(b"\x01\x80" + NO_MASK + (b"\x00\x80" + NO_MASK) * 200)
    async with asyncio.timeout(5):
        await app.has_ended.wait()

    await connection.close()
    await server.stop(1)
