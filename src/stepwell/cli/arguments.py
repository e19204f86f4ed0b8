"""What arguments say: themselves, or for `@FILE` and `-` what is in a file and on standard input; and secrets."""

import json
import sys
from pathlib import Path
from typing import Any

import click


def json_of(argument: str | None) -> Any:
    """Return the value that an argument says: JSON, `@file` with JSON, or `-` for standard input.

    Raises click.BadParameter.
    """
    if argument is None:
        return {}
    if is_elsewhere(argument):
        return json_in(argument.removeprefix("@"))
    try:
        return json.loads(argument)
    except ValueError as error:
        raise click.BadParameter(f"this is not JSON: {error}; a text needs quotes of its own: '\"text\"'") from error


def ids_of(argument: str) -> list[str]:
    """Return the ids that an argument says: itself, or those on the lines of `@file`, or for `-` of standard input.

    Raises click.BadParameter.
    """
    if not is_elsewhere(argument):
        return [argument]
    return [id for line in text_in(argument.removeprefix("@")).splitlines() if (id := line.strip())]


def secret(prompt: str) -> str:
    """Return what is typed unseen, or comes from a pipe: never an argument, which others could see."""
    is_terminal = sys.stdin.isatty()
    given = (
        click.prompt(prompt, "", hide_input=True, show_default=False, err=True) if is_terminal else sys.stdin.readline()
    )
    return str(given).strip()


def is_elsewhere(argument: str) -> bool:
    """Tell whether what an argument says is in a file, or on standard input."""
    return argument == "-" or argument.startswith("@")


def json_in(filename: str) -> Any:
    """Return the value of the JSON in a file, or for `-` on standard input. Raises click.BadParameter."""
    try:
        return json.loads(text_in(filename))
    except ValueError as error:
        raise click.BadParameter(f"{_called(filename)} is not JSON: {error}") from error


def text_in(filename: str) -> str:
    """Return what is in a file, or for `-` on standard input. Raises click.BadParameter."""
    try:
        content = sys.stdin.buffer.read() if filename == "-" else Path(filename).read_bytes()
        return content.decode()
    except OSError as error:
        raise click.BadParameter(f"{_called(filename)} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"{_called(filename)} is not UTF-8: {error}") from error


def _called(filename: str) -> str:
    return "standard input" if filename == "-" else filename
