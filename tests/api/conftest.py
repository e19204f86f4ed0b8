"""An engine over an empty store, the application over it, and a real server where the socket matters."""

import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from stepwell.api import create_app
from stepwell.audit import AuditedStore
from stepwell.clock import VirtualClock
from stepwell.engine import Engine
from stepwell.hosts import LOOPBACK_HOSTS
from stepwell.http_server import HttpServer
from stepwell.moves import Moves
from stepwell.places import Layouts
from stepwell.rehearsals import Trying
from stepwell.store.sqlite import SqliteStore
from stepwell.tokens import Tokens
from tests.api.deploying import deployments
from tests.api.histories import Histories

# 2026-11-23T10:00:00.000Z
NOW = 1_795_428_000_000


@pytest.fixture
def clock() -> VirtualClock:
    """A clock that stands still."""
    return VirtualClock(NOW)


@pytest.fixture
def store() -> SqliteStore:
    """An empty store in memory; made outside the event loop, since that reads files."""
    return SqliteStore.in_memory()


@pytest.fixture
async def engine(store: SqliteStore, clock: VirtualClock) -> AsyncIterator[Engine]:
    """An engine over an empty store."""
    engine = Engine(AuditedStore(store), clock)
    yield engine
    await engine.jobs.stop()
    await store.close()


@pytest.fixture
async def histories(engine: Engine, clock: VirtualClock) -> Histories:
    """A writer of instances; the workflow `order` is known."""
    histories = Histories(engine, clock)
    await histories.register("order")
    return histories


@pytest.fixture
def app(engine: Engine) -> ASGIApp:
    """The application as `stepwell dev` runs it."""
    return create_app(
        engine, account="local", hosts=LOOPBACK_HOSTS, deployments=deployments(engine), moves=_moves(engine)
    )


def _moves(engine: Engine) -> Moves:
    return Moves(engine.store, engine.clock, Trying(Layouts(Path(tempfile.gettempdir(), "stepwell-tests"))))


@pytest.fixture
def tokens(engine: Engine, clock: VirtualClock) -> Tokens:
    """The tokens of the store."""
    return Tokens(engine.store, clock)


@pytest.fixture
def guarded(engine: Engine, histories: Histories, tokens: Tokens) -> ASGIApp:
    """An application that asks for tokens."""
    return create_app(
        engine, account=None, hosts=None, tokens=tokens, deployments=deployments(engine), moves=_moves(engine)
    )


@pytest.fixture
async def client(app: ASGIApp, histories: Histories) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, without a socket; its paths begin below the account."""
    transport = httpx.ASGITransport(app)
    base_url = "http://localhost:8787/client/v4/accounts/any-account/"
    async with httpx.AsyncClient(transport=transport, base_url=base_url) as client:
        yield client


@pytest.fixture
async def port(app: ASGIApp, histories: Histories) -> AsyncIterator[int]:
    """The port of a real server on 127.0.0.1."""
    server, port = await serve(app)
    yield port
    await server.stop(0.5)


async def serve(app: ASGIApp, **options: Any) -> tuple[HttpServer, int]:
    """Start a server on a free port of 127.0.0.1."""
    sock = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(app, **options)
    await server.start(sock)
    return server, sock.getsockname()[1]
