"""`stepwell instances describe`: an instance with its steps, and how it changes."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import click

from stepwell.cli import terminal, times
from stepwell.cli.failures import INSTANCE_ERRORED, INSTANCE_TERMINATED
from stepwell.cli.output import Column, Output
from stepwell.cli.targets import named
from stepwell.cli.terminal import clean
from stepwell.client import Client, Result

Step = Mapping[str, Any]

# The statuses that last, and the exit codes of those who waited for them.
ENDS = {"complete": 0, "errored": INSTANCE_ERRORED, "terminated": INSTANCE_TERMINATED}

# How often a watched instance is asked for.
_LOOK_EVERY_S = 0.5
_BAR = 24
_SHOWN_OUTPUT = 200
# The lines about the instance itself that stay where there is no room for all.
_HEAD = 2


def describe(client: Client, workflow: str, id: str, out: Output, *, watch: bool) -> int:
    """Print an instance with its steps, and its changes if it is watched; return the exit code."""
    wanted = named(client, workflow, id)
    screen = Screen(workflow, wanted, out)
    shown = client.instance(workflow, wanted)
    while watch and shown["status"] not in ENDS:
        screen.update(shown)
        time.sleep(_LOOK_EVERY_S)
        shown = client.instance(workflow, wanted)
    screen.show(shown)
    return 0


class Screen:
    """Shows an instance: on a terminal in place of what it was, in a pipe a line for each part that has changed."""

    def __init__(self, workflow: str, id: str, out: Output) -> None:
        self._workflow, self._id, self._out = workflow, id, out
        self._drawn: list[str] = []
        self._told: dict[tuple[str, ...], _Row] = {}
        self._shown: Result | None = None

    def update(self, instance: Result) -> None:
        """Show an instance that may change: on a terminal no more than there is room for."""
        if not self._out.is_text:
            self.show(instance)
        elif terminal.can_go_back():
            self._draw(_fitted(self._lines(instance), *terminal.size()))
        else:
            self._tell(instance)

    def show(self, instance: Result) -> None:
        """Show an instance as it stands, whole."""
        if not self._out.is_text:
            if instance != self._shown:
                self._out.show_one(instance, (), self._id)
            self._shown = instance
        elif sys.stdout.isatty():
            self._draw(self._lines(instance))
        else:
            self._tell(instance)

    def _draw(self, lines: list[str]) -> None:
        if lines == self._drawn:
            return
        # Lines that a terminal has broken are broken anew when it is made narrower.
        columns = terminal.size()[0]
        back = sum(terminal.height_of(line, columns) for line in self._drawn)
        # Up to where the last one began, and clear from there.
        start = f"\x1b[{back}A\r\x1b[J" if back else ""
        click.echo(start + "".join(f"{line}\n" for line in lines), nl=False, color=True)
        self._drawn = lines

    def _lines(self, instance: Result) -> list[str]:
        steps = _steps(instance)
        lines = list(_head(self._workflow, self._id, instance, is_colored=self._out.is_colored))
        return [*lines, "", *self._out.table(steps, _columns(steps))] if steps else lines

    def _tell(self, instance: Result) -> None:
        for row in _rows(self._workflow, self._id, instance):
            if self._told.get(row.about) != row:
                texts = [clean(text) for text in row.texts]
                texts[row.status] = terminal.painted(texts[row.status], is_colored=self._out.is_colored)
                click.echo("\t".join(texts), color=True)
            self._told[row.about] = row
        sys.stdout.flush()


def _fitted(lines: list[str], columns: int, rows: int) -> list[str]:
    """Return the lines that there is room for: the first, and the last."""
    heights = [terminal.height_of(line, columns) for line in lines]
    # The cursor has a line of its own.
    if sum(heights) < rows:
        return lines
    room, kept = rows - 2 - sum(heights[:_HEAD]), len(lines)
    while kept > _HEAD and room >= heights[kept - 1]:
        kept -= 1
        room -= heights[kept]
    return [*lines[:_HEAD], "...", *lines[kept:]]


def _head(workflow: str, id: str, instance: Result, *, is_colored: bool) -> Iterator[str]:
    status = terminal.painted(clean(instance["status"]), is_colored=is_colored)
    yield f"{clean(workflow)} / {clean(id)}   {status}  ({times.span(instance['start'], instance['end'])})"
    created = times.ago(instance["queued"])
    yield clean(f"trigger {instance['trigger']['source']}   version {instance['versionId']}   created {created}")
    if instance.get("error"):
        yield clean(f"error   {instance['error']['name']}: {instance['error']['message']}")
    if instance.get("output") is not None:
        output = str(instance["output"])
        yield clean(f"output  {output[:_SHOWN_OUTPUT]}{'...' if len(output) > _SHOWN_OUTPUT else ''}")


class _Row(NamedTuple):
    """A line that a pipe gets: what it is about, its texts, and which of them is a status."""

    about: tuple[str, ...]
    texts: tuple[str, ...]
    status: int = 0


def _rows(workflow: str, id: str, instance: Result) -> Iterator[_Row]:
    moments = (instance["queued"], instance["start"] or "-", instance["end"] or "-")
    origin = (instance["versionId"], instance["trigger"]["source"])
    yield _Row(("instance",), ("instance", workflow, id, instance["status"], *moments, *origin), 3)
    for step in _steps(instance):
        name = (step["name"], step["type"])
        yield _Row(name, ("step", *name, _state(step), _tries(step), step["start"], step["end"] or "-"), 3)
    if instance.get("error"):
        yield _Row(("error",), ("error", str(instance["error"]["name"]), str(instance["error"]["message"])))
    if instance.get("output") is not None:
        yield _Row(("output",), ("output", str(instance["output"])))


def _steps(instance: Result) -> list[Step]:
    return [step for step in instance.get("steps") or [] if "name" in step]


def _columns(steps: Sequence[Step]) -> tuple[Column, ...]:
    """Return the columns of steps, whose times are told from the first one's start."""
    moments = [times.moment_of(step["start"]) for step in steps]
    ends = [times.moment_of(step["end"]) for step in steps if step["end"]]
    first, last = min(moments, default=0.0), max([*ends, *moments], default=0.0)
    return (
        Column("step", lambda step: str(step["name"])),
        Column("type", lambda step: str(step["type"]), rank=2),
        Column("status", _state, is_status=True),
        Column("tries", _tries, rank=3),
        Column("start", lambda step: f"+{times.span_of(times.moment_of(step['start']) - first)}", rank=4),
        Column("duration", lambda step: times.span(step["start"], step["end"]) if step["end"] else "-", rank=1),
        Column("timeline", lambda step: f"|{_bar(step, (first, last))}|", rank=5),
    )


def _tries(step: Step) -> str:
    return str(len(step["attempts"])) if "attempts" in step else "-"


def _state(step: Step) -> str:
    if "finished" in step:
        done = "timed out" if step["error"] else "done"
        return done if step["finished"] else "waiting"
    return {True: "complete", False: "errored", None: "running"}[step["success"]]


def _bar(step: Step, frame: tuple[float, float]) -> str:
    """Return where in the whole time a step lies."""
    first, last = frame
    whole = max(last - first, 0.001)
    start = times.moment_of(step["start"])
    end = times.moment_of(step["end"]) if step["end"] else last
    left = min(int((start - first) / whole * _BAR), _BAR - 1)
    length = max(min(round((end - start) / whole * _BAR), _BAR - left), 1)
    mark = "." if "finished" in step else "x" if step.get("success") is False else "#"
    return (" " * left + mark * length).ljust(_BAR)
