"""`stepwell trigger`, `stepwell instances list` and `send-event`: what people do with instances, over the API."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stepwell.cli import times
from stepwell.cli.description import pairs_in_words
from stepwell.cli.output import Column, Item, Output
from stepwell.cli.searching import Search
from stepwell.cli.targets import named
from stepwell.cli.terminal import say
from stepwell.cli.waiting import Waiting, until_end
from stepwell.client import Client


def _now(instance: Item) -> str:
    """Return what an instance does now, or the error that ended it."""
    if instance.get("error"):
        return f"{instance['error']['name']}: {instance['error']['message']}"
    current = instance.get("current")
    if not current:
        return "-"
    until = f" {times.ahead(current['until'])}" if current["until"] else ""
    match current["state"]:
        case "running":
            return f"{current['step']} for {times.span(current['since'], None)}"
        case "retrying":
            return f"{current['step']} again{until}"
        case _ if current["type"] == "sleep":
            return f"sleeps{until}: {current['step']}"
        case _:
            return f"waits for {current['event_type']}: {current['step']}"


_INSTANCE = Column("instance", lambda instance: str(instance["id"]))
_WORKFLOW = Column("workflow", lambda instance: str(instance["workflow_name"]))
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
    Column("now", _now, rank=3),
    Column("labels", lambda instance: pairs_in_words(instance.get("labels") or {}) or "-", is_wide=True),
)
_CREATED = (_INSTANCE, _STATUS, *_ORIGIN)


@dataclass(frozen=True, slots=True)
class New:
    """What is said of an instance to create. `retention`: how long it is kept after its end, by its kind."""

    id: str | None
    params: Any
    labels: Mapping[str, str]
    retention: Mapping[str, str]


def trigger(client: Client, workflow: str, new: New, waiting: Waiting, out: Output) -> int:
    """Create an instance, and wait for its end if that is wanted; return the exit code."""
    created = client.create_instance(workflow, new.id, new.params, new.labels, new.retention)
    if waiting.waits or waiting.watches:
        return until_end(client, (workflow, created["id"]), waiting, out)
    out.show_one(created, _CREATED, created["id"])
    return 0


@dataclass(frozen=True, slots=True)
class Shown:
    """Which of those that match are shown: how many, behind how many others, and whether the oldest is first.

    `limit`: None stands for all.
    """

    limit: int | None
    behind: int = 0
    is_reversed: bool = False


def show_list(client: Client, workflow: str | None, shown: Shown, search: Search, out: Output) -> int:
    """Print instances that match, of a workflow or of all, newest first; return the exit code."""
    columns = _LISTED if workflow is not None else (_WORKFLOW, *_LISTED)
    if not out.show_all(_found(client, workflow, shown, search), columns) and out.is_text:
        say("no instance" + _in_words(search))
    return 0


def _found(client: Client, workflow: str | None, shown: Shown, search: Search) -> Iterable[Item]:
    if shown.limit is None:
        # Asked for in the order that is wanted, they are printed page by page, however many there are.
        return client.search(workflow, {**search, "direction": "asc"} if shown.is_reversed else search)
    found = itertools.islice(client.search(workflow, search), shown.behind, shown.behind + shown.limit)
    return reversed(list(found)) if shown.is_reversed else found


def _in_words(search: Search) -> str:
    """Return what was searched for, as a sentence goes on."""
    given = {name: value for name, value in search.items() if value}
    statuses = given.pop("status", ())
    asked = f" with status {' or '.join(statuses)}" if statuses else ""
    return f"{asked}{' and' if statuses else ''} that is like that" if given else asked


def send_event(client: Client, target: tuple[str, str], event: tuple[str, Any], out: Output) -> int:
    """Send an event, of a type and with a payload, to an instance; return the exit code."""
    workflow, id = target
    event_type, payload = event
    wanted = named(client, workflow, id)
    receipt = client.send_event(workflow, wanted, event_type, payload)
    columns = (Column("instance", lambda _: wanted), Column("event", lambda _: event_type))
    out.show_one(receipt, columns, wanted)
    return 0
