"""Waiting for the end of an instance, in every store."""

import asyncio
from typing import Any

import pytest

from stepwell.errors import InstanceNotFound
from stepwell.store import Store
from stepwell.store.control_operations import DeleteInstance
from stepwell.store.operations import GetInstance, InstanceHistory
from stepwell.waits import wait_for_end
from tests.store.scenes import NOW, commit, ending, happening, held, instance, release, waiting


class Looks:
    """A store that counts how often an instance is read; `looked` is set by each."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.count = 0
        self.looked = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def run(self, operation: Any) -> Any:
        found = await self.inner.run(operation)
        if isinstance(operation, GetInstance):
            self.count += 1
            self.looked.set()
        return found


async def begun(looks: Looks) -> asyncio.Future[InstanceHistory]:
    """Begin to wait for the end of `a`; return once it has been looked at."""
    row = (await looks.inner.run(GetInstance("acme", "orders", "a"))).row
    future = asyncio.ensure_future(wait_for_end(looks, row))  # type: ignore[arg-type]  # it has what a store has
    await looks.looked.wait()
    return future


async def test_end_is_waited_for_without_looking_at_each_step(store: Store) -> None:
    """What a turn commits is not looked at; a turn that parks is, and the end, with which it is over."""
    turn = await held(store, "a")
    looks = Looks(store)
    end = await begun(looks)

    for place in range(3):
        await store.run(commit(turn, waiting(), n=1 + place, seen=2 + place))
    await store.run(happening("a"))
    await store.run(ending(turn, n=4, seen=6))
    found = await asyncio.wait_for(end, 10)

    assert found.row.status == "complete"
    assert found.row.ended_at is not None
    assert looks.count <= 3


async def test_end_that_was_is_found_at_once(store: Store) -> None:
    """Nobody tells of what was before."""
    turn = await held(store, "a")
    row = (await instance(store)).row
    await store.run(ending(turn))

    found = await asyncio.wait_for(wait_for_end(store, row), 10)

    assert found.row.status == "complete"


async def test_wait_for_an_end_has_a_limit(store: Store) -> None:
    """Of an instance that goes on it is said when the time is over."""
    turn = await held(store, "a")
    await store.run(release(turn))

    with pytest.raises(TimeoutError):
        await wait_for_end(store, (await instance(store)).row, 0.01)


async def test_who_waits_hears_that_the_instance_was_deleted(store: Store) -> None:
    """There is no end any more."""
    await held(store, "a")
    end = await begun(Looks(store))

    await store.run(DeleteInstance("acme", "orders", "a", NOW))

    with pytest.raises(InstanceNotFound):
        await asyncio.wait_for(end, 10)
