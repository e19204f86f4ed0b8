"""The contract of every store: lists of instances."""

from typing import Any

import pytest

from stepwell.store import Store
from stepwell.store.operations import InstanceRow, ListInstances
from tests.store.scenes import NOW, claim, create, ending, register, release, worker


@pytest.fixture
async def orders(store: Store) -> Store:
    """Six instances, two of each moment: a and b complete, c waiting, d to f queued."""
    await register(store)
    await create(store, "a", "b", at=NOW)
    await create(store, "c", "d", at=NOW + 10)
    await create(store, "e", "f", at=NOW + 20)
    turns = (await claim(store, await worker(store), at=NOW + 30, limit=3)).turns
    await store.run(ending(turns[0]))
    await store.run(ending(turns[1]))
    await store.run(release(turns[2], due_at=NOW + 99))
    return store


def _ids(rows: list[InstanceRow]) -> str:
    return "".join(row.id for row in rows)


@pytest.mark.parametrize(
    ("wanted", "ids", "total"),
    [
        pytest.param({}, "fedcba", 6, id="newest first"),
        pytest.param({"ascending": True}, "abcdef", 6, id="oldest first"),
        pytest.param({"limit": 2}, "fe", 6, id="a first page"),
        pytest.param({"limit": 2, "offset": 3}, "cb", 6, id="a page by offset"),
        pytest.param({"offset": 6}, "", 6, id="beyond the end"),
        pytest.param({"status": "complete"}, "ba", 2, id="a status"),
        pytest.param({"status": "complete", "ascending": True}, "ab", 2, id="a status, oldest first"),
        pytest.param({"status": "errored"}, "", 0, id="a status that none has"),
        pytest.param({"from_ms": NOW + 10}, "fedc", 4, id="from a moment, included"),
        pytest.param({"to_ms": NOW + 10}, "dcba", 4, id="to a moment, included"),
        pytest.param({"from_ms": NOW + 1, "to_ms": NOW + 19}, "dc", 2, id="between two moments"),
        pytest.param({"from_ms": NOW + 10, "status": "queued", "limit": 1}, "f", 3, id="all together"),
    ],
)
async def test_list_is_ordered_filtered_and_counted(
    orders: Store, wanted: dict[str, Any], ids: str, total: int
) -> None:
    """A list comes by creation; the total counts all that match, whatever the page."""
    listed = await orders.run(ListInstances("acme", "orders", **{"limit": 10, **wanted}))

    assert (_ids(listed.rows), listed.total) == (ids, total)


@pytest.mark.parametrize(
    ("ascending", "ids"),
    [pytest.param(False, "fedcba", id="newest first"), pytest.param(True, "abcdef", id="oldest first")],
)
async def test_pages_by_the_last_instance_seen_meet_each_instance_once(
    orders: Store, ascending: bool, ids: str
) -> None:
    """Going on after the last one seen finds every instance once, also those of the same moment."""
    seen: list[InstanceRow] = []

    while True:
        after = (seen[-1].created_at, seen[-1].row) if seen else None
        page = await orders.run(ListInstances("acme", "orders", limit=1, after=after, ascending=ascending))
        if not page.rows:
            break
        seen += page.rows

    assert _ids(seen) == ids
    assert page.total == 6


async def test_page_after_an_instance_keeps_its_filter(orders: Store) -> None:
    """Paging and filters go together."""
    first = await orders.run(ListInstances("acme", "orders", limit=1, status="queued"))
    last = first.rows[-1]

    page = await orders.run(
        ListInstances("acme", "orders", limit=5, status="queued", after=(last.created_at, last.row))
    )

    assert (_ids(first.rows), _ids(page.rows), page.total) == ("f", "ed", 3)


async def test_instances_of_another_workflow_are_not_listed(orders: Store) -> None:
    """A list is of one workflow."""
    await register(orders, "returns")

    listed = await orders.run(ListInstances("acme", "returns", limit=10))

    assert (listed.rows, listed.total) == ([], 0)


async def test_listed_row_is_the_row_of_the_instance(store: Store) -> None:
    """A list shows each instance as it is when asked for alone."""
    await register(store)
    (row,) = await create(store, "a")

    listed = await store.run(ListInstances("acme", "orders", limit=10))

    assert listed.rows == [row]
