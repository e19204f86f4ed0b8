"""`stepwell limits`: how many instances may run, how many do, and who waits."""

from typing import TYPE_CHECKING, Any

import click

from stepwell.cli import completing, options
from stepwell.cli.failures import Commands
from stepwell.limits import MOST_CONCURRENCY

if TYPE_CHECKING:
    from stepwell.cli.output import Output


@click.group("limits", cls=Commands)
def limits_group() -> None:
    """Show how many instances may run at a time, and who waits; limit the account, and what steps share."""


@limits_group.command("list")
@click.argument("workflow", required=False, shell_complete=completing.workflows)
@options.shown
@options.remote
def limits_list(workflow: str | None, out: "Output", **where: Any) -> None:
    """List the workflows that have limits; of WORKFLOW its keys: those whose turn is next first."""
    from stepwell.cli import limits, profiles

    raise SystemExit(limits.show(profiles.connect(**where), workflow, out))


@limits_group.command("set")
@click.option(
    "--concurrency",
    type=click.IntRange(0, MOST_CONCURRENCY),
    required=True,
    metavar="N",
    help="How many instances of the account may run at a time; 0: any number.",
)
@options.shown
@options.remote
def limits_set(concurrency: int, out: "Output", **where: Any) -> None:
    """Limit the account. What a workflow may do is said in its code, its wrangler file or a PUT."""
    from stepwell.cli import limits, profiles

    raise SystemExit(limits.change(profiles.connect(**where), concurrency or None, out))


@limits_group.command("share")
@click.argument("name")
@click.option(
    "--concurrency",
    type=click.IntRange(1, MOST_CONCURRENCY),
    metavar="N",
    help="How many steps that name it may run at a time.",
)
@click.option("--rate", metavar="RATE", help='How many attempts may begin in any period, as "500 in 1 minute".')
@options.shown
@options.remote
def limits_share(name: str, concurrency: int | None, rate: str | None, out: "Output", **where: Any) -> None:
    """Set the limit NAME, which steps share: step.do(..., limit=NAME). It wins over what code declares."""
    from stepwell.cli import limits, profiles

    allowed = limits.to_rate(rate)
    raise SystemExit(limits.share(profiles.connect(**where), name, concurrency, allowed, out))


@limits_group.command("unshare")
@click.argument("name")
@options.shown
@options.remote
def limits_unshare(name: str, out: "Output", **where: Any) -> None:
    """Take back what was set of the limit NAME: what code declares of it holds again."""
    from stepwell.cli import limits, profiles

    raise SystemExit(limits.unshare(profiles.connect(**where), name, out))
