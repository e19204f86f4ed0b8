"""`stepwell trigger`, `stepwell instances list` and `send-event`: what people do with instances, over the API."""

import itertools
import time
from dataclasses import dataclass
from typing import Any

import click

from stepwell.cli import times
from stepwell.cli.description import ENDS, Screen
from stepwell.cli.failures import TIMED_OUT
from stepwell.cli.output import Column, Output
from stepwell.cli.targets import named
from stepwell.cli.terminal import clean
from stepwell.client import Client

# How often an instance that is waited for is asked for.
_LOOK_EVERY_S = 0.5

_INSTANCE = Column("instance", lambda instance: str(instance["id"]))
_STATUS = Column("status", lambda instance: str(instance["status"]), is_status=True)
_ORIGIN = (
    Column("version", lambda instance: str(instance["version_id"]), is_wide=True),
    Column("trigger", lambda instance: str(instance.get("trigger_source", "-")), is_wide=True),
)
_LISTED = (
    _INSTANCE,
    _STATUS,
    Column("created", lambda instance: times.ago(instance["created_on"]), rank=2),
    Column("duration", lambda instance: times.span(instance["started_on"], instance["ended_on"]), rank=1),
    *_ORIGIN,
)
_CREATED = (_INSTANCE, _STATUS, *_ORIGIN)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Whether a command waits for the end of an instance, and for how long at most, in seconds."""

    waits: bool = False
    timeout_s: float | None = None


def trigger(client: Client, workflow: str, given: tuple[Any, str | None], waiting: Waiting, out: Output) -> int:
    """Create an instance of params and id, and wait for its end if that is wanted; return the exit code."""
    params, id = given
    created = client.create_instance(workflow, id, params)
    if not waiting.waits:
        out.show_one(created, _CREATED, created["id"])
        return 0
    try:
        click.echo(clean(f"waiting for {created['id']}"), err=True)
        return _wait(client, workflow, created["id"], waiting.timeout_s, out)
    except KeyboardInterrupt:
        look = f"stepwell instances describe {workflow} {created['id']} --watch"
        click.echo(clean(f"it goes on; look again with: {look}"), err=True)
        raise


def show_list(client: Client, workflow: str, limit: int, status: str | None, out: Output) -> int:
    """Print instances, newest first; return the exit code."""
    found = itertools.islice(client.instances(workflow, status=status), limit)
    if not out.show_all(found, _LISTED) and out.is_text:
        click.echo(clean("no instance" + ("" if status is None else f" with status {status}")), err=True)
    return 0


def send_event(client: Client, target: tuple[str, str], event: tuple[str, Any], out: Output) -> int:
    """Send an event, of a type and with a payload, to an instance; return the exit code."""
    workflow, id = target
    event_type, payload = event
    wanted = named(client, workflow, id)
    receipt = client.send_event(workflow, wanted, event_type, payload)
    columns = (Column("instance", lambda _: wanted), Column("event", lambda _: event_type))
    out.show_one(receipt, columns, wanted)
    return 0


def _wait(client: Client, workflow: str, id: str, timeout_s: float | None, out: Output) -> int:
    end = None if timeout_s is None else time.monotonic() + timeout_s
    while (instance := client.instance(workflow, id, simple=True))["status"] not in ENDS:
        if end is not None and time.monotonic() >= end:
            click.echo(clean(f"{id} is still {instance['status']} after {timeout_s:g} s"), err=True)
            return TIMED_OUT
        time.sleep(_LOOK_EVERY_S)
    Screen(workflow, id, out).show(client.instance(workflow, id))
    return ENDS[instance["status"]]
