"""The real command on a real terminal of a size: tables, watching, and Ctrl-C."""

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepwell.cli.redrawing import fitted
from tests.cli.commands import ask, begin
from tests.cli.screen import STEPWELL, Screen, run_on_terminal
from tests.cli.scripted import Answer, scripted
from tests.crash.processes import running
from tests.crash.server import DEADLINE_S, DevServer


def seen(written: str, columns: int, rows: int = 24) -> list[str]:
    """Return the lines that a terminal of a size shows, those that have been scrolled off included."""
    screen = Screen(columns, rows)
    screen.write(written)
    return screen.lines


def end(server: DevServer, id: str) -> Callable[[], None]:
    """Return what lets an instance end."""
    return lambda: server.call(f"/order/instances/{id}/events/approved", {"by": "ann"}) and None


def test_list_is_a_table_on_a_terminal(server: DevServer) -> None:
    """With heads, coloured statuses, and fewer columns where there is no room; ids stay whole."""
    id = "order-" + "x" * 40
    begin(server, id)
    command = ("instances", "list", "order", "--url", server.url, "--limit", "1")

    code, broad = run_on_terminal(*command, columns=100)
    _, narrow = run_on_terminal(*command, columns=20)
    _, plain = run_on_terminal(*command, columns=100, env={"NO_COLOR": "1"})

    assert code == 0
    assert seen(broad, 100)[0].split() == ["INSTANCE", "STATUS", "CREATED", "DURATION"]
    assert seen(broad, 100)[1].split()[:3] == [id, "\N{CIRCLE WITH UPPER RIGHT QUADRANT BLACK}", "waiting"]
    assert "\x1b[33m\N{CIRCLE WITH UPPER RIGHT QUADRANT BLACK} waiting\x1b[0m" in broad
    assert "DURATION" not in narrow
    assert id in "".join(seen(narrow, 20))
    assert "\x1b" not in plain


def test_json_on_a_terminal_is_indented_and_whole(server: DevServer) -> None:
    """People read it; it means the same, and is not cut at the edge."""
    begin(server, "indented", text="y" * 100)

    _, written = run_on_terminal(
        "instances", "describe", "order", "indented", "--url", server.url, "-o", "json", columns=30
    )

    assert written.startswith('{\r\n  "status": "waiting",\r\n')
    assert "y" * 100 in written


def test_terminal_obeys_nothing_that_an_instance_says(server: DevServer) -> None:
    """An error that turns everything red is shown with a mark, in the place where it is."""
    ask(server, "trigger", "order", '{"fails": true}', "--id", "hostile")
    server.wait_for_status("order", "hostile", "errored")

    _, written = run_on_terminal("instances", "describe", "order", "hostile", "--url", server.url)

    assert "error   ValueError: no \N{REPLACEMENT CHARACTER}red\r\n" in written
    assert re.findall(r"\x1b\[31m(\W*\w*)", written) == ["\N{BALLOT X} errored"]


def _waiting(end: str | None) -> Answer:
    """Return an instance with a step of five seconds, one that runs, and a wait of a thousand years."""
    start, later = "2026-11-27T10:00:00.000Z", "2026-11-27T10:00:05.000Z"
    step: dict[str, Any] = {"type": "step", "start": start, "success": None, "attempts": []}
    steps = [
        {**step, "name": "charge-1", "end": later, "success": True},
        {**step, "name": "ship-1", "start": later, "end": None},
        {
            "type": "waitForEvent",
            "name": "ok-1",
            "start": later,
            "end": "3026-11-27T10:00:05.000Z",
            "finished": False,
            "error": None,
        },
    ]
    return Answer.result(
        {
            "status": "terminated" if end else "waiting",
            "queued": start,
            "start": start,
            "end": end,
            "versionId": "v1",
            "trigger": {"source": "api"},
            "steps": steps,
            "error": None,
            "output": None,
        }
    )


def test_what_has_no_end_goes_on_until_now() -> None:
    """Not until the moment at which a wait ends at the latest: that is told, and all before it would have no room."""
    command = ("instances", "describe", "order", "i", "--color", "never", "--url")
    with scripted([_waiting(None), Answer.result({}), Answer.result({})]) as server:
        _, live = run_on_terminal(*command, server.url, columns=120)
    kept = Answer.result({"kept_until": "2026-12-04"})
    ended = [_waiting("2026-11-27T10:00:10.000Z"), Answer.result({}), Answer.result({}), kept]
    with scripted(ended) as server:
        _, over = run_on_terminal(*command, server.url, columns=120)

    rows = {line.split()[0]: line for line in over.splitlines() if line.endswith("|")}
    assert re.search(r"\+5\.0 s +in 365\d{3} d +\|", live)
    assert rows["charge-1"].endswith("5.0 s     |############            |")
    assert rows["ship-1"].endswith("+5.0 s  -         |            ############|")
    assert rows["ok-1"].endswith("+5.0 s  -         |            ............|")


@pytest.mark.parametrize("columns", [100, 40, 20])
def test_watched_instance_is_redrawn_in_place(server: DevServer, columns: int) -> None:
    """Nothing of what was drawn before is left above or below, on whatever narrow terminal."""
    id = f"watched-{columns}"
    begin(server, id)

    code, written = run_on_terminal(
        "instances", "describe", "order", id, "--watch", "--url", server.url, columns=columns, then=end(server, id)
    )

    lines = seen(written, columns)
    assert code == 0
    assert written.count("order / ") >= 2
    assert sum("order / " in line for line in lines) == 1
    assert lines[0].startswith("order / ")
    assert "".join(lines).replace(" ", "").count("complete") == 2
    assert sum("approval-1" in line for line in lines) == 1


def test_watched_instance_that_is_higher_than_the_terminal_leaves_nothing_above(server: DevServer) -> None:
    """While it changes its first and last lines are shown; when it has ended, all of it."""
    begin(server, "high", naps=12)

    _, written = run_on_terminal(
        *("instances", "describe", "order", "high", "--watch", "--url", server.url), rows=10, then=end(server, "high")
    )

    lines = seen(written, 80, rows=10)
    assert sum("order / " in line for line in lines) == 1
    assert [line.split()[0] for line in lines if line.startswith("nap")] == ["nap"] * 12
    assert "..." not in lines


@pytest.mark.parametrize(
    ("lines", "size", "shown"),
    [
        pytest.param(["a", "b", "c"], (80, 4), ["a", "b", "c"], id="all"),
        pytest.param(["a", "b", "c", "d"], (80, 4), ["a", "b", "..."], id="first"),
        pytest.param(["a", "b", "c", "d", "e"], (80, 5), ["a", "b", "...", "e"], id="first and last"),
        pytest.param(["a", "b", "c" * 9, "d", "e"], (3, 6), ["a", "b", "...", "d", "e"], id="a long line is high"),
    ],
)
def test_first_and_last_lines_are_shown_where_there_is_no_room(
    lines: list[str], size: tuple[int, int], shown: list[str]
) -> None:
    """The cursor has a line of its own."""
    assert fitted(lines, *size) == shown


def test_pipe_gets_a_line_for_each_change(server: DevServer) -> None:
    """Each line is about the instance or a step; none is said twice."""
    begin(server, "piped")
    command = [STEPWELL, "instances", "describe", "order", "piped", "--watch", "--url", server.url]

    with running(command) as process:
        assert process.stdout is not None
        first = [process.stdout.readline() for _ in range(3)]
        # Between the two looks that are meant it may run for a moment, which a look would tell.
        process.send_signal(signal.SIGSTOP)
        end(server, "piped")()
        server.wait_for_status("order", "piped", "complete")
        process.send_signal(signal.SIGCONT)
        rest = process.stdout.read().splitlines()

    lines = [line.rstrip("\n").split("\t") for line in [*first, *rest]]
    assert [line[:4] for line in lines] == [
        ["instance", "order", "piped", "waiting"],
        ["step", "charge-1", "step", "complete"],
        ["step", "approval-1", "waitForEvent", "waiting"],
        ["instance", "order", "piped", "complete"],
        ["step", "approval-1", "waitForEvent", "done"],
        ["output", '{"by":"ann"}'],
    ]


def test_interrupted_command_ends_with_130(server: DevServer) -> None:
    """Ctrl-C ends the command and not the instance; the last words say how to look again."""
    command = [STEPWELL, "trigger", "order", '{"waits": true}', "--id", "left", "--wait", "--url", server.url]

    with running(command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "waiting for left\n"
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        code = process.wait(DEADLINE_S)

    assert code == 130
    assert said == "it goes on; look again with: stepwell instances describe order left --watch\n\n"
    assert server.get("order", "left")["status"] in {"running", "waiting"}


def test_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    """What reads from a pipe may end before all is said: no traceback."""
    done = subprocess.run(
        ["sh", "-c", f'{{ "{STEPWELL}" settings . ; echo "ended with $?" >&2; }} | true'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )

    assert done.stderr == "ended with 1\n"


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--version"], id="version"),
        pytest.param(["settings", "."], id="text in a pipe"),
        pytest.param(["settings", ".", "-o", "json"], id="json"),
    ],
)
def test_command_without_a_table_does_not_wait_for_what_draws_one(arguments: list[str], tmp_path: Path) -> None:
    """Neither rich, nor a web server, nor the store is loaded for it."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "stepwell", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )

    loaded = set(re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE))
    assert "click" in loaded
    assert loaded & {"rich", "rich.table", "uvicorn", "starlette", "apsw", "http.client"} == set()
