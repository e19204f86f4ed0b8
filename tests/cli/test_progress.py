"""How far work is: bars, lines, waits, and what Ctrl-C does."""

import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest

from stepwell.cli.progress import Progress, Stand, detaching, line_of
from tests.cli.commands import ask, begin, run
from tests.cli.screen import STEPWELL, Screen, run_on_terminal
from tests.cli.scripted import Answer, scripted
from tests.crash.processes import running
from tests.crash.server import DEADLINE_S, DevServer


def seen(written: str, columns: int = 80) -> list[str]:
    """Return the lines that a terminal shows in the end."""
    screen = Screen(columns, 24)
    screen.write(written)
    return screen.lines


# ---- the line


@pytest.mark.parametrize(
    ("stand", "elapsed_s", "columns", "line"),
    [
        pytest.param(
            Stand(12, 1, 36),
            4.0,
            200,
            "terminate  [########................]  12/36  3.0/s  1 failed  8.0 s left",
            id="room for all",
        ),
        pytest.param(Stand(12, 1, 36), 4.0, 60, "terminate  12/36  3.0/s  1 failed  8.0 s left", id="no bar"),
        pytest.param(Stand(12, 1, 36), 4.0, 40, "terminate  12/36  1 failed  8.0 s left", id="no rate"),
        pytest.param(Stand(12, 1, 36), 4.0, 30, "terminate  12/36  1 failed", id="no time"),
        pytest.param(Stand(12, 1, 36), 4.0, 20, "12/36  1 failed", id="no name"),
        pytest.param(Stand(12, 1, 36), 4.0, 3, "1 f", id="nothing fits"),
        pytest.param(
            Stand(12, None, 36),
            4.0,
            80,
            "terminate  [########................]  12/36  3.0/s  8.0 s left",
            id="no failures",
        ),
        pytest.param(Stand(0, 0, 0), 0.0, 80, "terminate  [########################]  0/0  0.0/s  0 failed", id="none"),
        pytest.param(
            Stand(1000, 0, 11_000, has_more=True),
            1.0,
            80,
            "terminate  [##......................]  1,000/11,000+  1000.0/s  0 failed",
            id="more",
        ),
    ],
)
def test_line_has_what_there_is_room_for(stand: Stand, elapsed_s: float, columns: int, line: str) -> None:
    """Done and failed stay longest."""
    assert line_of("terminate", stand, elapsed_s, columns) == line


class Clock:
    """A clock that stands still until it is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def told_at(capsys: pytest.CaptureFixture[str], moments: Sequence[float]) -> list[float]:
    """Return at which of some moments, at which something is done, something is printed."""
    clock = Clock()
    found = []
    with Progress("pause", clock=clock) as progress:
        for moment in moments:
            clock.now = 100.0 + moment
            progress.tell(Stand(1, 0, 2))
            if capsys.readouterr().err:
                found.append(moment)
    return found


def test_log_gets_a_line_each_five_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    """And none for what takes less."""
    assert told_at(capsys, [0, 1, 4.9, 5, 6, 9.9, 10.5, 15.4, 15.5]) == [5, 10.5, 15.5]


def test_terminal_is_drawn_on_four_times_a_second(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first time at once."""
    monkeypatch.setattr("stepwell.cli.terminal.can_go_back", lambda _: True)

    assert told_at(capsys, [0, 0.1, 0.2, 0.25, 0.4, 0.5, 0.9]) == [0, 0.25, 0.5, 0.9]


def test_message_takes_the_place_of_the_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is drawn anew below; in the end nothing is left of it; what a message says is not obeyed."""
    monkeypatch.setattr("stepwell.cli.terminal.can_go_back", lambda _: True)
    clock = Clock()

    with Progress("pause", clock=clock) as progress:
        progress.tell(Stand(1, 0, 2))
        progress.say("error: a: \x1b[31mno")
        clock.now += 1
        progress.tell(Stand(2, 1, 2))

    written = capsys.readouterr().err
    assert written == (
        "\rpause  [############............]  1/2  0.0/s  0 failed\x1b[J\r\x1b[Jerror: a: \ufffdno\n"
        "\rpause  [########################]  2/2  2.0/s  1 failed  0 ms left\x1b[J\r\x1b[J"
    )


def test_part_has_a_time_of_its_own(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What went before does not count for how fast the next part goes."""
    monkeypatch.setattr("stepwell.cli.terminal.can_go_back", lambda _: True)
    clock = Clock()

    with Progress("", clock=clock) as progress:
        progress.tell_of_part("pages", Stand(0, None, 8))
        clock.now += 100
        progress.tell_of_part("rows", Stand(0, None, 8))
        clock.now += 2
        progress.tell_of_part("rows", Stand(4, None, 8))

    assert capsys.readouterr().err.split("\r")[3] == "rows  [############............]  4/8  2.0/s  2.0 s left\x1b[J"


# ---- many


PAUSED = Answer.result({"status": "paused", "timestamp": ""})


def test_bar_is_shown_on_a_terminal_and_goes(server: DevServer) -> None:
    """In the end there are the table, the failures and the count."""
    begin(server, "bar-1", "bar-2")

    code, written = run_on_terminal("instances", "pause", "order", "bar-1", "no", "bar-2", "--url", server.url)

    assert code == 1
    assert "pause  [########................]  1/3" in written
    lines = [" ".join(line.split()) for line in seen(written)]
    assert [line for line in lines if line] == [
        'error: no: no instance "no" in workflow "order" (10400)',
        "INSTANCE STATUS",
        "bar-1 \N{DOUBLE VERTICAL LINE} paused",
        "bar-2 \N{DOUBLE VERTICAL LINE} paused",
        "done: 2 of 3",
    ]


def test_lines_on_a_terminal_have_no_bar_between_them() -> None:
    """With `-o ids` each instance is shown as soon as it is done."""
    with scripted([PAUSED] * 2) as server:
        _, written = run_on_terminal("instances", "pause", "order", "a", "b", "-o", "ids", "--url", server.url)

    assert written == "a\r\nb\r\n"


def interrupted(answers: Sequence[Answer], *arguments: str, at: int, times: int = 1) -> tuple[int, str, str]:
    """Return how a command ends that is interrupted while it waits for an answer: code, output, messages."""
    holder: list[subprocess.Popen[str]] = []

    def interrupt() -> None:
        for _ in range(times):
            holder[0].send_signal(signal.SIGINT)

    given = [replace(answer, first=interrupt) if number == at else answer for number, answer in enumerate(answers)]
    with scripted(given) as server:
        command = [STEPWELL, *arguments, "--url", server.url]
        with running(command, stderr=subprocess.PIPE) as process:
            holder.append(process)
            assert process.stdout is not None
            assert process.stderr is not None
            return process.wait(DEADLINE_S), process.stdout.read(), process.stderr.read()


def test_first_interruption_ends_many_after_the_one_that_is_done() -> None:
    """It is told what was done, and where to go on."""
    code, printed, said = interrupted([PAUSED] * 4, "instances", "pause", "order", "a", "b", "c", "d", at=1)

    assert (code, printed) == (130, "a\tpaused\nb\tpaused\n")
    assert said.splitlines()[:3] == [
        "ending after what is being done; Ctrl-C once more ends at once",
        "done: 2 of 4",
        "left: 2, from c on",
    ]


# ---- waits


def standing(status: str) -> Answer:
    """Return an answer about an instance."""
    return Answer.result(
        {
            "status": status,
            "queued": "2026-11-23T10:00:00.000Z",
            "start": None,
            "end": None,
            "versionId": "v",
            "trigger": {"source": "api"},
            "steps": [],
        }
    )


CREATED = Answer.result({"id": "a", "status": "queued", "version_id": "v"})
LABELS = Answer.result({"labels": {}})


@pytest.mark.parametrize(
    ("status", "code"), [pytest.param("complete", 0), pytest.param("errored", 7), pytest.param("terminated", 8)]
)
@pytest.mark.parametrize("option", ["--wait", "--watch"])
def test_exit_code_tells_how_an_instance_ended(option: str, status: str, code: int) -> None:
    """Whether it is waited for or watched; what is printed is the same in the end."""
    rest = [LABELS] if option == "--watch" else [standing(status)]
    with scripted([CREATED, standing(status), *rest]) as server:
        told = run("trigger", "order", option, "--url", server.url)

    assert told.exit_code == code
    assert told.stdout == f"instance\torder\ta\t{status}\t2026-11-23T10:00:00.000Z\t-\t-\tv\tapi\n"
    assert told.stderr == "waiting for a\n"


@pytest.mark.parametrize("option", ["--wait", "--watch"])
@pytest.mark.parametrize("timeout", [pytest.param("0", id="seconds"), pytest.param("0.5s", id="short")])
def test_wait_that_takes_too_long_ends_with_9(server: DevServer, option: str, timeout: str) -> None:
    """The instance goes on, and how it stands is told."""
    id = f"long{option}-{timeout[-1]}"

    told = ask(server, "trigger", "order", '{"waits": true}', "--id", id, option, "--timeout", timeout)

    assert told.exit_code == 9
    assert told.stderr.splitlines()[-1].startswith(f"{id} is still ")
    server.wait_for_status("order", id, "waiting")


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf", "1e999", ""])
def test_time_that_is_none_is_refused(text: str) -> None:
    """Before anything is asked of a server."""
    refused = run("trigger", "order", "--wait", f"--timeout={text}", "--url", "http://127.0.0.1:1")

    assert refused.exit_code == 2
    assert f"{text!r} is no time; give seconds, or such as 5min or '5 minutes'" in refused.stderr


def test_timeout_without_a_wait_is_refused() -> None:
    """It would be believed."""
    refused = run("trigger", "order", "--timeout", "5", "--url", "http://127.0.0.1:1")

    assert refused.exit_code == 2
    assert "error: --timeout says how long --wait or --watch lasts, and neither is given" in refused.stderr


def test_wait_on_a_terminal_shows_how_it_stands(server: DevServer) -> None:
    """In one line that goes when the instance ends."""
    options = ("--id", "shown", "--wait", "--color", "never", "--url", server.url)

    def end() -> None:
        server.wait_for_status("order", "shown", "waiting")
        server.call("/order/instances/shown/events/approved", {})

    code, written = run_on_terminal("trigger", "order", '{"waits": true}', *options, then=end)

    lines = seen(written)
    assert code == 0
    assert "\rshown: " in written
    assert lines[0] == "waiting for shown"
    assert lines[1].startswith("order / shown   \N{CHECK MARK} complete")


def test_interrupted_watch_tells_how_to_look_again() -> None:
    """Of an instance, and of a job; the exit code is 130."""
    code, _, said = interrupted([CREATED, standing("running"), LABELS], "trigger", "order", "--watch", at=2)
    assert (code, said.splitlines()[1]) == (
        130,
        "it goes on; look again with: stepwell instances describe order a --watch",
    )

    code, _, said = interrupted([job(), job()], "jobs", "start", "pause", "--wait", "-y", at=1)
    assert (code, said.splitlines()[0]) == (130, "it goes on; look again with: stepwell jobs describe j --watch")


class Terminal(StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "is_interrupted_again", "is_cancelled"),
    [
        pytest.param(Terminal(), True, True, id="twice"),
        pytest.param(Terminal(), False, False, id="once"),
        pytest.param(StringIO(), True, False, id="pipe"),
    ],
)
def test_second_interruption_cancels_a_job(
    monkeypatch: pytest.MonkeyPatch, stream: StringIO, is_interrupted_again: bool, is_cancelled: bool
) -> None:
    """Where somebody types, and only then; a first one lets it go on. It ends as an interruption either way."""

    def sleep(_seconds: float) -> None:
        if is_interrupted_again:
            raise KeyboardInterrupt

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(time, "sleep", sleep)
    cancelled: list[str] = []

    with pytest.raises(KeyboardInterrupt), detaching("look", lambda: cancelled.append("j")):
        raise KeyboardInterrupt

    assert cancelled == (["j"] if is_cancelled else [])
    assert stream.getvalue().startswith("it goes on; look again with: look\n")
    assert ("it is cancelled; what is done stays done" in stream.getvalue()) is is_cancelled


# ---- jobs


def job(**more: Any) -> Answer:
    """Return an answer about a job, which runs unless something else is said."""
    return Answer.result(
        {
            "id": "j",
            "action": "pause",
            "workflow_name": "order",
            "filter": {"status": ["errored"]},
            "status": "running",
            "created_on": "2026-11-23T10:00:00.000Z",
            "created_by": "ann",
            "looked_to": None,
            "done": 0,
            "passed_over": 0,
            "failed": 0,
            "left": 4,
            "failures": [],
            **more,
        }
    )


OVER = {"status": "complete", "done": 4, "left": 0}
END = "j\tpause\torder\tcomplete\t4\t0\t0\t0\tstatus=errored\t2026-11-23 10:00:00\tann\n"


def test_watched_job_gives_a_pipe_a_line_for_each_change() -> None:
    """None is said twice; the exit code is that of the watching."""
    answers = [job(), job(), job(done=2, left=2), job(**OVER)]
    with scripted(answers) as server:
        told = run("jobs", "describe", "j", "--watch", "--time", "utc", "--url", server.url)

    assert (told.exit_code, told.stderr) == (0, "")
    assert [line.split("\t")[3:8] for line in told.stdout.splitlines()] == [
        ["running", "0", "0", "0", "4"],
        ["running", "2", "0", "0", "2"],
        ["complete", "4", "0", "0", "0"],
    ]
    assert told.stdout.splitlines(keepends=True)[-1] == END


def test_job_that_is_begun_is_watched() -> None:
    """As one that is described: a line for each change, and the exit code tells whether some could not be changed."""
    for failed, code in ((0, 0), (1, 1)):
        with scripted([job(), job(done=3, left=1), job(**{**OVER, "done": 4 - failed, "failed": failed})]) as server:
            told = run(
                *("jobs", "start", "pause", "order", "--status", "errored", "--watch", "-y", "--url", server.url)
            )

        assert (told.exit_code, told.stderr) == (code, "")
        assert [line.split("\t")[3:8] for line in told.stdout.splitlines()] == [
            ["running", "0", "0", "0", "4"],
            ["running", "3", "0", "0", "1"],
            ["complete", str(4 - failed), "0", str(failed), "0"],
        ]
        assert server.asked[0] == (
            "POST",
            "jobs",
            {"action": "pause", "workflow_name": "order", "filter": {"status": ["errored"]}},
        )


def test_watched_job_is_redrawn_in_place() -> None:
    """In the end there is one table."""
    with scripted([job(), job(done=2, left=2), job(**OVER)]) as server:
        code, written = run_on_terminal("jobs", "describe", "j", "--watch", "--url", server.url)

    lines = [line for line in seen(written) if line]
    assert code == 0
    assert written.count("STATUS") == 3
    assert [line.split()[0] for line in lines] == ["JOB", "j"]


def test_job_that_is_waited_for_shows_a_bar() -> None:
    """On standard error; the job is printed when it has ended."""
    with scripted([job(done=1, left=3), job(**OVER)]) as server:
        code, written = run_on_terminal("jobs", "start", "pause", "order", "--wait", "-y", "--url", server.url)

    assert code == 0
    assert "\rpause  [######..................]  1/4  " in written
    assert [line.split()[0] for line in seen(written) if line] == ["JOB", "j"]


def test_job_that_takes_too_long_ends_with_9() -> None:
    """It goes on."""
    with scripted([job()] * 2) as server:
        waited = run("jobs", "start", "pause", "--wait", "-y", "--timeout", "0", "--url", server.url)
        watched = run("jobs", "describe", "j", "--watch", "--timeout", "0", "--url", server.url)

    assert (waited.exit_code, waited.stdout, waited.stderr) == (9, "", "j is still running after 0 s\n")
    assert (watched.exit_code, watched.stderr) == (9, "j is still running after 0 s\n")


# ---- all that match


FOUND = Answer.result([{"id": "a"}, {"id": "b"}])


@pytest.mark.parametrize("verb", ["pause", "resume", "terminate", "restart", "delete"])
def test_filter_starts_a_job_and_waits_for_it(verb: str) -> None:
    """With `--yes`, where one has to be asked: nothing is counted."""
    sure = ["-y"] if verb in {"terminate", "restart", "delete"} else []
    with scripted([job(), job(**OVER)]) as server:
        told = run("instances", verb, "order", "--status", "errored", *sure, "--time", "utc", "--url", server.url)

    assert (told.exit_code, told.stdout, told.stderr) == (0, END, "")
    asked = {"action": verb, "workflow_name": "order", "filter": {"status": ["errored"]}}
    assert server.asked == [("POST", "jobs", asked), ("GET", "j", None)]


CONDITIONS: Mapping[str, tuple[str, str, Any]] = {
    "--status": ("errored", "status", ["errored"]),
    "--label": ("customer=ann", "label", ["customer=ann"]),
    "--prefix": ("order-1", "prefix", "order-1"),
    "--version": ("v1", "version", "v1"),
    "--trigger": ("api", "trigger", "api"),
    "--error": ("CardDeclined", "error", "CardDeclined"),
    "--error-text": ("insufficient", "error_text", "insufficient"),
    "--longer-than": ("1 second", "duration_min", "1000"),
    "--shorter-than": ("2 minutes", "duration_max", "120000"),
    "--since": ("2026-11-01", "date_start", "2026-11-01T00:00:00.000Z"),
    "--until": ("2026-11-02", "date_end", "2026-11-02T00:00:00.000Z"),
    "--ended-since": ("2026-11-03", "ended_start", "2026-11-03T00:00:00.000Z"),
    "--ended-until": ("2026-11-04", "ended_end", "2026-11-04T00:00:00.000Z"),
}


@pytest.mark.parametrize(
    "command",
    [
        "instances pause order",
        "instances resume order",
        "instances terminate order -y",
        "instances restart order -y",
        "instances delete order -y",
        "jobs start pause order -y",
    ],
)
def test_all_conditions_of_a_list_choose_whom_a_command_changes(command: str) -> None:
    """Together, as the server takes them; the command has its job and waits for nothing."""
    given = [part for flag, (text, _, _) in CONDITIONS.items() for part in (flag, text)]
    later = [] if command.startswith("jobs") else ["--no-wait"]
    with scripted([job()]) as server:
        told = run(*command.split(), *given, *later, "-o", "ids", "--url", server.url)

    assert (told.exit_code, told.stdout) == (0, "j\n")
    ((_, _, asked),) = server.asked
    assert asked["filter"] == {name: said for _, name, said in CONDITIONS.values()}


def test_job_of_a_filter_need_not_be_waited_for() -> None:
    """`--no-wait` prints it as it is."""
    with scripted([job()]) as server:
        told = run("instances", "pause", "order", "--status", "errored", "--no-wait", "-o", "ids", "--url", server.url)

    assert (told.exit_code, told.stdout) == (0, "j\n")


@pytest.mark.parametrize("verb", ["pause", "terminate", "delete"])
def test_dry_run_prints_ids_and_count(verb: str) -> None:
    """Nothing is begun."""
    with scripted([FOUND]) as server:
        told = run("instances", verb, "order", "--status", "errored", "--dry-run", "--url", server.url)

    assert (told.exit_code, told.stdout) == (0, "a\nb\n")
    assert told.stderr == f"nothing is done; without --dry-run: {verb} 2 instances of order\n"
    assert [asked[0] for asked in server.asked] == ["GET"]


@pytest.mark.parametrize(
    ("typed", "code", "asked"),
    [pytest.param("2\n", 0, ["GET", "POST"], id="count"), pytest.param("y\n", 2, ["GET"], id="no count")],
)
def test_count_is_typed_before_all_that_match_are_changed(typed: str, code: int, asked: list[str]) -> None:
    """On a terminal, which shows the question."""
    with scripted([FOUND, job(**OVER)]) as server:
        done, written = run_on_terminal(
            *("instances", "terminate", "order", "--status", "errored", "--url", server.url), typed=typed
        )

    assert "terminate 2 instances of order? type 2: " in written
    assert done == code
    assert [method for method, *_ in server.asked] == asked


def test_filter_is_confirmed_where_there_is_no_terminal() -> None:
    """Exit code 2 without `--yes`."""
    with scripted([FOUND]) as server:
        refused = run("instances", "delete", "order", "--status", "errored", "--url", server.url)

    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "there is no terminal to ask on: delete 2 instances of order" in refused.stderr


def test_filter_that_nothing_matches_starts_no_job() -> None:
    """People are told."""
    with scripted([Answer.result([])]) as server:
        told = run("instances", "terminate", "order", "--prefix", "zz", "--url", server.url)

    assert (told.exit_code, told.stdout) == (0, "")
    assert told.stderr == "no instance is like that, so there is nothing to do\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(("pause", "order", "a", "--status", "paused"), "give the ones or the others", id="ids too"),
        pytest.param(
            ("delete", "order", "--filename", "f", "--status", "paused"), "give the ones or the others", id="file"
        ),
        pytest.param(("terminate", "order", "--status", "paused", "--rollback"), "--rollback needs ids", id="rollback"),
        pytest.param(("restart", "order", "--status", "paused", "--from", "s"), "--from needs ids", id="from"),
        pytest.param(("pause", "order"), "no instance is named; give ids, latest, - or @FILE", id="neither"),
    ],
)
def test_filter_that_does_not_go_with_the_rest_is_refused(arguments: tuple[str, ...], message: str) -> None:
    """Nothing is asked of a server."""
    refused = run("instances", *arguments, "--url", "http://127.0.0.1:1")

    assert refused.exit_code == 2
    assert message in refused.stderr


def test_all_that_match_are_changed(server: DevServer) -> None:
    """By a real server; the others stay as they are."""
    begin(server, "all-1", "all-2", "not")

    told = ask(server, "instances", "terminate", "order", "--prefix", "all-", "--status", "waiting", "-y")

    assert (told.exit_code, told.stdout.split("\t")[3:5]) == (0, ["complete", "2"])
    assert [server.get("order", id)["status"] for id in ("all-1", "all-2", "not")] == [
        "terminated",
        "terminated",
        "waiting",
    ]
