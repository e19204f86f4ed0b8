"""The log of a server: whatever is told, each fact begins with its time, and no terminal obeys it; so in JSON."""

import json
import logging
import re
from collections.abc import Iterator
from contextlib import redirect_stderr
from io import StringIO

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stepwell.cli.terminal import clean
from stepwell.facts import fact
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


def _logger(log: StringIO, form: str = "text") -> logging.Logger:
    """Return a logger that writes there alone: pytest, which keeps all that is logged, came first."""
    with redirect_stderr(log):
        configure(form, process="worker 1")
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


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told)
@example(FORGED)
@example("\x7f\ud800")
def test_each_line_is_one_object_of_plain_ascii(log: StringIO, text: str) -> None:
    """Whatever is told, by message, field or error: nothing of it ends a line, and every reader of JSON can read it."""
    log.seek(0)
    log.truncate()
    logger = _logger(log, "json")

    logger.info("%s of %s", text, text, extra=fact("turn.lost", instance=text, held=[text]))
    try:
        raise ValueError(text)
    except ValueError:
        logger.exception("it failed")

    whole = log.getvalue()
    lines = whole.splitlines()
    assert whole == "".join(f"{line}\n" for line in lines)
    assert all(" " <= character <= "~" for line in lines for character in line)
    first, second = map(json.loads, lines)
    first["message"].encode()
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert (first["message"], first["instance"], first["held"]) == (f"{text} of {text}", text, [text])
    assert second["message"] == "it failed"
    assert second["traceback"].startswith("Traceback (most recent call last):")


def test_keys_stay_the_same(log: StringIO) -> None:
    """Programs find time, level, event, message, who says it, and the fields of the event that are known."""
    logger = _logger(log, "json")

    logger.warning("no %s", "luck", extra=fact("worker.died", worker="worker 2", pid=7, place=None))
    logger.error("plain")

    known, unknown = map(json.loads, log.getvalue().splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", known.pop("time"))
    assert known == {
        "level": "warning",
        "event": "worker.died",
        "message": "no luck",
        "logger": "stepwell.tests",
        "process": "worker 1",
        "worker": "worker 2",
        "pid": 7,
    }
    assert (unknown["event"], unknown["level"]) == ("log", "error")
