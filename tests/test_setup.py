"""`make` finds a Python that fits, or says in one sentence what to do."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

FIND_PYTHON = Path(__file__).parent.parent / "tools" / "find-python"


def _find_python(folder: Path, answers: dict[str, str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the search with nothing on PATH but a shell and pythons that give these answers to its question."""
    for name, answer in answers.items():
        fake = folder / name
        fake.write_text(f"#!/bin/sh\nprintf '{answer}'\n")
        fake.chmod(0o755)
    shell = shutil.which("sh") or "/bin/sh"
    return subprocess.run(
        [shell, FIND_PYTHON],
        env={"PATH": str(folder)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_default_python_is_taken_when_it_fits(tmp_path: Path) -> None:
    """The python3 on PATH is used when it is new enough and has venv."""
    found = _find_python(tmp_path, {"python3": "3.11.7\nfits\n", "python3.13": "3.13.0\nfits\n"})

    assert (found.returncode, found.stdout) == (0, f"{tmp_path}/python3\n")


@pytest.mark.parametrize("default", [pytest.param("3.9.2\nis too old\n", id="old"), pytest.param("", id="mute")])
def test_newer_python_is_taken_when_the_default_is_too_old(tmp_path: Path, default: str) -> None:
    """Where python3 is too old, a newer python3.1x on PATH is used without a word."""
    found = _find_python(tmp_path, {"python3": default, "python3.12": "3.12.1\nfits\n"})

    assert (found.returncode, found.stdout, found.stderr) == (0, f"{tmp_path}/python3.12\n", "")


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        pytest.param({"python3": "3.9.2\nis too old\n"}, "found 3.9.2 at {0}/python3:", id="old"),
        pytest.param({"python3": "3.11.2\nhas no venv\n"}, "found 3.11.2 at {0}/python3 without venv:", id="no-venv"),
        pytest.param({}, "found none:", id="none"),
    ],
)
def test_unfit_python_gets_one_sentence(tmp_path: Path, answers: dict[str, str], found: str) -> None:
    """A Python that is too old or lacks venv gets one sentence that names it and says what to do."""
    refusal = _find_python(tmp_path, answers)

    assert (refusal.returncode, refusal.stdout) == (1, "")
    assert refusal.stderr == (
        f"Stepwell needs Python 3.11 or later with venv, {found.format(tmp_path)} install it (Debian: "
        "apt-get install python3-venv) or name one, as in 'make run PYTHON=/path/to/python3.11'.\n"
    )


def test_named_python_stops_the_search(tmp_path: Path) -> None:
    """PYTHON names the one to use; one that does not fit is refused even if another would."""
    answers = {"python3": "3.11.7\nfits\n", "old": "3.8.1\nis too old\n"}

    refusal = _find_python(tmp_path, answers, PYTHON=str(tmp_path / "old"))

    assert refusal.returncode == 1
    assert f"found 3.8.1 at {tmp_path}/old:" in refusal.stderr


def test_commands_are_listed_by_plain_make(require, tmp_path: Path) -> None:
    """`make` alone lists the targets and sets nothing up."""
    require("make", "the Makefile's own list of targets")
    shutil.copy(FIND_PYTHON.parent.parent / "Makefile", tmp_path)

    # Without the environment: `make test` hands its own flags on.
    listing = subprocess.run(
        ["make"], cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True
    )

    assert [line.split()[1] for line in listing.stdout.splitlines()] == [
        "help",
        "run",
        "test",
        "check",
        "fix",
        "vendor",
        "reference",
        "docs",
        "test-long",
        "screenshots",
        "histories",
        "coverage",
        "bench",
        "soak",
        "steady",
        "wheel",
        "audit",
        "sbom",
        "clean",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["Makefile"]
