"""The contract of every store: workflows and their versions."""

import pytest

from stepwell.errors import WorkflowNotFound
from stepwell.store import Store
from stepwell.store.operations import GetWorkflow, ListWorkflows
from tests.store.scenes import NOW, claim, create, creation, ending, register, release, worker


async def test_new_workflow_is_known_with_its_first_version(store: Store) -> None:
    """A workflow that was registered is found under its name, with the ids it was given."""
    await register(store, "orders")

    workflow = await store.run(GetWorkflow("acme", "orders"))

    assert workflow.id == "acme-orders-1"
    assert workflow.version == "acme-orders-version-1"
    assert (workflow.account, workflow.name) == ("acme", "orders")
    assert (workflow.script, workflow.class_name) == ("shop", "Orders")
    assert (workflow.created_at, workflow.modified_at, workflow.triggered_at) == (NOW, NOW, None)
    assert workflow.counts == {}


async def test_same_hash_makes_no_new_version(store: Store) -> None:
    """Registering the same script again changes nothing and answers what is there."""
    first = await register(store, sha256="aa", n=1)

    again = await register(store, sha256="aa", n=2, at=NOW + 5)

    assert again == first
    assert again.version == "acme-orders-version-1"


async def test_other_hash_makes_a_new_version_of_the_same_workflow(store: Store) -> None:
    """A changed script is a new version; the workflow keeps its id and its creation time."""
    await register(store, sha256="aa", n=1)

    changed = await register(store, sha256="bb", n=2, at=NOW + 5)

    assert changed.id == "acme-orders-1"
    assert changed.version == "acme-orders-version-2"
    assert (changed.created_at, changed.modified_at) == (NOW, NOW + 5)


async def test_going_back_to_an_older_script_is_a_new_version(store: Store) -> None:
    """Only the newest version's hash counts: code that returns after a change is a version of its own."""
    await register(store, sha256="aa", n=1)
    await register(store, sha256="bb", n=2)

    back = await register(store, sha256="aa", n=3)

    assert back.version == "acme-orders-version-3"


async def test_instance_keeps_the_version_that_it_was_created_with(store: Store) -> None:
    """A new version is for new instances."""
    await register(store, sha256="aa", n=1)
    (old,) = await create(store, "old")
    await register(store, sha256="bb", n=2)

    (new,) = await create(store, "new")

    claims = await claim(store, await worker(store))
    assert (old.version, new.version) == ("acme-orders-version-1", "acme-orders-version-2")
    assert {turn.id: turn.version for turn in claims.turns} == {
        "old": "acme-orders-version-1",
        "new": "acme-orders-version-2",
    }


async def test_unknown_workflow_is_named(store: Store) -> None:
    """Asking for a workflow that nobody registered says which."""
    await register(store, "orders")

    with pytest.raises(WorkflowNotFound) as raised:
        await store.run(GetWorkflow("acme", "orders-2"))

    assert raised.value.workflow == "orders-2"


async def test_another_accounts_workflow_is_unknown(store: Store) -> None:
    """Accounts do not see each other's workflows, and may use the same name."""
    await register(store, "orders", account="acme")
    await register(store, "orders", account="other")
    await register(store, "secret", account="other")

    page = await store.run(ListWorkflows("acme", limit=10, offset=0))

    assert [workflow.id for workflow in page.rows] == ["acme-orders-1"]
    with pytest.raises(WorkflowNotFound):
        await store.run(GetWorkflow("acme", "secret"))


async def test_counts_tell_how_many_instances_have_each_status(store: Store) -> None:
    """A workflow tells its instances by status, and when one was last created."""
    await register(store)
    await create(store, "a", "b", "c", at=NOW)
    held = await claim(store, await worker(store), at=NOW, limit=3)
    await store.run(ending(held.turns[0]))
    await store.run(release(held.turns[1], due_at=NOW + 9))
    await create(store, "d", "e", at=NOW + 7)

    workflow = await store.run(GetWorkflow("acme", "orders"))

    assert workflow.counts == {"complete": 1, "waiting": 1, "running": 1, "queued": 2}
    assert workflow.triggered_at == NOW + 7


async def test_workflows_come_by_name_in_pages(store: Store) -> None:
    """A list is ordered by name, cut by limit and offset, and tells how many there are in all."""
    for name in ("pears", "apples", "figs", "kiwis"):
        await register(store, name)

    page = await store.run(ListWorkflows("acme", limit=2, offset=1))

    assert [workflow.name for workflow in page.rows] == ["figs", "kiwis"]
    assert page.total == 4


@pytest.mark.parametrize(
    ("search", "found"),
    [
        pytest.param("PLE", ["Apples", "apples_100"], id="upper and lower case alike"),
        pytest.param("_", ["apples_100", "figs_2"], id="an underscore is an underscore"),
        pytest.param("%", [], id="a percent sign is a percent sign"),
        pytest.param("\\", [], id="a backslash is a backslash"),
        pytest.param("-", ["kiwis-3"], id="a part"),
        pytest.param("s\0", [], id="no name has the character NUL"),
        pytest.param(None, ["Apples", "apples_100", "figs_2", "kiwis-3"], id="no search"),
    ],
)
async def test_search_finds_a_part_of_the_name(store: Store, search: str | None, found: list[str]) -> None:
    """A search is a part of the name, taken as it is written."""
    for name in ("kiwis-3", "apples_100", "Apples", "figs_2"):
        await register(store, name)

    page = await store.run(ListWorkflows("acme", limit=10, offset=0, search=search))

    assert [workflow.name for workflow in page.rows] == found
    assert page.total == len(found)


async def test_listed_workflows_have_their_own_counts(store: Store) -> None:
    """Each workflow of a list counts its own instances."""
    await register(store, "apples")
    await register(store, "pears")
    await store.run(creation("a", workflow="pears"))

    page = await store.run(ListWorkflows("acme", limit=10, offset=0))

    assert [workflow.counts for workflow in page.rows] == [{}, {"queued": 1}]
