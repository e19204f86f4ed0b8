"""A terminal with a real command in it: what a person would see, scrolled off lines included."""

import fcntl
import os
import pty
import re
import struct
import sys
import termios
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.crash.processes import running
from tests.crash.server import DEADLINE_S

_TOKEN = re.compile(r"\x1b\[(\d*)([A-Za-z])|(\r)|(\n)|(.)", re.DOTALL)
STEPWELL = str(Path(sys.executable).parent / "stepwell")


class Screen:
    """What a terminal makes of what is written to it. It knows what our commands use, and wraps late, as all do."""

    def __init__(self, columns: int, rows: int) -> None:
        self._columns, self._rows = columns, rows
        self._cells: list[str] = [""]
        self._row = self._column = 0

    @property
    def lines(self) -> list[str]:
        """All lines from the first on, without blanks at their ends."""
        return [line.rstrip() for line in self._cells]

    def write(self, text: str) -> None:
        """Obey a text."""
        for number, action, is_return, is_feed, character in _TOKEN.findall(text):
            if action == "A":
                # What has been scrolled off cannot be reached.
                first = max(0, len(self._cells) - self._rows)
                self._row = max(first, self._row - int(number or 1))
            elif action == "J":
                self._cells = [*self._cells[: self._row], self._cells[self._row][: self._column]]
            elif is_return:
                self._column = 0
            elif is_feed:
                self._feed()
            elif character:
                self._put(character)

    def _put(self, character: str) -> None:
        if self._column == self._columns:
            self._feed()
            self._column = 0
        line = self._cells[self._row].ljust(self._column)
        self._cells[self._row] = line[: self._column] + character + line[self._column + 1 :]
        self._column += 1

    def _feed(self) -> None:
        self._row += 1
        if self._row == len(self._cells):
            self._cells.append("")


def run_on_terminal(
    *arguments: str,
    columns: int = 80,
    rows: int = 24,
    env: dict[str, str] | None = None,
    then: Callable[[], None] = lambda: None,
    typed: str = "",
    answers: Mapping[str, str] | None = None,
    shell: str | None = None,
) -> tuple[int, str]:
    """Run the real command on a terminal of a size; return its exit code and all that it wrote.

    `then` is called, and `typed` is typed, once something has been written; each of `answers` once its question has.
    `shell` runs it: it is `$0` there.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
    command = [STEPWELL, *arguments] if shell is None else ["sh", "-c", shell, STEPWELL]
    given = {**kept, "TERM": "xterm", **(env or {})}
    written, left = b"", {question.encode(): answer.encode() for question, answer in (answers or {}).items()}
    try:
        with running(command, stdin=theirs, stdout=theirs, stderr=theirs, env=given) as process:
            os.close(theirs)
            while piece := _read(ours):
                if not written:
                    then()
                    os.write(ours, typed.encode())
                written += piece
                for question in [question for question in left if question in written]:
                    os.write(ours, left.pop(question))
            return process.wait(DEADLINE_S), written.decode()
    finally:
        os.close(ours)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:
        # How Linux says that nobody holds the other end any more.
        return b""
