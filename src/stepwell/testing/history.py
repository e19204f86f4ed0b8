"""Histories of real instances, as `stepwell export` writes them, replayed against the code that there is now."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from stepwell.bindings import WorkflowBinding
from stepwell.checks.causes import likely_cause
from stepwell.checks.source import Line
from stepwell.checks.unstable import Kind
from stepwell.engine import Engine
from stepwell.env import Env
from stepwell.errors import Diverged, InvalidInput
from stepwell.outlook import Outlook, Verdict
from stepwell.rehearsal import DryStore, rehearse_ended
from stepwell.scripts import workflow_name
from stepwell.settings import TurnContext, TurnSettings
from stepwell.store.operations import Claim
from stepwell.testing.code import Workflow
from stepwell.testing.engine import TestEngine
from stepwell.testing.instance import ACCOUNT
from stepwell.threads import Threads
from stepwell.transfers import import_next
from stepwell.values import Classes

# How long code may wait for something outside of its steps, in real time.
_SETTINGS = TurnSettings(foreign_wait_ms=2_000, close_grace_ms=50)
_FIRST_LINE = b'{"type":"instance"'


class _Named(msgspec.Struct):
    workflow: str
    id: str


@dataclass(frozen=True, slots=True)
class History:
    """An exported instance: the lines of it, and where in which file they begin."""

    path: Path
    line: int
    workflow: str
    id: str
    lines: tuple[bytes, ...]

    def __str__(self) -> str:
        """Name it, as the ids of tests want it."""
        return f"{self.path.name}:{self.line}"


def histories(path: Path) -> list[History]:
    """Return the instances that a file of exports has, or all files of a folder (`*.jsonl`), in their order.

    Raises InvalidInput for a file that has none, or that is no export; FileNotFoundError.
    """
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    found = [history for file in files for history in _of_file(file)]
    if not found:
        raise InvalidInput("path", f"{path} has no histories: `stepwell export WORKFLOW ID > {path / 'name.jsonl'}`")
    return found


async def replay_history(
    history: History, workflows: Iterable[Workflow], *, env: Mapping[str, Any] | None = None
) -> Outlook:
    """Return what would become of an instance on this code; one that has ended is replayed up to its end.

    No step runs and nothing is written. Raises InvalidInput for lines that are no instance.
    """
    known = {workflow_name(workflow): workflow for workflow in workflows}
    workflow = known.get(history.workflow)
    if workflow is None:
        return Outlook(Verdict.MISSING, problem=f'the code has no workflow "{history.workflow}"')
    async with TestEngine.open(known.values()) as engine:
        # Nobody is to claim it.
        await engine.stop()
        come = await import_next(engine.store, ACCOUNT, iter(enumerate(history.lines, history.line)))
        assert come is not None
        row = come.row
        dry = DryStore(engine.store)
        classes = Classes(lambda: [sys.modules[kind.__module__] for kind in known.values()])
        bindings = {name: WorkflowBinding(Engine(dry, engine.clock), ACCOUNT, name) for name in known}
        of_code = Env({name.upper().replace("-", "_"): binding for name, binding in bindings.items()}, env or {})
        context = TurnContext(dry, engine.clock, Threads(), _SETTINGS, of_code, classes)
        claim = Claim(row.row, row.turn, 0, ACCOUNT, row.workflow, row.id, row.version, row.created_at, 0)
        return await rehearse_ended(claim, workflow, context, dry)


async def assert_replays(
    history: History, workflows: Iterable[Workflow], *, env: Mapping[str, Any] | None = None
) -> None:
    """Replay an instance against this code. Raises Diverged if it would not go as it has gone."""
    outlook = await replay_history(history, workflows, env=env)
    if outlook.verdict is not Verdict.GOES_ON:
        raise Diverged(history.workflow, history.id, _report(history, outlook))


def _report(history: History, outlook: Outlook) -> str:
    lines = [
        f'{history.workflow} "{history.id}" ({history.path}, line {history.line}) would not go as it has gone.',
        "",
    ]
    place = None
    if outlook.where is not None:
        file, _, number = outlook.where.rpartition(":")
        place = Line(file, int(number))
        lines += [f"  {place}", *([f"      {text}"] if (text := place.text()) else []), ""]
    lines += [f"  {outlook.verdict}: {outlook.problem}"]
    if outlook.verdict is Verdict.DIVERGES:
        cause = None if place is None else likely_cause([place])
        lines += ["", str(cause) if cause else f"Likely because of {Kind.CODE}. {Kind.CODE.remedy}"]
    return "\n".join(lines)


def _of_file(path: Path) -> Iterator[History]:
    lines = path.read_bytes().splitlines()
    begins = [number for number, line in enumerate(lines) if line.startswith(_FIRST_LINE)]
    if not begins or begins[0] != 0:
        raise InvalidInput("path", f"{path} does not begin as `stepwell export` writes it")
    for begin, end in zip(begins, [*begins[1:], len(lines)], strict=True):
        try:
            named = msgspec.json.decode(lines[begin], type=_Named)
        except msgspec.DecodeError as error:
            raise InvalidInput("path", f"{path}, line {begin + 1}, is no line of an export: {error}") from error
        yield History(path, begin + 1, named.workflow, named.id, tuple(lines[begin:end]))
