"""What author code does to its process does not stop the server, and loses nothing. Real servers, real deaths."""

import os
import time
from pathlib import Path
from textwrap import dedent

import pytest

from tests.crash.server import DevServer, run_dev

WORKFLOW = """
import asyncio, ctypes, os, sys, time
from stepwell import WorkflowEntrypoint

class Flow(WorkflowEntrypoint):
    async def run(self, event, step):
        payload = event["payload"]

        @step.do("first")
        async def first():
            return "kept"

        @step.do("bad", config={"retries": {"limit": 3, "delay": 10}})
        async def bad(ctx):
            if ctx["attempt"] == 1:
                BODY
            return ctx["attempt"]

        return [await first(), await bad()]
"""


def _write(folder: Path, body: str) -> None:
    (folder / "flows.py").write_text(WORKFLOW.replace("BODY", body))


@pytest.mark.parametrize(
    ("body", "how"),
    [
        pytest.param("os._exit(7)", "ended with exit code 7", id="exit"),
        pytest.param("ctypes.string_at(0)", "died of SIGSEGV", id="segfault"),
        pytest.param("os.kill(os.getpid(), 9)", "died of SIGKILL", id="killed"),
    ],
)
def test_worker_that_dies_in_a_step_is_named_and_the_instance_goes_on(tmp_path: Path, body: str, how: str) -> None:
    """A step that ends its process costs one attempt, logged as lost; the log names instance and step."""
    _write(tmp_path, body)
    with DevServer(tmp_path) as server:
        server.create("flow", "a")

        done = server.wait_for_status("flow", "a", "complete")

        assert done["output"] == '["kept",2]'
        attempts = done["steps"][1]["attempts"]
        assert [attempt["success"] for attempt in attempts] == [False, True]
        assert attempts[0]["error"]["name"] == "WorkflowInternalError"
        assert how in server.wait_for_line("it was running flow/a step bad-1")


def test_step_that_blocks_its_loop_leaves_the_api_answering(tmp_path: Path) -> None:
    """While a step blocks for five seconds the API answers; then the log has named it and the instance goes on."""
    _write(tmp_path, "time.sleep(5)")
    with DevServer(tmp_path) as server:
        # The server's line; the worker tells of itself too, sooner or later.
        told = f"(pid {server.workers()[0]}) has been blocked for"
        server.create("flow", "a")
        server.wait_for_line(told)

        answers = []
        while server.get("flow", "a")["status"] == "running":
            start = time.perf_counter()
            server.call("/flow/instances")
            answers.append(time.perf_counter() - start)

        assert len(answers) >= 10
        print(f"answers while blocked: {len(answers)}, slowest {max(answers) * 1000:.1f} ms")
        assert "flow/a step bad-1" in server.wait_for_line(told)
        assert server.wait_for_status("flow", "a", "complete")["output"] == '["kept",1]'


def test_instance_that_kills_its_worker_takes_no_other_with_it(tmp_path: Path) -> None:
    """It is given up; what ran beside it, in steps that take longer than any worker lived, is not."""
    (tmp_path / "flows.py").write_text(
        "import asyncio, os\n"
        "from stepwell import WorkflowEntrypoint\n"
        "class Kills(WorkflowEntrypoint):\n"
        "    async def run(self, event, step):\n"
        "        os._exit(9)\n"
        "class Works(WorkflowEntrypoint):\n"
        "    async def run(self, event, step):\n"
        "        return await step.do('work', asyncio.sleep, 1, 'done')\n"
    )
    with DevServer(tmp_path) as server:
        for number in range(5):
            server.create("works", str(number))
        server.create("kills", "a")

        error = server.wait_for_status("kills", "a", "errored")["error"]

        assert error["message"].startswith("The worker process was lost 10 times in a row while this instance ran")
        for number in range(5):
            assert server.wait_for_status("works", str(number), "complete")["output"] == "done"


def test_place_where_a_worker_hangs_is_shown(tmp_path: Path) -> None:
    """The author's own lines, down to the one that blocks; nothing of ours or of asyncio's stands above them."""
    _write(tmp_path, "[time.sleep(5) for _ in range(1)]")
    with DevServer(tmp_path) as server:
        server.create("flow", "a")
        server.wait_for_line("worker 1 has been blocked for 1.5 s, and is here now:")
        server.wait_for_status("flow", "a", "complete")

        at = server.lines.index(server.wait_for_line("and is here now:"))
        shown = [line.strip() for line in server.lines[at + 1 : at + 5]]
        assert shown[0].startswith(f'File "{tmp_path}/flows.py", line 16, in bad')
        assert shown[1] == "[time.sleep(5) for _ in range(1)]"


def test_attempt_that_wants_too_much_memory_fails_and_its_worker_lives(tmp_path: Path) -> None:
    """It gets Python's own error, and its next attempt; nobody else notices."""
    _write(tmp_path, "bytearray(2**30)")
    with DevServer(tmp_path, "flows.py", "--set", "worker_memory=400 MiB") as server:
        (pid,) = server.workers()
        server.create("flow", "a")

        done = server.wait_for_status("flow", "a", "complete")

        assert done["output"] == '["kept",2]'
        assert done["steps"][1]["attempts"][0]["error"]["name"] == "MemoryError"
        assert server.workers() == [pid]


def test_interrupted_attempt_does_not_count(tmp_path: Path) -> None:
    """An attempt ended by a polite stop is recorded as interrupted, not counted, and tried again at once."""
    _write(tmp_path, "await asyncio.sleep(0 if os.path.exists('again') else 60)")
    with DevServer(tmp_path) as server:
        server.create("flow", "a")
        server.wait_for_status("flow", "a", "running")
        while len(server.get("flow", "a")["steps"]) < 2:
            time.sleep(0.01)
        (tmp_path / "again").touch()
        code = server.terminate()
    assert code == 0

    with DevServer(tmp_path) as server:
        done = server.wait_for_status("flow", "a", "complete")

    assert done["output"] == '["kept",1]'
    assert [attempt["error"] and attempt["error"]["name"] for attempt in done["steps"][1]["attempts"]] == [
        "AttemptInterrupted",
        None,
    ]


def test_server_that_is_killed_takes_its_worker_with_it_and_loses_nothing(tmp_path: Path) -> None:
    """A SIGKILL of the server ends its workers, and what was acknowledged goes on at the next start."""
    _write(tmp_path, "await asyncio.sleep(0 if os.path.exists('again') else 60)")
    with DevServer(tmp_path) as server:
        server.create("flow", "a")
        while len(server.get("flow", "a")["steps"]) < 2:
            time.sleep(0.01)
        (tmp_path / "again").touch()
        server.kill()

    with DevServer(tmp_path) as server:
        done = server.wait_for_status("flow", "a", "complete")

    assert done["output"] == '["kept",2]'
    assert done["steps"][1]["attempts"][0]["error"]["name"] == "WorkflowInternalError"


def test_changed_file_is_reloaded_and_a_syntax_error_keeps_the_old_code(tmp_path: Path) -> None:
    """A syntax error on reload is shown with file, line and caret; the old code serves until it is mended."""
    _write(tmp_path, "pass")
    with DevServer(tmp_path) as server:
        (tmp_path / "flows.py").write_text("def broken(:\n    pass\n")
        server.wait_for_line("the old code keeps serving")
        server.create("flow", "old")
        assert server.wait_for_status("flow", "old", "complete")["output"] == '["kept",1]'
        report = server.log
        assert 'flows.py", line 1' in report
        assert "^" in report

        (tmp_path / "flows.py").write_text(WORKFLOW.replace("BODY", "pass").replace("kept", "renewed"))
        server.wait_for_line("now serving: flow")
        server.create("flow", "new")

        assert server.wait_for_status("flow", "new", "complete")["output"] == '["renewed",1]'


def test_second_server_on_the_same_data_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    """Two servers never write one file: the second is told which process has it."""
    _write(tmp_path, "pass")
    with DevServer(tmp_path) as server:
        refused = run_dev("flows.py", "--port", "0", "--data", "data", cwd=tmp_path)

        assert refused.returncode == 1
        assert str(server.process.pid) in refused.stderr
        assert "Traceback" not in refused.stderr


def test_taken_port_is_refused_with_a_free_one(tmp_path: Path) -> None:
    """A port in use is no riddle: the error names another that is free."""
    _write(tmp_path, "pass")
    with DevServer(tmp_path) as server:
        port = server.url.rpartition(":")[2]
        refused = run_dev("flows.py", "--port", port, "--data", "other", cwd=tmp_path)

        assert refused.returncode == 1
        assert f"cannot listen on 127.0.0.1:{port}" in refused.stderr
        assert "is free: --port" in refused.stderr
        assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("source", "said"),
    [
        pytest.param(None, "does not exist", id="missing"),
        pytest.param("x = 1\n", "no workflow in", id="no-workflow"),
        pytest.param("def f(:\n", "line 1", id="syntax-error"),
        pytest.param("import nothing_of_that_name\n", "No module named 'nothing_of_that_name'", id="import-error"),
    ],
)
def test_file_that_cannot_be_served_is_refused_plainly(tmp_path: Path, source: str | None, said: str) -> None:
    """A missing file, one without a workflow and one with an error are each said plainly, in the author's terms."""
    if source is not None:
        (tmp_path / "flows.py").write_text(dedent(source))

    refused = run_dev("flows.py", "--port", "0", cwd=tmp_path)

    assert refused.returncode == 1
    assert said in refused.stderr
    assert "stepwell/scripts.py" not in refused.stderr


def test_sigterm_ends_the_server_within_the_grace_with_a_connection_open(tmp_path: Path) -> None:
    """A polite stop does not wait for a client that keeps its connection, and leaves no process."""
    import http.client

    _write(tmp_path, "pass")
    with DevServer(tmp_path) as server:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b'{"status":"ok"}'
        workers = server.workers()
        start = time.monotonic()

        code = server.terminate()

        assert code == 0
        print(f"stopped in {time.monotonic() - start:.2f} s")
        connection.close()
        assert workers
        for pid in workers:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
