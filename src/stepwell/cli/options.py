"""Options that commands share."""

import functools
import os
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
    help="Where everything is kept: sqlite:///relative.db, sqlite:////absolute.db or postgresql://user@host/database.",
)
ACCOUNT = click.option("--account", default="local", show_default=True, metavar="ID", help="Whose the workflows are.")
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


def _number_of_workers(_context: click.Context, _option: click.Parameter, given: int | None) -> int:
    return given or max((os.cpu_count() or 1) - 1, 1)


# Of all that runs workflows.
_running = _all(
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
# Of what runs them for others.
hosting = _all(
    STORE,
    ACCOUNT,
    click.option(
        "--workers",
        type=click.IntRange(1, 1024),
        callback=_number_of_workers,
        metavar="N",
        help="How many processes run workflows.  [default: one less than there are cores, at least 1]",
    ),
)
working = _all(hosting, _running)

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
    _running,
)

# Which server is asked. A token comes from the environment or the profile.
remote = _all(
    click.option("--url", metavar="URL", help="The server.  [default: STEPWELL_URL, else the profile's]"),
    click.option("--account", metavar="ID", help="The account.  [default: STEPWELL_ACCOUNT, else the profile's]"),
    click.option("--profile", metavar="NAME", help="Use this profile.  [default: STEPWELL_PROFILE]"),
)

YES = click.option("-y", "--yes", is_flag=True, help="Do not ask. Needed where there is no terminal to ask on.")


class _Aliased(click.Option):
    """An option with wrangler's spelling behind ours; `--help` lists ours alone."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return what `--help` says."""
        spellings, self.opts = self.opts, self.opts[:1]
        try:
            return super().get_help_record(ctx)
        finally:
            self.opts = spellings


def step_type(*types: str) -> Callable[[Command], Command]:
    """Return what gives a command the option that says of which type a step is."""
    return click.option(
        "--type", type=click.Choice(types), default=types[0], show_default=True, help="Of which type it is."
    )


def confirmed(command: Command) -> Command:
    """Give a command that asks before it does something the options about that; it gets a Consent as `consent`."""

    @_all(YES, click.option("--dry-run", is_flag=True, help="Print the ids, and do nothing."))
    @functools.wraps(command)
    def with_consent(*arguments: Any, yes: bool, dry_run: bool, **more: Any) -> None:
        from stepwell.cli.consent import Consent

        command(*arguments, consent=Consent(yes, dry_run), **more)

    return with_consent


def from_step(command: Command) -> Command:
    """Give a command the options that name a step to begin at; it gets what the API is told as `step`, or None."""

    @_all(
        click.option(
            "--from", "--from-step-name", "name", cls=_Aliased, metavar="STEP", help="Begin at this step of the code."
        ),
        click.option(
            "--count",
            "--from-step-count",
            "count",
            cls=_Aliased,
            type=click.IntRange(1),
            metavar="N",
            help="At the Nth of this name.  [default: 1]",
        ),
        click.option(
            "--type",
            "--from-step-type",
            "type",
            cls=_Aliased,
            type=click.Choice(("do", "sleep", "waitForEvent")),
            help="At one of this type.  [default: do]",
        ),
    )
    @functools.wraps(command)
    def with_step(*arguments: Any, name: str | None, count: int | None, type: str | None, **more: Any) -> None:
        if name is None and (count, type) != (None, None):
            raise click.UsageError("--count and --type say which step --from names, and it names none")
        said = {"name": name, "count": count, "type": type}
        step = None if name is None else {key: value for key, value in said.items() if value is not None}
        command(*arguments, step=step, **more)

    return with_step


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
