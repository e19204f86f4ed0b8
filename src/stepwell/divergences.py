"""Code that, replayed, asks for something that is not on record where the history has something else.

Steps are known by kind, name and count, and one that is no longer called is allowed, so no turn fails of this: it is
told, once, in the log of the server and in that of the instance. Tests may have it fail (`TurnSettings`).
"""

import asyncio
import logging
import sys
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from stepwell.checks.source import Line
from stepwell.checks.unstable import Kind
from stepwell.core.execution import Execution
from stepwell.core.failures import Failure, describe
from stepwell.core.records import Key, StepKind
from stepwell.errors import Diverged
from stepwell.facts import fact
from stepwell.notes import Notebook
from stepwell.scope import is_authors
from stepwell.store.operations import Claim

if TYPE_CHECKING:
    from stepwell.checks.causes import Cause

logger = logging.getLogger(__name__)

_METHODS = {StepKind.DO: "do", StepKind.SLEEP: "sleep", StepKind.WAIT: "wait_for_event"}
_CALLBACK = asyncio.Handle._run.__code__
_NAMED_AT_MOST = 5
_TOLD_AT_MOST = 1_000


def called(key: Key) -> str:
    """Return a step as the code asks for it: `step.do("charge")`, and which one of its kind and name it is."""
    nth = "" if key.count == 1 else f", call {key.count} of that name"
    return f'step.{_METHODS[key.kind]}("{key.name}"){nth}'


class Divergence(Struct, frozen=True):
    """What the code has done where its history has something else.

    `asked`: the call that is not on record; None: it has ended (`has_ended`), or waits. `unused`: what is on record
    and has not been called by then, in its order. `lines` lead to the call, the innermost first.
    """

    workflow: str
    id: str
    asked: Key | None
    unused: tuple[Key, ...]
    has_ended: bool
    lines: tuple[Line, ...]
    cause: "Cause | None"

    @property
    def where(self) -> str:
        """The line of the author's code, or what is known of it."""
        return str(self.lines[0]) if self.lines else "a task of its own"

    @property
    def why(self) -> str:
        """The likely cause, and what to do."""
        if self.cause is not None:
            return str(self.cause)
        return f"Nothing in its source tells why. Is it {Kind.CODE}? {Kind.CODE.remedy}"

    def __str__(self) -> str:
        """Say it in one line."""
        if self.asked is not None:
            does = f"at {self.where} the code asks for {called(self.asked)}"
        else:
            does = "the code ends" if self.has_ended else f"at {self.where} the code waits"
        more = "" if len(self.unused) <= _NAMED_AT_MOST else " and more"
        named = ", ".join(map(called, self.unused[:_NAMED_AT_MOST])) + more
        said = f"replayed, it goes another way than before: {does}, where the history has {named}. "
        return said + self.why


class Divergences:
    """Where divergences are told: in the log, each place of an instance once."""

    def __init__(self) -> None:
        self._told: dict[tuple[int, str, str, str], None] = {}

    def tell(self, row: int, divergence: Divergence) -> bool:
        """Tell of a divergence, unless that was told; tell whether it was now."""
        place = (row, divergence.workflow, divergence.id, divergence.where)
        if place in self._told:
            return False
        while len(self._told) >= _TOLD_AT_MOST:
            del self._told[next(iter(self._told))]
        self._told[place] = None
        logger.warning(
            "%s/%s: %s",
            divergence.workflow,
            divergence.id,
            divergence,
            extra=fact("code.diverged", workflow=divergence.workflow, instance=divergence.id),
        )
        return True


TOLD = Divergences()


class ReplayHost(Protocol):
    """The turn, as a replay sees it."""

    claim: Claim
    execution: Execution
    notebook: Notebook


class Replay:
    """Holds what the code calls in a turn against what its history has."""

    def __init__(self, host: ReplayHost, divergences: Divergences, *, is_strict: bool) -> None:
        """With `is_strict` nothing that has begun may be left out."""
        self._host = host
        self._divergences = divergences
        self._is_strict = is_strict
        # What was asked for while something on record was still to be called, and where.
        self._anew: list[tuple[Key, tuple[Line, ...]]] = []
        self._is_over = False

    def called(self, key: Key) -> None:
        """Take note of a call of `run`. It costs nothing once all that is on record has been called."""
        unmet = self._host.execution.unmet
        if unmet and not unmet.has_begun(key):
            self._anew.append((key, lines_of(sys._getframe())))

    @property
    def may_diverge(self) -> bool:
        """Tell whether it is worth a look: almost always all that is on record has been called."""
        return bool(self._host.execution.unmet) and not self._is_over and (bool(self._anew) or self._is_strict)

    def stop(self) -> None:
        """Tell nothing more."""
        self._is_over = True

    def look(self, run: "asyncio.Task[Any]", code: CodeType | None, *, may_begin: bool) -> Failure | None:
        """See whether the code has gone another way, once all that is on record has been given to it, and tell it.

        Returns the error that the instance is to end with, if it is. `run` is the task of the author's `code`;
        `may_begin`: something that it has called before is about to run, and may make it go on.
        """
        divergence = self._found(run, code, may_begin=may_begin)
        if divergence is None:
            return None
        self._is_over = True
        if self._divergences.tell(self._host.claim.row, divergence):
            self._host.notebook.engine("WARNING", str(divergence))
        return describe(Diverged(divergence.workflow, divergence.id, str(divergence))) if self._is_strict else None

    def _found(self, run: "asyncio.Task[Any]", code: CodeType | None, *, may_begin: bool) -> Divergence | None:
        execution = self._host.execution
        unmet = execution.unmet
        if self._is_over or not unmet or execution.is_rolling_back:
            return None
        unused = unmet.unused() or (unmet.skipped() if self._is_strict else ())
        if not unused or not (self._anew or run.done() or (self._is_strict and not may_begin)):
            return None
        asked, lines = self._anew[0] if self._anew else (None, ())
        lines = lines or _lines_of_task(run) or _lines_of_code(code)
        claim = self._host.claim
        return Divergence(claim.workflow, claim.id, asked, unused, run.done(), lines, _cause(lines))


def _cause(lines: tuple[Line, ...]) -> "Cause | None":
    # Imported here: most code goes the way of its history.
    from stepwell.checks.causes import likely_cause  # noqa: PLC0415 - see above

    try:
        return likely_cause(lines)
    except Exception:  # whatever the author's source has that is not foreseen: a cause is help, and no turn ends of it
        logger.exception(
            "the cause of a divergence at %s cannot be looked for", lines[:1], extra=fact("divergence.unexplained")
        )
        return None


def lines_of(frame: FrameType | None) -> tuple[Line, ...]:
    """Return the author's lines that lead to a call, the innermost first; none: it is a task of its own."""
    lines = []
    # Behind a callback of the loop lies whatever has started the loop.
    while frame is not None and frame.f_code is not _CALLBACK:
        if is_authors(frame.f_code.co_filename):
            lines.append(Line(frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return tuple(lines)


def _lines_of_task(task: "asyncio.Task[Any]") -> tuple[Line, ...]:
    """Return the author's lines at which a task waits, the innermost first."""
    lines: list[Line] = []
    coroutine: Any = task.get_coro()
    while frame := getattr(coroutine, "cr_frame", None):
        if is_authors(frame.f_code.co_filename):
            lines.insert(0, Line(frame.f_code.co_filename, frame.f_lineno))
        coroutine = coroutine.cr_await
    return tuple(lines)


def _lines_of_code(code: CodeType | None) -> tuple[Line, ...]:
    """Return the last line of a function."""
    if code is None:
        return ()
    return (Line(code.co_filename, max(number for *_, number in code.co_lines() if number is not None)),)
