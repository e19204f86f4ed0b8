"""Waiting for the end of an instance, and watching it until then."""

import time
from dataclasses import dataclass

import click

from stepwell.cli.description import ENDS, Screen, look
from stepwell.cli.failures import TIMED_OUT
from stepwell.cli.output import Output
from stepwell.cli.progress import Progress, detaching
from stepwell.cli.terminal import say
from stepwell.client import Client

# How often an instance that is waited for is asked for.
_LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Waiting:
    """Whether a command waits for an end, whether it shows what changes until then, and for how long at most."""

    waits: bool = False
    watches: bool = False
    timeout_s: float | None = None

    def __post_init__(self) -> None:
        """Raise click.UsageError where a time is given for no wait."""
        if self.timeout_s is not None and not (self.waits or self.watches):
            raise click.UsageError("--timeout says how long --wait or --watch lasts, and neither is given")

    def deadline(self) -> "Deadline":
        """Return when the wait is over that begins now."""
        return Deadline(None if self.timeout_s is None else time.monotonic() + self.timeout_s)


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a wait is over; None: never."""

    at: float | None

    def pause(self, seconds: float) -> bool:
        """Wait for so long, or until the deadline; tell whether there is time left."""
        left = seconds if self.at is None else min(seconds, self.at - time.monotonic())
        if left <= 0:
            return False
        time.sleep(left)
        return True


def until_end(client: Client, target: tuple[str, str], waiting: Waiting, out: Output) -> int:
    """Wait for the end of an instance, and print it; return the exit code, which tells how it ended."""
    workflow, id = target
    with detaching(f"stepwell instances describe {workflow} {id} --watch"):
        say(f"waiting for {id}")
        return _watch(client, target, waiting, out) if waiting.watches else _wait(client, target, waiting, out)


def _wait(client: Client, target: tuple[str, str], waiting: Waiting, out: Output) -> int:
    deadline = waiting.deadline()
    with Progress(target[1]) as progress:
        while (instance := client.instance(*target, simple=True))["status"] not in ENDS:
            progress.tell_of(instance["status"])
            if not deadline.pause(_LOOK_EVERY_S):
                progress.clear()
                return _out_of_time(target[1], instance["status"], waiting)
    Screen(*target, out).show(client.instance(*target))
    return ENDS[instance["status"]]


def _watch(client: Client, target: tuple[str, str], waiting: Waiting, out: Output) -> int:
    deadline, screen = waiting.deadline(), Screen(*target, out)
    while (instance := look(client, *target, out))["status"] not in ENDS:
        screen.update(instance)
        if not deadline.pause(_LOOK_EVERY_S):
            return _out_of_time(target[1], instance["status"], waiting)
    screen.show(instance)
    return ENDS[instance["status"]]


def _out_of_time(id: str, status: str, waiting: Waiting) -> int:
    say(f"{id} is still {status} after {waiting.timeout_s:g} s")
    return TIMED_OUT
