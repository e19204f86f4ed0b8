"""A server to ask, and nothing of the tester's own settings."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.commands import SOURCE
from tests.crash.server import DevServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    """A server with workflows."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "flows.py").write_text(SOURCE)
    with DevServer(folder) as server:
        yield server


@pytest.fixture(autouse=True)
def _no_settings_of_the_tester(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Leave out what the tester has in his environment and in his profiles."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in (
        "STEPWELL_URL",
        "STEPWELL_TOKEN",
        "STEPWELL_ACCOUNT",
        "STEPWELL_PROFILE",
        "STEPWELL_STORE",
        "NO_COLOR",
        "FORCE_COLOR",
    ):
        monkeypatch.delenv(name, raising=False)
