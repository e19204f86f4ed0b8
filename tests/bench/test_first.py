"""The way to a first finished workflow: what is counted of it, and what is timed."""

from pathlib import Path

import pytest

from bench.first import QUICKSTARTS, Effort, effort, spend
from tests.docs.snippets import text_of

PAGE = text_of("docs/comparison.md")


def test_effort_is_what_is_typed() -> None:
    """A file is a file, however many lines it has; a look whether a server is up is no command."""
    script = "cd a\ncat > f.py <<'END'\nserve &\nEND\nserve f.py &\nready 80\ncall f\n"

    assert effort(script) == Effort(commands=3, files=1, services=1)


def test_time_to_install_is_told_apart(tmp_path: Path) -> None:
    """A `pip install` of half a second is told, and no more, and what was left running is ended."""
    made = "printf '#!/bin/sh\\nsleep 0.5\\n' > pip\nchmod +x pip\nPATH=.:$PATH"
    script = f"{made}\npip install stepwell\nsleep 600 &\nsleep 0.5\necho 'Hello, Ann!'"

    spent = spend(script, tmp_path)

    assert 0.5 <= spent.installing_s <= spent.total_s - 0.5


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        pytest.param("false", "did not come to its end", id="a command fails"),
        pytest.param("echo Hello, Bob!", "did not say Hello, Ann!", id="another greeting"),
    ],
)
def test_what_does_not_work_has_no_time(script: str, problem: str, tmp_path: Path) -> None:
    """A figure is of a workflow that has ended with what it should."""
    with pytest.raises(RuntimeError, match=problem):
        spend(script, tmp_path)


@pytest.mark.parametrize("engine", sorted(path.stem for path in QUICKSTARTS.glob("*.sh")))
def test_page_has_what_is_typed(engine: str) -> None:
    """docs/comparison.md counts the commands, files and services of the script that it links to."""
    script = QUICKSTARTS / f"{engine}.sh"
    counted = effort(script.read_text("utf-8"))

    (row,) = [line for line in PAGE.splitlines() if f"bench/quickstarts/{engine}.sh)" in line]

    assert f"| {counted.commands} | {counted.files} | {counted.services} |" in row
