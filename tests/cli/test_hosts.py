"""`stepwell hosts`, against a real server, and what it says of more than that has."""

import json
from typing import Any

import pytest

from stepwell import __version__
from tests.cli.commands import ask, run
from tests.cli.scripted import Answer, scripted
from tests.crash.server import DevServer

LOST: dict[str, Any] = {
    "id": "3",
    "name": "web-1:42",
    "version": None,
    "state": "lost",
    "opened_on": None,
    "renewed_on": None,
    "workers": 2,
    "blocked_workers": 1,
    "held": 7,
    "lag_ms": 120_000,
}
DATABASE = {"kind": "postgresql", "version": "17.5", "size": 3 * 2**20}


@pytest.mark.sqlite
def test_host_is_listed(server: DevServer) -> None:
    """The one of a file, with its worker; behind it, on standard error, what the store is kept in."""
    line = ask(server, "hosts", "list")
    whole = ask(server, "hosts", "list", "-o", "json")

    id, _, state, workers, held, *_, version = line.stdout.rstrip("\n").split("\t")
    assert (id, state, workers, held, version) == ("1", "alive", "1", "0", __version__)
    assert line.stderr.startswith("SQLite 3.")
    assert line.stderr.endswith("MB; 0 due; 0 queued for a slot\n")
    assert json.loads(whole.stdout)["database"]["kind"] == "sqlite"


def test_host_that_is_lost_is_told() -> None:
    """What is not known is a dash; how many of its workers hang is told, and how long what is due has waited."""
    found = {"hosts": [LOST], "waiting": {"due": 10_000, "lag_ms": 120_000, "queued": 4}, "database": DATABASE}
    with scripted([Answer.result(found), Answer.result(found)]) as server:
        told = run("hosts", "list", "--url", server.url)
        ids = run("hosts", "list", "--url", server.url, "-o", "ids")

    assert told.stdout == "3\tweb-1:42\tlost\t2, 1 blocked\t7\t2 min\t-\t-\t-\n"
    assert told.stderr == "PostgreSQL 17.5, 3.0 MB; 10,000 or more due, the first for 2 min; 4 queued for a slot\n"
    assert (ids.stdout, ids.stderr) == ("3\n", "")
