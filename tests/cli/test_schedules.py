"""`stepwell schedules`, against a real server."""

import json
from typing import Any

import pytest

from tests.cli.commands import ask, run
from tests.cli.scripted import Answer, scripted
from tests.crash.server import DevServer

NEW_YEAR = "0 0 1 1 *"


def test_schedules_are_listed(server: DevServer) -> None:
    """Each with its meaning, its zone, and when it fires next; as ids they are expressions; of a workflow, its own."""
    line = ask(server, "schedules", "list")
    expressions = ask(server, "schedules", "list", "idle", "-o", "ids")
    others = ask(server, "schedules", "list", "order", "-o", "json")

    cells = line.stdout.rstrip("\n").split("\t")
    assert cells[:5] == ["idle", NEW_YEAR, "At 00:00 on January 1", "UTC", "allow"]
    assert cells[5].endswith("-01-01T00:00Z")
    assert (expressions.stdout, others.stdout) == (f"{NEW_YEAR}\n", "[]\n")


def test_schedule_is_paused_and_resumed(server: DevServer) -> None:
    """What the command prints is the schedule as it is then."""
    paused = ask(server, "schedules", "pause", "idle", NEW_YEAR)
    resumed = ask(server, "schedules", "resume", "idle", NEW_YEAR)

    assert paused.stdout.split("\t")[5] == "paused"
    assert resumed.stdout.split("\t")[5].endswith("-01-01T00:00Z")


def test_schedule_is_set(server: DevServer) -> None:
    """Zone and overlap change, each alone or both; nothing to change is told before a server is asked."""
    zone = ask(server, "schedules", "set", "idle", NEW_YEAR, "--time-zone", "Asia/Kathmandu")
    both = ask(server, "schedules", "set", "idle", NEW_YEAR, "--overlap", "skip", "--time-zone", "UTC", "-o", "json")
    nothing = ask(server, "schedules", "set", "idle", NEW_YEAR)

    assert zone.stdout.split("\t")[3:5] == ["Asia/Kathmandu", "allow"]
    assert json.loads(both.stdout)["overlap"] == "skip"
    assert (nothing.exit_code, "give --overlap or --time-zone, or both" in nothing.stderr) == (2, True)


def test_schedule_is_run_now(server: DevServer) -> None:
    """The instance is there when the command ends, and its id is what `-o ids` prints."""
    created = ask(server, "schedules", "run", "idle", NEW_YEAR, "-o", "ids")

    id = created.stdout.strip()
    assert id.startswith("manual-")
    server.wait_for_status("idle", id, "complete")
    assert ask(server, "schedules", "list", "idle").stdout.rstrip("\n").split("\t")[6] == "complete"


@pytest.mark.parametrize("command", ["pause", "resume", "run"])
def test_schedule_that_is_not_there_is_told(server: DevServer, command: str) -> None:
    """Exit code 4, and what shows those there are."""
    told = ask(server, "schedules", command, "idle", "5 * * * *")

    assert told.exit_code == 4
    assert 'workflow "idle" has no schedule "5 * * * *"' in told.stderr
    assert "`stepwell schedules list idle` shows those there are" in told.stderr


def test_many_schedules_are_asked_for_page_by_page() -> None:
    """An account with more than a page has all of them listed."""
    schedule: dict[str, Any] = {
        "workflow_name": "w",
        "cron": "* * * * *",
        "description": "Every minute",
        "time_zone": "UTC",
        "overlap": "allow",
        "paused_on": None,
        "next": [],
        "last": None,
        "skipped": 0,
        "skipped_on": None,
    }
    with scripted([Answer.result([schedule] * 100), Answer.result([schedule])]) as server:
        told = run("schedules", "list", "--url", server.url)

    assert told.stdout.splitlines() == ["w\t* * * * *\tEvery minute\tUTC\tallow\tnever\t-"] * 101
