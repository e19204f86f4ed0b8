"""Step logs as text that people read and compare: in a test's source, or in a file beside it.

Nothing is in it that is another thing each time: no times and no ids; what looks like a UUID or a moment in outputs and
errors is replaced by a word.
"""

import difflib
import json
import os
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from stepwell.core.failures import Failure
from stepwell.core.steplog import CalledEntry, SleepEntry, StepEntry, WaitEntry
from stepwell.engine import InstanceView
from stepwell.errors import SnapshotMissing, StepsDiffer
from stepwell.testing.instance import TestInstance

# Set to `write`, snapshots are written instead of compared.
VARIABLE = "STEPWELL_SNAPSHOTS"

_WIDTH = 88
_MASKS = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"), "<moment>"),
)
_TYPES = {"step": "step", "rollback": "undo", "sleep": "sleep", "waitForEvent": "event"}


async def step_log(instance: TestInstance) -> str:
    """Return the step log of an instance as text."""
    return in_lines(await instance.view())


async def assert_steps(instance: TestInstance, expected: str) -> None:
    """Hold the step log of an instance against a text, whatever that is indented by. Raises StepsDiffer."""
    _compare(await step_log(instance), textwrap.dedent(expected).strip() + "\n", "is not what the test says")


async def assert_snapshot(instance: TestInstance, path: Path) -> None:
    """Hold the step log of an instance against a file. Raises StepsDiffer or SnapshotMissing.

    With STEPWELL_SNAPSHOTS=write in the environment the file is written.
    """
    log = await step_log(instance)
    if os.environ.get(VARIABLE) == "write":
        _write(path, log)
        return
    kept = _read(path)
    if kept is None:
        raise SnapshotMissing(
            f"There is no snapshot {path} yet. Write it, read it, and commit it with the test:\n\n"
            f"    {VARIABLE}=write pytest\n\nThe step log now:\n\n{log}"
        )
    accept = f"\n\nIf that is meant, accept it, and review the change of the file:\n\n    {VARIABLE}=write pytest"
    _compare(log, kept, f"is not what {path} has", accept)


def in_lines(view: InstanceView, *, with_attempts: bool = True) -> str:
    """Return the step log of an instance as text; `with_attempts`: and what became of attempts that have failed."""
    lines = [f"{view.row.workflow}: {view.row.status}", ""]
    for entry in view.log.called:
        lines += _entry(entry, with_attempts=with_attempts)
    if view.output is not None:
        lines += ["", *_beside("output", view.log.output if isinstance(view.log.output, str) else view.output)]
    if view.log.error is not None:
        lines += ["", f"error  {_error(view.log.error)}"]
    if view.log.rollback is not None:
        error = view.log.rollback.error
        lines += ["", f"rollback {view.log.rollback.outcome}{f': {_error(error)}' if error else ''}"]
    text = "\n".join(line.rstrip() for line in lines) + "\n"
    for pattern, word in _MASKS:
        text = pattern.sub(word, text)
    return text


def difference(before: str, now: str) -> str:
    """Return what is another thing: `-` is before, `+` is now, with three lines around it."""
    lines = difflib.unified_diff(before.splitlines(), now.splitlines(), lineterm="")
    return "\n".join("  ..." if line.startswith("@@") else f"  {line}" for line in list(lines)[2:])


def _compare(now: str, expected: str, problem: str, remedy: str = "") -> None:
    if now != expected:
        name = now.partition(":")[0]
        raise StepsDiffer(f'The step log of "{name}" {problem}:\n\n{difference(expected, now)}{remedy}')


def _entry(entry: CalledEntry, *, with_attempts: bool) -> Iterator[str]:
    head = f"{_TYPES[entry.type]:<6} {entry.name}"
    match entry:
        case SleepEntry():
            yield head if entry.finished else f"{head}  {_unfinished(entry.error, 'sleeps')}"
        case WaitEntry(output=str(output)):
            yield from _beside(head, _payload(output))
        case WaitEntry():
            yield f"{head}  {_unfinished(entry.error, f'waits for {json.dumps(entry.event_type)}')}"
        case StepEntry(success=True, output=None):
            yield head
        case StepEntry(success=True, output=str(output)):
            yield from _beside(head, output)
        case StepEntry():
            errors = [attempt.error for attempt in entry.attempts if attempt.error is not None]
            state = "has not ended" if entry.success is None else "failed"
            yield f"{head}  {state}" + (f": {_error(errors[-1])}" if errors and entry.success is False else "")
    if with_attempts and isinstance(entry, StepEntry) and len(entry.attempts) > 1:
        for number, attempt in enumerate(entry.attempts, 1):
            yield f"         attempt {number}: {_error(attempt.error) if attempt.error else 'succeeded'}"


def _unfinished(error: Failure | None, waits: str) -> str:
    return f"({waits})" if error is None else f"failed: {_error(error)}"


def _payload(output: str) -> str:
    """Return the payload of an event that has come: when it came is told, too."""
    try:
        return json.dumps(json.loads(output)["payload"], ensure_ascii=False)
    except (ValueError, LookupError, TypeError):
        return output


def _beside(head: str, value: str) -> Iterator[str]:
    """Yield a value beside its head, or below it if it is too long to read there."""
    try:
        shown = json.loads(value)
    except ValueError:
        yield f"{head}  {value}"
        return
    line = f"{head}  {json.dumps(shown, ensure_ascii=False)}"
    if len(line) <= _WIDTH:
        yield line
        return
    yield head
    yield from textwrap.indent(json.dumps(shown, ensure_ascii=False, indent=2), " " * 7).splitlines()


def _error(error: Failure) -> str:
    return f"{error.name}: {error.message}"


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
