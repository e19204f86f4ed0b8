"""`stepwell instances fork`: new instances from a step of others, which stay as they are."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from stepwell.cli import arguments, choosing
from stepwell.cli.choosing import Chosen
from stepwell.cli.failures import FAILED, failure_of, reason_of
from stepwell.cli.output import Column, Item, Output
from stepwell.cli.terminal import say
from stepwell.client import Client
from stepwell.errors import RequestRefused

_COLUMNS = (
    Column("instance", lambda item: str(item["id"])),
    Column("status", lambda item: str(item["status"]), is_status=True),
    Column("forked from", lambda item: str(item["forked_from"])),
    Column("version", lambda item: str(item["version_id"]), rank=1),
)


def asked_for(
    step: Mapping[str, Any] | None, id: str | None, params: str | None, outputs: Sequence[str], version: str | None
) -> dict[str, Any]:
    """Return what the API is asked, by the options of the command. Raises click.UsageError."""
    asked: dict[str, Any] = {"from": step, "instance_id": id, "version_id": version}
    if params is not None:
        asked["params"] = arguments.json_of(params)
    if outputs:
        asked["outputs"] = dict(_output(one) for one in outputs)
    return {name: value for name, value in asked.items() if value is not None}


def _output(given: str) -> tuple[str, Any]:
    label, equals, value = given.partition("=")
    if not equals or not label:
        raise click.UsageError(f"--output {given}: write STEP=JSON, such as charge-1={{}}; the step as logs name it")
    return label, arguments.json_of(value)


def fork(client: Client, workflow: str, chosen: Chosen, asked: Mapping[str, Any], out: Output) -> int:
    """Make a fork of each instance; print them, and why others have none; return the exit code. Raises Failure."""
    ids = choosing.find(client, workflow, chosen).ids
    if len(ids) > 1 and "instance_id" in asked:
        raise click.UsageError(f"--id is for one fork, and {len(ids):,} instances are to have one; leave it out")
    failed: list[str] = []
    out.show_all(_forked(client, workflow, ids, asked, failed), _COLUMNS)
    if failed:
        say(f"done: {len(ids) - len(failed):,} of {len(ids):,}")
    return FAILED if failed else 0


def _forked(
    client: Client, workflow: str, ids: Sequence[str], asked: Mapping[str, Any], failed: list[str]
) -> Iterator[Item]:
    for id in ids:
        try:
            yield client.fork(workflow, id, asked)
        except RequestRefused as refusal:
            if len(ids) == 1:
                raise failure_of(refusal, id=id) from refusal
            failed.append(id)
            say(f"error: {id}: {reason_of(refusal)}")
