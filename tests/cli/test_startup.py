"""What a command does not wait for, as it need not be loaded. How long that takes is measured by bench/startup.py."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.scripted import Answer, scripted
from tests.crash.server import DEADLINE_S

# What takes long to load: drawing, other clients, loops, web servers, databases, and the engine itself.
HEAVY = {
    *("rich", "httpx", "httpx2", "asyncio", "uvicorn", "starlette", "apsw", "asyncpg", "watchfiles", "jsonschema"),
    *("stepwell.steps", "stepwell.workflow", "stepwell.engine", "stepwell.store", "stepwell.store.sql"),
}


def loaded_by(*arguments: str) -> set[str]:
    """Return which modules a command loads."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "stepwell", *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )
    return set(re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE))


def test_version_loads_little() -> None:
    """Not even what speaks to a server."""
    loaded = loaded_by("--version")

    assert "click" in loaded
    assert loaded & {*HEAVY, "http.client", "msgspec", "ssl"} == set()


@pytest.mark.parametrize("form", ["table", "json", "ids"])
def test_list_in_a_pipe_loads_little_but_a_client(form: str) -> None:
    """No table is drawn, and no store is opened."""
    with scripted([Answer.result([])]) as server:
        loaded = loaded_by("instances", "list", "order", "-o", form, "--url", server.url)

    assert "http.client" in loaded
    assert loaded & HEAVY == set()


def test_public_names_are_loaded_when_they_are_asked_for(tmp_path: Path) -> None:
    """All of them are there, `dir` knows them, and another name is none."""
    code = (
        "import stepwell, sys\n"
        "assert 'stepwell.steps' not in sys.modules\n"
        "assert {*stepwell.__all__} <= {*dir(stepwell)}\n"
        "from stepwell import *\n"
        "assert step is stepwell.step and WorkflowEntrypoint.__module__ == 'stepwell.workflow'\n"
        "assert not hasattr(stepwell, 'other')\n"
    )

    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=DEADLINE_S)
