"""The dashboard's files: read once, from inside the package, and served under the hash of all of them.

As the hash is part of each address, a browser may keep a file for ever, and a page never meets another release's. It
takes a fifth of a second to make them, so that is done when the first of them is asked for.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

_FOLDER = Path(__file__).parent / "static"
_SHEETS = ("style.css", "instance.css")
_MEDIA_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True)
class File:
    """A file and what it is."""

    body: bytes = field(repr=False)
    media_type: str

    @cached_property
    def compressed(self) -> bytes:
        """The body as gzip."""
        # Imported here, as what makes the files: a server that nobody looks at needs none of it.
        import gzip  # noqa: PLC0415 - see above

        return gzip.compress(self.body, mtime=0)


@cache
def all_files() -> Mapping[str, File]:
    """Return all files, by their names."""
    from stepwell.dashboard import bundle, squeeze  # noqa: PLC0415 - see above
    from stepwell.graph.style import SHAPES  # noqa: PLC0415 - see above

    modules = {path.relative_to(_FOLDER).as_posix(): path.read_text("utf-8") for path in sorted(_FOLDER.rglob("*.js"))}
    sheets = [squeeze.sheet((_FOLDER / name).read_text("utf-8")) for name in _SHEETS]
    texts = {
        # And what it loads later.
        **bundle.bundle(modules, "app.js"),
        # Not a module: it runs before anything is drawn.
        "theme.js": squeeze.script(modules["theme.js"]),
        # Drawings of graphs bring no style with them, which the page's policy would not let in, and have its colours.
        "style.css": "".join([*sheets, squeeze.sheet(SHAPES)]),
        "icon.svg": (_FOLDER / "icon.svg").read_text("utf-8"),
        # Of what others have written.
        **{f"{path.name}.txt": path.read_text("utf-8") for path in sorted(_FOLDER.glob("vendor/LICENSE-*"))},
    }
    return {name: File(text.encode(), _MEDIA_TYPES[Path(name).suffix]) for name, text in texts.items()}


@cache
def digest() -> str:
    """Return the hash of all files."""
    whole = hashlib.sha256()
    for name, file in all_files().items():
        whole.update(f"{name}\0{len(file.body)}\0".encode() + file.body)
    return whole.hexdigest()[:16]
