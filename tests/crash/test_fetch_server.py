"""A Worker's `fetch` served by a real `stepwell dev`: beside its workflows, across reloads and kills."""

import http.client
import os
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
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


def test_nobody_is_refused_while_the_code_is_replaced(tmp_path: Path) -> None:
    """Reloads under load, with a connection for each request, lose none of them."""
    with DevServer(_lay(tmp_path), "src/entry.py", "--fetch-port", "0") as server, _asking(_url(server), 16) as answers:
        for version in ("version 2", "version 3"):
            _lay(tmp_path, SOURCE.replace("version 1", version))
            wait_until(lambda version=version: version in answers, lambda: server.log)  # type: ignore[misc]  # its default

    assert set(answers) == {"version 1", "version 2", "version 3"}


def test_worker_that_dies_costs_the_requests_that_it_was_answering(tmp_path: Path) -> None:
    """Whoever asks while there is no worker waits for the next one; the address stays."""
    with DevServer(_lay(tmp_path), "src/entry.py", "--fetch-port", "0") as server, _asking(_url(server), 2) as answers:
        wait_until(lambda: len(answers) > 2, lambda: server.log)
        (worker,) = server.workers()
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: server.workers() not in ([], [worker]), lambda: server.log)
        before = len(answers)
        wait_until(lambda: len(answers) > before + 4, lambda: f"{answers[-5:]} {server.log}")

    assert set(answers) <= {"version 1", "cut off"}
    assert answers.count("cut off") <= 2


def test_child_process_of_the_authors_keeps_nothing_of_a_dead_worker(tmp_path: Path) -> None:
    """What his code starts has neither the line nor the port: a dead worker is replaced, and the server stops."""
    command = "sleep 30 > /dev/null 2>&1 & echo $! > child"
    starts = SOURCE.replace(
        'return Response("version 1")', f"import os; os.system({command!r}); return Response('started')"
    )
    with DevServer(_lay(tmp_path, starts), ".", "--fetch-port", "0") as server:
        url = _url(server)
        assert _ask(url) == "started"
        (worker,) = server.workers()
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: server.workers() not in ([], [worker]), lambda: server.log)

        assert _ask(url) == "started"
        assert server.terminate() == 0
    os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)


def test_request_that_outlasts_a_reload_is_told_so(tmp_path: Path) -> None:
    """The old code has a few seconds; then the caller hears that the server stops, and the log one line of it."""
    hangs = SOURCE.replace('return Response("version 1")', "import asyncio; print('hanging'); await asyncio.sleep(60)")
    with DevServer(_lay(tmp_path, hangs), ".", "--fetch-port", "0") as server:
        url = _url(server)
        refused: list[tuple[int, str] | None] = []
        asking = threading.Thread(target=lambda: refused.append(_refusal(url)))
        asking.start()
        server.wait_for_line("hanging")
        _lay(tmp_path)
        server.wait_for_line("changed; now serving")
        asking.join(DEADLINE_S)

        assert refused == [(503, "the server stops or is given new code; ask again\n")]
        server.wait_for_line("GET / was not answered in time")
        assert "Traceback" not in server.log


@contextmanager
def _asking(url: str, threads: int) -> Iterator[list[str]]:
    """Ask again and again in several threads; yield the answers, which are all there when this ends."""
    answers: list[str] = []
    is_done = threading.Event()
    asking = [threading.Thread(target=_ask_on, args=(url, answers, is_done)) for _ in range(threads)]
    for thread in asking:
        thread.start()
    try:
        yield answers
    finally:
        is_done.set()
        for thread in asking:
            thread.join(DEADLINE_S)


def _ask_on(url: str, answers: list[str], is_done: threading.Event) -> None:
    # A moment for the server, which shares the machine with those that ask.
    while not is_done.wait(0.005):
        try:
            answers.append(_ask(url))
        except (ConnectionResetError, http.client.RemoteDisconnected, http.client.IncompleteRead):
            answers.append("cut off")
        except OSError as error:
            # A connection that is reset while it is written to is told in another way.
            is_reset = isinstance(getattr(error, "reason", None), ConnectionResetError | BrokenPipeError)
            answers.append("cut off" if is_reset else f"refused: {error}")


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
    answer = "import asyncio; print('asked-now'); await asyncio.sleep(0.5); return Response('late')"
    slow = SOURCE.replace('return Response("version 1")', answer)
    with DevServer(_lay(tmp_path, slow), ".", "--fetch-port", "0") as server:
        url = _url(server)
        answers: list[str] = []
        asking = threading.Thread(target=lambda: answers.append(_ask(url)))
        asking.start()
        wait_until(lambda: "asked-now" in server.lines, lambda: server.log)

        code = server.terminate()
        asking.join(DEADLINE_S)

    assert (code, answers) == (0, ["late"])
