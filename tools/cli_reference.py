"""Write docs/reference/cli.md from the commands themselves: `make reference`."""

from collections.abc import Iterator
from pathlib import Path

import click

from stepwell.cli import main as commands

PLACE = Path(__file__).parent.parent / "docs" / "reference" / "cli.md"

_HEAD = """\
# Commands

Made by `make reference` from the commands themselves, as `--help` shows them. What they share:
[cli.md](../cli.md).
"""


def reference() -> str:
    """Return the page."""
    return "\n".join([_HEAD, *_contents(commands, "stepwell"), *_sections(commands, None, "stepwell")])


def write() -> None:
    """Write the page to its place."""
    PLACE.parent.mkdir(exist_ok=True)
    PLACE.write_text(reference(), encoding="utf-8")


def _visible(command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        yield from ((name, one) for name, one in sorted(command.commands.items()) if not one.hidden)


def _contents(command: click.Command, path: str) -> Iterator[str]:
    for name, one in _visible(command):
        place = f"{path}-{name}".replace(" ", "-")
        yield f"- [`{path} {name}`](#{place}): {one.get_short_help_str(200)}"
        yield from (f"  {line}" for line in _contents(one, f"{path} {name}"))
    if path == "stepwell":
        yield ""


def _sections(command: click.Command, parent: click.Context | None, path: str) -> Iterator[str]:
    ctx = click.Context(command, parent, info_name=path.rpartition(" ")[2], help_option_names=["-h", "--help"])
    if parent is not None:
        yield f"## {path}\n"
        yield f"```\n{path} {' '.join(command.collect_usage_pieces(ctx))}\n```\n"
        yield f"{_in_markdown(command.help or '')}\n"
    options = [param for param in command.get_params(ctx) if isinstance(param, click.Option)]
    if records := [record for option in options if (record := option.get_help_record(ctx))]:
        rows = [f"| `{_in_cell(name)}` | {_in_cell(_in_markdown(text))} |" for name, text in records]
        yield "\n".join(["| option | |", "|---|---|", *(row.replace("`-h, --help`", "`-h`, `--help`") for row in rows)])
        yield ""
    for name, one in _visible(command):
        yield from _sections(one, ctx, f"{path} {name}")


def _in_markdown(text: str) -> str:
    """Return a help text without what would be formatted in it; paths and options are as they are."""
    plain = "\n".join(line.strip() for line in text.strip().splitlines())
    return plain.replace("*", "\\*").replace("<", "&lt;")


def _in_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    write()
