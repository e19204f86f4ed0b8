"""A pooler before the server, which gives each transaction whichever connection to it is free.

Nothing of a session outlasts a transaction there: no setting, no statement that was prepared, no `listen`. So settings
begin each transaction, every statement is in one, and it is parsed anew each time (asyncpg, without its cache).

A pooler is known by what it says of itself: a server tells a new connection the number of its process, for
cancellations, and a pooler, which has no process for it, something else.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeGuard

import asyncpg

from stepwell.store.postgres.faults import is_loss

# Not read from a statement that asyncpg would keep: behind a pooler it would stay on somebody else's connection.
_PROCESS = "select pg_backend_pid()"
# A pooler that has no connection to give, or no server, lets whoever begins wait: pgbouncer for two minutes.
WAIT_S = 5.0


class Pooled(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """A connection to a pooler."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._session: dict[str, str] = {}

    def remember(self, settings: Mapping[str, str]) -> None:
        """Let each transaction from now on begin with these settings."""
        self._session.update(settings)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Let a statement that is in no transaction be in one."""
        if self.is_in_transaction():
            yield
            return
        await self.execute("begin")
        try:
            yield
        except Exception as error:  # whatever it is, it is the caller's
            # On a connection that is lost asyncpg would say something else of it.
            if not (is_loss(error) or self.is_closed()):
                await self.execute("rollback")
            raise
        await self.execute("commit")

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:
        """Do a statement. What begins a transaction, of ours or of asyncpg's own, brings the settings along."""
        if not args and query.lower().startswith("begin"):
            query = f"{query.rstrip('; ')}; {assignments(self._session, 'local')}"
            return str(await super().execute(query, timeout=WAIT_S))
        async with self.alone():
            return str(await super().execute(query, *args, timeout=timeout))

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
        """Return the rows of a statement."""
        async with self.alone():
            return await super().fetch(query, *args, **options)

    async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
        """Return the first value of a statement."""
        async with self.alone():
            return await super().fetchval(query, *args, **options)

    async def add_listener(self, channel: str, callback: object) -> None:
        """Do nothing: what is told would arrive at somebody else, or nowhere."""


def is_pooled(connection: object) -> TypeGuard[Pooled]:
    """Tell whether a connection is one to a pooler."""
    # For `isinstance` all of asyncpg's connections are of every class of them.
    return type(connection) is Pooled


async def keep_settings(connection: "asyncpg.Connection[Any]", settings: Mapping[str, str]) -> None:
    """Let all that is done on a connection be done with these settings."""
    if is_pooled(connection):
        connection.remember(settings)
    else:
        await connection.execute(assignments(settings, "session"))


async def reaches_server(connection: "asyncpg.Connection[Any]") -> bool:
    """Tell whether a new connection is one to a server, and not to a pooler."""
    await connection.execute("begin")
    statement = await connection.prepare(_PROCESS, name="")
    process = await statement.fetchval()
    await connection.execute("commit")
    return bool(process == connection.get_server_pid())


def assignments(settings: Mapping[str, str], how_long: str) -> str:
    """Return the statements that set something; unlike `set_config` they come before a transaction sees anything."""
    return "; ".join(f"set {how_long} {name} = {value}" for name, value in settings.items())
