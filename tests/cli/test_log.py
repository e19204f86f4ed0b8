"""`stepwell instances logs` and `stepwell instances step`, against a real server."""

import json
import signal
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.cli.commands import SOURCE, ask, begin, run
from tests.cli.screen import STEPWELL, run_on_terminal
from tests.cli.scripted import Answer, scripted
from tests.crash.processes import running
from tests.crash.server import DEADLINE_S, DevServer

TRACE = "oh\nTraceback:\n  \x1b[31mred"


def followed(server: DevServer, id: str) -> AbstractContextManager["subprocess.Popen[str]"]:
    """Run the real command that follows an instance."""
    command = [STEPWELL, "instances", "logs", "order", id, "--follow", "--url", server.url]
    return running(command, stderr=subprocess.PIPE)


def first_line(process: "subprocess.Popen[str]") -> list[str]:
    """Return what a command prints first, when it does."""
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n").split("\t")


def texts(output: str) -> list[list[str]]:
    """Return the lines of an output without their times."""
    return [line.split("\t")[1:] for line in output.splitlines()]


# ---- logs


def test_lines_have_time_step_level_and_text(server: DevServer) -> None:
    """Each line of a text is one of its own, and has nothing that a terminal would obey."""
    begin(server, "said", says=[TRACE])

    shown = ask(server, "instances", "logs", "order", "said")

    assert (shown.exit_code, shown.stderr) == (0, "")
    assert texts(shown.stdout) == [
        ["charge-1", "stdout", "charging"],
        ["-", "INFO", "oh"],
        ["-", "INFO", "Traceback:"],
        ["-", "INFO", "  \N{REPLACEMENT CHARACTER}red"],
    ]
    assert shown.stdout.startswith("20")


def test_lines_are_those_of_the_api(server: DevServer) -> None:
    """JSON is the API's, whole; `--after` begins behind a line, and `-o ids` has the numbers."""
    begin(server, "numbered", says=[TRACE, "two"])

    def shown(*options: str) -> str:
        return ask(server, "instances", "logs", "order", "latest", *options).stdout

    lines = json.loads(shown("-o", "json"))
    assert [line["text"] for line in lines] == ["charging", TRACE, "two"]
    assert list(lines[0]) == ["n", "at", "step", "attempt", "level", "text"]
    assert [json.loads(line) for line in shown("-o", "ndjson").splitlines()] == lines
    assert shown("-o", "ids", "--after", "1") == "2\n3\n"
    assert texts(shown("-o", "wide", "--after", "2"))[0][1:] == ["-", "-", "INFO", "two"]


def test_long_log_is_read_to_its_end(server: DevServer) -> None:
    """More lines than one page has."""
    begin(server, "talkative", says=[str(number) for number in range(1_005)])

    shown = ask(server, "instances", "logs", "order", "talkative")

    assert [line[2] for line in texts(shown.stdout)] == ["charging", *map(str, range(1_005))]


def test_follower_sees_new_lines_and_ends_with_the_instance(server: DevServer) -> None:
    """Each line when it is there; exit code 0."""
    begin(server, "followed")

    with followed(server, "followed") as process:
        first = first_line(process)
        server.call("/order/instances/followed/events/approved", {"says": []})
        rest, errors = process.communicate(timeout=DEADLINE_S)

    assert first[1:] == ["charge-1", "stdout", "charging"]
    assert (process.returncode, rest, errors) == (0, "", "")


def test_interrupted_follower_ends_with_130(server: DevServer) -> None:
    """The last words say how to go on behind what was shown."""
    begin(server, "left")

    with followed(server, "left") as process:
        first_line(process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=DEADLINE_S)

    assert process.returncode == 130
    assert errors.startswith("go on with: stepwell instances logs order left --follow --after ")


def test_follower_is_told_that_the_instance_is_deleted(server: DevServer) -> None:
    """Exit code 4, as of any instance that is not there."""
    begin(server, "doomed")

    with followed(server, "doomed") as process:
        first_line(process)
        ask(server, "instances", "delete", "order", "doomed", "--yes")
        _, errors = process.communicate(timeout=DEADLINE_S)

    assert process.returncode == 4
    assert errors.startswith('error: no instance "doomed" in workflow "order" (10400)\n')


def test_follower_is_told_that_the_server_is_gone(tmp_path: Path) -> None:
    """Exit code 6; the hint says how to go on behind what was shown."""
    (tmp_path / "flows.py").write_text(SOURCE)
    with DevServer(tmp_path) as server:
        begin(server, "orphan")
        with followed(server, "orphan") as process:
            first_line(process)
            server.kill()
            _, errors = process.communicate(timeout=DEADLINE_S)

    error, hint = errors.splitlines()
    assert process.returncode == 6
    assert "does not answer" in error
    assert hint == "hint: go on with: stepwell instances logs order orphan --follow --after 1"


def test_stream_that_ends_before_its_instance_is_taken_up_again() -> None:
    """Where it was: no line is missing, and none comes twice."""
    lines = [
        {"n": n, "at": "2026-11-23T10:00:00.000Z", "step": None, "attempt": None, "level": "INFO", "text": str(n)}
        for n in (1, 2, 3)
    ]
    answers = [
        Answer.stream(*lines[:2]),
        Answer.result({"status": "running"}),
        Answer.stream(*lines[2:]),
        Answer.result({"status": "complete"}),
    ]
    with scripted(answers) as server:
        done = run("instances", "logs", "order", "a", "--follow", "--url", server.url)

    assert (done.exit_code, [line[2] for line in texts(done.stdout)]) == (0, ["1", "2", "3"])
    assert [asked[1] for asked in server.asked] == [
        "logs?follow=true",
        "a?simple=true",
        "logs?follow=true&after=2",
        "a?simple=true",
    ]


@pytest.mark.parametrize(
    ("answer", "code", "text"),
    [
        pytest.param(Answer.refusal(429, 10429, "streams are open already"), 1, "streams are open", id="too many"),
        pytest.param(Answer.stream("no line"), 6, "the answer is not that of this API", id="another API"),
    ],
)
def test_stream_that_is_none_is_told(answer: Answer, code: int, text: str) -> None:
    """A refusal has the server's reason; what cannot be read is shown as it came."""
    with scripted([answer]) as server:
        refused = run("instances", "logs", "order", "a", "--follow", "--url", server.url)

    assert (refused.exit_code, refused.stdout) == (code, "")
    assert text in refused.stderr


def test_lines_are_in_columns_on_a_terminal(server: DevServer) -> None:
    """As they come, while the instance goes on."""
    begin(server, "columns", says=["one", TRACE])

    code, written = run_on_terminal(
        *("instances", "logs", "order", "columns", "--follow", "--url", server.url),
        columns=100,
        then=lambda: server.call("/order/instances/columns/events/approved", {}) and None,
    )

    assert code == 0
    assert [line[24:].lstrip() for line in written.splitlines()] == [
        "charge-1  stdout  charging",
        "-         INFO    one",
        "-         INFO    oh",
        "-         INFO    Traceback:",
        "-         INFO      \N{REPLACEMENT CHARACTER}red",
    ]


# ---- step


def test_step_is_shown_with_its_whole_output(server: DevServer) -> None:
    """Text with tabs in a pipe; JSON is what the API answers."""
    begin(server, "stepped")

    step = ask(server, "instances", "step", "order", "stepped", "charge-1")
    attempt = ask(server, "instances", "step", "order", "latest", "charge-1", "--attempt", "1", "-o", "json")
    wait = ask(server, "instances", "step", "order", "stepped", "approval-1", "--type", "waitForEvent")

    assert step.stdout == "step\tcharge-1\tstep\tcomplete\noutput\t42\n"
    assert json.loads(attempt.stdout) == server.call("/order/instances/stepped/step?name=charge-1&type=step&attempt=1")
    assert wait.stdout == "step\tapproval-1\twaitForEvent\twaiting\nevent\tapproved\n"


def test_output_is_indented_on_a_terminal(server: DevServer) -> None:
    """Whole, and with nothing that a terminal would obey."""
    begin(server, "event")
    sent = '{"a": [1.10, "\\u202e"]}'
    ask(server, "instances", "send-event", "order", "event", sent, "--type", "approved")
    server.wait_for_status("order", "event", "complete")

    _, written = run_on_terminal(
        *("instances", "step", "order", "event", "approval-1", "--type", "waitForEvent", "--url", server.url)
    )

    assert written.splitlines() == [
        "approval-1   \x1b[32mcomplete\x1b[0m",
        "event   approved",
        "{",
        '  "a": [',
        "    1.1,",
        '    "\\u202e"',
        "  ]",
        "}",
    ]


def test_step_that_is_not_there_is_told(server: DevServer) -> None:
    """Exit code 4; the hint leads to the steps that there are, and to the instances."""
    begin(server, "stepless")

    refused = ask(server, "instances", "step", "order", "stepless", "charge-2")
    nobodys = ask(server, "instances", "step", "order", "nobody", "charge-1")

    error, hint = refused.stderr.splitlines()
    assert (refused.exit_code, refused.stdout, nobodys.exit_code) == (4, "", 4)
    assert error.startswith('error: no step "charge-2" in instance "stepless"; its log has the names')
    assert hint == (
        "hint: `stepwell instances list order` shows the instances there are, "
        "`stepwell instances describe order stepless` the steps of this one"
    )
    assert nobodys.stderr.splitlines() == [
        'error: no instance "nobody" in workflow "order" (10400)',
        hint.replace("stepless", "nobody"),
    ]
