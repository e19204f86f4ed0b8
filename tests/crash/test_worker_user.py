"""Author code that runs as another user: what the kernel refuses it, and what goes on. Real servers, as root."""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from click.testing import CliRunner, Result

from stepwell.cli import main
from tests.crash.readable import make_python
from tests.crash.server import DevServer, make_token
from tests.crash.test_pinned import Server

pytestmark = pytest.mark.sqlite

# A user whom no system has.
UID = 54321
SAID = f"worker_user={UID}:{UID}"
ME = [[UID] * 3, [UID] * 3, []]
FLOWS = """
import ctypes, os, socket, subprocess
from contextlib import suppress
from stepwell import WorkflowEntrypoint


def attack(server, folder):
    name = f"{folder}/data/store.db"
    libc = ctypes.CDLL(None, use_errno=True)

    def trace():
        if libc.ptrace(16, server, None, None):
            raise OSError(ctypes.get_errno(), "ptrace")

    tried = {
        "database": lambda: open(name).read(),
        "log of the database": lambda: open(name + "-wal").read(),
        "data folder": lambda: os.listdir(f"{folder}/data"),
        "store's socket": lambda: socket.socket(socket.AF_UNIX).connect(name + ".sock"),
        "keys": lambda: open(f"{folder}/keys").read(),
        "environment": lambda: open(f"/proc/{server}/environ").read(),
        "descriptors": lambda: os.listdir(f"/proc/{server}/fd"),
        "memory": lambda: open(f"/proc/{server}/mem").read(),
        "signal": lambda: os.kill(server, 0),
        "root": lambda: os.setuid(0),
        "root's group": lambda: os.setgid(0),
        "groups": lambda: os.setgroups([0]),
        "trace": trace,
        "own code": lambda: open(__file__, "a"),
        "beside its code": lambda: os.mkdir(os.path.dirname(__file__) + "/new"),
        "above its code": lambda: os.mkdir(os.path.dirname(os.path.dirname(__file__)) + "/new"),
    }
    found = {}
    for what, try_it in tried.items():
        try:
            try_it()
            found[what] = "done"
        except OSError as error:
            found[what] = type(error).__name__
    return found


def who():
    return [os.getresuid(), os.getresgid(), os.getgroups()]


def around():
    status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
    links = []
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            links.append(os.readlink(f"/proc/self/fd/{number}"))
    helped = subprocess.run(["id", "-u"], capture_output=True, text=True).stdout.strip()
    return {
        "environment": dict(os.environ),
        "links": links,
        "renounced": status["NoNewPrivs"].strip(),
        "rights": [int(status[name], 16) for name in ("CapPrm", "CapEff", "CapAmb")],
        "helped": helped,
    }


class Attack(WorkflowEntrypoint):
    async def run(self, event, step):
        server, folder = event["payload"]
        here = await step.do("here", attack, server, folder)
        apart = await step.do("apart", lambda: [attack(server, folder), around()["rights"], who()], isolated=True)
        return [here, apart, await step.do("around", around), self.env.GIVEN]


class Fails(WorkflowEntrypoint):
    async def run(self, event, step):
        try:
            await step.do("read", open, event["payload"], config={"retries": {"limit": 0, "delay": 0}})
        except PermissionError as error:
            return [type(error).__name__, error.args[0]]


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        first = await step.do("first", who)
        await step.wait_for_event("wait", "go", timeout="300 days")
        return [VERSION, first, await step.do("second", who)]
"""


class OtherServer(Server):
    """A server that takes code, on a Python that every user may read."""

    def __init__(self, python: Path, folder: Path, *options: str) -> None:
        self.python = python
        super().__init__(folder, "--allow-deploy", "--set", SAID, *options)

    def command_line(self, *arguments: str) -> list[str]:
        return [str(self.python), "-m", "stepwell", *arguments]


class OtherDevServer(DevServer):
    """A server under development, on such a Python."""

    def __init__(self, python: Path, folder: Path, *options: str) -> None:
        self.python = python
        super().__init__(folder, "flows.py", *options)

    def command_line(self, *arguments: str) -> list[str]:
        return [str(self.python), "-m", "stepwell", *arguments]


@pytest.fixture(scope="module")
def place(require: Callable[..., None]) -> Iterator[Path]:
    """A folder that other users may pass, with such a Python in `python`."""
    require("root", "workers of another user", os.geteuid() == 0)
    # Those that pytest makes are for their owner alone.
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        place = Path(folder)
        (place / "cache").mkdir()
        place.chmod(0o711)
        patch.setenv("LD_LIBRARY_PATH", str(place / "python" / "lib"))
        patch.setenv("XDG_CACHE_HOME", str(place / "cache"))
        patch.setenv("STEPWELL_TOKEN", "of whoever started it")
        patch.setenv("PGPASSWORD", "secret")
        patch.setenv("GIVEN", "given")
        yield place


@pytest.fixture(scope="module")
def python(place: Path) -> Path:
    """A Python that every user may read."""
    return make_python(place / "python")


@pytest.fixture(scope="module")
def server(place: Path, python: Path) -> Iterator[OtherServer]:
    """A server to which version 1 was deployed."""
    folder = place / "server"
    folder.mkdir()
    (folder / "keys").touch(mode=0o600)
    (folder / "token").write_text(make_token(folder, OtherServer.place[1], "write", "deploy"))
    # What root may have on some systems.
    umask, groups = os.umask(0o077), os.getgroups()
    os.setgroups([0, 4])
    try:
        running = OtherServer(python, folder, "--env", "GIVEN")
    finally:
        os.umask(umask)
        os.setgroups(groups)
    with running:
        deploy(running, "v1")
        yield running


def ask(server: OtherServer, *arguments: str) -> Result:
    """Run a command that asks a server."""
    settings = {"STEPWELL_URL": server.url, "STEPWELL_TOKEN": (server.folder / "token").read_text()}
    return CliRunner().invoke(main, arguments, env=settings, prog_name="stepwell")


def deploy(server: OtherServer, version: str, *options: str) -> None:
    """Deploy a version of the code."""
    code = server.folder / "app"
    code.mkdir(exist_ok=True)
    (code / "flows.py").write_text(FLOWS.replace("VERSION", repr(version)))
    done = ask(server, "deploy", str(code), *options)
    assert done.exit_code == 0, f"{done.output}\n{server.log}"


def test_kernel_refuses_what_is_not_the_codes_own(server: OtherServer, place: Path) -> None:
    """Data, keys, the server itself, root's rights and its own code; also in a step with a process of its own."""
    server.create("attack", "a", [server.process.pid, str(server.folder)])

    here, apart, around, given = json.loads(server.wait_for_status("attack", "a", "complete")["output"])

    assert set(here.values()) == {"PermissionError"}, here
    assert apart == [here, [0, 0, 0], ME]
    assert len(here) == 16
    assert given == "given"
    # Nothing of the server's environment but what is harmless, or was named.
    assert around["environment"] == {
        name: value
        for name, value in around["environment"].items()
        if name in ("PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR")
        or name.startswith(("LC_", "PYTHON"))
    } | {"HOME": "/", "USER": str(UID), "LOGNAME": str(UID), "GIVEN": "given"}
    assert (around["renounced"], around["rights"], around["helped"]) == ("1", [0, 0, 0], str(UID))
    assert [link for link in around["links"] if link.startswith(str(place))] == []
    assert f"socket:[{_listening(server)}]" not in around["links"]


def test_refusal_is_an_error_like_others(server: OtherServer) -> None:
    """The workflow catches it by its class."""
    server.create("fails", "a", str(server.folder / "data" / "store.db"))

    assert json.loads(server.wait_for_status("fails", "a", "complete")["output"]) == ["PermissionError", 13]


def test_every_process_that_runs_code_is_of_that_user(server: OtherServer) -> None:
    """Workers, those for earlier code, isolated steps; checks and rehearsals load the code as he does."""
    server.create("order", "old")
    server.wait_for_status("order", "old", "waiting")
    deploy(server, "v2", "--check")
    server.create("order", "new")
    server.wait_for_status("order", "new", "waiting")

    server.wake("old", "new")

    assert [server.output(id) for id in ("old", "new")] == [["v1", ME, ME], ["v2", ME, ME]]
    assert {_user_of(pid) for pid in server.workers()} == {UID}
    # The one that has been rehearsed on by then, too: what it says comes from a process of his.
    (server.folder / "app" / "flows.py").write_text("import os\nraise SystemExit(os.getuid())\n")
    assert "SystemExit: 54321" in ask(server, "check", str(server.folder / "app"), "--to", server.url).output


def test_code_lies_where_its_user_may_read_it_and_nobody_else(server: OtherServer, place: Path) -> None:
    """Whatever the umask is; when the server ends it is gone."""
    (laid_out,) = (place / "cache" / "stepwell-code").iterdir()

    modes = {
        (path.is_dir(), path.stat().st_mode & 0o777, path.stat().st_uid, path.stat().st_gid)
        for path in (laid_out, *laid_out.rglob("*"))
    }

    assert modes == {(True, 0o750, 0, UID), (False, 0o640, 0, UID)}


def test_code_under_development_runs_and_reloads_as_that_user(place: Path, python: Path) -> None:
    """Its files lie where they are; the setting may come from the project's file."""
    folder = place / "dev"
    folder.mkdir()
    (folder / "stepwell.toml").write_text(f'[settings]\nworker_user = "{UID}:{UID}"\n')
    source = FLOWS.replace('        await step.wait_for_event("wait", "go", timeout="300 days")\n', "")
    (folder / "flows.py").write_text(source.replace("VERSION", '"v1"'))
    with OtherDevServer(python, folder) as server:
        server.create("order", "a")
        first = json.loads(server.wait_for_status("order", "a", "complete")["output"])
        (folder / "flows.py").write_text(source.replace("VERSION", '"v2"'))
        server.wait_for_line("flows.py changed; now serving: ")
        server.create("order", "b")

        assert [first, json.loads(server.wait_for_status("order", "b", "complete")["output"])] == [
            ["v1", ME, ME],
            ["v2", ME, ME],
        ]


def test_python_that_the_user_cannot_read_keeps_the_server_from_starting(place: Path, python: Path) -> None:
    """The message names the folder and the remedy."""
    python.parent.chmod(0o700)
    try:
        command = [str(python), "-m", "stepwell", "dev", "--data", "data", "--port", "0", "--set", SAID]
        ended = subprocess.run(command, cwd=place / "dev", capture_output=True, text=True, check=False, timeout=30)
    finally:
        python.parent.chmod(0o755)

    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: worker_user is {UID}:{UID}: workers could not read {python}, as ")
    assert (
        f"as {python.parent} is closed to that user; let him pass, such as with chmod o+x {python.parent}, or"
        in ended.stderr
    )


@pytest.mark.parametrize(
    ("kept", "problem"),
    [
        pytest.param("setgroups", "and the groups [4, 54321], so it runs no code", id="groups"),
        pytest.param("setgid", "and the groups [0], so it runs no code", id="group"),
        pytest.param("setuid", "is of the users [0] and", id="user"),
    ],
)
def test_worker_that_has_kept_rights_runs_no_code(place: Path, python: Path, kept: str, problem: str) -> None:
    """It looks what it has become."""
    program = f"""
        import os
        from stepwell import worker_user
        os.setgroups([4])
        os.{kept} = lambda _: None
        worker_user.find("{UID}:{UID}").become()
    """

    ended = subprocess.run(
        [str(python), "-c", dedent(program)], cwd=place, capture_output=True, text=True, check=False, timeout=30
    )

    assert ended.returncode == 1
    assert problem in ended.stderr


def _user_of(pid: int) -> int:
    # What cannot be looked into belongs to root; the command line can be read by all.
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("Uid:")[2].split()[1])


def _listening(server: DevServer) -> str:
    """Return the number of the socket on which a server listens."""
    port = f"{int(server.url.rpartition(':')[2]):04X}"
    rows: list[Any] = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    (inode,) = (row[9] for row in rows if row[1].endswith(f":{port}") and row[3] == "0A")
    return str(inode)
