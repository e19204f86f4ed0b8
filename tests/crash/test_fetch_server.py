"""A Worker's `fetch` served by a real `stepwell dev`: beside its workflows, across reloads and kills."""

import http.client
import os
import signal
import threading
import urllib.error
import urllib.request
from pathlib import Path

from tests.crash.server import DEADLINE_S, DevServer, run_dev, wait_until

SOURCE = """
from urllib.parse import urlparse

from workers import Response, WorkerEntrypoint, WorkflowEntrypoint


class Demo(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do("first")
        async def first():
            print("one")

        @step.do("second")
        async def second():
            print("two")

        await first()
        await second()
        return event["payload"]


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        path = urlparse(request.url).path
        if path == "/start":
            instance = await self.env.DEMO.create(params=await request.json())
            return Response("started " + instance.id)
        if path.startswith("/status/"):
            instance = await self.env.DEMO.get(path.split("/")[-1])
            return Response.json(await instance.status())
        return Response("version 1")
"""
WRANGLER = """{
    "name": "demo",
    "main": "src/entry.py", // as Cloudflare's tools lay it out
    "workflows": [{"name": "demo", "binding": "DEMO", "class_name": "Demo"}],
}"""


def _lay(folder: Path, source: str = SOURCE) -> Path:
    (folder / "src").mkdir(exist_ok=True)
    (folder / "src" / "entry.py").write_text(source)
    (folder / "wrangler.jsonc").write_text(WRANGLER)
    return folder


def _url(server: DevServer) -> str:
    return server.wait_for_line("Worker (fetch): ").removeprefix("Worker (fetch): ").strip()


def _ask(url: str, body: bytes | None = None) -> str:
    with urllib.request.urlopen(url, body, timeout=DEADLINE_S) as answer:
        text: str = answer.read().decode()
        return text


def test_cloudflare_project_runs_as_it_stands(tmp_path: Path) -> None:
    """A folder with a wrangler file, a workflow and a Worker that starts it and shows its status."""
    with DevServer(_lay(tmp_path), ".", "--fetch-port", "0") as server:
        url = _url(server)
        id = _ask(f"{url}/start", b'{"n": 1}').removeprefix("started ")
        server.wait_for_status("demo", id, "complete")

        assert _ask(f"{url}/status/{id}") == '{"status": "complete", "error": null, "output": {"n": 1}}'


def test_address_stays_and_nobody_is_refused_while_the_code_is_replaced(tmp_path: Path) -> None:
    """A reload makes callers wait at most; a worker that is killed costs the request that it was answering."""
    with DevServer(_lay(tmp_path), "src/entry.py", "--fetch-port", "0") as server:
        url = _url(server)
        answers: list[str] = []
        is_done = threading.Event()
        asking = threading.Thread(target=_ask_on, args=(url, answers, is_done))
        asking.start()
        try:
            _lay(tmp_path, SOURCE.replace("version 1", "version 2"))
            wait_until(lambda: "version 2" in answers, lambda: server.log)
            assert set(answers) == {"version 1", "version 2"}
            worker = wait_until(lambda: server.workers()[0] if len(server.workers()) == 1 else None, lambda: server.log)
            os.kill(worker, signal.SIGKILL)
            wait_until(lambda: server.workers() not in ([], [worker]), lambda: server.log)
            before = len(answers)
            wait_until(lambda: len(answers) > before + 2, lambda: f"{answers[-5:]} {server.log}")
        finally:
            is_done.set()
            asking.join(DEADLINE_S)

        assert set(answers) <= {"version 1", "version 2", "cut off"}
        assert answers.count("cut off") <= 1


def _ask_on(url: str, answers: list[str], is_done: threading.Event) -> None:
    while not is_done.is_set():
        try:
            answers.append(_ask(url))
        except (ConnectionResetError, http.client.RemoteDisconnected):
            answers.append("cut off")
        except OSError as error:
            answers.append(f"refused: {error}")


def test_code_without_fetch_has_no_port_and_says_so_when_it_had_one(tmp_path: Path) -> None:
    """No `fetch`, no port. One that is taken out is answered for with 404; one that comes in later is served."""
    without = SOURCE.partition("class Default")[0]
    with DevServer(_lay(tmp_path, without), ".", "--fetch-port", "0") as server:
        assert "Worker (fetch)" not in server.log

        _lay(tmp_path)
        url = _url(server)
        assert _ask(url) == "version 1"
        _lay(tmp_path, without)
        gone = wait_until(lambda: _refusal(url), lambda: server.log)

        assert gone == (404, "the code that is served now has no WorkerEntrypoint with `fetch`\n")


def _refusal(url: str) -> tuple[int, str] | None:
    try:
        _ask(url)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    return None


def test_port_that_is_taken_is_named_with_a_free_one(tmp_path: Path) -> None:
    """The error names address and option; code without a `fetch` does not mind."""
    with DevServer(_lay(tmp_path), ".", "--fetch-port", "0") as server:
        port = _url(server).rpartition(":")[2]
        done = run_dev(".", "--port", "0", "--data", "other", "--fetch-port", port, cwd=tmp_path)

    assert done.returncode == 1
    assert f"error: the `fetch` of this code cannot be served: cannot listen on 127.0.0.1:{port}: " in done.stderr
    assert ": --fetch-port " in done.stderr
    assert "Traceback" not in done.stderr


def test_request_in_flight_is_answered_before_the_server_stops(tmp_path: Path) -> None:
    """SIGTERM lets a request in flight end, and takes no more."""
    answer = "import asyncio; print('in'); await asyncio.sleep(0.5); return Response('late')"
    slow = SOURCE.replace('return Response("version 1")', answer)
    with DevServer(_lay(tmp_path, slow), ".", "--fetch-port", "0") as server:
        url = _url(server)
        answers: list[str] = []
        asking = threading.Thread(target=lambda: answers.append(_ask(url)))
        asking.start()
        server.wait_for_line("in")

        code = server.terminate()
        asking.join(DEADLINE_S)

    assert (code, answers) == (0, ["late"])
