"""Steps, and what the clients give, are checked by type checkers: what is wrong is found, and nothing else."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CHECKED = [HERE / "authoring.py", HERE / "client.py"]
# File and line of each that ends so.
WRONG = [
    (path.name, number)
    for path in CHECKED
    for number, line in enumerate(path.read_text().splitlines(), 1)
    if line.endswith("# error")
]


@pytest.mark.timeout(120)
def test_mypy_refuses_what_is_wrong_and_nothing_else() -> None:
    """Strict mypy finds an error in each line marked so, and in no other."""
    options = ["--strict", "--output=json", "--cache-dir=/dev/null", "--config-file="]
    command = [sys.executable, "-m", "mypy", *options, *map(str, CHECKED)]
    report = subprocess.run(command, capture_output=True, text=True, check=False)
    found = [json.loads(line) for line in report.stdout.splitlines() if line.startswith("{")]
    errors = {(Path(entry["file"]).name, entry["line"]) for entry in found if entry["severity"] == "error"}

    assert sorted(errors) == WRONG, report.stdout


@pytest.mark.timeout(120)
def test_pyright_refuses_what_is_wrong_and_nothing_else(tmp_path: Path) -> None:
    """So does pyright's checker."""
    config = tmp_path / "pyrightconfig.json"
    config.write_text(json.dumps({"typeCheckingMode": "standard", "include": [*map(str, CHECKED)]}))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(config)]
    report = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads(report.stdout)["generalDiagnostics"]
    errors = {
        (Path(entry["file"]).name, entry["range"]["start"]["line"] + 1)
        for entry in found
        if entry["severity"] == "error"
    }

    assert sorted(errors) == WRONG, found


def test_mistakes_are_among_what_is_checked() -> None:
    """The files have lines that are wrong; without them the tests above would prove nothing."""
    assert [sum(name == path.name for name, _ in WRONG) for path in CHECKED] == [15, 11]
