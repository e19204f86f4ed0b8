"""`stepwell instances`: its commands and what each is given."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from stepwell.cli import choosing, completing, options
from stepwell.cli.failures import Commands
from stepwell.cli.lazy_commands import LazyCommands
from stepwell.cli.searching import searched

if TYPE_CHECKING:
    from stepwell.cli.choosing import Chosen
    from stepwell.cli.consent import Consent
    from stepwell.cli.output import Output
    from stepwell.cli.searching import Search

_IDS = choosing.IDS
# How many are listed where nothing is said.
_LISTED = 50


_PLACES = {
    "compare": ("instances_on_versions", "instances_compare"),
    "fork": ("instances_on_versions", "instances_fork"),
    "move": ("instances_on_versions", "instances_move"),
}


@click.group("instances", cls=Commands, commands=LazyCommands(_PLACES))
def instances_group() -> None:
    """List instances, look at one, send it an event, control it."""


@instances_group.command("list")
@click.argument("workflow", required=False, shell_complete=completing.workflows)
@searched
@click.option(
    "--limit",
    "--per-page",
    "limit",
    cls=options.Aliased,
    type=click.IntRange(1),
    metavar="N",
    help="How many at most.  [default: 50]",
)
@click.option("--all", "is_all", is_flag=True, help="All of them, however many; page by page as they come.")
@click.option("--page", type=click.IntRange(1), hidden=True)
@click.option("--reverse", is_flag=True, help="Print the oldest of them first.")
@options.shown
@options.remote
def instances_list(  # noqa: PLR0913, PLR0917 - one for each argument and option
    workflow: str | None,
    search: "Search",
    limit: int | None,
    is_all: bool,
    page: int | None,
    reverse: bool,
    out: "Output",
    **where: Any,
) -> None:
    """List the instances of WORKFLOW, or of all workflows, newest first."""
    from stepwell.cli import instances, profiles

    if is_all and (limit, page) != (None, None):
        raise click.UsageError("--all lists every one, --limit at most so many: leave one of them out")
    most = limit or _LISTED
    shown = instances.Shown(None if is_all else most, 0 if page is None else (page - 1) * most, reverse)
    raise SystemExit(instances.show_list(profiles.connect(**where), workflow, shown, search, out))


@instances_group.command("describe")
@click.argument("workflow", shell_complete=completing.workflows)
@click.argument("id", default="latest", shell_complete=completing.instances)
@click.option("--watch", is_flag=True, help="Show each change until the instance ends; in a pipe, a line for each.")
@click.option(
    "--steps/--no-steps",
    "has_steps",
    default=True,
    help="Show its steps; without them, -o json and yaml are the shorter answer of the API.  [default: yes]",
)
@click.option("--step-output/--no-step-output", help="Show what steps returned, too.  [default: no]")
@click.option(
    "--output-limit",
    "--truncate-output-limit",
    "output_limit",
    cls=options.Aliased,
    type=click.IntRange(0),
    default=200,
    show_default=True,
    metavar="N",
    help="How many characters of an output are shown.",
)
@options.shown
@options.remote
def instances_describe(  # noqa: PLR0913, PLR0917 - one for each argument and option
    workflow: str,
    id: str,
    watch: bool,
    has_steps: bool,
    step_output: bool,
    output_limit: int,
    out: "Output",
    **where: Any,
) -> None:
    """Show the instance ID of WORKFLOW with its steps; the latest if no id is given."""
    from stepwell.cli import description, profiles

    if step_output and not has_steps:
        raise click.UsageError("--step-output is of the steps, which --no-steps leaves out: leave one of them out")
    outputs = description.Outputs(output_limit, step_output, has_steps)
    raise SystemExit(description.describe(profiles.connect(**where), (workflow, id), out, outputs, watch=watch))


@instances_group.command("send-event")
@click.argument("workflow", shell_complete=completing.workflows)
@click.argument("id", shell_complete=completing.instances)
@click.argument("payload", required=False)
@click.option("--type", "event_type", required=True, metavar="TYPE", help="The type that the instance waits for.")
@click.option("--payload", "payload_too", hidden=True)
@options.shown
@options.remote
def instances_send_event(  # noqa: PLR0913, PLR0917 - one for each argument and option
    workflow: str,
    id: str,
    payload: str | None,
    event_type: str,
    payload_too: str | None,
    out: "Output",
    **where: Any,
) -> None:
    """Send an event to the instance ID of WORKFLOW. PAYLOAD is JSON, @FILE with JSON, or - for standard input."""
    from stepwell.cli import arguments, instances, profiles

    if payload is not None and payload_too is not None:
        raise click.UsageError("the payload is given twice: as an argument, and as --payload")
    event = (event_type, arguments.json_of(payload if payload_too is None else payload_too))
    raise SystemExit(instances.send_event(profiles.connect(**where), (workflow, id), event, out))


@instances_group.command("why")
@click.argument("workflow", shell_complete=completing.workflows)
@click.argument("id", default="latest", shell_complete=completing.instances)
@options.shown
@options.remote
def instances_why(workflow: str, id: str, out: "Output", **where: Any) -> None:
    """Say why the instance ID of WORKFLOW does not go on: a line for each reason; the latest if no id is given."""
    from stepwell.cli import profiles, why

    raise SystemExit(why.show(profiles.connect(**where), workflow, id, out))


@instances_group.command("tree")
@click.argument("workflow", shell_complete=completing.workflows)
@click.argument("id", default="latest", shell_complete=completing.instances)
@options.shown
@options.remote
def instances_tree(workflow: str, id: str, out: "Output", **where: Any) -> None:
    """Show the instance ID of WORKFLOW, those that it awaits (step.child), and so on; the latest if no id is given."""
    from stepwell.cli import profiles, tree

    raise SystemExit(tree.show(profiles.connect(**where), workflow, id, out))


@instances_group.command("logs")
@click.argument("workflow", shell_complete=completing.workflows)
@click.argument("id", shell_complete=completing.instances)
@click.option("--follow", is_flag=True, help="Show each new line until the instance ends.")
@click.option(
    "--after", type=click.IntRange(0), default=0, metavar="N", help="Only lines behind the Nth; -o ids has the numbers."
)
@options.shown
@options.remote
def instances_logs(workflow: str, id: str, follow: bool, after: int, out: "Output", **where: Any) -> None:
    """Show what the code of the instance ID of WORKFLOW printed and logged: time, step, level, text."""
    from stepwell.cli import log, profiles

    show = log.follow if follow else log.show
    raise SystemExit(show(profiles.connect(**where), (workflow, id), after, out))


@instances_group.command("step")
@click.argument("workflow", shell_complete=completing.workflows)
@click.argument("id", shell_complete=completing.instances)
@click.argument("step", shell_complete=completing.logged_steps)
@options.step_type("step", "waitForEvent")
@click.option("--attempt", type=click.IntRange(1), metavar="N", help="Only how the Nth attempt went.")
@click.option("--raw", is_flag=True, help="Write the output alone, byte for byte: for files and pipes.")
@options.shown
@options.remote
def instances_step(  # noqa: PLR0913, PLR0917 - one for each argument and option
    workflow: str, id: str, step: str, type: str, attempt: int | None, raw: bool, out: "Output", **where: Any
) -> None:
    """Show STEP of the instance ID of WORKFLOW with its whole output. STEP is as the log has it, such as charge-1."""
    from stepwell.cli import profiles, steps

    if raw and out.form != "table":
        raise click.UsageError(f"--raw is the output alone, and -o {out.form} all of the step: leave one of them out")
    asked = steps.AskedStep(step, type, attempt)
    if raw:
        raise SystemExit(steps.write(profiles.connect(**where), (workflow, id), asked))
    raise SystemExit(steps.show(profiles.connect(**where), (workflow, id), asked, out))


@instances_group.command("step-retry")
@click.argument("workflow", shell_complete=completing.workflows)
@click.argument("id", shell_complete=completing.instances)
@click.argument("step", shell_complete=completing.logged_steps)
@options.step_type("step", "rollback")
@options.shown
@options.remote
def instances_step_retry(workflow: str, id: str, step: str, type: str, out: "Output", **where: Any) -> None:
    """Begin the next attempt of STEP of the instance ID of WORKFLOW now.

    STEP is as the log has it, such as charge-1.
    """
    _force((workflow, id), {"action": "retry", "step": step, "type": type}, out, where)


@instances_group.command("step-skip")
@click.argument("workflow", shell_complete=completing.workflows)
@click.argument("id", shell_complete=completing.instances)
@click.argument("step", shell_complete=completing.logged_steps)
@options.shown
@options.remote
def instances_step_skip(workflow: str, id: str, step: str, out: "Output", **where: Any) -> None:
    """End the sleep STEP of the instance ID of WORKFLOW now. STEP is as the log has it, such as nap-1."""
    _force((workflow, id), {"action": "skip", "step": step}, out, where)


@instances_group.command("step-complete")
@click.argument("workflow", shell_complete=completing.workflows)
@click.argument("id", shell_complete=completing.instances)
@click.argument("step", shell_complete=completing.logged_steps)
@click.argument("value")
@options.step_type("step", "waitForEvent", "rollback")
@options.shown
@options.remote
def instances_step_complete(  # noqa: PLR0913, PLR0917 - one for each argument and option
    workflow: str, id: str, step: str, value: str, type: str, out: "Output", **where: Any
) -> None:
    """Let STEP of the instance ID of WORKFLOW return VALUE, or a wait get it as its payload.

    STEP is as the log has it, such as charge-1. VALUE is JSON, @FILE with JSON, or - for standard input.
    """
    from stepwell.cli import arguments

    asked = {"action": "complete", "step": step, "type": type, "value": arguments.json_of(value)}
    _force((workflow, id), asked, out, where)


@instances_group.command("step-fail")
@click.argument("workflow", shell_complete=completing.workflows)
@click.argument("id", shell_complete=completing.instances)
@click.argument("step", shell_complete=completing.logged_steps)
@click.argument("message", default="")
@click.option("--error", "name", default="Error", show_default=True, metavar="NAME", help="The class of the error.")
@options.step_type("step", "waitForEvent", "rollback")
@options.shown
@options.remote
def instances_step_fail(  # noqa: PLR0913, PLR0917 - one for each argument and option
    workflow: str, id: str, step: str, message: str, name: str, type: str, out: "Output", **where: Any
) -> None:
    """Let STEP, or a wait, of the instance ID of WORKFLOW fail for good with MESSAGE.

    STEP is as the log has it, such as charge-1.
    """
    error = {"name": name, "message": message}
    _force((workflow, id), {"action": "fail", "step": step, "type": type, "error": error}, out, where)


@instances_group.command("pause")
@click.argument("workflow", shell_complete=completing.workflows)
@choosing.chosen
@options.rehearsed
@options.shown
@options.remote
def instances_pause(workflow: str, chosen: "Chosen", consent: "Consent", out: "Output", **where: Any) -> None:
    """Pause instances of WORKFLOW.

    Attempts in flight may end, nothing else begins, and waits stand still.

    ID is an id, latest, - for standard input with an id on each line, or @FILE with the same. Without an ID, options
    such as --status say which: all that match are changed by a job of the server's.
    """
    _change(workflow, chosen, {"status": "pause"}, consent, out, where)


@instances_group.command("resume")
@click.argument("workflow", shell_complete=completing.workflows)
@choosing.chosen
@options.rehearsed
@options.shown
@options.remote
def instances_resume(workflow: str, chosen: "Chosen", consent: "Consent", out: "Output", **where: Any) -> None:
    """Let paused instances of WORKFLOW go on.

    ID is an id, latest, - for standard input with an id on each line, or @FILE with the same. Without an ID, options
    such as --status say which: all that match are changed by a job of the server's.
    """
    _change(workflow, chosen, {"status": "resume"}, consent, out, where)


@instances_group.command("resume-rollback")
@click.argument("workflow", shell_complete=completing.workflows)
@_IDS
@options.shown
@options.remote
def instances_resume_rollback(workflow: str, ids: tuple[str, ...], out: "Output", **where: Any) -> None:
    """Go on with the rollback of instances of WORKFLOW that has failed.

    What failed is tried again, what was undone stays so, and the rest is undone.

    ID is an id, latest, - for standard input with an id on each line, or @FILE with the same.
    """
    from stepwell.cli import control, profiles, targets

    found = targets.find(profiles.connect(**where), workflow, ids)
    raise SystemExit(control.resume_rollback(found, out))


@instances_group.command("terminate")
@click.argument("workflow", shell_complete=completing.workflows)
@choosing.chosen
@click.option("--rollback", is_flag=True, help="Undo what steps have done that say how to.")
@options.confirmed
@options.shown
@options.remote
def instances_terminate(
    workflow: str, chosen: "Chosen", rollback: bool, consent: "Consent", out: "Output", **where: Any
) -> None:
    """End instances of WORKFLOW at once.

    ID is an id, latest, - for standard input with an id on each line, or @FILE with the same. Without an ID, options
    such as --status say which: all that match are changed by a job of the server's.
    """
    if rollback and chosen.is_search:
        raise click.UsageError("--rollback needs ids: a job terminates without undoing what was done")
    asked = {"status": "terminate", "rollback": True} if rollback else {"status": "terminate"}
    _change(workflow, chosen, asked, consent, out, where)


@instances_group.command("restart")
@click.argument("workflow", shell_complete=completing.workflows)
@choosing.chosen
@options.from_step
@options.confirmed
@options.shown
@options.remote
def instances_restart(
    workflow: str, chosen: "Chosen", step: Mapping[str, Any] | None, consent: "Consent", out: "Output", **where: Any
) -> None:
    """Begin instances of WORKFLOW again.

    As a whole or from a step, on the newest version of the workflow.

    ID is an id, latest, - for standard input with an id on each line, or @FILE with the same. Without an ID, options
    such as --status say which: all that match are changed by a job of the server's.
    """
    if step is not None and chosen.is_search:
        raise click.UsageError("--from needs ids: a job restarts instances as a whole")
    asked = {"status": "restart"} if step is None else {"status": "restart", "from": step}
    _change(workflow, chosen, asked, consent, out, where)


@instances_group.command("delete")
@click.argument("workflow", shell_complete=completing.workflows)
@choosing.chosen
@click.option(
    "--filename", metavar="FILE", shell_complete=completing.files, help="Also those of this JSON array of ids."
)
@options.confirmed
@options.shown
@options.remote
def instances_delete(
    workflow: str, chosen: "Chosen", filename: str | None, consent: "Consent", out: "Output", **where: Any
) -> None:
    """Delete instances of WORKFLOW.

    Whatever they are doing stops at once, and their ids are free.

    ID is an id, latest, - for standard input with an id on each line, or @FILE with the same. Without an ID, options
    such as --status say which: all that match are changed by a job of the server's.
    """
    from stepwell.cli import control, profiles, targets

    client = profiles.connect(**where)
    if chosen.is_search:
        raise SystemExit(choosing.change_all(client, ("delete", workflow), chosen, consent, out))
    found = targets.find(client, workflow, chosen.ids, filename)
    raise SystemExit(control.delete(found, consent, out))


@instances_group.command("terminate-all")
@click.argument("workflow", shell_complete=completing.workflows)
@click.option("--status", metavar="STATUS", shell_complete=completing.statuses, help="Only those with this status.")
@click.option("--wait", is_flag=True, help="Wait for the end.")
@options.YES
@options.shown
@options.remote
def instances_terminate_all(
    workflow: str, status: str | None, wait: bool, yes: bool, out: "Output", **where: Any
) -> None:
    """Begin to terminate all instances that WORKFLOW has now. That goes on in the server."""
    from stepwell.cli import profiles, terminations

    client = profiles.connect(**where)
    if not yes:
        terminations.make_sure(workflow, status)
    terminate_all = terminations.terminate_all_and_wait if wait else terminations.terminate_all
    raise SystemExit(terminate_all(client, workflow, status, out))


def _force(target: tuple[str, str], asked: Mapping[str, Any], out: "Output", where: Mapping[str, Any]) -> None:
    from stepwell.cli import forcing, profiles

    raise SystemExit(forcing.force(profiles.connect(**where), target, asked, out))


def _change(  # noqa: PLR0913, PLR0917 - what the command line has
    workflow: str,
    chosen: "Chosen",
    asked: Mapping[str, Any],
    consent: "Consent",
    out: "Output",
    where: Mapping[str, Any],
) -> None:
    from stepwell.cli import control, profiles, targets

    client = profiles.connect(**where)
    if chosen.is_search:
        raise SystemExit(choosing.change_all(client, (asked["status"], workflow), chosen, consent, out))
    raise SystemExit(control.change(targets.find(client, workflow, chosen.ids), asked, consent, out))
