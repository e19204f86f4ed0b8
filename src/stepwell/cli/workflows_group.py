"""`stepwell workflows`: its commands and what each is given."""

from typing import TYPE_CHECKING, Any

import click

from stepwell.cli import completing, options
from stepwell.cli.failures import Commands
from stepwell.cli.lazy_commands import LazyCommands

if TYPE_CHECKING:
    from stepwell.cli.consent import Consent
    from stepwell.cli.output import Output


# As wrangler spells them.
_PLACES = {
    "instances": ("wrangler_spellings", "workflows_instances"),
    "trigger": ("wrangler_spellings", "workflows_trigger"),
}


@click.group("workflows", cls=Commands, commands=LazyCommands(_PLACES))
def workflows_group() -> None:
    """List workflows, look at one and its versions, draw it, delete it."""


@workflows_group.command("list")
@options.shown
@options.remote
def workflows_list(out: "Output", **where: Any) -> None:
    """List the workflows of the account: how many instances each has, and when the last one was created."""
    from stepwell.cli import profiles, workflows

    raise SystemExit(workflows.show_list(profiles.connect(**where), out))


@workflows_group.command("describe")
@click.argument("workflow", metavar="NAME", shell_complete=completing.workflows)
@options.shown
@options.remote
def workflows_describe(workflow: str, out: "Output", **where: Any) -> None:
    """Show the workflow NAME: how its instances stand, its schedules, its newest versions.

    -o json is what the API answers, which has no versions: `stepwell workflows versions` has those.
    """
    from stepwell.cli import profiles, workflows

    raise SystemExit(workflows.describe(profiles.connect(**where), workflow, out))


@workflows_group.command("versions")
@click.argument("workflow", metavar="NAME", shell_complete=completing.workflows)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, metavar="N", help="How many at most.")
@options.shown
@options.remote
def workflows_versions(workflow: str, limit: int, out: "Output", **where: Any) -> None:
    """List the versions of the workflow NAME, newest first."""
    from stepwell.cli import profiles, workflows

    raise SystemExit(workflows.show_versions(profiles.connect(**where), workflow, limit, out))


@workflows_group.command("compare")
@click.argument("workflow", metavar="NAME", shell_complete=completing.workflows)
@click.argument("a", required=False, shell_complete=completing.versions)
@click.argument("b", required=False, shell_complete=completing.versions)
@click.option("--all", "shows_all", is_flag=True, help="Also the steps and files that are the same in both.")
@options.shown
@options.remote
def workflows_compare(
    workflow: str, a: str | None, b: str | None, *, shows_all: bool, out: "Output", **where: Any
) -> None:
    """Show how two versions of the workflow NAME differ: in their steps, what is said of them, and their source.

    A and B are ids of `stepwell workflows versions`, or newest. Without B, A is compared with the newest version;
    without either, the newest one with the one before it. Steps belong together by type and name, as graphs have them;
    the source is that of the versions' snapshots, or the files that their graphs lie in. Exits with 0, also where they
    differ.
    """
    from stepwell.cli import comparing_versions, profiles

    raise SystemExit(comparing_versions.compare(profiles.connect(**where), workflow, (a, b), out, shows_all=shows_all))


@workflows_group.command("delete")
@click.argument("workflow", metavar="NAME", shell_complete=completing.workflows)
@options.confirmed
@options.shown
@options.remote
def workflows_delete(workflow: str, consent: "Consent", out: "Output", **where: Any) -> None:
    """Delete the workflow NAME with all its instances.

    Whatever they are doing stops at once. A workflow that the served files still have is there again when a server is
    started.
    """
    from stepwell.cli import profiles, workflows

    raise SystemExit(workflows.delete(profiles.connect(**where), workflow, consent, out))


@workflows_group.command("graph")
@click.argument("workflow", metavar="NAME", shell_complete=completing.workflows)
@options.drawn
@options.remote
def workflows_graph(  # noqa: PLR0913, PLR0917 - one for each option
    workflow: str, version: str | None, id: str | None, form: Any, file: str | None, theme: Any, **where: Any
) -> None:
    """Draw the steps of the workflow NAME, as `stepwell graph` does."""
    from stepwell.cli import graph_sources, profiles, workflows
    from stepwell.cli.graph import Wanted, draw

    asked = graph_sources.Asked(workflows.check(workflow), None, version, id)
    raise SystemExit(draw(graph_sources.of_server(profiles.connect(**where), asked), Wanted(form, file, theme)))
