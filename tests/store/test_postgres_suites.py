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
# What goes through most of the operations that are fenced, or come from outside.
QUICK = ["tests/engine/test_turns.py", "tests/engine/test_control.py"]


def _run(*arguments: str) -> str:
    """Run tests with a store in PostgreSQL wherever they want one in memory; return the end of what they say."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env=os.environ | {"STEPWELL_TEST_STORE": "postgres"},
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

    assert "passed" in _run(*QUICK)


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_whole_suites_pass_on_postgres(require: Callable[..., None]) -> None:
    """All tests of the engine and the API pass unchanged."""
    require(postgres.REASON, "the engine's and the API's tests on it", HAS_POSTGRES)

    assert "passed" in _run("-n", "auto", "--timeout", "120", "tests/engine", "tests/api")
