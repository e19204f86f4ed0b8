"""From a store's URL to the store."""

import asyncio
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from stepwell.errors import InvalidInput, StoreInUse
from stepwell.limits import HOST_LEASE_MS, PAGE_TIMEOUT_MS
from stepwell.sealing import vault_of
from stepwell.store import Store, sharing
from stepwell.store.copying import Source, Target
from stepwell.store.sqlite import SqliteStore
from stepwell.store.sqlite.copying import SqliteSource, SqliteTarget, refuse_what_is_there
from stepwell.store.tally import Tally

_SQLITE = "sqlite:///"
# In the query, where libpq takes it too.
_PASSWORD = re.compile(r"(?<=[?&])(?:ssl)?password=[^&]*&?")
_POSTGRES = ("postgresql://", "postgres://")


def open_store(
    url: str,
    host_lease_ms: int = HOST_LEASE_MS,
    page_timeout_ms: int = PAGE_TIMEOUT_MS,
    tally: Tally | None = None,
) -> Store:
    """Open the store that a URL names: a file for this process alone, or a database. Blocks for a moment.

    `host_lease_ms`: how long others that have the database open wait when this process is lost. `page_timeout_ms`: how
    long a list may take to be read. Payloads are sealed with the keys that the environment names (`sealing.py`).
    `tally` counts what is written.

    Raises InvalidInput for a URL that names none, or keys that are none, and what opening that kind of store raises.
    """
    vault = vault_of(os.environ)
    if not is_database(url):
        return SqliteStore.open(file_of(url), page_timeout_ms, vault, tally)
    require_asyncpg()
    from stepwell.store.postgres.store import PostgresSettings, PostgresStore  # noqa: PLC0415 - asyncpg is an extra

    return PostgresStore.open(url, PostgresSettings(host_lease_ms, page_timeout_ms, vault=vault, tally=tally))


async def reach_store(url: str) -> Store:
    """Return the store that a URL names: opened, or reached through the server that has it."""
    try:
        return await asyncio.to_thread(open_store, url)
    except StoreInUse:
        return await sharing.reach(await asyncio.to_thread(file_of(url).absolute))


@contextmanager
def open_source(url: str) -> Iterator[Source]:
    """Open the store that a URL names to be copied; nobody else has it meanwhile. Blocks.

    Raises InvalidInput for a URL that names none, and what opening that kind of store raises.
    """
    if not is_database(url):
        with SqliteSource.open(file_of(url)) as source:
            yield source
        return
    require_asyncpg()
    from stepwell.store.postgres.copying import PostgresSource  # noqa: PLC0415 - asyncpg is an extra

    with PostgresSource.open(url) as database:
        yield database


@contextmanager
def open_target(url: str) -> Iterator[Target]:
    """Begin a store where a URL says, which is there when it is finished, or not at all. Blocks.

    Raises InvalidInput if there is a store that is not empty, and what opening that kind of store raises.
    """
    if not is_database(url):
        with SqliteTarget.open(file_of(url)) as target:
            yield target
        return
    require_asyncpg()
    from stepwell.store.postgres.copying import PostgresTarget  # noqa: PLC0415 - asyncpg is an extra

    with PostgresTarget.open(url) as database:
        yield database


def check_target(url: str) -> None:
    """Raise what `open_target` raises where there is something already; leave no trace."""
    if not is_database(url):
        refuse_what_is_there(file_of(url))
        return
    with open_target(url):
        pass


def is_database(url: str) -> bool:
    """Tell whether a URL names a database on a server, which others may have open too."""
    return url.startswith(_POSTGRES)


def is_there(url: str) -> bool:
    """Tell whether there is a store that a URL names; opening it would make one. Raises InvalidInput."""
    return is_database(url) or file_of(url).exists()


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
    url = _PASSWORD.sub("", url)
    try:
        parts = urlsplit(url)
        if parts.password is None:
            return url
    except ValueError:
        return url.partition(":")[0] + ":..."
    name, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{name.partition(':')[0]}@{host}").geturl()


def require_asyncpg() -> None:
    """Raise InvalidInput where the driver of PostgreSQL is not installed."""
    if find_spec("asyncpg") is None:
        raise InvalidInput("store", "store: PostgreSQL needs one package more: pip install 'stepwell[postgres]'")
