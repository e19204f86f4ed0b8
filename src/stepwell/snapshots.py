"""Snapshots of an author's code: taken when it is served, laid out again where it runs.

All files of the project's folder are in one, data as well as source; what `take` leaves out is not code, or not the
author's. Installed packages are not: their versions are noted, and compared where the code runs again.
"""

import hashlib
import os
import platform
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from stepwell.errors import ScriptError
from stepwell.project import Project
from stepwell.store.snapshot_operations import SnapshotFile

# Left out beside what begins with a dot: what others make, and can make again.
_FOLDERS = frozenset(("__pycache__", "node_modules", "site-packages"))
_SUFFIXES = (".pyc", ".db", ".db-wal", ".db-shm", ".sqlite", ".sqlite3", ".log")
# The mark of a folder that is a virtual environment.
_VENV = "pyvenv.cfg"
_MOST_FILES = 10_000


@dataclass(frozen=True, slots=True)
class TakenSnapshot:
    """A project's files as they are; `source` is the path, below the root, of what is served."""

    sha256: str
    source: str
    files: Sequence[SnapshotFile]


def take(project: Project, most_bytes: int) -> TakenSnapshot:
    """Read a project's files. Raises ScriptError where they are more, or larger, than a snapshot may be.

    Left out are hidden files (`.dev.vars` has secrets), databases, logs, and what tools have made.
    """
    files: list[SnapshotFile] = []
    left = most_bytes
    for path in _files_in(project.root):
        body = path.read_bytes()
        left -= len(body)
        if left < 0 or len(files) == _MOST_FILES:
            raise ScriptError(_too_large(project, most_bytes, files))
        files.append(SnapshotFile(path.relative_to(project.root).as_posix(), body))
    source = project.source.relative_to(project.root).as_posix()
    return TakenSnapshot(_hash(source, files), source, files)


def lay_out(files: Iterable[SnapshotFile], folder: Path) -> None:
    """Write a snapshot's files into a folder, in place of whatever is there."""
    beside = folder.with_name(f"{folder.name}.{os.getpid()}")
    shutil.rmtree(beside, ignore_errors=True)
    for file in files:
        path = beside / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.body)
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)


def python() -> str:
    """Return the version of this Python."""
    return platform.python_version()


def packages() -> dict[str, str]:
    """Return the versions of the installed packages, by name."""
    found = {str(package.metadata["Name"]).lower(): package.version for package in distributions()}
    return dict(sorted(found.items()))


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


def _too_large(project: Project, most_bytes: int, files: Sequence[SnapshotFile]) -> str:
    largest = sorted(files, key=lambda file: -len(file.body))[:3]
    named = ", ".join(f"{file.path} ({len(file.body):,} bytes)" for file in largest)
    return (
        f"{project.root} has more than {most_bytes:,} bytes or {_MOST_FILES:,} files: too much for the snapshot that "
        f"is taken of what is served. The largest so far: {named}. Put the workflows into a folder of their own, and "
        "what is no code into one that begins with a dot; or raise the setting snapshot_size."
    )
