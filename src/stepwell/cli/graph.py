"""`stepwell graph`: the steps of a workflow as a drawing, from its source or from a server."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from stepwell.cli.failures import FAILED, USAGE, Failure
from stepwell.cli.graph_sources import Drawn
from stepwell.cli.output import indented
from stepwell.cli.terminal import clean
from stepwell.cli.yaml import document
from stepwell.graph.dot import dot
from stepwell.graph.mermaid import mermaid
from stepwell.graph.svg import Theme, svg
from stepwell.graph.tree import tree

Form = Literal["text", "svg", "mermaid", "dot", "json", "yaml"]

_FORM_BY_ENDING: Mapping[str, Form] = {
    ".svg": "svg",
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".dot": "dot",
    ".gv": "dot",
    ".json": "json",
    ".yaml": "yaml",
    ".yml": "yaml",
}
_LINES = "├─└│"


@dataclass(frozen=True, slots=True)
class Wanted:
    """In which form a graph is wanted, where to, and in which theme. No form: as the file's name ends, else text."""

    form: Form | None
    file: str | None
    theme: Theme

    @property
    def chosen(self) -> Form:
        """The form that is meant."""
        return self.form or _FORM_BY_ENDING.get(Path(self.file or "").suffix.lower(), "text")


def draw(drawn: Drawn, wanted: Wanted) -> int:
    """Write a graph in the form that is wanted; return the exit code. Raises Failure."""
    if drawn.marks is not None and wanted.chosen == "mermaid":
        hint = "-o text, svg, dot, json and yaml show how an instance stands"
        raise Failure("a flowchart of Mermaid does not show how an instance stands", USAGE, hint)
    if wanted.file is None:
        _print(_text(drawn, wanted, is_ascii=not _has_lines()))
        return 0
    try:
        Path(wanted.file).write_text(_text(drawn, wanted, is_ascii=False), encoding="utf-8")
    except OSError as error:
        hint = "--file names a file in a folder that is there; without it the graph is printed"
        raise Failure(f"{wanted.file} cannot be written: {error.strerror}", FAILED, hint) from error
    return 0


def _text(drawn: Drawn, wanted: Wanted, *, is_ascii: bool) -> str:
    match wanted.chosen:
        case "text":
            return "".join(f"{clean(line)}\n" for line in tree(drawn.graph, drawn.marks, is_ascii=is_ascii))
        case "svg":
            return f"{svg(drawn.graph, drawn.marks, theme=wanted.theme)}\n"
        case "mermaid":
            return mermaid(drawn.graph)
        case "dot":
            return dot(drawn.graph, drawn.marks)
        case "json":
            return f"{indented(drawn.json)}\n"
        case "yaml":
            return f"{document(drawn.json)}\n"


def _has_lines() -> bool:
    """Tell whether what is printed may have lines that are not ASCII."""
    try:
        _LINES.encode(sys.stdout.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def _print(text: str) -> None:
    encoding = sys.stdout.encoding or "ascii"
    click.echo(text.encode(encoding, "replace").decode(encoding), nl=False)
