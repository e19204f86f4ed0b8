"""An isolated step, in the process that it has for itself.

The instance is replayed up to the step, as in a rehearsal; then its body runs, with the store at hand, and what becomes
of it goes to the worker that holds the turn. That worker records it: here nothing is written of the history.
"""

import asyncio
import math
import resource
import sys
import time
from collections.abc import AsyncIterable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

from msgspec import structs
from msgspec.structs import replace

from stepwell import sizes, values
from stepwell.attributes import merged
from stepwell.bodies import call_body, step_facts, stored
from stepwell.calls import CallScope, StepCall
from stepwell.capture import SINK
from stepwell.contexts import StepContext
from stepwell.core.instance import fold
from stepwell.core.keys import Scope
from stepwell.core.records import Attributes, Key, StepKind
from stepwell.errors import (
    StoreError,
    TurnLost,
    UnreadableValue,
    WorkflowFatalError,
    WorkflowInternalError,
)
from stepwell.isolation import Isolation
from stepwell.notes import CUT_EVERY_MS
from stepwell.port import TurnPort
from stepwell.problems import problem_of
from stepwell.rehearsal import DryStore, DryTurn, StillClock, claimed
from stepwell.runner import Turn
from stepwell.scope import AuthorExit, install
from stepwell.settings import TurnContext
from stepwell.store import codec
from stepwell.store.link import Message, RunStep, StepBeat, StepDescribed, StepProgress, StepRan, StepSaid
from stepwell.store.operations import Claim, Operation, ReadHistory
from stepwell.store.stream_operations import BeginStream, WritePiece
from stepwell.streams import StoredResult
from stepwell.trace_context import enter_attempt
from stepwell.worker import Classes, class_of
from stepwell.workflow import WorkflowEntrypoint

A = TypeVar("A")
Say = Callable[[Message], None]

_STREAMING: Final = (BeginStream, WritePiece)
# Who catches the signal that its time is over has so much longer.
_LAST_S = 1


class StepRunner:
    """Runs one attempt of a step on the code of this process: the first that it is asked for."""

    def __init__(
        self, context: TurnContext, workflows: Mapping[str, type[WorkflowEntrypoint]], classes: Classes
    ) -> None:
        """`classes` are as those of a worker."""
        self._context = context
        self._workflows = workflows
        self._classes = classes
        self._asked: asyncio.Future[RunStep] = asyncio.get_running_loop().create_future()

    def ask(self, message: RunStep) -> None:
        """Run what a message says."""
        self._asked.set_result(message)

    async def run(self, say: Say) -> None:
        """Run the step, say what has become of it, and wait for this process to be ended."""
        install(asyncio.get_running_loop())
        asked = await self._asked
        say(await self._ran(asked, say))
        await asyncio.get_running_loop().create_future()

    async def _ran(self, asked: RunStep, say: Say) -> StepRan:
        workflow = class_of(asked.claim, self._workflows, self._classes)
        if workflow is None:
            return _not_reached(asked, f'the code has no workflow "{asked.claim.workflow}"')
        store = _StepStore(self._context.store)
        try:
            rows = await store.run(ReadHistory(asked.claim.row, turn=asked.claim.turn))
        except (StoreError, TurnLost) as error:
            return _not_reached(asked, f"its history cannot be read: {error}")
        state = fold(record for _, record in codec.from_rows(rows))
        rows += claimed(state.status, rows[-1])
        still = replace(self._context, store=store, clock=StillClock(rows[-1].at))
        # What `run` says has been said before.
        claim = structs.replace(asked.claim, history=rows, logged=sys.maxsize)
        turn = _StepTurn(claim, workflow, still, asked, say)
        replay = asyncio.get_running_loop().create_task(turn.run())
        either: list[asyncio.Future[Any]] = [replay, turn.ran]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if turn.ran.done():
            return turn.ran.result()
        why = "it waits before it" if turn.broken is None else str(turn.broken)
        return _not_reached(asked, f"a replay of `run` has not come to it: {why}")


class _StepStore(DryStore):
    """Takes what the replay writes, and forgets it; what the step's body streams is stored."""

    def run(self, operation: Operation[A]) -> "asyncio.Future[A]":
        """Do a read, or what streams; or take a write."""
        if type(operation) in _STREAMING:
            return self._store.run(operation)
        return super().run(operation)


class _StepSink:
    """What the step says goes to the worker, which has the bounds."""

    def __init__(self, say: Say, place: Mapping[str, object]) -> None:
        self.partial: dict[str, str] = {}
        self.place = place
        self._say = say
        self._loop = asyncio.get_running_loop()
        self._cut_at = self._loop.time()

    def may_cut(self) -> bool:
        """Let a line be ended as often as that of any attempt."""
        now = self._loop.time()
        is_time = (now - self._cut_at) * 1000 >= CUT_EVERY_MS
        self._cut_at = now if is_time else self._cut_at
        return is_time

    def take(self, level: str, text: str, *, always: bool = False) -> bool:
        """Take a line. From any thread."""
        # No line carries lone surrogates.
        said = StepSaid(level, text.encode(errors="replace").decode(), always)
        self._loop.call_soon_threadsafe(self._say, said)
        return True

    def close(self) -> None:
        """Take the line that was not ended."""
        for level, text in self.partial.items():
            if text:
                self.take(level, text)


class _StepSignals:
    """What goes between the step's body and its attempt, which is in another process. That ends this one to cancel."""

    is_cancelled = False

    def __init__(self, say: Say, classes: values.Classes, details: str | None) -> None:
        self.details: Any = None
        self.attributes: Attributes = {}
        if details is not None:
            # What cannot be read any more is nothing.
            with suppress(UnreadableValue):
                self.details = values.decode(details, classes)
        self._say = say
        self._classes = classes
        self._loop = asyncio.get_running_loop()

    def beat(self, details: Any) -> None:
        """Pass a sign of life on. Raises NotSerialisable."""
        self._loop.call_soon_threadsafe(self._say, StepBeat(values.encode(details, "details", self._classes)))

    def describe(self, given: object) -> None:
        """Pass attributes on. Raises WorkflowFatalError."""
        self.attributes = merged(self.attributes, given)
        self._loop.call_soon_threadsafe(self._say, StepDescribed(self.attributes))


class _StepPort(TurnPort):
    """The calls of `run`, which is replayed, and those of the step's body, which may call no steps."""

    say: Say

    def _key(self, kind: StepKind, name: Any, counts: Scope) -> Key:
        if counts.parent is not None:
            raise WorkflowFatalError(
                f"{name!r:.100} is called in the body of an isolated step, which runs in a process of its own, and "
                "that has no steps: call it in `run`, behind the isolated step."
            )
        return super()._key(kind, name, counts)

    def set_progress(self, progress: object) -> None:
        """Pass on how far the step says that the instance is."""
        if self._scope() is self._host.main:
            super().set_progress(progress)
        else:
            self.say(StepProgress(values.encode_json(progress, "progress")))


class _StepTurn(DryTurn):
    """A turn in which one attempt begins; `ran` is what became of it. It waits for nothing else."""

    _port_class = _StepPort

    def __init__(
        self, claim: Claim, workflow: type[WorkflowEntrypoint[Any]], context: TurnContext, asked: RunStep, say: Say
    ) -> None:
        super().__init__(claim, workflow, context)
        self.ran: asyncio.Future[StepRan] = asyncio.get_running_loop().create_future()
        self._asked = asked
        self._say = say
        self._has_begun = False
        assert isinstance(self._port, _StepPort)
        self._port.say = say

    def _ready_calls(self) -> list[StepCall]:
        for call in Turn._ready_calls(self):
            if call.key == self._asked.attempt.key and not self._has_begun:
                self._has_begun = True
                self._begin_step(call)
        return []

    def _may_rest(self, now: int) -> bool:
        if not self._has_begun:
            return super()._may_rest(now)
        self._alarms.watch_foreign(None)
        return False

    def _begin_step(self, call: StepCall) -> None:
        attempt = self._asked.attempt
        place = {**self.notebook.place, "step": attempt.key.label, "attempt": attempt.ordinal}
        sink = _StepSink(self._say, place)
        scope = CallScope(self.quiet, self, call.key)
        context = call.context.copy()
        context.run(SINK.set, sink)
        scope.run_in(context, self._body(call, sink), call.key.label)

    async def _body(self, call: StepCall, sink: _StepSink) -> None:
        try:
            _limit_cpu(self._asked.isolation)
            ran = StepRan(*await self._result(call))
        except BaseException as error:  # the author's code may raise anything
            problem = problem_of(_told(error, self._asked.isolation), call.config, self.classes)
            ran = StepRan(None, None, problem)
        sink.close()
        # Behind what the step has said, which may come from a thread.
        asyncio.get_running_loop().call_soon(self.ran.set_result, ran)

    async def _result(self, call: StepCall) -> StoredResult:
        attempt = self._asked.attempt
        signals = _StepSignals(self._say, self.classes, self._asked.details)
        context = StepContext(step_facts(attempt, self.instance_key(), self.trace), signals)
        enter_attempt(self.trace, attempt)
        result = await call_body(call, context, self.threads)
        if isinstance(result, AsyncIterable):
            return await self.streams.store(result, call.key, attempt.ordinal)
        return StoredResult(stored(call, result, self.classes, self.execution.rules.result_bytes))


def _told(error: BaseException, isolation: Isolation) -> BaseException:
    """Return the error that is recorded: Python says of no MemoryError what was wanted."""
    cause = error.error if isinstance(error, AuthorExit) else error
    if isinstance(cause, MemoryError) and not cause.args and isolation.memory is not None:
        size = sizes.in_words(isolation.memory)
        cause.args = (f"the step wanted more than the {size} of memory that its process may have",)
    return cause


def _not_reached(asked: RunStep, why: str) -> StepRan:
    error = WorkflowInternalError(f"Step {asked.attempt.key.label} could not run in a process of its own: {why}")
    return StepRan(None, None, problem_of(error, None, values.NO_CLASSES))


def _limit_cpu(isolation: Isolation) -> None:
    """Let this process die of SIGXCPU when it has used so much CPU time from now on, rounded up to a second."""
    if isolation.cpu_ms is None:
        return
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    end = math.ceil(time.process_time() + isolation.cpu_ms / 1000)
    soft, hard = (end, end + _LAST_S) if most == resource.RLIM_INFINITY else (min(end, most), most)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
    # It would leave an image of its memory, with what nobody may read.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
