"""PostgreSQL servers of a run's own, which wait for the disk."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests import postgres

# Everything else is as the server has it: fsync and synchronous_commit are on.
DURABLE = {"listen_addresses": ""}


@contextmanager
def database() -> Iterator[tuple[str, int]]:
    """Start a server with an empty database, and remove it; give the database's URL and the server's process id."""
    server = postgres.Server()
    try:
        server.start(settings=DURABLE)
        yield made(server, "bench"), int((server.folder / "data" / "postmaster.pid").read_text().split()[0])
    finally:
        server.remove()


def made(server: postgres.Server, name: str) -> str:
    """Make a database, and return its URL."""
    postgres.query(server.url, f"create database stepwell_{name}")
    return server.url.replace("/postgres?", f"/stepwell_{name}?")
