"""Where a server keeps what lies beside its store: the author's code, as it is run."""

import hashlib
import os
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from stepwell.store.opening import file_of, is_database
from stepwell.worker_user import WorkerUser

# Where root's system keeps what programs can make again; no folder of root's own lets others pass.
_SYSTEMS_CACHE = Path("/Library/Caches" if sys.platform == "darwin" else "/var/cache")


class Layouts(Struct, frozen=True):
    """The folder in which snapshots are laid out, and the number of the group that may read them; None: none."""

    folder: Path
    readers: int | None = None


@contextmanager
def place_beside(store: str) -> Iterator[Path]:
    """Return a path to whose name others are added: the store's file; else one in a folder of this server alone.

    Several servers on a machine may have a database open. The folder lies in the user's cache, as temporary ones
    are emptied under servers that run for weeks; it is removed at the end.
    """
    if not is_database(store):
        yield file_of(store).absolute()
        return
    # Imported here: a server of a file needs none.
    import tempfile  # noqa: PLC0415 - see above

    with tempfile.TemporaryDirectory(prefix="server-", dir=_cache(), ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "store"


def give(path: Path, readers: int, mode: int) -> None:
    """Let a group have a path, with this mode, whatever the umask says."""
    os.chown(path, -1, readers)
    path.chmod(mode)


@contextmanager
def layouts_for(store: str, place: Path, user: WorkerUser | None) -> Iterator[Layouts]:
    """Return where snapshots are laid out: beside the store, at a place that `place_beside` has named.

    Where workers run as another user it is where he may pass, and gone at the end: the store's folder is not for him.
    Raises OSError.
    """
    if user is None:
        yield Layouts(place.with_name(f"{place.name}.snapshots"))
        return
    # Not in the one of `_cache`, which is for its owner alone.
    cache = Path(os.environ.get("XDG_CACHE_HOME") or _SYSTEMS_CACHE) / "stepwell-code"
    if not cache.is_dir():
        cache.mkdir(parents=True)
        cache.chmod(0o711)
    # Of a file there is one server, which finds what it has left when it was killed.
    name = uuid.uuid4().hex if is_database(store) else hashlib.sha256(os.fsencode(place)).hexdigest()[:32]
    folder = cache / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        give(folder, user.gid, 0o750)
        yield Layouts(folder, user.gid)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _cache() -> Path | None:
    """Return the folder of the user's caches; None: the system's temporary one, where there is no other."""
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stepwell"
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return cache
