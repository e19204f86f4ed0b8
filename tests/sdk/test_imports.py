"""Who loads what."""

import subprocess
import sys

import pytest

import stepwell

# All of the server's side, and the command line.
SERVERS = (
    "stepwell.api, stepwell.embedded, stepwell.cli, stepwell.cli.host, stepwell.supervisor, stepwell.worker_process"
)


def _loaded_by(code: str) -> set[str]:
    """Return the modules that are loaded when a program has run."""
    program = f"{code}\nimport sys\nprint(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    )


def test_nobody_but_the_client_loads_the_http_library() -> None:
    """Authors' code, servers, workers and commands start without it."""
    loaded = _loaded_by(f"import {SERVERS}")

    assert {name for name in loaded if name.partition(".")[0] == "httpx2" or name.startswith("stepwell.sdk")} == set()
    assert "stepwell.worker" in loaded


def test_client_is_there_when_it_is_asked_for() -> None:
    """Both names, and neither the server nor the store comes with them."""
    loaded = _loaded_by("from stepwell import AsyncClient, Client")

    assert "httpx2" in loaded
    assert {"stepwell.engine", "stepwell.api", "apsw", "starlette"} & loaded == set()


def test_other_names_are_still_unknown() -> None:
    """A name that is not there is an AttributeError that says so."""
    with pytest.raises(AttributeError, match="'stepwell' has no attribute 'Clint'"):
        _ = stepwell.Clint  # type: ignore[attr-defined]  # that is what is tested
