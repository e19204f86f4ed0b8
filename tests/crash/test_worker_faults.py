"""What author code does to its process does not stop the server, and loses nothing. Real servers, real deaths."""

import collections
import itertools
import json
import os
import re
import signal
import time
import urllib.request
from datetime import datetime, timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.crash.server import DevServer, run_dev, wait_until

WORKFLOW = """
import asyncio, collections, ctypes, itertools, os, signal, sys, time
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


def test_worker_that_dies_in_a_step_is_named_and_the_instance_goes_on(tmp_path: Path) -> None:
    """A step that ends its process costs one attempt, logged as lost; the log names instance and step."""
    _write(tmp_path, 'exec(event["payload"])')
    deaths = {
        "exit": ("os._exit(7)", "ended with exit code 7"),
        "segfault": ("ctypes.string_at(0)", "died of SIGSEGV"),
        "killed": ("os.kill(os.getpid(), 9)", "died of SIGKILL"),
    }
    with DevServer(tmp_path) as server:
        for id, (body, how) in deaths.items():
            server.create("flow", id, body)

            done = server.wait_for_status("flow", id, "complete")

            assert done["output"] == '["kept",2]'
            attempts = done["steps"][1]["attempts"]
            assert [attempt["success"] for attempt in attempts] == [False, True]
            assert attempts[0]["error"]["name"] == "WorkflowInternalError"
            assert how in server.wait_for_line(f"it was running flow/{id} step bad-1")


def test_step_that_blocks_its_loop_leaves_the_api_answering(tmp_path: Path) -> None:
    """While a step blocks for five seconds the API answers; then the log has named it and the instance goes on."""
    _write(tmp_path, "time.sleep(5)")
    with DevServer(tmp_path) as server:
        told = f"worker 1 (pid {server.workers()[0]}) has been blocked for"
        server.create("flow", "a")
        server.wait_for_line(told)

        answers = []
        while server.get("flow", "a")["status"] == "running":
            start = time.perf_counter()
            server.call("/flow/instances")
            answers.append(time.perf_counter() - start)
            time.sleep(0.05)

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
    with DevServer(tmp_path, "flows.py", "--set", "lost_turns=6") as server:
        for number in range(5):
            server.create("works", str(number))
        server.create("kills", "a")

        error = server.wait_for_status("kills", "a", "errored")["error"]

        assert error["message"].startswith("The worker process was lost 6 times in a row while this instance ran")
        for number in range(5):
            assert server.wait_for_status("works", str(number), "complete")["output"] == "done"


def test_place_where_a_worker_hangs_is_shown(tmp_path: Path) -> None:
    """With the line that names it: the author's own lines, down to the one that blocks, and nothing above them."""
    _write(tmp_path, "[time.sleep(4) for _ in range(1)]")
    with DevServer(tmp_path) as server:
        server.create("flow", "a")
        server.wait_for_status("flow", "a", "complete")

        told = [at for at, line in enumerate(server.lines) if "has been blocked for" in line]
        (at,) = told
        assert re.search(r"worker 1 \(pid \d+\) has been blocked for \d\.\d s; ", server.lines[at])
        assert server.lines[at].endswith(
            " s; it was running flow/a step bad-1. A step or `fetch` that blocks should be a plain `def`: it then runs "
            "in a thread. It hangs here:"
        )
        assert server.lines[at + 1 : at + 3] == [
            f'    File "{tmp_path}/flows.py", line 16, in bad',
            "      [time.sleep(4) for _ in range(1)]",
        ]


def test_status_tells_where_a_worker_hangs_until_it_goes_on(tmp_path: Path) -> None:
    """Since when, with the author's file and line, beside the step and the attempt; no longer when it answers again."""
    _write(tmp_path, "time.sleep(4); await asyncio.sleep(60)")
    with DevServer(tmp_path) as server:
        server.create("flow", "a")
        blocked, attempt = _blocked(server, has_stack=True)

        assert (blocked["worker"], blocked["stack"][-2:]) == (
            "worker 1",
            [f'File "{tmp_path}/flows.py", line 16, in bad', "  time.sleep(4); await asyncio.sleep(60)"],
        )
        assert (attempt["type"], attempt["step"], attempt["attempt"]) == ("attempt", "bad-1", 1)
        since, began = (datetime.fromisoformat(reason["since"]) for reason in (blocked, attempt))
        # It has last answered before that.
        assert abs(began - since) < timedelta(seconds=2)
        (left,) = wait_until(lambda: _told(server) if len(_told(server)) == 1 else None, lambda: server.log)
        assert (left["type"], left["step"]) == ("attempt", "bad-1")


def test_place_is_known_where_nothing_else_can_run_in_the_process(tmp_path: Path) -> None:
    """Also of code that keeps the interpreter's lock for long, as a long regular expression does."""
    # Its own time: what else runs on this machine now may be over then.
    start = time.process_time()
    collections.deque(itertools.repeat(None, 10**7), maxlen=0)
    count = int(10**7 * 4 / (time.process_time() - start))
    line = f"collections.deque(itertools.repeat(None, {count}), maxlen=0)"
    _write(tmp_path, line)
    with DevServer(tmp_path) as server:
        server.create("flow", "a")
        blocked, attempt = _blocked(server, has_stack=True)

        assert blocked["stack"] == [f'File "{tmp_path}/flows.py", line 16, in bad', f"  {line}"]
        assert (attempt["type"], attempt["step"]) == ("attempt", "bad-1")
        assert server.wait_for_line("has been blocked for").endswith("It hangs here:")
        assert server.wait_for_status("flow", "a", "complete")["output"] == '["kept",1]'


def test_place_is_known_whatever_signals_the_author_ignores(tmp_path: Path) -> None:
    """The worker tells of itself, as long as anything can run in it."""
    _write(tmp_path, "signal.signal(signal.SIGURG, signal.SIG_IGN); time.sleep(4)")
    with DevServer(tmp_path) as server:
        server.create("flow", "a")
        blocked, _ = _blocked(server, has_stack=True)

        assert blocked["stack"][0] == f'File "{tmp_path}/flows.py", line 16, in bad'


def test_worker_that_is_stopped_is_named_without_a_place(tmp_path: Path) -> None:
    """It can say nothing, and where it hung before is past; it goes on with the instance as if nothing had been."""
    body = "time.sleep(1); await asyncio.sleep(1); open('awake', 'x').close(); await asyncio.sleep(3)"
    _write(tmp_path, body)
    with DevServer(tmp_path) as server:
        server.create("flow", "a")
        wait_until((tmp_path / "awake").exists, lambda: server.log)
        (pid,) = server.workers()
        os.kill(pid, signal.SIGSTOP)
        try:
            told = server.wait_for_line("has been blocked for")
            blocked, attempt = _blocked(server, has_stack=False)
        finally:
            os.kill(pid, signal.SIGCONT)

        assert "it was running flow/a step bad-1. " in told
        assert told.endswith("It does not say where it hangs: its process may be stopped")
        assert blocked["stack"] == []
        assert (attempt["type"], attempt["step"]) == ("attempt", "bad-1")
        assert server.wait_for_status("flow", "a", "complete")["output"] == '["kept",1]'
        assert server.workers() == [pid]


def test_worker_that_stays_blocked_is_killed_with_its_place_in_the_log(tmp_path: Path) -> None:
    """Instance, step and line; the attempt is lost, and the next one goes on."""
    _write(tmp_path, "time.sleep(60)")
    with DevServer(tmp_path, "flows.py", "--set", "stuck_after=5 seconds") as server:
        server.create("flow", "a")
        told = server.wait_for_line("and is killed")

        assert told.endswith("s and is killed; it was running flow/a step bad-1. It hangs here:")
        at = server.lines.index(told)
        wait_until(lambda: len(server.lines) > at + 2, lambda: server.log)
        assert server.lines[at + 1 : at + 3] == [
            f'    File "{tmp_path}/flows.py", line 16, in bad',
            "      time.sleep(60)",
        ]
        assert server.wait_for_status("flow", "a", "complete")["output"] == '["kept",2]'


def _told(server: DevServer) -> list[dict[str, Any]]:
    """Return why the instance does not go on."""
    url = f"{server.url}/client/v4/accounts/local/stepwell/workflows/flow/instances/a/why"
    with urllib.request.urlopen(url, timeout=30) as answer:
        reasons: list[dict[str, Any]] = json.load(answer)["result"]["reasons"]
    return reasons


def _blocked(server: DevServer, *, has_stack: bool) -> list[dict[str, Any]]:
    """Return why the instance does not go on, once it is told first that its worker is blocked."""

    def look() -> list[dict[str, Any]] | None:
        found = _told(server)
        is_so = found and found[0]["type"] == "workerBlocked" and bool(found[0]["stack"]) is has_stack
        return found if is_so else None

    return wait_until(look, lambda: f"{server.log}\n{_told(server)}")


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


def test_worker_has_no_more_files_than_it_may_and_gives_way(tmp_path: Path) -> None:
    """Its attempt gets the system's own error; its parent, and whoever else is started, has what it had."""
    _write(tmp_path, "[os.open('/', 0) for _ in range(100)]")
    with DevServer(tmp_path, "flows.py", "--set", "worker_open_files=64", "--set", "worker_niceness=5") as server:
        (pid,) = server.workers()
        server.create("flow", "a")

        found = wait_until(lambda: _first_error(server), lambda: server.log)

        assert "Too many open files" in found["message"]
        assert _niceness(pid) == _niceness(server.process.pid) + 5
        assert server.workers() == [pid]


def _first_error(server: DevServer) -> dict[str, Any] | None:
    steps = server.get("flow", "a")["steps"]
    error: dict[str, Any] | None = steps[1]["attempts"][0]["error"] if len(steps) > 1 else None
    return error


def _niceness(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[16])


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


@pytest.mark.sqlite
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


# The workers of a server say so too of what is deployed there, as test_deploy.py has it.
_AS_DEPLOYED = pytest.mark.long


@pytest.mark.parametrize(
    ("source", "said"),
    [
        pytest.param(None, "does not exist", id="missing"),
        pytest.param("x = 1\n", "no workflow in", id="no-workflow", marks=_AS_DEPLOYED),
        pytest.param("def f(:\n", "line 1", id="syntax-error"),
        pytest.param(
            "import nothing_of_that_name\n",
            "No module named 'nothing_of_that_name'",
            id="import-error",
            marks=_AS_DEPLOYED,
        ),
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
