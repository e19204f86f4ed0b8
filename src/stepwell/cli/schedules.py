"""`stepwell schedules`: what creates instances, and when, over the API."""

from collections.abc import Mapping
from typing import Any

from stepwell.cli import times
from stepwell.cli.output import Column, Item, Output
from stepwell.client import Client


def _next(schedule: Item) -> str:
    if schedule["paused_on"] is not None:
        return "paused"
    return times.short(schedule["next"][0]) if schedule["next"] else "never"


def _last(schedule: Item) -> str:
    return "-" if schedule["last"] is None else str(schedule["last"]["status"])


_NAMED = (
    Column("workflow", lambda schedule: str(schedule["workflow_name"])),
    Column("cron", lambda schedule: str(schedule["cron"])),
)
_SCHEDULE = (
    *_NAMED,
    Column("meaning", lambda schedule: str(schedule["description"]), rank=4, is_prose=True),
    Column("time zone", lambda schedule: str(schedule["time_zone"]), rank=3),
    Column("overlap", lambda schedule: str(schedule["overlap"]), rank=2),
    Column("next", _next),
    Column("last", _last, rank=1, is_status=True),
    Column("skipped", lambda schedule: str(schedule["skipped"]), is_wide=True),
)
_CREATED = (
    Column("instance", lambda instance: str(instance["id"])),
    Column("status", lambda instance: str(instance["status"]), is_status=True),
)


def show_list(client: Client, workflow: str | None, out: Output) -> int:
    """Print the schedules of the account, or of a workflow; return the exit code."""
    out.show_all(client.schedules(workflow), _SCHEDULE, "cron")
    return 0


def change(client: Client, named: tuple[str, str], changes: Mapping[str, Any], out: Output) -> int:
    """Change a schedule, and print it as it is then; return the exit code."""
    out.show_one(client.change_schedule(*named, changes), _SCHEDULE, named[1])
    return 0


def run(client: Client, named: tuple[str, str], out: Output) -> int:
    """Create an instance of a schedule, and print it; return the exit code."""
    created = client.run_schedule(*named)
    out.show_one(created, _CREATED, created["id"])
    return 0
