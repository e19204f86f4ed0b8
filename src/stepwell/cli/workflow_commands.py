"""`stepwell trigger` and `graph`: what each command is given."""

from typing import TYPE_CHECKING, Any

import click

from stepwell.cli import completing, options
from stepwell.cli.failures import Command

if TYPE_CHECKING:
    from stepwell.cli.output import Output


@click.command("trigger", cls=Command)
@click.argument("workflow", shell_complete=completing.workflows)
@click.argument("params", required=False)
@click.option("--id", metavar="ID", help="The instance's id; a new one if not given.")
@click.option("--success-retention", metavar="TIME", help='How long it is kept after it completed: "7 days".')
@click.option("--error-retention", metavar="TIME", help="How long it is kept after it errored or was terminated.")
@click.option("--wait", is_flag=True, help="Wait for the end: exit code 0, 7 if it errored, 8 if it was terminated.")
@options.WATCH
@options.TIMEOUT
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="A label of it. Repeatable.")
@options.shown
@options.remote
def trigger(  # noqa: PLR0913, PLR0917 - one for each option
    workflow: str,
    params: str | None,
    id: str | None,
    success_retention: str | None,
    error_retention: str | None,
    wait: bool,
    watch: bool,
    timeout: float | None,
    labels: tuple[str, ...],
    out: "Output",
    **where: Any,
) -> None:
    """Create an instance of WORKFLOW. PARAMS is JSON, @FILE with JSON, or - for standard input."""
    from stepwell.cli import arguments, instances, profiles, searching, waiting

    retention = {"success_retention": success_retention, "error_retention": error_retention}
    kept = {kind: time for kind, time in retention.items() if time}
    new = instances.New(id, arguments.json_of(params), searching.labels_of(labels), kept)
    waited = waiting.Waiting(wait, watch, timeout)
    raise SystemExit(instances.trigger(profiles.connect(**where), workflow, new, waited, out))


@click.command("graph", cls=Command)
@click.argument("workflow", metavar="[PATH|WORKFLOW]", default=".", shell_complete=completing.workflows_and_files)
@click.option("--workflow", "--class", "name", metavar="NAME", help="Of PATH: this workflow, by its name or its class.")
@options.drawn
@options.remote
def graph(  # noqa: PLR0913, PLR0917 - one for each option
    workflow: str,
    name: str | None,
    version: str | None,
    id: str | None,
    form: Any,
    file: str | None,
    theme: Any,
    **where: Any,
) -> None:
    """Draw the steps of a workflow: its branches, loops, waits and what goes on at the same time.

    PATH is a Python file, or a folder as of `stepwell dev`: its source is read, and none of it is run. WORKFLOW is one
    that a server has. What is there as a path is taken as one, unless an option asks for a server.
    """
    from stepwell.cli import graph_sources
    from stepwell.cli.graph import Wanted, draw

    asked = graph_sources.Asked(workflow, name, version, id)
    raise SystemExit(draw(graph_sources.find(asked, where), Wanted(form, file, theme)))
