"""The forms of a server that the clients are tested against."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from stepwell import AsyncClient, Client
from stepwell.api import create_app
from stepwell.hosts import LOOPBACK_HOSTS
from stepwell.testing import TestEngine
from tests import postgres
from tests.compat.node.clients import Server
from tests.crash.server import DevServer
from tests.sdk import orders
from tests.sdk.asked import AnyClient

SOURCE = Path(orders.__file__)
ACCOUNT = "0123456789abcdef0123456789abcdef"
KINDS: dict[str, type[Client] | type[AsyncClient]] = {"sync": Client, "async": AsyncClient}
# Each form once, each client twice: what a server answers does not depend on how the client waits for it. An
# application inside a program is spoken to on that program's event loop, so no client that blocks can do it.
PLACES = [("dev", "sync"), ("serve", "async"), ("postgres", "sync"), ("asgi", "async")]


@dataclass
class Servers:
    """Servers in processes of their own, each started when it is first asked for."""

    folder_of: Callable[[str], Path]
    require: Callable[..., None]
    stack: ExitStack = field(default_factory=ExitStack)
    running: dict[str, DevServer] = field(default_factory=dict)

    def client(self, form: str, kind: str) -> AnyClient:
        """Return a new client of a server."""
        if form not in self.running:
            self.running[form] = self.stack.enter_context(self._start(form))
        server = self.running[form]
        if isinstance(server, Server):
            return KINDS[kind](server.api, account_id=server.account, api_token=server.token)
        return KINDS[kind](server.url)

    def _start(self, form: str) -> DevServer:
        folder = self.folder_of(form)
        (folder / SOURCE.name).write_text(SOURCE.read_text())
        if form == "dev":
            return DevServer(folder, SOURCE.name)
        if form == "serve":
            return Server(folder, SOURCE.name)
        self.require(postgres.REASON, "a server on a database", postgres.is_there())
        return _OnPostgres(folder, SOURCE.name)


class _OnPostgres(Server):
    """A server that asks for tokens, on a database."""

    def __init__(self, folder: Path, path: str) -> None:
        self.place = ("--store", postgres.databases.make(), "--account", self.account)
        super().__init__(folder, path)


@asynccontextmanager
async def inside() -> AsyncIterator[AsyncClient]:
    """A client of an application in this process, whose workflows run beside the test."""
    async with TestEngine.open([orders.Order, orders.Failing]) as engine:
        app = create_app(engine.engine, account="local", hosts=LOOPBACK_HOSTS)
        pump = asyncio.create_task(_run(engine))
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport) as http, AsyncClient(http_client=http) as client:
            yield client
        pump.cancel()


async def _run(engine: TestEngine) -> None:
    while True:
        # Its clock stands still unless it is moved.
        await engine.advance("1 second")
        await asyncio.sleep(0.001)
