"""`stepwell hosts`: who has the store open."""

from typing import TYPE_CHECKING, Any

import click

from stepwell.cli import options
from stepwell.cli.failures import Commands

if TYPE_CHECKING:
    from stepwell.cli.output import Output


@click.group("hosts", cls=Commands)
def hosts_group() -> None:
    """Show who has the store open, and what waits for them."""


@hosts_group.command("list")
@options.shown
@options.remote
def hosts_list(out: "Output", **where: Any) -> None:
    """List the hosts of the store: their workers, what they hold, and how long instances wait to be claimed."""
    from stepwell.cli import hosts, profiles

    raise SystemExit(hosts.show(profiles.connect(**where), out))
