"""Logging as operators see it: one line per fact, on standard error.

What is told may hold what others chose: a path that was asked for, the text of an author's error. None of it begins a
line that looks like one of the log's, nor is it obeyed by the terminal that shows it: lines behind a fact's first are
indented, and what is no character to look at is written as an escape.
"""

import logging
import re
import sys
import time

_INDENT = "  "
# Controls other than tabs, marks that turn the direction of writing, separators of lines, halves of surrogate pairs.
_UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff]")


class _Formatter(logging.Formatter):
    """Writes a fact: its time in UTC, its level, and what is said, with a traceback where there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        return f"\n{_INDENT}".join(map(_visible, super().format(record).split("\n")))


def _visible(line: str) -> str:
    return _UNSAFE.sub(lambda found: ascii(found[0])[1:-1], line)


def configure(level: int = logging.INFO) -> None:
    """Send the log to standard error, times in UTC."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("stepwell").setLevel(level)
    # It would tell of each start and stop; what is wrong it says as a warning.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
