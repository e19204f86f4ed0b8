"""How far work is, in one line on standard error: drawn over again on a terminal, elsewhere anew every five seconds."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import click

from stepwell.cli import terminal, times
from stepwell.cli.terminal import clean

# At most four times a second, as eyes see no more.
_DRAW_EVERY_S = 0.25
_SAY_EVERY_S = 5.0
# How long somebody has to interrupt a second time.
_SECOND_THOUGHT_S = 1.5
_BAR = 24


@dataclass(frozen=True, slots=True)
class Stand:
    """How far work is: how many are done, how many of those could not be, and of how many, which may be more (`+`).

    Where nothing can fail by itself, `failed` is None.
    """

    done: int
    failed: int | None
    total: int
    has_more: bool = False


class Progress:
    """Shows how far something is. Use it as a context manager: nothing of it is left on a terminal."""

    def __init__(self, what: str, *, is_shown: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        self._what, self._clock = what, clock
        self._is_shown = is_shown
        # Whether it is a line that is drawn over again.
        self.is_drawn = terminal.can_go_back(sys.stderr)
        self._start = clock()
        # A line for readers of a log comes when it takes long; a bar is there at once.
        self._told_at = self._start - (_DRAW_EVERY_S if self.is_drawn else 0.0)
        self._has_line = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.clear()

    def tell(self, stand: Stand) -> None:
        """Show how many are done, if it is time for that."""
        self._tell(lambda elapsed_s, columns: line_of(self._what, stand, elapsed_s, columns))

    def tell_of_part(self, part: str, stand: Stand) -> None:
        """Show how far a part of the work is, which takes a time of its own, if it is time for that."""
        if part != self._what:
            self._what, self._start = part, self._clock()
        self.tell(stand)

    def tell_of(self, status: str) -> None:
        """Show how the one thing stands that is waited for, if it is time for that."""
        self._tell(lambda elapsed_s, columns: f"{self._what}: {status}, {times.span_of(elapsed_s)}"[:columns])

    def say(self, text: str) -> None:
        """Print a line beside the bar."""
        self.clear()
        terminal.say(text)

    def clear(self) -> None:
        """Take the bar away."""
        if self._has_line:
            click.echo("\r\x1b[J", nl=False, err=True, color=True)
            self._has_line = False

    def _tell(self, line: Callable[[float, int], str]) -> None:
        now = self._clock()
        if not self._is_shown or now - self._told_at < (_DRAW_EVERY_S if self.is_drawn else _SAY_EVERY_S):
            return
        self._told_at = now
        if not self.is_drawn:
            terminal.say(line(now - self._start, sys.maxsize))
            return
        # The last column stays free: a terminal may go to the next line behind it.
        text = clean(line(now - self._start, terminal.size(sys.stderr)[0] - 1))
        click.echo(f"\r{text}\x1b[J", nl=False, err=True, color=True)
        self._has_line = True


def line_of(what: str, stand: Stand, elapsed_s: float, columns: int) -> str:
    """Return the line that tells how far work is, of as many of its parts as there is room for."""
    rate = stand.done / elapsed_s if elapsed_s > 0 else 0.0
    total = f"{stand.total:,}{'+' if stand.has_more else ''}"
    left = f"{times.span_of((stand.total - stand.done) / rate)} left" if rate and not stand.has_more else ""
    filled = _BAR * stand.done // stand.total if stand.total else _BAR
    failed = "" if stand.failed is None else f"{stand.failed:,} failed"
    # Each with its rank: the highest goes first.
    parts = [
        (what, 1),
        (f"[{'#' * filled}{'.' * (_BAR - filled)}]", 4),
        (f"{stand.done:,}/{total}", 0),
        (f"{rate:.1f}/s", 3),
        (failed, 0 if stand.failed else 2),
        (left, 2),
    ]
    parts = [part for part in parts if part[0]]
    while sum(len(text) + 2 for text, _ in parts) - 2 > columns and len(parts) > 1:
        parts.remove(max(parts, key=lambda part: part[1]))
    return "  ".join(text for text, _ in parts)[:columns]


@contextmanager
def detaching(how_to_look: str, cancel: Callable[[], object] | None = None) -> Iterator[None]:
    """Say at Ctrl-C how to look again at what goes on without us; one more soon after it cancels that, if it can be.

    Where nobody types there is no second one, and none is waited for.
    """
    try:
        yield
    except KeyboardInterrupt:
        terminal.say(f"it goes on; look again with: {how_to_look}")
        if cancel is not None and terminal.can_go_back(sys.stderr):
            _cancel_if_interrupted(cancel)
        raise


def _cancel_if_interrupted(cancel: Callable[[], object]) -> None:
    terminal.say("Ctrl-C once more, now, cancels it")
    try:
        time.sleep(_SECOND_THOUGHT_S)
    except KeyboardInterrupt:
        cancel()
        terminal.say("it is cancelled; what is done stays done")


class Interrupt:
    """Whether work is to end before its next piece."""

    is_wanted = False


@contextmanager
def interruptible(say: Callable[[str], None]) -> Iterator[Interrupt]:
    """Let the first Ctrl-C end work after the piece that is being done, and the second one at once."""
    # Imported here: most commands need none of it.
    import signal

    interrupt = Interrupt()

    def hear(_signal: int, _frame: object) -> None:
        if interrupt.is_wanted:
            raise KeyboardInterrupt
        interrupt.is_wanted = True
        say("ending after what is being done; Ctrl-C once more ends at once")

    before = signal.signal(signal.SIGINT, hear)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)
