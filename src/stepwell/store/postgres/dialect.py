"""From what the operations say to what PostgreSQL understands, and back.

- Parameters are named in the SQL, and numbered here in the order of their first appearance in SQLite's text.
- `cross join ... on` and `indexed by` tell SQLite how to look; PostgreSQL's planner needs no such hint.
- A text in PostgreSQL cannot hold the character NUL, which a log line or a name in a request may have.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from stepwell.store.sql.rows import Row, Statement, Values

_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]\w*)")
_HINT = re.compile(r"\bcross (?=join \w+ as \w+ on\b)|\bindexed by \w+")
# SUBSTITUTE, a control character that JSON never holds as it is. It stands before what it stands for.
_MARK = "\x1a"
_NUL = "\0"
_ENCODED = str.maketrans({_MARK: _MARK + "1", _NUL: _MARK + "0"})
_DECODED = re.compile(f"{_MARK}([01])")


def to_postgres(sql: str) -> str:
    """Return a statement as PostgreSQL is asked it."""
    # Two statements may differ in PostgreSQL's text alone.
    return _translated(sql, sql.postgres if isinstance(sql, Statement) else sql)


def to_columns(values: Values) -> Values:
    """Return parameters with texts that PostgreSQL can hold."""
    if any(map(_has_control, values)):
        return tuple(map(_encoded, values))
    return values


def to_row(columns: Iterable[object]) -> Row:
    """Return a row with the texts that were stored."""
    row = tuple(columns)
    if any(type(value) is str and _MARK in value for value in row):
        return tuple(_DECODED.sub(_meant, value) if isinstance(value, str) else value for value in row)
    return row


def _has_control(value: object) -> bool:
    if type(value) is str:
        return _NUL in value or _MARK in value
    return type(value) is list and any(map(_has_control, value))


def _encoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_encoded(part) for part in value]
    return value.translate(_ENCODED) if isinstance(value, str) else value


def _meant(found: re.Match[str]) -> str:
    return _NUL if found[1] == "0" else _MARK


@lru_cache(maxsize=1_000)
def _translated(sqlite: str, postgres: str) -> str:
    names = dict.fromkeys(_PARAMETER.findall(sqlite))
    numbers = {name: f"${number}" for number, name in enumerate(names, 1)}
    return _PARAMETER.sub(lambda found: numbers[found[1]], _HINT.sub("", postgres))
