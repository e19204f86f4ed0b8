"""The streams of what happens to an instance, on a real socket: WebSocket, its token, and Server-Sent Events."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from stepwell.api import Api, create_app, events
from stepwell.clock import VirtualClock
from stepwell.engine import Engine
from stepwell.hosts import LOOPBACK_HOSTS
from stepwell.http_server import HttpServer
from stepwell.server_settings import Settings
from stepwell.tokens import Permission, Tokens
from tests.api.histories import Histories, Turn, do

ORDER = "client/v4/accounts/local/workflows/order/instances/a"
OWN = "client/v4/accounts/local/stepwell/workflows/order/instances/a/events"
# What is told of an instance whose only step has failed.
ERRORED = [
    (16, "workflow_queued"),
    (32, "workflow_started"),
    (33, "workflow_running"),
    (48, "step_started"),
    (49, "attempt_started"),
    (64, "attempt_errored"),
    (80, "step_errored"),
    (96, "workflow_errored"),
]


@asynccontextmanager
async def serving(app: Api) -> AsyncIterator[tuple[int, HttpServer]]:
    """Serve an application; give its port, and the server."""
    sock = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(app, has_sockets=True)
    await server.start(sock)
    try:
        yield sock.getsockname()[1], server
    finally:
        app.end_streams()
        await server.stop(0.5)


@pytest.fixture
def api(engine: Engine, histories: Histories) -> Api:
    """The application as `stepwell dev` runs it."""
    return create_app(engine, account="local", hosts=LOOPBACK_HOSTS)


@pytest.fixture
async def port(api: Api) -> AsyncIterator[int]:
    """The port of a server that asks for no token."""
    async with serving(api) as (port, _):
        yield port


@pytest.fixture
def tokens(engine: Engine, clock: VirtualClock) -> Tokens:
    """The tokens of the store."""
    return Tokens(engine.store, clock)


@pytest.fixture
async def guarded(engine: Engine, histories: Histories, tokens: Tokens) -> AsyncIterator[int]:
    """The port of a server that asks for tokens."""
    async with serving(create_app(engine, account=None, hosts=None, tokens=tokens)) as (port, _):
        yield port


def opened(port: int, path: str = f"{ORDER}/subscribe", **more: Any) -> AbstractAsyncContextManager[ClientConnection]:
    """Open a WebSocket."""
    return connect(f"ws://127.0.0.1:{port}/{path}", proxy=None, **more)


async def told(connection: ClientConnection) -> tuple[list[tuple[int, str]], int | None]:
    """Return number and type of each event to the end, and the code with which the socket is closed."""
    seen = []
    with suppress(ConnectionClosed):
        while True:
            seen.append(json.loads(await connection.recv()))
    return [(event["eventId"], event["type"]) for event in seen], connection.close_code


async def refusal(port: int, path: str = f"{ORDER}/subscribe", **more: Any) -> tuple[int, int, str]:
    """Return status, code and message with which a WebSocket is refused."""
    with pytest.raises(InvalidStatus) as refused:
        async with opened(port, path, **more):
            pass
    answer = refused.value.response
    (problem,) = json.loads(answer.body or b"")["errors"]
    return answer.status_code, problem["code"], problem["message"]


async def answered(port: int, path: str, method: str = "GET", **more: Any) -> httpx.Response:
    """Ask for something and read the answer to its end."""
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.request(method, f"http://127.0.0.1:{port}/{path}", **more)


@asynccontextmanager
async def followed(port: int) -> AsyncIterator[AsyncIterator[str]]:
    """Follow an instance whose turn has begun, by Server-Sent Events; give the lines behind those that tell so."""
    url = f"http://127.0.0.1:{port}/{OWN}"
    async with httpx.AsyncClient(trust_env=False) as client, client.stream("GET", url) as answer:
        lines = answer.aiter_lines()
        past = [await anext(lines) for _ in range(9)]
        assert past[::3] == ["id: 16", "id: 32", "id: 33"]
        yield lines


# ---- the WebSocket


async def test_socket_tells_history_and_then_what_happens(port: int, histories: Histories) -> None:
    """One JSON object in each text frame, the past first; 1000 behind the end."""
    turn = await histories.turn("order", "a", '{"orderId": 7}')

    async with opened(port) as connection:
        past = [await connection.recv() for _ in range(3)]
        await turn.step(do("charge"), '{"paid":true}')
        await turn.complete("[1]")
        seen = [json.loads(frame) for frame in past] + [json.loads(frame) async for frame in connection]

    assert all(isinstance(frame, str) for frame in past)
    assert [(event["type"], event.get("output")) for event in seen] == [
        ("workflow_queued", None),
        ("workflow_started", None),
        ("workflow_running", None),
        ("step_started", None),
        ("attempt_started", None),
        ("attempt_completed", None),
        ("step_completed", {"paid": True}),
        ("workflow_completed", [1]),
    ]
    assert seen[1] == {
        "instanceId": "a",
        "eventId": 32,
        "timestamp": 1_795_428_000_010,
        "type": "workflow_started",
        "params": {"orderId": 7},
    }
    assert connection.close_code == 1000


async def test_error_is_told_with_its_attempt(port: int, histories: Histories) -> None:
    """An error is its name and message; the step's own end has none, as on Cloudflare."""
    await histories.errored("order", "a")

    async with opened(port) as connection:
        seen = [json.loads(frame) async for frame in connection]

    error = {"name": "ValueError", "message": "the card was refused"}
    assert [(event["type"], event.get("error")) for event in seen[-3:]] == [
        ("attempt_errored", error),
        ("step_errored", None),
        ("workflow_errored", error),
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("", ERRORED, id="all"),
        pytest.param("?cursor=0", ERRORED, id="cursor before all"),
        pytest.param("?cursor=49", ERRORED[5:], id="cursor"),
        pytest.param("?cursor=50", ERRORED[5:], id="cursor between events"),
        pytest.param("?cursor=96", [], id="cursor at the end"),
        pytest.param("?filter=step_errored", [ERRORED[6]], id="filter without the end"),
        pytest.param("?filter=step_errored&filter=workflow_errored", ERRORED[6:], id="two types"),
        pytest.param("?filter=rollback_started", [], id="type of which there is none"),
        pytest.param("?cursor=64&filter=attempt_errored", [], id="cursor and filter"),
    ],
)
async def test_query_chooses_events(
    port: int, histories: Histories, query: str, expected: list[tuple[int, str]]
) -> None:
    """`cursor` and `filter` choose, on the WebSocket as without one; both end behind the end of the instance."""
    await histories.errored("order", "a")

    async with opened(port, f"{ORDER}/subscribe{query}") as connection:
        over_socket = await told(connection)
    answer = await answered(port, OWN + query)

    assert over_socket == (expected, 1000)
    assert [(int(id), event["type"]) for id, event in blocks(answer.text)[:-1]] == expected


async def test_deletion_closes_the_socket(port: int, engine: Engine, histories: Histories) -> None:
    """A subscriber of an instance that is deleted is told that there is nothing more."""
    await histories.turn("order", "a")

    async with opened(port, f"{ORDER}/subscribe?cursor=33") as connection:
        await engine.control.delete("local", "order", "a")

        assert await told(connection) == ([], 1000)


async def test_stop_of_the_server_ends_every_stream(api: Api, histories: Histories) -> None:
    """1012 tells to come back; other streams just end. No stream keeps a server from stopping."""
    await histories.turn("order", "a")
    async with (
        serving(api) as (port, server),
        opened(port, f"{ORDER}/subscribe?cursor=33") as connection,
        followed(port) as lines,
    ):
        api.end_streams()
        await asyncio.wait_for(server.stop(30), 5)

        assert await told(connection) == ([], 1012)
        assert [line async for line in lines] == []


async def test_what_a_client_sends_is_ignored_up_to_a_bound(port: int, histories: Histories) -> None:
    """Some messages are thrown away; one that is too large, or too many, close the socket."""
    turn = await histories.turn("order", "a")

    async with opened(port) as patient, opened(port) as large, opened(port) as chatty:
        await patient.send("hello")
        await patient.send(b"\x00" * 10_000)
        await large.send("x" * 20_000)
        for _ in range(7):
            await chatty.send("x" * 10_000)
        closed = [await told(large), await told(chatty)]
        await turn.complete()

        assert closed == [(ERRORED[:3], 1009), (ERRORED[:3], 1008)]
        assert await told(patient) == ([*ERRORED[:3], (48, "workflow_completed")], 1000)


async def test_slow_reader_holds_back_nobody(port: int, histories: Histories) -> None:
    """One that reads nothing of a long history gets no more than its connection holds; others get all."""
    turn = await histories.turn("order", "a")
    for number in range(40):
        await turn.step(do("page", number + 1), '"' + "x" * 500_000 + '"')

    async with opened(port, max_queue=1) as slow:
        async with opened(port, f"{ORDER}/subscribe?filter=step_completed") as quick:
            frames = [await quick.recv() for _ in range(40)]
            await turn.complete()

            assert await told(quick) == ([], 1000)
        assert min(map(len, frames)) > 500_000
        assert len((await told(slow))[0]) == 3 + 4 * 40 + 1


# ---- what is refused


@pytest.mark.parametrize(
    ("path", "more", "status", "text"),
    [
        pytest.param(f"{ORDER}x/subscribe", {}, 404, 'no instance "ax"', id="no such instance"),
        pytest.param(f"{ORDER}/subscribe".replace("order", "none"), {}, 404, 'no workflow "none"', id="no workflow"),
        pytest.param(f"{ORDER}/subscribe?cursor=-1", {}, 400, "cursor must be an integer from 0", id="cursor"),
        pytest.param(f"{ORDER}/subscribe?filter=done", {}, 400, "filter must be one of: workflow_queued", id="filter"),
        pytest.param(f"{ORDER}/subscribe?token=1.x", {}, 401, "not for the stream of this instance", id="token"),
        pytest.param(ORDER, {}, 400, "which this route is not", id="route that is no WebSocket"),
        pytest.param("nothing", {}, 404, "no such route", id="no such route"),
        pytest.param(
            f"{ORDER}/subscribe", {"origin": "https://evil.example"}, 403, "may not read anything", id="foreign page"
        ),
        pytest.param(
            f"{ORDER}/subscribe", {"additional_headers": {"Host": "evil.example"}}, 403, "Host header", id="host"
        ),
    ],
)
async def test_socket_is_refused_before_the_upgrade(  # noqa: PLR0917 - what is asked, and what is answered
    port: int,
    histories: Histories,
    caplog: pytest.LogCaptureFixture,
    path: str,
    more: dict[str, Any],
    status: int,
    text: str,
) -> None:
    """What is wrong is a plain answer in the envelope; the server's log has a line where somebody was not let in."""
    await histories.errored("order", "a")

    refused = await refusal(port, path, **more)

    assert refused[0] == status
    assert text in refused[2]
    told = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert [line.partition(" GET ")[0] for line in told] == ([f"refused {status}"] if status in {401, 403} else [])


async def test_socket_from_this_servers_page_is_taken(port: int, histories: Histories) -> None:
    """A page of the same origin may follow."""
    await histories.errored("order", "a")

    async with opened(port, origin=f"http://127.0.0.1:{port}") as connection:
        assert await told(connection) == (ERRORED, 1000)


async def test_request_without_upgrade_is_426(port: int, histories: Histories) -> None:
    """Who asks for no WebSocket is told to, and where the same comes without one."""
    await histories.errored("order", "a")

    answer = await answered(port, f"{ORDER}/subscribe")

    assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")
    assert "/stepwell/" in answer.json()["errors"][0]["message"]


KEY = "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-version: 13\r\n"


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(f"GET /{ORDER}/subscribe HTTP/1.1\r\n", id="no key"),
        pytest.param(f"GET /{ORDER}/subscribe HTTP/1.1\r\n{KEY}".replace(": 13", ": 12"), id="other version"),
        pytest.param(f"POST /{ORDER}/subscribe HTTP/1.1\r\n{KEY}", id="other method"),
        pytest.param(f"GET /{ORDER}/subscribe HTTP/1.1\r\nx: {'y' * 10_000}\r\n{KEY}", id="long header"),
        pytest.param(f"GET /{ORDER}/\xe9 HTTP/1.1\r\n{KEY}", id="address that is not ASCII"),
    ],
)
async def test_handshake_that_is_none_is_refused(port: int, head: str) -> None:
    """A wrong handshake is answered in the envelope, and the connection closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    line, _, rest = head.partition("\r\n")
    upgrade = "host: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n"

    writer.write(f"{line}\r\n{upgrade}{rest}\r\n".encode("latin-1"))
    status, _, answer = (await asyncio.wait_for(reader.read(), 5)).partition(b"\r\n")
    writer.close()
    await writer.wait_closed()

    assert int(status.split()[1]) in (400, 405)
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["errors"][0]["code"] == 10002


async def test_streams_are_bounded_and_give_their_place_back(engine: Engine, histories: Histories) -> None:
    """Streams of all kinds count together; one too many is 429, and a place is free when its stream has ended."""
    await histories.turn("order", "a")
    engine.settings = Settings(log_streams=1)
    async with serving(create_app(engine, account="local", hosts=None)) as (port, _):
        async with opened(port):
            refused = [(await refusal(port))[:2]]
            answer = await answered(port, OWN)
        for _ in range(3):
            async with opened(port) as connection:
                await connection.recv()

    assert refused == [(429, 10429)]
    assert answer.status_code == 429


async def test_refused_stream_takes_no_place(engine: Engine, histories: Histories) -> None:
    """What is refused for another reason does not count."""
    await histories.errored("order", "a")
    engine.settings = Settings(log_streams=1)
    async with serving(create_app(engine, account="local", hosts=None)) as (port, _):
        for _ in range(3):
            assert (await refusal(port, f"{ORDER}x/subscribe"))[0] == 404
            assert (await answered(port, OWN.replace("/a/", "/x/"))).status_code == 404
            assert (await answered(port, OWN, "HEAD")).status_code == 200
            assert (await answered(port, OWN, headers={"last-event-id": "96"})).status_code == 204
        assert [(await answered(port, OWN)).status_code for _ in range(3)] == [200] * 3


# ---- tokens


async def test_socket_asks_for_a_token(guarded: int, histories: Histories, tokens: Tokens) -> None:
    """Who may read may follow, with the headers of any GET."""
    await histories.errored("order", "a")
    reads = await tokens.create("local", [Permission.TAIL_READ])
    deploys = await tokens.create("local", [Permission.DEPLOY])
    foreign = await tokens.create("acme", [Permission.TAIL_READ])

    headers = [{}, {"Authorization": f"Bearer {deploys}"}, {"Authorization": f"Bearer {foreign}"}]
    refused = [await refusal(guarded, additional_headers=given) for given in headers]
    async with opened(guarded, additional_headers={"Authorization": f"Bearer {reads}"}) as connection:
        seen = await told(connection)

    assert [status for status, *_ in refused] == [401, 403, 403]
    assert seen == (ERRORED, 1000)


async def stream_token(port: int, secret: str) -> dict[str, str]:
    """Ask for the token of a stream."""
    answer = await answered(port, f"{ORDER}/subscribe/token", headers={"Authorization": f"Bearer {secret}"})
    assert set(answer.json()["result"]) == {"token", "expires_at"}
    found: dict[str, str] = answer.json()["result"]
    return found


async def test_stream_token_opens_one_stream_for_a_minute(
    guarded: int, histories: Histories, tokens: Tokens, clock: VirtualClock
) -> None:
    """A page that cannot send headers gives it in the query; for another instance, or later, it is good for nothing."""
    await histories.errored("order", "a")
    await histories.errored("order", "b")
    secret = await tokens.create("local", [Permission.TAIL_READ])
    made = await stream_token(guarded, secret)
    query = f"subscribe?token={made['token']}"

    async with opened(guarded, f"{ORDER}/{query}", origin="https://page.example") as connection:
        seen = await told(connection)
    other = await refusal(guarded, f"{ORDER[:-1]}b/{query}")
    elsewhere = await refusal(guarded, f"{ORDER}/{query}".replace("/local/", "/acme/"))
    forged = await refusal(guarded, f"{ORDER}/subscribe?token=9{made['token']}")
    twice = await refusal(guarded, f"{ORDER}/{query}&token=x")
    log = await answered(guarded, f"{ORDER}?token={made['token']}")
    clock.move_to(clock.now() + 60_000)
    late = await refusal(guarded, f"{ORDER}/{query}")

    assert seen == (ERRORED, 1000)
    assert made["expires_at"] == "2026-11-23T10:01:00.100Z"
    assert [one[0] for one in (other, elsewhere, forged, twice, late)] == [401, 401, 401, 400, 401]
    assert "has expired" in late[2]
    assert log.status_code == 401


async def test_stream_token_ends_with_its_server(
    engine: Engine, histories: Histories, tokens: Tokens, guarded: int
) -> None:
    """Another server over the same store has another key."""
    await histories.errored("order", "a")
    made = await stream_token(guarded, await tokens.create("local", [Permission.TAIL_READ]))

    async with serving(create_app(engine, account=None, hosts=None, tokens=tokens)) as (port, _):
        refused = await refusal(port, f"{ORDER}/subscribe?token={made['token']}")

    assert refused[0] == 401


async def test_stream_token_of_what_there_is_not_is_404(port: int) -> None:
    """A token is made for an instance that is there."""
    assert (await answered(port, f"{ORDER}/subscribe/token")).status_code == 404


async def test_token_is_in_no_log(
    guarded: int, histories: Histories, tokens: Tokens, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a good token nor a wrong one is told to the server's log, at any level of the program's own loggers."""
    await histories.errored("order", "a")
    secret = await tokens.create("local", [Permission.TAIL_READ])
    token = (await stream_token(guarded, secret))["token"]
    # The client of this test logs what it sends.
    logging.getLogger("websockets.client").setLevel(logging.WARNING)

    with caplog.at_level(logging.DEBUG):
        async with opened(guarded, f"{ORDER}/subscribe?token={token}") as connection:
            await told(connection)
        await refusal(guarded, f"{ORDER}x/subscribe?token={token}")

    assert token not in caplog.text
    assert token.partition(".")[2] not in caplog.text


# ---- Server-Sent Events


def blocks(text: str) -> list[tuple[str, Any]]:
    """Return id and data of each event, as a browser reads them."""
    found = []
    for block in text.split("\n\n")[:-1]:
        lines = block.split("\n")
        data = "\n".join(line.removeprefix("data: ") for line in lines if line.startswith("data: "))
        ids = [line.removeprefix("id: ") for line in lines if line.startswith("id: ")]
        if ids:
            found.append((ids[0], json.loads(data) if data else None))
    return found


async def lines_of(port: int, turn: Turn) -> list[str]:
    """Return the lines that come before and after something happens."""
    seen: list[str] = []
    url = f"http://127.0.0.1:{port}/{OWN}"
    async with httpx.AsyncClient(trust_env=False) as client, client.stream("GET", url) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        async for line in answer.aiter_lines():
            seen.append(line)
            if line == "id: 33":
                await turn.complete("5")
    return seen


async def test_events_come_as_they_happen(port: int, histories: Histories) -> None:
    """Each is a block with its number and its JSON; the last block has the number up to which all was told."""
    turn = await histories.turn("order", "a")

    lines = await lines_of(port, turn)

    assert [line for line in lines if line.startswith("id: ")] == ["id: 16", "id: 32", "id: 33", "id: 48", "id: 48"]
    assert lines[-5:-3] == [
        "id: 48",
        'data: {"instanceId":"a","eventId":48,"timestamp":1795428000020,"type":"workflow_completed","output":5}',
    ]


async def test_params_with_line_ends_stay_one_event(port: int, histories: Histories) -> None:
    """JSON that was sent on several lines is told as what it is."""
    turn = await histories.turn("order", "a", '{"a":\r\n1,\n"b":\r2}')
    await turn.complete()

    seen = blocks((await answered(port, OWN)).text)

    assert seen[1][1]["params"] == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("headers", "query", "status", "ids"),
    [
        pytest.param({"last-event-id": "64"}, "", 200, ["80", "96", "96"], id="comes back"),
        pytest.param({"last-event-id": "64"}, "?cursor=16", 200, ["80", "96", "96"], id="comes back to its address"),
        pytest.param({"last-event-id": "64"}, "?filter=step_started", 200, ["96"], id="nothing more is wanted"),
        pytest.param({"last-event-id": "96"}, "", 204, [], id="all was told"),
        pytest.param({}, "?cursor=96", 200, ["96"], id="all was told to another"),
        pytest.param({"last-event-id": "x"}, "", 400, [], id="no number"),
    ],
)
async def test_browser_that_comes_back_goes_on(  # noqa: PLR0917 - what is asked, and what is answered
    port: int, histories: Histories, headers: dict[str, str], query: str, status: int, ids: list[str]
) -> None:
    """`Last-Event-ID` wins over the cursor of the address; 204 tells a browser to come no more."""
    await histories.errored("order", "a")

    answer = await answered(port, OWN + query, headers=headers)

    assert answer.status_code == status
    assert [id for id, _ in blocks(answer.text)] == ids


async def test_silent_stream_shows_that_it_lives(
    port: int, histories: Histories, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A comment comes now and then, which readers pass over."""
    monkeypatch.setattr(events, "SIGN_OF_LIFE_S", 0.01)
    await histories.turn("order", "a")
    url = f"http://127.0.0.1:{port}/{OWN}?cursor=33"

    async with httpx.AsyncClient(trust_env=False) as client, client.stream("GET", url) as answer:
        lines = answer.aiter_lines()

        assert [await anext(lines) for _ in range(4)] == [":", "", ":", ""]


async def test_deletion_ends_the_stream(port: int, engine: Engine, histories: Histories) -> None:
    """As the WebSocket's."""
    await histories.turn("order", "a")
    async with followed(port) as lines:
        await engine.control.delete("local", "order", "a")

        assert [line async for line in lines] == ["id: 33", ""]
