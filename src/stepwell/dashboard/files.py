"""The dashboard's files: read once, from inside the package, and served under the hash of all of them.

As the hash is part of each address, a browser may keep a file for ever, and a page never meets another release's.
"""

import gzip
import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from stepwell.dashboard import bundle
from stepwell.graph.style import STYLE

_FOLDER = Path(__file__).parent / "static"
_SHEETS = ("style.css", "instance.css")
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
    modules = {path.relative_to(_FOLDER).as_posix(): path.read_text("utf-8") for path in sorted(_FOLDER.rglob("*.js"))}
    sheets = [bundle.plain_style((_FOLDER / name).read_text("utf-8")) for name in _SHEETS]
    texts = {
        "app.js": bundle.bundle(modules, "app.js"),
        # Not a module: it runs before anything is drawn.
        "theme.js": modules["theme.js"],
        # Drawings of graphs bring no style with them: the page's policy would not let it in.
        "style.css": "".join([*sheets, STYLE]),
        "icon.svg": (_FOLDER / "icon.svg").read_text("utf-8"),
    }
    return {name: File(text.encode(), _MEDIA_TYPES[Path(name).suffix]) for name, text in texts.items()}


def _digest(files: dict[str, File]) -> str:
    digest = hashlib.sha256()
    for name, file in files.items():
        digest.update(f"{name}\0{len(file.body)}\0".encode() + file.body)
    return digest.hexdigest()[:16]


FILES = _read()
DIGEST = _digest(FILES)
