"""Keep what commands print as it is now, and nothing of those that are no more."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.cli.tables import FOLDER, file_of, keep
from tests.cli.tables.cases import CASES
from tests.cli.tables.showing import arranged, told_by

with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as monkeypatch:
    arranged(monkeypatch, Path(folder))
    for command in CASES:
        keep(command, told_by(command, monkeypatch))

gone = {*FOLDER.glob("*.txt")} - {file_of(command) for command in CASES}
for file in gone:
    file.unlink()
sys.stdout.write(f"{len(CASES)} kept, {len(gone)} gone\n")
