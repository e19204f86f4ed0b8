"""`stepwell token`: its commands and what each is given."""

from typing import TYPE_CHECKING, Any

import click

from stepwell.cli import options
from stepwell.cli.failures import Commands

if TYPE_CHECKING:
    from stepwell.cli.output import Output


@click.group("token", cls=Commands)
def token_group() -> None:
    """Make, list and revoke the tokens that `stepwell serve` asks for.

    The store is opened, or reached through the server that has it.
    """


@token_group.command("create")
@options.STORE
@click.option("--account", default="local", show_default=True, metavar="ID", help="The account that it is for.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(["read", "write", "deploy", "audit", "webhooks", "metrics"]),
    help="What it is good for; read if nothing is said. Repeatable.",
)
@click.option(
    "--permission",
    "permissions",
    multiple=True,
    type=click.Choice(
        [
            "Workers Tail Read",
            "Workers Scripts Read",
            "Workers Scripts Write",
            "deploy",
            "audit",
            "webhooks",
            "metrics",
        ]
    ),
    help="The same by Cloudflare's names. Repeatable.",
)
@click.option("--email", metavar="ADDRESS", help="Let it be sent as X-Auth-Key too, with this X-Auth-Email.")
@click.option("--name", default="", metavar="TEXT", help="What you call it.")
@click.option(
    "--expires", metavar="DURATION", help='How long it is good for, such as "90 days"; for ever if not given.'
)
def token_create(store: str, account: str, scopes: tuple[str, ...], permissions: tuple[str, ...], **more: Any) -> None:
    """Make a token. Prints its secret, which is shown only now, and nothing else."""
    from stepwell.cli.tokens import create

    raise SystemExit(create(store, account, scopes, permissions, **more))


@token_group.command("list")
@options.STORE
@options.shown
def token_list(store: str, out: "Output") -> None:
    """List all tokens: id, account, state, permissions, email, expiry, name."""
    from stepwell.cli.tokens import show

    raise SystemExit(show(store, out))


@token_group.command("revoke")
@click.argument("id")
@options.STORE
def token_revoke(id: str, store: str) -> None:
    """Let the token ID be good for nothing from now on."""
    from stepwell.cli.tokens import revoke

    raise SystemExit(revoke(store, id))


@token_group.command("sessions")
@options.STORE
@options.shown
def token_sessions(store: str, out: "Output") -> None:
    """List browsers that are signed in to the dashboard: token, its name, account, since when, last used, id."""
    from stepwell.cli.tokens import show_sessions

    raise SystemExit(show_sessions(store, out))


@token_group.command("sign-out")
@click.argument("id")
@options.STORE
def token_sign_out(id: str, store: str) -> None:
    """Sign out all browsers that the token ID has signed in. It stays good."""
    from stepwell.cli.tokens import sign_out

    raise SystemExit(sign_out(store, id))
