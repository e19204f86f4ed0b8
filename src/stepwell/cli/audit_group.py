"""`stepwell audit`: its commands and what each is given."""

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from stepwell.cli import completing, options
from stepwell.cli.failures import Commands
from stepwell.cli.options import Command, combined
from stepwell.cli.searching import moment

if TYPE_CHECKING:
    from stepwell.cli.output import Output

# Each under the name of the API's parameter.
_FILTERS: Mapping[str, Callable[[Command], Command]] = {
    "action": click.option("--action", metavar="ACTION", help="Only what was done so, such as instance.terminate."),
    "token": click.option("--by-token", "token", metavar="ID", help="Only what was done with this token."),
    "workflow": click.option(
        "--workflow", metavar="NAME", shell_complete=completing.workflows, help="Only what was done to it, or in it."
    ),
    "instance": click.option("--instance", metavar="ID", help="Only what was done to instances of this id."),
    "date_start": moment(
        "--since", "--date-start", "date_start", "Only what was done then or later; TIME may be 2h or '2 hours'."
    ),
    "date_end": moment("--until", "--date-end", "date_end", "Only what was done then or earlier."),
}
_STORE = click.option(
    "--store", metavar="URL", help="Read this store itself, as `stepwell token` does, and ask no server."
)


def _filtered(command: Command) -> Command:
    """Give a command the options that say which entries are meant; it gets them as `wanted`."""

    @combined(*_FILTERS.values())
    @functools.wraps(command)
    def with_filter(*arguments: Any, **more: Any) -> None:
        wanted = {name: more.pop(name) for name in _FILTERS}
        command(*arguments, wanted=wanted, **more)

    return with_filter


@click.group("audit", cls=Commands)
def audit_group() -> None:
    """Show who has done what, when, and from where.

    The token has to have the permission `audit`: stepwell token create --scope audit.
    """


@audit_group.command("list")
@_filtered
@click.option(
    "--limit", type=click.IntRange(1), default=100, show_default=True, metavar="N", help="Show no more than so many."
)
@_STORE
@options.shown
@options.remote
def audit_list(wanted: dict[str, str | None], limit: int, store: str | None, out: "Output", **where: Any) -> None:
    """List control operations, deployments, and changes of tokens and settings; newest first."""
    from stepwell.cli import audit

    raise SystemExit(audit.show(audit.source(where, store), wanted, limit, out))


@audit_group.command("export")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@_filtered
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "ndjson"]),
    help="What is written.  [default: ndjson if FILE ends so, else csv]",
)
@_STORE
@options.remote
def audit_export(file: str, wanted: dict[str, str | None], form: str | None, store: str | None, **where: Any) -> None:
    """Write all entries to FILE, which is new, or to standard output: -."""
    from stepwell.cli import audit

    chosen = form or ("ndjson" if file.endswith((".ndjson", ".jsonl")) else "csv")
    raise SystemExit(audit.export(audit.source(where, store), wanted, file, chosen))
