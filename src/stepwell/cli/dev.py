"""`stepwell dev`: the parent process with its store, its API and one worker; reloads when a file changes."""

import asyncio
import contextlib
import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import watchfiles

from stepwell.api import LOOPBACK_HOSTS, HttpServer, create_app
from stepwell.engine import Engine
from stepwell.errors import ScriptError, StoreError
from stepwell.logs import configure
from stepwell.store.sqlite import SqliteStore
from stepwell.supervisor import Supervisor, SupervisorSettings
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


class CannotStart(Exception):
    """The server cannot start; the message says why and what to do."""


def serve(options: DevOptions) -> int:
    """Serve until a signal comes; return the exit code."""
    configure()
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_serve(options))
    except (CannotStart, ScriptError, StoreError) as error:
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
    sock = _bind(options.host, options.port)
    with contextlib.closing(sock):
        data = _data_folder(Path(options.data))
        store = SqliteStore.open(data / DATABASE)
        supervisor = Supervisor(store, Path(options.path), SupervisorSettings(variables=options.variables))
        try:
            with stop.on_signals(supervisor):
                await _start_and_wait(options, sock, store, supervisor, stop)
        finally:
            await supervisor.stop()
            await store.close()
    return 0


async def _start_and_wait(
    options: DevOptions, sock: socket.socket, store: SqliteStore, supervisor: Supervisor, stop: "_Stop"
) -> None:
    path = Path(options.path)
    loaded = _fingerprint(path)
    if not await stop.before(supervisor.start()):
        return
    hosts = LOOPBACK_HOSTS | set(options.allow_hosts) if _is_loopback(options.host) else None
    server = HttpServer(create_app(Engine(store), account=ACCOUNT, hosts=hosts))
    await server.start(sock)
    try:
        _print_start(options, sock, supervisor)
        await stop.before(_reload_on_change(path, loaded, supervisor))
        click.echo("Stopping; steps in flight have 5 seconds to end (Ctrl-C again: stop at once)")
    finally:
        # The API first: what is answered from now on could not be kept an eye on.
        await server.stop(GRACE_S)


def _print_start(options: DevOptions, sock: socket.socket, supervisor: Supervisor) -> None:
    click.echo(f"Data: {Path(options.data).resolve()}")
    click.echo(f"Workflows: {', '.join(supervisor.workflows)}")
    click.echo(f"Stepwell is ready: http://{_shown(options.host)}:{sock.getsockname()[1]}")
    sys.stdout.flush()


async def _reload_on_change(path: Path, loaded: "_Fingerprint", supervisor: Supervisor) -> None:
    """Reload at each change since `loaded`, for ever. Code that cannot be loaded is reported; the old keeps serving."""
    is_first = True
    async for changes in watchfiles.awatch(
        _folder(path), watch_filter=_is_source, debounce=200, step=50, rust_timeout=1_000, yield_on_timeout=True
    ):
        # A change before the watcher was at work is not told; so it is looked for once.
        if not changes and not (is_first and loaded != _fingerprint(path)):
            is_first = False
            continue
        is_first = False
        names = ", ".join(sorted({Path(changed).name for _, changed in changes})) or "the source"
        try:
            await supervisor.reload()
        except ScriptError as error:
            click.echo(f"{names} changed, but the old code keeps serving:\n{error}", err=True)
        else:
            click.echo(f"{names} changed; now serving: {', '.join(supervisor.workflows)}")


_Fingerprint = dict[str, tuple[int, int]]


def _fingerprint(path: Path) -> _Fingerprint:
    """Return what tells whether the author's files have changed."""
    sources = [path] if path.is_file() else path.glob("*.py")
    beside = [file for name in CONFIG_FILES if (file := _folder(path) / name).exists()]
    return {str(file): (file.stat().st_mtime_ns, file.stat().st_size) for file in [*sources, *beside]}


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.resolve().parent


def _is_source(change: watchfiles.Change, path: str) -> bool:
    is_watched = path.endswith(_WATCHED_SUFFIXES) or Path(path).name == DEV_VARS
    return is_watched and _IGNORES(change, path)


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CannotStart(f"cannot listen on {host}: {error.strerror}") from error
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(address)
        # Listening now, not later: so a second server on this port is refused.
        sock.listen(2048)
    except OSError as error:
        sock.close()
        raise CannotStart(_cannot_bind(host, port, error)) from error
    sock.setblocking(False)
    return sock


def _cannot_bind(host: str, port: int, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"port {port} needs more rights than you have; take one above 1023, such as --port 8787"
    free = next((p for p in range(port + 1, min(port + 100, 65536)) if _is_free(host, p)), None)
    hint = f"; port {free} is free: --port {free}" if free else ""
    return f"cannot listen on {host}:{port}: {(error.strerror or str(error)).lower()}{hint}"


def _is_free(host: str, port: int) -> bool:
    try:
        with contextlib.closing(_bind_quietly(host, port)):
            return True
    except OSError:
        return False


def _bind_quietly(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


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


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


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
