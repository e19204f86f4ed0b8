"""Where an instance came to its error, and what can be done about it next."""

import shlex
from collections.abc import Mapping
from typing import Any

from stepwell.cli.terminal import clean

Step = Mapping[str, Any]

# The steps that can fail, and what `--type` says of them; None: it need not be said.
_TYPES = {"step": None, "waitForEvent": "waitForEvent"}


def failed_step(instance: Mapping[str, Any]) -> Step | None:
    """Return the step whose error ended an instance; None: its code raised it, or nothing has."""
    error = _told(instance.get("error"))
    if error is None:
        return None
    # Code may go on after a step's error: the last one that has the instance's own is meant.
    steps = reversed(instance.get("steps") or [])
    return next((step for step in steps if step.get("type") in _TYPES and _error_of(step) == error), None)


def place_of(step: Step) -> tuple[str, ...]:
    """Return the name of a step in the log, and if it has attempts the number of the last one."""
    attempts = step.get("attempts")
    return (str(step["name"]), str(len(attempts))) if attempts else (str(step["name"]),)


def next_command(workflow: str, id: str, instance: Mapping[str, Any]) -> str | None:
    """Return the command that lets an errored instance go on; None: there is none that could be typed as it is."""
    if instance["status"] != "errored":
        return None
    if (instance.get("rollback") or {}).get("outcome") == "failed":
        command = ["resume-rollback", workflow, id]
    else:
        command = ["restart", workflow, id, *_from(instance)]
    text = shlex.join(["stepwell", "instances", *command])
    return text if clean(text) == text else None


def _from(instance: Mapping[str, Any]) -> list[str]:
    """Return the options that say where to begin again: at the step that failed, unless what was done is undone."""
    step = failed_step(instance)
    if step is None or instance.get("rollback"):
        return []
    name, _, count = str(step["name"]).rpartition("-")
    kind = _TYPES[step["type"]]
    return ["--from", name, *(["--count", count] if count != "1" else []), *(["--type", kind] if kind else [])]


def _error_of(step: Step) -> tuple[str, str] | None:
    """Return the error that a step ended with."""
    if step.get("success") is False and step.get("attempts"):
        return _told(step["attempts"][-1].get("error"))
    return _told(step.get("error"))


def _told(error: Mapping[str, Any] | None) -> tuple[str, str] | None:
    return (str(error.get("name")), str(error.get("message"))) if error else None
