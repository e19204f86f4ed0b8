"""The contract of every store: a row, its history and what its workflow counts say the same at every moment."""

import asyncio
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.core.records import Paused
from stepwell.errors import InstanceFinished, TurnLost
from stepwell.stalls import state_of
from stepwell.store import Store, codec
from stepwell.store.operations import Claim, Commit, EndLease, GetWorkflow, Operation, Release
from stepwell.store.sqlite import SqliteStore
from tests.store.scenes import (
    NOW,
    claim,
    commit,
    control,
    create,
    ending,
    folded,
    happening,
    instance,
    outcomes,
    register,
    release,
    started,
    succeeded,
    worker,
)

FENCING = ["terminate", "restart", "restart from"]
CONTROL = ["pause", "resume", *FENCING]
ACTS = ["claim", "start", "succeed", "send again", "event", "lose", "park", "park unseen", "end", *CONTROL]


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
        await (self._control(act) if act in CONTROL else self._do(act))
        found = await instance(self.store, "a")
        assert state_of(found.row) == folded(found)
        assert (await self.store.run(GetWorkflow("acme", "orders"))).counts == {found.row.status: 1}
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
                await self._park(self.turn)
            case "end" if self.turn:
                await self._release(ending(self.turn, n=self.n, seen=self.seen, step_count=self.step_count))

    async def _control(self, act: str) -> None:
        before = await instance(self.store, "a")
        try:
            await self.store.run(control(act, codec.from_rows(before.records)))
        except InstanceFinished:
            assert before.row.ended_at is not None
            assert act in ("pause", "terminate")
            return
        if act in FENCING and self.turn is not None:
            await self._is_fenced_out(self.turn)
        if act in FENCING:
            self.turn = self.last = None
            self.step_count = (await instance(self.store, "a")).row.step_count

    async def _is_fenced_out(self, turn: Claim) -> None:
        """What the turn still sends is refused, and changes nothing."""
        before = await instance(self.store, "a")
        sent: list[Operation[Any]] = [
            commit(turn, succeeded(), **self._place()),
            release(turn, **self._place()),
            ending(turn, n=self.n),
        ]
        assert [type(error) for error in await outcomes(self.store, sent)] == [TurnLost] * 3
        assert await instance(self.store, "a") == before

    async def _park(self, turn: Claim) -> None:
        """Let a turn end as one that waits, or, if it has seen that it is to be paused, as one that pauses."""
        parked = release(turn, **self._place(), due_at=NOW)
        if await self._knows_of_a_pause():
            paused = release(turn, codec.to_row(Paused(NOW + 1)), **self._place())
            parked = msgspec.structs.replace(paused, status="paused")
        await self._release(parked)

    async def _knows_of_a_pause(self) -> bool:
        """Tell whether the turn has seen that it is to be paused. One that has not parks, and is refused."""
        row = (await instance(self.store, "a")).row
        return row.status == "waitingForPause" and row.seq <= self.seen

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
        pytest.param(
            ["claim", "start", "pause", "succeed", "park unseen", "resume", "claim", "end"],
            ["running", "running", "waitingForPause", "waitingForPause", "paused", "queued", "running", "complete"],
            id="paused and resumed",
        ),
        pytest.param(
            ["claim", "park", "pause", "event", "resume", "pause", "claim", "pause", "resume"],
            ["running", "waiting", "paused", "paused", "queued", "queued", "running", "waitingForPause", "running"],
            id="paused while nobody holds it",
        ),
        pytest.param(
            ["claim", "pause", "lose", "claim", "park unseen", "claim"],
            ["running", "waitingForPause", "waitingForPause", "waitingForPause", "paused", "paused"],
            id="a turn that was lost in a pause",
        ),
        pytest.param(
            ["claim", "start", "terminate", "resume", "restart", "claim", "start", "restart from", "terminate"],
            ["running", "running", "terminated", "terminated", "queued", "running", "running", "queued", "terminated"],
            id="terminated and restarted",
        ),
        pytest.param(
            ["pause", "claim", "start", "pause", "park", "restart", "claim", "end", "restart from", "restart"],
            [
                "queued",
                "running",
                "running",
                "waitingForPause",
                "paused",
                "queued",
                "running",
                "complete",
                "queued",
                "queued",
            ],
            id="restarted from everywhere",
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
    """No order of events, commits, losses, parks, repeats and control makes the row and the history differ."""

    async def live() -> None:
        store = SqliteStore.in_memory()
        life = await _born(store)
        for act in acts:
            await life.happens(act)
        await store.close()

    asyncio.run(live())
