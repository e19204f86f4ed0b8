"""Histories that were kept: read, cut off somewhere, and gone on with by this Stepwell."""

import importlib.util
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from stepwell import WorkflowEntrypoint
from stepwell.clock import VirtualClock
from stepwell.core.instance import FINAL, Status, fold
from stepwell.core.records import Record
from stepwell.scripts import workflow_name
from stepwell.settings import TurnSettings
from stepwell.store import codec
from stepwell.store.operations import RecordRow
from stepwell.testing import ACCOUNT, TestEngine, TestInstance
from stepwell.transfers import import_next
from tests.engine.stores import CheckedStore

Workflows = Sequence[type[WorkflowEntrypoint[Any]]]

FOLDER = Path(__file__).parent
SETTINGS = TurnSettings(lost_turns=1_000_000, close_grace_ms=50)
# A history is cut off at so many places at most, spread over all of it.
CUTS = 6


@dataclass(frozen=True)
class Ended:
    """How an instance ended; its error by name and message."""

    status: str
    output: Any
    error: tuple[str, str] | None


@dataclass(frozen=True)
class Kept:
    """A kept history: the lines of the instances that it needs, which come first, and its own."""

    path: Path
    others: Sequence[Sequence[bytes]]
    lines: Sequence[bytes]

    @property
    def workflow(self) -> str:
        """The workflow's name."""
        return str(json.loads(self.lines[0])["workflow"])

    @property
    def id(self) -> str:
        """The instance's id."""
        return str(json.loads(self.lines[0])["id"])

    @property
    def records(self) -> list[Record]:
        """The records, in order."""
        return [_record(line) for line in self.lines if _is_record(line)]

    def cuts(self) -> list[int]:
        """Return after how many records to cut it off: what came from outside stays in, the end does not.

        There is none where it was ended from outside.
        """
        turns = [json.loads(line)["turn"] for line in self.lines if _is_record(line)]
        from_outside = [seq for seq, turn in enumerate(turns, 1) if turn == 0]
        first, last = max([2, *from_outside]), len(turns) - 1
        step = max(1, (last - first) // CUTS)
        return sorted({*range(last, first - 1, -step), *([first] if first <= last else [])})

    def cut(self, count: int) -> list[bytes]:
        """Return the lines of the instance as it was after so many records, its worker dead or none at it."""
        records = self.records[:count]
        state = fold(records)
        assert state.status is not None
        begin = json.loads(self.lines[0])
        is_at_rest = state.status in (Status.QUEUED, Status.WAITING)
        begin["facts"] |= {
            "status": state.status.value,
            "step_count": state.step_count,
            "seq": count,
            "started_at": state.started_at,
            "ended_at": state.ended_at,
            "due_at": records[-1].at if is_at_rest else None,
            "is_held": not is_at_rest,
            "has_rollbacks": any(getattr(record, "rollback", False) for record in records),
        }
        kept = [line for line in self.lines[1:-1] if not _is_record(line) or json.loads(line)["seq"] <= count]
        return [msgspec.json.encode(begin), *kept, msgspec.json.encode({"type": "end", "records": count})]


def kept_histories() -> list[Path]:
    """Return the files of all histories of all versions."""
    return sorted(FOLDER.glob("*/*.jsonl"))


def read(path: Path) -> Kept:
    """Return a kept history; the last instance of its file is the one that it is about."""
    instances: list[list[bytes]] = []
    for line in path.read_bytes().splitlines():
        if json.loads(line)["type"] == "instance":
            instances.append([])
        instances[-1].append(line)
    *others, lines = instances
    return Kept(path, others, lines)


def load(folder: Path) -> Workflows:
    """Return the workflows of a version's sources, which are loaded under names of their own."""
    found = []
    for path in sorted(folder.glob("*.py")):
        module = _load(path, f"histories_{folder.name.replace('.', '_')}_{path.stem}")
        found += [
            member
            for member in vars(module).values()
            if isinstance(member, type) and issubclass(member, WorkflowEntrypoint) and member is not WorkflowEntrypoint
        ]
    return found


async def bring_in(engine: TestEngine, *instances: Sequence[bytes]) -> None:
    """Import instances, in this order."""
    for lines in instances:
        assert await import_next(engine.store, ACCOUNT, iter(enumerate(lines, 1))) is not None


def instance_of(engine: TestEngine, kept: Kept, workflows: Workflows) -> TestInstance:
    """Return a handle of the instance of a kept history that has been brought in."""
    return engine.instance(next(each for each in workflows if workflow_name(each) == kept.workflow), kept.id)


async def replayed(kept: Kept, count: int, workflows: Workflows) -> Ended:
    """Bring in an instance as it was after so many records, let it go on to its end, and return that."""
    clock = VirtualClock(max(VirtualClock().now(), kept.records[count - 1].at))
    store = CheckedStore()
    try:
        async with TestEngine.open(workflows, settings=SETTINGS, store=store, clock=clock) as engine:
            await bring_in(engine, *kept.others, kept.cut(count))
            instance = instance_of(engine, kept, workflows)
            await go_on(engine, instance)
            store.check(ACCOUNT, kept.workflow, kept.id)
            return await ended(instance)
    finally:
        await store.close()


async def go_on(engine: TestEngine, instance: TestInstance) -> None:
    """Let time pass until an instance has ended."""
    await engine.run_until_idle()
    while await instance.status() not in FINAL:
        alarm_at = engine.clock.next_alarm_at()
        assert alarm_at is not None, "nothing will ever happen again"
        engine.clock.move_to(alarm_at)
        await engine.run_until_idle()


async def ended(instance: TestInstance) -> Ended:
    """Return how an instance has ended."""
    log = (await instance.view()).log
    error = None if log.error is None else (log.error.name, log.error.message)
    return Ended(await instance.status(), await instance.output(), error)


def _load(path: Path, name: str) -> ModuleType:
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def _is_record(line: bytes) -> bool:
    return line.startswith(b'{"type":"record"')


def _record(line: bytes) -> Record:
    part = json.loads(line)
    value = json.dumps(part["value"]) if "value" in part else None
    row = RecordRow(part["kind"], part["at"], json.dumps(part["body"]), value)
    return codec.from_row(row).record
