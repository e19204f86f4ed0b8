"""What Stepwell is made of, and what its repository is not to have."""

import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# Of Linux, Windows, macOS (both orders, and for two processors), WebAssembly, and archives.
PROGRAMS = (
    *(b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"\xfe\xed\xfa\xcf", b"\xca\xfe\xba\xbe", b"\0asm"),
    *(b"PK\x03\x04", b"\x1f\x8b", b"!<arch>\n"),
)
FOLDERS = ("src", "tests", "docs", "examples", "bench", "tools", ".ci")


def is_program(content: bytes) -> bool:
    """Tell whether a file is something that runs and cannot be read, or an archive that may hold such."""
    return content.startswith(PROGRAMS)


def test_no_program_lies_here() -> None:
    """All that runs is there as its source, which people can read before they run it."""
    files = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*") if file.is_file()]
    ours = [file for file in files if "__pycache__" not in file.parts and "node_modules" not in file.parts]

    assert len(ours) > 500
    assert [str(file.relative_to(ROOT)) for file in ours if is_program(file.read_bytes())] == []


@pytest.mark.parametrize("begins", PROGRAMS)
def test_program_would_be_noticed(begins: bytes) -> None:
    """And a picture is none."""
    assert is_program(begins + b"\x02\x01")
    assert not is_program(b"\x89PNG\r\n")


def test_every_dependency_is_pinned() -> None:
    """Each that is named has one version with which everything was tested, and so has whatever these need."""
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"]
    pinned = {_plain(line.partition("==")[0]) for line in lines}
    extras = PROJECT["project"]["optional-dependencies"].values()
    named = {_plain(found) for part in (PROJECT["project"]["dependencies"], *extras) for found in part}

    assert [line for line in lines if re.fullmatch(r"[\w.-]+==[\w.]+( ;.*)?", line) is None] == []
    assert named - pinned == set()


def test_packages_of_node_are_held_to_their_hashes() -> None:
    """Whatever a registry sends."""
    locked = json.loads((ROOT / "tests/compat/node/package-lock.json").read_text())["packages"]

    assert [name for name, package in locked.items() if name and "integrity" not in package] == []


def test_no_workflow_runs_elsewhere() -> None:
    """What a hoster would run of itself, with rights of its own, is read by nobody who looks for what is run here."""
    assert [name for name in (".github", ".gitlab-ci.yml", ".circleci", ".travis.yml") if (ROOT / name).exists()] == []


def test_rules_of_security_are_on() -> None:
    """`make check` looks for what they find, and only these two are off everywhere."""
    lint = PROJECT["tool"]["ruff"]["lint"]

    assert "S" in lint["select"]
    assert [rule for rule in lint["ignore"] if re.fullmatch(r"S\d+", rule)] == ["S101", "S608"]


def _plain(requirement: str) -> str:
    """Return the name of what is required, as package indexes compare names."""
    found = re.match(r"[\w.-]+", requirement)
    assert found is not None
    return re.sub(r"[-_.]+", "-", found[0]).lower()
