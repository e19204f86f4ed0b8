"""Introspection: what a test has put in the place of parts of one instance, or of all of a workflow from now on.

Source: developers.cloudflare.com/workers/testing/vitest-integration/test-apis/
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from typing import Any, Final, TypeVar

from stepwell.core.records import EventReceived
from stepwell.core.standing import standing
from stepwell.errors import CannotStandIn, InstanceNotFound
from stepwell.stage import StandIns
from stepwell.store import Store, codec
from stepwell.store.child_operations import StartChild
from stepwell.store.control_operations import RestartInstance
from stepwell.store.once import Once
from stepwell.store.operations import CreateInstance, GetInstance, InstanceRow, ListInstances, Operation
from stepwell.store.schedule_operations import FireSchedules
from stepwell.store.transfer_operations import FinishImport
from stepwell.store.wrapped import WrappedStore
from stepwell.testing.instance import ACCOUNT, TestInstance
from stepwell.testing.stand_ins import Modifiers, StepLike

A = TypeVar("A")

# With these an instance begins, or begins again.
_BEGINNINGS: Final = (CreateInstance, StartChild, FireSchedules, FinishImport, RestartInstance, Once)
_AT_ONCE: Final = 100


class InstanceIntrospector(Modifiers):
    """One instance, from before it is there. Modifiers say what stands in for its parts."""

    def __init__(self, instance: TestInstance) -> None:
        super().__init__()
        self.instance = instance
        self.is_there = False

    def mock_event(self, event_type: str, payload: Any = None) -> None:
        """Send an event to the instance once it is there, and again when it is restarted. Raises CannotStandIn."""
        if self.is_there:
            raise CannotStandIn(
                f"{self.instance.workflow}/{self.instance.id} is there already, and events are mocked before: send it, "
                f'`await instance.send_event("{event_type}", ...)`'
            )
        super().mock_event(event_type, payload)

    async def wait_for_step_result(self, step: StepLike) -> Any:
        """Return what a step has returned, or raise its error, once it has; see `TestInstance`."""
        return await self.instance.wait_for_step_result(step)

    async def wait_for_status(self, status: str) -> None:
        """Return once the instance has this status; see `TestInstance`."""
        await self.instance.wait_for_status(status)

    async def wait_for_output(self) -> Any:
        """Let the instance come to its end, and return its output; see `TestInstance`."""
        return await self.instance.wait_for_output()

    async def get_output(self) -> Any:
        """Return the output of the instance, which has to be complete."""
        return await self.instance.get_output()

    async def get_error(self) -> Exception:
        """Return the error of the instance, which has to be errored."""
        return await self.instance.get_error()


class WorkflowIntrospector(Modifiers):
    """All instances of a workflow that are created from now on. Modifiers hold for each of them."""

    def __init__(self, newest: int) -> None:
        """`newest` is the row of the newest instance that there was before."""
        super().__init__()
        self.newest = newest
        self._captured: dict[str, TestInstance] = {}

    def get(self) -> list[TestInstance]:
        """Return the instances that were created since, in that order."""
        return list(self._captured.values())

    def has(self, id: str) -> bool:
        """Tell whether an instance was created since."""
        return id in self._captured

    def capture(self, instance: TestInstance) -> None:
        """Take an instance that has been created."""
        self._captured.setdefault(instance.id, instance)


class Introspections:
    """The introspections of an engine: the stage that its turns ask."""

    def __init__(self, keeps_turns: Callable[[], bool], handle: Callable[[str, str], TestInstance]) -> None:
        """`keeps_turns` tells whether turns stay open, `handle` makes one of an instance, by workflow and id."""
        self._keeps_turns = keeps_turns
        self._handle = handle
        # By row: the seq of the restart since which its events have been sent.
        self._sent_since: dict[int, int] = {}
        self._instances: dict[tuple[str, str], InstanceIntrospector] = {}
        self._workflows: dict[str, WorkflowIntrospector] = {}

    @property
    def keeps_turns(self) -> bool:
        """Whether turns stay open however long they have to wait."""
        return self._keeps_turns()

    def stand_ins(self, workflow: str, id: str) -> StandIns | None:
        """Return what stands in for parts of an instance; None: nothing does. That of the one instance wins."""
        instance, session = self._instances.get((workflow, id)), self._workflows.get(workflow)
        return instance or (session if session is not None and session.has(id) else None)

    def begin_instance(self, instance: TestInstance) -> InstanceIntrospector:
        """Begin to introspect an instance that is not there yet. Raises CannotStandIn."""
        address = (instance.workflow, instance.id)
        if address in self._instances:
            raise CannotStandIn(f"{instance.workflow}/{instance.id} is introspected already")
        found = self._instances[address] = InstanceIntrospector(instance)
        return found

    def end_instance(self, instance: TestInstance) -> None:
        """Forget what stands in for parts of an instance."""
        del self._instances[instance.workflow, instance.id]

    def begin_workflow(self, workflow: str, newest: int) -> WorkflowIntrospector:
        """Begin to introspect what is created of a workflow after the row that is the newest. Raises CannotStandIn."""
        if workflow in self._workflows:
            raise CannotStandIn(
                f'Workflow "{workflow}" already has an active introspection session: leave the first `async with '
                "engine.introspect_workflow(...)` before another begins"
            )
        found = self._workflows[workflow] = WorkflowIntrospector(newest)
        return found

    def end_workflow(self, workflow: str) -> None:
        """Forget what stands in for parts of a workflow's instances."""
        del self._workflows[workflow]

    @property
    def is_looking(self) -> bool:
        """Whether anything is introspected."""
        return bool(self._instances or self._workflows)

    async def look(self, store: Store) -> None:
        """Take note of what has begun, or begun again, and send it the events that are mocked."""
        for (workflow, id), introspector in list(self._instances.items()):
            with suppress(InstanceNotFound):
                row = (await store.run(GetInstance(ACCOUNT, workflow, id, with_steps=False))).row
                introspector.is_there = True
                await self._send(store, row, introspector)
        for workflow, session in list(self._workflows.items()):
            for row in await _newer(store, workflow, session):
                session.capture(self._handle(workflow, row.id))
                await self._send(store, row, session)

    async def _send(self, store: Store, row: InstanceRow, modifiers: Modifiers) -> None:
        if not modifiers.events or self._sent_since.get(row.row) == row.restarted_seq:
            return
        self._sent_since[row.row] = row.restarted_seq
        found = await store.run(GetInstance(row.account, row.workflow, row.id))
        # What steps that stay have met after a restart is not sent once more.
        stand = (record for _, record in standing(codec.from_rows(found.records)))
        met = Counter(record.event_type for record in stand if isinstance(record, EventReceived))
        instance = self._handle(row.workflow, row.id)
        for event_type, payload in modifiers.events:
            if met[event_type]:
                met[event_type] -= 1
            else:
                await instance.send_event(event_type, payload)


class IntrospectedStore(WrappedStore[Store]):
    """The store of an engine, which tells the introspections of each instance that begins."""

    def __init__(self, store: Store, introspections: Introspections) -> None:
        super().__init__(store)
        self._introspections = introspections

    def run(self, operation: Operation[A]) -> asyncio.Future[A]:
        """Do an operation; see `Store.run`."""
        if not self._introspections.is_looking or not isinstance(operation, _BEGINNINGS):
            return self.inner.run(operation)
        # An empty context: it is no work of the author's code, which may have asked.
        return asyncio.get_running_loop().create_task(self._begin(operation), context=Context())

    async def _begin(self, operation: Operation[A]) -> A:
        answer = await self.inner.run(operation)
        await self._introspections.look(self.inner)
        return answer


async def _newer(store: Store, workflow: str, session: WorkflowIntrospector) -> list[InstanceRow]:
    """Return the instances of a workflow that were created in a session, oldest first."""
    newer: list[InstanceRow] = []
    after = None
    while True:
        page = (await store.run(ListInstances(ACCOUNT, workflow, _AT_ONCE, after=after))).rows
        newer += [row for row in page if row.row > session.newest]
        if len(page) < _AT_ONCE or page[-1].row <= session.newest:
            return newer[::-1]
        after = (page[-1].created_at, page[-1].row)
