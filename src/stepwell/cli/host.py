"""How commands run a host: on a loop of its own, with what it prints of itself."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any

import click

from stepwell import durations
from stepwell.cli.systemd import Systemd
from stepwell.errors import CannotListen, InvalidInput, InvalidSetting, ScriptError, StoreError
from stepwell.hosting import Host
from stepwell.logs import configure
from stepwell.server_settings import Settings
from stepwell.store.opening import is_database, shown
from stepwell.store.operations import ListWorkflows

_NAMED_AT_MOST = 100
# What stopping takes at the most beside the grace, which requests have, and then steps.
_CLOSING_S = 20.0


def begin_log(told: Settings) -> None:
    """Send the log to standard error as the settings say."""
    configure(told.log_format)


def run_to_end(serving: Coroutine[Any, Any, None]) -> int:
    """Run a server until it ends; return the exit code. Raises Failure."""
    configure()
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(serving)
            return 0
    except (CannotListen, InvalidInput, InvalidSetting, ScriptError, StoreError) as error:
        click.echo(f"error: {error}", err=True)
        return 1


async def print_start(host: Host) -> None:
    """Print what is run, and where it is kept."""
    store = host.options.store
    click.echo(f"Data: {shown(store) if is_database(store) else host.place.parent}")
    if host.code.snapshot:
        click.echo(f"Code: snapshot {host.code.snapshot}; instances that are running stay on theirs")
    if host.code.path:
        click.echo(f"Workflows: {', '.join(host.supervisor.workflows)}")
        if host.code.snapshot and (beside := await _beside(host)):
            click.echo(f"Beside them, on the code that had them last: {', '.join(beside)}")
    else:
        click.echo("Workflows: none yet; upload them: stepwell deploy PATH --to URL")


async def _beside(host: Host) -> list[str]:
    """Return what is served, but not by the code that was deployed last: workflows of other scripts, most of all."""
    found = await host.store.run(ListWorkflows(host.options.account, _NAMED_AT_MOST, 0))
    names = [workflow.name for workflow in found.rows if workflow.name not in host.supervisor.workflows]
    return names if found.total <= _NAMED_AT_MOST else [*names, "..."]


def print_ready(what: str) -> None:
    """Print that all is there, for programs, too, which wait for that line."""
    click.echo(f"Stepwell is ready: {what}")
    sys.stdout.flush()


def print_stop(host: Host, systemd: Systemd) -> None:
    """Print that it stops, and what the steps in flight have of it."""
    grace = durations.in_words(host.told.grace)
    click.echo(f"Stopping; steps in flight have {grace} to end (Ctrl-C again: stop at once)")
    systemd.stopping(2 * host.told.grace / 1000 + _CLOSING_S)


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop
