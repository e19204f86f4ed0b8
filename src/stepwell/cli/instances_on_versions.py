"""`stepwell instances compare`, `fork` and `move`: what each command is given."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from stepwell.cli import choosing, completing, options
from stepwell.cli.failures import Command

if TYPE_CHECKING:
    from stepwell.cli.choosing import Chosen
    from stepwell.cli.consent import Consent
    from stepwell.cli.output import Output


@click.command("compare", cls=Command)
@click.argument("workflow", shell_complete=completing.workflows)
@click.argument("a", shell_complete=completing.instances)
@click.argument("b", shell_complete=completing.instances)
@click.option("--all", "shows_all", is_flag=True, help="Also the steps that are the same in both.")
@options.shown
@options.remote
def instances_compare(workflow: str, a: str, b: str, *, shows_all: bool, out: "Output", **where: Any) -> None:
    """Show what ran in one of two instances of WORKFLOW and not in the other, and what ran otherwise.

    Steps belong together by type, name and count. Compared are status, attempts, error, config, the outputs of what is
    complete in both and, where one took at least twice as long, durations. A and B are ids, or latest. Exits with 0,
    also where they differ.
    """
    from stepwell.cli import comparing, profiles

    raise SystemExit(comparing.compare(profiles.connect(**where), workflow, (a, b), out, shows_all=shows_all))


@click.command("fork", cls=Command)
@click.argument("workflow", shell_complete=completing.workflows)
@choosing.which
@options.from_step
@click.option("--id", "id", metavar="ID", help="Of the new instance.  [default: one is made]")
@click.option("--params", metavar="JSON", help="Other params: JSON, @FILE or -.")
@click.option("--output", "outputs", multiple=True, metavar="STEP=JSON", help="Another output of a step. Repeatable.")
@click.option(
    "--to-version",
    "to",
    metavar="ID",
    shell_complete=completing.versions,
    help='An id, or "newest".  [default: that of its source]',
)
@options.shown
@options.remote
def instances_fork(  # noqa: PLR0913, PLR0917 - one for each option
    workflow: str,
    chosen: "Chosen",
    step: Mapping[str, Any] | None,
    id: str | None,
    params: str | None,
    outputs: tuple[str, ...],
    to: str | None,
    out: "Output",
    **where: Any,
) -> None:
    """Make new instances from a step of instances of WORKFLOW, which stay as they are.

    What each has done before the step of --from is copied, with other params or outputs if they are given; the fork
    goes on with that step. Without --from it begins at the beginning. A step of --output is named as logs name it, such
    as charge-1. Forks have the label forked_from, by which `instances list --label forked_from=ID` finds them.

    ID is an id, latest, - for standard input with an id on each line, or @FILE with the same. Without an ID, options
    such as --status say which.
    """
    from stepwell.cli import forking, profiles

    asked = forking.asked_for(step, id, params, outputs, to)
    raise SystemExit(forking.fork(profiles.connect(**where), workflow, chosen, asked, out))


@click.command("move", cls=Command)
@click.argument("workflow", shell_complete=completing.workflows)
@choosing.which
@click.option(
    "--to-version",
    "to",
    metavar="ID",
    shell_complete=completing.versions,
    help="Of `workflows versions`.  [default: the newest]",
)
@click.option(
    "--force", "is_forced", is_flag=True, help="Also those that would break on it, or may: none is looked at."
)
@options.confirmed
@options.shown
@options.remote
def instances_move(  # noqa: PLR0913 - one for each option
    workflow: str,
    chosen: "Chosen",
    to: str | None,
    *,
    is_forced: bool,
    consent: "Consent",
    out: "Output",
    **where: Any,
) -> None:
    """Move instances of WORKFLOW to another version of its code, where they would go on.

    Each is replayed on that version first, as `stepwell check` does it: one that would break on it, or of which that
    cannot be foretold, stays where it is, and it is said why. Attempts in flight are interrupted, and tried again on
    the new code; what is paused stays paused.

    ID is an id, latest, - for standard input with an id on each line, or @FILE with the same. Without an ID, options
    such as --status say which.
    """
    from stepwell.cli import moving, profiles

    client = profiles.connect(**where)
    raise SystemExit(moving.move(client, workflow, chosen, to, consent, out, is_forced=is_forced))
