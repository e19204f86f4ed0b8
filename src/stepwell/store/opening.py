"""From a store's URL to the store."""

import asyncio
from pathlib import Path

from stepwell.errors import InvalidInput, StoreInUse
from stepwell.store import Store, sharing
from stepwell.store.sqlite import SqliteStore

_SQLITE = "sqlite:///"


def open_store(url: str) -> SqliteStore:
    """Open the store that a URL names, for this process alone. Blocks for a moment.

    Raises InvalidInput for a URL that names none, and what opening that kind of store raises.
    """
    return SqliteStore.open(file_of(url))


async def reach_store(url: str) -> Store:
    """Return the store that a URL names: opened, or reached through the server that has it."""
    try:
        return await asyncio.to_thread(open_store, url)
    except StoreInUse:
        return await sharing.reach(await asyncio.to_thread(file_of(url).absolute))


def is_there(url: str) -> bool:
    """Tell whether there is a store that a URL names; opening it would make one. Raises InvalidInput."""
    return file_of(url).exists()


def file_of(url: str) -> Path:
    """Return the file of a store: `sqlite:///relative.db` or `sqlite:////absolute.db`. Raises InvalidInput."""
    path = url.removeprefix(_SQLITE)
    if not path or path == url:
        raise InvalidInput("store", f'store must be "sqlite:///file.db" or "sqlite:////path/to/file.db", got "{url}"')
    return Path(path)
