"""`stepwell backup` and `stepwell restore`: a store in one file, for later."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stepwell.cli.failures import CONFLICT, NOT_FOUND, USAGE, Failure
from stepwell.cli.output import Column, Output, counted
from stepwell.cli.progress import Progress, Stand
from stepwell.cli.terminal import say
from stepwell.errors import InvalidInput
from stepwell.store.copying import Counts
from stepwell.store.opening import file_of, is_database, shown
from stepwell.store.sqlite.backup import Told, back_up
from stepwell.store.sqlite.backup import restore as restore_file

_COLUMNS = (
    Column("file", lambda item: str(item["file"])),
    Column(
        "size",
        lambda item: f"{item['size'] / 2**20:,.1f} MB",
        piped=lambda item: f"{item['size'] / 2**20:.1f} MB",
    ),
    counted("instances", lambda item: item["instances"]),
)
# Who names no store, or one that is none.
_STORES = "--store says where the store is: sqlite:///relative.db or sqlite:////absolute.db"


def backup(url: str, file: str, out: Output) -> int:
    """Copy the store in a file into another one, and check the copy; return the exit code. Raises Failure."""
    if is_database(url):
        raise Failure(
            "a PostgreSQL database is backed up by its own tools",
            USAGE,
            "`pg_dump --format=custom --file FILE URL` does it while servers run; with all of them stopped, "
            "`stepwell copy URL sqlite:///FILE` makes a store of it in a file",
        )
    store, target = _file(url), Path(file)
    exits = {
        "store": (NOT_FOUND, _STORES),
        "file": (CONFLICT, "nothing that is there is ever overwritten"),
        "folder": (NOT_FOUND, "FILE is a new file, in a folder that is there"),
    }
    with _refused(exits), _progress() as told:
        counts = back_up(store, target, told)
    _show(target, counts, out)
    say(f"{shown(url)} is as it was at one moment, and checked; `stepwell restore {file}` makes a store of it again")
    return 0


def restore(file: str, url: str, out: Output) -> int:
    """Make a store of a file that was backed up, where none is; return the exit code. Raises Failure."""
    if is_database(url):
        raise Failure(
            "a database is restored by its own tools from what they have backed up",
            USAGE,
            f"`stepwell copy sqlite:///{file} URL` brings a file into a PostgreSQL database",
        )
    store = _file(url)
    exits = {"file": (NOT_FOUND, "FILE is what `stepwell backup` has made"), "store": (CONFLICT, _STORES)}
    with _refused(exits), _progress() as told:
        counts = restore_file(Path(file), store, told)
    _show(store, counts, out)
    say(f"serve {shown(url)} from now on: what had not ended goes on from there")
    say("serve the store that was backed up no more, else its instances run twice")
    return 0


def _file(url: str) -> Path:
    with _refused({}):
        return file_of(url)


@contextmanager
def _refused(exits: dict[str, tuple[int, str]]) -> Iterator[None]:
    """Raise what is wrong with a file or a URL as Failure."""
    try:
        yield
    except InvalidInput as error:
        raise Failure(str(error), *exits.get(error.field, (USAGE, _STORES))) from error


def _show(file: Path, counts: Counts, out: Output) -> None:
    item = {
        "file": str(file),
        "size": file.stat().st_size,
        "instances": counts["instances"],
        "rows": sum(counts.values()),
    }
    out.show_one(item, _COLUMNS, str(file))


@contextmanager
def _progress() -> Iterator[Told]:
    with Progress("") as progress:
        yield lambda part, done, total: progress.tell_of_part(part, Stand(done, None, total))
