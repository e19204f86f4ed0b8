"""Control of instances: pause, resume, terminate, restart, delete.

Each is one operation of the store, durable when its method returns. What an instance is doing is ended by the
operation itself: whoever holds the instance has lost it, and hears so.

Source: developers.cloudflare.com/workflows/build/workers-api/#workflowinstance
"""

import asyncio
from collections.abc import Callable

from msgspec import Struct

from stepwell.clock import Clock
from stepwell.core.records import PauseAsked, Paused, Restarted, Resumed, RollbackResumed, RollbackStarted, Terminated
from stepwell.core.standing import KINDS, find_start
from stepwell.core.steplog import TERMINATED, fold_summary
from stepwell.errors import NoFailedRollback, RestartedMeanwhile, StepNotInHistory
from stepwell.store import Store, codec
from stepwell.store.control_operations import (
    DeleteInstance,
    PauseInstance,
    RestartInstance,
    ResumeInstance,
    ResumeRollback,
    TerminateInstance,
)
from stepwell.store.operations import GetInstance, InstanceHistory


class FromStep(Struct, frozen=True):
    """The step to begin at: the `count`-th of a name without its count, and of a type: do, sleep or waitForEvent."""

    name: str
    count: int = 1
    type: str = "do"


class Control(Struct, frozen=True):
    """What can be done to instances. All methods raise WorkflowNotFound or InstanceNotFound.

    `count_creations` is told of restarts: they count as creations.
    """

    store: Store
    clock: Clock
    count_creations: Callable[[str, str, int], None]

    async def pause(self, account: str, workflow: str, instance: str) -> str:
        """Pause an instance and return its status then. Raises InstanceFinished.

        Attempts in flight may end, and their results are stored; nothing else begins, and waits stand still.
        """
        now = self.clock.now()
        records = codec.to_row(PauseAsked(now)), codec.to_row(Paused(now))
        return await self.store.run(PauseInstance(account, workflow, instance, *records))

    async def resume(self, account: str, workflow: str, instance: str) -> str:
        """Let a paused instance go on, and return its status then; nothing happens to others."""
        now = self.clock.now()
        return await self.store.run(ResumeInstance(account, workflow, instance, codec.to_row(Resumed(now))))

    async def terminate(
        self, account: str, workflow: str, instance: str, trigger: str = "api", *, rollback: bool = False
    ) -> str:
        """End an instance at once and return its status then. Raises InstanceFinished.

        With `rollback` what runs is ended at once, the rollbacks of its steps run, and then it ends; one whose steps
        have none ends at once.
        """
        now = self.clock.now()
        record = codec.to_row(Terminated(now, trigger))
        undo = codec.to_row(RollbackStarted(now, TERMINATED, trigger)) if rollback else None
        return await self.store.run(TerminateInstance(account, workflow, instance, record, undo))

    async def resume_rollback(self, account: str, workflow: str, instance: str) -> str:
        """Go on with the rollback of an instance, which has failed; return its status then. Raises NoFailedRollback."""
        while True:
            found = await self.store.run(GetInstance(account, workflow, instance, with_steps=False))
            log = fold_summary(codec.from_rows(found.records))
            if log.rollback is None or log.rollback.outcome != "failed":
                raise NoFailedRollback(workflow, instance, found.row.status)
            record = codec.to_row(RollbackResumed(self.clock.now()))
            known = found.row.row, found.row.seq
            try:
                return await self.store.run(ResumeRollback(account, workflow, instance, record, *known))
            except RestartedMeanwhile:
                continue

    async def restart(
        self, account: str, workflow: str, instance: str, step: FromStep | None = None, trigger: str = "api"
    ) -> str:
        """Begin an instance again, as a whole or from a step, on the newest version; return its status then.

        Raises StepNotInHistory, or CreatedTooFast, as it counts as a creation.
        """
        # Looked for before it is counted: names that nobody has cost nothing, and nothing is remembered of them.
        await self.store.run(GetInstance(account, workflow, instance, with_steps=False))
        self.count_creations(account, workflow, 1)
        if step is None:
            now = self.clock.now()
            record = codec.to_row(Restarted(now, trigger))
            return await self.store.run(RestartInstance(account, workflow, instance, trigger, record))
        while True:
            found = await self.store.run(GetInstance(account, workflow, instance))
            try:
                return await self.store.run(await self._from_step(found, step, trigger))
            except RestartedMeanwhile:
                continue

    async def delete(self, account: str, workflow: str, instance: str) -> int:
        """Delete an instance, whatever it is doing; return when."""
        now = self.clock.now()
        await self.store.run(DeleteInstance(account, workflow, instance, now))
        return now

    async def _from_step(self, found: InstanceHistory, step: FromStep, trigger: str) -> RestartInstance:
        history = codec.from_rows(found.records)
        # A long history takes a while; others are to be answered meanwhile.
        start = await asyncio.to_thread(find_start, history, KINDS[step.type], step.name, step.count)
        row, now = found.row, self.clock.now()
        if start is None:
            raise StepNotInHistory(row.id, step.name, step.type, step.count)
        record = codec.to_row(Restarted(now, trigger, start.seq, start.step_count))
        began_at = history[start.seq - 1].record.at
        where, kept = (row.account, row.workflow, row.id), (start.step_count, began_at, start.has_rollbacks)
        return RestartInstance(*where, trigger, record, *kept, row.restarted_seq, row.row)
