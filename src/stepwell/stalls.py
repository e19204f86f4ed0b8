"""Looks at every unfinished instance: why it does not go on, and whether that is a good reason.

What looks stalled may only be about to go on, so it is believed when it has gone no further by the next look. And the
row of each is held against its history: it has to say the same.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable
from time import perf_counter
from typing import Protocol, TypeVar

from msgspec import Struct, field

from stepwell.clock import Clock
from stepwell.core import why
from stepwell.core.instance import UNFINISHED, ImpossibleHistory, InstanceState, Status
from stepwell.core.open_calls import fold_calls
from stepwell.core.stalled import Stall, stall_of
from stepwell.errors import InstanceNotFound, StoreDamaged, WorkflowNotFound
from stepwell.facts import fact, fact_of
from stepwell.rounds import rounds
from stepwell.store import Store, codec
from stepwell.store.operations import InstanceRow, Operation
from stepwell.store.search_operations import SearchInstances, Wanted
from stepwell.store.situation_operations import InstanceSituation, ReadSituation
from stepwell.store.upkeep_operations import ListAccounts, RepairInstance

logger = logging.getLogger(__name__)

# What has been so for less is about to change.
PATIENCE_MS = 300_000
_AT_ONCE = 100
_LOOK_EVERY_S = 300.0
# Of the time, in a server that has other work: a look at an instance takes some tenths of a millisecond.
_SHARE_OF_TIME = 0.02
_MOST_SAID = 20
# At which look in which it has gone no further.
_BELIEVED_AT = 2
_FOLDED_AT_ONCE = 1_000
_CORRECT = "`stepwell doctor --fix` corrects the row"
_RESTORE = "`stepwell restore` makes a store of a backup; `stepwell export` of it shows what is wrong"

A = TypeVar("A")


class Asked(Protocol):
    """A store, or what reads one: it is asked for nothing but reads."""

    def run(self, operation: Operation[A]) -> Awaitable[A]:
        """Do an operation."""


class Seen(Struct, frozen=True):
    """An instance that is not as it should be: stalled, or its row is not what its history says.

    `state` is what that says; None: it says nothing, as it is damaged, which `damage` tells.
    """

    row: InstanceRow
    state: InstanceState | None
    stall: Stall | None = None
    damage: str = ""

    @property
    def is_fold(self) -> bool:
        """Whether the row says what the history says."""
        return state_of(self.row) == self.state

    @property
    def place(self) -> tuple[int, int, int]:
        """How far the instance has come."""
        return self.row.row, self.row.turn, self.row.seq

    @property
    def is_mendable(self) -> bool:
        """Whether it can be put right: nothing is wrong but steps and starts, or that nothing makes it due."""
        if self.state is None:
            return False
        row, state = state_of(self.row), self.state
        is_near = (row.status, row.created_at, row.ended_at) == (state.status, state.created_at, state.ended_at)
        return is_near and (row != state or (self.stall is not None and self.stall.is_unwoken))

    @property
    def said(self) -> str:
        """What is wrong."""
        name = f"{self.row.workflow}/{self.row.id} of account {self.row.account}"
        if self.damage:
            return f"{name} is damaged: {self.damage}"
        if not self.is_fold:
            return f"{name}: {self._differing()}"
        assert self.stall is not None
        return f"{name} does not go on: {self.stall.said}"

    @property
    def remedy(self) -> str:
        """What helps."""
        if self.is_fold and self.stall is not None:
            return self.stall.remedy
        return _CORRECT if self.is_mendable else _RESTORE

    def _differing(self) -> str:
        """Return how the row differs from the history, in words."""
        here, there = state_of(self.row), self.state
        names = [name for name in here.__struct_fields__ if getattr(here, name) != getattr(there, name)]
        return ", ".join(
            f"its row says {name} {getattr(here, name)}, its history {getattr(there, name)}" for name in names
        )


class Census(Struct):
    """The unfinished instances by the type of their first reason, how many have ended, and what is wrong with some."""

    reasons: Counter[type[why.Reason]] = field(default_factory=Counter)
    ended: int = 0
    wrong: list[Seen] = field(default_factory=list)

    @property
    def looked_at(self) -> int:
        """How many there are; of those that are damaged nobody can tell what they are."""
        return self.reasons.total() + self.ended + sum(one.state is None for one in self.wrong)


def state_of(row: InstanceRow) -> InstanceState:
    """Return the state that a row tells."""
    queued_at = row.created_at if row.renewed_at is None else row.renewed_at
    return InstanceState(Status(row.status), row.step_count, row.created_at, queued_at, row.started_at, row.ended_at)


async def take_census(
    store: Asked, now: int, parks_after_ms: int, *, with_ended: bool = False, share_of_time: float = 1.0
) -> Census:
    """Look at every instance of a store that is unfinished, or at all. Raises StoreError.

    `share_of_time`: it takes no more of the time than that, for who has other work.
    """
    census = Census()
    wanted = Wanted() if with_ended else Wanted(statuses=tuple(sorted(UNFINISHED)))
    async for page in _pages(store, wanted, now):
        began = perf_counter()
        for row in page:
            await _look(store, row, now, parks_after_ms, census)
        await asyncio.sleep((perf_counter() - began) * (1 / share_of_time - 1))
    return census


async def look_again(store: Asked, seen: Iterable[Seen], now: int, parks_after_ms: int) -> list[Seen]:
    """Return which of some instances are wrong still, and have gone no further. Raises StoreError."""
    census, before = Census(), {one.place for one in seen}
    for one in seen:
        await _look(store, one.row, now, parks_after_ms, census)
    return [one for one in census.wrong if one.place in before]


async def mend(store: Store, seen: Seen, now: int) -> bool:
    """Put an instance right that can be; tell whether it was as it was seen. Raises StoreError."""
    row, state = seen.row, seen.state
    assert seen.is_mendable
    assert state is not None
    renewed_at = row.renewed_at if state_of(row).queued_at == state.queued_at else state.queued_at
    due_at = now if seen.stall is not None and seen.stall.is_unwoken else None
    told = (state.step_count, state.started_at, renewed_at, due_at)
    return await store.run(RepairInstance(row.row, row.turn, row.seq, *told))


async def _pages(store: Asked, wanted: Wanted, now: int) -> AsyncIterator[list[InstanceRow]]:
    for account in await store.run(ListAccounts()):
        after: tuple[int, int] | None = None
        while True:
            found = await store.run(SearchInstances(account, None, wanted, now, _AT_ONCE, after, ascending=True))
            yield [one.row for one in found.instances]
            if (after := found.looked_to) is None:
                break


async def _look(store: Asked, row: InstanceRow, now: int, parks_after_ms: int, census: Census) -> None:
    try:
        found = await store.run(ReadSituation(row.account, row.workflow, row.id, now, most=1))
        if len(found.records) > _FOLDED_AT_ONCE:
            # It takes a while; others are to be answered meanwhile.
            await asyncio.to_thread(_judge, found, now, parks_after_ms, census)
        else:
            _judge(found, now, parks_after_ms, census)
    except (WorkflowNotFound, InstanceNotFound):
        return
    except (StoreDamaged, ImpossibleHistory) as error:
        census.wrong.append(Seen(row, None, damage=str(error)))


def _judge(found: InstanceSituation, now: int, parks_after_ms: int, census: Census) -> None:
    fold = fold_calls(codec.from_rows(found.records))
    explained = why.explain_calls(fold, found.situation, now, parks_after_ms)
    if explained.end is None:
        census.reasons[type(explained.reasons[0])] += 1
    else:
        census.ended += 1
    stall = stall_of(fold, explained.reasons, found.situation, now, PATIENCE_MS)
    seen = Seen(found.row, fold.state, stall)
    if stall is not None or not seen.is_fold:
        census.wrong.append(seen)


class Stalls:
    """Looks for what is stalled now and then, and says it in the log: each once."""

    def __init__(self, store: Asked, clock: Clock, parks_after_ms: int) -> None:
        self._store = store
        self._clock = clock
        self._parks_after_ms = parks_after_ms
        # In how many looks on end something was seen at its place.
        self._seen: dict[tuple[int, int, int], int] = {}

    async def run(self) -> None:
        """Look for it, for ever."""
        await asyncio.sleep(_LOOK_EVERY_S)
        await rounds("stalled instances", _LOOK_EVERY_S, self.look)

    async def look(self) -> None:
        """Look for it once. Raises StoreError."""
        now = self._clock.now()
        census = await take_census(self._store, now, self._parks_after_ms, share_of_time=_SHARE_OF_TIME)
        self._seen = {one.place: self._seen.get(one.place, 0) + 1 for one in census.wrong}
        news = [one for one in census.wrong if self._seen[one.place] == _BELIEVED_AT]
        for one in news[:_MOST_SAID]:
            logger.warning("%s; %s", one.said, one.remedy, extra=fact_of(one.row, "instance.stalled"))
        if len(news) > _MOST_SAID:
            logger.warning(
                "%d more instances do not go on; `stepwell doctor` names them",
                len(news) - _MOST_SAID,
                extra=fact("instances.stalled", count=len(news) - _MOST_SAID),
            )
