"""From a store's URL to the store."""

from pathlib import Path

from stepwell.errors import InvalidInput
from stepwell.store import Store
from stepwell.store.sqlite import SqliteStore

_SQLITE = "sqlite:///"


def open_store(url: str) -> Store:
    """Open the store that a URL names: `sqlite:///relative.db` or `sqlite:////absolute.db`.

    Raises InvalidInput for any other URL, and what opening that kind of store raises.
    """
    path = url.removeprefix(_SQLITE)
    if not path or path == url:
        raise InvalidInput("store", f'store must be "sqlite:///file.db" or "sqlite:////path/to/file.db", got "{url}"')
    return SqliteStore.open(Path(path))
