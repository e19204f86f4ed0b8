"""What SQLite and the system may raise, as errors that say what happened, to which file, and what helps."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from stepwell.errors import StepwellError, StoreDamaged, StoreError, StoreInUse, StoreUnavailable
from stepwell.store.sql.rows import Damaged

_UNAVAILABLE: dict[type[BaseException], str] = {
    apsw.FullError: "the disk is full: free some space and try again",
    apsw.IOError: "reading or writing the file failed: is the disk full, over a quota or broken?",
    apsw.ReadOnlyError: "the file or its folder is read-only: make both writable",
    apsw.BusyError: "another program holds a lock on the file: end it and try again",
    apsw.LockedError: "another program holds a lock on the file: end it and try again",
    apsw.CantOpenError: "the file cannot be opened: check that it and its folder may be read and written",
    apsw.PermissionsError: "the file may not be opened: check the permissions of the file and its folder",
    apsw.NoMemError: "there is not enough memory",
    MemoryError: "there is not enough memory",
    OSError: "the file or its folder cannot be used: check that it exists, is writable, and has space",
}
_DAMAGED: dict[type[BaseException], str] = {
    Damaged: "the file is damaged: restore it from a backup",
    apsw.CorruptError: "the file is damaged: restore it from a backup",
    apsw.NotADBError: "the file is no SQLite database: give another path, or restore it from a backup",
    UnicodeDecodeError: "the file is damaged, a text in it is no text: restore it from a backup",
}


def translate(error: Exception, path: str) -> Exception:
    """Return what the caller is told for an error of a store's file. A defect of ours stays what it is."""
    if isinstance(error, StepwellError):
        return error
    for kind, advice in _DAMAGED.items():
        if isinstance(error, kind):
            return StoreDamaged(f"Store {path}: {advice} ({_detail(error)})")
    for kind, advice in _UNAVAILABLE.items():
        if isinstance(error, kind):
            return StoreUnavailable(f"Store {path}: {advice} ({_detail(error)})")
    if isinstance(error, apsw.Error):
        return StoreError(f"Store {path}: {_detail(error)}")
    return error


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise faults of a file that is being opened as errors of ours."""
    try:
        yield
    except apsw.BusyError as error:
        raise StoreInUse(
            f"Store {path} is locked by another program (a database shell, a backup?): end it and try again"
        ) from error
    except Exception as error:  # what is not a fault of the file comes back as it is
        told = translate(error, str(path))
        if told is error:
            raise
        raise told from error


def locked_by(path: Path, pid: str) -> StoreInUse:
    """Return the error for a file that another server has."""
    who = f"process {pid}" if pid else "another process"
    return StoreInUse(f"Store {path} is in use by {who}: stop that one first, or use another file")


def _detail(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
