"""`stepwell instances why`: why an instance does not go on, in plain words, over the API."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from stepwell.cli import times
from stepwell.cli.output import Output, json_of
from stepwell.cli.targets import named
from stepwell.cli.terminal import clean
from stepwell.client import Client, Result

Reason = Mapping[str, Any]


def show(client: Client, workflow: str, id: str, out: Output) -> int:
    """Print a line for each reason; return the exit code."""
    wanted = named(client, workflow, id)
    found = client.why(workflow, wanted)
    if not out.is_text:
        out.show_one(found, (), wanted)
        return 0
    lines = [_end(found)] if found["end"] else [line for reason in found["reasons"] for line in in_lines(reason)]
    for line in lines or [f"{found['status']}; no reason is known"]:
        click.echo(clean(line))
    return 0


def in_words(reason: Reason) -> str:
    """Return a reason in plain words. One that a newer server gives is shown by its type."""
    words = _WORDS.get(reason["type"])
    return str(reason["type"]) if words is None else words(reason)


def in_lines(reason: Reason) -> list[str]:
    """Return a reason in plain words, and below that the lines of code that it has."""
    return [in_words(reason), *(f"  {line}" for line in reason.get("stack", ()))]


def _end(found: Result) -> str:
    end = found["end"]
    error = "" if end["error"] is None else f": {_error(end['error'])}"
    return f"{found['status']} at {times.short(end['at'])}, {times.ago(end['at'])}{error}"


def _error(error: Mapping[str, Any]) -> str:
    return f"{error['name']}: {error['message']}"


def _since(reason: Reason) -> str:
    return f"since {times.short(reason['since'])}, for {times.span(reason['since'], None)}"


def _until(reason: Reason) -> str:
    return f"until {times.short(reason['until'])}, {times.ahead(reason['until'])}"


def _retry(reason: Reason) -> str:
    count, error = reason["failed_attempts"], _error(reason["error"])
    attempts = "1 attempt has" if count == 1 else f"{count} attempts have"
    return (
        f"waiting for the next attempt of {reason['step']} {_until(reason)}; {attempts} failed, the last with {error}"
    )


def _attempt(reason: Reason) -> str:
    what = f"attempt {reason['attempt']} of {reason['step']} is running on {reason['worker']}"
    return f"{what} {_since(reason)}; it times out at {times.short(reason['until'])}, {times.ahead(reason['until'])}"


def _blocked(reason: Reason) -> str:
    where = "it hangs here:" if reason["stack"] else "where it hangs is not known"
    return f"{reason['worker']} has been blocked {_since(reason)}; {where}"


def _queued(reason: Reason) -> str:
    before = reason["before"]
    behind = "" if not before else f"; {before} {'is' if before == 1 else 'are'} before it"
    return f"queued {_since(reason)}{behind}"


def _slot(reason: Reason) -> str:
    """Say which limit it waits for, and how many are before it."""
    limits = [
        f"{reason['held']} of {reason['limit']} run" if reason["limit"] is not None else "",
        f"the account may run {reason['account_limit']}" if reason["account_limit"] is not None else "",
        "" if reason["key"] is None else f"its key is {json_of(reason['key'])}",
        "" if reason["until"] is None else f"its rate allows the next start {times.ahead(reason['until'])}",
        "" if not reason["before"] else f"{reason['before']} {'is' if reason['before'] == 1 else 'are'} before it",
    ]
    return "; ".join([f"waiting for a slot {_since(reason)}", *filter(None, limits)])


def _shared_slot(reason: Reason) -> str:
    """Say which limit a step waits for, and how many are before it; one that nobody has set is to be."""
    name = reason["limit"]
    most = f"{reason['held']} of {reason['concurrency']} run" if reason["concurrency"] is not None else ""
    said = [
        f"{reason['step']} waits for a slot of the limit {name} {_since(reason)}",
        most if reason["is_set"] else f"nobody has set it: stepwell limits share {name} --concurrency N",
        "" if reason["until"] is None else f"its rate allows the next start {times.ahead(reason['until'])}",
        "" if not reason["before"] else f"{reason['before']} {'is' if reason['before'] == 1 else 'are'} before it",
    ]
    return "; ".join(filter(None, said))


def _not_loaded(reason: Reason) -> str:
    workers = ", ".join(reason["workers"]) or "none"
    made_of = f'class "{reason["class_name"]}" of script "{reason["script_name"]}"'
    return f"no worker has the {made_of}; workers: {workers}"


def _event(reason: Reason) -> str:
    # Servers of before did not say what has come instead.
    unmet = ", ".join(f'"{event_type}"' for event_type in reason.get("unmet", ()))
    others = f"; what has come, and nothing waits for: {unmet}" if unmet else ""
    return f'waiting for event "{reason["event_type"]}" ({reason["step"]}) {_until(reason)}{others}'


def _turns_lost(reason: Reason) -> str:
    times_ = "once" if reason["count"] == 1 else f"{reason['count']} times in a row"
    return f"its worker died {times_}"


def _pausing(reason: Reason) -> str:
    in_flight = ", ".join(reason["in_flight"]) or "the code of run"
    return f"to be paused {_since(reason)}; in flight: {in_flight}"


def _rollback(reason: Reason) -> str:
    step = "" if reason["step"] is None else f" (now {reason['step']})"
    return f"rolling back{step} {_since(reason)}, for {_error(reason['error'])}"


_WORDS: Mapping[str, Callable[[Reason], str]] = {
    "waitForEvent": _event,
    "sleep": lambda r: f"sleeping ({r['step']}) {_until(r)}",
    "retry": _retry,
    "attempt": _attempt,
    "workerBlocked": _blocked,
    "code": lambda r: f"the code of run runs, or waits for something outside of steps, {_since(r)}",
    "queued": _queued,
    "slot": _slot,
    "sharedSlot": _shared_slot,
    "noWorker": lambda r: f"no worker for version {r['version']}: none is alive that has its code",
    "notLoaded": _not_loaded,
    "turnsLost": _turns_lost,
    "resting": lambda r: f"its last turn could not go on (the log of the server says why); it rests {_until(r)}",
    "paused": lambda r: f"paused {_since(r)}",
    "waitingForPause": _pausing,
    "rollingBack": _rollback,
}
