"""The servers that the soak disturbs, each of them started again as often as it is killed."""

import os
import shutil
import signal
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

from tests import postgres
from tests.crash.fleet import FleetServer
from tests.crash.server import make_token
from tests.soak.doors import Door

HERE = Path(__file__).parent
# How long others wait for a host that is lost, on a database. Two busy cores may well keep one waiting for a second.
LEASE_S = 2.0
# When a worker that is blocked is killed.
STUCK_S = 6.0
WORKERS = 2
OPTIONS = (
    *("--workers", str(WORKERS), "--set", "lost_turns=100000"),
    *("--set", f"host_lease={LEASE_S:.0f} seconds", "--set", f"stuck_after={STUCK_S:.0f} seconds"),
)
_RUN = "SOAK_LEDGER"


class Host:
    """A server on a store, and the door to it."""

    def __init__(self, folder: Path, url: str, app: Path, ledger: Path) -> None:
        self.folder = folder
        self.door = Door()
        self._url, self._app, self._ledger = url, app, ledger
        self._clock = folder / "clock"
        self._servers: list[FleetServer] = []
        folder.mkdir()
        self.set_clock(0)
        self.server = self.start()

    def start(self) -> FleetServer:
        """Start a server, in the place of the one before."""
        # Nobody else is to have them: what has the ledger in its environment is a server, or was started by one.
        path = os.pathsep.join(filter(None, (str(HERE / "clock"), os.environ.get("PYTHONPATH"))))
        more = {_RUN: str(self._ledger), "SOAK_CLOCK": str(self._clock), "PYTHONPATH": path}
        with patch.dict(os.environ, more):
            self.server = FleetServer(self.folder, self._url, str(self._app), *OPTIONS)
        self.door.behind = int(self.server.url.rpartition(":")[2])
        self._servers.append(self.server)
        # Before anybody speaks to it, but for what goes on by itself.
        self.descriptors = len(list(Path(f"/proc/{self.pid}/fd").iterdir()))
        return self.server

    @property
    def pid(self) -> int:
        """The process id of the parent."""
        return self.server.process.pid

    def workers(self) -> list[int]:
        """Return the process ids of the workers that are there."""
        with suppress(FileNotFoundError, ProcessLookupError):
            return self.server.workers()
        return []

    def set_clock(self, offset_s: float) -> None:
        """Let all processes of this host believe that it is so much later than it is."""
        mode = "r+b" if self._clock.exists() else "wb"
        with self._clock.open(mode) as file:
            file.write(struct.pack("<q", round(offset_s * 1e9)))

    def signal(self, number: int, pids: Sequence[int]) -> None:
        """Send a signal to processes that may be gone."""
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def end(self) -> None:
        """Leave no process behind, also in the middle of a fault."""
        self.signal(signal.SIGCONT, [self.pid, *self.workers()])
        self.server.kill()
        self.door.close()
        log = "\n".join(server.log for server in self._servers)
        (self.folder / "log").write_text(log, encoding="utf-8")


class Site:
    """One store with all its hosts, in a folder of their own."""

    def __init__(self, folder: Path, database: postgres.Server | None, hosts: int) -> None:
        self.folder, self.database = folder, database
        self.url = f"sqlite:///{folder / 'store.db'}" if database is None else database.url
        app = folder / "app"
        app.mkdir()
        shutil.copy(HERE / "workflows.py", app / "flows.py")
        self.token = make_token(folder, self.url, "write")
        self.hosts: list[Host] = []
        try:
            for number in range(hosts):
                self.hosts.append(Host(folder / f"host{number}", self.url, app, self.ledger))
        except BaseException:
            self.end()
            raise

    @property
    def ledger(self) -> Path:
        """Where the bodies of steps write."""
        return self.folder / "ledger"

    def processes(self) -> list[int]:
        """Return the processes that a server of this site has started, or is, and that are there."""
        mark = f"{_RUN}={self.ledger}".encode()
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            if int(place.name) == os.getpid():
                continue
            with suppress(OSError):
                is_dead = (place / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
                if not is_dead and mark in (place / "environ").read_bytes():
                    found.append(int(place.name))
        return found

    def end(self) -> None:
        """Leave no process behind."""
        for host in self.hosts:
            host.end()
