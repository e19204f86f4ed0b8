"""A store, whichever kind: a file, which a server may have, or a database."""

import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw

from stepwell.cli.doctor.finding import Finding, fault, many, ok, warning
from stepwell.cli.doctor.instances import LOOKED_THROUGH_BYTES, look_at_instances
from stepwell.cli.doctor.keys import look_at_keys
from stepwell.errors import InvalidInput, StepwellError
from stepwell.store import migrations
from stepwell.store.opening import file_of, is_database, require_asyncpg
from stepwell.store.sharing import socket_path
from stepwell.store.sql.rows import only
from stepwell.store.sqlite.connections import FileReading
from stepwell.store.sqlite.faults import translated
from stepwell.store.sqlite.file import APPLICATION_ID, BUSY_TIMEOUT_MS, FileConnection, lacking

# A log is used again when it has 4 MB, unless somebody reads for long.
_LARGE_LOG_BYTES = 256 * 2**20
_LITTLE_DISK_BYTES = 2**30
_NO_DISK_BYTES = 64 * 2**20
_MB = 2**20
# For others than the owner.
_OTHERS = 0o077


def look_at_store(url: str) -> Iterator[Finding]:
    """Yield how a store is. It is changed by nothing of this."""
    try:
        if is_database(url):
            require_asyncpg()
            from stepwell.cli.doctor.databases import look_at_database

            yield from look_at_database(url)
            return
        file = file_of(url).absolute()
    except InvalidInput as error:
        yield fault("store", str(error), "--store names one, such as sqlite:///.stepwell/stepwell.db")
        return
    if not file.exists():
        yield ok("store", f"none at {file} yet")
        return
    yield from _look_at_file(file, url)


def _look_at_file(file: Path, url: str) -> Iterator[Finding]:
    try:
        with translated(file), closing(FileConnection(str(file), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
            connection.set_busy_timeout(BUSY_TIMEOUT_MS)
            yield (schema := _schema(connection, file))
            yield _integrity(connection, file)
            keys = list(look_at_keys(connection)) if schema.state == "ok" else []
            yield from keys
            if schema.state == "ok" and all(finding.state == "ok" for finding in keys):
                reading = FileReading(connection, str(file))
                is_served = _answers(socket_path(file)) or _has_living_owner(file)
                yield from look_at_instances(reading, url, with_ended=_is_small(file), is_served=is_served)
    except StepwellError as error:
        yield fault("store", str(error), "`stepwell restore` makes one of a backup; --store names another")
    yield _disk(file)
    yield _log(file)
    yield _mode(file)
    yield from _server(file)


def _schema(connection: FileConnection, file: Path) -> Finding:
    if only(connection, "pragma application_id") != (APPLICATION_ID,):
        return fault("store", f"{file} is a database, but not of Stepwell", "--store names another")
    pending = lacking(connection, file)
    size = f"{file}, {file.stat().st_size / _MB:,.1f} MB"
    if pending:
        remedy = "the first server that is started on it brings it up to date; make a backup before"
        return warning("store", f"{size}, lacks {many(len(pending), 'part')} of this release's schema", remedy)
    return ok("store", f"{size}, schema {migrations.known('sqlite')[-1].n}")


def _is_small(file: Path) -> bool:
    """Tell whether all of a file is looked at."""
    return file.stat().st_size <= LOOKED_THROUGH_BYTES


def _integrity(connection: FileConnection, file: Path) -> Finding:
    if not _is_small(file):
        return ok("integrity", "not looked at, as it is large; `stepwell backup` checks all that it copies")
    (verdict,) = only(connection, "pragma quick_check(1)")
    if verdict != "ok":
        return fault("integrity", f"{file} is damaged: {verdict}", "`stepwell restore` makes a store of a backup")
    return ok("integrity", "every page is as it should be")


def _disk(file: Path) -> Finding:
    free = shutil.disk_usage(file.parent).free
    said = f"{free / 2**30:,.1f} GB are free below {file.parent}"
    if free < _NO_DISK_BYTES:
        return fault("disk", said, "make room: nothing can be written soon")
    if free < max(_LITTLE_DISK_BYTES, file.stat().st_size // 10):
        return warning("disk", said, "make room, or let ended instances go earlier: success_retention")
    return ok("disk", said)


def _log(file: Path) -> Finding:
    log = file.with_name(file.name + "-wal")
    size = log.stat().st_size if log.exists() else 0
    if size > _LARGE_LOG_BYTES:
        remedy = "end whatever reads the file for long, such as a shell of SQLite; then the log is used again"
        return warning("log", f"{log} has {size / _MB:,.0f} MB", remedy)
    return ok("log", f"{size / _MB:,.1f} MB are not in the database yet")


def _mode(file: Path) -> Finding:
    mode = file.stat().st_mode & 0o777
    if mode & _OTHERS:

        def mend() -> str:
            file.chmod(0o600)
            return "it has mode 0600"

        said = f"{file} has mode {mode:04o}: other users may read it"
        return warning("permissions", said, f"`chmod 600 {file}`", mend)
    return ok("permissions", f"mode {mode:04o}, owner {file.stat().st_uid}")


def _server(file: Path) -> Iterator[Finding]:
    """Yield whether a server has a file, and what one that is dead has left."""
    place = socket_path(file)
    if _answers(place):
        yield ok("host", f"a server has the file, and is reached at {place}")
    elif place.exists():
        yield warning("host", f"{place} is left of a server that was killed", "the next one that is started takes it")
    elif _has_living_owner(file):
        yield warning(
            "host", "a process has the file, and other commands do not reach it", "a shorter path for the store"
        )
    else:
        yield ok("host", "no server has the file")
    beside = file.with_name(f"{file.name}.copying")
    if beside.exists():
        said = f"{beside} is of a copy or backup that was ended"
        yield warning("leftovers", said, f"`rm {beside}`, if none goes on", lambda: _remove(beside))


def _remove(beside: Path) -> str:
    """Remove a file that nobody writes any more; whoever writes it has its lock. Raises InvalidInput."""
    with beside.open("rb+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidInput("store", f"{beside} is being written") from None
        beside.unlink()
    return "it is removed"


def _answers(place: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.connect(str(place))
        except OSError:
            return False
        return True


def _has_living_owner(file: Path) -> bool:
    """Tell whether the process lives that was the last to have a file."""
    try:
        pid = int(file.with_name(file.name + ".lock").read_text("ascii"))
        os.kill(pid, 0)
        # This process had it, if something was put right.
        return pid != os.getpid() and b"stepwell" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return False
