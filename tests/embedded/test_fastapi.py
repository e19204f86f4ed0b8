"""The example with FastAPI, as its first lines say to run it, with a real server and a real kill."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

EXAMPLE = Path(__file__).parents[2] / "examples" / "fastapi"
DEADLINE_S = 30


@contextmanager
def serving(folder: Path, port: int) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """Serve the example with uvicorn in a folder of its own, until it is killed or this ends."""
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLE), "app:app", "--port", str(port)]
    process = subprocess.Popen(command, cwd=folder, env={**os.environ, "ORDERS_STORE": "sqlite:///orders.db"})
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=DEADLINE_S) as client:
            end = time.monotonic() + DEADLINE_S
            while not _answers(client):
                assert process.poll() is None, "the application ended"
                assert time.monotonic() < end, "the application did not answer in time"
                time.sleep(0.05)
            yield process, client
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(DEADLINE_S)
        finally:
            process.kill()


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/stepwell/client/v4/accounts/local/workflows").status_code == 200
    except httpx.TransportError:
        return False


def test_application_ends_while_somebody_looks(tmp_path: Path) -> None:
    """A page that is open holds a stream, for which a web server would wait for ever."""
    with serving(tmp_path, free_port()) as (process, client):
        stream = client.stream("GET", "/stepwell/ui/live", params={"topics": "workflow:order"})
        with stream as live:
            lines = live.iter_lines()
            assert next(lines) == "retry: 1000"
            process.send_signal(signal.SIGTERM)

            assert process.wait(DEADLINE_S) is not None
            rest = list(lines)

    assert "event: hello" in rest


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def test_order_survives_the_application(tmp_path: Path) -> None:
    """An order is taken, the application killed without warning; when it is back the order is approved and done."""
    with serving(tmp_path, free_port()) as (process, client):
        taken = client.post("/orders", params={"item": "book"})
        process.kill()
        process.wait(DEADLINE_S)
    assert taken.status_code == 202
    path = f"/orders/{taken.json()['id']}"

    with serving(tmp_path, free_port()) as (_, client):
        assert client.get("/orders/nobody").status_code == 404
        assert client.post(f"{path}/approval", params={"by": "ann"}).status_code == 204
        parcel = client.get(f"{path}/parcel").json()
        again = client.post(f"{path}/approval", params={"by": "lee"})
        page = client.get("/stepwell/", headers={"accept": "text/html"})

        assert (parcel["item"], parcel["approved_by"]) == ("book", "ann")
        assert client.get(path).json()["status"] == "complete"
        assert again.status_code == 409
        assert "Stepwell" in page.text
