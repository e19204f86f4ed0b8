"""`stepwell instances step`: how a step stands, with its whole output, over the API."""

import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import click

from stepwell.cli.description import pairs_in_words
from stepwell.cli.failures import CONFLICT, FAILED, USAGE, Failure
from stepwell.cli.output import Output, in_one_line, indented
from stepwell.cli.targets import named
from stepwell.cli.terminal import clean, painted, painted_mark
from stepwell.client import Client, Result, StepBytes
from stepwell.errors import NotOfThisServer


@dataclass(frozen=True, slots=True)
class AskedStep:
    """A step by its name in the log and its type, or an attempt of it."""

    name: str
    type: str
    attempt: int | None = None


def show(client: Client, target: tuple[str, str], step: AskedStep, out: Output) -> int:
    """Print how a step of an instance stands, or the bytes that it returned as a stream; return the exit code."""
    workflow, id = target[0], named(client, *target)
    with client.step(workflow, id, (step.name, step.type), step.attempt) as found:
        if isinstance(found, StepBytes):
            return _show_stream(found, out)
        if out.is_text:
            with suppress(NotOfThisServer):
                found["attempts"] = client.attributes(workflow, id, step.name).get("attempts", [])
        return _show(step, found, out)


def write(client: Client, target: tuple[str, str], step: AskedStep) -> int:
    """Write the output of a step as it is: a stream's bytes, or JSON as the server has it; return the exit code.

    Raises Failure where that would go to a terminal, which obeys what is in it, and where there is no output.
    """
    if sys.stdout.isatty():
        raise Failure(
            "--raw writes an output as it is, with all that a terminal would obey",
            USAGE,
            "send it into a file or a pipe: stepwell instances step ... --raw > FILE; without --raw it is shown",
        )
    workflow, id = target
    with client.step(workflow, named(client, workflow, id), (step.name, step.type), step.attempt) as found:
        return _write(found if isinstance(found, StepBytes) else [_json_in(found, target, step)])


def _json_in(found: Result, target: tuple[str, str], step: AskedStep) -> bytes:
    if "output" in found:
        return found.text_of("output").encode()
    why = ": ".join(texts for head, *rest in _more(found) if head == "error" for texts in rest)
    shown = shlex.join(("stepwell", "instances", "step", *target, step.name, "--type", step.type))
    raise Failure(
        f'step "{step.name}" has no output: it is {found["status"]}{f", {why}" if why else ""}',
        CONFLICT,
        f"`{shown}` shows how it stands",
    )


def _show_stream(found: StepBytes, out: Output) -> int:
    what = f"the output is a stream of {found.size:,} bytes, not JSON"
    if not out.is_text:
        raise Failure(what, FAILED, "--raw, or no output format, writes it as it is")
    if sys.stdout.isatty():
        raise Failure(what, FAILED, "send it into a file: stepwell instances step ... > FILE")
    return _write(found)


def _write(parts: Iterable[bytes]) -> int:
    for part in parts:
        try:
            sys.stdout.buffer.write(part)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise Failure(f"the output cannot be written: {error.strerror}", FAILED, "free some space") from error
    return 0


def _show(step: AskedStep, found: Result, out: Output) -> int:
    if not out.is_text:
        out.show_one(found, (), step.name)
        return 0
    for line in _on_terminal(step, found, out) if sys.stdout.isatty() else _in_pipe(step, found, out):
        click.echo(line, color=True)
    return 0


def _on_terminal(step: AskedStep, found: Result, out: Output) -> Iterator[str]:
    status = painted_mark(clean(found["status"]), is_colored=out.is_colored)
    yield f"{clean(step.name)}   {status}"
    for head, *texts in _more(found):
        yield clean(f"{head:<8}{': '.join(texts)}")
    if "output" in found:
        yield indented(found.text_of("output"))


def _in_pipe(step: AskedStep, found: Result, out: Output) -> Iterator[str]:
    status = painted(clean(found["status"]), is_colored=out.is_colored)
    yield "\t".join(("step", clean(step.name), step.type, status))
    for texts in _more(found):
        yield "\t".join(map(clean, texts))
    if "output" in found:
        yield f"output\t{in_one_line(found.text_of('output'))}"


def _more(found: Result) -> Iterator[tuple[str, ...]]:
    if found.get("event_type") is not None:
        yield "event", str(found["event_type"])
    if found.get("error"):
        yield "error", str(found["error"]["name"]), str(found["error"]["message"])
    for attempt in found.get("attempts", []):
        yield "attempt", str(attempt["attempt"]), pairs_in_words(attempt["attributes"])
