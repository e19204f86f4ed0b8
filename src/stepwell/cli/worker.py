"""`stepwell worker`: runs workflows of a database that others may have open, too, and listens nowhere."""

import asyncio
import sys
from contextlib import AsyncExitStack

import click

from stepwell import memory
from stepwell.cli.failures import USAGE, Failure
from stepwell.cli.host import begin_log, print_start, print_stop, run_to_end
from stepwell.cli.stop import Stop
from stepwell.engine import Engine
from stepwell.hosting import HostOptions, open_host
from stepwell.store.opening import file_of, is_database


def work(options: HostOptions) -> int:
    """Run workflows until a signal comes; return the exit code. Raises Failure, or InvalidInput."""
    if not is_database(options.store):
        # A URL that names no store at all is told so.
        path = file_of(options.store)
        raise Failure(
            f"one process at a time has the file {path}: the server that was started on it",
            USAGE,
            "`stepwell serve --workers N` runs more workers there; for several hosts give --store postgresql://...",
        )
    return run_to_end(_work(options))


async def _work(options: HostOptions) -> None:
    stop = Stop()
    async with AsyncExitStack() as opened:
        host = await opened.enter_async_context(open_host(options, hear=begin_log))
        with stop.on_signals(host.supervisor):
            if not await stop.before(host.supervisor.start()):
                return
            memory.calm_garbage_collection()
            engine = Engine(host.store, settings=host.told)
            opened.push_async_callback(engine.terminations.stop)
            opened.push_async_callback(engine.jobs.stop)
            async with host.tending(engine):
                await print_start(host)
                number = len(host.supervisor.worker_pids)
                click.echo(f"Stepwell is ready: {number} worker{'s' if number > 1 else ''}, no HTTP")
                sys.stdout.flush()
                await stop.before(asyncio.Event().wait())
                print_stop(host)
