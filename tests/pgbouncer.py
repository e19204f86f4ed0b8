"""A pgbouncer for tests, which gives each transaction whichever of a few connections is free."""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests import postgres

# Where Debian puts it, which is not on everybody's PATH.
PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
REASON = "pgbouncer: apt-get install pgbouncer"
PORT = 6432
# Fewer connections to the server than a store has: each of them serves several of the store's in turn.
_SETTINGS = """
[databases]
* = {server} user={user}

[pgbouncer]
pool_mode = transaction
default_pool_size = {size}
auth_type = any
unix_socket_dir = {folder}
unix_socket_mode = 0777
listen_port = {port}
server_lifetime = 3600
server_login_retry = 0.2
max_client_conn = 500
"""


class Pooler:
    """A pooler of transactions before a server, in a folder of its own."""

    def __init__(self, url: str, size: int = 2) -> None:
        """`url`: any database of the server; `size`: how many connections it has to each."""
        assert PROGRAM is not None
        self.folder = Path(tempfile.mkdtemp(prefix="sw-pool-"))
        parts = urlsplit(url)
        host = parts.hostname or parse_qs(parts.query)["host"][0]
        password = "" if parts.password is None else f" password={parts.password}"
        settings = _SETTINGS.format(
            server=f"host={host} port={parts.port or 5432}{password}",
            user=parts.username,
            size=size,
            folder=self.folder,
            port=PORT,
        )
        (self.folder / "pgbouncer.ini").write_text(settings)
        self._user = postgres.unprivileged_user()
        if self._user is not None:
            os.chown(self.folder, self._user, -1)
        self.start()
        atexit.register(self.remove)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        assert PROGRAM is not None
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, self.folder / "pgbouncer.ini"], stdout=log, stderr=log, user=self._user
            )
        until = time.monotonic() + 30
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.02)

    def kill(self) -> None:
        """Let it die, with all connections through it."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._socket.unlink(missing_ok=True)

    def remove(self) -> None:
        """End it, and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, of: str) -> str:
        """Return the URL of a database of the server, through this."""
        return f"postgresql://postgres@/{urlsplit(of).path[1:]}?host={self.folder}&port={PORT}"

    @property
    def _socket(self) -> Path:
        return self.folder / f".s.PGSQL.{PORT}"

    def _answers(self) -> bool:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as asked:
            asked.connect(str(self._socket))
            return True
        return False


@cache
def pooler() -> Pooler:
    """Return one before the server that tests share."""
    return Pooler(postgres.server_url())


def is_there() -> bool:
    """Tell whether there is a pgbouncer, and a server to put it before."""
    return PROGRAM is not None and postgres.is_there()
