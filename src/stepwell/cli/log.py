"""`stepwell instances logs`: what an instance's code printed and logged, over the API."""

import shlex
import time
from collections.abc import Iterable, Iterator

from stepwell.cli import times
from stepwell.cli.description import ENDS
from stepwell.cli.failures import UNREACHABLE, Failure, reason_of
from stepwell.cli.output import Column, Item, Output
from stepwell.cli.targets import named
from stepwell.cli.terminal import say
from stepwell.client import Client
from stepwell.errors import ServerUnreachable

# How soon a stream is asked for again that ended before its instance.
_AGAIN_AFTER_S = 0.5

_COLUMNS = (
    Column("line", lambda line: str(line["n"]), is_wide=True),
    Column("time", lambda line: times.exact(str(line["at"]))),
    Column("step", lambda line: str(line["step"] or "-")),
    Column("attempt", lambda line: str(line["attempt"] or "-"), is_wide=True),
    Column("level", lambda line: str(line["level"])),
    Column("text", lambda line: str(line["text"])),
)


def show(client: Client, target: tuple[str, str], after: int, out: Output) -> int:
    """Print what an instance has said behind a line; return the exit code."""
    workflow, id = target
    _print(client.log(workflow, named(client, workflow, id), after), out)
    return 0


def follow(client: Client, target: tuple[str, str], after: int, out: Output) -> int:
    """Print what an instance has said behind a line, and says until it has ended; return the exit code."""
    workflow, id = target[0], named(client, *target)
    first = after

    def lines() -> Iterator[Item]:
        nonlocal after
        has_ended = False
        while not has_ended:
            for line in client.follow_log(workflow, id, after):
                yield line
                after = line["n"]
            # Whatever lies between may have ended the stream. If the instance has been deleted, this says so.
            has_ended = client.instance(workflow, id, simple=True)["status"] in ENDS
            time.sleep(0 if has_ended else _AGAIN_AFTER_S)

    try:
        _print(lines(), out)
    except ServerUnreachable as error:
        if after == first:
            raise
        raise Failure(reason_of(error), UNREACHABLE, f"go on with: {_command(workflow, id, after)}") from error
    except KeyboardInterrupt:
        say(f"go on with: {_command(workflow, id, after)}")
        raise
    return 0


def _print(lines: Iterable[Item], out: Output) -> None:
    out.show_as_it_comes(_broken(lines) if out.is_text else lines, _COLUMNS, "n")


def _broken(lines: Iterable[Item]) -> Iterator[Item]:
    """Yield lines for people: each of a text that has several, such as a traceback, is one of its own."""
    return ({**line, "text": text} for line in lines for text in line["text"].split("\n"))


def _command(workflow: str, id: str, after: int) -> str:
    return shlex.join(["stepwell", "instances", "logs", workflow, id, "--follow", "--after", str(after)])
