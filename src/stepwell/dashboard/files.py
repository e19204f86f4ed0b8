"""The dashboard's files: read once, from inside the package, and served under the hash of all of them.

As the hash is part of each address, and modules name each other by relative ones, a browser may keep a file for ever,
and a page never meets modules of another release.
"""

import gzip
import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from stepwell.graph.style import STYLE

_FOLDER = Path(__file__).parent / "static"
_MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class File:
    """A file and what it is."""

    body: bytes = field(repr=False)
    media_type: str

    @cached_property
    def compressed(self) -> bytes:
        """The body as gzip."""
        return gzip.compress(self.body, mtime=0)


def _read() -> dict[str, File]:
    found = {
        path.relative_to(_FOLDER).as_posix(): File(path.read_bytes(), _MEDIA_TYPES[path.suffix])
        for path in sorted(_FOLDER.rglob("*"))
        if path.suffix in _MEDIA_TYPES
    }
    # Drawings of graphs bring no style with them: the page's policy would not let it in.
    return found | {"graph.css": File(STYLE.encode(), "text/css")}


def _digest(files: dict[str, File]) -> str:
    digest = hashlib.sha256()
    for name, file in files.items():
        digest.update(f"{name}\0{len(file.body)}\0".encode() + file.body)
    return digest.hexdigest()[:16]


FILES = _read()
DIGEST = _digest(FILES)
