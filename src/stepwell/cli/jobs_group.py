"""`stepwell jobs`: its commands and what each is given."""

from typing import TYPE_CHECKING, Any

import click

from stepwell.cli import completing, options
from stepwell.cli.failures import Commands
from stepwell.cli.searching import searched

if TYPE_CHECKING:
    from stepwell.cli.output import Output
    from stepwell.cli.searching import Search


@click.group("jobs", cls=Commands)
def jobs_group() -> None:
    """Change all instances that match, in the server: pause, resume, terminate, restart or delete them."""


@jobs_group.command("start")
@click.argument("action", type=click.Choice(("pause", "resume", "terminate", "restart", "delete")))
@click.argument("workflow", required=False, shell_complete=completing.workflows)
@searched
@click.option("--wait", is_flag=True, help="Wait for the end: exit code 0, 1 if some could not be changed.")
@options.WATCH
@options.TIMEOUT
@options.YES
@options.shown
@options.remote
def jobs_start(  # noqa: PLR0913, PLR0917 - one for each argument and option
    action: str,
    workflow: str | None,
    search: "Search",
    wait: bool,
    watch: bool,
    timeout: float | None,
    yes: bool,
    out: "Output",
    **where: Any,
) -> None:
    """Change all instances of WORKFLOW, or of all workflows, that match now. That goes on in the server.

    ACTION is pause, resume, terminate, restart or delete.
    """
    from stepwell.cli import jobs, profiles, waiting

    waited = waiting.Waiting(wait, watch, timeout)
    client = profiles.connect(**where)
    asked = jobs.asked_for(action, workflow, search)
    if not yes:
        jobs.make_sure(asked)
    if not (wait or watch):
        raise SystemExit(jobs.start(client, asked, out))
    raise SystemExit(jobs.start_and_wait(client, asked, out, waited))


@jobs_group.command("list")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, metavar="N", help="How many at most.")
@options.shown
@options.remote
def jobs_list(limit: int, out: "Output", **where: Any) -> None:
    """List jobs, newest first, with how far each is."""
    from stepwell.cli import jobs, profiles

    raise SystemExit(jobs.show_list(profiles.connect(**where), limit, out))


@jobs_group.command("describe")
@click.argument("id", shell_complete=completing.jobs)
@options.WATCH
@options.TIMEOUT
@options.shown
@options.remote
def jobs_describe(id: str, watch: bool, timeout: float | None, out: "Output", **where: Any) -> None:
    """Show the job ID: how far it is, and which instances could not be changed."""
    from stepwell.cli import jobs, profiles, waiting

    waited = waiting.Waiting(watches=watch, timeout_s=timeout)
    raise SystemExit(jobs.describe(profiles.connect(**where), id, out, waited))


@jobs_group.command("cancel")
@click.argument("id", shell_complete=completing.jobs)
@options.shown
@options.remote
def jobs_cancel(id: str, out: "Output", **where: Any) -> None:
    """End the job ID. What it has done stays."""
    from stepwell.cli import jobs, profiles

    raise SystemExit(jobs.cancel(profiles.connect(**where), id, out))
