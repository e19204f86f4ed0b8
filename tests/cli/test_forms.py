"""The forms that every list has, exactly: tables by width, pipes, times, ASCII, what is said of requests."""

import json
import subprocess
from typing import Any

import pytest

from tests.cli.commands import ask, run
from tests.cli.screen import STEPWELL, run_on_terminal
from tests.cli.scripted import Answer, scripted
from tests.crash.server import DevServer

HOSTILE = "\x1b[31mred\u202e\n"


def instance(id: str, **more: Any) -> dict[str, Any]:
    """Return an instance as a server lists it."""
    return {
        "id": id,
        "status": "complete",
        "created_on": "2026-11-23T10:00:00.000Z",
        "started_on": "2026-11-23T10:00:01.000Z",
        "ended_on": "2026-11-23T10:00:13.400Z",
        "version_id": "b5b5c2a1",
        "trigger_source": "api",
        "labels": {},
        **more,
    }


FAILED = {"status": "errored", "error": {"name": "CardDeclined", "message": f"no {HOSTILE}"}}
LISTED = [
    instance("7d0b6a0e-1111-4222-8333-9a4f10aaaaaa"),
    instance("\u65e5\u672c", **FAILED, labels={"by": "J\u00f6"}),
]

AT_200 = """\
INSTANCE                              STATUS      CREATED              DURATION  NOW
7d0b6a0e-1111-4222-8333-9a4f10aaaaaa  ✓ complete  2026-11-23 10:00:00  12.4 s    -
日本                                  ✗ errored   2026-11-23 10:00:00  12.4 s    CardDeclined: no {mark}red{mark}{mark}
""".replace("{mark}", "\ufffd")
AT_80 = """\
INSTANCE                              STATUS      CREATED              DURATION
7d0b6a0e-1111-4222-8333-9a4f10aaaaaa  ✓ complete  2026-11-23 10:00:00  12.4 s
\u65e5\u672c                                  ✗ errored   2026-11-23 10:00:00  12.4 s
"""
AT_60 = """\
INSTANCE                              STATUS      DURATION
7d0b6a0e-1111-4222-8333-9a4f10aaaaaa  ✓ complete  12.4 s
\u65e5\u672c                                  ✗ errored   12.4 s
"""
AT_40 = """\
INSTANCE                              STATUS
7d0b6a0e-1111-4222-8333-9a4f10aaaaaa  ✓ complete
\u65e5\u672c                                  ✗ errored
"""
IN_ASCII = """\
INSTANCE                              STATUS      DURATION
7d0b6a0e-1111-4222-8333-9a4f10aaaaaa  + complete  12.4 s
\\u65e5\\u672c                          x errored   12.4 s
"""


@pytest.mark.parametrize(
    ("columns", "options", "table"),
    [(200, [], AT_200), (80, [], AT_80), (60, [], AT_60), (40, [], AT_40), (60, ["--ascii"], IN_ASCII)],
    ids=["200", "80", "60", "40", "ascii"],
)
def test_table_is_as_wide_as_its_terminal(columns: int, options: list[str], table: str) -> None:
    """Columns go by rank, ids are whole on the narrowest terminal, and nothing is obeyed that a server says."""
    command = ("instances", "list", "order", "--time", "utc", "--color", "never")
    with scripted([Answer.result(LISTED)]) as server:
        code, written = run_on_terminal(*command, *options, "--url", server.url, columns=columns)

    assert (code, written) == (0, table.replace("\n", "\r\n"))


@pytest.mark.parametrize(
    ("options", "printed"),
    [
        pytest.param(
            ("--time", "utc"),
            "7d0b6a0e-1111-4222-8333-9a4f10aaaaaa\tcomplete\t2026-11-23 10:00:00\t12.4 s\t-\n"
            "\u65e5\u672c\terrored\t2026-11-23 10:00:00\t12.4 s\tCardDeclined: no \ufffdred\ufffd\ufffd\n",
            id="table",
        ),
        pytest.param(
            ("-o", "wide", "--time", "iso"),
            "7d0b6a0e-1111-4222-8333-9a4f10aaaaaa\tcomplete\t2026-11-23T10:00:00.000Z\t12.4 s\tb5b5c2a1\tapi\t-\t-\n"
            "\u65e5\u672c\terrored\t2026-11-23T10:00:00.000Z\t12.4 s\tb5b5c2a1\tapi\t"
            "CardDeclined: no \ufffdred\ufffd\ufffd\tby=J\u00f6\n",
            id="wide",
        ),
        pytest.param(("-o", "ids"), "7d0b6a0e-1111-4222-8333-9a4f10aaaaaa\n\u65e5\u672c\n", id="ids"),
        pytest.param(
            ("-o", "ids", "--ascii"), "7d0b6a0e-1111-4222-8333-9a4f10aaaaaa\n\\u65e5\\u672c\n", id="ids in ASCII"
        ),
        pytest.param(
            ("--time", "utc", "--ascii"),
            "7d0b6a0e-1111-4222-8333-9a4f10aaaaaa\tcomplete\t2026-11-23 10:00:00\t12.4 s\t-\n"
            "\\u65e5\\u672c\terrored\t2026-11-23 10:00:00\t12.4 s\tCardDeclined: no ?red??\n",
            id="ASCII",
        ),
    ],
)
def test_pipe_gets_text_with_tabs(options: tuple[str, ...], printed: str) -> None:
    """No head, no colour, no column that goes."""
    with scripted([Answer.result(LISTED)]) as server:
        told = run("instances", "list", "order", *options, "--url", server.url)

    assert (told.exit_code, told.stdout, told.stderr) == (0, printed, "")


def test_json_is_the_result_and_ascii_json_means_the_same() -> None:
    """`--json` is `-o json`: one line in a pipe; with `--ascii` all else is escaped, pairs of surrogates too."""
    listed = [{**LISTED[1], "labels": {"rocket": "\N{ROCKET}"}}]
    with scripted([Answer.result(listed)] * 3) as server:
        command = ("instances", "list", "order", "--url", server.url)
        plain, same, escaped = (
            run(*command, *more).stdout for more in (["--json"], ["-o", "json"], ["--json", "--ascii"])
        )

    assert plain == same == f"{json.dumps(listed)}\n"
    assert escaped.isascii()
    assert json.loads(escaped) == listed


def test_json_and_another_form_are_a_wrong_call() -> None:
    """Nothing is asked of a server."""
    refused = run("instances", "list", "order", "--json", "-o", "ids", "--url", "http://127.0.0.1:1")

    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr == (
        "error: --json is -o json, and -o says ids; leave one of them out\n"
        "hint: `stepwell instances list --help` shows what can be given\n"
    )


@pytest.mark.parametrize(
    ("style", "shown"),
    [
        pytest.param("iso", "2026-11-23T10:00:00.000Z", id="iso"),
        pytest.param("utc", "2026-11-23 10:00:00", id="utc"),
        pytest.param("local", "2026-11-23 15:30:00 +0530", id="local"),
    ],
)
def test_times_are_told_as_wanted(style: str, shown: str) -> None:
    """By this machine's clock: as TZ says."""
    with scripted([Answer.result(LISTED)]) as server:
        command = [STEPWELL, "instances", "list", "order", "--time", style, "--url", server.url]
        told = subprocess.run(command, env={"TZ": "Asia/Kolkata"}, capture_output=True, text=True, check=True)

    assert [line.split("\t")[2] for line in told.stdout.splitlines()] == [shown] * 2


def test_times_of_a_described_instance_are_exact_until_others_are_wanted(server: DevServer) -> None:
    """In a pipe as the API has them; with `--time` all of them are told so."""
    server.create("order", "timed")
    found = server.wait_for_status("order", "timed", "complete")

    exact, utc, relative = (
        ask(server, "instances", "describe", "order", "timed", *more).stdout.splitlines()[0].split("\t")[4:7]
        for more in ([], ["--time", "utc"], ["--time", "relative"])
    )

    assert exact == [found["queued"], found["start"], found["end"]]
    assert utc == [f"{moment[:10]} {moment[11:19]}" for moment in exact]
    assert all(text.endswith(" ago") for text in relative)


def test_output_that_takes_ascii_alone_gets_ascii_alone() -> None:
    """A terminal of the old kind is no traceback."""
    with scripted([Answer.result(LISTED)]) as server:
        command = [STEPWELL, "instances", "list", "order", "-o", "ids", "--url", server.url]
        told = subprocess.run(command, env={"PYTHONIOENCODING": "ascii"}, capture_output=True, text=True, check=True)

    assert told.stdout.splitlines()[1] == "\\u65e5\\u672c"


LIMITS = {
    "concurrency": None,
    "running": 1,
    "workflows": [{"workflow_name": "order"}],
    "shared": [{"name": "openai"}],
}
TREE = {"instances": [{"id": "a"}, {"id": "b"}], "is_whole": True}


@pytest.mark.parametrize(
    ("command", "result", "ids"),
    [
        pytest.param("limits list", LIMITS, ["order", "openai"], id="limits"),
        pytest.param("instances tree order a", TREE, ["a", "b"], id="tree"),
    ],
)
def test_lists_within_an_answer_have_a_line_for_each(command: str, result: Any, ids: list[str]) -> None:
    """`-o ids` and `-o ndjson` have its members, `-o json` the answer."""
    with scripted([Answer.result(result)] * 3) as server:
        named, lines, whole = (
            run(*command.split(), "-o", form, "--url", server.url).stdout for form in ("ids", "ndjson", "json")
        )

    assert named.splitlines() == ids
    assert [
        (one.get("id") or one.get("workflow_name") or one["name"]) for one in map(json.loads, lines.splitlines())
    ] == ids
    assert json.loads(whole) == result


# ---- what is said of requests


def test_verbose_error_names_the_request() -> None:
    """By the id that the server or its proxy gave it; without the option, or without an id, it is as it was."""
    refusal = Answer.refusal(404, 10200, "no workflow", **{"cf-ray": "8f2c-FRA"})
    with scripted([refusal, refusal, Answer.refusal(404, 10200, "no workflow")]) as server:
        command = ("instances", "list", "order", "--url", server.url)
        verbose, plain, unnamed = (run(*command, *more) for more in (["--verbose"], [], ["--verbose"]))

    assert verbose.stderr.splitlines()[0] == "error: no workflow (10200, request 8f2c-FRA)"
    assert plain.stderr.splitlines()[0] == "error: no workflow (10200)"
    assert unnamed.stderr.splitlines()[0] == "error: no workflow (10200, request without an id)"


@pytest.mark.parametrize(
    "errors", [pytest.param([{"code": "E1", "message": "no"}], id="number"), pytest.param("no", id="list")]
)
def test_refusal_of_another_api_is_told(errors: Any) -> None:
    """Something else than Stepwell may be at an address: its status says enough."""
    with scripted([Answer({"errors": errors}, 403)]) as server:
        told = run("workflows", "list", "--url", server.url)

    assert told.exit_code == 3
    assert told.stderr.startswith("error: no")


def test_debug_shows_requests_without_token_and_payload(monkeypatch: pytest.MonkeyPatch) -> None:
    """On standard error, where logs are made of it; what is printed stays what it was."""
    monkeypatch.setenv("STEPWELL_TOKEN", "secret-token")
    with scripted([Answer.result({"id": "a", "status": "queued", "version_id": HOSTILE})]) as server:
        told = run("trigger", "order", '{"n": 1}', "-o", "ids", "--debug", "--url", server.url)

    assert told.stdout == "a\n"
    assert told.stderr.splitlines() == [
        f"> POST {server.url}/client/v4/accounts/local/workflows/order/instances",
        "> authorization: Bearer ...",
        "> application/json  20 bytes",
        "< 200 OK  -  - bytes  request -",
    ]
