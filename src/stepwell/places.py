"""Where a server keeps what lies beside its store: the author's code, as it is run."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stepwell.store.opening import file_of, is_database


@contextmanager
def place_beside(store: str) -> Iterator[Path]:
    """Return a path to whose name others are added: the store's file; else one in a folder of this server alone.

    Several servers on a machine may have a database open. The folder lies in the user's cache, as temporary ones
    are emptied under servers that run for weeks; it is removed at the end.
    """
    if not is_database(store):
        yield file_of(store).absolute()
        return
    with tempfile.TemporaryDirectory(prefix="server-", dir=_cache(), ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "store"


def _cache() -> Path | None:
    """Return the folder of the user's caches; None: the system's temporary one, where there is no other."""
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stepwell"
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return cache
