"""Names, arguments and results of steps are checked by type checkers, those that are wrong and no others."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

AUTHORING = Path(__file__).with_name("authoring.py")
WRONG = [n for n, line in enumerate(AUTHORING.read_text().splitlines(), 1) if line.endswith("# error")]


@pytest.mark.timeout(120)
def test_mypy_refuses_what_is_wrong_and_nothing_else() -> None:
    """Strict mypy finds an error in each line marked so, and in no other."""
    options = ["--strict", "--output=json", "--cache-dir=/dev/null", "--config-file="]
    command = [sys.executable, "-m", "mypy", *options, str(AUTHORING)]
    report = subprocess.run(command, capture_output=True, text=True, check=False)
    found = [json.loads(line) for line in report.stdout.splitlines() if line.startswith("{")]

    assert sorted({entry["line"] for entry in found if entry["severity"] == "error"}) == WRONG, report.stdout


@pytest.mark.timeout(120)
def test_pyright_refuses_what_is_wrong_and_nothing_else(tmp_path: Path) -> None:
    """So does pyright's checker."""
    config = tmp_path / "pyrightconfig.json"
    config.write_text(json.dumps({"typeCheckingMode": "standard", "include": [str(AUTHORING)]}))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(config)]
    report = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads(report.stdout)["generalDiagnostics"]
    errors = {entry["range"]["start"]["line"] + 1 for entry in found if entry["severity"] == "error"}

    assert sorted(errors) == WRONG, found


def test_mistakes_are_among_what_is_checked() -> None:
    """The file has lines that are wrong; without them the tests above would prove nothing."""
    assert len(WRONG) == 13
