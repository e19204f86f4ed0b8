"""Rounds: what drivers print becomes what was found, and nothing of a driver is left."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from bench import rounds
from bench.__main__ import in_turn, measure_all
from bench.engines import ROOT, Engine
from bench.rounds import Found, Run, measure

TINY = 0.001


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where drivers get their folders."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def _engine(variant: str) -> Engine:
    return Engine("restate", "Restate", "tests.bench.scripted", variant)


def _found(variant: str, *works: str) -> tuple[Run, list[Found]]:
    run = Run({})
    return run, list(measure(run, _engine(variant), 2, works, TINY))


def test_answers_become_what_was_found(folder: Path) -> None:
    """With the round, the engine and its versions; the folder is gone afterwards."""
    run, found = _found("works", "W1", "W6")

    assert [(one.round, one.engine, one.work, one.failed) for one in found] == [
        (2, "restate", "W1", ""),
        (2, "restate", "W6", ""),
    ]
    assert found[1].figures["per_s"] == 5.0
    assert run.versions == {"restate": {"instant": "1"}}
    assert list(folder.iterdir()) == []


def test_driver_that_dies_is_told_of_the_works_that_are_left(folder: Path) -> None:
    """What it had found until then counts."""
    _, found = _found("dies", "W1", "W2", "W3")

    assert found[0].figures == {"per_s": 7.0}
    assert [one.failed for one in found[1:]] == ["its driver ended with 3"] * 2


def test_driver_that_says_nothing_is_ended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while; the run goes on."""
    monkeypatch.setattr(rounds, "_LIMIT_S", 0.3)

    _, found = _found("is stuck", "W1")

    assert [one.failed for one in found] == ["no answer for 0 s"]


def test_what_a_driver_leaves_is_killed(folder: Path) -> None:
    """Its children belong to its group, also those that hear no request to end."""
    _found("leaves one", "W1")

    assert has_ended(folder / "left")


def test_run_that_is_ended_leaves_nothing(tmp_path: Path) -> None:
    """Neither the driver that it waits for nor its folder."""
    engines = 'Engine("restate", "Restate", "tests.bench.scripted", "is stuck"),'
    code = f"from bench import __main__ as run; from bench.engines import Engine; run.ENGINES = ({engines}); run.main()"
    command = [sys.executable, "-c", code, "--output", str(tmp_path / "results")]
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, "TMPDIR": str(tmp_path)}) as process:
        while not (tmp_path / "stuck").exists():
            time.sleep(0.01)
        process.terminate()

    assert has_ended(tmp_path / "stuck")
    assert [path.name for path in tmp_path.iterdir()] == ["stuck"]


def has_ended(file: Path) -> bool:
    """Tell whether the process whose id is in a file ends at once; who is to wait for it may take its time."""
    state = Path("/proc", file.read_text(), "stat")
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            if state.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False


def test_engines_take_turns() -> None:
    """All of one round come before the next, and the machine has a work of its own."""
    one, machine = _engine("a"), Engine("machine", "the machine", "bench.machine")

    turns = [(number, engine.name, works) for number, engine, works in in_turn([machine, one], 2, ["W1"])]

    assert turns == [
        (1, "machine", ["machine"]),
        (1, "restate", ["W1"]),
        (2, "machine", ["machine"]),
        (2, "restate", ["W1"]),
    ]


def test_engine_that_is_not_installed_is_named(folder: Path) -> None:
    """As not measured, with how to install it; all is written down as far as it has come."""
    absent = Engine("temporal", "Temporal", "tests.bench.scripted", peer="absent")

    run = measure_all([(1, absent, ["W6"]), (1, _engine("works"), ["W6"])], TINY, folder / "results")

    assert run.missing == {"temporal": "not installed: python -m bench.peers.install absent"}
    assert [one.engine for one in run.found] == ["restate"]
    assert {path.name for path in (folder / "results").iterdir()} == {"latest.json", "latest.md", "latest.svg"}
