"""Rows as SQLite returns them. Their columns get types where they get names."""

from typing import Any

import apsw

# A value of a row is what its column is in the schema; no type checker can know.
Row = tuple[Any, ...]
Values = tuple[int | str | None, ...]


def first(connection: apsw.Connection, sql: str, values: Values = ()) -> Row | None:
    """Return a statement's first row, or None if it has none."""
    return connection.execute(sql, values).fetchone()


def only(connection: apsw.Connection, sql: str, values: Values = ()) -> Row:
    """Return the row of a statement that always has one."""
    row = first(connection, sql, values)
    assert row is not None
    return row


def every(connection: apsw.Connection, sql: str, values: Values = ()) -> list[Row]:
    """Return all rows of a statement."""
    return connection.execute(sql, values).fetchall()
