"""From a store's URL to the store."""

import asyncio
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from stepwell.errors import InvalidInput, StoreInUse
from stepwell.limits import HOST_LEASE_MS
from stepwell.store import Store, sharing
from stepwell.store.sqlite import SqliteStore

_SQLITE = "sqlite:///"
_POSTGRES = ("postgresql://", "postgres://")


def open_store(url: str, host_lease_ms: int = HOST_LEASE_MS) -> Store:
    """Open the store that a URL names: a file for this process alone, or a database. Blocks for a moment.

    `host_lease_ms`: how long others believe this process alive when it says nothing, where they have the database too.

    Raises InvalidInput for a URL that names none, and what opening that kind of store raises.
    """
    if not is_database(url):
        return SqliteStore.open(file_of(url))
    if find_spec("asyncpg") is None:
        raise InvalidInput("store", "store: PostgreSQL needs one package more: pip install 'stepwell[postgres]'")
    from stepwell.store.postgres import PostgresSettings, PostgresStore  # noqa: PLC0415 - asyncpg is an extra

    return PostgresStore.open(url, PostgresSettings(lease_ms=host_lease_ms))


async def reach_store(url: str) -> Store:
    """Return the store that a URL names: opened, or reached through the server that has it."""
    try:
        return await asyncio.to_thread(open_store, url)
    except StoreInUse:
        return await sharing.reach(await asyncio.to_thread(file_of(url).absolute))


def is_database(url: str) -> bool:
    """Tell whether a URL names a database on a server, which others may have open too."""
    return url.startswith(_POSTGRES)


def file_of(url: str) -> Path:
    """Return the file of a store: `sqlite:///relative.db` or `sqlite:////absolute.db`. Raises InvalidInput."""
    path = url.removeprefix(_SQLITE)
    if not path or path == url:
        raise InvalidInput(
            "store",
            'store must be "sqlite:///file.db", "sqlite:////path/to/file.db" or "postgresql://user@host/database", '
            f'got "{shown(url)}"',
        )
    return Path(path)


def shown(url: str) -> str:
    """Return a URL as others may see it: without a password."""
    try:
        parts = urlsplit(url)
        if parts.password is None:
            return url
    except ValueError:
        return url.partition(":")[0] + ":..."
    name, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{name.partition(':')[0]}@{host}").geturl()
