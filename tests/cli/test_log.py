"""`stepwell instances logs` and `stepwell instances step`, against a real server."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.cli.commands import SOURCE, ask, begin, run
from tests.cli.screen import STEPWELL, run_on_terminal
from tests.cli.scripted import Answer, listening, scripted
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
        "approval-1   \x1b[32m✓ complete\x1b[0m",
        "event   approved",
        "{",
        '  "a": [',
        "    1.1,",
        '    "\\u202e"',
        "  ]",
        "}",
    ]


OUTPUTS = {
    "export-1": b"\xff\x00\x1b[31mred\n",
    "empty-1": b"",
    "text-1": '"\\u001b[31m\u202e \\n\u65e5\x7f"'.encode(),
    "number-1": b"1.10",
    "nothing-1": b"null",
}


@pytest.fixture(scope="module")
def streamed() -> Iterator[str]:
    """The address of a server whose steps have returned what is hard to print: streams, and JSON of many kinds."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        name = parse_qs(urlsplit(request.path).query)["name"][0]
        is_stream = name in {"export-1", "empty-1"}
        output = OUTPUTS[name]
        state = b'{"status": "complete", "error": null, "output" : ' + output + b"}"
        content = output if is_stream else b'{"success": true, "errors": [], "result": ' + state + b"}"
        request.send_response(200)
        request.send_header("content-type", "application/octet-stream" if is_stream else "application/json")
        request.send_header("content-length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    with listening(answer) as url:
        yield url


@pytest.mark.parametrize("step", OUTPUTS)
def test_raw_output_is_written_byte_for_byte(streamed: str, step: str) -> None:
    """Nothing is added, not even the end of a line, and nothing is taken out: of a stream, and of JSON."""
    told = run("instances", "step", "raw", "one", step, "--raw", "--ascii", "--url", streamed)

    assert (told.exit_code, told.stdout_bytes, told.stderr) == (0, OUTPUTS[step], "")


def test_raw_output_of_an_attempt_and_of_a_wait(server: DevServer) -> None:
    """What succeeded has one, and what an event brought is one."""
    begin(server, "rawly")
    ask(server, "instances", "send-event", "order", "rawly", '{"n":1.10}', "--type", "approved")
    server.wait_for_status("order", "rawly", "complete")

    attempt = ask(server, "instances", "step", "order", "rawly", "charge-1", "--attempt", "1", "--raw")
    wait = ask(server, "instances", "step", "order", "rawly", "approval-1", "--type", "waitForEvent", "--raw")

    assert (attempt.stdout, json.loads(wait.stdout)) == ("42", {"n": 1.1})


def test_step_without_an_output_has_nothing_to_write(server: DevServer) -> None:
    """It is told how the step stands: exit code 5, as it may have one later."""
    begin(server, "unsent")
    error = {"name": "ValueError", "message": "no \x1b[31mred"}

    waits = ask(server, "instances", "step", "order", "unsent", "approval-1", "--type", "waitForEvent", "--raw")
    with scripted([Answer.result({"status": "errored", "error": error})]) as other:
        failed = run("instances", "step", "order", "a b", "charge-1", "--raw", "--url", other.url)

    assert (waits.exit_code, waits.stdout, failed.exit_code, failed.stdout) == (5, "", 5, "")
    assert waits.stderr == (
        'error: step "approval-1" has no output: it is waiting\n'
        "hint: `stepwell instances step order unsent approval-1 --type waitForEvent` shows how it stands\n"
    )
    assert failed.stderr == (
        'error: step "charge-1" has no output: it is errored, ValueError: no \N{REPLACEMENT CHARACTER}red\n'
        "hint: `stepwell instances step order 'a b' charge-1 --type step` shows how it stands\n"
    )


def test_raw_output_is_not_written_to_a_terminal() -> None:
    """Which would obey it; no server is asked."""
    code, written = run_on_terminal("instances", "step", "raw", "one", "text-1", "--raw", "--url", "http://127.0.0.1:1")

    assert code == 2
    assert written.splitlines() == [
        "error: --raw writes an output as it is, with all that a terminal would obey",
        "hint: send it into a file or a pipe: stepwell instances step ... --raw > FILE; without --raw it is shown",
    ]


@pytest.mark.parametrize("form", ["wide", "json", "ndjson", "ids"])
def test_raw_output_has_no_form(form: str) -> None:
    """It is the output alone."""
    refused = run("instances", "step", "raw", "one", "text-1", "--raw", "-o", form)

    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr.splitlines()[0] == (
        f"error: --raw is the output alone, and -o {form} all of the step: leave one of them out"
    )


def test_stream_has_no_other_form(streamed: str) -> None:
    """In a pipe it is written as it is without a word; where JSON is wanted, or on a terminal, the remedy is told."""
    step = ("instances", "step", "raw", "one", "export-1", "--url", streamed)

    plain, as_json = run(*step), run(*step, "--json")
    code, written = run_on_terminal(*step)

    assert plain.stdout_bytes == OUTPUTS["export-1"]
    assert (as_json.exit_code, as_json.stdout, code) == (1, "", 1)
    assert as_json.stderr == (
        "error: the output is a stream of 11 bytes, not JSON\nhint: --raw, or no output format, writes it as it is\n"
    )
    assert written.splitlines() == [
        "error: the output is a stream of 11 bytes, not JSON",
        "hint: send it into a file: stepwell instances step ... > FILE",
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
