"""`stepwell worker`: runs workflows of a database that others may have open, too; it has no API, metrics if wanted."""

import asyncio
import os
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass

from stepwell import memory, sockets
from stepwell.api import create_app
from stepwell.api.metrics_only import MetricsOnly
from stepwell.cli.failures import USAGE, Failure
from stepwell.cli.host import begin_log, print_ready, print_start, print_stop, run_to_end
from stepwell.cli.stop import Stop
from stepwell.cli.systemd import Systemd
from stepwell.clock import SystemClock
from stepwell.engine import Engine
from stepwell.hosting import Host, HostOptions, open_host
from stepwell.hosts import LOOPBACK_HOSTS
from stepwell.http_server import HttpServer
from stepwell.store.opening import file_of, is_database
from stepwell.tokens import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingOptions(HostOptions):
    """What a host without an API is told. `metrics_port`: where its metrics are served; None: nowhere."""

    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = None


def work(options: WorkingOptions) -> int:
    """Run workflows until a signal comes; return the exit code. Raises Failure, or InvalidInput."""
    if not is_database(options.store):
        # A URL that names no store at all is told so.
        path = file_of(options.store)
        raise Failure(
            f"one process at a time has the file {path}: the server that was started on it",
            USAGE,
            "`stepwell serve --workers N` runs more workers there; for several hosts give --store postgresql://...",
        )
    return run_to_end(_work(options, Systemd.of(os.environ)))


async def _work(options: WorkingOptions, systemd: Systemd) -> None:
    stop = Stop()
    async with AsyncExitStack() as opened:
        host = await opened.enter_async_context(open_host(options, hear=begin_log))
        with stop.on_signals(host.supervisor):
            if not await stop.before(host.supervisor.start()):
                return
            memory.calm_garbage_collection()
            engine = Engine(host.store, settings=host.told)
            where = await _serve_metrics(options, host, engine, opened)
            opened.push_async_callback(engine.terminations.stop)
            opened.push_async_callback(engine.jobs.stop)
            async with host.tending(engine):
                await print_start(host)
                number = len(host.supervisor.worker_pids)
                print_ready(f"{number} worker{'s' if number > 1 else ''}, {where}")
                async with systemd.ready():
                    await stop.before(asyncio.Event().wait())
                print_stop(host, systemd)


async def _serve_metrics(options: WorkingOptions, host: Host, engine: Engine, opened: AsyncExitStack) -> str:
    """Serve the metrics, if they are wanted, until all is closed; return where, in words. Raises CannotListen."""
    if options.metrics_port is None:
        return "no HTTP"
    name = options.metrics_host
    sock = opened.enter_context(closing(sockets.make(name, options.metrics_port)))
    sockets.listen(sock, name, options.metrics_port, "--metrics-port")
    hosts = LOOPBACK_HOSTS if sockets.is_loopback(name) else None
    tokens = Tokens(host.store, SystemClock())
    server = HttpServer(MetricsOnly(create_app(engine, account=None, hosts=hosts, tokens=tokens, metrics=host.metrics)))
    address = sockets.shown(name, sock.getsockname()[1])
    await server.start(sock)
    opened.push_async_callback(server.stop, 0)
    return f"metrics: http://{address}/metrics"
