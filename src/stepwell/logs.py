"""Logging as operators see it: one line per fact, on standard error, for people or as JSON.

What is told may hold what others chose: a path that was asked for, the text of an author's error. None of it begins a
line that looks like one of the log's, nor is it obeyed by the terminal that shows it: lines behind a fact's first are
indented, and what is no character to look at is written as an escape. In JSON all but plain ASCII is an escape.
"""

import json
import logging
import re
import sys
import time
from collections.abc import Mapping

_INDENT = "  "
# Controls other than tabs, marks that turn the direction of writing, separators of lines, halves of surrogate pairs.
_UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff]")
# Half of a pair is no JSON to many readers, though Python writes it.
_HALVES = re.compile(r"[\ud800-\udfff]")
# What a line of JSON has of itself; the fields of a fact follow.
KEYS = ("time", "level", "event", "message", "logger", "process", "traceback")
# Of a line that is told by a library.
_OF_OTHERS = "log"


class _Formatter(logging.Formatter):
    """Writes a fact: its time in UTC, its level, and what is said, with a traceback where there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        return f"\n{_INDENT}".join(map(_visible, super().format(record).split("\n")))


class _JsonFormatter(logging.Formatter):
    """Writes a fact as a JSON object in one line, with the name of what happened and what it happened to."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "event": getattr(record, "event", _OF_OTHERS),
            "message": _plain(record.getMessage()),
            "logger": record.name,
            "process": self._process,
        }
        if record.exc_info:
            line["traceback"] = _plain(self.formatException(record.exc_info))
        fields: Mapping[str, object] = getattr(record, "fields", {})
        line |= {name: _plain(value) for name, value in fields.items()}
        # DEL is the one control that is plain ASCII to JSON.
        return json.dumps(line).replace("\x7f", "\\u007f")


def _plain(value: object) -> object:
    """Return a value as JSON has it: a number, a list, or a text without halves of surrogate pairs."""
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return _HALVES.sub(_escaped, str(value))


def _visible(line: str) -> str:
    return _UNSAFE.sub(_escaped, line)


def _escaped(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]


def configure(form: str = "text", level: int = logging.INFO, *, process: str = "server") -> None:
    """Send the log to standard error, times in UTC, as `text` or `json`; `process` is who says it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter(process) if form == "json" else _Formatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("stepwell").setLevel(level)
    # It would tell of each start and stop; what is wrong it says as a warning.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
