"""`stepwell` for tests, with a schema of a database in the place of each SQLite file.

It is run as a script, with `-P` and the database in a variable. What the tests of servers ask for they
ask for unchanged, also `stepwell dev`, which has a file for everybody else.
"""

import hashlib
import os
import sys
from dataclasses import replace
from pathlib import Path

VARIABLE = "STEPWELL_TEST_DATABASE"
# What a server that was killed held goes on when its lease is over.
LEASE = {"STEPWELL_HOST_LEASE": "2 seconds"}
_FILE = "sqlite:///"


def in_database(url: str, database: str) -> str:
    """Return where a store is kept in the place of a file; other URLs stay as they are."""
    if not url.startswith(_FILE):
        return url
    path = str(Path(url.removeprefix(_FILE)).absolute())
    name = hashlib.sha256(path.encode()).hexdigest()[:16]
    return f"{database}{'&' if '?' in database else '?'}schema=s{name}"


def main() -> None:
    """Run a command."""
    from stepwell import cli
    from stepwell.cli import server

    run, database = server.run, os.environ[VARIABLE]
    server.run = lambda options: run(replace(options, store=in_database(options.store, database)))
    sys.argv[1:] = [in_database(argument, database) for argument in sys.argv[1:]]
    os.environ.update(LEASE)
    cli.main(prog_name="stepwell")


if __name__ == "__main__":
    main()
