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
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8787, show_default=True, type=click.IntRange(0, 65535), help="0: any free one.")
@click.option("--data", default=".stepwell", show_default=True, envvar="STEPWELL_DATA", help="Folder of the database.")
@click.option(
    "--allow-host",
    multiple=True,
    metavar="NAME",
    help="Also answer requests to this host name (a proxy's). Repeatable.",
)
@click.option("--env", multiple=True, metavar="NAME", help="Give workflows this environment variable. Repeatable.")
def dev(path: str, host: str, port: int, data: str, allow_host: tuple[str, ...], env: tuple[str, ...]) -> None:  # noqa: PLR0913, PLR0917 - one for each option
    """Serve the workflows of PATH, a Python file or a folder of them, on this machine.

    Code is reloaded when a file changes. Everything is kept in the data folder; start again and it goes on where it
    was. Ctrl-C stops: steps in flight have 5 seconds to end, a second Ctrl-C ends at once.
    """
    # Imported here: `stepwell --version` should not wait for a web server.
    from stepwell.cli.dev import DevOptions, serve

    raise SystemExit(serve(DevOptions(path, host, port, data, allow_host, env)))
