"""`stepwell schedules`: its commands and what each is given."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from stepwell.cli import completing, options
from stepwell.cli.failures import Commands

if TYPE_CHECKING:
    from stepwell.cli.output import Output

_CRON = click.argument("cron", shell_complete=completing.schedules)


@click.group("schedules", cls=Commands)
def schedules_group() -> None:
    """List what creates instances by itself, pause it, run it now.

    CRON is the expression as the list shows it, in quotes: "0 9 * * MON-FRI".
    """


@schedules_group.command("list")
@click.argument("workflow", required=False, shell_complete=completing.workflows)
@options.shown
@options.remote
def schedules_list(workflow: str | None, out: "Output", **where: Any) -> None:
    """List the schedules of all workflows, or of WORKFLOW, with when each fires next."""
    from stepwell.cli import profiles, schedules

    raise SystemExit(schedules.show_list(profiles.connect(**where), workflow, out))


@schedules_group.command("pause")
@click.argument("workflow", shell_complete=completing.workflows)
@_CRON
@options.shown
@options.remote
def schedules_pause(workflow: str, cron: str, out: "Output", **where: Any) -> None:
    """Let the schedule CRON of WORKFLOW not fire until it is resumed."""
    _change((workflow, cron), {"paused": True}, out, where)


@schedules_group.command("resume")
@click.argument("workflow", shell_complete=completing.workflows)
@_CRON
@options.shown
@options.remote
def schedules_resume(workflow: str, cron: str, out: "Output", **where: Any) -> None:
    """Let the schedule CRON of WORKFLOW fire again; what it has not fired meanwhile is not made up for."""
    _change((workflow, cron), {"paused": False}, out, where)


@schedules_group.command("run")
@click.argument("workflow", shell_complete=completing.workflows)
@_CRON
@options.shown
@options.remote
def schedules_run(workflow: str, cron: str, out: "Output", **where: Any) -> None:
    """Create an instance of the schedule CRON of WORKFLOW now, even if it is paused."""
    from stepwell.cli import profiles, schedules

    raise SystemExit(schedules.run(profiles.connect(**where), (workflow, cron), out))


@schedules_group.command("set")
@click.argument("workflow", shell_complete=completing.workflows)
@_CRON
@click.option(
    "--overlap",
    type=click.Choice(["allow", "skip", "cancel"]),
    help="While an earlier instance has not ended: create another, skip the firing, or terminate the earlier one.",
)
@click.option("--time-zone", metavar="ZONE", help="Whose clock it goes by, such as Europe/Berlin.")
@options.shown
@options.remote
def schedules_set(
    workflow: str, cron: str, overlap: str | None, time_zone: str | None, out: "Output", **where: Any
) -> None:
    """Change the schedule CRON of WORKFLOW. That stays for as long as the workflow has it."""
    given = {"overlap": overlap, "time_zone": time_zone}
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise click.UsageError("give --overlap or --time-zone, or both")
    _change((workflow, cron), changes, out, where)


def _change(named: tuple[str, str], changes: Mapping[str, Any], out: "Output", where: Mapping[str, Any]) -> None:
    from stepwell.cli import profiles, schedules

    raise SystemExit(schedules.change(profiles.connect(**where), named, changes, out))
