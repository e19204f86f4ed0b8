"""`stepwell profile`: its commands and what each is given."""

from typing import TYPE_CHECKING, Any

import click

from stepwell.cli import completing, options
from stepwell.cli.failures import Commands

if TYPE_CHECKING:
    from stepwell.cli.output import Output


@click.group("profile", cls=Commands)
def profile_group() -> None:
    """Keep servers under names: address, account, token."""


@profile_group.command("set")
@click.argument("name", shell_complete=completing.profiles)
@click.option("--url", metavar="URL", help="The server.")
@click.option("--account", metavar="ID", help="The account.")
@click.option("--token", is_flag=True, help="Ask for the token, or read it from standard input.")
def profile_set(name: str, url: str | None, account: str | None, token: bool) -> None:
    """Make or change the profile NAME. What is not given stays."""
    from stepwell.cli.profile_commands import change

    raise SystemExit(change(name, url, account, asks_token=token))


@profile_group.command("list")
@options.shown
def profile_list(out: "Output") -> None:
    """List all profiles: name, address, account, whether there is a token; * marks the one in use."""
    from stepwell.cli.profile_commands import show

    raise SystemExit(show(out))


@profile_group.command("use")
@click.argument("name", shell_complete=completing.profiles)
def profile_use(name: str) -> None:
    """Use the profile NAME where no other is named."""
    from stepwell.cli.profile_commands import use

    raise SystemExit(use(name))


@profile_group.command("show")
@options.shown
@options.remote
def profile_show(out: "Output", **where: Any) -> None:
    """Say which server a command would ask, for which account, with which token, and what says so.

    In this order: option, environment (STEPWELL_URL, STEPWELL_ACCOUNT, STEPWELL_TOKEN, STEPWELL_PROFILE), the table
    [client] of the file stepwell.toml in the current folder, profile, default.
    """
    from stepwell.cli.profile_commands import show_used

    raise SystemExit(show_used(where, out))
