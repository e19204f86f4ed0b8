"""Which instances a command is about: ids as arguments, from standard input, from files, and the latest one."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from stepwell import limits
from stepwell.cli.description import named
from stepwell.client import Client


@dataclass(frozen=True, slots=True)
class Targets:
    """Instances of a workflow, each once, in the order in which they were named."""

    client: Client
    workflow: str
    ids: tuple[str, ...]


def find(client: Client, workflow: str, given: Sequence[str], filename: str | None = None) -> Targets:
    """Return the instances that arguments name, and a file with a JSON array of ids.

    An argument is an id, `latest`, `-` for standard input with an id on each line, or `@file` with the same. Raises
    click.UsageError for what cannot be read or is no id: before anything is done to the others.
    """
    if not given and filename is None:
        raise click.UsageError("no instance is named; give ids, latest, - or @FILE")
    ids = [id for argument in given for id in _ids_of(argument)]
    if filename is not None:
        ids += _array_in(filename)
    for id in ids:
        # The paths of requests are made of ids: one such as ".." must not lead to something else.
        if not limits.is_addressed_instance_id(id):
            raise click.BadParameter(f'"{id:.300}" is no id of an instance')
    if not ids:
        click.echo("no instance is named, so there is nothing to do", err=True)
    if "latest" in ids:
        latest = named(client, workflow, "latest")
        ids = [latest if id == "latest" else id for id in ids]
    return Targets(client, workflow, tuple(dict.fromkeys(ids)))


def _ids_of(argument: str) -> Iterator[str]:
    if argument != "-" and not argument.startswith("@"):
        yield argument
        return
    text = _text_of(argument.removeprefix("@"))
    yield from filter(None, map(str.strip, text.splitlines()))


def _array_in(filename: str) -> list[str]:
    try:
        ids = json.loads(_text_of(filename))
    except ValueError as error:
        raise click.BadParameter(f"{filename} is not JSON: {error}") from error
    if not isinstance(ids, list) or not all(isinstance(id, str) for id in ids):
        raise click.BadParameter(f'{filename} has no array of ids, such as ["order-1", "order-2"]')
    return ids


def _text_of(filename: str) -> str:
    try:
        if filename == "-":
            return sys.stdin.read()
        return Path(filename).read_text(encoding="utf-8")
    except OSError as error:
        raise click.BadParameter(f"{filename} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"{filename} is not UTF-8: {error}") from error
