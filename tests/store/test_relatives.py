"""The contract of every store: who awaits whom, and what they hear when a workflow is deleted or terminated."""

from stepwell.store import Store
from stepwell.store.child_operations import ChildLink, ListRelatives, Relative, StartChild
from stepwell.store.operations import InstanceRow
from tests.store.scenes import create, creation, register


async def _child(
    store: Store, id: str, parent: InstanceRow, *, workflow: str = "refunds", follows: bool = True
) -> None:
    """Let an instance be started by another one."""
    link = ChildLink(parent.row, parent.turn, f"child:{id}", follows)
    await store.run(StartChild(creation(id, workflow=workflow), link))


async def test_relatives_are_listed_once_and_oldest_first(store: Store) -> None:
    """Parents and children are each named once, however many events tell of a child, up to the limit."""
    await register(store)
    await register(store, "refunds")
    (parent,) = await create(store, "a")
    for id in ("z", "y", "x"):
        await _child(store, id, parent)
    await store.run(StartChild(creation("z", workflow="refunds"), ChildLink(parent.row, 0, "again")))

    found = await store.run(ListRelatives(parent.row, limit=2))

    assert found.parents == []
    assert found.children == [Relative("refunds", "z", "queued"), Relative("refunds", "y", "queued")]
