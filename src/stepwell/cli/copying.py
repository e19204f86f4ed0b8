"""`stepwell copy`: a whole store into another one."""

from collections.abc import Iterator
from contextlib import contextmanager

from stepwell.cli.failures import CONFLICT, NOT_FOUND, USAGE, Failure
from stepwell.cli.output import Column, Output, counted
from stepwell.cli.progress import Progress, Stand
from stepwell.cli.terminal import say
from stepwell.errors import InvalidInput
from stepwell.store.copying import Counts, Told, counts_of
from stepwell.store.copying import copy as copy_rows
from stepwell.store.opening import check_target, open_source, open_target, shown

_COLUMNS = (Column("table", lambda item: str(item["table"])), counted("rows", lambda item: item["rows"]))
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
    say(f"nothing is done; without --dry-run: copy {sum(counts.values()):,} rows to {shown(target)}")
    return 0


def copy(source: str, target: str, out: Output) -> int:
    """Copy a store, show how far that is, and print what was copied; return the exit code. Raises Failure."""
    with _told(), open_source(source) as opened:
        counts = counts_of(opened)
        with open_target(target) as begun, _progress(counts) as told:
            copy_rows(opened, begun, counts, told)
    _show(counts, out)
    say(f"{sum(counts.values()):,} rows are copied; serve {shown(target)} from now on")
    say(f"{shown(source)} is as it was: serve it no more, else its instances run twice")
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


@contextmanager
def _progress(counts: Counts) -> Iterator[Told]:
    """Show how far a copy is; where that is no bar, each table that has come, too."""
    left, total = dict(counts), sum(counts.values())
    with Progress("copy") as progress:

        def told(table: str, rows: int) -> None:
            left[table] -= rows
            progress.tell(Stand(total - sum(left.values()), None, total))
            if left[table] == 0 and not progress.is_drawn:
                progress.say(f"{table}: {counts[table]:,} rows")

        yield told
