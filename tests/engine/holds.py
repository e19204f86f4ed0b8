"""A store that holds what is sent to it at named points, so that a test decides what comes first.

    hold = store.hold("success", "before")
    await hold.reached(engine)
    await instance.terminate()
    hold.let_go()

Held *before*, an operation has not reached the store; held *after*, it is done and its answer is on the way. What the
same turn sends behind it waits in line, as on a socket.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from stepwell.errors import InstanceNotFound, TurnLost, WorkflowNotFound
from stepwell.store.control_operations import (
    DeleteInstance,
    PauseInstance,
    RestartInstance,
    ResumeInstance,
    TerminateInstance,
)
from stepwell.store.note_operations import WriteNotes
from stepwell.store.operations import (
    AppendEvent,
    ClaimDue,
    Commit,
    GetInstance,
    InstanceRow,
    Operation,
    ReadHistory,
    ReadPayload,
    Release,
)
from stepwell.testing import TestEngine
from tests.engine.stores import CheckedStore

A = TypeVar("A")

_CONTROL = (PauseInstance, ResumeInstance, TerminateInstance, RestartInstance, AppendEvent)


def _commits(kind: str) -> Callable[[object], bool]:
    return lambda sent: isinstance(sent, Commit) and any(record.kind == kind for record in sent.records)


def _releases(status: str) -> Callable[[object], bool]:
    return lambda sent: isinstance(sent, Release) and sent.status == status


POINTS: dict[str, Callable[[object], bool]] = {
    "claim": lambda sent: isinstance(sent, ClaimDue),
    "read": lambda sent: isinstance(sent, ReadHistory),
    "look": lambda sent: isinstance(sent, Commit) and not sent.records,
    "start": _commits("attempt_started"),
    "success": _commits("step_succeeded"),
    "rollback": _commits("rollback_started"),
    "wait's end": _commits("wait_ended"),
    "notes": lambda sent: isinstance(sent, WriteNotes),
    "park": _releases("waiting"),
    "paused": _releases("paused"),
    "put back": _releases("running"),
    "end": lambda sent: isinstance(sent, Release) and sent.ended_at is not None,
    "payload": lambda sent: isinstance(sent, ReadPayload),
    "restart": lambda sent: isinstance(sent, RestartInstance),
}


class Hold:
    """Something held at a point. It takes the first that comes there, and what the same turn sends behind it."""

    def __init__(self, point: str, when: str, do: Callable[[Operation[Any]], "asyncio.Future[Any]"]) -> None:
        self._is_meant = POINTS[point]
        self._is_before = when == "before"
        self._do = do
        self._reached = asyncio.Event()
        self._is_over = False
        self._turn: tuple[int, int] | None = None
        self._held: list[tuple[Operation[Any], asyncio.Future[Any], asyncio.Future[Any] | None]] = []

    @property
    def is_reached(self) -> bool:
        """Tell whether something is held, or was."""
        return self._reached.is_set()

    async def reached(self, engine: TestEngine) -> None:
        """Let everything happen, and time go by, until something is held."""
        while not self.is_reached:
            waits = [asyncio.create_task(engine.run_until_idle()), asyncio.create_task(self._reached.wait())]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for task in waits:
                task.cancel()
            alarm_at = engine.clock.next_alarm_at()
            if not self.is_reached:
                if alarm_at is None:
                    await self.comes_by_itself()
                else:
                    engine.clock.move_to(alarm_at)

    async def comes_by_itself(self) -> None:
        """Wait, while the clock stands, for what is looked for in a thread first: of it, the loop knows nothing."""
        try:
            await asyncio.wait_for(self._reached.wait(), 10)
        except TimeoutError:
            raise AssertionError("nothing will ever come to the point") from None

    def takes(self, operation: object) -> bool:
        """Tell whether an operation is to be held."""
        if self._is_over:
            return False
        if not self.is_reached:
            return self._is_meant(operation)
        return isinstance(operation, Commit | Release | WriteNotes) and (operation.row, operation.turn) == self._turn

    def keep(self, operation: Operation[A]) -> "asyncio.Future[A]":
        """Hold an operation, or its answer."""
        future: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        if isinstance(operation, Commit | Release | WriteNotes):
            self._turn = operation.row, operation.turn
        self._held.append((operation, future, None if self._is_before else self._do(operation)))
        self._reached.set()
        return future

    def let_go(self) -> None:
        """Do what is held, in order, and give the answers. Nothing more is held."""
        self._is_over = True
        for operation, future, done in self._held:
            answer = done or self._do(operation)
            # Its worker may have died meanwhile.
            if not future.done():
                _pass_on(answer, future)


class HeldStore(CheckedStore):
    """A store in memory with points to hold at.

    It sees for itself that what a turn sends after it was fenced out is refused and leaves no record, and that the row
    is the fold of the history after each operation, those from outside included.
    """

    def __init__(self) -> None:
        super().__init__()
        self._holds: list[Hold] = []

    def hold(self, point: str, when: str = "before") -> Hold:
        """Hold what comes to a point next, `before` it is done or `after`."""
        hold = Hold(point, when, self._do)
        self._holds.append(hold)
        return hold

    def run(self, operation: Operation[A]) -> "asyncio.Future[A]":
        """Do an operation, or hold it."""
        hold = next((hold for hold in self._holds if hold.takes(operation)), None)
        return self._do(operation) if hold is None else hold.keep(operation)

    def _do(self, operation: Operation[A]) -> "asyncio.Future[A]":
        if isinstance(operation, Commit | Release | WriteNotes):
            return self._do_fenced(operation)
        answer = super().run(operation)
        if isinstance(operation, _CONTROL) and answer.exception() is None:
            self.check(operation.account, operation.workflow, operation.id)
        if isinstance(operation, DeleteInstance) and answer.exception() is None:
            assert self._now((operation.account, operation.workflow, operation.id)) is None
        return answer

    def _do_fenced(self, operation: Any) -> "asyncio.Future[Any]":
        name = self._names[operation.row]
        before = self._now(name)
        is_held = before is not None and (before.row, before.turn) == (operation.row, operation.turn)
        answer = super().run(operation)
        if not is_held:
            assert isinstance(answer.exception(), TurnLost)
            assert self._now(name) == before
        return answer

    def _now(self, name: tuple[str, str, str]) -> InstanceRow | None:
        try:
            return self.inner.run(GetInstance(*name)).result().row
        except (InstanceNotFound, WorkflowNotFound):
            return None


def _pass_on(answer: "asyncio.Future[Any]", future: "asyncio.Future[Any]") -> None:
    error = answer.exception()
    if error is None:
        future.set_result(answer.result())
    else:
        future.set_exception(error)
