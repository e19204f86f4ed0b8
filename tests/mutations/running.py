"""Runs a test against a copy of the source that was broken on purpose."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.mutations.mutants import SOURCES, Mutant

_MOST_S = 240
# What pytest ends with: tests have failed; else it was ended, could not begin, or there was nothing to run.
_FAILED, _ENDED = 1, 2
_FAILURE = re.compile(r"^FAILED (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: the tests that failed; `output` is the end of what was printed, if none did."""

    code: int
    failed: list[str]
    seconds: float
    output: str

    @property
    def is_caught(self) -> bool:
        """Whether a test failed of it, and not the attempt to run one."""
        return self.code == _FAILED and bool(self.failed)

    @property
    def said(self) -> str:
        """The same in a word."""
        return "caught" if self.is_caught else "NOT caught" if self.code == 0 else "not run"


def outcome_of(mutant: Mutant | None, test: str = "") -> Outcome:
    """Run a mutant's test against it; without a mutant `test` against the source as it is."""
    with tempfile.TemporaryDirectory(prefix="stepwell-mutant-") as folder:
        sources = Path(folder) / "stepwell"
        shutil.copytree(SOURCES, sources, ignore=shutil.ignore_patterns("__pycache__"))
        if mutant is not None:
            mutant.apply(sources)
            test = mutant.caught_by
        # Before the source that is installed; and nothing is kept of what was compiled.
        environ = {**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--tb=no", test]
        began = time.monotonic()
        try:
            done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=_MOST_S, check=False)
        except subprocess.TimeoutExpired:
            return Outcome(_ENDED, [], _MOST_S, f"it took more than {_MOST_S} s")
        seconds = time.monotonic() - began
    failed = _FAILURE.findall(done.stdout)
    return Outcome(done.returncode, failed, seconds, "" if failed else (done.stdout + done.stderr)[-400:])
