"""Servers and workers of one PostgreSQL database, as processes of their own."""

from pathlib import Path

from tests.crash.server import DevServer
from tests.crash.test_pinned import Server


class FleetServer(Server):
    """A `stepwell serve` with one worker, on a database."""

    def __init__(self, folder: Path, url: str, path: str, *options: str) -> None:
        self.place = ("--store", url, "--workers", "1")
        super().__init__(folder, path, *options)


class FleetWorker(DevServer):
    """A `stepwell worker` with one worker, on a database; of what is stored there, if no path is given."""

    command = "worker"
    listens = ()

    def __init__(self, folder: Path, url: str, path: str = "", *options: str) -> None:
        self.place = ("--store", url, "--workers", "1")
        super().__init__(folder, path, *options)
