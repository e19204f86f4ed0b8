"""A rehearsal: an instance is replayed against code without doing anything, to see what would become of it.

It is a turn like any other, with two differences: no attempt begins, and what it would write goes nowhere. When the
code has been given all that is on record and waits, what it has called by then is held against what the history has.
"""

import asyncio
import sys
from collections.abc import Callable, Mapping
from contextvars import Context
from types import TracebackType
from typing import Any, TypeVar

from msgspec import structs
from msgspec.structs import replace

from stepwell import endings
from stepwell.calls import StepCall
from stepwell.clock import Alarm
from stepwell.core.forcing import TYPES
from stepwell.core.instance import Status, fold
from stepwell.core.keys import Scope
from stepwell.core.records import (
    AttemptStarted,
    Completed,
    Failed,
    Key,
    Record,
    Restarted,
    Resumed,
    RollbackEnded,
    RollbackStarted,
    Running,
    SleepStarted,
    StepKind,
    Terminated,
    WaitStarted,
)
from stepwell.divergences import lines_of
from stepwell.errors import RehearsalStopped, StoreError, TurnLost, UnreadableValue
from stepwell.outlook import Call, Outlook, Verdict
from stepwell.port import PortHost, TurnPort
from stepwell.runner import Turn
from stepwell.scope import AuthorExit, install, is_authors
from stepwell.settings import TurnContext
from stepwell.store import Listener, Store, codec
from stepwell.store.child_operations import AwaitChild
from stepwell.store.label_operations import ReadLabels, SetLabels
from stepwell.store.link import Message, Rehearse, Rehearsed
from stepwell.store.note_operations import ReadNote, WriteNotes
from stepwell.store.operations import (
    Claim,
    Commit,
    Committed,
    GetInstance,
    GetParamsSchema,
    GetWorkflow,
    InstanceRow,
    Operation,
    ReadHistory,
    ReadPayload,
    RecordRow,
    Release,
    Released,
)
from stepwell.store.stream_operations import ReadPiece
from stepwell.worker import Classes, class_of
from stepwell.workflow import WorkflowEntrypoint

A = TypeVar("A")

# All that a rehearsal may ask of the store that it looks into.
READS = (ReadHistory, ReadPayload, ReadPiece, ReadNote, ReadLabels, GetInstance, GetWorkflow, GetParamsSchema)
# What every turn writes, or its calls do, and what changes nothing for the code.
_PASSED_OVER = (WriteNotes, SetLabels, AwaitChild)
_FIRSTS = (AttemptStarted, SleepStarted, WaitStarted)
_NAMED_AT_MOST = 5
_RESTARTED, _COMPLETED = codec.name_of(Restarted), codec.name_of(Completed)
_FAILURES = frozenset((codec.name_of(Failed), codec.name_of(RollbackStarted)))
_ENDS = _FAILURES | {_COMPLETED, codec.name_of(Terminated)}


class StillClock:
    """A clock that stands still, at the moment of a history's end: time decides nothing that it had not decided then.

    Alarms ring after as long as they would by other clocks.
    """

    def __init__(self, now_ms: int) -> None:
        self._now = now_ms

    def now(self) -> int:
        """Return the moment, in milliseconds since the epoch."""
        return self._now

    def call_at(self, when_ms: int, callback: Callable[[], None]) -> Alarm:
        """Call back on the running loop, in an empty context."""
        seconds = max((when_ms - self._now) / 1000, 0.0)
        return asyncio.get_running_loop().call_later(seconds, callback, context=Context())


class ReadingStore:
    """A store of which only reads are done."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def run(self, operation: Operation[A]) -> "asyncio.Future[A]":
        """Do a read; anything else raises RehearsalStopped."""
        if type(operation) in READS:
            return self._store.run(operation)
        refused: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        refused.set_exception(RehearsalStopped(type(operation).__name__))
        return refused

    def listen(self, worker: int, listener: Listener) -> None:
        """Tell nothing."""

    def ignore(self, worker: int) -> None:
        """Tell nothing."""

    def watch(
        self, instance: InstanceRow | None, told: Callable[[], None], *, of_turns: bool = True
    ) -> Callable[[], None]:
        """Tell of what others do."""
        return self._store.watch(instance, told, of_turns=of_turns)

    async def close(self) -> None:
        """Leave the store to whoever has it."""


class DryStore(ReadingStore):
    """A store that takes what a turn writes, keeps it in `records`, and forgets it. `refused` is what it did not do."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.records: list[Record] = []
        self.refused: list[str] = []

    def begin(self) -> None:
        """Forget what came before."""
        self.records.clear()
        self.refused.clear()

    def run(self, operation: Operation[A]) -> "asyncio.Future[A]":
        """Do a read, or take a write."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        match operation:
            case Commit():
                self._take(operation)
                answer.set_result(Committed(operation.seen, []))
            case Release():
                self._take(operation)
                answer.set_result(Released(done=True, seq=operation.seen, outside=[]))
            case _ if isinstance(operation, _PASSED_OVER):
                answer.set_result(None)
            case _:
                if type(operation) not in READS:
                    self.refused.append(type(operation).__name__)
                return super().run(operation)
        return answer

    def _take(self, operation: Commit | Release) -> None:
        self.records += [codec.from_row(row).record for row in operation.records]


class Rehearser:
    """Rehearses against the code of this process what the parent names, one after the other."""

    def __init__(
        self, context: TurnContext, dry: DryStore, workflows: Mapping[str, type[WorkflowEntrypoint]], classes: Classes
    ) -> None:
        """`dry` is what the workflows' `self.env` uses, too; `classes` are as those of a worker."""
        self._context = context
        self._dry = dry
        self._workflows = workflows
        self._classes = classes
        self._asked: asyncio.Queue[Rehearse] = asyncio.Queue()

    def ask(self, message: Rehearse) -> None:
        """Rehearse what a message says."""
        self._asked.put_nowait(message)

    async def run(self, say: Callable[[Message], None]) -> None:
        """Rehearse, for ever."""
        install(asyncio.get_running_loop())
        while True:
            asked = await self._asked.get()
            say(Rehearsed(asked.number, await self._look(asked.claim)))

    async def _look(self, claim: Claim) -> Outlook | None:
        workflow = class_of(claim, self._workflows, self._classes)
        if workflow is None:
            return Outlook(Verdict.MISSING, problem=f'the code has no workflow "{claim.workflow}"')
        try:
            return await rehearse(claim, workflow, self._context, self._dry)
        except TurnLost:
            return None
        except StoreError as error:
            return Outlook(Verdict.UNKNOWN, problem=f"its history cannot be read: {error}")


async def rehearse(
    claim: Claim, workflow: type[WorkflowEntrypoint[Any]], context: TurnContext, dry: DryStore
) -> Outlook:
    """Replay an instance against a workflow's class and return what would become of it.

    `dry` is what the class's `self.env` uses, too; one rehearsal at a time.

    Raises TurnLost if the instance is another by now, or gone.
    """
    rows = await _rows(claim, dry)
    if fold(record for _, record in codec.from_rows(rows)).ended_at is not None:
        return Outlook(Verdict.GOES_ON)
    return await _replay(claim, rows, workflow, context, dry)


async def rehearse_ended(
    claim: Claim, workflow: type[WorkflowEntrypoint[Any]], context: TurnContext, dry: DryStore
) -> Outlook:
    """Do what `rehearse` does, for an instance that has ended: as it was before its end, which the code has to meet.

    Raises TurnLost if the instance is another by now, or gone.
    """
    rows = await _rows(claim, dry)
    begin = max((place for place, row in enumerate(rows) if row.kind == _RESTARTED), default=0)
    end = next((place for place, row in enumerate(rows) if place > begin and row.kind in _ENDS), len(rows))
    ends = {row.kind for row in rows[end:]}
    outlook = await _replay(claim, rows[:end], workflow, context, dry)
    if outlook.verdict is Verdict.FAILS and ends & _FAILURES:
        return Outlook(Verdict.GOES_ON)
    if outlook.verdict is Verdict.GOES_ON and outlook.anew and _COMPLETED in ends:
        first = outlook.anew[0]
        problem = f"{first.step} would be run anew, where it had ended before"
        return Outlook(Verdict.DIVERGES, outlook.anew, (), outlook.skipped, problem, first.where)
    return outlook


async def _rows(claim: Claim, dry: DryStore) -> list[RecordRow]:
    dry.begin()
    rows = claim.history
    if rows is None:
        rows = await dry.run(ReadHistory(claim.row, turn=claim.turn))
    if not rows:
        raise TurnLost(claim.row, claim.turn)
    return rows


async def _replay(
    claim: Claim,
    rows: list[RecordRow],
    workflow: type[WorkflowEntrypoint[Any]],
    context: TurnContext,
    dry: DryStore,
) -> Outlook:
    state = fold(record for _, record in codec.from_rows(rows))
    rows = rows + claimed(state.status, rows[-1])
    still = replace(context, store=dry, clock=StillClock(rows[-1].at))
    turn = DryTurn(structs.replace(claim, history=rows), workflow, still)
    await turn.run()
    if turn.broken is not None and not isinstance(turn.broken, UnreadableValue):
        return Outlook(Verdict.UNKNOWN, problem=f"the engine cannot replay it: {turn.broken!r}")
    return _judge(turn, dry)


class _NotingPort(TurnPort):
    """Notes which steps `run` calls, and where."""

    def __init__(self, host: PortHost) -> None:
        super().__init__(host)
        self.called: dict[Key, str | None] = {}

    def _key(self, kind: StepKind, name: Any, counts: Scope) -> Key:
        key = super()._key(kind, name, counts)
        if counts.parent is None:
            lines = lines_of(sys._getframe())
            self.called.setdefault(key, str(lines[0]) if lines else None)
        return key


class DryTurn(Turn):
    """A turn in which no attempt begins, and that ends when the code waits."""

    _port_class: type[TurnPort] = _NotingPort

    def __init__(self, claim: Claim, workflow: type[WorkflowEntrypoint[Any]], context: TurnContext) -> None:
        super().__init__(claim, workflow, context)
        # What the code does is judged in the end.
        self.replay.stop()
        self.returned: asyncio.Task[Any] | None = None
        self.broken: BaseException | None = None
        self.stuck: str | None = None

    @property
    def called(self) -> dict[Key, str | None]:
        """What `run` has called, in that order, and at which line."""
        assert isinstance(self._port, _NotingPort)
        return self._port.called

    def _ready_calls(self) -> list[StepCall]:
        return []

    def _may_rest(self, now: int) -> bool:
        """End the turn, unless the code waits for something of its own."""
        if self._recorder.is_busy or self.notebook.is_busy or self.execution.has_new_results:
            return False
        due_at = self._next_due()
        where = self._awaited()
        self._alarms.watch_foreign(where)
        if where is not None or (due_at is not None and due_at <= now):
            return False
        return self._end_for(endings.Drained())

    def _returned(self, task: asyncio.Task[Any]) -> None:
        if task is self._run_task and self.returned is None:
            self.returned = task
        super()._returned(task)

    def _stick(self, where: str) -> None:
        self.stuck = where
        super()._stick(where)

    def broke(self, error: BaseException) -> None:
        """Keep what broke the turn."""
        self.broken = error
        super().broke(error)


def claimed(status: Status | None, last: RecordRow) -> list[RecordRow]:
    """Return the records with which a turn would begin, that of its claim; what is paused is resumed."""
    is_pausing = status in {Status.PAUSED, Status.WAITING_FOR_PAUSE}
    records: list[Record] = [*([Resumed(last.at)] if is_pausing else []), Running(last.at)]
    return [structs.replace(codec.to_row(record), seq=last.seq + n) for n, record in enumerate(records, 1)]


def _judge(turn: DryTurn, dry: DryStore) -> Outlook:
    fates = {type(record): record for record in dry.records}
    if isinstance(turn.broken, UnreadableValue):
        return Outlook(Verdict.UNREADABLE, problem=str(turn.broken))
    if dry.refused:
        what = ", ".join(dict.fromkeys(dry.refused))
        return Outlook(
            Verdict.UNKNOWN,
            problem=f"outside of its steps the code does what is not done in a rehearsal ({what}): put it into a step",
        )
    if turn.stuck is not None:
        return Outlook(Verdict.UNKNOWN, problem=f"outside of its steps it waits for {turn.stuck}: put that into a step")
    if (outlook := _failed(turn, fates)) is not None:
        return outlook
    return _compared(turn, has_ended=turn.returned is not None)


def _failed(turn: DryTurn, fates: Mapping[type[Record], Record]) -> Outlook | None:
    """Return that the code fails; None: it does not. What it is being rolled back for by now is no failure of it."""
    ended, failed = fates.get(RollbackEnded), fates.get(Failed) or fates.get(RollbackStarted)
    if isinstance(ended, RollbackEnded):
        error = ended.error
    else:
        error = failed.error if isinstance(failed, Failed | RollbackStarted) else None
    if error is None:
        return None
    return Outlook(Verdict.FAILS, problem=f"{error.name}: {error.message}", where=_raising(turn.returned))


def _compared(turn: DryTurn, *, has_ended: bool) -> Outlook:
    unmet = turn.execution.unmet
    calls = turn.called.items()
    anew = tuple(Call(key.label, TYPES[key.kind], where) for key, where in calls if not unmet.has_begun(key))
    if turn.execution.rollback is not None:
        # What has begun is undone; nothing that `run` calls begins any more.
        return Outlook(Verdict.GOES_ON)
    skipped, unused = tuple(key.label for key in unmet.skipped()), tuple(key.label for key in unmet.unused())
    if not unused or not (anew or has_ended):
        return Outlook(Verdict.GOES_ON, anew, skipped=skipped + unused)
    named = ", ".join(unused[:_NAMED_AT_MOST]) + (" and more" if len(unused) > _NAMED_AT_MOST else "")
    if anew:
        problem = f"{anew[0].step} would be run anew, and {named}, on record at that place, is not used before"
    else:
        problem = f"it would end at once, and {named}, on record, is not used"
    return Outlook(Verdict.DIVERGES, anew, unused, skipped, problem, anew[0].where if anew else None)


def _raising(task: "asyncio.Task[Any] | None") -> str | None:
    """Return the author's line at which `run` failed, if it did."""
    if task is None or task.cancelled() or (error := task.exception()) is None:
        return None
    cause = error.error if isinstance(error, AuthorExit) else error
    where, trace = None, cause.__traceback__
    while isinstance(trace, TracebackType):
        if is_authors(trace.tb_frame.f_code.co_filename):
            where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return where
