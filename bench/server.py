"""A real Stepwell on the benchmark's workflows, and what a client asks of it over HTTP."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from bench.connection import Connection

READY = "Stepwell is ready: http://"
SOURCE = Path(__file__).with_name("workflows.py")
WORKFLOWS = "/client/v4/accounts/local/workflows"
INSTANCES = f"{WORKFLOWS}/steps/instances"


async def complete(connection: Connection, path: str) -> None:
    """Wait until an instance is complete, as a client does that wants to know at once.

    Raises RuntimeError where it ends otherwise.
    """
    while True:
        answer = await connection.ask("GET", f"{path}?simple=true", headers="prefer: wait=30\r\n")
        found = json.loads(answer)["result"]
        if found["status"] == "complete":
            return
        if found["status"] in ("errored", "terminated"):
            raise RuntimeError(f"{path} is {found['status']}: {found['error']}")


def ms(moment: str) -> float:
    """Return a moment of the API's in milliseconds since 1970."""
    return datetime.fromisoformat(moment).timestamp() * 1000


def token(url: str) -> str:
    """Make a token of a store that may read and write, and return it."""
    command = [sys.executable, "-m", "stepwell", "token", "create", "--store", url, "--scope=read", "--scope=write"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@asynccontextmanager
async def serving(
    folder: Path, store: str | None = None, *options: str, **environment: str
) -> AsyncIterator[tuple[int, int]]:
    """Start a server on the benchmark's workflows, and stop it; give its port and its process id.

    Without a store it is `stepwell dev`, which makes a file in the folder, else `stepwell serve`.
    """
    told = ("dev", str(SOURCE), "--data", str(folder / "data"))
    if store is not None:
        told = ("serve", str(SOURCE), "--store", store)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "stepwell", *told, "--port", "0", *options,
        stdout=asyncio.subprocess.PIPE, env={**os.environ, **environment},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            if line.decode().startswith(READY):
                yield int(line.decode().rstrip().rpartition(":")[2]), process.pid
                return
        raise RuntimeError("the server did not start")
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
