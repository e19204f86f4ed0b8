"""`stepwell instances describe`: an instance with its steps, and how it changes."""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import click

from stepwell.cli import terminal, times
from stepwell.cli.failures import INSTANCE_ERRORED, INSTANCE_TERMINATED
from stepwell.cli.output import Column, Output
from stepwell.cli.progress import detaching
from stepwell.cli.redrawing import Drawing, fitted
from stepwell.cli.remedies import failed_step, next_command, place_of
from stepwell.cli.targets import named
from stepwell.cli.terminal import clean
from stepwell.client import Client, Result
from stepwell.errors import NotOfThisServer

Step = Mapping[str, Any]

# As in the dashboard: JavaScript writes what is smaller with an exponent.
_SMALLEST_IN_FIGURES = 1e-6

# The statuses that last, and the exit codes of those who waited for them.
ENDS = {"complete": 0, "errored": INSTANCE_ERRORED, "terminated": INSTANCE_TERMINATED}

# How often a watched instance is asked for.
_LOOK_EVERY_S = 0.5
_BAR = 24


@dataclass(frozen=True, slots=True)
class Outputs:
    """How many characters of an output people are shown, and whether those of steps are shown, and steps at all."""

    limit: int = 200
    are_of_steps: bool = False
    has_steps: bool = True

    def shown(self, output: object) -> str:
        """Return an output, cut."""
        text = str(output)
        return f"{text[: self.limit]}{'...' if len(text) > self.limit else ''}"


_SHORT = Outputs()


def describe(client: Client, target: tuple[str, str], out: Output, outputs: Outputs = _SHORT, *, watch: bool) -> int:
    """Print an instance with its steps, and its changes if it is watched; return the exit code."""
    workflow, wanted = target[0], named(client, *target)
    screen = Screen(workflow, wanted, out, outputs)
    shown = look(client, workflow, wanted, out, outputs)
    with detaching(f"stepwell instances describe {workflow} {wanted} --watch") if watch else nullcontext():
        while watch and shown["status"] not in ENDS:
            screen.update(shown)
            time.sleep(_LOOK_EVERY_S)
            shown = look(client, workflow, wanted, out, outputs)
    if out.is_text:
        with suppress(NotOfThisServer):
            screen.totals = client.attributes(workflow, wanted).get("totals", {})
    if out.is_text and shown["status"] in ENDS:
        with suppress(NotOfThisServer):
            screen.kept_until = client.retention(workflow, wanted)["kept_until"]
    screen.show(shown)
    return 0


def look(client: Client, workflow: str, id: str, out: Output, outputs: Outputs = _SHORT) -> Result:
    """Return an instance, for people with its labels; programs get what Cloudflare's route answers.

    People are told at which step it failed, also where no steps are shown.
    """
    instance = client.instance(workflow, id, simple=not (out.is_text or outputs.has_steps))
    if out.is_text:
        with suppress(NotOfThisServer):
            instance["labels"] = client.labels(workflow, id)
    return instance


class Screen:
    """Shows an instance: on a terminal in place of what it was, in a pipe a line for each part that has changed."""

    def __init__(self, workflow: str, id: str, out: Output, outputs: Outputs = _SHORT) -> None:
        self._outputs = outputs
        self._workflow, self._id, self._out = workflow, id, out
        self._drawing = Drawing()
        self._told: dict[tuple[str, ...], _Row] = {}
        self._shown: Result | None = None
        # The sums of what its attempts say of themselves.
        self.totals: Mapping[str, float] = {}
        # Until when it is kept; None: it has not ended.
        self.kept_until: str | None = None

    def update(self, instance: Result) -> None:
        """Show an instance that may change: on a terminal no more than there is room for."""
        if not self._out.is_text:
            self.show(instance)
        elif terminal.can_go_back():
            self._drawing.draw(fitted(self._lines(instance), *terminal.size()))
        else:
            self._tell(instance)

    def show(self, instance: Result) -> None:
        """Show an instance as it stands, whole."""
        if not self._out.is_text:
            if instance != self._shown:
                self._out.show_one(instance, (), self._id)
            self._shown = instance
        elif sys.stdout.isatty():
            self._drawing.draw(self._lines(instance))
        else:
            self._tell(instance)

    def _lines(self, instance: Result) -> list[str]:
        steps = steps_of(instance) if self._outputs.has_steps else []
        lines = list(_head((self._workflow, self._id), instance, self._outputs, is_colored=self._out.is_colored))
        if self.totals:
            lines.append(clean(f"totals  {pairs_in_words(self.totals)}"))
        if self.kept_until is not None:
            lines.append(clean(f"kept until {times.short(self.kept_until)}"))
        if steps:
            said = _outputs_of(steps, self._outputs) if self._outputs.are_of_steps else []
            lines += ["", *self._out.table(steps, _columns(steps, instance["end"])), *([""] if said else []), *said]
        command = next_command(self._workflow, self._id, instance)
        return lines if command is None else [*lines, f"next: {command}"]

    def _tell(self, instance: Result) -> None:
        rows = list(_rows((self._workflow, self._id), instance, self._outputs))
        if self.totals:
            rows.append(_Row(("totals",), ("totals", *pairs_in_words(self.totals).split(" "))))
        for row in rows:
            if self._told.get(row.about) != row:
                texts = [clean(text) for text in row.texts]
                texts[row.status] = terminal.painted(texts[row.status], is_colored=self._out.is_colored)
                click.echo("\t".join(texts), color=True)
            self._told[row.about] = row
        sys.stdout.flush()


def pairs_in_words(pairs: Mapping[str, object]) -> str:
    """Return labels, or attributes, as people write them."""
    return " ".join(f"{name}={_in_figures(value)}" for name, value in pairs.items())


def _in_figures(value: object) -> str:
    # An answer of a model costs 0.000065 USD, which Python writes as 6.5e-05.
    is_small = isinstance(value, float) and _SMALLEST_IN_FIGURES <= abs(value) < 1
    return f"{Decimal(repr(value)):f}" if is_small else str(value)


def _head(target: tuple[str, str], instance: Result, outputs: Outputs, *, is_colored: bool) -> Iterator[str]:
    workflow, id = target
    status = terminal.painted_mark(clean(instance["status"]), is_colored=is_colored)
    yield f"{clean(workflow)} / {clean(id)}   {status}  ({_course(instance)})"
    created = times.ago(instance["queued"])
    yield clean(f"trigger {instance['trigger']['source']}   version {instance['versionId']}   created {created}")
    if instance.get("labels"):
        yield clean(f"labels  {pairs_in_words(instance['labels'])}")
    if instance.get("error"):
        yield clean(f"error   {instance['error']['name']}: {instance['error']['message']}{_where(instance)}")
    if instance.get("output") is not None:
        yield clean(f"output  {outputs.shown(_json_of(instance))}")


def _course(instance: Result) -> str:
    """Return in words how long an instance took, or has taken so far, and how many attempts have failed."""
    attempts = (attempt for step in steps_of(instance) for attempt in step.get("attempts") or ())
    failed = sum(attempt.get("success") is False for attempt in attempts)
    told = f", {failed:,} attempt{'' if failed == 1 else 's'} failed" if failed else ""
    return times.span(instance["start"], instance["end"]) + told


def _where(instance: Result) -> str:
    """Return in words in which step an instance came to its error; nothing if it was in none."""
    step = failed_step(instance)
    return "" if step is None else f"   at {', attempt '.join(place_of(step))}"


def _outputs_of(steps: Sequence[Step], outputs: Outputs) -> list[str]:
    """Return a line for each step that has returned something."""
    returned = [step for step in steps if step.get("output") is not None]
    return [clean(f"{step['name']} returned {outputs.shown(_json_of(step))}") for step in returned]


def _json_of(step: Step) -> str:
    output = step["output"]
    return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)


class _Row(NamedTuple):
    """A line that a pipe gets: what it is about, its texts, and which of them is a status."""

    about: tuple[str, ...]
    texts: tuple[str, ...]
    status: int = 0


def _rows(target: tuple[str, str], instance: Result, outputs: Outputs) -> Iterator[_Row]:
    workflow, id = target
    moments = tuple(map(_moment, (instance["queued"], instance["start"], instance["end"])))
    origin = (instance["versionId"], instance["trigger"]["source"])
    yield _Row(("instance",), ("instance", workflow, id, instance["status"], *moments, *origin), 3)
    if instance.get("labels"):
        yield _Row(("labels",), ("labels", *(f"{name}={value}" for name, value in instance["labels"].items())))
    for step in steps_of(instance) if outputs.has_steps else ():
        name = (step["name"], step["type"])
        yield _Row(
            name, ("step", *name, state_of(step), tries_of(step), _moment(step["start"]), _moment(step["end"])), 3
        )
        if outputs.are_of_steps and step.get("output") is not None:
            yield _Row(("returned", *name), ("returned", *name, outputs.shown(_json_of(step))), 0)
    if instance.get("error"):
        failed, error = failed_step(instance), instance["error"]
        place = () if failed is None else place_of(failed)
        yield _Row(("error",), ("error", str(error["name"]), str(error["message"]), *place))
    if instance.get("output") is not None:
        yield _Row(("output",), ("output", _json_of(instance)))


def _moment(moment: str | None) -> str:
    return times.exact(moment) if moment else "-"


def steps_of(instance: Mapping[str, Any]) -> list[Step]:
    """Return the steps of an instance, without what is none."""
    return [step for step in instance.get("steps") or [] if "name" in step]


def _columns(steps: Sequence[Step], end: str | None) -> tuple[Column, ...]:
    """Return the columns of steps, whose times are told from the first one's start.

    `end` is that of the instance: until then, or now, goes on what has no end.
    """
    moments = [times.moment_of(step["start"]) for step in steps]
    ends = [times.moment_of(step["end"]) for step in steps if _is_over(step)]
    if len(ends) < len(steps):
        ends.append(times.now() if end is None else times.moment_of(end))
    first, last = min(moments, default=0.0), max([*ends, *moments], default=0.0)
    return (
        Column("step", lambda step: str(step["name"])),
        Column("type", lambda step: str(step["type"]), rank=2),
        Column("status", state_of, is_status=True),
        Column("tries", tries_of, rank=3),
        Column("start", lambda step: f"+{times.span_of(times.moment_of(step['start']) - first)}", rank=4),
        Column("duration", lambda step: _duration(step, is_live=end is None), rank=1),
        Column("timeline", lambda step: f"|{_bar(step, (first, last))}|", rank=5),
    )


def tries_of(step: Step) -> str:
    """Return how many attempts a step has had; "-": it has none."""
    return str(len(step["attempts"])) if "attempts" in step else "-"


def state_of(step: Step) -> str:
    """Return how a step stands, in words."""
    if "finished" in step:
        done = "timed out" if step["error"] else "done"
        return done if step["finished"] else "waiting"
    return {True: "complete", False: "errored", None: "running"}[step["success"]]


def _is_over(step: Step) -> bool:
    """Tell whether a step has its end; what waits has the moment at which it ends at the latest."""
    return bool(step["end"]) and step.get("finished", True)


def _duration(step: Step, *, is_live: bool) -> str:
    """Return how long a step took; of what waits, how far its end is ahead."""
    if _is_over(step):
        return times.span(step["start"], step["end"])
    return times.ahead(step["end"]) if is_live and step["end"] else "-"


def _bar(step: Step, frame: tuple[float, float]) -> str:
    """Return where in the whole time a step lies."""
    first, last = frame
    whole = max(last - first, 0.001)
    start = times.moment_of(step["start"])
    end = times.moment_of(step["end"]) if _is_over(step) else last
    left = min(int((start - first) / whole * _BAR), _BAR - 1)
    length = max(min(round((end - start) / whole * _BAR), _BAR - left), 1)
    mark = "." if "finished" in step else "x" if step.get("success") is False else "#"
    return (" " * left + mark * length).ljust(_BAR)
