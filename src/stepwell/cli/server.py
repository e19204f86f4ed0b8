"""What `stepwell dev` and `stepwell serve` share: the parent process with its store, its API and its workers."""

import asyncio
import contextlib
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from stepwell import durations, memory, sockets
from stepwell.api import Api, create_app
from stepwell.cli.failures import FAILED, Failure
from stepwell.cli.places import place_beside
from stepwell.cli.reload import Fingerprint, fingerprint, reload_on_change
from stepwell.cli.stop import Stop
from stepwell.clock import SystemClock
from stepwell.engine import Engine
from stepwell.errors import CannotListen, InvalidInput, InvalidSetting, ScriptError, StoreError
from stepwell.hosts import LOOPBACK_HOSTS, without_port
from stepwell.http_server import HttpServer
from stepwell.logs import configure
from stepwell.pinned import PinnedSettings, PinnedWorkers, keep_served, lay_out_stored, layouts_of
from stepwell.project import Project
from stepwell.server_settings import Settings, tell
from stepwell.store import Store
from stepwell.store.opening import file_of, is_database, open_store, shown
from stepwell.store.sharing import SharedStore
from stepwell.supervisor import Supervisor, SupervisorSettings
from stepwell.tokens import Tokens
from stepwell.worker_options import CodeOptions, FetchOptions


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """What a server is told. `account`: whose the workflows are."""

    path: str
    host: str
    port: int
    store: str
    account: str = "local"
    workers: int = 1
    # A server that asks for tokens has accounts; one that does not takes every account id for its own.
    wants_tokens: bool = False
    reloads: bool = False
    # Whether the code comes from the store, and no file is looked at.
    is_stored: bool = False
    allow_hosts: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    fetch_port: int | None = None
    keeps_output: bool = True
    # Settings as they are given on the command line: NAME=VALUE.
    settings: tuple[str, ...] = ()

    @property
    def hosts(self) -> frozenset[str] | None:
        """The names that requests may be sent to; None: any, as the server is reached from elsewhere."""
        return LOOPBACK_HOSTS | set(map(without_port, self.allow_hosts)) if sockets.is_loopback(self.host) else None


@dataclass(frozen=True, slots=True)
class Served:
    """What is being served, and by what. `place`: what lies beside the store is called after it."""

    options: ServerOptions
    project: Project
    told: Settings
    store: Store
    place: Path
    code: CodeOptions
    supervisor: Supervisor
    fetch_sock: socket.socket


def run(options: ServerOptions) -> int:
    """Serve until a signal comes; return the exit code. Raises Failure."""
    configure()
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_serve(options))
    except (CannotListen, InvalidInput, InvalidSetting, ScriptError, StoreError) as error:
        click.echo(f"error: {error}", err=True)
        return 1


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop


async def _serve(options: ServerOptions) -> int:
    for name in options.variables:
        if name not in os.environ:
            missing = f"--env {name}: there is no environment variable of this name"
            raise Failure(missing, FAILED, "set it, or leave it out")
    stop = Stop()
    # Looked at first: a wrong path or setting leaves nothing behind.
    files = None if options.is_stored else _project(options.path, options)
    with (
        contextlib.closing(sockets.make(options.host, options.port)) as sock,
        contextlib.closing(sockets.make(options.host, options.port)) as fetch_sock,
    ):
        sockets.listen(sock, options.host, options.port, "--port")
        async with contextlib.AsyncExitStack() as opened:
            store = open_store(options.store, _host_lease_ms(options, files))
            opened.push_async_callback(store.close)
            shared = _share(options, store, opened)
            place = opened.enter_context(place_beside(options.store))
            project, told, code = await _code(options, store, place, files)
            supervisor = Supervisor(store, code, _settings(options, told, fetch_sock))
            opened.push_async_callback(supervisor.stop)
            with stop.on_signals(supervisor):
                if shared is not None:
                    shared.start()
                served = Served(options, project, told, store, place, code, supervisor, fetch_sock)
                await _start_and_wait(served, sock, stop)
    return 0


def _host_lease_ms(options: ServerOptions, files: tuple[Project, Settings] | None) -> int:
    """Return what is needed before the store is open, from which the code, and its file of settings, may have to come."""
    told = tell(options.settings, os.environ, None).settings if files is None else files[1]
    return told.host_lease


def _share(options: ServerOptions, store: Store, opened: contextlib.AsyncExitStack) -> SharedStore | None:
    """Let other commands use the store's file; those that need a database open it themselves."""
    if is_database(options.store):
        return None
    shared = SharedStore(store, file_of(options.store))
    opened.push_async_callback(shared.close)
    return shared


def _project(path: str, options: ServerOptions) -> tuple[Project, Settings]:
    project = Project.at(Path(path))
    return project, tell(options.settings, os.environ, project.root).settings


async def _code(
    options: ServerOptions, store: Store, place: Path, files: tuple[Project, Settings] | None
) -> tuple[Project, Settings, CodeOptions]:
    """Return what workers run: the files as they are, where they are watched; else a snapshot, of them or stored."""
    if files is None:
        code = await lay_out_stored(store, options.account, layouts_of(place))
        return *_project(code.path, options), code
    project, told = files
    if options.reloads:
        return project, told, CodeOptions(options.path)
    return project, told, await keep_served(store, project, options.account, _pinning(options, place, told))


def _pinning(options: ServerOptions, place: Path, told: Settings) -> PinnedSettings:
    return PinnedSettings(
        place, told.snapshot_size, told.pinned_workers, told.pinned_idle, is_shared=is_database(options.store)
    )


def _settings(options: ServerOptions, told: Settings, fetch_sock: socket.socket) -> SupervisorSettings:
    hosts = options.hosts
    port = options.fetch_port if options.fetch_port is not None else _port_after(options.port)
    return SupervisorSettings(
        grace_s=told.grace / 1000,
        blocked_after_s=told.blocked_after / 1000,
        stuck_after_s=told.stuck_after / 1000,
        told=told,
        variables=options.variables,
        keeps_output=options.keeps_output,
        fetch=FetchOptions(fetch_sock.fileno(), options.host, port, None if hosts is None else sorted(hosts)),
        workers=options.workers,
        account=options.account,
    )


def _port_after(port: int) -> int:
    """Return the port after another; any free one after any free one, and after the last."""
    return (port + 1) % 65536 if port else 0


async def _start_and_wait(served: Served, sock: socket.socket, stop: Stop) -> None:
    loaded = fingerprint(served.project)
    if not await stop.before(served.supervisor.start()):
        return
    engine = _engine(served)
    api = _app(served, engine)
    server = HttpServer(api, has_sockets=True)
    await engine.terminations.resume()
    memory.calm_garbage_collection()
    await server.start(sock)
    pinned = asyncio.create_task(_run_pinned(served))
    try:
        await _print_start(served, sock)
        await stop.before(_until_stopped(served, loaded))
        grace = durations.in_words(served.told.grace)
        click.echo(f"Stopping; steps in flight have {grace} to end (Ctrl-C again: stop at once)")
    finally:
        pinned.cancel()
        api.end_streams()
        # The API first: what is answered from now on could not be kept an eye on.
        await server.stop(served.told.grace / 1000)
        await engine.terminations.stop()


async def _run_pinned(served: Served) -> None:
    """Run the instances that stay on earlier code; where the files are watched, none does."""
    if served.code.snapshot:
        settings = _pinning(served.options, served.place, served.told)
        await PinnedWorkers(served.store, served.supervisor, served.code, settings).run(served.options.account)


def _engine(served: Served) -> Engine:
    return Engine(served.store, settings=served.told)


def _app(served: Served, engine: Engine) -> Api:
    options = served.options
    tokens = Tokens(served.store, SystemClock()) if options.wants_tokens else None
    account = None if options.wants_tokens else options.account
    return create_app(engine, account=account, hosts=options.hosts, tokens=tokens)


async def _until_stopped(served: Served, loaded: Fingerprint) -> None:
    if served.options.reloads:
        await reload_on_change(served.project, served.supervisor, loaded, lambda: _print_fetch(served))
    await asyncio.Event().wait()


async def _print_start(served: Served, sock: socket.socket) -> None:
    options = served.options
    click.echo(f"Data: {shown(options.store) if is_database(options.store) else served.place.parent}")
    if served.code.snapshot:
        click.echo(f"Code: snapshot {served.code.snapshot}; instances that are running stay on theirs")
    click.echo(f"Workflows: {', '.join(served.supervisor.workflows)}")
    _print_fetch(served)
    if options.wants_tokens and not await Tokens(served.store, SystemClock()).list():
        click.echo(
            "There is no token yet. Make one in another terminal: stepwell token create "
            f"--store {shown(options.store)} --account {options.account} --scope write"
        )
    click.echo(f"Stepwell is ready: http://{sockets.shown(options.host, sock.getsockname()[1])}")
    sys.stdout.flush()


def _print_fetch(served: Served) -> None:
    if served.supervisor.serves_fetch:
        port = served.fetch_sock.getsockname()[1]
        click.echo(f"Worker (fetch): http://{sockets.shown(served.options.host, port)}")
