"""The units, held against systemd's own tools, and what a server tells systemd over a real socket."""

import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stepwell.cli.systemd import Systemd
from tests.crash.server import DEADLINE_S, DevServer

FOLDER = Path(__file__).parents[2] / "deploy" / "systemd"
UNITS = ("stepwell.service", "stepwell-worker.service")
INSTALLED = "/".join(("", "srv", "stepwell", "venv", "bin", "stepwell"))
SOURCE = """
import os

from stepwell import WorkflowEntrypoint


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        return sorted(name for name in os.environ if name.startswith(("NOTIFY_", "WATCHDOG_")))
"""


class Heard:
    """The end of the socket at which systemd listens."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.settimeout(DEADLINE_S)

    def next(self) -> list[str]:
        """Return the lines of the next message, now or soon."""
        return self._socket.recv(4096).decode().split("\n")

    def next_but(self, line: str) -> list[str]:
        """Return the lines of the next message that is not this one."""
        return next(lines for lines in iter(self.next, None) if lines != [line])

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[Heard]:
    """A systemd that listens at `notify` in the test's folder."""
    heard = Heard(str(tmp_path / "notify"))
    yield heard
    heard.close()


@pytest.mark.parametrize("name", UNITS)
def test_systemd_takes_the_unit(require: Callable[..., None], tmp_path: Path, name: str) -> None:
    """It knows each directive and each value, also with the drop-ins, and rates what is left open as low."""
    require("systemd-analyze", "it checks units: apt-get install systemd")
    program = shutil.which("true")
    assert program is not None
    unit = tmp_path / name
    unit.write_text((FOLDER / name).read_text().replace(INSTALLED, program))
    more = tmp_path / f"{name}.d"
    more.mkdir()
    for drop_in in FOLDER.glob("*.conf"):
        shutil.copy(drop_in, more)

    taken = _run("systemd-analyze", "verify", "--man=no", str(unit))
    rated = _run("systemd-analyze", "security", "--offline=true", "--threshold=16", "--no-pager", str(unit))

    # Units of the machine may have faults of their own.
    assert [line for line in taken.stderr.splitlines() if name in line] == []
    assert taken.returncode == 0
    assert rated.returncode == 0, rated.stdout


def test_units_differ_only_in_what_they_run() -> None:
    """What keeps a server in its place keeps workers, too."""
    served, worked = ({*(FOLDER / name).read_text().splitlines()} for name in UNITS)

    keys = {line.partition("=")[0] for line in served ^ worked if not line.startswith("#")}

    assert keys == {"Description", "ExecStart", "Environment"}


def test_systemd_is_told_when_a_server_answers_lives_and_stops(
    tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """READY comes when it answers, WATCHDOG as often as is asked for, STOPPING with the time that its grace needs."""
    (tmp_path / "flows.py").write_text(SOURCE)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "200000")

    with DevServer(tmp_path, "flows.py", "--set", "grace=7 seconds") as server:
        first = heard.next()
        with urllib.request.urlopen(f"{server.url}/healthz", timeout=DEADLINE_S) as answer:
            status = answer.status
        signs = [heard.next() for _ in range(3)]
        server.create("order", "a")
        seen = server.wait_for_status("order", "a", "complete")["output"]
        code = server.terminate()
        last = heard.next_but("WATCHDOG=1")

    assert (first, status) == (["READY=1"], 200)
    assert signs == [["WATCHDOG=1"]] * 3
    assert last == ["STOPPING=1", "EXTEND_TIMEOUT_USEC=34000000"]
    # Author code is not who systemd waits for.
    assert (seen, code) == ("[]", 0)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        pytest.param({}, Systemd(), id="started by hand"),
        pytest.param({"NOTIFY_SOCKET": "/run/n"}, Systemd("/run/n"), id="no watchdog"),
        pytest.param(
            {"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}, Systemd("@n"), id="of another"
        ),
        pytest.param({"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "1500000"}, Systemd("/run/n", 1.5), id="both"),
    ],
)
def test_environment_says_who_is_told(environment: dict[str, str], expected: Systemd) -> None:
    """A watchdog that is meant for another process is none, and nothing is left for processes that are started."""
    assert Systemd.of(environment) == expected
    assert environment == {}


async def test_abstract_socket_and_one_that_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    """The name of a socket may begin with a zero; where nobody listens, the server goes on, and its log says so."""
    name = f"stepwell-{id(caplog)}"
    heard = Heard(f"\0{name}")

    async with Systemd(f"@{name}").ready():
        told = heard.next()
    heard.close()
    Systemd(f"@{name}").stopping(1)

    assert told == ["READY=1"]
    assert "systemd cannot be told STOPPING=1" in caplog.text


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
