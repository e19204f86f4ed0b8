"""Commands that ask a server, against a real one: what they print, and their exit codes."""

import json
from pathlib import Path
from typing import Any

import pytest

from stepwell.cli.description import Screen
from stepwell.cli.output import Output
from stepwell.cli.profiles import connect
from stepwell.cli.terminal import clean
from stepwell.cli.times import span_of
from stepwell.client import Result
from tests.cli.commands import ask, run
from tests.cli.scripted import scripted
from tests.crash.server import DevServer, wait_until


def test_trigger_creates_an_instance_and_waits_for_its_end(server: DevServer) -> None:
    """Params as JSON, the exit code tells how it ended."""
    good = ask(server, "trigger", "order", '{"n": 1}', "--id", "good", "--wait")
    bad = ask(server, "trigger", "order", '{"fails": true}', "--wait")
    slow = ask(server, "trigger", "order", '{"waits": true}', "--wait", "--timeout", "0.6")

    assert (good.exit_code, bad.exit_code, slow.exit_code) == (0, 7, 9)
    assert good.stdout.startswith("instance\torder\tgood\tcomplete\t")
    assert good.stdout.endswith('output\t{"n":1}\n')
    assert bad.stdout.endswith("error\tValueError\tno \N{REPLACEMENT CHARACTER}red\n")
    assert "is still waiting after 0.6 s" in slow.stderr


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(([], None, {}), id="nothing"),
        pytest.param((["[1]"], None, [1]), id="JSON"),
        pytest.param((["-"], '{"a": 2}', {"a": 2}), id="standard input"),
        pytest.param((["@params.json"], None, {"a": 3}), id="file"),
    ],
)
def test_params_come_from_argument_file_or_standard_input(
    server: DevServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: tuple[list[str], str | None, Any]
) -> None:
    """What is given arrives; with -o ids the id alone is printed."""
    given, said, params = case
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.json").write_text('{"a": 3}')

    made = ask(server, "trigger", "order", *given, "-o", "ids", said=said)

    assert server.get("order", made.stdout.strip())["params"] == params


@pytest.mark.parametrize(
    ("given", "text"),
    [
        pytest.param("{bad", "this is not JSON", id="no JSON"),
        pytest.param("@gone.json", "gone.json cannot be read: No such file or directory", id="no file"),
        pytest.param("@bad.json", "bad.json is not JSON: ", id="file without JSON"),
        pytest.param("@bytes", "bytes is not UTF-8: ", id="file without text"),
        pytest.param("-", "standard input is not UTF-8: ", id="no text on standard input"),
    ],
)
def test_params_that_cannot_be_read_are_a_wrong_call(
    server: DevServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, text: str
) -> None:
    """Exit code 2 with what is wrong, and nothing is created."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.json").write_text("{bad")
    (tmp_path / "bytes").write_bytes(b'"\xff"')

    refused = ask(server, "trigger", "order", given, "--id", "never", said=b'"\xff"')

    assert refused.exit_code == 2
    assert f"error: Invalid value: {text}" in refused.stderr
    assert ask(server, "instances", "describe", "order", "never").exit_code == 4


def test_event_goes_to_an_instance_and_the_latest_is_described(server: DevServer) -> None:
    """`send-event` wakes what waits; `describe` shows the steps of the latest instance."""
    ask(server, "trigger", "order", '{"waits": true}', "--id", "waiting")

    sent = ask(server, "instances", "send-event", "order", "waiting", '{"by": "ann"}', "--type", "approved")
    server.wait_for_status("order", "waiting", "complete")
    shown = ask(server, "instances", "describe", "order")
    whole = ask(server, "instances", "describe", "order", "waiting", "-o", "json")

    assert (sent.exit_code, sent.stdout) == (0, "waiting\tapproved\n")
    assert [line.split("\t")[:4] for line in shown.stdout.splitlines()] == [
        ["instance", "order", "waiting", "complete"],
        ["step", "charge-1", "step", "complete"],
        ["step", "approval-1", "waitForEvent", "done"],
        ["output", '{"by":"ann"}'],
    ]
    assert json.loads(whole.stdout) == server.get("order", "waiting")


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["describe", "order", ".."], id="describe"),
        pytest.param(["why", "order", ".."], id="why"),
        pytest.param(["send-event", "order", "..", "--type", "approved"], id="send-event"),
        pytest.param(["logs", "order", ".."], id="logs"),
        pytest.param(["logs", "order", "..", "--follow"], id="logs --follow"),
        pytest.param(["step", "order", "..", "charge-1"], id="step"),
        pytest.param(["step-skip", "order", "..", "nap-1"], id="step-skip"),
    ],
)
def test_id_that_leads_elsewhere_is_a_wrong_call(arguments: list[str]) -> None:
    """Paths are made of ids: exit code 2, and no server is asked for anything."""
    with scripted([]) as server:
        refused = run("instances", *arguments, "--url", server.url)

    assert (refused.exit_code, refused.stdout, server.asked) == (2, "", [])
    assert '".." is no id of an instance; it has 1 to 271 letters' in refused.stderr


def test_instances_are_listed_in_each_form(server: DevServer) -> None:
    """Tabs into a pipe, JSON as the API has it, ids alone; newest first, filtered and cut as asked."""
    for id in ("list-1", "list-2"):
        ask(server, "trigger", "order", "--id", id)
        server.wait_for_status("order", id, "complete")

    def listed(*options: str) -> str:
        return ask(server, "instances", "list", "order", "--status", "complete", "--limit", "2", *options).stdout

    assert listed("-o", "ids") == "list-2\nlist-1\n"
    assert [line.split("\t")[:2] for line in listed().splitlines()] == [["list-2", "complete"], ["list-1", "complete"]]
    assert listed("-o", "wide").splitlines()[0].split("\t")[5] == "api"
    assert [instance["id"] for instance in json.loads(listed("-o", "json"))] == ["list-2", "list-1"]
    assert [json.loads(line)["id"] for line in listed("-o", "ndjson").splitlines()] == ["list-2", "list-1"]


def test_list_goes_through_all_pages(server: DevServer) -> None:
    """More instances than one page has are listed by cursor."""
    for _ in range(105):
        ask(server, "trigger", "order")
    wait_until(lambda: server.call("/order")["instances"]["queued"] == 0, lambda: server.log)

    listed = ask(server, "instances", "list", "order", "--limit", "103", "-o", "ids")

    assert len(set(listed.stdout.split())) == 103


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        pytest.param(
            ["instances", "describe", "order", "nobody"],
            4,
            'no instance "nobody" in workflow "order" (10400)',
            id="instance",
        ),
        pytest.param(
            ["instances", "list", "nothing"], 4, 'no workflow "nothing" in this account (10200)', id="workflow"
        ),
        pytest.param(
            ["instances", "send-event", "order", "gone", "--type", "a.b"], 2, 'event type "a.b" must be', id="type"
        ),
    ],
)
def test_refusal_has_the_servers_reason_and_a_hint(
    server: DevServer, arguments: list[str], code: int, text: str
) -> None:
    """The exit code tells what kind of refusal it is; one line says why, one what helps, and none is for programs."""
    refused = ask(server, *arguments)

    error, hint = refused.stderr.splitlines()
    assert (refused.exit_code, refused.stdout) == (code, "")
    assert error.startswith(f"error: {text}")
    assert hint.startswith("hint: ")


def test_id_that_is_taken_is_a_conflict(server: DevServer) -> None:
    """Exit code 5."""
    ask(server, "trigger", "order", "--id", "taken")

    assert ask(server, "trigger", "order", "--id", "taken").exit_code == 5


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "127.0.0.1:8787", "ftp://x"])
def test_server_that_does_not_answer_is_told(url: str) -> None:
    """Exit code 6, without a traceback."""
    refused = run("instances", "list", "order", "--url", url)

    assert refused.exit_code == 6
    assert [line.split(": ")[0] for line in refused.stderr.splitlines()] == ["error", "hint"]


def test_profile_has_address_account_and_token(server: DevServer, tmp_path: Path) -> None:
    """A profile is used where nothing else is said; its file is for its owner, and its token in no output."""
    run("profile", "set", "away", "--url", "http://127.0.0.1:1")
    run("profile", "set", "home", "--url", server.url, "--account", "acme", "--token", said="s3cret\n")
    before = run("instances", "list", "order").exit_code

    used = run("profile", "use", "home")
    listed = run("profile", "list")
    after = run("instances", "list", "order").exit_code
    named = run("instances", "list", "order", "--profile", "away").exit_code
    unknown = run("profile", "use", "nowhere")

    file = tmp_path / "config" / "stepwell" / "profiles.toml"
    assert (before, used.exit_code, after, named) == (6, 0, 0, 6)
    assert [line.split("\t") for line in listed.stdout.splitlines()] == [
        [" ", "away", "http://127.0.0.1:1", "local", "no token"],
        ["*", "home", server.url, "acme", "token"],
    ]
    assert (unknown.exit_code, "there is: away, home" in unknown.stderr) == (2, True)
    assert file.stat().st_mode & 0o777 == 0o600
    assert "s3cret" in file.read_text()
    assert "s3cret" not in listed.output


def test_environment_stands_before_the_profile(server: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options win over the environment, which wins over the profile."""
    run("profile", "set", "home", "--url", "http://127.0.0.1:1")
    monkeypatch.setenv("STEPWELL_URL", server.url)

    assert run("instances", "list", "order").exit_code == 0
    assert run("instances", "list", "order", "--url", "http://127.0.0.1:1").exit_code == 6


@pytest.mark.parametrize("name", ["\N{ROCKET}", 'a"b\\c', "\x7f", "a.b", "\N{SNOWMAN}"])
def test_any_name_can_be_a_profiles(name: str) -> None:
    """The file can be read again, whatever was written."""
    written = run("profile", "set", name, "--url", f"http://{name}/")
    listed = run("profile", "list")

    assert (written.exit_code, listed.exit_code) == (0, 0)
    assert listed.stdout.split("\t")[1:3] == [clean(name), clean(f"http://{name}/")]


def test_token_of_a_profile_goes_to_its_own_server_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another server that is named by option or environment does not get it, unless it is the same."""
    run("profile", "set", "home", "--url", "http://home", "--token", said="s3cret\n")

    tokens = [connect(url, None, None).token for url in (None, "http://home", "http://elsewhere")]
    monkeypatch.setenv("STEPWELL_URL", "http://elsewhere")
    tokens.append(connect(None, None, None).token)
    monkeypatch.setenv("STEPWELL_TOKEN", "given")
    tokens.append(connect(None, None, None).token)

    assert tokens == ["s3cret", "s3cret", None, None, "given"]


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:abc",
        "http://[::1",
        "http://localhost:99999",
        "ftp://a",
        "a",
        "http://a b/",
        "http://a?b=c",
        "http://\N{ROCKET}",
    ],
)
def test_address_that_is_none_is_refused(url: str) -> None:
    """One line that says what an address looks like, and no traceback."""
    refused = run("instances", "list", "order", "--url", url)

    assert refused.exit_code == 6
    assert "is no address of a server; give one such as http://127.0.0.1:8787" in refused.stderr


def test_address_with_a_password_is_refused() -> None:
    """Without showing it: messages have the address in them, and logs have messages."""
    refused = run("instances", "list", "order", "--url", "http://ann:secret@127.0.0.1:1")

    assert refused.exit_code == 6
    assert "the address of a server has no name or password in it" in refused.stderr
    assert "secret" not in refused.stderr


@pytest.mark.parametrize("token", ["\N{ROCKET}", "a\nb", "secret ", "\N{LATIN SMALL LETTER E WITH ACUTE}"])
def test_token_that_is_none_is_not_sent(server: DevServer, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, without the token."""
    monkeypatch.setenv("STEPWELL_TOKEN", token)

    refused = ask(server, "instances", "list", "order")

    assert refused.exit_code == 6
    assert "the token has characters that no token has" in refused.stderr
    assert token not in refused.stderr


def test_latest_is_named_where_an_event_goes(server: DevServer) -> None:
    """`latest` is the newest instance, by its id."""
    ask(server, "trigger", "order", '{"waits": true}', "--id", "newest-one")

    sent = ask(server, "instances", "send-event", "order", "latest", "--type", "approved")

    assert (sent.exit_code, sent.stdout) == (0, "newest-one\tapproved\n")


def test_nothing_of_an_instance_reaches_the_terminal_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a server says, in whatever member."""
    at, odd = "2026-11-23T10:00:00.000Z", "\x1b[2Jx"
    step = {"name": odd, "type": odd, "start": at, "end": at, "success": True, "attempts": []}
    shown = {
        **dict.fromkeys(("status", "versionId", "output"), odd),
        **dict.fromkeys(("start", "end", "queued"), at),
        "trigger": {"source": odd},
        "error": {"name": odd, "message": odd},
        "steps": [step],
    }

    Screen(odd, odd, Output()).show(Result(shown, ""))

    said = capsys.readouterr().out
    assert ("\x1b" in said, said.count(clean(odd))) == (False, 10)


@pytest.mark.parametrize("content", ["[profiles.home\n", "profiles = 5\n", "[profiles.home]\nurl = 5\n"])
def test_profile_file_that_cannot_be_read_is_named(tmp_path: Path, content: str) -> None:
    """A mistake in the file is an error with its path."""
    file = tmp_path / "config" / "stepwell" / "profiles.toml"
    file.parent.mkdir(parents=True)
    file.write_text(content)

    refused = run("profile", "list")

    assert refused.exit_code == 1
    assert f"{file} cannot be read" in refused.stderr


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.0404, "40 ms"),
        (12.44, "12.4 s"),
        (59.9, "59.9 s"),
        (200, "3 min"),
        (7200, "2 h"),
        (400_000, "5 d"),
    ],
)
def test_spans_are_told_as_people_tell_them(seconds: float, text: str) -> None:
    """One number and one unit."""
    assert span_of(seconds) == text
