"""Options that commands share."""

import functools
from collections.abc import Callable
from typing import Any

import click

Command = Callable[..., None]

STORE = click.option(
    "--store",
    default="sqlite:///.stepwell/stepwell.db",
    show_default=True,
    envvar="STEPWELL_STORE",
    metavar="URL",
    help="Where everything is kept: sqlite:///relative.db or sqlite:////absolute.db.",
)
SET = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change a setting; `stepwell settings` lists all. Repeatable.",
)


def _all(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return what gives a command options, which `--help` lists in this order."""
    return lambda command: functools.reduce(lambda given, option: option(given), reversed(options), command)


# Of a server.
serving = _all(
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
    SET,
)

# Which server is asked. A token comes from the environment or the profile.
remote = _all(
    click.option("--url", metavar="URL", help="The server.  [default: STEPWELL_URL, else the profile's]"),
    click.option("--account", metavar="ID", help="The account.  [default: STEPWELL_ACCOUNT, else the profile's]"),
    click.option("--profile", metavar="NAME", help="Use this profile.  [default: STEPWELL_PROFILE]"),
)

_FORMS = ("table", "wide", "json", "ndjson", "ids")


def shown(command: Command) -> Command:
    """Give a command that shows something the options that say how; it gets an Output as `out`."""

    @_all(
        click.option(
            "-o",
            "form",
            type=click.Choice(_FORMS),
            default="table",
            show_default=True,
            help="Form: table is text with tabs in a pipe; json is what the API answers.",
        ),
        click.option(
            "--color",
            type=click.Choice(("auto", "always", "never")),
            default="auto",
            show_default=True,
            help="Colours; auto goes by the terminal, NO_COLOR and FORCE_COLOR.",
        ),
    )
    @functools.wraps(command)
    def with_output(*arguments: Any, form: Any, color: Any, **more: Any) -> None:
        from stepwell.cli.output import Output

        command(*arguments, out=Output(form, color), **more)

    return with_output
