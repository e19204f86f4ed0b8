"""What commands print: tables for people, tabs for pipes, JSON for programs; and what an error becomes.

Texts that a server sends are stripped of what a terminal would obey.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from stepwell.errors import InstanceAlreadyExists, InstanceFinished, RequestRefused, ServerUnreachable, StepwellError

# C0 and C1 controls, and the marks that turn the direction of writing.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

_LONG_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))

FAILED, USAGE, NOT_ALLOWED, NOT_FOUND, CONFLICT, UNREACHABLE = 1, 2, 3, 4, 5, 6
INSTANCE_ERRORED, INSTANCE_TERMINATED, TIMED_OUT = 7, 8, 9

_EXIT_BY_STATUS = {401: NOT_ALLOWED, 403: NOT_ALLOWED, 404: NOT_FOUND}
_CONFLICTS = {InstanceAlreadyExists.code, InstanceFinished.code}


def clean(text: object) -> str:
    """Return a text without what a terminal would obey."""
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", str(text))


def guarded(work: Callable[[], int]) -> int:
    """Do what a command does; return its exit code. An error is one line, without a traceback."""
    try:
        return work()
    except RequestRefused as error:
        click.echo(f"error: {clean(error)} ({error.error_code})", err=True)
        if error.error_code in _CONFLICTS:
            return CONFLICT
        return _EXIT_BY_STATUS.get(error.status, FAILED)
    except ServerUnreachable as error:
        click.echo(f"error: {clean(error)}", err=True)
        return UNREACHABLE
    except StepwellError as error:
        click.echo(f"error: {clean(error)}", err=True)
        return FAILED


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows: as a table on a terminal, with tabs and without heads into a pipe."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(clean(cell) for cell in row))
        return
    # Imported here: it takes as long as the rest of a command.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(*(head.upper() for head in heads), box=None, header_style="dim", pad_edge=False)
    for row in rows:
        shown.add_row(*(Text(clean(cell)) for cell in row))
    Console().print(shown)


def as_json(value: Any) -> None:
    """Print a value as JSON, readable on a terminal."""
    click.echo(json.dumps(value, indent=2 if sys.stdout.isatty() else None, ensure_ascii=True))


def moment_of(text: str) -> float:
    """Return a moment that the API says, in seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


def ago(moment: str | None) -> str:
    """Return how long a moment is ago: `3 min ago`."""
    if moment is None:
        return "-"
    return f"{span_of((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())} ago"


def span(start: str | None, end: str | None) -> str:
    """Return how long something took, or has taken so far."""
    if start is None:
        return "-"
    until = datetime.now(UTC) if end is None else datetime.fromisoformat(end)
    return span_of((until - datetime.fromisoformat(start)).total_seconds())


def span_of(seconds: float) -> str:
    """Return a number of seconds as people say it: `40 ms`, `12.4 s`, `3 min`."""
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < _LONG_UNITS[-1][1]:
        return f"{seconds:.1f} s"
    unit, size = next(found for found in _LONG_UNITS if seconds >= found[1])
    return f"{seconds / size:.0f} {unit}"
