"""What an instance says beside its history: the lines that its code prints and logs, its progress, its heartbeats.

Nothing of this decides anything; it is for people, and for the next attempt of a step. What `run` itself says is said
again at each replay: it is counted, and as much as is stored already is passed over.
"""

import asyncio
import json
import logging
from collections import deque
from contextvars import Context

from msgspec import Struct

from stepwell import limits
from stepwell.clock import Clock
from stepwell.core.records import Key
from stepwell.errors import StoreUnavailable, TurnLost
from stepwell.facts import fact_of
from stepwell.store import Store
from stepwell.store.note_operations import PROGRESS, LogLine, Note, ReadNote, WriteNotes
from stepwell.store.operations import Claim

logger = logging.getLogger(__name__)

_RETRY_AFTER_MS = 1_000
_LINES_AT_ONCE = 1_000
_CUT = "[... cut]"
# How often people see more of a line that an attempt prints bit by bit, and flushes.
CUT_EVERY_MS = 500


class OutputSettings(Struct, frozen=True):
    """How much of what code prints and logs is kept. `keeps` False: nothing but what it logs by `step.log`."""

    keeps: bool = True
    # Of an instance; beyond it the oldest lines go.
    log_lines: int = limits.LOG_LINES
    # Of an attempt; beyond it nothing more is kept.
    attempt_lines: int = limits.ATTEMPT_LINES
    attempt_characters: int = limits.ATTEMPT_CHARACTERS
    # Of a line, and of a traceback; the middle of longer ones is left out.
    line_characters: int = limits.LINE_CHARACTERS
    trace_characters: int = limits.TRACE_CHARACTERS


OUTPUT = OutputSettings()


class RunSink:
    """What `run` itself says, outside of steps."""

    def __init__(self, notebook: "Notebook") -> None:
        self.partial: dict[str, str] = {}
        self.place = notebook.place
        self._notebook = notebook

    def take(self, level: str, text: str, *, always: bool = False) -> bool:
        """Take a line; one that was stored in an earlier turn is passed over."""
        return self._notebook.hear(level, text, always=always)

    def may_cut(self) -> bool:
        """Let every line end where it does: a replay has to say the same ones."""
        return False

    def close(self) -> None:
        """Take the line that was not ended. To be called when `run` has ended, not at each park."""
        for level, text in self.partial.items():
            if text:
                self.take(level, text)
        self.partial.clear()


class AttemptSink:
    """What an attempt says, up to its bounds. After `close` nothing is taken."""

    def __init__(self, notebook: "Notebook", key: Key, attempt: int, *, keeps: bool, keeps_own: bool) -> None:
        self.partial: dict[str, str] = {}
        self._notebook = notebook
        self._step = key.label
        self._attempt = attempt
        self._keeps = keeps
        self._keeps_own = keeps_own
        self._lines = 0
        self._characters = 0
        self._cut_at = notebook.now()
        self._is_closed = False

    @property
    def place(self) -> dict[str, object]:
        """What the log says of who speaks."""
        return {**self._notebook.place, "step": self._step, "attempt": self._attempt}

    def may_cut(self) -> bool:
        """Let a line be ended, twice a second at most."""
        now = self._notebook.now()
        is_time = now - self._cut_at >= CUT_EVERY_MS
        self._cut_at = now if is_time else self._cut_at
        return is_time

    def take(self, level: str, text: str, *, always: bool = False) -> bool:
        """Take a line; what is beyond the bounds is shown and not kept."""
        if self._is_closed:
            return False
        is_wanted = self._keeps or (always and self._keeps_own)
        if is_wanted and not self._is_full():
            self._lines += 1
            self._characters += len(text)
            shown = "what the attempt says from here on is not kept" if self._is_full() else text
            self._notebook.add(self._step, self._attempt, level, shown)
        return True

    def close(self) -> None:
        """Take no more; the code may go on in a thread that cannot be stopped."""
        for level, text in self.partial.items():
            if text:
                self.take(level, text)
        self._is_closed = True

    def _is_full(self) -> bool:
        bounds = self._notebook.settings
        return self._lines > bounds.attempt_lines or self._characters > bounds.attempt_characters


class Notebook:
    """Gathers what the instance of a turn says, and writes it. `idle` is called when everything has been written."""

    def __init__(self, store: Store, claim: Claim, clock: Clock, settings: OutputSettings) -> None:
        self.idle = _nothing
        self.settings = settings
        self.place = {"account": claim.account, "workflow": claim.workflow, "instance": claim.id}
        self._store = store
        self._claim = claim
        self._clock = clock
        self._said = 0
        self._logged = self._stored = claim.logged
        self._log_n = claim.log_n
        # While the store cannot write, the newest lines are kept, as in the store. Threads append to it.
        self._lines: deque[LogLine] = deque(maxlen=settings.log_lines)
        self._notes: dict[str, Note] = {}
        self._beats: dict[Key, str] = {}
        self._in_flight = False
        self._unanswered: WriteNotes | None = None
        self._is_planned = False
        self._is_closed = False
        self._waiting: list[asyncio.Future[None]] = []
        self._loop = asyncio.get_running_loop()

    @property
    def is_busy(self) -> bool:
        """Tell whether something has been said that is not stored yet."""
        return not self._is_closed and (self._in_flight or self._has_news())

    def now(self) -> int:
        """Return the time."""
        return self._clock.now()

    def run_sink(self) -> RunSink:
        """Return where `run` itself speaks."""
        return RunSink(self)

    def attempt_sink(self, key: Key, attempt: int, *, sensitive: bool) -> AttemptSink:
        """Return where an attempt speaks; what one of a sensitive step says is shown and not kept."""
        return AttemptSink(self, key, attempt, keeps=self.settings.keeps and not sensitive, keeps_own=not sensitive)

    def hear(self, level: str, text: str, *, always: bool = False) -> bool:
        """Take a line of `run`; tell whether it is new."""
        if not self._is_new():
            return False
        if self.settings.keeps or always:
            self.add(None, None, level, text)
        return True

    def progress(self, value: str, *, from_run: bool) -> None:
        """Take how far the instance is, as JSON text; what a replay of `run` says again is passed over."""
        if not from_run or self._is_new():
            self._put(PROGRESS, value)

    def heartbeat(self, key: Key, generation: int, details: str) -> None:
        """Take what an attempt of a step said with its last sign of life, as stored text."""
        self._beats[key] = details
        self._put(_beat_name(key, generation), details)

    async def heartbeat_details(self, key: Key, generation: int) -> str | None:
        """Return what an attempt of a step said last, in this turn or an earlier one, since the step began anew."""
        if key in self._beats:
            return self._beats[key]
        try:
            return await self._store.run(ReadNote(self._claim.row, _beat_name(key, generation)))
        except StoreUnavailable:
            # It is help for the next attempt, no promise to it.
            return None

    def failure(self, key: Key, attempt: int, trace: str) -> None:
        """Take the traceback of a failed attempt."""
        self.add(key.label, attempt, "ERROR", trace, self.settings.trace_characters)

    def engine(self, level: str, text: str) -> None:
        """Take a line of the engine's own about the instance."""
        self.add(None, None, level, text, self.settings.trace_characters)

    def add(self, step: str | None, attempt: int | None, level: str, text: str, bound: int | None = None) -> None:
        """Gather a line of at most `bound` characters, or as many as a line may have. From any thread."""
        kept = _bounded(text, bound or self.settings.line_characters)
        self._lines.append(LogLine(self._clock.now(), step, attempt, level, kept))
        self._plan()

    def flush(self) -> None:
        """Write what is gathered, without waiting for it."""
        if self._is_closed or self._in_flight or not self._has_news():
            return
        self._in_flight = True
        # One whose fate is unknown is sent again as it was: it may have been done, and is done once.
        operation = self._unanswered = self._unanswered or self._next()
        answer = self._store.run(operation)
        answer.add_done_callback(self._answered, context=Context())

    def _next(self) -> WriteNotes:
        lines = [self._lines.popleft() for _ in range(min(len(self._lines), _LINES_AT_ONCE))]
        self._stored = self._logged
        notes, self._notes = list(self._notes.values()), {}
        return WriteNotes(
            self._claim.row, self._claim.turn, self._log_n, lines, notes, self._logged, self.settings.log_lines
        )

    async def flushed(self) -> None:
        """Write what is gathered, and wait for it."""
        while self.is_busy:
            self.flush()
            waiting = self._loop.create_future()
            self._waiting.append(waiting)
            await waiting

    def close(self) -> None:
        """Take no more, and write no more."""
        self._is_closed = True
        self._wake()

    def _has_news(self) -> bool:
        return bool(self._unanswered or self._lines or self._notes) or self._logged > self._stored

    def _is_new(self) -> bool:
        self._said += 1
        if self._is_closed or self._said <= self._claim.logged:
            return False
        self._logged = self._said
        self._plan()
        return True

    def _put(self, name: str, value: str) -> None:
        self._notes[name] = Note(name, self._clock.now(), value)
        self._plan()

    def _plan(self) -> None:
        """Write soon: with the rest of this pass of the loop."""
        if not self._is_planned and not self._is_closed:
            self._is_planned = True
            # An empty context: writing is not work of the author's code that has spoken.
            self._loop.call_soon_threadsafe(self._write_planned, context=Context())

    def _write_planned(self) -> None:
        self._is_planned = False
        self.flush()

    def _answered(self, answer: "asyncio.Future[int]") -> None:
        self._in_flight = False
        try:
            self._log_n = answer.result()
        except StoreUnavailable:
            # The recorder complains of it.
            self._clock.call_at(self._clock.now() + _RETRY_AFTER_MS, self.flush)
            return
        except TurnLost:
            self.close()
        except Exception:  # what is said is not worth a turn, whatever the store has
            logger.exception(
                "what %s/%s says is not kept any more",
                self._claim.workflow,
                self._claim.id,
                extra=fact_of(self._claim, "notes.failed"),
            )
            self.close()
        self._unanswered = None
        self.flush()
        if not self.is_busy:
            self._wake()
            self.idle()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


def _nothing() -> None:
    """Nobody waits."""


def _beat_name(key: Key, generation: int) -> str:
    parts: list[str | int] = [key.kind, key.name, key.count]
    return "heartbeat " + json.dumps([*parts, generation] if generation else parts)


def _bounded(text: str, bound: int) -> str:
    """Keep the beginning and the end of a long text; lone surrogates, which no store can hold, are replaced."""
    if len(text) > bound:
        text = f"{text[: bound // 2]}{_CUT}{text[-bound // 2 :]}"
    return text.encode(errors="replace").decode()
