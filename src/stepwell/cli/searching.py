"""The options by which instances are searched for, and labels as arguments."""

import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from stepwell import durations
from stepwell.cli import completing, times
from stepwell.cli.options import Aliased, Command, combined

# What the API is asked, by the names of its parameters.
Search = Mapping[str, str | Sequence[str] | None]

_MOMENT = "a date and time such as 2026-11-23T10:00Z, or how long ago, such as 2h or '2 hours'"


def _to_moment(_context: click.Context, _option: click.Parameter, given: str | None) -> str | None:
    """Return a moment as the API is told it: without an offset it is UTC, as there."""
    if given is None:
        return None
    ago_ms = times.to_ms(given.removesuffix(" ago"))
    try:
        if ago_ms is not None:
            return _iso(datetime.now(UTC) - timedelta(milliseconds=ago_ms))
        at = datetime.fromisoformat(given)
        return _iso(at if at.tzinfo else at.replace(tzinfo=UTC))
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(f"{given!r:.100} is not {_MOMENT}") from error


def _to_duration(_context: click.Context, _option: click.Parameter, given: str | None) -> str | None:
    """Return a duration as the API is told it: in milliseconds."""
    if given is None:
        return None
    ms = times.to_ms(given)
    if ms is None:
        raise click.BadParameter(f"{given!r:.100} is not {durations.EXPECTED}")
    return str(ms)


def _to_statuses(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Return statuses, of which each argument may have several."""
    if not given:
        return given
    # Imported here: most commands are told none.
    from stepwell.core.instance import Status

    found = tuple(dict.fromkeys(status for argument in given for status in argument.split(",")))
    if unknown := [status for status in found if status not in {*Status}]:
        raise click.BadParameter(f"{unknown[0]!r:.100} is none of: {', '.join(sorted(Status))}")
    return found


def moment(name: str, alias: str, parameter: str, text: str) -> Callable[[Command], Command]:
    """Return an option whose value is a moment, or a time that is so long ago; a command gets it as the API's."""
    return click.option(name, alias, parameter, cls=Aliased, callback=_to_moment, metavar="TIME", help=text)


def _lasting(name: str, parameter: str, text: str) -> Callable[[Command], Command]:
    return click.option(name, parameter, callback=_to_duration, metavar="DURATION", help=text)


# Each under the name of the API's parameter.
_OPTIONS: Mapping[str, Callable[[Command], Command]] = {
    "status": click.option(
        "--status",
        "status",
        multiple=True,
        callback=_to_statuses,
        metavar="STATUS",
        shell_complete=completing.statuses,
        help="Only those with this status, or one of several: errored,terminated. Repeatable.",
    ),
    "label": click.option(
        "--label",
        "label",
        multiple=True,
        metavar="NAME=VALUE",
        help="Only those with this label. Repeatable: and this.",
    ),
    "prefix": click.option("--prefix", "prefix", metavar="TEXT", help="Only those whose id begins so."),
    "version": click.option(
        "--version",
        "version",
        metavar="ID",
        shell_complete=completing.versions,
        help="Only those of this version.",
    ),
    "trigger": click.option(
        "--trigger", "trigger", metavar="SOURCE", help="Only those that this created: api, cron..."
    ),
    "error": click.option("--error", "error", metavar="NAME", help="Only those that errored with this error."),
    "error_text": click.option(
        "--error-text", "error_text", metavar="TEXT", help="Only those with this in their error's message."
    ),
    "duration_min": _lasting(
        "--longer-than", "duration_min", "Only those that took so long or longer, or have so far."
    ),
    "duration_max": _lasting("--shorter-than", "duration_max", "Only those that took no longer, or have not so far."),
    "date_start": moment(
        "--since", "--date-start", "date_start", "Only those created then or later; TIME may be 2h or '2 hours'."
    ),
    "date_end": moment("--until", "--date-end", "date_end", "Only those created then or earlier."),
    "ended_start": moment("--ended-since", "--ended-start", "ended_start", "Only those that ended then or later."),
    "ended_end": moment("--ended-until", "--ended-end", "ended_end", "Only those that ended then or earlier."),
}


def searched(command: Command) -> Command:
    """Give a command the options that say which instances are meant; it gets them as `search`."""

    @combined(*_OPTIONS.values())
    @functools.wraps(command)
    def with_search(*arguments: Any, **more: Any) -> None:
        search = {name: more.pop(name) for name in _OPTIONS}
        command(*arguments, search=search, **more)

    return with_search


def labels_of(given: Sequence[str]) -> dict[str, str]:
    """Return the labels that arguments say, each NAME=VALUE. Raises click.BadParameter."""
    labels: dict[str, str] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign:
            raise click.BadParameter(f"a label is NAME=VALUE, such as customer=ann, got {text!r:.100}")
        if labels.setdefault(name, value) != value:
            raise click.BadParameter(
                f"the label {name!r:.100} is given two values: {labels[name]!r:.100}, {value!r:.100}"
            )
    return labels


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
