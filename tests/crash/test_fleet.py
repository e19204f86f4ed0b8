"""Several hosts on one database: each runs its own code and, where nobody else does, everybody's."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import postgres
from tests.crash.fleet import FleetServer, FleetWorker
from tests.crash.server import stepwell, wait_until
from tests.crash.test_pinned import begin, of, write

SHORT = ("--set", "host_lease=1 second")
NAP = """
from stepwell import WorkflowEntrypoint


class Nap(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.sleep("nap", "3 seconds")
        return "slept"
"""


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """What ends whatever a test has started."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with code of version 1 in `app`."""
    (tmp_path / "app").mkdir()
    write(tmp_path, "v1")
    return tmp_path


def _end(server: FleetServer, *ids: str) -> list[object]:
    """Let instances go on, and return their outputs."""
    server.wake(*ids)
    return [server.output(id) for id in ids]


def test_two_servers_with_the_same_files_share_everything(folder: Path, url: str, opened: ExitStack) -> None:
    """Whichever is asked answers for all; what one held goes on at the other when it is killed."""
    one = opened.enter_context(FleetServer(folder, url, "app", *SHORT))
    other = opened.enter_context(FleetServer(folder, url, "app", *SHORT))
    begin(one, "a")
    begin(other, "b")

    one.kill()

    assert _end(other, "a", "b") == [of("v1")] * 2
    assert "Code: snapshot 1;" in one.log
    assert "Code: snapshot 1;" in other.log


def test_servers_with_different_files_run_both(folder: Path, url: str, opened: ExitStack) -> None:
    """In a rolling deployment new instances are of what came last, also when the older host replaces a worker."""
    old = opened.enter_context(FleetServer(folder, url, "app", *SHORT))
    begin(old, "before")
    write(folder, "v2")
    new = opened.enter_context(FleetServer(folder, url, "app", *SHORT))
    newest = _newest_worker(url)

    os.kill(old.workers()[0], signal.SIGKILL)
    wait_until(lambda: _newest_worker(url) > newest, lambda: old.log)
    begin(old, "after")

    assert _end(new, "before", "after") == [of("v1"), of("v2")]


def _newest_worker(url: str) -> int:
    ((number,),) = postgres.query(url, "select max(row) from workers")
    return int(number)


@pytest.mark.parametrize("lost", ["old", "new"])
def test_server_that_is_lost_leaves_its_code_to_the_other(folder: Path, url: str, opened: ExitStack, lost: str) -> None:
    """What it held, and what is due there later, runs on a worker for that code."""
    servers = {"old": opened.enter_context(FleetServer(folder, url, "app", *SHORT))}
    begin(servers["old"], "before")
    write(folder, "v2")
    servers["new"] = opened.enter_context(FleetServer(folder, url, "app", *SHORT))
    begin(servers["new"], "after")

    servers.pop(lost).kill()
    (left,) = servers.values()

    assert _end(left, "before", "after") == [of("v1"), of("v2")]


def test_sleeper_of_a_lost_host_wakes_elsewhere(folder: Path, url: str, opened: ExitStack) -> None:
    """Nobody tells the host that is left, which serves other code, of what is due."""
    (folder / "app" / "nap.py").write_text(NAP)
    lost = opened.enter_context(FleetServer(folder, url, "app", *SHORT))
    (folder / "app" / "nap.py").unlink()
    left = opened.enter_context(FleetServer(folder, url, "app", *SHORT))
    lost.create("nap", "a")
    lost.wait_for_status("nap", "a", "waiting")

    lost.kill()

    assert left.wait_for_status("nap", "a", "complete")["output"] == "slept"


STUCK = """
from pathlib import Path
from stepwell import WorkflowEntrypoint


class Stuck(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do
        async def dies_once():
            import asyncio

            if not Path("died").exists():
                Path("died").touch()
                await asyncio.sleep(3600)
            return "alive"

        return await dies_once()
"""


def test_worker_that_dies_while_the_database_is_away_loses_nothing(
    folder: Path, own_database: postgres.Server, opened: ExitStack
) -> None:
    """What it held is claimed when the database is there again, however long that takes."""
    (folder / "app" / "stuck.py").write_text(STUCK)
    server = opened.enter_context(FleetServer(folder, own_database.url, "app"))
    server.create("stuck", "a")
    wait_until((folder / "died").exists, lambda: server.log)
    own_database.stop()

    os.kill(server.workers()[0], signal.SIGKILL)
    server.wait_for_line("cannot end the lease of worker 1")
    own_database.start()

    assert server.wait_for_status("stuck", "a", "complete")["output"] == "alive"


def test_worker_runs_what_is_stored(folder: Path, url: str, opened: ExitStack) -> None:
    """No file is there, and the server that had them is gone: both generations end on their own code."""
    for version in ("v1", "v2"):
        write(folder, version)
        server = opened.enter_context(FleetServer(folder, url, "app", *SHORT))
        begin(server, version)
        server.wake(version)
        server.kill()

    worker = opened.enter_context(FleetWorker(folder / "app", url, "", *SHORT))
    (folder / "elsewhere").mkdir()
    write(folder, "v3")
    asked = opened.enter_context(FleetServer(folder, url, "app", *SHORT))

    assert "Code: snapshot 2;" in worker.log
    assert [asked.output(id) for id in ("v1", "v2")] == [of("v1"), of("v2")]


def test_worker_goes_over_to_what_is_served_later(folder: Path, url: str, opened: ExitStack) -> None:
    """Within seconds, also when that server is gone again; what it ran before ends on its own code."""
    server = opened.enter_context(FleetServer(folder, url, "app", *SHORT))
    worker = opened.enter_context(FleetWorker(folder, url, "", *SHORT))
    begin(server, "a")
    write(folder, "v2")
    later = opened.enter_context(FleetServer(folder, url, "app", *SHORT))

    worker.wait_for_line("snapshot 2 is served now, and run here")
    later.kill()
    begin(server, "b")

    assert _end(server, "a", "b") == [of("v1"), of("v2")]


@pytest.mark.long
def test_worker_goes_back_with_a_deployment(folder: Path, url: str, opened: ExitStack) -> None:
    """Earlier code that is served again is what was served last; code that cannot be loaded here changes nothing."""
    server = opened.enter_context(FleetServer(folder, url, "app", *SHORT))
    worker = opened.enter_context(FleetWorker(folder, url, "", *SHORT))
    write(folder, "v2")
    opened.enter_context(FleetServer(folder, url, "app", *SHORT))
    worker.wait_for_line("snapshot 2 is served now, and run here")
    write(folder, "v1")
    opened.enter_context(FleetServer(folder, url, "app", *SHORT))

    worker.wait_for_line("snapshot 1 is served now, and run here")

    begin(server, "a")
    assert _end(server, "a") == [of("v1")]


def test_worker_with_a_path_serves_it(folder: Path, url: str, opened: ExitStack) -> None:
    """New instances are of its files, whichever server creates them; SIGTERM ends it in order."""
    server = opened.enter_context(FleetServer(folder, url, "app", *SHORT))
    write(folder, "v2")
    worker = opened.enter_context(FleetWorker(folder, url, "app", *SHORT))
    begin(server, "a")

    code = worker.terminate()

    assert code == 0
    assert worker.lines[-1] == "Stopping; steps in flight have 5 seconds to end (Ctrl-C again: stop at once)"
    assert "Stepwell is ready: 1 worker, no HTTP" in worker.lines
    assert _end(server, "a") == [of("v2")]


def test_worker_without_code_in_its_database_says_so(folder: Path, url: str) -> None:
    """Somebody has to have served some."""
    ended = stepwell(folder, "worker", "--store", url)

    assert ended.returncode == 1
    assert ended.stderr == (
        'error: the store has no code of the account "local"; serve files once: stepwell serve PATH\n'
    )
