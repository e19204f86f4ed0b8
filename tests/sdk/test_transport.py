"""What the HTTP library makes of our requests, and what we make of its errors, against servers that misbehave."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest

from stepwell import AsyncClient, Client
from stepwell.errors import InvalidInput
from stepwell.sdk import InvalidRequest, ServerError, TimedOut, Unreachable, retries
from stepwell.sdk.messages import encode_query, get
from stepwell.sdk.models import InstanceEvent
from stepwell.sdk.settings import Settings
from stepwell.sdk.transport import options_of
from tests.sdk.asked import AnyClient, ask, close, take

KINDS: list[type[Client] | type[AsyncClient]] = [Client, AsyncClient]
GOOD = b'{"success": true, "errors": [], "messages": [], "result": {"status": "running"}}'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
EVENT = b'id: %d\ndata: {"instanceId": "a", "eventId": %d, "timestamp": 5, "type": "t"}\n\n'


@contextmanager
def misbehaving(*answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Give the address of a server that says just this, each on a connection that it closes, and what it hears."""
    heard: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answer in answers:
            connection, _ = listening.accept()
            with connection:
                heard.append(_request(connection))
                connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}", heard
    thread.join(20)
    listening.close()
    assert not thread.is_alive(), "not all that was to be said was asked for"


def _request(connection: socket.socket) -> bytes:
    text = b""
    while b"\r\n\r\n" not in text:
        text += connection.recv(65536)
    head, _, body = text.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            while len(body) < int(line.partition(b":")[2]):
                body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def _whole(body: bytes) -> bytes:
    return HEAD + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body


@pytest.fixture(params=KINDS, ids=["sync", "async"])
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AnyClient]:
    """Make a client of either kind that waits for nothing between its tries."""
    monkeypatch.setattr(retries, "FIRST_DELAY_S", 0.0)
    kind: Callable[..., AnyClient] = request.param
    return kind


async def test_look_is_repeated_when_the_connection_breaks(make: Any) -> None:
    """Before the answer, within its head, and within its body."""
    cuts = [b"", HEAD, HEAD + b"content-length: 500\r\n\r\n{"]
    for cut in cuts:
        with misbehaving(cut, _whole(GOOD)) as (url, heard):
            client = make(url)

            found = await ask(client.workflows.instances.get, "order", "a")

            await close(client)
        assert found.status == "running"
        assert heard[0].splitlines()[0] == b"GET /client/v4/accounts/local/workflows/order/instances/a HTTP/1.1"
        assert len(heard) == 2


async def test_change_is_not_repeated_when_the_connection_breaks(make: Any) -> None:
    """It may have been done; the error says that it was sent."""
    with misbehaving(b"") as (url, heard):
        client = make(url)

        with pytest.raises(Unreachable) as lost:
            await ask(client.workflows.instances.restart, "order", "a")

        await close(client)
    assert (lost.value.is_sent, lost.value.status, len(heard)) == (True, 0, 1)


async def test_creation_is_repeated_with_its_id_and_its_key(make: Any) -> None:
    """The second request is the first one."""
    created = _whole(GOOD.replace(b'{"status"', b'{"id": "a", "status"'))
    with misbehaving(b"", created) as (url, heard):
        client = make(url)

        await ask(client.workflows.instances.create, "order", params={"n": 1})

        await close(client)
    assert heard[0] == heard[1]
    assert b"idempotency-key: " in heard[0].lower()


async def test_server_that_is_not_there_is_told(make: Any) -> None:
    """The address is named; nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    client = make(url, api_token="secret-token")

    with pytest.raises(Unreachable) as lost:
        await ask(client.workflows.instances.restart, "order", "a")

    await close(client)
    assert not lost.value.is_sent
    assert url in str(lost.value)
    assert "secret-token" not in str(lost.value)


async def test_server_that_is_silent_is_told(make: Any) -> None:
    """TimedOut is a TimeoutError and Unreachable, and says how long was waited."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = make(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.05, max_retries=1)

        with pytest.raises(TimedOut) as lost:
            await ask(client.workflows.instances.get, "order", "a")

        await close(client)
    assert isinstance(lost.value, TimeoutError)
    assert "time-out of 0.05 s" in str(lost.value)


async def test_events_go_on_where_the_connection_broke(make: Any) -> None:
    """Over a real socket: cut in an event, then between two, then whole."""
    stream = HEAD.replace(b"application/json", b"text/event-stream") + b"transfer-encoding: chunked\r\n\r\n"
    first, second, third = EVENT % (16, 16), EVENT % (17, 17), EVENT % (32, 32)
    cut = stream + _chunk(first) + _chunk(second[:20])
    short = stream + _chunk(second)
    whole = stream + _chunk(third) + _chunk(b"id: 48\n\n") + b"0\r\n\r\n"
    with misbehaving(cut, short, whole) as (url, heard):
        client = make(url)

        events = await ask(client.workflows.instances.subscribe, "order", "a", types=["t", "u"])

        await close(client)
    assert [(type(event), event.event_id) for event in events] == [(InstanceEvent, id) for id in (16, 17, 32)]
    path = b"GET /client/v4/accounts/local/stepwell/workflows/order/instances/a/events?"
    assert [request.splitlines()[0] for request in heard] == [
        path + b"filter=t&filter=u HTTP/1.1",
        path + b"cursor=16&filter=t&filter=u HTTP/1.1",
        path + b"cursor=17&filter=t&filter=u HTTP/1.1",
    ]
    assert {line for request in heard for line in request.splitlines() if line.lower().startswith(b"accept:")} == {
        b"accept: text/event-stream"
    }


async def test_stream_that_is_left_is_closed(make: Any) -> None:
    """The server sees the end of the connection as soon as nobody reads on."""
    seen: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(20)

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            _request(connection)
            head = HEAD.replace(b"application/json", b"text/event-stream") + b"transfer-encoding: chunked\r\n\r\n"
            connection.sendall(head + _chunk(EVENT % (16, 16)))
            connection.settimeout(20)
            seen.append(connection.recv(1))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    client = make(f"http://127.0.0.1:{listening.getsockname()[1]}")

    (event,) = await take(1, client.workflows.instances.subscribe, "order", "a")

    await asyncio.to_thread(thread.join, 20)
    await close(client)
    listening.close()
    assert (event.event_id, seen) == (16, [b""])


async def test_bytes_that_break_off_are_told(make: Any) -> None:
    """They are fewer than were announced."""
    head = HEAD.replace(b"application/json", b"application/octet-stream") + b"content-length: 10\r\n\r\n"
    with misbehaving(head + b"abc") as (url, _):
        client = make(url)

        with pytest.raises(Unreachable):
            await ask(client.workflows.instances.step_output, "order", "a", "film-1")

        await close(client)


def _chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


@pytest.mark.parametrize(
    ("timeout_s", "wait_s", "read"), [(5.0, 0.0, 5.0), (5.0, 30.0, 35.0), (None, 30.0, None)], ids=str
)
def test_server_that_is_asked_to_wait_may_be_silent_meanwhile(
    timeout_s: float | None, wait_s: float, read: float | None
) -> None:
    """That comes on top of the time-out; where there is none there is none."""
    options = options_of(get("/x", wait_s=wait_s), Settings(timeout_s=timeout_s))

    assert (options["timeout"].read, options["timeout"].connect) == (read, timeout_s)


def test_moment_without_a_zone_is_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine's own zone; others are turned into UTC."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    berlin = datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))

    query = encode_query({"naive": datetime(2026, 7, 1, 12), "berlin": berlin})  # noqa: DTZ001 - that is what is tested

    monkeypatch.undo()
    time.tzset()
    assert query == (("naive", "2026-07-01T12:00:00.000Z"), ("berlin", "2026-07-01T10:00:00.000Z"))


@pytest.mark.parametrize("kind", KINDS, ids=["sync", "async"])
async def test_redirect_is_not_followed(kind: Any) -> None:
    """A token goes nowhere else."""
    heard = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        heard.append(request.url.host)
        return httpx2.Response(302, headers={"location": "http://elsewhere.example/"})

    http = _http(kind, answer, follow_redirects=True)
    client = kind("http://here.example", api_token="secret", http_client=http)

    with pytest.raises(Exception, match="status 302"):
        await ask(client.workflows.get, "order")

    assert heard == ["here.example"]


@pytest.mark.parametrize("kind", KINDS, ids=["sync", "async"])
async def test_client_that_was_given_stays_open(kind: Any) -> None:
    """Who has opened connections closes them; a client of our own has its closed with itself."""
    http = _http(kind, lambda _: httpx2.Response(503, json={}))
    lent, own = kind(http_client=http, max_retries=0), kind()

    with pytest.raises(ServerError):
        await ask(lent.workflows.get, "order")
    for client in (lent, own):
        if kind is Client:
            with client:
                pass
        else:
            async with client:
                pass

    assert (http.is_closed, own._http.is_closed) == (False, True)


@pytest.mark.parametrize("kind", KINDS, ids=["sync", "async"])
@pytest.mark.parametrize(
    "id",
    ["", ".", "..", "\ud800", "a" * 1_001, 7, None],
    ids=["empty", "dot", "dots", "half", "long", "number", "none"],
)
async def test_id_that_leads_elsewhere_or_is_none_is_refused(kind: Any, id: Any) -> None:
    """Nothing is sent."""
    client = kind(http_client=_http(kind, lambda _: pytest.fail("it was sent")))

    with pytest.raises(InvalidInput):
        await ask(client.workflows.instances.delete, "order", id)


@pytest.mark.parametrize("kind", KINDS, ids=["sync", "async"])
async def test_what_is_no_json_is_refused(kind: Any) -> None:
    """The error names the type; nothing is sent."""
    client = kind(http_client=_http(kind, lambda _: pytest.fail("it was sent")))

    with pytest.raises(InvalidInput, match="object"):
        await ask(client.workflows.instances.send_event, "order", "a", "approved", object())


@pytest.mark.parametrize("kind", KINDS, ids=["sync", "async"])
@pytest.mark.parametrize("value", [float("nan"), {"a": [float("-inf")]}], ids=["nan", "within"])
async def test_number_that_json_lacks_is_refused(kind: Any, value: Any) -> None:
    """It would arrive as null, and nobody would know."""
    client = kind(http_client=_http(kind, lambda _: pytest.fail("it was sent")))

    with pytest.raises(InvalidInput, match="not a JSON number"):
        await ask(client.workflows.instances.create, "order", params=value)
    with pytest.raises(InvalidInput, match="not a JSON number"):
        await ask(client.workflows.instances.send_event, "order", "a", "approved", value)


@pytest.mark.parametrize("kind", KINDS, ids=["sync", "async"])
@pytest.mark.parametrize("method", ["delete_batch", "terminate_batch", "subscribe"])
async def test_text_is_not_taken_for_its_characters(kind: Any, method: str) -> None:
    """Where several are wanted, "abc" would end a, b and c."""
    client = kind(http_client=_http(kind, lambda _: pytest.fail("it was sent")))
    given = {"types": "abc"} if method == "subscribe" else {}

    with pytest.raises(InvalidInput, match="several texts"):
        await ask(getattr(client.workflows.instances, method), "order", "abc", **given)


@pytest.mark.parametrize("kind", KINDS, ids=["sync", "async"])
@pytest.mark.parametrize("new", [{"id": "a"}, "a"], ids=["id", "a text"])
async def test_member_that_no_new_instance_has_is_refused(kind: Any, new: Any) -> None:
    """Servers would pass over it, and create another instance than was meant."""
    client = kind(http_client=_http(kind, lambda _: pytest.fail("it was sent")))

    with pytest.raises(InvalidInput, match="instance_id, params"):
        await ask(client.workflows.instances.create_batch, "order", [new])


@pytest.mark.parametrize("kind", KINDS, ids=["sync", "async"])
async def test_id_that_is_empty_is_the_servers_to_refuse(kind: Any) -> None:
    """No other one is made in its place."""
    sent: list[Any] = []

    def refuse(request: httpx2.Request) -> httpx2.Response:
        sent.append(json.loads(request.read()))
        return httpx2.Response(400, json={"success": False, "errors": [{"code": 10002, "message": "no"}]})

    client = kind(http_client=_http(kind, refuse))

    with pytest.raises(InvalidRequest):
        await ask(client.workflows.instances.create, "order", instance_id="")

    assert sent == [{"instance_id": ""}]


def _http(kind: Any, answer: Any, **options: Any) -> Any:
    transport = httpx2.MockTransport(answer)
    return (httpx2.Client if kind is Client else httpx2.AsyncClient)(transport=transport, **options)
