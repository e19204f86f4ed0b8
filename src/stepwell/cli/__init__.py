"""The command line."""

from collections.abc import Callable
from typing import Any

import click

from stepwell import __version__

__all__ = ["main"]

STORE = "sqlite:///.stepwell/stepwell.db"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="stepwell", message="%(prog)s %(version)s")
def main() -> None:
    """Durable workflows in ordinary Python, with the Cloudflare Workflows API."""


@main.command()
@click.argument("path", default=".")
@click.option("-o", "output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Form.")
def check(path: str, output: str) -> None:
    """Look for mistakes in the workflows of PATH, without running them.

    PATH is a Python file, or a folder with Python files beneath it. Exits with 1 if something is found. A line with
    `# stepwell: ignore[rule]` is passed over.
    """
    from stepwell.cli.check import report

    raise SystemExit(report(path, as_json=output == "json"))


_SET = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change a setting; `stepwell settings` lists all. Repeatable.",
)


def _serving(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a server."""
    options = [
        click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on."),
        click.option("--port", default=8787, show_default=True, type=click.IntRange(0, 65535), help="0: any free one."),
        click.option(
            "--allow-host",
            "allow_hosts",
            multiple=True,
            metavar="NAME",
            help="Also answer requests to this host name (a proxy's). Repeatable.",
        ),
        click.option(
            "--fetch-port",
            type=click.IntRange(0, 65535),
            metavar="PORT",
            help="Where the `fetch` of a WorkerEntrypoint in PATH is served, if it has one.  "
            "[default: the port after --port]",
        ),
        click.option(
            "--no-output",
            "keeps_output",
            flag_value=False,
            default=True,
            help="Do not keep what workflows print and log; it is shown all the same.",
        ),
        click.option(
            "--env",
            "variables",
            multiple=True,
            metavar="NAME",
            help="Give workflows this environment variable. Repeatable.",
        ),
        _SET,
    ]
    for option in reversed(options):
        command = option(command)
    return command


_STORE = click.option(
    "--store",
    default=STORE,
    show_default=True,
    envvar="STEPWELL_STORE",
    metavar="URL",
    help="Where everything is kept: sqlite:///relative.db or sqlite:////absolute.db.",
)


@main.command()
@click.argument("path", default=".")
@click.option("--data", default=".stepwell", show_default=True, envvar="STEPWELL_DATA", help="Folder of the database.")
@_serving
def dev(path: str, data: str, **given: Any) -> None:
    """Serve the workflows of PATH on this machine.

    PATH is a Python file, a folder of them, or a folder whose wrangler file names one in `main`.

    Code is reloaded when a file changes. Everything is kept in the data folder; start again and it goes on where it
    was. Ctrl-C stops: steps in flight have 5 seconds to end (--set grace=...), a second Ctrl-C ends at once.
    """
    # Imported here: `stepwell --version` should not wait for a web server.
    from stepwell.cli.dev import serve
    from stepwell.cli.server import ServerOptions

    raise SystemExit(serve(data, ServerOptions(path=path, store="", **given)))


@main.command()
@click.argument("path", default=".")
@_STORE
@click.option("--account", default="local", show_default=True, metavar="ID", help="Whose the workflows are.")
@click.option(
    "--workers",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="How many processes run workflows.  [default: one less than there are cores, at least 1]",
)
@_serving
def serve(path: str, workers: int | None, **given: Any) -> None:
    """Serve the workflows of PATH to others: each request needs a token.

    PATH is a Python file, a folder of them, or a folder whose wrangler file names one in `main`. The code is served as
    it is when the server starts. SIGTERM or Ctrl-C stops: steps in flight have 5 seconds to end (--set grace=...), a
    second one ends at once.
    """
    # Imported here: `stepwell --version` should not wait for a web server.
    from stepwell.cli.serve import serve as run
    from stepwell.cli.server import ServerOptions

    raise SystemExit(run(ServerOptions(path=path, **given), workers))


@main.command("settings")
@click.argument("path", default=".")
@_SET
@click.option("-o", "form", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Form.")
def show_settings(path: str, settings: tuple[str, ...], form: str) -> None:
    """List the settings that a server of PATH has, and where each came from.

    In this order: --set, the environment (STEPWELL_<NAME>), the table [settings] of the file stepwell.toml in the
    project's folder, the default.
    """
    from stepwell.cli import output
    from stepwell.cli.settings import show

    raise SystemExit(output.guarded(lambda: show(path, settings, as_json=form == "json")))


@main.group()
def token() -> None:
    """Make, list and revoke the tokens that `stepwell serve` asks for.

    The store is opened, or reached through the server that has it.
    """


@token.command("create")
@_STORE
@click.option("--account", default="local", show_default=True, metavar="ID", help="The account that it is for.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(["read", "write", "deploy"]),
    help="What it is good for; read if nothing is said. Repeatable.",
)
@click.option(
    "--permission",
    "permissions",
    multiple=True,
    type=click.Choice(["Workers Tail Read", "Workers Scripts Read", "Workers Scripts Write", "deploy"]),
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


@token.command("list")
@_STORE
def token_list(store: str) -> None:
    """List all tokens: id, account, state, permissions, email, expiry, name."""
    from stepwell.cli.tokens import show

    raise SystemExit(show(store))


@token.command("revoke")
@click.argument("id")
@_STORE
def token_revoke(id: str, store: str) -> None:
    """Let the token ID be good for nothing from now on."""
    from stepwell.cli.tokens import revoke

    raise SystemExit(revoke(store, id))


def _remote(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which server it asks. A token comes from the environment or the profile."""
    options = [
        click.option("--url", metavar="URL", help="The server.  [default: STEPWELL_URL, else the profile's]"),
        click.option("--account", metavar="ID", help="The account.  [default: STEPWELL_ACCOUNT, else the profile's]"),
        click.option("--profile", metavar="NAME", help="Use this profile.  [default: STEPWELL_PROFILE]"),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _form(*forms: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option("-o", "form", type=click.Choice(forms), default=forms[0], show_default=True, help="Form.")


@main.command()
@click.argument("workflow")
@click.argument("params", required=False)
@click.option("--id", metavar="ID", help="The instance's id; a new one if not given.")
@click.option("--wait", is_flag=True, help="Wait for the end: exit code 0, 7 if it errored, 8 if it was terminated.")
@click.option("--timeout", type=click.FloatRange(0), metavar="SECONDS", help="How long to wait at most; then 9.")
@_form("table", "json", "ids")
@_remote
def trigger(  # noqa: PLR0913, PLR0917 - one for each option
    workflow: str, params: str | None, id: str | None, wait: bool, timeout: float | None, form: str, **where: Any
) -> None:
    """Create an instance of WORKFLOW. PARAMS is JSON, @FILE with JSON, or - for standard input."""
    from stepwell.cli import instances, output, profiles

    given = (instances.json_of(params), id)
    waiting = instances.Waiting(wait, timeout)
    raise SystemExit(
        output.guarded(lambda: instances.trigger(profiles.connect(**where), workflow, given, waiting, form))
    )


@main.group("instances")
def instances_group() -> None:
    """List instances, look at one, send it an event."""


@instances_group.command("list")
@click.argument("workflow")
@click.option("--status", metavar="STATUS", help="Only those with this status.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, metavar="N", help="How many at most.")
@_form("table", "wide", "json", "ndjson", "ids")
@_remote
def instances_list(workflow: str, status: str | None, limit: int, form: str, **where: Any) -> None:
    """List the instances of WORKFLOW, newest first."""
    from stepwell.cli import instances, output, profiles

    raise SystemExit(
        output.guarded(lambda: instances.show_list(profiles.connect(**where), workflow, limit, status, form))
    )


@instances_group.command("describe")
@click.argument("workflow")
@click.argument("id", default="latest")
@click.option("--watch", is_flag=True, help="Show each change until the instance ends.")
@_form("table", "json")
@_remote
def instances_describe(workflow: str, id: str, watch: bool, form: str, **where: Any) -> None:
    """Show the instance ID of WORKFLOW with its steps; the latest if no id is given."""
    from stepwell.cli import instances, output, profiles

    raise SystemExit(
        output.guarded(lambda: instances.describe(profiles.connect(**where), workflow, id, form, watch=watch))
    )


@instances_group.command("send-event")
@click.argument("workflow")
@click.argument("id")
@click.argument("payload", required=False)
@click.option("--type", "event_type", required=True, metavar="TYPE", help="The type that the instance waits for.")
@_remote
def instances_send_event(workflow: str, id: str, payload: str | None, event_type: str, **where: Any) -> None:
    """Send an event to the instance ID of WORKFLOW. PAYLOAD is JSON, @FILE with JSON, or - for standard input."""
    from stepwell.cli import instances, output, profiles

    said = instances.json_of(payload)
    raise SystemExit(
        output.guarded(lambda: instances.send_event(profiles.connect(**where), (workflow, id), event_type, said))
    )


@main.group()
def profile() -> None:
    """Keep servers under names: address, account, token."""


@profile.command("set")
@click.argument("name")
@click.option("--url", metavar="URL", help="The server.")
@click.option("--account", metavar="ID", help="The account.")
@click.option("--token", is_flag=True, help="Ask for the token, or read it from standard input.")
def profile_set(name: str, url: str | None, account: str | None, token: bool) -> None:
    """Make or change the profile NAME. What is not given stays."""
    from stepwell.cli.profile_commands import change

    raise SystemExit(change(name, url, account, asks_token=token))


@profile.command("list")
def profile_list() -> None:
    """List all profiles: name, address, account, whether there is a token; * marks the one in use."""
    from stepwell.cli.profile_commands import show

    raise SystemExit(show())


@profile.command("use")
@click.argument("name")
def profile_use(name: str) -> None:
    """Use the profile NAME where no other is named."""
    from stepwell.cli.profile_commands import use

    raise SystemExit(use(name))
