"""A disk as a power cut leaves it: what was synced is there, and of the rest any part.

The rules, for the files of one folder:

- What was written to a file or cut off from it is there if the file was synced since. If not, each of these may be
  there or not, whatever came behind it; of what was written each sector of 512 bytes for itself.
- That a file was made or removed is there if its folder was synced since. If not, for each name the first few of these
  are there, or all, or none.
- A log or journal that is new has its folder synced when it is synced first. Source: `unixSync` and UNIXFILE_DIRSYNC in
  sqlite.org/src/file/src/os_unix.c. The database itself is made without that.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

SECTOR = 512
# How likely it is that something is there which was not synced: an image has one of these.
_CHANCES = (0.0, 0.1, 0.5, 0.9, 1.0)


class Made(NamedTuple):
    """A file was made; `is_log`: the folder is synced with it."""

    name: str
    is_log: bool


class Wrote(NamedTuple):
    """Bytes were written to a file."""

    name: str
    offset: int
    data: bytes


class CutOff(NamedTuple):
    """A file was cut off at a size."""

    name: str
    size: int


class Synced(NamedTuple):
    """A file was synced."""

    name: str


class Removed(NamedTuple):
    """A file was removed; `is_durable`: and its folder synced."""

    name: str
    is_durable: bool


class Committed(NamedTuple):
    """A commit has returned: whoever asked for it can be answered. `state` is a hash of what the database has then."""

    state: bytes


Happening = Made | Wrote | CutOff | Synced | Removed | Committed
Image = Mapping[str, bytes]


@dataclass
class _File:
    is_log: bool
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Wrote | CutOff] = field(default_factory=list)


class Disk:
    """A folder to which something happens."""

    def __init__(self) -> None:
        self._open: dict[str, _File] = {}
        self._durable: dict[str, _File] = {}
        # By name: the file that has it, or None.
        self._pending: dict[str, list[_File | None]] = {}

    def happens(self, what: Happening) -> None:
        """Let something happen."""
        match what:
            case Made(name, is_log):
                self._open[name] = _File(is_log)
                self._pending.setdefault(name, []).append(self._open[name])
            case Wrote(name) | CutOff(name):
                self._open[name].pending.append(what)
            case Synced(name):
                self._sync(self._open[name])
            case Removed(name, is_durable):
                del self._open[name]
                self._pending.setdefault(name, []).append(None)
                if is_durable:
                    self._sync_folder()
            case Committed():
                pass

    def image(self, chance: random.Random) -> Image:
        """Return the files that may be there if the power is cut now."""
        likely = chance.choice(_CHANCES)
        names = dict(self._durable)
        for name, changes in self._pending.items():
            for change in changes:
                if chance.random() >= likely:
                    break
                _name(names, name, change)
        return {name: _content(file, likely, chance) for name, file in names.items()}

    def _sync(self, file: _File) -> None:
        for change in file.pending:
            _apply(file.durable, change)
        file.pending.clear()
        if file.is_log:
            file.is_log = False
            self._sync_folder()

    def _sync_folder(self) -> None:
        for name, changes in self._pending.items():
            _name(self._durable, name, changes[-1])
        self._pending.clear()


def _name(names: dict[str, _File], name: str, file: _File | None) -> None:
    if file is None:
        names.pop(name, None)
    else:
        names[name] = file


def _content(file: _File, likely: float, chance: random.Random) -> bytes:
    content = bytearray(file.durable)
    for change in file.pending:
        if likely == 1.0:
            _apply(content, change)
        elif isinstance(change, CutOff) or chance.random() < 0.7:
            if chance.random() < likely:
                _apply(content, change)
        else:
            for sector in _sectors(change):
                if chance.random() < likely:
                    _apply(content, sector)
    return bytes(content)


def _sectors(written: Wrote) -> list[Wrote]:
    """Return what was written as the parts of it that lie in one sector each."""
    name, start, data = written
    ends = [*range((start // SECTOR + 1) * SECTOR, start + len(data), SECTOR), start + len(data)]
    starts = [start, *ends[:-1]]
    return [Wrote(name, begin, data[begin - start : end - start]) for begin, end in zip(starts, ends, strict=True)]


def _apply(content: bytearray, change: Wrote | CutOff) -> None:
    if isinstance(change, CutOff):
        # A file that is shorter already grows by this.
        content.extend(bytes(max(0, change.size - len(content))))
        del content[change.size :]
        return
    end = change.offset + len(change.data)
    content.extend(bytes(max(0, end - len(content))))
    content[change.offset : end] = change.data
