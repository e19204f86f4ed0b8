"""What `stepwell dev` and `stepwell serve` share: a host with the API in front of it."""

import asyncio
import contextlib
import os
import socket
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

import click

from stepwell import memory, sockets
from stepwell.cli.host import begin_log, print_ready, print_start, print_stop, run_to_end
from stepwell.cli.reload import Fingerprint, fingerprint, reload_on_change
from stepwell.cli.stop import Stop
from stepwell.cli.systemd import Systemd
from stepwell.clock import SystemClock
from stepwell.engine import Engine
from stepwell.hosting import Host, HostOptions, open_host
from stepwell.hosts import LOOPBACK_HOSTS, without_port
from stepwell.server_settings import settings_file
from stepwell.store.opening import shown
from stepwell.tokens import Tokens
from stepwell.worker_options import FetchOptions

if TYPE_CHECKING:
    from stepwell.api import Api

# Loaded while the workers load, too: both take as long.
_MEANWHILE = ("stepwell.api", "stepwell.http_server")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions(HostOptions):
    """What a server that is reached over HTTP is told."""

    host: str
    port: int
    # A server that asks for tokens has accounts; one that does not takes every account id for its own.
    wants_tokens: bool = False
    allow_hosts: tuple[str, ...] = ()
    # The proxies that are believed whose request they hand on.
    trust_proxies: tuple[str, ...] = ()
    base_path: str = ""
    fetch_port: int | None = None
    # Whether a browser is to show the dashboard.
    opens: bool = False
    # Whether code that reloads does so by itself, when a file changes.
    watches: bool = True

    @property
    def hosts(self) -> frozenset[str] | None:
        """The names that requests may be sent to; None: any, as the server is reached from elsewhere."""
        return LOOPBACK_HOSTS | set(map(without_port, self.allow_hosts)) if sockets.is_loopback(self.host) else None


@dataclass(frozen=True, slots=True)
class Served:
    """What is being served, and where."""

    options: ServerOptions
    host: Host
    fetch_sock: socket.socket
    systemd: Systemd


def run(options: ServerOptions) -> int:
    """Serve until a signal comes; return the exit code. Raises Failure."""
    return run_to_end(_serve(options, Systemd.of(os.environ)))


async def _serve(options: ServerOptions, systemd: Systemd) -> None:
    stop = Stop()
    with (
        contextlib.closing(sockets.make(options.host, options.port)) as sock,
        contextlib.closing(sockets.make(options.host, options.port)) as fetch_sock,
    ):
        sockets.listen(sock, options.host, options.port, "--port")
        async with open_host(options, _fetch(options, fetch_sock), begin_log) as host:
            with stop.on_signals(host.supervisor):
                await _start_and_wait(Served(options, host, fetch_sock, systemd), sock, stop)


def _fetch(options: ServerOptions, fetch_sock: socket.socket) -> FetchOptions:
    hosts = options.hosts
    port = options.fetch_port if options.fetch_port is not None else _port_after(options.port)
    return FetchOptions(fetch_sock.fileno(), options.host, port, None if hosts is None else sorted(hosts))


def _port_after(port: int) -> int:
    """Return the port after another; any free one after any free one, and after the last."""
    return (port + 1) % 65536 if port else 0


async def _start_and_wait(served: Served, sock: socket.socket, stop: Stop) -> None:
    host = served.host
    loaded = {} if host.project is None else fingerprint(host.project)
    if not await stop.before(asyncio.gather(host.supervisor.start(), asyncio.to_thread(_load_meanwhile))):
        return
    from stepwell.http_server import HttpServer

    engine = Engine(host.store, settings=host.told)
    api = _app(served, engine)
    server = HttpServer(api, has_sockets=True)
    await engine.terminations.resume()
    await engine.jobs.resume()
    memory.calm_garbage_collection()
    await server.start(sock)
    try:
        async with host.tending(engine):
            await _print_start(served, sock)
            if served.options.opens:
                _open_browser(served, sock)
            async with served.systemd.ready():
                await stop.before(_until_stopped(served, loaded))
            print_stop(host, served.systemd)
    finally:
        api.end_streams()
        # The API first: what is answered from now on could not be kept an eye on.
        await server.stop(host.told.grace / 1000)
        await engine.terminations.stop()
        await engine.jobs.stop()


def _load_meanwhile() -> None:
    for name in _MEANWHILE:
        import_module(name)


def _app(served: Served, engine: Engine) -> "Api":
    from stepwell.api import create_app
    from stepwell.api.peers import Proxies

    options = served.options
    tokens = Tokens(served.host.store, SystemClock()) if options.wants_tokens else None
    account = None if options.wants_tokens else options.account
    return create_app(
        engine,
        account=account,
        hosts=options.hosts,
        tokens=tokens,
        base=options.base_path,
        deployments=served.host.deployments,
        moves=served.host.moves,
        proxies=Proxies.of(options.trust_proxies),
        metrics=served.host.metrics,
    )


async def _until_stopped(served: Served, loaded: Fingerprint) -> None:
    host = served.host
    if served.options.reloads and served.options.watches and host.project is not None:
        watched = host.project, settings_file(host.project.root, host.options.config)
        await reload_on_change(watched, host.supervisor, loaded, lambda: _print_fetch(served))
    await asyncio.Event().wait()


async def _print_start(served: Served, sock: socket.socket) -> None:
    options = served.options
    await print_start(served.host)
    _print_fetch(served)
    if options.wants_tokens and not await Tokens(served.host.store, SystemClock()).list():
        scopes = "--scope write --scope deploy" if options.allows_deploy else "--scope write"
        click.echo(
            "There is no token yet. Make one in another terminal: stepwell token create "
            f"--store {shown(options.store)} --account {options.account} {scopes}"
        )
    print_ready(_address(options.host, served, sock))


def _open_browser(served: Served, sock: socket.socket) -> None:
    # Imported here: only those need it who ask for it.
    from stepwell.cli import browser

    browser.show(f"{_address(sockets.reached(served.options.host), served, sock)}/")


def _address(host: str, served: Served, sock: socket.socket) -> str:
    return f"http://{sockets.shown(host, sock.getsockname()[1])}{served.options.base_path}"


def _print_fetch(served: Served) -> None:
    if served.host.supervisor.serves_fetch:
        port = served.fetch_sock.getsockname()[1]
        click.echo(f"Worker (fetch): http://{sockets.shown(served.options.host, port)}")
