"""Instances that others start and await.

The child's id is made of what tells the step that starts it from all others, so that a step that is tried again finds
the child that it has started.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stepwell.engine import Engine, NewInstance
from stepwell.errors import InstanceNotFound, VersionChanged
from stepwell.store import codec
from stepwell.store.child_operations import (
    AwaitChild,
    ChildLink,
    ListRelatives,
    Member,
    ReadFamily,
    Relatives,
    StartChild,
)
from stepwell.store.operations import CreateInstance, GetInstance, InstanceRow

# Of a family, more are not shown.
MOST_MEMBERS = 1_000


@dataclass(frozen=True, slots=True)
class Family:
    """An instance, the first of its members, and all that are below it; `is_whole`: no member is left out."""

    members: Sequence[Member]
    is_whole: bool

    def walk(self) -> Iterator[tuple[Member, int]]:
        """Give each member with its depth, right behind the one that awaits it or what is below its elder siblings."""
        below: dict[int | None, list[Member]] = defaultdict(list)
        for member in self.members:
            below[member.parent].append(member)
        to_come = [(self.members[0], 0)]
        while to_come:
            member, depth = to_come.pop()
            yield member, depth
            # One that several await is told below each, and what is below it once.
            to_come += [(child, depth + 1) for child in reversed(below.pop(member.row, []))]


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
            record = codec.to_row(new.created(now))
            fits = (checked.version, checked.place.key, checked.place.bias_ms)
            creation = CreateInstance(account, workflow, new.id, new.trigger, record, now, *fits)
            try:
                await self.engine.store.run(StartChild(creation, link))
            except VersionChanged:
                self.engine.forget(account, workflow)
            else:
                return

    async def awaits(self, account: str, workflow: str, id: str, link: ChildLink) -> None:
        """Let an instance hear of the end of another, also if it has ended."""
        await self.engine.store.run(AwaitChild(account, workflow, id, link, self.engine.clock.now()))

    async def family(self, account: str, workflow: str, id: str) -> Family:
        """Return an instance with its children, their children, and so on. Raises InstanceNotFound too."""
        found = await self.engine.store.run(GetInstance(account, workflow, id, with_steps=False))
        members = await self.engine.store.run(ReadFamily(found.row.row, MOST_MEMBERS + 1))
        if not members or members[0].row != found.row.row:
            raise InstanceNotFound(workflow, id)
        return Family(members[:MOST_MEMBERS], len(members) <= MOST_MEMBERS)

    async def relatives(self, row: InstanceRow) -> Relatives:
        """Return who awaits an instance, and whom it awaits or has awaited."""
        return await self.engine.store.run(ListRelatives(row.row))
