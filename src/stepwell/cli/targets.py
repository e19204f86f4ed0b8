"""Which instances a command is about: ids as arguments, from standard input, from files, and the latest one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import click

from stepwell import limits
from stepwell.cli import arguments
from stepwell.cli.terminal import say
from stepwell.client import Client
from stepwell.errors import InstanceNotFound, RequestRefused

_LATEST = "latest"


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
    ids = [id for argument in given for id in arguments.ids_of(argument)]
    if filename is not None:
        ids += _array_in(filename)
    _check(ids)
    if not ids:
        say("no instance is named, so there is nothing to do")
    if _LATEST in ids:
        latest = named(client, workflow, _LATEST)
        ids = [latest if id == _LATEST else id for id in ids]
    return Targets(client, workflow, tuple(dict.fromkeys(ids)))


def named(client: Client, workflow: str, id: str) -> str:
    """Return the id that is meant: itself, or the newest instance's for `latest`.

    Raises click.BadParameter for what is no id.
    """
    _check([id])
    if id != _LATEST:
        return id
    newest = next(client.instances(workflow, per_page="1"), None)
    if newest is None:
        raise RequestRefused(InstanceNotFound.http_status, InstanceNotFound.code, f"{workflow} has no instance yet")
    return str(newest["id"])


def _check(ids: Iterable[str]) -> None:
    # The paths of requests are made of ids: one such as ".." must not lead to something else.
    for id in ids:
        if not limits.is_addressed_instance_id(id):
            raise click.BadParameter(f'"{id:.300}" is no id of an instance; it has {limits.ADDRESSED_INSTANCE_ID_RULE}')


def _array_in(filename: str) -> list[str]:
    ids = arguments.json_in(filename)
    if not isinstance(ids, list) or not all(isinstance(id, str) for id in ids):
        raise click.BadParameter(f'{filename} has no array of ids, such as ["order-1", "order-2"]')
    return ids
