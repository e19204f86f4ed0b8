"""Instances that others start and await.

The child's id is made of what tells the step that starts it from all others, so that a step that is tried again finds
the child that it has started.
"""

from dataclasses import dataclass

from stepwell.core.records import Created
from stepwell.engine import Engine, NewInstance
from stepwell.errors import VersionChanged
from stepwell.store import codec
from stepwell.store.child_operations import AwaitChild, ChildLink, ListRelatives, Relatives, StartChild
from stepwell.store.operations import CreateInstance, InstanceRow


@dataclass(frozen=True, slots=True)
class Children:
    """What can be done about children. Methods raise WorkflowNotFound where nothing else is said."""

    engine: Engine

    async def start(self, account: str, workflow: str, new: NewInstance, link: ChildLink) -> None:
        """Create an instance that has an id and that another one awaits, or find it.

        Raises what `Engine.create` raises, but for InstanceAlreadyExists.
        """
        assert new.id is not None
        while True:
            checked = await self.engine.check(account, workflow, new)
            now = self.engine.clock.now()
            record = codec.to_row(Created(now, new.trigger, new.params))
            creation = CreateInstance(account, workflow, new.id, new.trigger, record, now, checked)
            try:
                await self.engine.store.run(StartChild(creation, link))
            except VersionChanged:
                self.engine.forget(account, workflow)
            else:
                return

    async def awaits(self, account: str, workflow: str, id: str, link: ChildLink) -> None:
        """Let an instance hear of the end of another, also if it has ended."""
        await self.engine.store.run(AwaitChild(account, workflow, id, link, self.engine.clock.now()))

    async def relatives(self, row: InstanceRow) -> Relatives:
        """Return who awaits an instance, and whom it awaits or has awaited."""
        return await self.engine.store.run(ListRelatives(row.row))
