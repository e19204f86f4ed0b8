"""`stepwell deploy`, `rollback` and `deployments`: which code a server that runs serves."""

from typing import TYPE_CHECKING, Any

import click

from stepwell.cli import options
from stepwell.cli.failures import Command, Commands

if TYPE_CHECKING:
    from stepwell.cli.output import Output


@click.command(cls=Command)
@click.argument("path", default=".")
@click.option("--to", metavar="URL", help="The server, as --url.")
@click.option("--name", metavar="SCRIPT", help="Of the script, where no wrangler file names it.  [default: its file]")
@click.option("--dry-run", "is_for_show", is_flag=True, help="List the files, and do nothing.")
@options.shown
@options.remote
def deploy(path: str, to: str | None, name: str | None, *, is_for_show: bool, out: "Output", **where: Any) -> None:
    """Upload the code at PATH to a server that runs, which serves it from then on.

    PATH is a Python file, a folder of them, or a folder whose wrangler file names one in `main`. All files of that
    folder go with it, but hidden ones, databases and logs. The server has to run with --allow-deploy, and the token
    needs the scope `deploy`. Code that cannot be loaded, or has a workflow of another script's, changes nothing.
    Instances that are running stay on the code that they began with.
    """
    from stepwell.cli import deploying, profiles

    if to is not None:
        where["url"] = to
    raise SystemExit(deploying.deploy(profiles.connect(**where), path, name, out, is_for_show=is_for_show))


@click.command(cls=Command)
@click.argument("snapshot", type=click.IntRange(1), required=False)
@options.shown
@options.remote
def rollback(snapshot: int | None, out: "Output", **where: Any) -> None:
    """Serve code again that was served before: SNAPSHOT, a number of `deployments list`; else the last but one."""
    from stepwell.cli import deploying, profiles

    raise SystemExit(deploying.roll_back(profiles.connect(**where), snapshot, out))


@click.group("deployments", cls=Commands)
def deployments_group() -> None:
    """Show which code was served."""


@deployments_group.command("list")
@options.shown
@options.remote
def deployments_list(out: "Output", **where: Any) -> None:
    """List the code that was served, the last first: up to 100."""
    from stepwell.cli import deploying, profiles

    raise SystemExit(deploying.show(profiles.connect(**where), out))


COMMANDS = (deploy, rollback, deployments_group)
