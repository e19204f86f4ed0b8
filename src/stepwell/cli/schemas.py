"""`stepwell migrate`: the schema of a store, as this release has it."""

import asyncio
from contextlib import closing

import apsw

from stepwell.cli.failures import FAILED, NOT_FOUND, USAGE, Failure
from stepwell.cli.output import Column, Output
from stepwell.cli.terminal import say
from stepwell.errors import InvalidInput
from stepwell.store import migrations
from stepwell.store.opening import file_of, is_database, is_there, open_store, require_asyncpg, shown
from stepwell.store.sqlite.faults import translated
from stepwell.store.sqlite.file import FileConnection, lacking

_COLUMNS = (Column("n", lambda item: str(item["n"])), Column("name", lambda item: item["name"]))


def migrate(url: str, out: Output, *, only_looks: bool) -> int:
    """Bring a store up to date, or print what it lacks; return the exit code.

    That is 1 if it was only looked at, and lacks something. Raises Failure.
    """
    pending = _pending(url)
    if pending and not only_looks:
        asyncio.run(open_store(url).close())
    out.show_all([{"n": one.n, "name": one.name} for one in pending], _COLUMNS, "n")
    if not pending:
        say(f"{shown(url)} has the schema of this release")
        return 0
    if only_looks:
        say(f"{shown(url)} lacks this; `stepwell migrate`, or a server that is started on it, brings it up to date")
        return FAILED
    say(f"{shown(url)} has the schema of this release now; older releases open it no more")
    return 0


def _pending(url: str) -> list[migrations.Migration]:
    """Return what a store lacks of this release's schema. Raises Failure if there is none."""
    try:
        if is_there(url):
            found = _of_database(url) if is_database(url) else _of_file(url)
            if found is not None:
                return found
    except InvalidInput as error:
        raise Failure(str(error), USAGE, "--store names one, such as sqlite:///.stepwell/stepwell.db") from error
    raise Failure(f"there is no store at {shown(url)}", NOT_FOUND, "--store says where it is; a server makes one")


def _of_file(url: str) -> list[migrations.Migration]:
    file = file_of(url).absolute()
    with translated(file), closing(FileConnection(str(file), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        return lacking(connection, file)


def _of_database(url: str) -> list[migrations.Migration] | None:
    """Return what a database lacks; None: it has no store."""
    require_asyncpg()
    from stepwell.store.postgres.schema import pending_in

    return asyncio.run(pending_in(url))
