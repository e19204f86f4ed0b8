"""What commands print: each form, colours, and nothing that a terminal would obey."""

import json
import re
import time
import urllib.request
from io import StringIO
from pathlib import Path

import pytest
import yaml
from rich.cells import cell_len

from stepwell.cli import terminal
from stepwell.cli.output import Column, Output, indented
from stepwell.cli.tables import lines_of
from stepwell.cli.terminal import clean, clean_json, color_of, has_color, painted
from stepwell.client import Result
from stepwell.models import STATUSES
from tests.cli.commands import ask, run
from tests.crash.server import DevServer

SGR = re.compile(r"\x1b\[([\d;]*)m")


def raw(server: DevServer, path: str) -> str:
    """Return an answer of the API as it was sent."""
    url = f"{server.url}/client/v4/accounts/local{path}"
    with urllib.request.urlopen(url) as answer:
        return str(answer.read().decode())


# ---- forms


def test_json_is_what_the_api_answers(server: DevServer) -> None:
    """Character by character, with digits that no float has, and with nothing else on standard output."""
    server.call("/order/instances", {"instance_id": "exact", "params": '{"n": 1.10, "e": 1E3, "s": "\\u009b"}'})
    server.wait_for_status("order", "exact", "complete")

    described = ask(server, "instances", "describe", "order", "exact", "-o", "json")
    listed = ask(server, "instances", "list", "order", "-o", "json")

    assert '"n": 1.10, "e": 1E3' in described.stdout
    assert f'"result":{described.stdout.strip()},' in clean_json(raw(server, "/workflows/order/instances/exact"))
    assert f'"result":{listed.stdout.strip()},' in raw(server, "/stepwell/workflows/order/instances")
    assert described.stderr + listed.stderr == ""


@pytest.mark.parametrize(
    ("command", "is_list"),
    [
        pytest.param("trigger order", False, id="trigger"),
        pytest.param("trigger order --wait", False, id="trigger --wait"),
        pytest.param("instances list order --limit 2", True, id="list"),
        pytest.param("instances describe order one", False, id="describe"),
        pytest.param("instances send-event order one --type later", False, id="send-event"),
        pytest.param("instances resume order one", True, id="control"),
        pytest.param("instances terminate-all idle --yes", False, id="terminate-all"),
        pytest.param("instances logs order one", True, id="logs"),
        pytest.param("instances step order one charge-1", False, id="step"),
        pytest.param("profile list", True, id="profiles"),
        pytest.param("settings .", True, id="settings"),
        pytest.param("token list", True, id="tokens"),
    ],
)
def test_every_command_that_shows_something_has_every_form(
    server: DevServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str, is_list: bool
) -> None:
    """Text with tabs, JSON, JSON by the line, ids, and YAML: of the same things, and in a pipe without colours."""
    monkeypatch.setenv("STEPWELL_URL", server.url)
    monkeypatch.setenv("STEPWELL_STORE", f"sqlite:///{tmp_path / 'store.db'}")
    run("profile", "set", "home")
    run("token", "create")
    run("trigger", "order", '{"waits": true}', "--id", "one")
    server.wait_for_status("order", "one", "waiting")

    results = {form: run(*command.split(), "-o", form) for form in ("table", "wide", "json", "ndjson", "ids", "yaml")}

    assert {form: result.exit_code for form, result in results.items()} == dict.fromkeys(results, 0)
    table, wide, whole, by_line, ids, _ = ([*result.stdout.splitlines()] for result in results.values())
    assert len(whole) == 1
    decoded = json.loads(whole[0])
    assert isinstance(decoded, list) is is_list
    assert isinstance(yaml.safe_load(results["yaml"].stdout), list) is is_list
    assert len(ids) == len(by_line) == (len(decoded) if is_list else 1)
    assert [type(json.loads(line)) for line in by_line] == [dict] * len(by_line)
    assert all(id and "\t" not in id for id in ids)
    assert 1 <= table[0].count("\t") <= wide[0].count("\t")
    assert "\x1b" not in "".join(result.output for result in results.values())


def test_empty_list_is_told_beside_the_output(server: DevServer) -> None:
    """Standard output has nothing, or an empty list; people are told on standard error."""
    table, whole = (ask(server, "instances", "list", "idle", "-o", form) for form in ("table", "json"))

    assert (table.stdout, table.stderr) == ("", "no instance\n")
    assert (whole.stdout, whole.stderr) == ("[]\n", "")


def test_half_of_a_surrogate_pair_that_is_no_escape_is_no_traceback() -> None:
    """Commands that put answers together write texts as they are."""
    assert indented('{"id": "\ud800"}') == '{"id": "\\ud800"}'


def test_half_of_a_surrogate_pair_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON may have one in a text; it is shown as JSON has it, and marked in text."""
    text = '{\n"id": "\\ud800"}'
    item = Result(json.loads(text), text)

    for form in ("json", "ndjson", "table"):
        Output(form).show_one(item, (Column("id", lambda found: found["id"]),), "x")

    assert capsys.readouterr().out == '{\n"id": "\\ud800"}\n{ "id": "\\ud800"}\n\N{REPLACEMENT CHARACTER}\n'


def test_pipe_gets_each_item_as_soon_as_it_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    """A long list need not be whole before its first line is printed."""

    def endless():
        yield {"id": "first"}
        assert capsys.readouterr().out == "first\n"
        yield {"id": "second"}

    count = Output("ids").show_all(endless(), ())

    assert (count, capsys.readouterr().out) == (2, "second\n")


# ---- what a terminal would obey


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("a\x1b[31mb", "a\ufffdb", id="colour"),
        pytest.param("a\x1b[2Jb\x1b[1;1Hc", "a\ufffdb\ufffdc", id="clear and move"),
        pytest.param("a\x9b31mb", "a\ufffdb", id="C1 CSI"),
        pytest.param("a\x1b]0;title\x07b", "a\ufffdb", id="title"),
        pytest.param("a\x1b]8;;http://x\x1b\\b", "a\ufffdb", id="link"),
        pytest.param("a\x1bPq#0\x1b\\b", "a\ufffdb", id="DCS"),
        pytest.param("a\x9d52;c;eA==\x9cb", "a\ufffdb", id="clipboard by C1"),
        pytest.param("a\x1b]0;no end", "a\ufffd0;no end", id="without an end"),
        pytest.param("a\x1bcb", "a\ufffdb", id="reset"),
        pytest.param("a\tb\nc\rd\x00", "a\ufffdb\ufffdc\ufffdd\ufffd", id="C0"),
        pytest.param("a\x85b\x9fc\x7f", "a\ufffdb\ufffdc\ufffd", id="C1 and DEL"),
        pytest.param("a\u202eb\u2066c\u200fd\u061ce", "a\ufffdb\ufffdc\ufffdd\ufffde", id="direction"),
        pytest.param("a\u2028b\ud800c", "a\ufffdb\ufffdc", id="separator and surrogate"),
        pytest.param("\N{ROCKET} \u00fc \u65e5\u672c", "\N{ROCKET} \u00fc \u65e5\u672c", id="nothing of that"),
    ],
)
def test_terminal_does_not_obey_what_a_server_sends(text: str, shown: str) -> None:
    """A whole sequence, a control, a mark that turns the direction of writing: each leaves one mark."""
    assert clean(text) == shown


def test_cleaning_takes_no_longer_for_hostile_texts() -> None:
    """Beginnings without ends are not looked through again and again."""
    start = time.monotonic()

    for text in ("\x1b]" * 200_000, "\x9d" * 400_000, "\x1b[" + "0" * 400_000, "\x1b]" + "a" * 400_000):
        clean(text)

    assert time.monotonic() - start < 5


def test_json_means_the_same_without_what_a_terminal_would_obey() -> None:
    """What JSON need not escape is escaped."""
    text = '{"a": "\x9b31m\u202e\x7f \u00fc", "b": [1.10]}'

    safe = clean_json(text)

    assert safe == '{"a": "\\u009b31m\\u202e\\u007f \u00fc", "b": [1.10]}'
    assert json.loads(safe) == json.loads(text)


# ---- colours


class Terminal(StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("choice", "environment", "terminal", "pipe"),
    [
        pytest.param("auto", {}, True, False, id="auto"),
        pytest.param("auto", {"NO_COLOR": "1"}, False, False, id="NO_COLOR"),
        pytest.param("auto", {"NO_COLOR": ""}, True, False, id="empty NO_COLOR"),
        pytest.param("auto", {"FORCE_COLOR": "1"}, True, True, id="FORCE_COLOR"),
        pytest.param("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False, id="both"),
        pytest.param("auto", {"TERM": "dumb"}, False, False, id="dumb terminal"),
        pytest.param("always", {"NO_COLOR": "1"}, True, True, id="always"),
        pytest.param("never", {"FORCE_COLOR": "1"}, False, False, id="never"),
    ],
)
def test_colours_go_by_option_then_environment_then_terminal(
    monkeypatch: pytest.MonkeyPatch, choice: str, environment: dict[str, str], terminal: bool, pipe: bool
) -> None:
    """The option wins; NO_COLOR stands before FORCE_COLOR; else a terminal has colours and a pipe has none."""
    for name, value in {"TERM": "xterm", **environment}.items():
        monkeypatch.setenv(name, value)

    assert (has_color(choice, Terminal()), has_color(choice, StringIO())) == (terminal, pipe)


def test_status_is_coloured_in_a_pipe_if_that_is_wanted(server: DevServer) -> None:
    """`--color always` changes nothing but the colours."""
    ask(server, "trigger", "order", "--id", "green")
    server.wait_for_status("order", "green", "complete")
    command = ("instances", "list", "order", "--status", "complete", "--limit", "1")

    plain, colored = (ask(server, *command, "--color", choice).stdout for choice in ("never", "always"))

    assert "\t\x1b[32mcomplete\x1b[0m\t" in colored
    assert SGR.sub("", colored).split("\t")[:2] == plain.split("\t")[:2]


def test_every_status_has_a_colour() -> None:
    """Of all that an instance can have."""
    assert [status for status in STATUSES if color_of(status) is None] == []


def test_colours_are_those_of_the_terminals_theme() -> None:
    """No colour is asked for by number or by its parts."""
    columns = (Column("status", str, is_status=True),)
    statuses = ["queued", "running", "waiting", "paused", "complete", "errored", "terminated", "odd"]

    codes = SGR.findall("".join(lines_of(columns, statuses, 80, is_colored=True)))
    codes += SGR.findall("".join(painted(status, is_colored=True) for status in statuses))

    assert set(codes) <= {"0", "2", *(str(code) for code in [*range(30, 38), *range(90, 98)])}
    assert {"31", "32", "33", "34"} <= set(codes)


# ---- tables

ITEMS = [{"id": "order-1", "note": "a b"}, {"id": "\u65e5\u672c" * 10, "note": "one two three four five six seven"}]
COLUMNS = (
    Column("id", lambda item: item["id"]),
    Column("first", lambda _: "12345678", rank=2),
    Column("second", lambda _: "12345678", rank=1),
    Column("note", lambda item: item["note"], rank=3, is_prose=True),
)


def test_cells_of_a_table_are_stripped_of_what_a_terminal_would_obey() -> None:
    """A cell cannot leave its line, or its colour."""
    (_, line) = lines_of((Column("id", str),), ["a\x1b[2J\n\u202eb"], 80, is_colored=True)

    assert line == "a\ufffd\ufffd\ufffdb"


@pytest.mark.parametrize(
    ("width", "heads"),
    [
        pytest.param(100, "ID FIRST SECOND NOTE", id="room for all"),
        pytest.param(86, "ID FIRST SECOND NOTE", id="prose is broken"),
        pytest.param(85, "ID FIRST SECOND", id="one goes"),
        pytest.param(59, "ID SECOND", id="two go"),
        pytest.param(20, "ID", id="narrower than what stays"),
    ],
)
def test_columns_go_by_rank_where_there_is_no_room(width: int, heads: str) -> None:
    """Those of the highest rank first; what stays is never cut, however narrow it is, and wide characters count."""
    head, *lines = lines_of(COLUMNS, ITEMS, width, is_colored=False)

    assert " ".join(head.split()) == heads
    assert lines[0].startswith("order-1")
    assert any(line.startswith("\u65e5\u672c" * 10) for line in lines)
    assert ("four" in " ".join(lines)) is (width >= 86)


def test_each_status_has_a_glyph_of_one_cell_and_one_in_ascii() -> None:
    """So that columns stay straight on any terminal; none is one that is drawn as an emoji."""
    glyphs = terminal._GLYPHS

    assert glyphs.keys() == terminal._COLORS.keys()
    assert {cell_len(glyph) for pair in glyphs.values() for glyph in pair} == {1}
    assert all(ascii_glyph.isascii() for _, ascii_glyph in glyphs.values())
    assert terminal.marked("dancing") == "dancing"
