"""Waiting in a test: what can happen happens, and the clock moves on by itself, until what is waited for is there."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from stepwell import durations, limits
from stepwell.errors import NothingCanHappen, WaitsForReal

A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)

# Nothing is waited for as long but the end of a child, which comes by itself or not at all.
FAR_MS = limits.CHILD_MS // 10
# A workflow may go on for ever; and schedules fire for ever, also where nobody is there to send what is waited for.
_MOST_MOVES = 10_000
_MOST_IDLE_MOVES = 100
# What takes no more than that is over soonest when the loop goes round.
_BUSY_ROUNDS = 100


@dataclass(frozen=True, slots=True)
class Found(Generic[A_co]):
    """What has been waited for."""

    value: A_co


class Awaited(Protocol[A_co]):
    """What is waited for."""

    # Turns need not be put back before each move of the clock: no status on the way is looked at.
    keeps_turns: bool
    # The instance whose end brings it, by workflow and id; None: it may come before.
    ends: tuple[str, str] | None

    @property
    def missing(self) -> str:
        """What is not there."""

    @property
    def has_moment(self) -> bool:
        """Whether time, or a worker, will do something with what it is waited for of."""

    async def look(self) -> Found[A_co] | None:
        """Return what is waited for, if it is there; raise if it can never be."""


class Passing(Protocol):
    """An engine whose time passes."""

    async def settle(self) -> None:
        """Let everything happen that can happen without the clock moving on. Raises WaitsForReal."""

    async def begin_moving(self) -> None:
        """Keep turns open from now on: the clock is about to be moved."""

    async def end_moving(self) -> None:
        """Put back the turns that were kept open: somebody is about to look."""

    def is_held(self, workflow: str, id: str) -> bool:
        """Tell whether a turn has an instance, which has not ended, then."""

    async def move_on(self) -> bool:
        """Move the clock on to the next moment at which something happens; False: there is none."""

    async def unfinished(self) -> list[str]:
        """Return what each unfinished instance waits for."""


class Waiting:
    """Waits, in an engine."""

    def __init__(self, engine: Passing) -> None:
        self._engine = engine

    async def until(self, awaited: Awaited[A]) -> A:
        """Return what is waited for, as soon as it is there. Raises NothingCanHappen, or what the look raises."""
        # Before anything happens, so that what comes and goes again is seen.
        found = await awaited.look()
        if found is not None:
            return found.value
        if not awaited.keeps_turns:
            return await self._until(awaited)
        await self._engine.begin_moving()
        try:
            return await self._until(awaited)
        finally:
            await self._engine.end_moving()

    async def _until(self, awaited: Awaited[A]) -> A:
        idle_moves = 0
        for _ in range(_MOST_MOVES):
            await self._engine.settle()
            goes_on = awaited.ends is not None and self._engine.is_held(*awaited.ends)
            found = None if goes_on else await awaited.look()
            if found is not None:
                return found.value
            idle_moves = 0 if goes_on or awaited.has_moment else idle_moves + 1
            if idle_moves > _MOST_IDLE_MOVES or not await self._engine.move_on():
                return await self._give_up(awaited, "nothing can happen any more")
        return await self._give_up(awaited, f"the clock was moved {_MOST_MOVES:,} times")

    async def _give_up(self, awaited: Awaited[A], why: str) -> A:
        # What is waited for is told of turns that have been put back.
        await self._engine.end_moving()
        found = await awaited.look()
        if found is not None:
            return found.value
        raise NothingCanHappen(why, awaited.missing, await self._engine.unfinished())


class Patience:
    """How long real time may pass at a stretch, for what no clock of a test moves."""

    def __init__(self, ms: int) -> None:
        self._ms = ms
        self._ends_at = asyncio.get_running_loop().time() + ms / 1000
        self._rounds = 0

    async def wait(self, waits: Callable[[], list[str]]) -> None:
        """Let a moment of real time pass. Raises WaitsForReal, with what is waited for, once there have been enough."""
        if asyncio.get_running_loop().time() > self._ends_at:
            raise WaitsForReal(waits(), durations.in_words(self._ms))
        self._rounds += 1
        await asyncio.sleep(0 if self._rounds < _BUSY_ROUNDS else 0.001)
