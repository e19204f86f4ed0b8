"""A store's file as what a copy is made of, and as what it is made into.

The target is written beside its place, without a log of its own, as one transaction, and is moved there when it is on
disk. Until then it is no store: it lacks what a store's file is known by.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import apsw

from stepwell.errors import InvalidInput, StoreDamaged
from stepwell.store.copying import Numbers
from stepwell.store.sql.rows import Row, every, first, only
from stepwell.store.sql.tables import GAPS, TABLES, Table
from stepwell.store.sqlite.faults import translate, translated
from stepwell.store.sqlite.file import (
    APPLICATION_ID,
    FileConnection,
    FileLock,
    open_writer,
    prepare_new,
)

_COUNTED = """
    select name
    from sqlite_schema
    where type = 'table'
        and sql like '%autoincrement%'
    """
_LAST = """
    select name, seq
    from sqlite_sequence
    """
_FORGET_LAST = """
    delete from sqlite_sequence
    where name = :name
    """
_SET_LAST = """
    insert into sqlite_sequence (name, seq)
    values (:name, :seq)
    """
_LAST_TRANSACTION = """
    select max(reserved)
    from commits
    """
_SET_LAST_TRANSACTION = """
    update commits
    set reserved = :reserved
    """


class SqliteSource:
    """A store in a file, which this process has as a server would."""

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator["SqliteSource"]:
        """Open it, with an older schema brought up to date. Blocks.

        Raises InvalidInput if there is none; StoreUnavailable, StoreDamaged, StoreInUse or StoreTooNew.
        """
        path = path.absolute()
        if not path.is_file():
            raise InvalidInput("from", f"there is no store at {path}")
        with ExitStack() as opened:
            with translated(path):
                opened.callback(FileLock(path).release)
                connection = open_writer(path)
                opened.callback(connection.close)
                connection.execute("begin")
            yield cls(connection, str(path))

    def __init__(self, connection: FileConnection, where: str) -> None:
        self.where = where
        self._connection = connection

    def count(self, table: Table) -> int:
        """Return how many rows a table has."""
        with translated(Path(self.where)):
            return int(only(self._connection, table.count)[0])

    def rows(self, table: Table) -> Iterator[Row]:
        """Yield the rows of a table. Raises StoreDamaged, and names the table."""
        last: Row | None = None
        try:
            for row in self._connection.execute(table.read):
                yield row
                last = row
        except (apsw.Error, UnicodeDecodeError) as error:
            raise _damaged_behind(error, self.where, table, last) from error

    def gap(self) -> Row | None:
        """Return what lacks something, if anything does: a text and the number of an instance."""
        with translated(Path(self.where)):
            return first(self._connection, GAPS)

    def numbers(self) -> Numbers:
        """Return the last numbers that were given out."""
        (reserved,) = only(self._connection, _LAST_TRANSACTION)
        given: dict[str, int] = dict(every(self._connection, _LAST))
        numbered = [table for table in TABLES if table.is_numbered]
        # Not every table remembers the rows that it had.
        last = {table.name: max(given.get(table.name, 0), *only(self._connection, table.last)) for table in numbered}
        return Numbers(last, reserved)


class SqliteTarget:
    """A store in a new file."""

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator["SqliteTarget"]:
        """Begin a file beside its place, which nobody else can take meanwhile. Blocks.

        On leaving it is where it belongs, if it was finished, or gone.
        Raises InvalidInput if something is there already; StoreUnavailable or StoreInUse.
        """
        path = path.absolute()
        refuse_what_is_there(path)
        with ExitStack() as opened, translated(path):
            opened.callback(FileLock(path).release)
            refuse_what_is_there(path)
            # One of a copy that was killed may lie there.
            beside = path.with_name(path.name + ".copying")
            opened.callback(beside.unlink, missing_ok=True)
            target = cls(beside, path)
            opened.callback(target.close)
            yield target

    def __init__(self, beside: Path, path: Path) -> None:
        self.where = str(path)
        self._beside = beside
        self._path = path
        beside.unlink(missing_ok=True)
        self._connection = prepare_new(beside)
        # Until the end it is not known as a store's.
        self._connection.execute("pragma application_id = 0")
        self._connection.execute("begin immediate")

    def count(self, table: Table) -> int:
        """Return how many rows a table has."""
        return int(only(self._connection, table.count)[0])

    def write(self, table: Table, rows: Sequence[Row]) -> None:
        """Write rows of a table."""
        places = ", ".join(f":{name}" for name in table.columns)
        self._connection.executemany(
            f"insert into {table.name} ({', '.join(table.columns)}) values ({places})",
            rows,
        )

    def finish(self, numbers: Numbers) -> None:
        """Make the file a store, and put it in its place."""
        counted = {name for (name,) in every(self._connection, _COUNTED)}
        for name, last in numbers.rows.items():
            if name in counted:
                self._connection.execute(_FORGET_LAST, (name,))
                self._connection.execute(_SET_LAST, (name, last))
        self._connection.execute(_SET_LAST_TRANSACTION, (numbers.transaction,))
        self._connection.execute(f"pragma application_id = {APPLICATION_ID}")
        self._connection.execute("commit")
        self._connection.close()
        self._beside.rename(self._path)
        sync(self._path.parent)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


def refuse_what_is_there(path: Path) -> None:
    """Raise InvalidInput if there is a file where a new store is to be, or the log of one, which it would get."""
    for suffix in ("", "-wal", "-journal"):
        file = path.with_name(path.name + suffix)
        if file.exists():
            raise InvalidInput("to", f"{file} is there already: name a file that is not, or move that one away")


def _damaged_behind(error: Exception, where: str, table: Table, last: Row | None) -> Exception:
    told = translate(error, where)
    if not isinstance(told, StoreDamaged):
        return told
    place = "at its beginning" if last is None else f"behind {table.place_of(last)}"
    return StoreDamaged(f"{told}; the table {table.name} {place}")


def sync(path: Path) -> None:
    """Let what a file has, or the names in a folder, be on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
