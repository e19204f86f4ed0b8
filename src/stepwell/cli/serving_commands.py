"""`stepwell dev`, `serve`, `worker`, `settings` and `mcp`: what each command is given."""

from typing import TYPE_CHECKING, Any

import click

from stepwell.cli import completing, options
from stepwell.cli.failures import Command

if TYPE_CHECKING:
    from stepwell.cli.output import Output


@click.command("dev", cls=Command)
@click.argument("path", default=".", shell_complete=completing.files)
@click.option(
    "--data",
    default=".stepwell",
    show_default=True,
    envvar="STEPWELL_DATA",
    shell_complete=completing.folders,
    help="Folder of the database.",
)
@click.option(
    "--watch/--no-watch", "watches", default=True, show_default=True, help="Reload code when one of its files changes."
)
@click.option("--open", "opens", is_flag=True, help="Show the dashboard in your browser, once the server is ready.")
@options.serving
def dev(path: str, data: str, **given: Any) -> None:
    """Serve the workflows of PATH on this machine.

    PATH is a Python file, a folder of them, or a folder whose wrangler file names one in `main`.

    Code is reloaded when a file changes, unless --no-watch is given. Everything is kept in the data folder; start again
    and it goes on where it was. Ctrl-C stops: steps in flight have 5 seconds to end (--set grace=...), a second Ctrl-C
    ends at once.
    """
    # Imported here: `stepwell --version` should not wait for a web server.
    from stepwell.cli.dev import serve
    from stepwell.cli.server import ServerOptions

    raise SystemExit(serve(data, ServerOptions(path=path, store="", **given)))


@click.command("serve", cls=Command)
@click.argument("path", required=False, shell_complete=completing.files)
@options.hosting
@click.option("--stored", is_flag=True, help="Serve what was served last, from the store alone: as without PATH.")
@click.option("--allow-deploy", "allows_deploy", is_flag=True, help="Take code that is uploaded: `stepwell deploy`.")
@options.serving
def serve(path: str | None, *, stored: bool, **given: Any) -> None:
    """Serve the workflows of PATH to others: each request needs a token.

    PATH is a Python file, a folder of them, or a folder whose wrangler file names one in `main`. The code is served as
    it is when the server starts: a snapshot of its folder is kept in the store, and instances that are running stay on
    the code that they began with. Without PATH, what was served or deployed last is served; with --allow-deploy there
    may be nothing yet. SIGTERM or Ctrl-C stops: steps in flight have 5 seconds to end (--set grace=...), a second one
    ends at once.
    """
    # Imported here: `stepwell --version` should not wait for a web server.
    from stepwell.cli.serve import serve as run
    from stepwell.cli.server import ServerOptions

    if stored and path is not None:
        raise click.UsageError("--stored serves what the store has, and PATH something else: leave one of them out")
    raise SystemExit(run(ServerOptions(path=path or "", is_stored=path is None, **given)))


@click.command("worker", cls=Command)
@click.argument("path", required=False, shell_complete=completing.files)
@options.working
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Serve /metrics and /healthz here, and nothing else; 0: any free port.  [default: nowhere]",
)
@click.option("--metrics-host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="On which address.")
def worker(path: str | None, **given: Any) -> None:
    """Run the workflows of a PostgreSQL database, beside its servers and on any number of hosts. It has no API.

    Without PATH it runs what was served last, and goes over to what any host serves later. With PATH, it serves that to
    new instances from now on, as `stepwell serve PATH` does. Instances stay on the code that they began with: whatever
    that is, it comes from the database. SIGTERM or Ctrl-C stops as with `stepwell serve`.
    """
    from stepwell.cli.worker import WorkingOptions, work

    raise SystemExit(work(WorkingOptions(path=path or "", is_stored=path is None, **given)))


@click.command("settings", cls=Command)
@click.argument("path", default=".", shell_complete=completing.files)
@options.CONFIG
@options.SET
@options.shown
def show_settings(path: str, config: str | None, settings: tuple[str, ...], out: "Output") -> None:
    """List the settings that a server of PATH has, and where each came from.

    In this order: --set, the environment (STEPWELL_<NAME>), the table [settings] of the file stepwell.toml in the
    project's folder, or of that of --config, the default.
    """
    from stepwell.cli.settings import show

    raise SystemExit(show(path, settings, config, out))


@click.command("mcp", cls=Command)
@click.option("--control", "controls", is_flag=True, help="Offer tools that change something, too.")
@options.remote
def speak_mcp(*, controls: bool, **where: Any) -> None:
    """Offer a server's workflows to AI agents, as tools of the Model Context Protocol.

    A client, such as Claude Code, Claude Desktop, Cursor or VS Code, starts this and speaks to it on standard input and
    output. Without --control its tools only read. What they may do is what the token may: give it one that may only
    read. Needs `pip install 'stepwell[mcp]'`.
    """
    from stepwell.cli.mcp.serving import serve as run

    raise SystemExit(run(where, controls=controls))
