"""Works over HTTP, against a real `stepwell dev`: how soon an end is seen, and how many reads there are in a second."""

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

READY = "Stepwell is ready: http://"
INSTANCES = "/client/v4/accounts/local/workflows/steps/instances"
W2_INSTANCES = 200
W7_INSTANCES = 100
IDLE_SECONDS = 10.0
W6_STEPS = 100
W6_CLIENTS = 8
W6_SECONDS = 3.0


class Connection:
    """A connection that is kept open, with the least that a client has to do."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: str) -> None:
        self._reader = reader
        self._writer = writer
        self._headers = headers

    @classmethod
    async def open(cls, port: int, headers: str = "") -> "Connection":
        """Connect to a server on this machine; the headers are those of each request."""
        return cls(*await asyncio.open_connection("127.0.0.1", port), headers)

    async def ask(self, method: str, path: str, body: bytes = b"", headers: str = "") -> bytes:
        """Send a request and return the body of its answer."""
        headers += self._headers
        head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\n{headers}content-length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return await self._reader.readexactly(length)

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def measure(folder: Path) -> dict[str, float]:
    """Return the figures of W2 and W6."""
    folder.mkdir()
    async with serving(folder) as (port, pid):
        return {**await w2(port), **await w7(port), **await w6(port), **await idle(pid)}


async def w2(port: int) -> dict[str, float]:
    """Create instances of one step, one after the other, and wait for each one's end."""
    connection = await Connection.open(port)
    seen: list[float] = []
    for _ in range(W2_INSTANCES):
        begun = time.perf_counter()
        created = json.loads(await connection.ask("POST", INSTANCES, b'{"params":{"steps":1}}'))
        await complete(connection, f"{INSTANCES}/{created['result']['id']}")
        seen.append((time.perf_counter() - begun) * 1000)
    connection.close()
    cuts = statistics.quantiles(seen, n=100)
    return {"W2: create to complete, ms, p50": cuts[49], "W2: create to complete, ms, p99": cuts[98]}


async def w7(port: int) -> dict[str, float]:
    """Send an event to an instance that waits for it, out of memory, and see when the step behind the wait begins."""
    connection = await Connection.open(port)
    waiting = INSTANCES.replace("/steps/", "/waits/")
    seen: list[float] = []
    for number in range(W7_INSTANCES):
        path = f"{waiting}/{number}"
        await connection.ask("POST", waiting, json.dumps({"instance_id": str(number)}).encode())
        await _rest(connection, path)
        sent = json.loads(await connection.ask("POST", f"{path}/events/go", b"1"))["result"]
        await complete(connection, path)
        _, step = json.loads(await connection.ask("GET", path))["result"]["steps"]
        seen.append(ms(step["start"]) - ms(sent["timestamp"]))
    connection.close()
    return {"W7: event to the next step, ms, p50": statistics.median(seen)}


def ms(moment: str) -> float:
    """Return a moment of the API's in milliseconds since 1970."""
    return datetime.fromisoformat(moment).timestamp() * 1000


async def idle(pid: int) -> dict[str, float]:
    """Return how much of a core the server and its worker take while nobody asks for anything."""
    await asyncio.sleep(1)
    before = cpu_s(pid)
    await asyncio.sleep(IDLE_SECONDS)
    return {"idle: server and worker, % of a core": (cpu_s(pid) - before) / IDLE_SECONDS * 100}


def cpu_s(pid: int) -> float:
    """Return the processor time of a process and its children so far."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    ticks = 0
    for each in (str(pid), *children):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


async def w6(port: int) -> dict[str, float]:
    """Read an instance of 100 steps by 8 clients, and beside it an answer that is always the same."""
    connection = await Connection.open(port)
    body = json.dumps({"instance_id": "read", "params": {"steps": W6_STEPS}}).encode()
    await connection.ask("POST", INSTANCES, body)
    await complete(connection, f"{INSTANCES}/read")
    connection.close()
    plain = await _rate(port, "/healthz")
    instance = await _rate(port, f"{INSTANCES}/read")
    return {
        "W6: GET instance of 100 steps, requests/s": instance,
        "W6: plain answers of the same server, requests/s": plain,
        "W6: share of plain answers": instance / plain,
    }


async def complete(connection: Connection, path: str) -> None:
    """Wait until an instance is complete, as a client does that wants to know at once."""
    while True:
        answer = await connection.ask("GET", f"{path}?simple=true", headers="prefer: wait=30\r\n")
        if json.loads(answer)["result"]["status"] == "complete":
            return


async def _rest(connection: Connection, path: str) -> None:
    """Wait until an instance waits."""
    while json.loads(await connection.ask("GET", f"{path}?simple=true"))["result"]["status"] != "waiting":
        await asyncio.sleep(0.002)


async def _rate(port: int, path: str) -> float:
    end = time.perf_counter() + W6_SECONDS

    async def client() -> int:
        connection = await Connection.open(port)
        asked = 0
        while time.perf_counter() < end:
            await connection.ask("GET", path)
            asked += 1
        connection.close()
        return asked

    return sum(await asyncio.gather(*(client() for _ in range(W6_CLIENTS)))) / W6_SECONDS


@asynccontextmanager
async def serving(folder: Path, store: str | None = None, **environment: str) -> AsyncIterator[tuple[int, int]]:
    """Start a server on the benchmark's workflows, and stop it; give its port and its process id.

    Without a store it makes a file in the folder.
    """
    source = str(Path(__file__).with_name("workflows.py"))
    told = ("dev", source, "--data", str(folder / "data")) if store is None else ("serve", source, "--store", store)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "stepwell", *told, "--port", "0",
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
