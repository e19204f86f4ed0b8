"""The seam between the operations and a database: what they ask of a connection, and rows as it returns them.

SQLite's own connection fits as it is. Parameters are named in the SQL and bound by position, in the order of their
first appearance: that is cheaper, and these statements run at every step.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from stepwell.sealing import Vault

# A value of a row is what its column is in the schema; no type checker can know. Columns get types with their names.
Row = tuple[Any, ...]
# PostgreSQL takes lists, too.
Values = tuple[int | str | bytes | list[Any] | None, ...]


class Rows(Protocol):
    """What a statement returns."""

    def fetchone(self) -> Row | None:
        """Return the next row, or None."""

    def fetchall(self) -> list[Row]:
        """Return the rows that are left."""

    def __iter__(self) -> Iterator[Row]: ...


class Connection(Protocol):
    """What the operations ask of a database."""

    # What seals payloads, and opens them; None: they are stored as they are.
    vault: Vault | None
    # Whose instances are, by their rows: what is asked for each payload that is sealed or opened. Nobody keeps it for
    # longer than he may believe it.
    accounts: dict[int, str]

    def execute(self, sql: str, values: Values = ..., /) -> Rows:
        """Do a statement."""

    def executemany(self, sql: str, values: Iterable[Values], /) -> object:
        """Do a statement once for each of many values."""

    def changes(self) -> int:
        """Return how many rows the last statement has changed."""


class Statement(str):
    """A statement that the two databases have to be asked in different words.

    The text is SQLite's; `postgres` asks the same of PostgreSQL, with the same parameters in any order.
    """

    postgres: str
    __slots__ = ("postgres",)

    def __new__(cls, sqlite: str, *, postgres: str) -> "Statement":
        """Make it of both texts."""
        statement = super().__new__(cls, sqlite)
        statement.postgres = postgres
        return statement


def of_leases(sql: str) -> Statement:
    """Return a statement on the leases of workers (`workers as holder`).

    Where several hosts use a database, a lease is over with that of the worker's host, too.
    """
    return Statement(sql, postgres=sql.replace("workers as holder", "leases as holder"))


def locking_instance(sql: str) -> Statement:
    """Return a statement that finds an instance (`instances as i`) which is then changed.

    SQLite has one writer. Elsewhere the row is locked, so that nobody changes it between the look and the change.
    """
    return Statement(sql, postgres=f"{sql} for update of i")


class Damaged(Exception):
    """What is stored is not what was stored. The store raises it as StoreDamaged, and writes nothing."""


def first(connection: Connection, sql: str, values: Values = ()) -> Row | None:
    """Return a statement's first row, or None if it has none."""
    return connection.execute(sql, values).fetchone()


def only(connection: Connection, sql: str, values: Values = ()) -> Row:
    """Return the row of a statement that always has one."""
    row = first(connection, sql, values)
    assert row is not None
    return row


def every(connection: Connection, sql: str, values: Values = ()) -> list[Row]:
    """Return all rows of a statement."""
    return connection.execute(sql, values).fetchall()
