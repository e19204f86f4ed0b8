"""The engine and the API keep their promises on PostgreSQL: their own tests, with another store."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import postgres

ROOT = Path(__file__).parents[2]
HAS_POSTGRES = postgres.is_there()
SERVED = [f"tests/{name}" for name in ("crash", "cli", "compat", "docs", "examples", "flows")]
# What goes through most of the operations that are fenced, or come from outside.
QUICK = ["tests/engine/test_turns.py", "tests/engine/test_control.py"]


def _run(*arguments: str, **environment: str) -> str:
    """Run tests with a store in PostgreSQL wherever they want one in memory; return the end of what they say."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env=os.environ | {"STEPWELL_TEST_STORE": "postgres"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout[-3_000:]
    assert done.returncode == 0, said
    return said


def test_quick_suites_pass_on_postgres(require: Callable[..., None]) -> None:
    """Turns and what is done to instances are the same, whichever database has them."""
    require(postgres.REASON, "the engine's tests on it", HAS_POSTGRES)

    # In databases of their own, on the server that there is.
    assert "passed" in _run(*QUICK, **{postgres.URL_VARIABLE: postgres.server_url()})


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_whole_suites_pass_on_postgres(require: Callable[..., None]) -> None:
    """All tests of the engine and the API pass unchanged."""
    require(postgres.REASON, "the engine's and the API's tests on it", HAS_POSTGRES)

    assert "passed" in _run("-n", "auto", "--timeout", "120", "tests/engine", "tests/api")


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_life_cycle_suites_pass_on_postgres(require: Callable[..., None]) -> None:
    """Servers that are killed, stopped and started again, and all that asks one, are the same on a database."""
    require(postgres.REASON, "servers on it", HAS_POSTGRES)

    # Those of fleets are on a database in any case.
    assert "passed" in _run("-n", "auto", "--timeout", "180", *SERVED, "-k", "not fleet")


@pytest.mark.long
def test_quick_suites_pass_on_the_system_s_server(require: Callable[..., None]) -> None:
    """The oldest PostgreSQL that is supported does as well as the newest: Debian 12 has 15."""
    programs = postgres.of_the_system(postgres.DEBIAN)
    require("a system's PostgreSQL", "the engine's tests on it", programs is not None)

    assert "passed" in _run(
        *QUICK, "tests/store/test_postgres_opening.py", **{postgres.PROGRAMS_VARIABLE: str(programs)}
    )


def test_newest_server_of_debian_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the wheel tests take the server that Debian has installed, which is not on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for version in ("9.6", "15", "9", "17"):
        (tmp_path / version / "bin").mkdir(parents=True)
        (tmp_path / version / "bin" / "initdb").touch()
    (tmp_path / "18" / "lib").mkdir(parents=True)

    assert postgres.of_the_system(tmp_path) == tmp_path / "17" / "bin"
    assert postgres.of_the_system(tmp_path / "none") is None
