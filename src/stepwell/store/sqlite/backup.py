"""A store's file into another file, as it is at one moment, also while a server has it.

SQLite lets other processes read a database that one writes; the reader holds one transaction, so all that it copies is
of one moment. It writes nothing and checkpoints nothing. As long as it lasts, the server's log grows instead of being
used again.

What is copied is checked before it is where it belongs: the pages, each record against its checksum, the histories for
gaps.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import apsw

from stepwell.errors import InvalidInput, StoreDamaged
from stepwell.store.copying import Counts, check, counts_of
from stepwell.store.sql.rows import every, only
from stepwell.store.sqlite.copying import SqliteSource, refuse_what_is_there, sync
from stepwell.store.sqlite.faults import translated
from stepwell.store.sqlite.file import BUSY_TIMEOUT_MS, FileConnection, FileLock, check_sqlite, lacking

# Some megabytes at a time, which take milliseconds.
_PAGES_AT_ONCE = 1_024

# What is said on the way: of what, how much is done, and of how much.
Told = Callable[[str, int, int], None]


def back_up(store: Path, file: Path, told: Told) -> Counts:
    """Copy a store that any process may have into a new file; return how many rows of each table it has. Blocks.

    Raises InvalidInput for `store` if there is none, for `file` if something is there and for `folder` if it would lie
    in none; StoreDamaged, StoreTooNew or StoreUnavailable.
    """
    store, file = _there(store, "store"), _free(file, "file")
    # Made here, it would hide that its name is wrong, or that the disk which belongs there is not mounted.
    if not file.parent.is_dir():
        raise InvalidInput("folder", f"there is no folder {file.parent}: make it, or mount what belongs there")
    return _copy(store, file, told)


def restore(file: Path, store: Path, told: Told) -> Counts:
    """Make a store of a file that was backed up, where none is; return how many rows of each table it has. Blocks.

    Raises InvalidInput for `file` if there is none and for `store` if something is there; StoreInUse, StoreDamaged,
    StoreTooNew or StoreUnavailable.
    """
    file, store = _there(file, "file"), _free(store, "store")
    with ExitStack() as held, translated(store):
        held.callback(FileLock(store).release)
        return _copy(file, _free(store, "store"), told)


def _there(path: Path, field: str) -> Path:
    path = path.absolute()
    if not path.is_file():
        raise InvalidInput(field, f"there is no store at {path}")
    return path


def _free(path: Path, field: str) -> Path:
    path = path.absolute()
    try:
        refuse_what_is_there(path)
    except InvalidInput as error:
        raise InvalidInput(field, str(error)) from None
    return path


def _copy(source: Path, target: Path, told: Told) -> Counts:
    check_sqlite(apsw.sqlite_lib_version())
    beside = target.with_name(target.name + ".copying")
    with ExitStack() as held, translated(target):
        held.enter_context(_alone(beside))
        with translated(source):
            is_current = _copy_pages(source, beside, told)
            counts = _checked(beside, source, told, is_current=is_current)
        _put(beside, target)
    return counts


@contextmanager
def _alone(beside: Path) -> Iterator[None]:
    """Have a new file, for its owner alone, until it is put elsewhere; at the end it is gone from here.

    One of a copy that was killed may lie there. Raises InvalidInput if another copy writes it: which of them would be
    put where it belongs, and how much of it, could not be known.
    """
    with suppress(FileNotFoundError), _locked(beside, os.O_RDWR):
        pass
    with _locked(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL):
        yield


@contextmanager
def _locked(beside: Path, flags: int) -> Iterator[None]:
    """Have the lock of a file; at the end it is gone, unless another copy's is in its place."""
    descriptor = os.open(beside, flags, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidInput("file", f"another copy is being written at {beside}: wait for its end") from None
        try:
            yield
        finally:
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), beside.stat()):
                    beside.unlink()
    finally:
        os.close(descriptor)


def _copy_pages(source: Path, beside: Path, told: Told) -> bool:
    """Copy all pages; tell whether the store has the schema of this release."""
    with (
        closing(FileConnection(str(source), flags=apsw.SQLITE_OPEN_READONLY)) as reading,
        closing(FileConnection(str(beside))) as writing,
    ):
        reading.set_busy_timeout(BUSY_TIMEOUT_MS)
        # The moment; and what is no store is refused before anything is copied.
        reading.execute("begin")
        is_current = not lacking(reading, source)
        # It is synced as a whole, or thrown away.
        writing.execute("pragma journal_mode = off")
        writing.execute("pragma synchronous = off")
        with writing.backup("main", reading, "main") as copying:
            while not copying.done:
                copying.step(_PAGES_AT_ONCE)
                told("pages", copying.page_count - copying.remaining, copying.page_count)
        # One file, without a log beside it.
        every(writing, "pragma journal_mode = delete")
    return is_current


def _checked(beside: Path, source: Path, told: Told, *, is_current: bool) -> Counts:
    """Return how many rows each table of a copy has. Raises StoreDamaged if it is not whole.

    Of an older schema the pages are checked, and the instances counted.
    """
    with closing(FileConnection(str(beside), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        told("integrity", 0, 1)
        (verdict,) = only(connection, "pragma integrity_check(1)")
        if verdict != "ok":
            raise StoreDamaged(f"Store {source}: the file is damaged: restore it from another backup ({verdict})")
        if not is_current:
            return {"instances": only(connection, "select count(*) from instances")[0]}
        copied = SqliteSource(connection, str(source))
        counts = counts_of(copied)
        check(copied, lambda done: told("rows", done, sum(counts.values())))
    return counts


def _put(beside: Path, target: Path) -> None:
    """Put a file where it belongs, durably, and never over another."""
    sync(beside)
    try:
        target.hardlink_to(beside)
    except FileExistsError:
        raise InvalidInput(
            "file", f"{target} is there already: name a file that is not, or move that one away"
        ) from None
    except OSError:
        # Not every file system has links.
        beside.rename(target)
    sync(target.parent)
