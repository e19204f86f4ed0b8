"""What README.md shows works as it is shown, against a real server."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.server import DevServer
from tests.docs.snippets import ROOT, shown, text_of

README = text_of("README.md")
SHOWN_URL = "http://127.0.0.1:8787"


def _block(language: str, part: str) -> str:
    """Return the only block of a language that has this in it."""
    (found,) = [text for text in shown("README.md", language) if part in text]
    return found


def _sh(command: str, server: DevServer) -> Any:
    """Run a command as it is shown, but for the address, and return the JSON that it prints."""
    told = command.replace(SHOWN_URL, server.url)
    done = subprocess.run(["sh", "-c", told], capture_output=True, text=True, timeout=30, check=True)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    """A server of hello.py, as the README has it."""
    folder = tmp_path_factory.mktemp("hello")
    (folder / "hello.py").write_text(_block("python", "# hello.py"))
    with DevServer(folder, "hello.py") as started:
        yield started


def test_first_workflow_has_at_most_eight_lines_of_code() -> None:
    """A workflow is short: no more than eight lines that are neither empty nor a comment."""
    lines = [line for line in _block("python", "# hello.py").splitlines() if line.strip()]

    assert len([line for line in lines if not line.lstrip().startswith("#")]) <= 8


def test_shown_commands_create_an_instance_and_get_it(server: DevServer, require: Callable[..., None]) -> None:
    """The two curl commands work as they are shown, and answer in Cloudflare's envelope."""
    require("curl", "the README's own commands")

    created = _sh(_block("sh", "curl -d"), server)
    server.wait_for_status("hello", "first", "complete")
    got = _sh(_block("sh", "instances/first"), server)

    assert (created["success"], created["result"]["id"]) == (True, "first")
    assert got["success"] is True
    assert (got["result"]["output"], [step["name"] for step in got["result"]["steps"]]) == ("Hello, Ann!", ["greet-1"])


def test_shown_program_reads_the_instance_with_cloudflares_sdk(server: DevServer, tmp_path: Path) -> None:
    """The SDK's program prints status, output and steps of the instance; only its address is changed."""
    server.create("hello", "by-sdk", {"name": "Ann"})
    server.wait_for_status("hello", "by-sdk", "complete")
    program = tmp_path / "program.py"
    program.write_text(
        _block("python", "from cloudflare").replace(SHOWN_URL, server.url).replace('"first"', '"by-sdk"')
    )

    done = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, timeout=30, check=False, cwd=tmp_path
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("complete Hello, Ann! [")
    assert "name='greet-1'" in done.stdout


def test_shown_workflow_greets_the_world_without_a_name(server: DevServer) -> None:
    """Params may be left out."""
    server.create("hello", "nobody")

    done = server.wait_for_status("hello", "nobody", "complete")

    assert done["output"] == "Hello, world!"


def test_shown_make_targets_exist() -> None:
    """Whoever types a `make` command of the README finds its target."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    shown = set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE))

    assert shown
    assert shown <= targets
