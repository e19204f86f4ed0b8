"""`stepwell init`: what it makes runs."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import ask, run
from tests.crash.server import DEADLINE_S, DevServer

FILES = [".gitignore", "README.md", "flows.py", "stepwell.toml", "test_flows.py"]


def test_project_is_served_checked_and_tested(tmp_path: Path) -> None:
    """`stepwell dev` serves it, `stepwell check` finds nothing, its own test passes, its settings are good."""
    folder = tmp_path / "new" / "project"
    made = run("init", str(folder))

    checked, drawn, told = run("check", str(folder)), run("graph", str(folder)), run("settings", str(folder))
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    with DevServer(folder, ".") as server:
        played = ask(server, "trigger", "greeting", '{"name": "Ann"}', "--wait")

    assert (made.exit_code, made.stdout.splitlines()) == (0, [f"{folder}/{name}" for name in FILES])
    assert made.stderr.splitlines() == [
        f"serve it:  cd {folder} && stepwell dev",
        """run it:    stepwell trigger greeting '{"name": "Ann"}' --wait""",
        f"test it:   cd {folder} && pytest",
    ]
    assert (checked.exit_code, checked.stderr) == (0, "2 files: nothing found\n")
    assert drawn.stdout.splitlines() == [
        "Greeting  payload {name}",
        "\u251c\u2500 compose  3 retries, after 1 second, then doubled",
        "\u251c\u2500 sleep on it  sleeps 3 seconds",
        "\u2514\u2500 send",
    ]
    assert told.exit_code == 0
    assert tested.returncode == 0, tested.stdout
    assert "2 passed" in tested.stdout
    assert (played.exit_code, played.stdout.splitlines()[-1]) == (0, 'output\t{"said":"Hello, Ann!"}')


def test_empty_folder_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current one if none is named; what is there of Git, or as an environment, is no hindrance."""
    monkeypatch.chdir(tmp_path)
    for name in (".git", ".venv"):
        (tmp_path / name).mkdir()

    made = run("init")

    assert (made.exit_code, made.stdout.split()) == (0, FILES)
    assert made.stderr.splitlines()[0] == "serve it:  stepwell dev"


def test_folder_that_has_something_is_refused(tmp_path: Path) -> None:
    """Exit code 5; nothing is made or changed."""
    for name in ("a", "b", "c\x1b[2J", "d"):
        (tmp_path / name).write_text("mine")

    refused, no_folder = run("init", str(tmp_path)), run("init", str(tmp_path / "a"))

    hint = "hint: give a FOLDER that is new, or empty\n"
    assert (refused.exit_code, refused.stdout) == (5, "")
    assert refused.stderr == f"error: {tmp_path} has something in it already: a, b, c\ufffd, ...\n{hint}"
    assert (no_folder.exit_code, no_folder.stderr) == (5, f"error: {tmp_path}/a is no folder\n{hint}")
    assert sorted(beneath.name[0] for beneath in tmp_path.iterdir()) == ["a", "b", "c", "d"]


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """With what the system says."""
    (tmp_path / "file").write_text("")

    refused = run("init", str(tmp_path / "file" / "below"))

    assert refused.exit_code == 1
    assert refused.stderr.startswith(f"error: {tmp_path}/file/below cannot be made: Not a directory\nhint: FOLDER is")
