"""The wheel alone is enough: installed into an empty environment, in an empty folder, it serves."""

import os
import re
import signal
import socket
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import httpx
import pytest

from tests.crash.processes import running

ROOT = Path(__file__).parent.parent
CACHE = re.compile(r"(?:^|/)(?:__pycache__|\..*_cache)/")

HELLO = """\
from workers import WorkflowEntrypoint


class Hello(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do("greet")
        async def greet():
            return f"Hello, {event['payload'].get('name', 'world')}"

        return await greet()
"""


@pytest.mark.timeout(240)  # a package index may be slow; usually this takes about 15 s
def test_wheel_serves_from_an_empty_folder(tmp_path: Path) -> None:
    """The wheel brings all that `stepwell dev hello.py` needs, and SIGTERM ends it with exit code 0."""
    command = _install(build_wheel(tmp_path / "dist"), tmp_path / "environment")
    folder = tmp_path / "empty folder"
    folder.mkdir()
    (folder / "hello.py").write_text(HELLO)
    port = free_port()

    serving = [str(command), "dev", "hello.py", "--port", str(port)]
    with running(serving, cwd=folder, env=clean_environment(tmp_path), stderr=subprocess.STDOUT) as server:
        ready = _wait_until_ready(server)
        health = httpx.get(f"http://127.0.0.1:{port}/healthz")
        server.send_signal(signal.SIGTERM)
        rest, _ = server.communicate(timeout=30)

    assert ready == f"Stepwell is ready: http://127.0.0.1:{port}"
    assert health.status_code == 200
    assert (server.returncode, "Traceback" in rest) == (0, False)


def test_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    """Whatever lies beneath src/stepwell is in the wheel: schema, pages and the typing marker too."""
    package = ROOT / "src" / "stepwell"
    expected = {
        f"stepwell/{path.relative_to(package).as_posix()}"
        for path in package.rglob("*")
        if path.is_file() and not CACHE.search(path.relative_to(package).as_posix())
    }

    held = _names_in(build_wheel(tmp_path))

    assert {name for name in held if name.startswith("stepwell/")} == expected


def build_wheel(target: Path) -> Path:
    """Build the wheel of this tree into a folder."""
    options = ["--wheel", "--no-isolation", "--outdir", str(target)]
    subprocess.run([sys.executable, "-m", "build", *options, str(ROOT)], check=True, capture_output=True)
    (wheel,) = target.glob("*.whl")
    return wheel


def _install(wheel: Path, environment: Path) -> Path:
    # With the pip that is here: to install another one there takes longer than all the rest.
    venv.create(environment)
    python = str(environment / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    constraints = ROOT / "constraints.txt"
    subprocess.run(
        [*pip, "install", "-qq", "--no-compile", wheel, "-c", constraints],
        env=clean_environment(environment.parent),
        check=True,
    )
    return environment / "bin" / "stepwell"


def _names_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def clean_environment(home: Path) -> dict[str, str]:
    """Return an environment in which nothing of this checkout helps the wheel."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "STEPWELL", "VIRTUAL_"))
    }
    return kept | {"HOME": str(home)}


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    seen = []
    for line in server.stdout:
        seen.append(line)
        if line.startswith("Stepwell is ready: "):
            return line.rstrip("\n")
    pytest.fail("the server ended before it was ready:\n" + "".join(seen))
