"""Instances that are running stay on their code: real servers, killed, and started again with other code or none."""

import json
import os
import shutil
import signal
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.crash.server import DEADLINE_S, ON_POSTGRES, DevServer, ask_store, layouts, make_token, stepwell, wait_until

FLOWS = """
from pathlib import Path

from helper import VALUE
from stepwell import WorkflowEntrypoint


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        first = await step.do("first {VERSION}", lambda: "{VERSION}")
        await step.wait_for_event("wait", "go", timeout="300 days")
        data = Path(__file__).with_name("data.txt")
        return [first, await step.do("second {VERSION}", lambda: ["{VERSION}", VALUE, data.read_text()])]
"""
PLACE = ("--store", "sqlite:///data/store.db")


class Server(DevServer):
    """A `stepwell serve` with one worker, whose token is there from the first start on."""

    command = "serve"
    place: tuple[str, ...] = (*PLACE, "--workers", "1")

    def call(self, path: str, body: Any = None, *, own: bool = False, method: str | None = None) -> Any:
        """Ask the API and return the result, with a token."""
        token = self.folder / "token"
        if not token.exists():
            token.write_text(make_token(self.folder, self.place[1], "write"))
        url = f"{self.url}/client/v4/accounts/local/{'stepwell/' if own else ''}workflows{path}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"authorization": f"Bearer {token.read_text()}"}, method=method)
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            return json.load(answer)["result"]

    def wake(self, *ids: str) -> None:
        """Send instances the event that they wait for."""
        for id in ids:
            self.call(f"/order/instances/{id}/events/go", {})

    def output(self, id: str) -> Any:
        """Return the output of an instance, once it has completed."""
        return json.loads(self.wait_for_status("order", id, "complete")["output"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with code of version 1 in `app`."""
    (tmp_path / "app").mkdir()
    write(tmp_path, "v1")
    return tmp_path


def write(folder: Path, version: str) -> None:
    """Write code whose steps, module and data say which version they are."""
    (folder / "app" / "flows.py").write_text(FLOWS.replace("{VERSION}", version))
    (folder / "app" / "helper.py").write_text(f'VALUE = "{version}"\n')
    (folder / "app" / "data.txt").write_text(version)


def begin(server: Server, *ids: str) -> None:
    """Create instances, and wait until they wait."""
    for id in ids:
        server.create("order", id)
    for id in ids:
        server.wait_for_status("order", id, "waiting")


def of(version: str) -> list[Any]:
    """Return the output of an instance that ran on one version from its beginning to its end."""
    return [version, [version, version, version]]


def test_both_generations_end_on_their_own_code_from_the_store_alone(folder: Path) -> None:
    """Steps were renamed, results changed, everything was killed, and the files are gone."""
    with Server(folder, "app") as server:
        begin(server, "old")
        server.kill()
    write(folder, "v2")
    with Server(folder, "app") as server:
        begin(server, "new")
        server.kill()
    shutil.rmtree(folder / "app")
    for layout in layouts(folder):
        shutil.rmtree(layout)

    with Server(folder, "--stored", "--workers", "2") as server:
        server.wake("old", "new")
        outputs = [server.output(id) for id in ("old", "new")]
        begin(server, "newest")
        server.wake("newest")

        assert outputs == [of("v1"), of("v2")]
        assert server.output("newest") == of("v2")


def test_replaced_worker_runs_what_was_served_not_what_the_files_say_now(folder: Path) -> None:
    """A file that changes under a running server changes nothing, also when a worker dies."""
    with Server(folder, "app") as server:
        begin(server, "a")
        write(folder, "v2")
        (pid,) = server.workers()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: [worker for worker in server.workers() if worker != pid], lambda: server.log)
        begin(server, "b")
        server.wake("a", "b")

        assert [server.output(id) for id in ("a", "b")] == [of("v1"), of("v1")]


def test_few_workers_run_many_old_versions_one_after_the_other(folder: Path) -> None:
    """Sleeping instances of many snapshots take no process; those that are due get their turn, and go again."""
    for number in range(1, 4):
        write(folder, f"v{number}")
        with Server(folder, "app") as server:
            begin(server, f"i{number}")
            server.kill()
    write(folder, "v4")

    # Nobody has tidied up behind servers of a database that were killed.
    before = set(layouts(folder)) if ON_POSTGRES else set()
    options = ("--set", "pinned_workers=1", "--set", "pinned_idle=1 second")
    with Server(folder, "app", *options) as server:
        assert len(server.workers()) == 1
        server.wake("i1", "i2", "i3")
        most = 0

        def have_ended() -> bool:
            nonlocal most
            most = max(most, len(server.workers()))
            return all(server.get("order", f"i{number}")["status"] == "complete" for number in (1, 2, 3))

        wait_until(have_ended, lambda: server.log)
        assert [server.output(f"i{number}") for number in (1, 2, 3)] == [of("v1"), of("v2"), of("v3")]
        wait_until(lambda: len(server.workers()) == 1, lambda: server.log)
        # One that drains is there beside the next one.
        assert most <= 3
        wait_until(lambda: len(set(layouts(folder)) - before) == 1, lambda: server.log)


def test_old_code_that_cannot_be_loaded_is_named_and_keeps_nobody_from_work(folder: Path) -> None:
    """A package that it needs is gone: its instances wait, and the log says why."""
    (folder / "site").mkdir()
    (folder / "site" / "gone.py").write_text("")
    flows = folder / "app" / "flows.py"
    flows.write_text(f"import sys\nsys.path.append({str(folder / 'site')!r})\nimport gone\n{flows.read_text()}")
    with Server(folder, "app") as server:
        begin(server, "old")
        server.kill()
    write(folder, "v2")
    shutil.rmtree(folder / "site")

    with Server(folder, "app") as server:
        server.wake("old")
        line = server.wait_for_line("tried again in a second")
        server.wait_for_line("tried again in a minute")
        begin(server, "new")
        server.wake("new")

        assert "the code of snapshot 1" in line
        assert "cannot be run; its instances wait, and it is tried again in a second" in line
        assert "No module named 'gone'" in server.log
        assert server.output("new") == of("v2")
        found = server.get("order", "old")
        named = {"type": "noWorker", "version": found["versionId"]}

        def is_named() -> bool:
            # On PostgreSQL the worker that was killed is believed alive until its host's lease is over.
            return bool(server.call("/order/instances/old/why", own=True)["reasons"][-1] == named)

        wait_until(is_named, lambda: server.log)


def test_instances_are_moved_to_code_on_which_they_would_go_on(folder: Path) -> None:
    """One that would break stays on its own, unless somebody insists; what is paused stays so, also after a kill."""
    with Server(folder, "app") as server:
        begin(server, "moved", "paused", "stays", "forced")
        server.call("/order/instances/paused/status", {"status": "pause"}, method="PATCH")
        server.wait_for_status("order", "paused", "paused")
    write(folder, "v2")
    with Server(folder, "app") as server:
        (refused,) = server.call("/order/move", {"instances": ["stays"]}, own=True)
        assert (refused["is_moved"], refused["verdict"]) == (False, "diverges")
        assert refused["problem"].startswith("first v2-1 would be run anew, and first v1-1, wait-1, on record")
        assert refused["where"] == "flows.py:10"
        (forced,) = server.call("/order/move", {"instances": ["forced"], "force": True}, own=True)
        assert (forced["is_moved"], forced["verdict"]) == (True, None)
        server.wait_for_status("order", "forced", "waiting")
        server.wake("forced")
        assert server.output("forced") == of("v2")
    write(folder, "v3")
    code = folder / "app" / "flows.py"
    code.write_text(code.read_text().replace("first v3", "first v1"))
    with Server(folder, "app") as server:
        done = server.call("/order/move", {"instances": ["moved", "paused", "gone", "forced"]}, own=True)
        assert [one["is_moved"] for one in done] == [True, True, False, False]
        assert [one["verdict"] for one in done] == ["goes on", "goes on", None, None]
        assert 'no instance "gone"' in done[2]["problem"]
        assert "is complete" in done[3]["problem"]
        server.kill()
    with Server(folder, "app") as server:
        assert server.get("order", "paused")["status"] == "paused"
        server.call("/order/instances/paused/status", {"status": "resume"}, method="PATCH")
        server.wake("moved", "paused", "stays")

        assert [server.output(id) for id in ("moved", "paused")] == [["v1", ["v3", "v3", "v3"]]] * 2
        assert server.output("stays") == of("v1")


def test_other_packages_than_the_code_was_served_with_are_named(folder: Path) -> None:
    """Once for each snapshot; it runs all the same."""
    with Server(folder, "app") as server:
        begin(server, "old")
        server.kill()
    ask_store(folder / "data" / "store.db", """update snapshots set packages = '{"click":"1.0","left-pad":"3"}'""")
    write(folder, "v2")

    with Server(folder, "app") as server:
        server.wake("old")
        line = server.wait_for_line("snapshot 1 runs with other packages than it was served with")

        assert "click 1.0 then, " in line
        assert "left-pad 3 then, not installed now" in line
        assert server.output("old") == of("v1")


def test_dev_moves_everything_to_the_newest_code(folder: Path) -> None:
    """What began on a snapshot goes on with the files, step by step by their names."""

    class Served(Server):
        place = ("--store", "sqlite:///data/stepwell.db", "--workers", "1")

    with Served(folder, "app") as server:
        begin(server, "old")
        server.terminate()
    (folder / "app" / "data.txt").write_text("v2")

    with DevServer(folder, "app") as dev:
        dev.call("/order/instances/old/events/go", {})
        output = json.loads(dev.wait_for_status("order", "old", "complete")["output"])

        assert output == ["v1", ["v1", "v1", "v2"]]
        assert len(dev.workers()) == 1


@pytest.mark.sqlite
def test_store_beside_the_code_is_no_part_of_it(folder: Path) -> None:
    """Nor is what it lays out: the same files are the same snapshot, at every start."""
    (folder / "app" / "data").mkdir()

    class Beside(Server):
        place = ("--store", "sqlite:///app/data/kept", "--workers", "1")

    for _ in range(2):
        with Beside(folder, "app") as server:
            line = server.wait_for_line("Code: snapshot")
            assert line == "Code: snapshot 1; instances that are running stay on theirs"
            server.terminate()
            # What an earlier server has laid out goes when the next one starts.
            assert len(list((folder / "app" / "data" / "kept.snapshots").iterdir())) == 1
            (folder / "app" / "data" / "kept.snapshots" / "old").mkdir()


def test_code_that_was_never_loaded_is_not_what_was_served_last(folder: Path) -> None:
    """A failed start leaves nothing that `--stored` would take."""
    with Server(folder, "app") as server:
        begin(server, "old")
        server.terminate()
    (folder / "app" / "flows.py").write_text("def broken(:\n")

    failed = stepwell(folder, "serve", "app", "--port", "0", *PLACE)
    with Server(folder, "--stored") as server:
        server.wake("old")

        assert failed.returncode == 1
        assert server.output("old") == of("v1")


def test_server_without_code_in_its_store_says_so(tmp_path: Path) -> None:
    """`--stored` needs a snapshot."""
    ended = stepwell(tmp_path, "serve", "--stored", "--port", "0", *PLACE)

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        'error: the store has no code of the account "local"; serve files once: stepwell serve PATH'
    )
