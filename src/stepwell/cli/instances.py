"""`stepwell trigger` and `stepwell instances`: what people do with instances, over the API."""

import itertools
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from stepwell.cli import output
from stepwell.client import Client
from stepwell.errors import InstanceNotFound, RequestRefused

Instance = Mapping[str, Any]

_FINAL = {"complete": 0, "errored": output.INSTANCE_ERRORED, "terminated": output.INSTANCE_TERMINATED}
_NOT_FOUND = 404
# How often a watched instance is asked for.
_LOOK_EVERY_S = 0.5
_BAR = 24
_SHOWN_OUTPUT = 200


@dataclass(frozen=True, slots=True)
class Waiting:
    """Whether a command waits for the end of an instance, and for how long at most, in seconds."""

    waits: bool = False
    timeout_s: float | None = None


def json_of(given: str | None) -> Any:
    """Return the value that an argument says: JSON, `@file` with JSON, or `-` for standard input.

    Raises click.BadParameter.
    """
    if given is None:
        return {}
    try:
        if given == "-":
            return json.loads(sys.stdin.read())
        if given.startswith("@"):
            return json.loads(Path(given[1:]).read_text(encoding="utf-8"))
        return json.loads(given)
    except OSError as error:
        raise click.BadParameter(f"{given[1:]} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise click.BadParameter(f"this is not JSON: {error}; a text needs quotes of its own: '\"text\"'") from error


def trigger(client: Client, workflow: str, given: tuple[Any, str | None], waiting: Waiting, form: str) -> int:
    """Create an instance of params and id, and wait for its end if that is wanted; return the exit code."""
    params, id = given
    created = client.create_instance(workflow, id, params)
    if not waiting.waits:
        if form == "json":
            output.as_json(created)
        elif form == "ids":
            click.echo(output.clean(created["id"]))
        else:
            click.echo(output.clean(f"{created['id']} is {created['status']}"))
        return 0
    click.echo(output.clean(f"waiting for {created['id']}"), err=True)
    return _wait(client, workflow, created["id"], waiting.timeout_s, form)


def show_list(client: Client, workflow: str, limit: int, status: str | None, form: str) -> int:
    """Print instances, newest first; return the exit code."""
    found = list(itertools.islice(client.instances(workflow, status=status), limit))
    if form == "json":
        output.as_json(found)
    elif form == "ndjson":
        for instance in found:
            click.echo(json.dumps(instance))
    elif form == "ids":
        for instance in found:
            click.echo(output.clean(instance["id"]))
    else:
        heads = ["instance", "status", "created", "duration", "version", "trigger"]
        output.table(
            heads if form == "wide" else heads[:4], [_row(instance)[: 6 if form == "wide" else 4] for instance in found]
        )
        if not found:
            click.echo("no instance" + ("" if status is None else f" with status {status}"), err=True)
    return 0


def describe(client: Client, workflow: str, id: str, form: str, *, watch: bool) -> int:
    """Print an instance with its steps, again at each change if it is watched; return the exit code."""
    wanted = _named(client, workflow, id)
    shown = client.instance(workflow, wanted)
    screen = _Screen(workflow, wanted, form)
    screen.show(shown)
    while watch and shown["status"] not in _FINAL:
        time.sleep(_LOOK_EVERY_S)
        before, shown = shown, client.instance(workflow, wanted)
        if shown != before:
            screen.show(shown)
    return 0


def send_event(client: Client, target: tuple[str, str], event_type: str, payload: Any) -> int:
    """Send an event to an instance; return the exit code."""
    workflow, id = target
    wanted = _named(client, workflow, id)
    client.send_event(workflow, wanted, event_type, payload)
    click.echo(output.clean(f"{event_type} was sent to {wanted}"))
    return 0


def _named(client: Client, workflow: str, id: str) -> str:
    """Return the id that is meant: itself, or the newest instance's for `latest`."""
    if id != "latest":
        return id
    newest = next(client.instances(workflow, per_page="1"), None)
    if newest is None:
        raise RequestRefused(_NOT_FOUND, InstanceNotFound.code, f"{workflow} has no instance yet")
    return str(newest["id"])


def _wait(client: Client, workflow: str, id: str, timeout_s: float | None, form: str) -> int:
    end = None if timeout_s is None else time.monotonic() + timeout_s
    while (instance := client.instance(workflow, id, simple=True))["status"] not in _FINAL:
        if end is not None and time.monotonic() >= end:
            click.echo(output.clean(f"{id} is still {instance['status']} after {timeout_s:g} s"), err=True)
            return output.TIMED_OUT
        time.sleep(_LOOK_EVERY_S)
    _Screen(workflow, id, form).show(client.instance(workflow, id))
    return _FINAL[instance["status"]]


def _row(instance: Instance) -> list[str]:
    took = output.span(instance["started_on"], instance["ended_on"])
    created, version = output.ago(instance["created_on"]), instance["version_id"][:8]
    return [instance["id"], instance["status"], created, took, version, instance.get("trigger_source", "-")]


class _Screen:
    """Shows an instance: in place of what was there on a terminal, one after another into a pipe."""

    def __init__(self, workflow: str, id: str, form: str) -> None:
        self._name = (workflow, id)
        self._form = form
        self._height = 0

    def show(self, instance: Instance) -> None:
        if self._form == "json":
            output.as_json(instance)
            return
        lines = [output.clean(line) for line in _lines(*self._name, instance)]
        if sys.stdout.isatty() and self._height:
            # Up to where the last one began, and clear from there.
            click.echo(f"\x1b[{self._height}A\x1b[J", nl=False)
        for line in lines:
            click.echo(line)
        self._height = len(lines)


def _lines(workflow: str, id: str, instance: Instance) -> list[str]:
    took = output.span(instance["start"], instance["end"])
    lines = [
        f"{workflow} / {id}   {instance['status']}  ({took})",
        f"trigger {instance['trigger']['source']}   version {instance['versionId'][:8]}   "
        f"created {output.ago(instance['queued'])}",
    ]
    if instance.get("error"):
        lines.append(f"error   {instance['error']['name']}: {instance['error']['message']}")
    if instance.get("output") is not None:
        lines.append(f"output  {str(instance['output'])[:_SHOWN_OUTPUT]}")
    steps = instance.get("steps") or []
    if steps:
        lines += ["", *_step_lines(steps)]
    return lines


def _step_lines(steps: list[Instance]) -> list[str]:
    named = [step for step in steps if "name" in step]
    width = max([len(step["name"]) for step in named] + [4])
    moments = [output.moment_of(step["start"]) for step in named]
    ends = [output.moment_of(step["end"]) for step in named if step["end"]]
    first, last = min(moments, default=0.0), max([*ends, *moments], default=0.0)
    head = f"{'STEP':<{width}}  {'TYPE':<12}  {'STATUS':<9}  TRIES  {'START':>9}  {'DURATION':>9}"
    return [head, *(_step_line(step, width, (first, last)) for step in named)]


def _step_line(step: Instance, width: int, frame: tuple[float, float]) -> str:
    tries = str(len(step["attempts"])) if "attempts" in step else "-"
    start = output.moment_of(step["start"])
    took = "-" if step["end"] is None else output.span_of(output.moment_of(step["end"]) - start)
    offset = f"+{output.span_of(start - frame[0])}"
    named = f"{step['name']:<{width}}  {step['type']:<12}  {_state(step):<9}"
    return f"{named}  {tries:>5}  {offset:>9}  {took:>9}  |{_bar(step, frame)}|"


def _state(step: Instance) -> str:
    if "finished" in step:
        done = "timed out" if step["error"] else "done"
        return done if step["finished"] else "waiting"
    return {True: "complete", False: "errored", None: "running"}[step["success"]]


def _bar(step: Instance, frame: tuple[float, float]) -> str:
    """Return where in the whole time a step lies."""
    first, last = frame
    whole = max(last - first, 0.001)
    start = output.moment_of(step["start"])
    end = output.moment_of(step["end"]) if step["end"] else last
    left = min(int((start - first) / whole * _BAR), _BAR - 1)
    length = max(min(round((end - start) / whole * _BAR), _BAR - left), 1)
    mark = "." if "finished" in step else "x" if step.get("success") is False else "#"
    return (" " * left + mark * length).ljust(_BAR)
