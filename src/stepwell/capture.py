"""What the author's code prints and logs, caught on its way to the terminal.

While a sink is current, each line that is printed or logged goes to it first, and on to where it was meant for only if
the sink says so: what a replay says again is not shown again. Where no sink is current nothing changes. `install` does
this for a whole process: it puts itself before the standard streams and before the handlers of `logging`.
"""

import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Protocol, TextIO

from stepwell.facts import fact


class Sink(Protocol):
    """Where a stretch of author code says something. May be called from any thread."""

    # What has been printed of a line that has not ended, by stream.
    partial: dict[str, str]

    @property
    def place(self) -> Mapping[str, object]:
        """What the log says of who speaks: account, workflow, instance, step, attempt."""

    def take(self, level: str, text: str, *, always: bool = False) -> bool:
        """Take a line; tell whether it is to be shown too. `always`: it is kept even where output is not."""

    def may_cut(self) -> bool:
        """Tell whether a line may be ended here, for people to see what has been printed of it."""


SINK: ContextVar[Sink | None] = ContextVar("stepwell_sink", default=None)

_LONG_WORD = 40

_call_handlers = logging.Logger.callHandlers
_formatter = logging.Formatter()


def install() -> None:
    """Begin to catch, once for the process."""
    if not isinstance(sys.stdout, _Stream):
        sys.stdout = _Stream(sys.stdout, "stdout")
        sys.stderr = _Stream(sys.stderr, "stderr")
    logging.Logger.callHandlers = _catch  # type: ignore[method-assign,assignment]  # all handlers lie behind it


def uninstall() -> None:
    """Let everything go its own way again; for tests."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, _Stream):
            setattr(sys, name, stream.stream)
    logging.Logger.callHandlers = _call_handlers  # type: ignore[method-assign]  # as before


class _Stream:
    def __init__(self, stream: TextIO, level: str) -> None:
        self.stream = stream
        self._level = level

    def write(self, text: str) -> int:
        sink = SINK.get()
        if sink is None:
            return self.stream.write(text)
        *lines, rest = (sink.partial.get(self._level, "") + text).split("\n")
        sink.partial[self._level] = rest
        for line in lines:
            self._say(sink, line)
        return len(text)

    def flush(self) -> None:
        """Show what there is of a line, now and then: a model's answer comes token by token, and is one."""
        sink = SINK.get()
        if sink is not None:
            text, rest = _whole_words(sink.partial.get(self._level, ""))
            # What returns to the beginning of its line, as bars of progress do, is to be seen when it has ended.
            if text.strip() and "\r" not in text and sink.may_cut():
                sink.partial[self._level] = rest
                self._say(sink, text)
        self.stream.flush()

    def _say(self, sink: Sink, line: str) -> None:
        if sink.take(self._level, line):
            self.stream.write(line + "\n")

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _whole_words(text: str) -> tuple[str, str]:
    """Cut a text before its last word, which more may follow; one without spaces, as in some languages, behind it."""
    words, space, last = text.rpartition(" ")
    return (text, "") if not space and len(text) > _LONG_WORD else (words, last)


def _catch(logger: logging.Logger, record: logging.LogRecord) -> None:
    sink = SINK.get()
    if sink is None or record.name.partition(".")[0] == "stepwell":
        _call_handlers(logger, record)
    elif sink.take(record.levelname, _text(record)):
        record.__dict__.update(fact("author.log", **sink.place))
        # The handlers write to the streams above: there it would be taken twice.
        token = SINK.set(None)
        try:
            _call_handlers(logger, record)
        finally:
            SINK.reset(token)


def _text(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
    except Exception as error:  # a message whose arguments do not fit it
        text = f"{record.msg} <{type(error).__name__}: {error}>"
    return f"{text}\n{_formatter.formatException(record.exc_info)}" if record.exc_info else text
