"""Whatever a server answers, in every text of it: no command prints in any form what a terminal would obey."""

import re
from pathlib import Path
from typing import Any

import click
import pytest

from stepwell.cli import main
from stepwell.cli.terminal import clean
from tests.cli.scripted import Answer, scripted
from tests.cli.tables.cases import CASES, HOSTILE
from tests.cli.tables.showing import arranged, run_line

# Beside what the cases have: a formula, markup, the title of a terminal, C1, separators of lines, a half of a pair.
WORSE = f"{HOSTILE}=cmd|' /C x'!A0<script>alert(1)</script>\x1b]0;x\x07\x9b31m\x85\u2028\u2066\ud800"
# What is printed of an answer is nothing, or of a refusal: that the server does not tell its version.
ANSWER_UNTOLD = frozenset(("instances delete", "instances send-event"))
REFUSAL_UNTOLD = frozenset(("version",))


def _worse(value: Any) -> Any:
    """Return an answer with more behind each of its texts; but for moments, which a command could not show then."""
    match value:
        case str():
            return value if re.match(r"\d{4}-\d\d-\d\dT", value) else f"{value}{WORSE}"
        case list():
            return [_worse(part) for part in value]
        case dict():
            return {name: _worse(part) for name, part in value.items()}
        case _:
            return value


def _worse_result(content: Any) -> Any:
    return {**content, "result": _worse(content["result"])}


def _command_of(words: str) -> click.Command:
    found: click.Command = main
    for word in words.split():
        found = found.commands[word]  # type: ignore[attr-defined]  # all but the last are groups
    return found


def _forms_of(command: str) -> list[str]:
    """Return the forms in which a command prints, as its own option says."""
    kinds = [param.type for param in _command_of(command).params if "-o" in param.opts]
    return [str(form) for kind in kinds if isinstance(kind, click.Choice) for form in kind.choices]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all of them begin in."""
    return tmp_path_factory.mktemp("home")


def _told(
    command: str, answers: list[Answer], options: list[str], columns: int | None, patch: pytest.MonkeyPatch
) -> str:
    with scripted(answers) as server:
        where = ["--url", server.url] if answers else []
        return run_line((*command.split(), *CASES[command].more, *options, *where), columns, patch)


def _look(told: str) -> None:
    for line in told.split("\n"):
        assert line.replace("\t", "") == clean(line.replace("\t", ""))
    assert "Traceback" not in told


@pytest.mark.parametrize("command", CASES)
def test_no_form_of_a_command_moves_a_terminal(home: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """In a pipe, with text of others in every place: whatever the form, and whether the command makes sense of it."""
    arranged(monkeypatch, home)
    answers = [Answer(_worse_result(one.content)) for one in CASES[command].answers]

    told = [
        _told(command, answers, ["-o", form] if form else [], None, monkeypatch) for form in _forms_of(command) or [""]
    ]

    for one in told:
        _look(one)
    assert not answers or any("alert(1)" in one for one in told) or command in ANSWER_UNTOLD


@pytest.mark.parametrize("command", [command for command, case in CASES.items() if case.answers])
def test_no_refusal_moves_a_terminal(home: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """What a server says no with is shown as text, on a terminal too."""
    arranged(monkeypatch, home)
    refusal = Answer.refusal(400, 10002, WORSE)

    told = _told(command, [refusal] * 4, [], 80, monkeypatch)

    _look(told)
    assert ("alert(1)" in told) == (command not in REFUSAL_UNTOLD)


@pytest.mark.long
@pytest.mark.parametrize("option", ["", "--ascii"])
@pytest.mark.parametrize("command", CASES)
def test_no_form_of_a_command_moves_a_terminal_that_it_writes_to(
    home: Path, monkeypatch: pytest.MonkeyPatch, command: str, option: str
) -> None:
    """The same on a terminal, and in ASCII."""
    arranged(monkeypatch, home)
    answers = [Answer(_worse_result(one.content)) for one in CASES[command].answers]
    for form in _forms_of(command):
        told = _told(command, answers, ["-o", form, *([option] if option else [])], 80, monkeypatch)

        _look(told)
        assert not option or told.isascii()
