"""One text for two databases: what is changed of it for PostgreSQL."""

import asyncio
import importlib
import pkgutil
import re
from collections.abc import Callable

import pytest

from stepwell.store import sql
from stepwell.store.sql.rows import Statement
from tests import postgres

HAS_POSTGRES = postgres.is_there()

asyncpg = pytest.importorskip("asyncpg")
dialect = pytest.importorskip("stepwell.store.postgres.dialect")

TEXTS = {
    f"{module.name}.{name}": text
    for module in pkgutil.iter_modules(sql.__path__)
    for name, text in vars(importlib.import_module(f"stepwell.store.sql.{module.name}")).items()
    if isinstance(text, str) and re.match(r"\s*(select|insert|update|delete|with)\b", text) and "{" not in text
}


def test_parameters_have_the_numbers_of_their_first_appearance() -> None:
    """Values are bound by position: each name stands for one of them, however often it comes."""
    asked = dialect.to_postgres("select :b, :a, :b, cast('x' as text)")

    assert asked == "select $1, $2, $1, cast('x' as text)"


def test_other_text_has_the_numbers_of_the_first() -> None:
    """The values are the same for both databases."""
    asked = dialect.to_postgres(Statement("select :b, :a", postgres="select :a::text, :b"))

    assert asked == "select $2::text, $1"


def test_same_text_for_one_may_be_two_for_the_other() -> None:
    """A statement that locks is not taken for the one that does not."""
    plain, locking = "select 1", Statement("select 1", postgres="select 1 for update")

    assert [dialect.to_postgres(one) for one in (plain, locking, plain)] == [
        "select 1",
        "select 1 for update",
        "select 1",
    ]


def test_hints_are_left_out() -> None:
    """How SQLite is to look concerns nobody else."""
    asked = dialect.to_postgres("select 1 from a indexed by b cross join c as d on d.x = a.x cross join lateral (e)")

    assert asked.split() == [
        "select",
        "1",
        "from",
        "a",
        "join",
        "c",
        "as",
        "d",
        "on",
        "d.x",
        "=",
        "a.x",
        "cross",
        "join",
        "lateral",
        "(e)",
    ]


@pytest.mark.parametrize("text", ["\0", "\x1a", "a\0b\x1a0\x1a1\0", "\x1a\x1a\0", "plain"])
def test_any_text_comes_back(text: str) -> None:
    """What PostgreSQL cannot hold is stored as something else, and nothing is taken for it that was not."""
    (stored,) = dialect.to_columns((text,))

    assert "\0" not in stored
    assert dialect.to_row([stored]) == (text,)


def test_texts_of_lists_come_back() -> None:
    """Many rows are written as a list for each column: their texts are held as any other."""
    (numbers, stored) = dialect.to_columns(([1, 2], ["a\0", None, "\x1a0"]))

    assert numbers == [1, 2]
    assert dialect.to_row(stored) == ("a\0", None, "\x1a0")
    assert not any(text is not None and "\0" in text for text in stored)


def test_both_texts_have_the_same_parameters() -> None:
    """A parameter that one text lacks would be of no type there."""
    statements = {name: text for name, text in TEXTS.items() if isinstance(text, Statement)}

    wrong = [name for name, text in statements.items() if _parameters(text) != _parameters(text.postgres)]

    assert wrong == []


def _parameters(text: str) -> set[str]:
    return set(re.findall(r"(?<![:\w]):([a-z_]\w*)", text))


async def test_every_statement_is_understood(require: Callable[..., None]) -> None:
    """PostgreSQL knows each table, column and type, also of what no test happens to ask."""
    require(postgres.REASON, "a store in it", HAS_POSTGRES)
    url = await asyncio.to_thread(postgres.databases.make, postgres.template())
    connection = await asyncpg.connect(url)

    refused = {}
    for name, text in TEXTS.items():
        try:
            await connection.prepare(dialect.to_postgres(text))
        except asyncpg.PostgresError as error:
            refused[name] = str(error)

    await connection.close()
    assert len(TEXTS) > 100
    assert refused == {}
