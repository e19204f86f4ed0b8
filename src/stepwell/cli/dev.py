"""`stepwell dev`: the parent process with its store, its API and one worker; reloads when a file changes."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import watchfiles

from stepwell import sockets
from stepwell.api import create_app
from stepwell.engine import Engine
from stepwell.errors import CannotListen, ScriptError, StoreError
from stepwell.hosts import LOOPBACK_HOSTS
from stepwell.http_server import HttpServer
from stepwell.logs import configure
from stepwell.project import Project
from stepwell.store.sqlite import SqliteStore
from stepwell.supervisor import Supervisor, SupervisorSettings
from stepwell.worker_options import FetchOptions
from stepwell.wrangler import CONFIG_FILES, DEV_VARS

ACCOUNT = "local"
DATABASE = "stepwell.db"
GRACE_S = 5.0
# A terminal or an init and a parent process may each send a signal: so soon after the first it is the same wish.
_SAME_WISH_S = 0.5

_IGNORES = watchfiles.DefaultFilter(ignore_dirs=(*watchfiles.DefaultFilter.ignore_dirs, ".stepwell"))
_WATCHED_SUFFIXES = (".py", ".toml", ".json", ".jsonc")


@dataclass(frozen=True, slots=True)
class DevOptions:
    """What the command was given."""

    path: str
    host: str
    port: int
    data: str
    allow_hosts: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    fetch_port: int | None = None
    keeps_output: bool = True


class CannotStart(Exception):
    """The server cannot start; the message says why and what to do."""


def serve(options: DevOptions) -> int:
    """Serve until a signal comes; return the exit code."""
    configure()
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_serve(options))
    except (CannotStart, CannotListen, ScriptError, StoreError) as error:
        click.echo(f"error: {error}", err=True)
        return 1


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop


async def _serve(options: DevOptions) -> int:
    for name in options.variables:
        if name not in os.environ:
            raise CannotStart(f"--env {name}: there is no environment variable of this name; set it, or leave it out")
    stop = _Stop()
    project = Project.at(Path(options.path))
    with (
        contextlib.closing(sockets.make(options.host, options.port)) as sock,
        contextlib.closing(sockets.make(options.host, options.port)) as fetch_sock,
    ):
        sockets.listen(sock, options.host, options.port, "--port")
        data = _data_folder(Path(options.data))
        store = SqliteStore.open(data / DATABASE)
        supervisor = Supervisor(store, Path(options.path), _settings(options, fetch_sock))
        try:
            with stop.on_signals(supervisor):
                await _start_and_wait(Served(options, project, store, supervisor, fetch_sock), sock, stop)
        finally:
            await supervisor.stop()
            await store.close()
    return 0


def _hosts(options: DevOptions) -> frozenset[str] | None:
    """Return the names that requests may be sent to; None: any, as the server is reached from elsewhere."""
    return LOOPBACK_HOSTS | set(options.allow_hosts) if sockets.is_loopback(options.host) else None


def _settings(options: DevOptions, fetch_sock: socket.socket) -> SupervisorSettings:
    hosts = _hosts(options)
    port = options.fetch_port if options.fetch_port is not None else _port_after(options.port)
    fetch = FetchOptions(fetch_sock.fileno(), options.host, port, None if hosts is None else sorted(hosts))
    return SupervisorSettings(variables=options.variables, keeps_output=options.keeps_output, fetch=fetch)


def _port_after(port: int) -> int:
    """Return the port after another; any free one after any free one, and after the last."""
    return (port + 1) % 65536 if port else 0


@dataclass(frozen=True, slots=True)
class Served:
    """What is being served, and by what."""

    options: DevOptions
    project: Project
    store: SqliteStore
    supervisor: Supervisor
    fetch_sock: socket.socket


async def _start_and_wait(served: Served, sock: socket.socket, stop: "_Stop") -> None:
    loaded = _fingerprint(served.project)
    if not await stop.before(served.supervisor.start()):
        return
    app = create_app(Engine(served.store), account=ACCOUNT, hosts=_hosts(served.options))
    server = HttpServer(app)
    await server.start(sock)
    try:
        _print_start(served, sock)
        await stop.before(_reload_on_change(served, loaded))
        click.echo("Stopping; steps in flight have 5 seconds to end (Ctrl-C again: stop at once)")
    finally:
        # The API first: what is answered from now on could not be kept an eye on.
        await server.stop(GRACE_S)


def _print_start(served: Served, sock: socket.socket) -> None:
    click.echo(f"Data: {Path(served.options.data).resolve()}")
    click.echo(f"Workflows: {', '.join(served.supervisor.workflows)}")
    _print_fetch(served)
    click.echo(f"Stepwell is ready: http://{sockets.shown(served.options.host, sock.getsockname()[1])}")
    sys.stdout.flush()


def _print_fetch(served: Served) -> None:
    if served.supervisor.serves_fetch:
        port = served.fetch_sock.getsockname()[1]
        click.echo(f"Worker (fetch): http://{sockets.shown(served.options.host, port)}")


async def _reload_on_change(served: Served, loaded: "_Fingerprint") -> None:
    """Reload at each change since `loaded`, for ever. Code that cannot be loaded is reported; the old keeps serving."""
    project, supervisor, is_first = served.project, served.supervisor, True
    async for changes in watchfiles.awatch(
        project.root, watch_filter=_is_source, debounce=200, step=50, rust_timeout=1_000, yield_on_timeout=True
    ):
        # A change before the watcher was at work is not told; so it is looked for once.
        if not changes and not (is_first and loaded != _fingerprint(project)):
            is_first = False
            continue
        is_first = False
        names = ", ".join(sorted({Path(changed).name for _, changed in changes})) or "the source"
        had_fetch = supervisor.serves_fetch
        try:
            await supervisor.reload()
        except ScriptError as error:
            click.echo(f"{names} changed, but the old code keeps serving:\n{error}", err=True)
        else:
            click.echo(f"{names} changed; now serving: {', '.join(supervisor.workflows)}")
            if not had_fetch:
                _print_fetch(served)


_Fingerprint = dict[str, tuple[int, int]]


def _fingerprint(project: Project) -> _Fingerprint:
    """Return what tells whether the author's files have changed."""
    beside = [file for name in CONFIG_FILES if (file := project.root / name).exists()]
    return {str(file): (file.stat().st_mtime_ns, file.stat().st_size) for file in [*project.files, *beside]}


def _is_source(change: watchfiles.Change, path: str) -> bool:
    is_watched = path.endswith(_WATCHED_SUFFIXES) or Path(path).name == DEV_VARS
    return is_watched and _IGNORES(change, path)


def _data_folder(path: Path) -> Path:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        ignore = path / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise CannotStart(
            f"cannot write to the data folder {path.resolve()}: {error.strerror}; choose another with --data"
        ) from error
    return path.resolve()


class _Stop:
    """The wish to stop: SIGINT or SIGTERM. A second one ends the workers at once."""

    def __init__(self) -> None:
        self._wanted = asyncio.Event()
        self._wanted_at = 0.0

    @contextlib.contextmanager
    def on_signals(self, supervisor: Supervisor) -> Iterator[None]:
        """Listen for the signals."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._signalled, supervisor)
        yield

    async def before(self, work: object) -> bool:
        """Do work until it is done or the wish to stop comes; tell whether it was done. Raises what it raises."""
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]  # any awaitable
        wish = asyncio.ensure_future(self._wanted.wait())
        try:
            await asyncio.wait({task, wish}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                await task
                return True
            return False
        finally:
            for unneeded in (task, wish):
                unneeded.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({task, wish})

    def _signalled(self, supervisor: Supervisor) -> None:
        now = asyncio.get_running_loop().time()
        if not self._wanted.is_set():
            self._wanted_at = now
            self._wanted.set()
        elif now - self._wanted_at > _SAME_WISH_S:
            supervisor.kill_now()
