"""A whole store into another one, whichever databases they are in.

The rows are copied as they are, with their numbers, since everything names them, the author's idempotency keys too. The
target is there when all of it is, or not at all.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from stepwell.errors import StoreDamaged, StoreError
from stepwell.store.sql.rows import Row
from stepwell.store.sql.tables import TABLES, Table

# Parts of about this size: large enough to cost little each, and nothing to hold in memory.
_PART_BYTES = 2**20
_PART_ROWS = 1_000

Counts = dict[str, int]
# What is said on the way: the table, and how many rows more are in the target.
Told = Callable[[str, int], None]


class Numbers(Struct, frozen=True):
    """Up to which number a store has given out any: of rows, by table, and of transactions."""

    rows: Mapping[str, int]
    transaction: int


class Source(Protocol):
    """A store at one moment, which nobody else has open."""

    where: str

    def count(self, table: Table) -> int:
        """Return how many rows a table has."""

    def rows(self, table: Table) -> Iterator[Row]:
        """Yield the rows of a table, of which a few are in memory."""

    def gap(self) -> Row | None:
        """Return what lacks something, if anything does: a text and the number of an instance."""

    def numbers(self) -> Numbers:
        """Return the last numbers that were given out."""


class Target(Protocol):
    """An empty store, which nobody else has open. What is written is there when `finish` has returned."""

    where: str

    def count(self, table: Table) -> int:
        """Return how many rows a table has."""

    def write(self, table: Table, rows: Sequence[Row]) -> None:
        """Write rows of a table."""

    def finish(self, numbers: Numbers) -> None:
        """Make what was written a store, durably: it gives out numbers behind these."""


def counts_of(store: Source | Target) -> Counts:
    """Return how many rows each table of a store has."""
    return {table.name: store.count(table) for table in TABLES}


def copy(source: Source, target: Target, counts: Counts, told: Told) -> None:
    """Copy all rows of a store, of which there are these; `told` hears of each part.

    Raises StoreDamaged where a row is not what was stored, or is missing, StoreError if not all have come; then the
    target is none.
    """
    _refuse_gaps(source)
    for table in TABLES:
        for part in _parts(_checked(source, table)):
            target.write(table, part)
            told(table.name, len(part))
    come = counts_of(target)
    if missing := [f"{name}: {come[name]} of {count}" for name, count in counts.items() if come[name] != count]:
        raise StoreError(f"Store {target.where}: not all rows have come ({'; '.join(missing)}): copy it again")
    target.finish(source.numbers())


def check(source: Source, told: Callable[[int], None]) -> None:
    """Hold all rows of a store against their checksums; `told` hears how many were so far. Raises StoreDamaged."""
    _refuse_gaps(source)
    done = 0
    for table in TABLES:
        for part in _parts(_checked(source, table)):
            done += len(part)
            told(done)


def _refuse_gaps(source: Source) -> None:
    if (gap := source.gap()) is not None:
        what, instance = gap
        raise StoreDamaged(
            f"Store {source.where}: {what} {instance} has a gap: restore the store from a backup, or delete "
            "the instance"
        )


def _checked(source: Source, table: Table) -> Iterator[Row]:
    """Yield the rows of a table as they are to be written. Raises StoreDamaged."""
    ended = [(table.columns.index(name), value) for name, value in table.ended]
    for row in source.rows(table):
        if table.is_whole is not None and not table.is_whole(row):
            raise StoreDamaged(
                f"Store {source.where}: the table {table.name} is damaged at {table.place_of(row)}: its checksum is "
                "another one; restore the store from a backup, or delete the instance that it belongs to"
            )
        yield row if not ended else _with(row, ended)


def _with(row: Row, values: Sequence[tuple[int, Any]]) -> Row:
    changed = list(row)
    for place, value in values:
        changed[place] = value
    return tuple(changed)


def _parts(rows: Iterator[Row]) -> Iterator[list[Row]]:
    part: list[Row] = []
    size = 0
    for row in rows:
        part.append(row)
        size += sum(len(value) for value in row if isinstance(value, str | bytes))
        if size >= _PART_BYTES or len(part) >= _PART_ROWS:
            yield part
            part, size = [], 0
    if part:
        yield part
