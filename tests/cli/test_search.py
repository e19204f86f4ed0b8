"""`stepwell instances list` with filters, and labels, against a real server and a scripted one."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.cli.commands import ask, run
from tests.cli.scripted import Answer, scripted
from tests.crash.server import DevServer


def listed(server: DevServer, *options: str) -> list[str]:
    """Return the ids that are listed."""
    told = ask(server, "instances", "list", *options, "-o", "ids")
    assert (told.exit_code, told.stderr) == (0, "")
    return told.stdout.split()


def test_labels_are_given_shown_and_searched_for(server: DevServer) -> None:
    """At the creation, in the description, and in lists."""
    created = ask(server, "trigger", "order", "--id", "one", "--label", "by=ann", "--label", "note=a = b", "-o", "json")
    ask(server, "trigger", "order", "--id", "two", "--label", "by=bob")
    server.wait_for_status("order", "one", "complete")

    described = ask(server, "instances", "describe", "order", "one")
    wide = ask(server, "instances", "list", "order", "--prefix", "one", "-o", "wide")

    assert json.loads(created.stdout)["labels"] == {"by": "ann", "note": "a = b"}
    assert "labels\tby=ann\tnote=a = b" in described.stdout.splitlines()
    assert wide.stdout.rstrip("\n").split("\t")[-1] == "by=ann note=a = b"
    assert listed(server, "order", "--label", "by=ann", "--label", "note=a = b") == ["one"]
    assert listed(server, "--label", "by=bob") == ["two"]
    assert listed(server, "order", "--label", "by=carl") == []


def test_filters_find_what_they_say(server: DevServer) -> None:
    """Each by its option."""
    server.create("order", "f-waits", {"waits": True})
    server.create("order", "f-fails", {"fails": True})
    server.wait_for_status("order", "f-waits", "waiting")
    server.wait_for_status("order", "f-fails", "errored")
    version = server.get("order", "f-fails")["versionId"]

    assert listed(server, "order", "--prefix", "f-", "--status", "waiting", "--status", "errored") == [
        "f-fails",
        "f-waits",
    ]
    assert listed(server, "order", "--error", "ValueError", "--error-text", "NO ") == ["f-fails"]
    assert listed(server, "order", "--prefix", "f-", "--longer-than", "1 hour") == []
    assert listed(server, "order", "--prefix", "f-", "--shorter-than", "1 hour", "--version", version) == [
        "f-fails",
        "f-waits",
    ]
    assert listed(server, "order", "--prefix", "f-", "--since", "1 hour", "--trigger", "api") == ["f-fails", "f-waits"]
    assert listed(server, "order", "--prefix", "f-", "--until", "1 hour ago") == []
    assert listed(server, "order", "--prefix", "f-", "--ended-since", "2026-01-01T00:00Z") == ["f-fails"]
    assert listed(server, "order", "--prefix", "f-", "--ended-until", "2026-01-01") == []


def test_list_tells_what_instances_do(server: DevServer) -> None:
    """The wait that one is in, the error that another ended with, without what a terminal would obey."""
    server.create("order", "n-waits", {"waits": True})
    server.create("order", "n-fails", {"fails": True})
    server.wait_for_status("order", "n-waits", "waiting")
    server.wait_for_status("order", "n-fails", "errored")

    told = ask(server, "instances", "list", "order", "--prefix", "n-")

    assert [line.split("\t")[4] for line in told.stdout.splitlines()] == [
        "ValueError: no \N{REPLACEMENT CHARACTER}red",
        "waits for approved: approval-1",
    ]


def test_list_of_all_workflows_names_them(server: DevServer) -> None:
    """A column more."""
    server.create("order", "of-order")
    server.create("idle", "of-idle")

    told = ask(server, "instances", "list", "--prefix", "of-")

    assert [line.split("\t")[:2] for line in told.stdout.splitlines()] == [["idle", "of-idle"], ["order", "of-order"]]


def test_nothing_found_is_said(server: DevServer) -> None:
    """On standard error, with what was searched for; the exit code is 0."""
    told = ask(server, "instances", "list", "order", "--status", "paused", "--prefix", "nobody")

    assert (told.exit_code, told.stdout) == (0, "")
    assert told.stderr == "no instance with status paused and that is like that\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["trigger", "order", "--label", "ann"], "a label is NAME=VALUE, such as customer=ann", id="label"),
        pytest.param(
            ["trigger", "order", "--label", "a=1", "--label", "a=2"],
            "the label 'a' is given two values",
            id="two values",
        ),
        pytest.param(["instances", "list", "order", "--since", "soon"], "'soon' is not a date and time", id="moment"),
        pytest.param(
            ["instances", "list", "order", "--longer-than", "long"], "'long' is not a number of", id="duration"
        ),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_asked(arguments: Sequence[str], message: str) -> None:
    """Exit code 2, and what is expected."""
    with scripted([]) as server:
        refused = run(*arguments, "--url", server.url)

    assert (refused.exit_code, refused.stdout, server.asked) == (2, "", [])
    assert message in " ".join(refused.stderr.split())


def test_options_are_what_the_api_is_asked() -> None:
    """Durations in milliseconds, moments in UTC, a moment ago by this machine's clock."""
    page: dict[str, Any] = {"success": True, "errors": [], "messages": [], "result": [], "result_info": {"cursor": ""}}
    options = ["--label", "a=1", "--label", "b=2", "--longer-than", "1.5 minutes", "--since", "2 hours ago"]
    options += ["--until", "2026-11-23T10:00:00+02:00"]
    with scripted([Answer(page)]) as told:
        run("instances", "list", "order", *options, "--url", told.url)

    ((_, target, _),) = told.asked
    query = parse_qs(target.partition("?")[2])
    since = datetime.fromisoformat(query.pop("date_start")[0])
    assert timedelta(0) <= datetime.now(UTC) - timedelta(hours=2) - since < timedelta(minutes=5)
    assert query == {
        "per_page": ["100"],
        "label": ["a=1", "b=2"],
        "duration_min": ["90000"],
        "date_end": ["2026-11-23T08:00:00.000Z"],
    }


def test_search_that_takes_long_is_gone_on_with() -> None:
    """An empty page with a cursor is no end."""
    more = {"success": True, "errors": [], "messages": [], "result": [], "result_info": {"cursor": "x"}}
    last = {**more, "result": [{"id": "found"}], "result_info": {"cursor": ""}}
    with scripted([Answer(more), Answer(last)]) as told:
        found = run("instances", "list", "order", "--error-text", "x", "-o", "ids", "--url", told.url)

    assert found.stdout == "found\n"
