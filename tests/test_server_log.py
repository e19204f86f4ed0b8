"""The log of a server: whatever is told, each fact begins with its time, and no terminal obeys it."""

import logging
import re
from collections.abc import Iterator
from contextlib import redirect_stderr
from io import StringIO

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stepwell.cli.terminal import clean
from stepwell.logs import configure

BEGIN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (?:INFO|WARNING|ERROR) ")
FORGED = "\n2026-11-27T12:00:00Z ERROR the disk is full\x1b]0;x\x07\x9b31m\r\u202e\u2028\x85\x0c\ud800"
told = st.text(st.characters() | st.sampled_from("\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\x1b\x9b\u202e\t"), max_size=40)


@pytest.fixture
def log() -> Iterator[StringIO]:
    """What is logged, as a server's process has it; then all is as it was."""
    written = StringIO()
    loggers = [logging.getLogger(name) for name in (None, "stepwell", "uvicorn")]
    levels, handlers = [logger.level for logger in loggers], loggers[0].handlers[:]
    yield written
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    loggers[0].handlers[:] = handlers


def _logger(log: StringIO) -> logging.Logger:
    """Return a logger that writes there alone: pytest, which keeps all that is logged, came first."""
    with redirect_stderr(log):
        configure()
    return logging.getLogger("stepwell.tests")


def _look(log: StringIO, text: str) -> None:
    log.seek(0)
    log.truncate()
    logger = _logger(log)

    logger.info("%s of %s", text, text)
    try:
        raise ValueError(text)
    except ValueError:
        logger.exception("it failed for %s", text)

    lines = log.getvalue().removesuffix("\n").split("\n")
    assert [line[:2].isspace() for line in lines if not BEGIN.match(line)] == [True] * (len(lines) - 2)
    assert sum(BEGIN.match(line) is not None for line in lines) == 2
    for line in lines:
        assert line.splitlines() == [line]
        assert line.replace("\t", "") == clean(line.replace("\t", ""))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told)
@example(FORGED)
@example("\t\n\n")
def test_no_value_forges_a_line_or_moves_a_terminal(log: StringIO, text: str) -> None:
    """Line breaks of a value are followed by blanks, and what a terminal obeys is an escape."""
    _look(log, text)


def test_what_was_told_can_be_read(log: StringIO) -> None:
    """An escape says which character there was, and lines of a report stay lines."""
    _logger(log).error("refused a\x1b[31m\u202eb: %s", 'File "a.py", line 2\n    é\n    ^')

    assert log.getvalue().partition(" ERROR ")[2] == (
        'refused a\\x1b[31m\\u202eb: File "a.py", line 2\n      é\n      ^\n'
    )
