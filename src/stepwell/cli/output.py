"""What commands print on standard output: tables for people, tabs for pipes, JSON and YAML for programs, ids.

Messages go to standard error. Whatever a server says is stripped of what a terminal would obey.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import click

from stepwell.cli import terminal
from stepwell.cli.tables import Column, counted, lines_of
from stepwell.cli.terminal import clean

__all__ = ["Column", "Item", "Output", "counted"]

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Output:
    """In which form a command shows what it has, and whether in colours."""

    form: Literal["table", "wide", "json", "ndjson", "ids", "yaml"] = "table"
    color: Literal["auto", "always", "never"] = "auto"

    @property
    def is_text(self) -> bool:
        """Whether it is for people: a table, or text in a pipe."""
        return self.form in {"table", "wide"}

    @property
    def is_whole(self) -> bool:
        """Whether it is all that the API answers, of a command of which other forms have a part."""
        return self.form in {"json", "yaml"}

    @property
    def is_line_by_line(self) -> bool:
        """Whether a terminal gets a line for each item, or several, as soon as it is there."""
        return self.form in {"ndjson", "ids", "yaml"} and sys.stdout.isatty()

    @property
    def is_colored(self) -> bool:
        """Whether text is in colours."""
        return terminal.has_color(self.color, sys.stdout)

    def show_all(self, items: Iterable[Item], columns: Sequence[Column], id: str = "id") -> int:
        """Print a list; return how long it is. `id` is the member that names an item."""
        match self.form:
            case "json":
                items = list(items)
                _print_json(f"[{','.join(map(json_of, items))}]")
                return len(items)
            case "table" | "wide" if sys.stdout.isatty():
                items = list(items)
                for line in self.table(items, columns) if items else []:
                    click.echo(line, color=True)
                return len(items)
            case _:
                # A pipe gets each item as soon as it is there.
                count = 0
                for item in items:
                    self._print_line(item, columns, id)
                    count += 1
                if self.form == "yaml" and not count:
                    click.echo("[]")
                return count

    def show_one(self, item: Item, columns: Sequence[Column], id: str) -> None:
        """Print an object, which is a list of one to people. `id` is what names it."""
        match self.form:
            case "json":
                _print_json(json_of(item))
            case "yaml":
                click.echo(in_yaml(item))
            case "ids":
                click.echo(clean(id))
            case _:
                self.show_all([item], columns)

    def show_as_it_comes(self, items: Iterable[Item], columns: Sequence[Column], id: str = "id") -> None:
        """Print a list of which each item is shown when it is there; only JSON waits for the last one.

        On a terminal, too: a column becomes as wide as its widest cell so far.
        """
        if self.form == "json" or not (self.is_text and sys.stdout.isatty()):
            self.show_all(items, columns, id)
            return
        # Imported here: a pipe needs none of it.
        from rich.cells import cell_len

        widths: dict[str, int] = {}
        for item in items:
            cells = [(column.head, clean(column.cell(item))) for column in self._chosen(columns)]
            widths |= {head: max(widths.get(head, 0), cell_len(text)) for head, text in cells}
            padded = [text + " " * (widths[head] - cell_len(text)) for head, text in cells[:-1]]
            click.echo("  ".join([*padded, cells[-1][1]]), color=True)

    def table(self, items: Sequence[Item], columns: Sequence[Column]) -> list[str]:
        """Return the lines of a table as wide as the terminal; with `-o wide`, as wide as all columns are."""
        chosen, width = self._chosen(columns), terminal.size()[0]
        if self.form == "wide":
            chosen = [Column(column.head, column.cell, is_status=column.is_status) for column in chosen]
        return lines_of(chosen, items, width, is_colored=self.is_colored)

    def _chosen(self, columns: Sequence[Column]) -> list[Column]:
        return [column for column in columns if self.form == "wide" or not column.is_wide]

    def _print_line(self, item: Item, columns: Sequence[Column], id: str) -> None:
        if self.is_text:
            click.echo("\t".join(self._cell(column, item) for column in self._chosen(columns)), color=True)
            return
        match self.form:
            case "yaml":
                # Imported here: most commands print none.
                from stepwell.cli import yaml

                click.echo(yaml.item(json_of(item)))
            case "ndjson":
                click.echo(in_one_line(json_of(item)))
            case _:
                click.echo(clean(item[id]))

    def _cell(self, column: Column, item: Item) -> str:
        text = clean((column.piped or column.cell)(item))
        return terminal.painted(text, is_colored=self.is_colored) if column.is_status else text


def json_of(item: Item) -> str:
    """Return the JSON of an item: as a server wrote it, if it comes from one."""
    text = getattr(item, "text", None)
    return text if isinstance(text, str) else json.dumps(item, ensure_ascii=False)


def in_yaml(item: Any) -> str:
    """Return an item, or a list of them, as a document of YAML."""
    # Imported here: most commands print none.
    from stepwell.cli import yaml

    return yaml.document(json_of(item))


def indented(text: str) -> str:
    """Return JSON as people read it."""
    return terminal.clean_json(_formatted(text, 2))


def in_one_line(text: str) -> str:
    """Return JSON as programs read it line by line."""
    return terminal.clean_json(_formatted(text, -1) if "\n" in text else text)


def _print_json(text: str) -> None:
    """Print JSON, indented on a terminal."""
    click.echo(indented(text) if sys.stdout.isatty() else terminal.clean_json(text))


def _formatted(text: str, indent: int) -> str:
    """Return JSON with other blanks between its values, which keep their digits."""
    # Imported here: most commands print none.
    import msgspec

    try:
        return msgspec.json.format(text, indent=indent)
    except (msgspec.DecodeError, UnicodeEncodeError):
        # Half of a surrogate pair, escaped or not, which JSON may have: as it is, then.
        return " ".join(text.splitlines()) if indent < 0 else text
