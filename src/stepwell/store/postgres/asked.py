"""The rows that a statement is asked about: many, a list for each column, or one, as it is.

One row is what is asked about while little goes on, and somebody waits: without lists, and without what only many rows
or rare ones need, PostgreSQL and asyncpg take a third less for it.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

from stepwell.store.sql.rows import Values


class Asked:
    """A statement in its forms. It names the rows `{asked}`; its first parameters are their columns."""

    def __init__(
        self, statement: str, columns: Mapping[str, str], parts: Mapping[str, str], *, in_order: str = ""
    ) -> None:
        """`columns`: their types, by name. `parts`: what is asked only where it is wanted, by the place that it has.

        `in_order` is what puts many rows in the order in which they are locked; one needs none.
        """
        lists = ", ".join(f"cast(:{name} as {kind}[])" for name, kind in columns.items())
        row = ", ".join(f"cast(:{name} as {kind}) as {name}" for name, kind in columns.items())
        rows = f"select asked.* from unnest({lists}) as asked ({', '.join(columns)}) {in_order}"
        # One row is put where it is asked for; of many the lists are read once.
        self._one, self._many = f"not materialized (select {row})", f"materialized ({rows})"
        self._statement = statement
        self._parts = parts
        # By the parts that are wanted, and whether it is for one row.
        self.texts = {
            (wanted, is_one): self._text(wanted, is_one=is_one)
            for count in range(len(parts) + 1)
            for wanted in combinations(parts, count)
            for is_one in (True, False)
        }

    def about(self, rows: Sequence[Values], *wanted: str) -> tuple[str, Values]:
        """Return the statement for rows, with parts, named in their order, and its first parameters."""
        if len(rows) == 1:
            return self.texts[wanted, True], rows[0]
        return self.texts[wanted, False], tuple(list(column) for column in zip(*rows, strict=True))

    def _text(self, wanted: tuple[str, ...], *, is_one: bool) -> str:
        parts = {name: text if name in wanted else "" for name, text in self._parts.items()}
        return self._statement.format(asked=self._one if is_one else self._many, **parts)
