"""`stepwell login`, `logout`, `whoami`: what each is given."""

from typing import TYPE_CHECKING, Any

import click

from stepwell.cli import options
from stepwell.cli.failures import Command

if TYPE_CHECKING:
    from stepwell.cli.output import Output


@click.command(cls=Command)
@click.option("--url", metavar="URL", help="The server.  [default: STEPWELL_URL, else asked for]")
@click.option("--account", metavar="ID", help="The account.  [default: STEPWELL_ACCOUNT, else asked for]")
@click.option(
    "--profile",
    metavar="NAME",
    help="The profile to keep it in.  [default: STEPWELL_PROFILE, else the one in use, else default]",
)
def login(url: str | None, account: str | None, profile: str | None) -> None:
    """Ask for server, account and token, check them, and keep them in a profile.

    The token is typed unseen, or comes on standard input. Only what the server takes is kept, in a file that is for its
    owner alone, and the profile is in use from then on. Cloudflare is https://api.cloudflare.com.
    """
    from stepwell.cli import signing_in

    raise SystemExit(signing_in.login(url, account, profile))


@click.command(cls=Command)
@click.option("--profile", metavar="NAME", help="Of this profile.  [default: STEPWELL_PROFILE, else the one in use]")
def logout(profile: str | None) -> None:
    """Forget the token of a profile; its address and account stay."""
    from stepwell.cli import signing_in

    raise SystemExit(signing_in.logout(profile))


@click.command(cls=Command)
@options.shown
@options.remote
def whoami(out: "Output", **where: Any) -> None:
    """Say which server is asked, for which account, with which token, and what the server lets it do."""
    from stepwell.cli import signing_in

    raise SystemExit(signing_in.whoami(where, out))
