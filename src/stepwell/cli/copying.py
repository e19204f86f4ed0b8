"""`stepwell copy`: a whole store into another one."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from stepwell.cli.failures import CONFLICT, NOT_FOUND, USAGE, Failure
from stepwell.cli.output import Column, Output
from stepwell.cli.terminal import clean
from stepwell.errors import InvalidInput
from stepwell.store.copying import Counts, Told, counts_of
from stepwell.store.copying import copy as copy_rows
from stepwell.store.opening import check_target, open_source, open_target, shown

_COLUMNS = (Column("table", lambda item: str(item["table"])), Column("rows", lambda item: f"{item['rows']:,}"))
# Which URL is wrong, by what the error says of it.
_EXITS = {
    "from": (NOT_FOUND, "FROM_URL says where the store is that is to be copied"),
    "to": (CONFLICT, "TO_URL says where the copy is to be; nothing that is there is ever overwritten"),
}
_URLS = "FROM_URL and TO_URL are such as sqlite:///file.db or postgresql://user@host/database"


def describe(source: str, target: str, out: Output) -> int:
    """Print how many rows of each table there are to copy; return the exit code. Raises Failure."""
    with _told():
        with open_source(source) as opened:
            counts = counts_of(opened)
        check_target(target)
    _show(counts, out)
    _say(f"nothing is done; without --dry-run: copy {sum(counts.values()):,} rows to {shown(target)}")
    return 0


def copy(source: str, target: str, out: Output) -> int:
    """Copy a store, show how far that is, and print what was copied; return the exit code. Raises Failure."""
    with _told(), open_source(source) as opened:
        counts = counts_of(opened)
        with open_target(target) as begun, _progress(counts) as told:
            copy_rows(opened, begun, counts, told)
    _show(counts, out)
    _say(f"{sum(counts.values()):,} rows are copied; serve {shown(target)} from now on")
    _say(f"{shown(source)} is as it was: serve it no more, else its instances run twice")
    return 0


@contextmanager
def _told() -> Iterator[None]:
    """Raise what is wrong with a URL as Failure."""
    try:
        yield
    except InvalidInput as error:
        raise Failure(str(error), *_EXITS.get(error.field, (USAGE, _URLS))) from error


def _show(counts: Counts, out: Output) -> None:
    out.show_all([{"table": name, "rows": rows} for name, rows in counts.items()], _COLUMNS, "table")


def _say(text: str) -> None:
    click.echo(clean(text), err=True)


@contextmanager
def _progress(counts: Counts) -> Iterator[Told]:
    """Show how far a copy is: a bar on a terminal, elsewhere a line for each table."""
    if not sys.stderr.isatty():
        yield _Lines(counts).told
        return
    # Imported here: elsewhere nothing needs it.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns: Sequence[TextColumn | BarColumn | MofNCompleteColumn | TimeRemainingColumn] = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=sum(counts.values()))
        yield lambda table, rows: bar.update(task, description=table, advance=rows)


class _Lines:
    """Tells of each table that has come."""

    def __init__(self, counts: Counts) -> None:
        self._left = dict(counts)
        self._counts = counts

    def told(self, table: str, rows: int) -> None:
        """Hear of rows."""
        self._left[table] -= rows
        if self._left[table] == 0:
            _say(f"{table}: {self._counts[table]:,} rows")
