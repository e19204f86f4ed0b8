"""A real `stepwell dev` in a process of its own, and a small client for it.

With STEPWELL_TEST_STORE=postgres it keeps everything in a database.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, Self, TypeVar

import apsw
from click.testing import CliRunner

from stepwell.cli import main
from tests import postgres
from tests.crash import on_postgres

Found = TypeVar("Found")

READY = "Stepwell is ready: "
DEADLINE_S = 30.0
ON_POSTGRES = os.environ.get("STEPWELL_TEST_STORE") == "postgres"


def command_of(*arguments: str) -> list[str]:
    """Return the command line of a command of Stepwell's."""
    if not ON_POSTGRES:
        return [sys.executable, "-m", "stepwell", *arguments]
    return [sys.executable, "-P", on_postgres.__file__, *arguments]


def environment(folder: Path) -> dict[str, str]:
    """Return what such a command finds around it; nothing that changes how Python buffers output or keeps bytecode."""
    unwanted = ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE")
    plain = {name: value for name, value in os.environ.items() if name not in unwanted}
    if not ON_POSTGRES:
        return plain
    return plain | {on_postgres.VARIABLE: _database(), "XDG_CACHE_HOME": str(folder / "cache")}


def layouts(folder: Path) -> list[Path]:
    """Return the folders in which the servers of a folder have laid out the code that they run."""
    laid_out = "cache/stepwell/server-*/store.snapshots" if ON_POSTGRES else "data/*.snapshots"
    return [code for place in folder.glob(laid_out) for code in place.iterdir()]


def store_of(file: Path) -> str:
    """Return the URL of the store that a file is, or would be."""
    url = f"sqlite:///{file}"
    return on_postgres.in_database(url, _database()) if ON_POSTGRES else url


def ask_store(file: Path, sql: str) -> list[tuple[Any, ...]]:
    """Do a statement in the store that a file is, or would be."""
    if ON_POSTGRES:
        found: list[tuple[Any, ...]] = postgres.query_store(store_of(file), sql)
        return found
    reading = apsw.SQLITE_OPEN_READONLY if sql.startswith("select") else apsw.SQLITE_OPEN_READWRITE
    with closing(apsw.Connection(str(file), flags=reading)) as connection:
        return list(connection.execute(sql))


@cache
def _database() -> str:
    return postgres.databases.make()


def stepwell(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder that is expected to end by itself."""
    return subprocess.run(
        command_of(*arguments),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        env=environment(folder),
    )


def make_token(folder: Path, store: str, *scopes: str) -> str:
    """Make a token in the store of a server in a folder, as `stepwell token create` does, without a process for it."""
    file = store.removeprefix("sqlite:///")
    given = [part for scope in scopes for part in ("--scope", scope)]
    where = store if file == store else store_of(folder / file)
    made = CliRunner().invoke(main, ["token", "create", "--store", where, *given])
    assert made.exit_code == 0, made.output
    return made.stdout.strip()


def run_dev(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `stepwell dev` that is expected to end by itself."""
    return stepwell(cwd, "dev", *arguments)


class DevServer:
    """A server on a folder, which keeps its data there. Use it as a context manager: it leaves no process behind."""

    command = "dev"
    place: tuple[str, ...] = ("--data", "data")
    listens: tuple[str, ...] = ("--port", "0")

    def __init__(self, folder: Path, path: str = "flows.py", *options: str) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            self.command_line(self.command, *path.split(), *self.listens, *self.place, *options),
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env=environment(folder),
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            ready = self.wait_for_line(READY)
        except BaseException:
            self.kill()
            raise
        self.url = ready.removeprefix(READY).strip()

    def command_line(self, *arguments: str) -> list[str]:
        """Return the command line that starts it."""
        return command_of(*arguments)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def log(self) -> str:
        """Everything printed so far."""
        return "\n".join(self.lines)

    def wait_for_line(self, part: str) -> str:
        """Return the first line with this text in it, now or soon."""
        return wait_until(lambda: next((line for line in list(self.lines) if part in line), None), lambda: self.log)

    def workers(self) -> list[int]:
        """Return the process ids of the worker processes."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def terminate(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        return code

    def kill(self) -> None:
        """Send SIGKILL to the server alone, and wait until its workers have ended too."""
        workers = self.workers() if self.process.poll() is None else []
        self.process.kill()
        self.process.wait(DEADLINE_S)
        wait_until(lambda: not any(_is_alive(pid) for pid in workers), lambda: "a worker outlived its server")
        self._reader.join(DEADLINE_S)

    def call(self, path: str, body: Any = None) -> Any:
        """Ask the API and return the result. `path` is what follows `/workflows`."""
        url = f"{self.url}/client/v4/accounts/local/workflows{path}"
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=DEADLINE_S) as answer:
            return json.load(answer)["result"]

    def create(self, workflow: str, instance: str, params: Any = None) -> Any:
        """Create an instance."""
        return self.call(f"/{workflow}/instances", {"instance_id": instance, "params": params})

    def get(self, workflow: str, instance: str) -> Any:
        """Return an instance's status and log."""
        return self.call(f"/{workflow}/instances/{instance}")

    def wait_for_status(self, workflow: str, instance: str, status: str) -> Any:
        """Return the instance once it has this status."""

        def look() -> Any:
            found = self.get(workflow, instance)
            return found if found["status"] == status else None

        return wait_until(look, lambda: f"{self.log}\n{self.get(workflow, instance)}")

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self.lines.append(line.rstrip("\n"))


def wait_until(condition: Callable[[], Found | None], explain: Callable[[], str]) -> Found:
    """Return the condition's value once it is true."""
    end = time.monotonic() + DEADLINE_S
    pause_s = 0.01
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(pause_s)
        # Whoever asks a server for seconds on end keeps it, and the tests beside, from work.
        pause_s = min(pause_s * 1.2, 0.1)
    raise AssertionError(f"waited in vain for {DEADLINE_S:.0f} s:\n{explain()}")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        # A killed orphan that init has not collected yet is as good as gone.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        # Also between the one and the other.
        return False
