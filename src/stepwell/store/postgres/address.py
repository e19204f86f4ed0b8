"""Where a database is: from a URL to a connection. The password is nowhere but in `dsn`."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import asyncpg

from stepwell.errors import InvalidInput
from stepwell.store.postgres.faults import naming_losses
from stepwell.store.postgres.pooler import Pooled, keep_settings, reaches_server

SCHEMES = ("postgresql", "postgres")
CONNECT_TIMEOUT_S = 5
# A lost acknowledged record is what a store may not have. `on` is the server's default, and not for ever.
_SESSION = {"synchronous_commit": "on", "timezone": "'UTC'"}
_LONGEST_NAME = 63


@dataclass(frozen=True, slots=True)
class Address:
    """A schema of a database. `where` names it for people."""

    dsn: str = field(repr=False)
    where: str
    schema: str | None

    @classmethod
    def of(cls, url: str) -> "Address":
        """Take a URL apart: what libpq knows, and `schema`. Raises InvalidInput, and does not repeat the URL."""
        try:
            parts = urlsplit(url)
            port = parts.port or 5432
        except ValueError as error:
            raise InvalidInput("store", f"store: the URL of the database is not one: {error}") from None
        asked = dict(parse_qsl(parts.query, keep_blank_values=True))
        schema = asked.pop("schema", None)
        if schema is not None and not 0 < len(schema.encode()) <= _LONGEST_NAME:
            raise InvalidInput("store", f"store: schema must have 1 to {_LONGEST_NAME} bytes")
        host = parts.hostname or asked.get("host", "localhost")
        database = unquote(parts.path.lstrip("/")) or unquote(parts.username or "")
        inside = "" if schema is None else f', schema "{schema}"'
        where = f'PostgreSQL at {host}:{asked.get("port", port)}, database "{database}"{inside}'
        # Not put together again from its parts: without a host there would be too few slashes.
        dsn = f"{url.partition('?')[0]}?{urlencode(asked)}"
        return cls(dsn, where, schema)

    async def connect(
        self, application: str = "stepwell", settings: Mapping[str, str] | None = None
    ) -> "asyncpg.Connection[Any]":
        """Open a connection, which may be `Pooled`, and on which `settings` hold, besides those of all.

        Raises what asyncpg and the system raise, and ConnectionLost.
        """
        # No other settings here: poolers refuse them, or pass over them without a word.
        named = {"application_name": application}
        connection = await asyncpg.connect(self.dsn, server_settings=named, timeout=CONNECT_TIMEOUT_S)
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            with _dropping(connection):
                is_direct = await reaches_server(connection)
            if not is_direct:
                connection.terminate()
                connection = await asyncpg.connect(
                    self.dsn, server_settings=named, connection_class=Pooled, statement_cache_size=0
                )
            with _dropping(connection):
                await keep_settings(connection, {**self._settings, **(settings or {})})
        return connection

    @property
    def _settings(self) -> dict[str, str]:
        if self.schema is None:
            return _SESSION
        return {**_SESSION, "search_path": f'"{self.schema.replace(chr(34), chr(34) * 2)}"'}


@contextmanager
def _dropping(connection: "asyncpg.Connection[Any]") -> Iterator[None]:
    """Drop a connection on which what is done first goes wrong."""
    try:
        with naming_losses(connection):
            yield
    except BaseException:
        connection.terminate()
        raise
