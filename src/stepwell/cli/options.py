"""Options that commands share."""

import contextlib
import functools
import math
import os
import re
from collections.abc import Callable
from typing import Any

import click

from stepwell.cli import completing

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
CONFIG = click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="Take settings from this TOML file, not from the project's stepwell.toml.",
)

# Below which path a proxy may have a server.
_BASE_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)+")


def combined(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return what gives a command options, which `--help` lists in this order."""
    return lambda command: functools.reduce(lambda given, option: option(given), reversed(options), command)


def _number_of_workers(_context: click.Context, _option: click.Parameter, given: int | None) -> int:
    return given or max((os.cpu_count() or 1) - 1, 1)


# Of all that runs workflows.
_running = combined(
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
    click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        help="How the log is written, which is the setting log_format.  [default: text]",
    ),
    CONFIG,
    SET,
)
# Of what runs them for others.
hosting = combined(
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
working = combined(hosting, _running)


def _path_of_proxy(ctx: click.Context, param: click.Parameter, value: str) -> str:  # noqa: ARG001 - click's signature
    """Return a path without a slash at its end."""
    path = value.rstrip("/")
    if path and not _BASE_PATH.fullmatch(path):
        raise click.BadParameter(
            f'"{value:.200}" is no path for links; give one such as /stepwell, of letters, digits and - . _ ~'
        )
    return path


def _networks(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Return addresses and networks as they are, if all are ones."""
    # Imported here: few servers stand behind a proxy.
    import ipaddress

    for text in value:
        try:
            ipaddress.ip_network(text)
        except ValueError:
            raise click.BadParameter(
                f'"{text:.200}" is no address or network; give one such as 10.0.0.7 or 10.0.0.0/8'
            ) from None
    return value


# Of a server.
serving = combined(
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
        "--trust-proxy",
        "trust_proxies",
        multiple=True,
        callback=_networks,
        metavar="NETWORK",
        help="Believe X-Forwarded-For and -Proto of proxies there, such as 10.0.0.0/8. Repeatable.",
    ),
    click.option(
        "--base-path",
        default="",
        callback=_path_of_proxy,
        metavar="PATH",
        help="What a proxy has the server below, such as /stepwell.",
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


def _keep(ctx: click.Context, option: click.Parameter, value: Any) -> None:
    ctx.meta[f"stepwell.{option.name}"] = value


def _kept(name: str, text: str) -> Callable[[Command], Command]:
    """Return what gives a command a flag that is kept in the context, under its name."""
    return click.option(name, is_flag=True, expose_value=False, callback=_keep, help=text)


# Which server is asked. A token comes from the environment or the profile.
remote = combined(
    click.option("--url", metavar="URL", help="The server.  [default: STEPWELL_URL, else the profile's]"),
    click.option("--account", metavar="ID", help="The account.  [default: STEPWELL_ACCOUNT, else the profile's]"),
    click.option(
        "--profile",
        metavar="NAME",
        shell_complete=completing.profiles,
        help="Use this profile.  [default: STEPWELL_PROFILE]",
    ),
    _kept("--verbose", "Say of each error which request it was, if the server gave it an id."),
    _kept("--debug", "Show each request on standard error, without tokens and payloads."),
    # As wrangler spells that a server of this machine is asked.
    click.option("--local", is_flag=True, hidden=True, expose_value=False, callback=_keep),
    click.option("--port", type=click.IntRange(1, 65535), hidden=True, expose_value=False, callback=_keep),
)


def _to_seconds(_context: click.Context, _option: click.Parameter, given: str | None) -> float | None:
    """Return a time in seconds: a number of them, or a duration in words."""
    if given is None:
        return None
    from stepwell.cli import times

    with contextlib.suppress(ValueError):
        if (seconds := float(given)) >= 0 and math.isfinite(seconds):
            return seconds
    ms = times.to_ms(given)
    if ms is None or ms < 0 or given.lstrip("+-").replace(".", "").isdigit():
        raise click.BadParameter(f"{given!r:.100} is no time; give seconds, or such as 5min or '5 minutes'")
    return ms / 1000


WATCH = click.option("--watch", is_flag=True, help="Show each change until the end; in a pipe, a line for each.")
TIMEOUT = click.option(
    "--timeout",
    callback=_to_seconds,
    metavar="TIME",
    help="How long to wait at most, in seconds or as '5 minutes'; then the exit code is 9.",
)
YES = click.option("-y", "--yes", is_flag=True, help="Do not ask. Needed where there is no terminal to ask on.")


class Aliased(click.Option):
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

    @combined(YES, click.option("--dry-run", is_flag=True, help="Print the ids, and do nothing."))
    @functools.wraps(command)
    def with_consent(*arguments: Any, yes: bool, dry_run: bool, **more: Any) -> None:
        from stepwell.cli.consent import Consent

        command(*arguments, consent=Consent(yes, dry_run), **more)

    return with_consent


def rehearsed(command: Command) -> Command:
    """Give a command that need not ask the option to show what it would be about; it gets a Consent as `consent`."""

    @combined(click.option("--dry-run", is_flag=True, help="Print the ids, and do nothing."))
    @functools.wraps(command)
    def with_consent(*arguments: Any, dry_run: bool, **more: Any) -> None:
        from stepwell.cli.consent import Consent

        command(*arguments, consent=Consent(True, dry_run), **more)

    return with_consent


def from_step(command: Command) -> Command:
    """Give a command the options that name a step to begin at; it gets what the API is told as `step`, or None."""

    @combined(
        click.option(
            "--from",
            "--from-step-name",
            "name",
            cls=Aliased,
            metavar="STEP",
            shell_complete=completing.steps,
            help="Begin at this step of the code.",
        ),
        click.option(
            "--count",
            "--from-step-count",
            "count",
            cls=Aliased,
            type=click.IntRange(1),
            metavar="N",
            help="At the Nth of this name.  [default: 1]",
        ),
        click.option(
            "--type",
            "--from-step-type",
            "type",
            cls=Aliased,
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


_FORMS = ("table", "wide", "json", "ndjson", "ids", "yaml")


def shown(command: Command) -> Command:
    """Give a command that shows something the options that say how; it gets an Output as `out`."""

    @combined(
        click.option(
            "-o",
            "form",
            type=click.Choice(_FORMS),
            default="table",
            show_default=True,
            help="Form: table is text with tabs in a pipe; json is what the API answers, and yaml the same.",
        ),
        click.option(
            "--color",
            type=click.Choice(("auto", "always", "never")),
            default="auto",
            show_default=True,
            help="Colours; auto goes by the terminal, NO_COLOR and FORCE_COLOR.",
        ),
        click.option("--json", "as_json", is_flag=True, help="The same as -o json."),
        click.option(
            "--time",
            type=click.Choice(("relative", "iso", "local", "utc")),
            help="How text tells times: as 3 min ago, as the API does, by this machine's clock, or by UTC.  "
            "[default: relative, where nothing has to be exact]",
        ),
        click.option(
            "--ascii", "is_ascii", is_flag=True, help="Write other characters than ASCII as \\u and their code."
        ),
    )
    @functools.wraps(command)
    def with_output(
        *arguments: Any, form: Any, color: Any, as_json: bool, time: Any, is_ascii: bool, **more: Any
    ) -> None:
        from stepwell.cli import terminal, times
        from stepwell.cli.output import Output

        if as_json and form not in {"table", "json"}:
            raise click.UsageError(f"--json is -o json, and -o says {form}; leave one of them out")
        terminal.be_ascii(is_ascii=is_ascii)
        times.style.set(time)
        command(*arguments, out=Output("json" if as_json else form, color), **more)

    return with_output


# Of what draws the graph of a workflow.
drawn = combined(
    click.option(
        "--version",
        metavar="ID",
        shell_complete=completing.versions,
        help="Of WORKFLOW: this version.  [default: the newest]",
    ),
    click.option(
        "--instance",
        "id",
        metavar="ID",
        shell_complete=completing.instances,
        help="Of WORKFLOW: with how this instance stands; latest for the newest one.",
    ),
    click.option(
        "-o",
        "--format",
        "form",
        type=click.Choice(["text", "svg", "mermaid", "dot", "json", "yaml"]),
        help="Form.  [default: as --file ends, else text]",
    ),
    click.option("--file", metavar="FILE", shell_complete=completing.files, help="Write to this file."),
    click.option(
        "--theme",
        type=click.Choice(["auto", "light", "dark"]),
        default="auto",
        show_default=True,
        help="Colours of an SVG; auto goes by the system of who looks at it.",
    ),
)
