"""What each command shows people, whole: on terminals of three widths, and in a pipe. See `tests/cli/tables`."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from stepwell.cli import main
from stepwell.cli.terminal import clean
from tests.cli.tables import FOLDER, file_of, golden
from tests.cli.tables.cases import CASES, ELSEWHERE
from tests.cli.tables.showing import arranged, told_by


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all of them begin in."""
    return tmp_path_factory.mktemp("home")


@pytest.mark.parametrize("command", CASES)
def test_what_is_shown_changes_only_on_purpose(home: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """`python -m tests.cli.tables` keeps what is shown now."""
    arranged(monkeypatch, home)

    told = told_by(command, monkeypatch)

    assert told == golden(command)


def test_nothing_that_was_kept_moves_a_terminal() -> None:
    """Whatever a server sends; a pipe has tabs of ours between what it gets."""
    for file in FOLDER.glob("*.txt"):
        for line in file.read_text(encoding="utf-8").split("\n"):
            assert line.replace("\t", "") == clean(line.replace("\t", ""))


def test_numbers_in_a_pipe_are_digits_alone() -> None:
    """Programs read them; on a terminal those from 1,000 on have separators."""
    for file in FOLDER.glob("*.txt"):
        piped = file.read_text(encoding="utf-8").partition("--- pipe\n")[2]
        assert not re.search(r"(?:^|\t)\d{1,3},\d{3}\b", piped, re.MULTILINE), file.name
    assert "  1,200  " in golden("jobs list")
    assert "\t1200\t3\t0\t10000\t" in golden("jobs list")


def test_no_command_is_forgotten() -> None:
    """Each that shows something has a case, or a test of its own; and no file is left of one that is no more."""

    def showing(command: click.Command, path: tuple[str, ...]) -> Iterator[str]:
        for name, one in getattr(command, "commands", {}).items():
            if not one.hidden:
                yield from showing(one, (*path, name))
        if any("--ascii" in param.opts for param in command.params):
            yield " ".join(path)

    assert {*showing(main, ())} == {*CASES, *ELSEWHERE}
    assert {*FOLDER.glob("*.txt")} == {file_of(command) for command in CASES}
    assert all((Path(__file__).parent / file).exists() for file in ELSEWHERE.values())
