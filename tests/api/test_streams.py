"""What callers hold open: how much, and until when. With real sockets where it is about those."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest

from stepwell.api import create_app, streams
from stepwell.api.refusals import TooManyStreams
from stepwell.api.streams import Cut, Streams, Waits
from stepwell.clock import VirtualClock
from stepwell.engine import Engine
from stepwell.errors import StoreUnavailable
from stepwell.server_settings import Settings
from stepwell.sessions import Sessions
from stepwell.tokens import Caller, Permission, Tokens
from tests.api.histories import Histories
from tests.api.signed_in import session_of
from tests.api.test_events import OWN, answered, opened, refusal, serving, stream_token

INSTANCE = "client/v4/accounts/local/workflows/order/instances/a"
LOGS = "client/v4/accounts/local/stepwell/workflows/order/instances/a/logs?follow=true"
HANDSHAKE = (
    "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
DAY_MS = 86_400_000

# What is asked for, and its headers.
KINDS = [
    pytest.param(OWN, "", id="events"),
    pytest.param(LOGS, "", id="log"),
    pytest.param("ui/live?topics=overview", "", id="dashboard"),
    pytest.param(f"{INSTANCE}/subscribe", HANDSHAKE, id="WebSocket"),
]


class Line(NamedTuple):
    """A connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    status: int
    head: str

    def cut(self) -> None:
        """Cut it without a word: the other end hears of a reset."""
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


async def asked(port: int, path: str, headers: str = "", secret: str = "") -> Line:
    """Ask for something that goes on; return when the head of the answer is there."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    bearer = f"authorization: Bearer {secret}\r\n" if secret else ""
    writer.write(f"GET /{path} HTTP/1.1\r\nhost: localhost\r\n{bearer}{headers}\r\n".encode())
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode()
    return Line(reader, writer, int(head.split()[1]), head)


async def soon(holds: Callable[[], Awaitable[bool]]) -> None:
    """Look until something holds."""
    async with asyncio.timeout(10):
        while not await holds():
            pass


@pytest.fixture
def tokens(engine: Engine, clock: VirtualClock) -> Tokens:
    """The tokens of the store."""
    return Tokens(engine.store, clock)


async def rest_of(line: Line, *, is_socket: bool) -> bytes:
    """Return what still comes of something that is ended: up to its last chunk, or the frame that closes with 1008."""
    last, rest = b"\x88\x02\x03\xf0" if is_socket else b"0\r\n\r\n", b""
    async with asyncio.timeout(10):
        while not rest.endswith(last):
            rest += await line.reader.read(100_000) or b"cut off, not ended"
    return rest


@asynccontextmanager
async def guarded(engine: Engine, histories: Histories, tokens: Tokens) -> AsyncIterator[int]:
    """The port of a server that asks for tokens and has an instance that runs."""
    await histories.turn("order", "a")
    async with serving(create_app(engine, account=None, hosts=None, tokens=tokens)) as (port, _):
        yield port


# ---- how many


def test_token_has_at_most_half_of_the_streams() -> None:
    """One that is used everywhere keeps nobody else out; who needs no token is bounded by the server alone."""
    open_streams, told = Streams(), Settings(log_streams=5)
    places = [open_streams.take(told, lambda: None, "ann") for _ in range(2)]

    with pytest.raises(TooManyStreams, match=r"2 streams with this token are open .* setting log_streams_of_token"):
        open_streams.take(told, lambda: None, "ann")
    places[0].end()
    open_streams.take(told, lambda: None, "ann")
    open_streams.take(told, lambda: None, "bob")

    assert [open_streams.take(told, lambda: None, None) for _ in range(2)] != []
    with pytest.raises(TooManyStreams, match=r"5 streams are open already.* setting log_streams$"):
        open_streams.take(told, lambda: None, None)


def test_setting_says_how_many_streams_a_token_has() -> None:
    """It may be more than half of them, or fewer."""
    for most in (1, 4):
        open_streams, told = Streams(), Settings(log_streams=5, log_streams_of_token=most)
        for _ in range(most):
            open_streams.take(told, lambda: None, "ann")

        with pytest.raises(TooManyStreams):
            open_streams.take(told, lambda: None, "ann")
        open_streams.take(told, lambda: None, "bob")


def test_token_has_at_most_half_of_the_requests_that_wait() -> None:
    """Whoever has no place is answered at once, and places come back."""
    waits, told = Waits(), Settings(waiting_requests=4)
    given = [waits.take(told, "ann") for _ in range(3)]
    others = [waits.take(told, token) for token in ("bob", None, "bob")]

    assert [back is not None for back in (*given, *others)] == [True, True, False, True, True, False]
    for back in (*given, *others):
        if back is not None:
            back()
    assert waits.count == 0
    assert [waits.take(told, "ann") is not None for _ in range(3)] == [True, True, False]


async def test_stream_by_a_streams_token_is_its_tokens(engine: Engine, histories: Histories, tokens: Tokens) -> None:
    """Nobody has more streams because he asks for each with a token of its own."""
    secret = await tokens.create("local", [Permission.TAIL_READ])
    engine.settings = Settings(log_streams=3)
    async with guarded(engine, histories, tokens) as port:
        made = [await stream_token(port, secret) for _ in range(2)]
        paths = [f"{INSTANCE}/subscribe?token={one['token']}" for one in made]
        async with opened(port, paths[0]):
            refused = await refusal(port, paths[1])
            answer = await answered(port, OWN, headers={"authorization": f"Bearer {secret}"})

    assert refused[:2] == (429, 10429)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")


# ---- until when


@pytest.mark.parametrize(("path", "headers"), KINDS)
async def test_place_comes_back_when_the_line_is_cut(
    engine: Engine, histories: Histories, tokens: Tokens, path: str, headers: str
) -> None:
    """However abruptly: the next one is let in."""
    secret = await tokens.create("local", [Permission.TAIL_READ])
    engine.settings = Settings(log_streams=1)
    async with guarded(engine, histories, tokens) as port:
        first = await asked(port, path, headers, secret)
        refused = await asked(port, path, headers, secret)
        first.cut()

        async def is_let_in() -> bool:
            line = await asked(port, path, headers, secret)
            line.cut()
            return line.status in (101, 200)

        await soon(is_let_in)
        await soon(is_let_in)
        refused.cut()

    assert (first.status in (101, 200), refused.status) == (True, 429)


async def test_request_that_waits_ends_when_the_line_is_cut(
    engine: Engine, histories: Histories, tokens: Tokens
) -> None:
    """Its place is free long before the time is over for which it wished to wait."""
    secret = await tokens.create("local", [Permission.TAIL_READ])
    engine.settings = Settings(waiting_requests=1)
    async with guarded(engine, histories, tokens) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        bearer = f"authorization: Bearer {secret}\r\n"
        writer.write(f"GET /{INSTANCE} HTTP/1.1\r\nhost: localhost\r\n{bearer}prefer: wait=60\r\n\r\n".encode())

        async def waits_none() -> bool:
            line = await asked(port, INSTANCE, "prefer: wait=1\r\n", secret)
            line.cut()
            return "preference-applied" not in line.head

        await soon(waits_none)
        Line(reader, writer, 0, "").cut()

        async def waits() -> bool:
            return not await waits_none()

        await soon(waits)


@pytest.mark.parametrize("end", ["revoked", "expired"])
@pytest.mark.parametrize(("path", "headers"), KINDS)
async def test_stream_ends_with_its_token(  # noqa: PLR0917 - fixtures, and what is asked for
    engine: Engine,
    histories: Histories,
    tokens: Tokens,
    clock: VirtualClock,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    headers: str,
    end: str,
) -> None:
    """Soon after it was revoked, by whatever process, or has expired; other tokens' streams go on."""
    monkeypatch.setattr(streams, "LOOK_EVERY_S", 0.02)
    ann = await tokens.create("local", [Permission.TAIL_READ], lifetime_ms=DAY_MS)
    bob = await tokens.create("local", [Permission.TAIL_READ])
    async with guarded(engine, histories, tokens) as port:
        hers, his = [await asked(port, path, headers, secret) for secret in (ann, bob)]
        if end == "revoked":
            await tokens.revoke(ann.split("_")[1])
        else:
            clock.move_to(clock.now() + DAY_MS)

        rest = await rest_of(hers, is_socket=bool(headers))

        # Nothing says that the instance has ended.
        assert b"id: 48\n\n" not in rest
        assert not his.reader.at_eof()
        again = await asked(port, path, headers, ann)
        assert again.status == 401
        for line in (hers, his, again):
            line.cut()


async def test_socket_of_a_streams_token_ends_with_the_token_behind_it(
    engine: Engine, histories: Histories, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is closed with 1008, and what it was opened with opens nothing more."""
    monkeypatch.setattr(streams, "LOOK_EVERY_S", 0.02)
    secret = await tokens.create("local", [Permission.TAIL_READ])
    async with guarded(engine, histories, tokens) as port:
        path = f"{INSTANCE}/subscribe?token={(await stream_token(port, secret))['token']}"
        async with opened(port, path) as connection:
            await tokens.revoke(secret.split("_")[1])
            await asyncio.wait_for(connection.wait_closed(), 10)
        refused = await refusal(port, path)

    assert connection.close_code == 1008
    assert refused[:2] == (401, 10000)
    assert "is good no more" in refused[2]


@pytest.mark.parametrize("end", ["signed out", "lifetime"])
@pytest.mark.parametrize(("path", "headers"), KINDS)
async def test_stream_ends_with_its_session(  # noqa: PLR0917 - fixtures, and what is asked for
    engine: Engine,
    histories: Histories,
    tokens: Tokens,
    clock: VirtualClock,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    headers: str,
    end: str,
) -> None:
    """Soon after somebody signed out, or it is over; the token's own streams, and its other sessions', go on."""
    monkeypatch.setattr(streams, "LOOK_EVERY_S", 0.02)
    secret = await tokens.create("local", [Permission.SCRIPTS_WRITE])
    async with guarded(engine, histories, tokens) as port:
        session, other = [await session_of(tokens, secret) for _ in range(2)]
        cookies = [f"cookie: stepwell_session={each}\r\n" for each in (session, other)]
        hers, others = [await asked(port, path, headers + cookie) for cookie in cookies]
        mine = await asked(port, path, headers, secret)
        if end == "signed out":
            await Sessions(tokens, Settings()).end(await _caller_of(tokens, session))
        else:
            clock.move_to(clock.now() + DAY_MS + 1)
        assert (hers.status, others.status, mine.status) == (101 if headers else 200,) * 3

        await rest_of(hers, is_socket=bool(headers))

        again = await asked(port, path, headers + cookies[0])
        assert again.status == 401
        if end == "lifetime":
            await rest_of(others, is_socket=bool(headers))
        for line in (others, mine):
            assert not line.reader.at_eof()
        for line in (hers, others, mine, again):
            line.cut()


async def _caller_of(tokens: Tokens, session: str) -> Caller:
    caller = await Sessions(tokens, Settings()).find(session)
    assert caller is not None
    return caller


async def test_streams_token_that_a_page_has_asked_for_ends_with_its_session(
    engine: Engine, histories: Histories, tokens: Tokens
) -> None:
    """It opens nothing more when somebody has signed out, though the token that he had signed in with is good."""
    secret = await tokens.create("local", [Permission.SCRIPTS_READ])
    session = await session_of(tokens, secret)
    async with guarded(engine, histories, tokens) as port:
        cookie = {"cookie": f"stepwell_session_{port}={session}"}
        made = (await answered(port, f"{INSTANCE}/subscribe/token", headers=cookie)).json()["result"]["token"]
        path = f"{INSTANCE}/subscribe?token={made}"
        async with opened(port, path):
            pass
        await Sessions(tokens, Settings()).end(await _caller_of(tokens, session))

        refused = await refusal(port, path)

    assert refused[:2] == (401, 10000)


async def test_store_that_is_away_ends_no_stream(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be looked up is looked up again later."""
    monkeypatch.setattr(streams, "LOOK_EVERY_S", 0.01)
    answers: list[Any] = [StoreUnavailable("away"), True, False]

    async def is_good(self: Sessions, token: str, session: str | None) -> bool:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)

    monkeypatch.setattr(Sessions, "is_good", is_good)
    cut = asyncio.Event()
    place = Streams(Sessions(tokens, Settings())).take(Settings(), cut.set, "ann")
    await asyncio.wait_for(cut.wait(), 5)

    assert (place.cut, answers) == (Cut.TOKEN_ENDED, [])
    place.end()


async def test_nothing_is_looked_up_when_nothing_is_open(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server whose streams are over has nothing left that runs; one that is opened later is looked after again."""
    monkeypatch.setattr(streams, "LOOK_EVERY_S", 0.01)
    before = asyncio.all_tasks()
    open_streams, cut = Streams(Sessions(tokens, Settings())), asyncio.Event()
    for _ in range(2):
        open_streams.take(Settings(), lambda: None, "gone").end()
    await asyncio.sleep(0)
    left = asyncio.all_tasks() - before
    open_streams.take(Settings(), cut.set, "gone")
    await asyncio.wait_for(cut.wait(), 5)
    open_streams.end()

    assert left == set()
    assert open_streams.count == 1
