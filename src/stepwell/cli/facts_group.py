"""`stepwell facts`: what the servers have said, and which of that is meant."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from stepwell.cli import completing, options
from stepwell.cli.failures import Commands
from stepwell.cli.options import Command, combined

if TYPE_CHECKING:
    from stepwell.cli.output import Output

# Each under the name of the API's parameter.
_FILTERS: Mapping[str, Callable[[Command], Command]] = {
    "event": click.option(
        "--event",
        metavar="EVENT",
        shell_complete=completing.events,
        help="Only what is called so, such as worker.died.",
    ),
    "workflow": click.option(
        "--workflow",
        metavar="NAME",
        shell_complete=completing.workflows,
        help="Only what is of it, or of its instances.",
    ),
    "instance": click.option("--instance", metavar="ID", help="Only what is of instances of this id."),
    "process": click.option(
        "--process", metavar="NAME", help="Only what `server` has said, or the worker of this name, such as 'worker 1'."
    ),
}


@click.group("facts", cls=Commands)
def facts_group() -> None:
    """Show what the logs of servers and workers have said last, of all hosts.

    A token sees those of its account; with the permission `metrics` all, and of which host each is.
    """


@facts_group.command("list")
@combined(*_FILTERS.values())
@click.option(
    "--limit", type=click.IntRange(1), default=100, show_default=True, metavar="N", help="Show no more than so many."
)
@click.option(
    "--store", metavar="URL", help="Read this store itself, as `stepwell token` does, also where no server goes."
)
@options.shown
@options.remote
def facts_list(limit: int, store: str | None, out: "Output", **where: Any) -> None:
    """List what has happened, the latest first."""
    from stepwell.cli import facts

    wanted = {name: where.pop(name) for name in _FILTERS}
    raise SystemExit(facts.show(facts.source(where, store), wanted, limit, out))
