"""What servers have answered for completion, kept for 10 seconds in a file that only its owner can read."""

import hashlib
import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

_KEPT_S = 10.0


def load(key: Sequence[str]) -> list[tuple[str, str]] | None:
    """Return what was kept under a key; None: nothing, or it is too old."""
    entry = _entries().get(_name(key))
    return None if entry is None else [(str(value), str(about)) for value, about in entry["offers"]]


def save(key: Sequence[str], offers: Sequence[tuple[str, str]]) -> None:
    """Keep what a server has answered. Where that cannot be written, nothing is kept."""
    path = path_of_cache()
    entries = {**_entries(), _name(key): {"at": time.time(), "offers": offers}}
    new = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump(entries, file)
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)


def path_of_cache() -> Path:
    """Return where the file is."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "stepwell" / "completion.json"


def _entries() -> dict[str, Any]:
    """Return what is not too old. A file that is not as this module writes it counts as none."""
    now = time.time()
    try:
        found = json.loads(path_of_cache().read_bytes())
        return {name: entry for name, entry in found.items() if 0 <= now - entry["at"] < _KEPT_S}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def _name(key: Sequence[str]) -> str:
    """Return the name of a key: no token is to be read from it."""
    return hashlib.sha256("\0".join(key).encode(errors="replace")).hexdigest()
