"""A server for all examples of a test that draws them: a new one for each would take most of the time."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from stepwell.api import create_app
from stepwell.clock import VirtualClock
from stepwell.engine import Engine
from stepwell.server_settings import DEFAULT_SETTINGS, Settings
from stepwell.store.operations import Operation
from stepwell.store.sqlite import SqliteStore
from stepwell.tokens import Tokens
from tests.api.asgi import Answer, ask
from tests.api.conftest import NOW
from tests.api.deploying import deployments

A = TypeVar("A")


class OneServer:
    """An application over a store in memory, asked without a loop of the test's own; it takes code."""

    def __init__(self, *, wants_tokens: bool = False, told: Settings = DEFAULT_SETTINGS) -> None:
        self._runner = asyncio.Runner()
        self.engine = Engine(SqliteStore.in_memory(), VirtualClock(NOW))
        self.tokens = Tokens(self.engine.store, self.engine.clock)
        self._app = create_app(
            self.engine,
            account=None,
            hosts=None,
            tokens=self.tokens if wants_tokens else None,
            deployments=deployments(self.engine, told=told),
        )

    def ask(
        self,
        target: str,
        method: str = "GET",
        body: bytes | Iterable[bytes] = b"",
        headers: Iterable[tuple[str, str]] = (),
    ) -> Answer:
        """Ask the server."""
        return self._runner.run(ask(self._app, target, method, body, list(headers)))

    def do(self, operation: Operation[A]) -> A:
        """Do an operation of the store."""

        async def do() -> A:
            return await self.engine.store.run(operation)

        return self._runner.run(do())

    def wait_for(self, coroutine: Coroutine[Any, Any, A]) -> A:
        """Return what a coroutine returns."""
        return self._runner.run(coroutine)

    def close(self) -> None:
        """End it."""
        self._runner.run(self.engine.store.close())
        self._runner.close()
