"""`stepwell instances list` with filters, and labels, against a real server and a scripted one."""

import gc
import json
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from urllib.parse import parse_qs

import pytest

from stepwell.cli import main, times
from stepwell.client import Result
from tests.cli.commands import ask, begin, run
from tests.cli.scripted import Answer, scripted
from tests.crash.server import DevServer

MOMENT = "2026-11-27T10:00:00.000Z"


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


def _page(ids: range, cursor: str | None, seen: Callable[[], None] = lambda: None) -> Answer:
    rows = [
        {
            "id": f"i{id}", "status": "complete", "created_on": MOMENT, "started_on": MOMENT, "ended_on": MOMENT,
            "version_id": "v1", "error": None, "current": None,
        }
        for id in ids
    ]  # fmt: skip
    content = {"success": True, "errors": [], "result": rows, "result_info": {"cursor": cursor}}
    return Answer(content, first=seen)


@pytest.mark.parametrize("form", ["ids", "ndjson", "table"])
def test_all_are_printed_as_their_pages_come(form: str) -> None:
    """What is there is printed before the next page is asked for, and is not kept."""
    written = StringIO()
    lines: list[int] = []
    kept: list[int] = []

    def look() -> None:
        lines.append(written.getvalue().count("\n"))
        kept.append(sum(type(one) is Result for one in gc.get_objects()))  # `isinstance` would ask dead proxies

    pages = [_page(range(n * 100, n * 100 + 100), f"c{n}", look) for n in range(4)]
    scripts = scripted([*pages, _page(range(400, 403), None, look)])
    with scripts as server, redirect_stdout(written), pytest.raises(SystemExit) as ended:
        main(["instances", "list", "order", "--all", "-o", form, "--url", server.url], prog_name="stepwell")

    assert ended.value.code == 0
    assert lines == [0, 100, 200, 300, 400]
    assert max(kept) < 150
    assert written.getvalue().count("\n") == 403
    assert [path.rpartition("cursor=")[2] for _, path, _ in server.asked[1:]] == ["c0", "c1", "c2", "c3"]


def test_all_are_listed_from_the_oldest_on(server: DevServer) -> None:
    """The server gives them in that order, so none is waited for; without it they are as they always are."""
    begin(server, "r-1", "r-2", "r-3")

    newest, oldest = (listed(server, "order", "--prefix", "r-", "--all", *more) for more in ((), ("--reverse",)))

    assert (newest, oldest) == (["r-3", "r-2", "r-1"], ["r-1", "r-2", "r-3"])


def test_oldest_first_is_asked_for_at_cloudflare() -> None:
    """Its route knows the direction."""
    lacks = Answer.refusal(404, 7003, "Could not route to /stepwell")
    with scripted([lacks, _page(range(2), None)]) as server:
        told = run("instances", "list", "order", "--all", "--reverse", "-o", "ids", "--url", server.url)

    assert told.stdout == "i0\ni1\n"
    assert server.asked[1][1] == "instances?per_page=100&direction=asc"


def test_fifty_are_listed_where_nothing_is_said() -> None:
    """Or as many as are asked for; a page begins behind those before it, as wrangler counts them."""
    for more, ids in {
        (): range(50),
        ("--limit", "2"): range(2),
        ("--page", "2"): range(50, 100),
        ("--per-page", "3", "--page", "2"): range(3, 6),
        ("--limit", "2", "--reverse"): reversed(range(2)),
    }.items():
        with scripted([_page(range(100), None)]) as server:
            told = run("instances", "list", "order", *more, "-o", "ids", "--url", server.url)

        assert told.stdout.split() == [f"i{id}" for id in ids]


@pytest.mark.parametrize("more", [("--limit", "50"), ("--per-page", "1"), ("--page", "1")])
def test_all_and_only_some_is_refused(more: tuple[str, ...]) -> None:
    """Also where what is said is the default."""
    refused = run("instances", "list", "order", "--all", *more)

    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr == (
        "error: --all lists every one, --limit at most so many: leave one of them out\n"
        "hint: `stepwell instances list --help` shows what can be given\n"
    )


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
        pytest.param(
            ["instances", "list", "order", "--status", "errored,odd"],
            "'odd' is none of: complete, errored, paused, queued,",
            id="status",
        ),
        pytest.param(["jobs", "start", "pause", "--status", ""], "'' is none of: complete,", id="no status"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_asked(arguments: Sequence[str], message: str) -> None:
    """Exit code 2, and what is expected."""
    with scripted([]) as server:
        refused = run(*arguments, "--url", server.url)

    assert (refused.exit_code, refused.stdout, server.asked) == (2, "", [])
    assert message in " ".join(refused.stderr.split())


def test_argument_has_several_statuses() -> None:
    """Between commas, each asked for once, and times ago are as short as people write them."""
    with scripted([Answer.result([])]) as told:
        run(
            "instances", "list", "--status", "errored,paused", "--status", "errored", "--since", "2h", "--url", told.url
        )

    query = parse_qs(told.asked[0][1].partition("?")[2])
    assert query["status"] == ["errored", "paused"]
    assert timedelta(hours=2) - timedelta(minutes=5) < datetime.now(UTC) - datetime.fromisoformat(
        query["date_start"][0]
    )


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("90s", 90_000),
        ("1.5 min", 90_000),
        ("15m", 900_000),
        ("1h", 3_600_000),
        ("7d", 604_800_000),
        ("2w", 1_209_600_000),
        ("40ms", 40),
        ("5 minutes", 300_000),
        ("5", 5),
        ("1H", None),
        ("1 h ", None),
        ("h", None),
        ("-1h", None),
        ("1e3s", None),
        (f"{'9' * 21}h", None),
        ("\N{ARABIC-INDIC DIGIT ONE}h", None),
    ],
)
def test_span_of_time_is_written_shortly(text: str, ms: int | None) -> None:
    """As tables show it, as others write it, or as settings do."""
    assert times.to_ms(text) == ms


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
