"""`stepwell webhooks`: its commands and what each is given."""

from typing import TYPE_CHECKING, Any

import click

from stepwell.cli import completing, options
from stepwell.cli.failures import Commands

if TYPE_CHECKING:
    from stepwell.cli.output import Output

_EVENTS = ("queued", "started", "paused", "errored", "terminated", "completed")
_ID = click.argument("id", shell_complete=completing.webhooks)
_WORKFLOW = click.option(
    "--workflow", "workflows", multiple=True, metavar="NAME", help="Tell it of this one; else of all. Repeatable."
)
_EVENT = click.option(
    "--event", "events", multiple=True, type=click.Choice(_EVENTS), help="Tell it of this; else of all. Repeatable."
)


@click.group("webhooks", cls=Commands)
def webhooks_group() -> None:
    """Have programs told at an address of what instances do. The token needs the scope `webhooks`."""


@webhooks_group.command("list")
@options.shown
@options.remote
def webhooks_list(out: "Output", **where: Any) -> None:
    """List webhooks."""
    from stepwell.cli import profiles, webhooks

    raise SystemExit(webhooks.show_list(profiles.connect(**where), out))


@webhooks_group.command("create")
@click.argument("address")
@_WORKFLOW
@_EVENT
@options.shown
@options.remote
def webhooks_create(
    address: str, workflows: tuple[str, ...], events: tuple[str, ...], out: "Output", **where: Any
) -> None:
    """Have ADDRESS told from now on. Prints the secret that messages are signed with, which is shown only now."""
    from stepwell.cli import profiles, webhooks

    wanted = {"url": address, "workflows": list(workflows), "events": list(events)}
    raise SystemExit(webhooks.create(profiles.connect(**where), wanted, out))


@webhooks_group.command("describe")
@_ID
@options.shown
@options.remote
def webhooks_describe(id: str, out: "Output", **where: Any) -> None:
    """Show the webhook ID, and how many messages wait for it."""
    from stepwell.cli import profiles, webhooks

    raise SystemExit(webhooks.describe(profiles.connect(**where), id, out))


@webhooks_group.command("change")
@_ID
@click.option("--address", metavar="URL", help="Where it leads from now on.")
@_WORKFLOW
@_EVENT
@click.option("--all-workflows", is_flag=True, help="Tell it of all workflows.")
@click.option("--all-events", is_flag=True, help="Tell it of all events.")
@click.option("--enable/--disable", "enabled", default=None, help="Tell it again, or nothing until then.")
@options.shown
@options.remote
def webhooks_change(  # noqa: PLR0913, PLR0917 - one for each argument and option
    id: str,
    address: str | None,
    workflows: tuple[str, ...],
    events: tuple[str, ...],
    all_workflows: bool,
    all_events: bool,
    enabled: bool | None,
    out: "Output",
    **where: Any,
) -> None:
    """Change the webhook ID. What is not given stays."""
    from stepwell.cli import profiles, webhooks

    changes: dict[str, Any] = {} if address is None else {"url": address}
    if workflows or all_workflows:
        changes["workflows"] = [] if all_workflows else list(workflows)
    if events or all_events:
        changes["events"] = [] if all_events else list(events)
    if enabled is not None:
        changes["enabled"] = enabled
    if not changes:
        raise click.UsageError("give what is to change, such as --event errored or --disable")
    raise SystemExit(webhooks.change(profiles.connect(**where), id, changes, out))


@webhooks_group.command("rotate")
@_ID
@options.shown
@options.remote
def webhooks_rotate(id: str, out: "Output", **where: Any) -> None:
    """Give the webhook ID a new secret, which is shown only now. For a day the one before signs, too."""
    from stepwell.cli import profiles, webhooks

    raise SystemExit(webhooks.rotate(profiles.connect(**where), id, out))


@webhooks_group.command("delete")
@_ID
@options.YES
@options.remote
def webhooks_delete(id: str, yes: bool, **where: Any) -> None:
    """Delete the webhook ID, what waits for it, and its log."""
    from stepwell.cli import profiles, webhooks

    raise SystemExit(webhooks.delete(profiles.connect(**where), id, is_sure=yes))


@webhooks_group.command("test")
@_ID
@options.shown
@options.remote
def webhooks_test(id: str, out: "Output", **where: Any) -> None:
    """Send the webhook ID a message that is of no instance."""
    from stepwell.cli import profiles, webhooks

    raise SystemExit(webhooks.send(profiles.connect(**where), (id, "test"), out))


@webhooks_group.command("deliveries")
@_ID
@click.option("--outcome", type=click.Choice(("pending", "delivered", "given_up")), help="Only what has come to this.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, metavar="N", help="How many at most.")
@options.shown
@options.remote
def webhooks_deliveries(id: str, outcome: str | None, limit: int, out: "Output", **where: Any) -> None:
    """List what the webhook ID was sent, or is to be, newest first, with what came of it."""
    from stepwell.cli import profiles, webhooks

    raise SystemExit(webhooks.show_deliveries(profiles.connect(**where), id, outcome, limit, out))


@webhooks_group.command("redeliver")
@_ID
@click.argument("delivery")
@options.shown
@options.remote
def webhooks_redeliver(id: str, delivery: str, out: "Output", **where: Any) -> None:
    """Send the webhook ID the message DELIVERY once more, by its id."""
    from stepwell.cli import profiles, webhooks

    raise SystemExit(webhooks.send(profiles.connect(**where), (id, "deliveries", delivery, "redeliver"), out))
