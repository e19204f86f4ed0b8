"""Snapshots of an author's code: taken when it is served, laid out again where it runs.

All files of the project's folder are in one, data as well as source; what `take` leaves out is not code, or not the
author's. Installed packages are not: their versions are noted, and compared where the code runs again.
"""

import hashlib
import os
import platform
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from stepwell.errors import ScriptError
from stepwell.places import give
from stepwell.project import Project
from stepwell.store.snapshot_operations import SnapshotFile

if TYPE_CHECKING:
    from importlib.metadata import Distribution

# Left out beside what begins with a dot: what others make, and can make again.
_FOLDERS = frozenset(("__pycache__", "node_modules", "site-packages"))
_SUFFIXES = (".pyc", ".db", ".db-wal", ".db-shm", ".sqlite", ".sqlite3", ".log")
# The mark of a folder that is a virtual environment.
_VENV = "pyvenv.cfg"
_MOST_FILES = 10_000
_LONGEST_PATH = 250
_SLASH = re.compile("/")
_NAMED = re.compile(r"^(Name|Version):[ \t]*(\S+)", re.MULTILINE)
TRIED_MS = 3_600_000
"""How long a snapshot that was never served is kept at least: nothing takes so long to be tried."""


class TakenSnapshot(Struct, frozen=True):
    """A project's files as they are; `source` is the path, below the root, of what is served."""

    sha256: str
    source: str
    files: Sequence[SnapshotFile]


def take(project: Project, most_bytes: int, store: Path | None = None) -> TakenSnapshot:
    """Read a project's files. Raises ScriptError where they are more, or larger, than a snapshot may be.

    Left out are hidden files (`.dev.vars` has secrets), databases, logs, what tools have made, and what belongs to the
    `store`, if that lies there: what begins with the name of its file.
    """
    files: list[SnapshotFile] = []
    left = most_bytes
    for path in _files_in(project.root):
        if store is not None and path.is_relative_to(store.parent) and _is_of(store, path):
            continue
        name = path.relative_to(project.root).as_posix()
        size, body = _read(path, name, left)
        left -= size
        if left < 0 or len(files) == _MOST_FILES:
            raise ScriptError(_too_large(project, most_bytes, [*files, SnapshotFile(name, body)], size))
        files.append(SnapshotFile(name, body))
    source = project.source.relative_to(project.root).as_posix()
    if source != "." and not any(file.path == source or file.path.startswith(f"{source}/") for file in files):
        raise ScriptError(
            f"{project.source} cannot be served: snapshots leave out what begins with a dot or lies in such a folder, "
            "in node_modules, site-packages or a virtual environment; move it"
        )
    return TakenSnapshot(_hash(source, files), source, files)


def of_files(files: Mapping[str, bytes], source: str, most_bytes: int) -> TakenSnapshot:
    """Return files that came from elsewhere as a snapshot. Raises ScriptError for what no snapshot has.

    No path leads out of the folder that they are to be laid out in, and none is hidden.
    """
    for path in files:
        _refuse_path(path, _problem_of(path))
    folders = {path[: slash.start()] for path in files for slash in _SLASH.finditer(path)}
    for path in files:
        _refuse_path(path, "is a file and a folder" if path in folders else None)
    if len(files) > _MOST_FILES or (size := sum(map(len, files.values()))) > most_bytes:
        many = f"{len(files):,} files" if len(files) > _MOST_FILES else f"{size:,} bytes"
        raise ScriptError(
            f"{many} were uploaded: more than the {_MOST_FILES:,} files or {most_bytes:,} bytes that a snapshot may "
            "have; leave out what is no code, or raise the setting snapshot_size"
        )
    if source != "." and source not in files:
        raise ScriptError(f"the file {source!r:.300}, which is to be served, is not among those that were uploaded")
    ordered = [SnapshotFile(path, body) for path, body in sorted(files.items())]
    return TakenSnapshot(_hash(source, ordered), source, ordered)


def _refuse_path(path: str, problem: str | None) -> None:
    if problem is not None:
        raise ScriptError(f"the file {path!r:.300} {problem}; give paths such as flows/order.py, below the folder")


def _problem_of(path: str) -> str | None:
    """Say what is wrong with the path of a file that is to be laid out."""
    parts = path.split("/")
    if not path.isprintable() or "\\" in path or len(path.encode(errors="replace")) > _LONGEST_PATH:
        return f"has a name that not every system takes: at most {_LONGEST_PATH:,} bytes, all printable, no backslash"
    if any(part in {"", ".", ".."} for part in parts) or ":" in parts[0]:
        return "has a path that leads elsewhere"
    if any(part.startswith(".") for part in parts):
        return "is hidden, as its path has a part that begins with a dot"
    return None


def _is_of(store: Path, path: Path) -> bool:
    """Tell whether a file is the store's, or lies beside it under its name: its log, and snapshots laid out."""
    return path.relative_to(store.parent).parts[0].startswith(store.name)


def _read(path: Path, name: str, most: int) -> tuple[int, bytes]:
    """Return the size of a file, and what is in it if that is not too much. Raises ScriptError."""
    try:
        # No store keeps a name that is no text.
        name.encode()
        size = path.stat().st_size
        body = path.read_bytes() if size <= most else b""
        return max(size, len(body)), body
    except (OSError, UnicodeError) as error:
        raise ScriptError(f"{str(path)!r} cannot be read for the snapshot that is served: {error}") from error


def lay_out(files: Iterable[SnapshotFile], folder: Path, readers: int | None = None) -> None:
    """Write a snapshot's files into a folder, in place of whatever is there.

    It is for its owner alone, and for a group that may read it, if `readers` is the number of one.
    """
    beside = folder.with_name(f"{folder.name}.{os.getpid()}")
    shutil.rmtree(beside, ignore_errors=True)
    _make_folder(beside, readers)
    for file in files:
        path = beside / file.path
        _make_folder(path.parent, readers)
        path.write_bytes(file.body)
        if readers is not None:
            give(path, readers, 0o640)
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)


def _make_folder(folder: Path, readers: int | None) -> None:
    if folder.is_dir():
        return
    _make_folder(folder.parent, readers)
    folder.mkdir(mode=0o700)
    if readers is not None:
        give(folder, readers, 0o750)


def python() -> str:
    """Return the version of this Python."""
    return platform.python_version()


def packages() -> dict[str, str]:
    """Return the versions of the installed packages, by name."""
    # Imported here: it takes long to load, and `stepwell dev` takes no snapshots.
    from importlib.metadata import distributions  # noqa: PLC0415 - see above

    return dict(sorted(map(_name_and_version, distributions())))


def _name_and_version(package: "Distribution") -> tuple[str, str]:
    # Not `package.metadata`, which takes the whole of it apart: a server would be ready a tenth of a second later.
    text = package.read_text("METADATA") or package.read_text("PKG-INFO") or ""
    named = dict(reversed(_NAMED.findall(text.partition("\n\n")[0])))
    return named.get("Name", "").lower(), named.get("Version", "")


def differences(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Say which packages have another version now, or are gone; what is new beside them changes nothing."""
    return [
        f"{name} {version} then, {now.get(name, 'not installed')} now"
        for name, version in then.items()
        if now.get(name) != version
    ]


def _files_in(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            # A link may lead round in a circle, or to everything there is.
            if not entry.is_symlink() and entry.name not in _FOLDERS and not (entry / _VENV).exists():
                yield from _files_in(entry)
        elif entry.is_file() and not entry.name.endswith(_SUFFIXES):
            yield entry


def _hash(source: str, files: Iterable[SnapshotFile]) -> str:
    found = hashlib.sha256(source.encode())
    for file in files:
        found.update(f"\0{file.path}\0{len(file.body)}\0".encode())
        found.update(file.body)
    return found.hexdigest()


def _too_large(project: Project, most_bytes: int, files: Sequence[SnapshotFile], last_size: int) -> str:
    sizes = {file.path: len(file.body) for file in files[:-1]} | {files[-1].path: last_size}
    largest = sorted(sizes.items(), key=lambda each: -each[1])[:3]
    named = ", ".join(f"{path} ({size:,} bytes)" for path, size in largest)
    return (
        f"{project.root} has more than {most_bytes:,} bytes or {_MOST_FILES:,} files: too much for the snapshot that "
        f"is taken of what is served. The largest so far: {named}. Put the workflows into a folder of their own, and "
        "what is no code into one that begins with a dot; or raise the setting snapshot_size."
    )
