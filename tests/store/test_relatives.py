"""The contract of every store: who awaits whom, and what they hear when a workflow is deleted or terminated."""

from stepwell.core.records import Terminated
from stepwell.store import Store, codec
from stepwell.store.child_operations import ChildLink, ListRelatives, ReadFamily, Relative, StartChild
from stepwell.store.control_operations import StartTermination, TerminateSome
from stepwell.store.operations import InstanceRow
from stepwell.store.workflow_operations import DeleteWorkflow
from tests.store.scenes import NOW, create, creation, instance, register


async def _child(
    store: Store, id: str, parent: InstanceRow, *, workflow: str = "refunds", follows: bool = True
) -> None:
    """Let an instance be started by another one."""
    link = ChildLink(parent.row, parent.turn, f"child:{id}", follows)
    await store.run(StartChild(creation(id, workflow=workflow), link))


async def _heard(store: Store, id: str) -> list[str | None]:
    """Return what events say that an instance got, in order."""
    return [record.value for record in (await instance(store, id)).records if record.kind == "event_received"]


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


async def test_family_is_read_oldest_first_among_the_children_of_one(store: Store) -> None:
    """Children that are equally near come in the order of their creation, however they were found."""
    await register(store)
    await register(store, "refunds")
    old, parent = await create(store, "old", "a")
    await _child(store, "new", parent)
    await _child(store, "old", parent, workflow="orders")

    family = await store.run(ReadFamily(parent.row, limit=10))

    assert [member.id for member in family] == ["a", "old", "new"]
    assert family[1].row == old.row


async def test_parents_hear_once_of_a_child_whose_workflow_is_deleted(store: Store) -> None:
    """However many await a child, each of them is told of its deletion once."""
    await register(store)
    await register(store, "refunds")
    for parent in await create(store, "a", "b"):
        await _child(store, "child", parent)

    await store.run(DeleteWorkflow("acme", "refunds", NOW))

    assert await _heard(store, "a") == ['{"status": "deleted"}']
    assert await _heard(store, "b") == ['{"status": "deleted"}']


async def test_parent_that_is_older_is_terminated_before_its_child(store: Store) -> None:
    """Where all instances of a workflow are terminated they end as they were created, whatever their status."""
    await register(store)
    (parent,) = await create(store, "a")
    await _child(store, "child", parent, workflow="orders", follows=False)
    await store.run(StartTermination("acme", "orders", ["waiting", "queued"]))

    await store.run(TerminateSome("acme", "orders", codec.to_row(Terminated(NOW + 1, "api"))))

    assert await _heard(store, "a") == []
    assert (await instance(store, "child")).row.status == "terminated"
