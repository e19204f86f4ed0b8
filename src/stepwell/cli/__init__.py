"""The command line."""

import click

from stepwell import __version__

__all__ = ["main"]


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


@main.command()
@click.argument("path", default=".")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8787, show_default=True, type=click.IntRange(0, 65535), help="0: any free one.")
@click.option("--data", default=".stepwell", show_default=True, envvar="STEPWELL_DATA", help="Folder of the database.")
@click.option(
    "--allow-host",
    multiple=True,
    metavar="NAME",
    help="Also answer requests to this host name (a proxy's). Repeatable.",
)
@click.option(
    "--fetch-port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Where the `fetch` of a WorkerEntrypoint in PATH is served, if it has one.  [default: the port after --port]",
)
@click.option("--no-output", is_flag=True, help="Do not keep what workflows print and log; it is shown all the same.")
@click.option("--env", multiple=True, metavar="NAME", help="Give workflows this environment variable. Repeatable.")
def dev(  # noqa: PLR0913, PLR0917 - one for each option
    path: str,
    host: str,
    port: int,
    data: str,
    allow_host: tuple[str, ...],
    fetch_port: int | None,
    no_output: bool,
    env: tuple[str, ...],
) -> None:
    """Serve the workflows of PATH on this machine.

    PATH is a Python file, a folder of them, or a folder whose wrangler file names one in `main`.

    Code is reloaded when a file changes. Everything is kept in the data folder; start again and it goes on where it
    was. Ctrl-C stops: steps in flight have 5 seconds to end, a second Ctrl-C ends at once.
    """
    # Imported here: `stepwell --version` should not wait for a web server.
    from stepwell.cli.dev import DevOptions, serve

    raise SystemExit(serve(DevOptions(path, host, port, data, allow_host, env, fetch_port, not no_output)))
