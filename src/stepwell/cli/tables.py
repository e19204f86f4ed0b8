"""Tables for people: columns go where there is no room for them, and nothing is cut."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from stepwell.cli.terminal import clean, color_of, marked

_GAP = 2
# Prose is broken into lines, but not into narrower ones.
_PROSE_WIDTH = 24
_ANY_HEIGHT = 100


@dataclass(frozen=True, slots=True)
class Column:
    """A column: what it is called, and its text for an item.

    Where there is no room, the column of the highest rank goes first; one of rank 0 stays. `is_wide`: it is only there
    if that is asked for. `is_prose`: its text may be broken into lines. `is_status`: it has a status' glyph and colour.
    `piped`: the text that a pipe gets, where it is another one.
    """

    head: str
    cell: Callable[[Any], str]
    rank: int = 0
    is_wide: bool = False
    is_prose: bool = False
    is_status: bool = False
    piped: Callable[[Any], str] | None = None


def counted(head: str, count: Callable[[Any], int], rank: int = 0) -> Column:
    """Return a column of counts: with separators for people, and digits alone in a pipe."""
    return Column(head, lambda item: f"{count(item):,}", rank, piped=lambda item: str(count(item)))


def lines_of(columns: Sequence[Column], items: Sequence[Any], width: int, *, is_colored: bool) -> list[str]:
    """Return the lines of a table that is as wide as `width`, or wider if what has to stay is."""
    # Imported here: it takes as long as the rest of a command.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [[clean(column.cell(item)) for item in items] for column in columns]
    shown = [
        list(map(marked, texts)) if column.is_status else texts for column, texts in zip(columns, cells, strict=True)
    ]
    widths = [_width(column, texts) for column, texts in zip(columns, shown, strict=True)]
    kept = _kept(columns, widths, width)
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, _GAP, 0, 0))
    for place in kept:
        column = columns[place]
        table.add_column(column.head.upper(), no_wrap=not column.is_prose, min_width=widths[place], overflow="fold")
    for number in range(len(items)):
        table.add_row(
            *(
                Text(shown[place][number], style=(columns[place].is_status and color_of(cells[place][number])) or "")
                for place in kept
            )
        )
    console = Console(
        file=StringIO(),
        width=max(width, _total(kept, widths)),
        height=_ANY_HEIGHT,
        color_system="standard" if is_colored else None,
        force_terminal=is_colored,
        no_color=not is_colored,
    )
    with console.capture() as captured:
        console.print(table)
    return [line.rstrip() for line in captured.get().splitlines()]


def _kept(columns: Sequence[Column], widths: Sequence[int], width: int) -> list[int]:
    """Return the places of the columns that there is room for."""
    kept = list(range(len(columns)))
    while _total(kept, widths) > width:
        last = max(kept, key=lambda place: columns[place].rank)
        if columns[last].rank == 0:
            break
        kept.remove(last)
    return kept


def _width(column: Column, texts: Sequence[str]) -> int:
    """Return how many cells a column takes at least."""
    from rich.cells import cell_len

    longest = max([cell_len(column.head), *map(cell_len, texts)])
    return min(longest, max(_PROSE_WIDTH, cell_len(column.head))) if column.is_prose else longest


def _total(kept: Sequence[int], widths: Sequence[int]) -> int:
    return sum(widths[place] for place in kept) + _GAP * (len(kept) - 1)
