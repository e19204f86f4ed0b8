"""Where a worker hangs, as it tells itself, and when that is told to people.

A worker's watchdog writes the stack of its event loop into a pipe, as `faulthandler` writes stacks; if it cannot run,
`faulthandler` itself does so when it is asked by a signal. None of it is trusted: author code has the pipe as well.
"""

import asyncio
import linecache
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import NamedTuple

_KEPT = 65_536
_FRAMES = 12
_WIDTH = 300
_LONGEST_SOURCE = 2**20
_RENEW_AFTER_S = 5.0
_FRESH_S = 2.0

_BEGIN = "(most recent call first):\n"
_FRAME = re.compile(r'  File "(.{1,4096})", line (\d{1,9}) in (.{1,1000})')
# What `faulthandler` makes of what is not ASCII.
_ESCAPED = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U000[0-9a-f]{5})")
# What stands above the author's first line tells nothing.
_OURS = str(Path(__file__).parent) + os.sep


class HangReports:
    """What a worker writes about where it hangs; the latest report counts."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._read_at = 0.0
        self._reading: int | None = None

    @contextmanager
    def open(self) -> Iterator[int]:
        """Open the pipe; give its writing end for a process to inherit, and close it here after that."""
        self._reading, writing = os.pipe()
        for end in (self._reading, writing):
            os.set_blocking(end, False)
        asyncio.get_running_loop().add_reader(self._reading, self._read)
        try:
            yield writing
        except BaseException:
            self.close()
            raise
        finally:
            os.close(writing)

    def close(self) -> None:
        """Read no more."""
        if self._reading is not None:
            asyncio.get_running_loop().remove_reader(self._reading)
            os.close(self._reading)
            self._reading = None

    def forget(self) -> None:
        """Forget what was written: the worker has answered since."""
        self._text.clear()

    @property
    def is_fresh(self) -> bool:
        """Whether the latest report is of now."""
        return bool(self._text) and asyncio.get_running_loop().time() < self._read_at + _FRESH_S

    async def stack(self) -> list[str]:
        """Return the author's part of the latest report in lines for people, outermost first; empty: there is none."""
        frames = _of_the_author(_latest(self._text.decode(errors="replace")))
        # It reads files.
        return await asyncio.to_thread(_in_lines, frames) if frames else []

    def _read(self) -> None:
        assert self._reading is not None
        try:
            piece = os.read(self._reading, _KEPT)
        except BlockingIOError:
            return
        if not piece:
            self.close()
            return
        self._text += piece
        del self._text[:-_KEPT]
        self._read_at = asyncio.get_running_loop().time()


class Due(Enum):
    """What is to be done about a hang."""

    NOTHING = "nothing"
    ASK = "ask where it is"
    TELL = "tell of it in log and status"
    RENEW = "renew where it is, in the status"


class Hang:
    """One stretch in which a worker does not answer. `since` is in milliseconds, all else in seconds of silence."""

    def __init__(self, since: int, tell_after_s: float) -> None:
        self.since = since
        self._tell_after_s = tell_after_s
        self._renew_after_s = tell_after_s
        self._is_asked = False

    def due(self, silent_s: float, *, has_report: bool) -> Due:
        """Return what is due after so much silence; each is told once. `has_report`: of where the worker is now."""
        if silent_s < self._tell_after_s:
            if not has_report or silent_s < self._renew_after_s:
                return Due.NOTHING
            self._renew_after_s = silent_s + _RENEW_AFTER_S
            return Due.RENEW
        if not has_report and not self._is_asked:
            # The answer is there the next time that somebody looks, if one comes.
            self._is_asked = True
            return Due.ASK
        self._is_asked = False
        self._tell_after_s *= 4
        self._renew_after_s = silent_s + _RENEW_AFTER_S
        return Due.TELL


class _Frame(NamedTuple):
    path: str
    line: int
    function: str


def _latest(text: str) -> list[_Frame]:
    """Return the frames of the latest report, outermost first."""
    _, begin, report = text.rpartition(_BEGIN)
    frames: list[_Frame] = []
    # A line without an end may still be being written.
    for line in report.split("\n")[:-1] if begin else ():
        found = _FRAME.fullmatch(line)
        if found is None:
            break
        frames.append(_Frame(_plain(found[1]), int(found[2]), _plain(found[3])))
    frames.reverse()
    # Where the system lets another thread handle the signal, that one's stack is written, which tells nothing.
    is_of_a_thread = bool(frames) and frames[0].function == "_bootstrap"
    return [] if is_of_a_thread else frames


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[0][2:], 16)), text)


def _of_the_author(frames: Sequence[_Frame]) -> Sequence[_Frame]:
    """Return the innermost frames: from the author's first line on, below all of ours, if one is there."""
    last = max((i for i, frame in enumerate(frames) if frame.path.startswith(_OURS)), default=-1)
    return (frames[last + 1 :] or frames)[-_FRAMES:]


def _in_lines(frames: Sequence[_Frame]) -> list[str]:
    lines = []
    for frame in frames:
        lines.append(_shown(f'File "{frame.path}", line {frame.line}, in {frame.function}'))
        if source := _source(frame).strip():
            lines.append("  " + _shown(source.expandtabs()))
    return lines


def _source(frame: _Frame) -> str:
    """Return the line of a frame's file; empty if there is none."""
    path = Path(frame.path)
    # The name is only what the worker says: a pipe or a device has no end.
    if not path.is_file() or not 0 < path.stat().st_size <= _LONGEST_SOURCE:
        return ""
    # The file may have been changed since it was last read.
    linecache.checkcache(frame.path)
    return linecache.getline(frame.path, frame.line)


def _shown(text: str) -> str:
    """Return a text that is one line wherever it is shown, and that a terminal cannot obey."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:_WIDTH])
