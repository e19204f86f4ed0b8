"""The contract of every store: an instance's row and its history say the same at every moment."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.store import Store
from stepwell.store.operations import Claim, Commit, EndLease, Operation, Release
from stepwell.store.sqlite import SqliteStore
from tests.store.scenes import (
    NOW,
    as_state,
    claim,
    commit,
    create,
    ending,
    folded,
    happening,
    instance,
    register,
    release,
    started,
    succeeded,
    worker,
)

ACTS = ["claim", "start", "succeed", "send again", "event", "lose", "park", "park unseen", "end"]


@dataclass
class Life:
    """An instance to which things happen; after each of them its row is held against its history."""

    store: Store
    holder: int = 0
    turn: Claim | None = None
    n: int = 0
    seen: int = 0
    step_count: int = 0
    last: Operation[Any] | None = None

    async def happens(self, act: str) -> str:
        """Let something happen, if it can, and return the status then."""
        await self._do(act)
        found = await instance(self.store, "a")
        assert as_state(found.row) == folded(found)
        assert [record.seq for record in found.records] == list(range(1, found.row.seq + 1))
        return found.row.status

    async def _do(self, act: str) -> None:
        match act:
            case "claim" if self.turn is None:
                await self._claim()
            case "start" if self.turn:
                self.step_count += 1
                await self._commit(commit(self.turn, started(), **self._place()))
            case "succeed" if self.turn:
                await self._commit(commit(self.turn, succeeded(), **self._place()))
            case "send again" if self.last:
                await self.store.run(self.last)
            case "event":
                await self._event()
            case "lose" if self.turn:
                await self.store.run(EndLease(self.holder))
                self.turn = self.last = None
            case "park" if self.turn:
                self.seen = (await instance(self.store, "a")).row.seq
                await self._do("park unseen")
            case "park unseen" if self.turn:
                await self._release(release(self.turn, **self._place(), due_at=NOW))
            case "end" if self.turn:
                await self._release(ending(self.turn, n=self.n, seen=self.seen, step_count=self.step_count))

    async def _event(self) -> None:
        if (await instance(self.store, "a")).row.ended_at is None:
            await self.store.run(happening("a", at=NOW + 2))

    async def _claim(self) -> None:
        self.holder = await worker(self.store)
        turns = (await claim(self.store, self.holder, at=NOW + 3)).turns
        if turns:
            (self.turn,), self.last = turns, None
            self.n, self.seen = 1, (await instance(self.store, "a")).row.seq

    async def _commit(self, operation: Commit) -> None:
        answer = await self.store.run(operation)
        self.last, self.n, self.seen = operation, self.n + 1, answer.seq

    async def _release(self, operation: Release) -> None:
        answer = await self.store.run(operation)
        if answer.done:
            self.last, self.turn = operation, None

    def _place(self) -> dict[str, int]:
        return {"n": self.n, "seen": self.seen, "step_count": self.step_count}


async def _born(store: Store) -> Life:
    await register(store)
    await create(store, "a")
    return Life(store)


@pytest.mark.parametrize(
    ("acts", "statuses"),
    [
        pytest.param(
            ["claim", "start", "succeed", "end", "send again"],
            ["running", "running", "running", "complete", "complete"],
            id="straight through",
        ),
        pytest.param(
            ["claim", "start", "park", "event", "claim", "succeed", "end"],
            ["running", "running", "waiting", "waiting", "running", "running", "complete"],
            id="parked and woken",
        ),
        pytest.param(
            ["claim", "start", "lose", "claim", "start", "end"],
            ["running", "running", "running", "running", "running", "complete"],
            id="a lost turn",
        ),
        pytest.param(
            ["event", "claim", "event", "park unseen", "park", "claim"],
            ["queued", "running", "running", "running", "waiting", "running"],
            id="an event that the turn had not seen",
        ),
    ],
)
async def test_row_is_the_fold_of_the_history(store: Store, acts: list[str], statuses: list[str]) -> None:
    """The row's status, step count and times equal the fold of the history after every operation."""
    life = await _born(store)

    told = [await life.happens(act) for act in acts]

    assert told == statuses


@given(st.lists(st.sampled_from(ACTS), max_size=25))
def test_row_is_the_fold_whatever_happens(acts: list[str]) -> None:
    """No order of events, commits, losses, parks and repeats makes the row and the history differ."""

    async def live() -> None:
        store = SqliteStore.in_memory()
        life = await _born(store)
        for act in acts:
            await life.happens(act)
        await store.close()

    asyncio.run(live())
