"""Lines of scripts that say `wrangler`, with `stepwell` in its place."""

import json

import click
import pytest

from stepwell.cli import main
from tests.cli.commands import ask, begin, run
from tests.cli.screen import run_on_terminal
from tests.cli.scripted import Answer, scripted
from tests.crash.server import DevServer


def test_instances_are_handled_below_workflows(server: DevServer) -> None:
    """Each command is ours, with `latest` and with wrangler's options."""
    triggered = ask(server, "workflows", "trigger", "order", '{"waits": true, "naps": 1}', "--id", "w-1", "-o", "ids")
    server.wait_for_status("order", "w-1", "waiting")
    described = ask(server, "workflows", "instances", "describe", "order", "latest")
    paused = ask(server, "workflows", "instances", "pause", "order", "w-1")
    resumed = ask(server, "workflows", "instances", "resume", "order", "w-1")
    server.wait_for_status("order", "w-1", "waiting")
    event = ("--type", "approved", "--payload", '{"by": "ann"}')
    sent = ask(server, "workflows", "instances", "send-event", "order", "w-1", *event, "-o", "ids")
    ended = server.wait_for_status("order", "w-1", "complete")
    step = ("--from-step-name", "approval", "--from-step-type", "waitForEvent")
    restarted = ask(server, "workflows", "instances", "restart", "order", "w-1", *step, "-y")

    assert (triggered.stdout, sent.stdout) == ("w-1\n", "w-1\n")
    assert described.stdout.startswith("instance\torder\tw-1\twaiting\t")
    assert (paused.stdout, resumed.stdout, restarted.stdout) == ("w-1\tpaused\n", "w-1\tqueued\n", "w-1\tqueued\n")
    assert ended["output"] == '{"by":"ann"}'


def test_payload_that_is_given_twice_is_refused() -> None:
    """One of the two would be lost."""
    refused = run(
        *["instances", "send-event", "order", "a", "1", "--type", "t", "--payload", "2", "--url", "http://127.0.0.1:1"]
    )

    assert refused.exit_code == 2
    assert "the payload is given twice: as an argument, and as --payload" in refused.stderr


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        pytest.param("--per-page 2", ["d", "c"], id="first page"),
        pytest.param("--per-page 2 --page 2", ["b", "a"], id="second page"),
        pytest.param("--per-page 2 --page 3", [], id="behind the last"),
        pytest.param("--per-page 3 --reverse", ["b", "c", "d"], id="reverse"),
    ],
)
def test_list_has_pages(options: str, ids: list[str]) -> None:
    """As many instances as a page has, oldest first if that is wanted."""
    with scripted([Answer.result([{"id": id} for id in "dcba"])]) as server:
        told = run(*f"workflows instances list order {options} -o ids --url {server.url}".split())

    assert (told.exit_code, told.stdout.split()) == (0, ids)


def test_list_is_filtered_by_wranglers_names() -> None:
    """Of dates and status."""
    with scripted([Answer.result([])]) as server:
        run(
            *f"workflows instances list order --status errored --url {server.url}".split(),
            *["--date-start", "2026-01-01", "--date-end", "2026-01-02T13:00:00Z"],
        )

    query = "&status=errored&date_start=2026-01-01T00%3A00%3A00.000Z&date_end=2026-01-02T13%3A00%3A00.000Z"
    assert server.asked == [("GET", f"instances?per_page=100{query}", None)]


@pytest.mark.parametrize("port", ["", "--port"])
def test_local_server_is_asked(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    """`--local` is this machine, `--port` another port than 8787; the environment's server is another."""
    monkeypatch.setenv("STEPWELL_URL", "http://127.0.0.1:1")
    with scripted([Answer.result([])]) as server:
        monkeypatch.setattr("stepwell.cli.where.LOCAL", server.url)
        options = [port, server.url.rpartition(":")[2]] if port else []
        told = run(*["workflows", "instances", "list", "order", "--local", "-o", "ids"], *options)

    assert (told.exit_code, len(server.asked)) == (0, 1)


def test_outputs_of_steps_are_shown_where_they_are_wanted(server: DevServer) -> None:
    """Not longer than is said; in a pipe with tabs, on a terminal below the steps."""
    begin(server, "outputs")
    command = ("workflows", "instances", "describe", "order", "outputs", "--url", server.url)

    plain, all_of_it, cut = (
        [line for line in run(*command, *more).stdout.splitlines() if line.startswith("returned")]
        for more in ([], ["--step-output"], ["--step-output", "--truncate-output-limit", "1"])
    )
    _, written = run_on_terminal(*command, "--step-output", "--color", "never")

    assert plain == []
    assert all_of_it == ["returned\tcharge-1\tstep\t42"]
    assert cut == ["returned\tcharge-1\tstep\t4..."]
    assert written.endswith("\r\n\r\ncharge-1 returned 42\r\n")


def test_output_of_an_instance_is_cut_where_people_read_it(server: DevServer) -> None:
    """At 200 characters, or as `--output-limit` says; a pipe and JSON have all of it."""
    server.create("order", "cut", {"text": "y" * 300})
    server.wait_for_status("order", "cut", "complete")
    command = ("instances", "describe", "order", "cut", "--url", server.url)

    _, short = run_on_terminal(*command, columns=500)
    _, long = run_on_terminal(*command, "--output-limit", "1000", columns=500)

    assert f'output  {{"text":"{"y" * 191}...' in short
    assert "y" * 300 in long
    assert "y" * 300 in run(*command).stdout
    assert json.loads(run(*command, "--json").stdout)["output"] == f'{{"text":"{"y" * 300}"}}'


def test_spellings_of_wrangler_are_not_listed() -> None:
    """Neither commands nor options."""
    listed = [
        run(*command.split(), "--help").stdout
        for command in ("", "workflows", "instances list", "instances describe", "instances send-event")
    ]

    for spelling in ("trigger ", "instances "):
        assert f"  {spelling}" not in listed[1]
    for option in (
        "--date-start",
        "--per-page",
        "--page ",
        "--local",
        "--port",
        "--truncate-output-limit",
        "--payload",
    ):
        assert option not in "".join(listed[2:])


def test_group_that_is_there_has_wranglers_commands() -> None:
    """They are ours, hidden there alone."""
    group = main.commands["workflows"]
    assert isinstance(group, click.Group)

    hidden = {name for name, command in group.commands.items() if command.hidden}

    assert hidden == {"trigger", "instances"}
    assert not main.commands["trigger"].hidden
    assert not main.commands["instances"].hidden
