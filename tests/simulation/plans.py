"""What a simulated world runs: random programs whose results hang on no clock, drawn from a seed."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from stepwell.core.records import Key
from stepwell.flow import SharedLimit
from tests.engine.programs import Interpreter, Work, draw_program
from tests.engine.ways import Job

A = TypeVar("A")

# Limits that steps share.
DESKS = {"desk": SharedLimit(1), "table": SharedLimit(2)}
# A step of a program without steps inside has so many parts.
_LEAF = 2


class Dice:
    """Chooses by a seed."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def one_of(self, among: Sequence[A]) -> A:
        """Choose one."""
        return self._rng.choice(among)

    def number(self, least: int, most: int) -> int:
        """Choose a whole number; both bounds are included."""
        return self._rng.randint(least, most)


class Steady(Interpreter):
    """Runs programs whose results hang on no clock, also not on one that is an hour off."""

    @staticmethod
    def witness(key: Key) -> None:
        """Look at nothing."""

    async def sleep_until(self, name, days):
        """Sleep, and say nothing of a moment that is over by now: two may be nearer than clocks are."""
        await super().sleep_until(name, days)

    async def in_time(self, node):
        """Do something within a time that is longer than any delay."""
        async with asyncio.timeout(10 * 86_400):
            return await self.do(node)


def draw_job(rng: random.Random) -> Job:
    """Return a program with the events that it gets."""
    return replace(draw_program(Dice(rng), rng.choice((1, 1, 2))), workflow=Steady)


def draw_short_job(rng: random.Random) -> Job:
    """Return a program of which nearly every write begins or ends a turn."""
    work = ["work", asdict(Work(1, "a"))]
    parts = rng.choice(([], [["refused", "a"]], [["sleep", "a", 5000]], [work], [["sleep", "a", 5000], work]))
    return Job(Steady, ["seq", *parts])


def draw_crowded_job(rng: random.Random) -> Job:
    """Return a program of steps that are to share one limit."""
    works = [["work", asdict(Work(place, "a", rng.choice((0, 0, 1))))] for place in range(1, rng.randint(1, 3) + 1)]
    return Job(Steady, [rng.choice(("seq", "gather")), *works])


def share_limits(rng: random.Random, node: Any, among: Sequence[str | None]) -> None:
    """Let steps of a program that have no steps inside share some of these limits."""
    if not isinstance(node, list):
        return
    if node[0] == "work" and len(node) == _LEAF:
        node[1]["limit"] = rng.choice(among)
    for inner in node:
        share_limits(rng, inner, among)


@dataclass(frozen=True)
class Plan:
    """What the programs of a world are like. `is_crowded`: all of their steps want the same slot."""

    draw: Callable[[random.Random], Job]
    is_crowded: bool = False


# Which one a world has is a matter of its seed's remainder.
PLANS = (Plan(draw_short_job), Plan(draw_job), Plan(draw_job), Plan(draw_job), Plan(draw_crowded_job, is_crowded=True))


def has_long_bodies(node: Any) -> bool:
    """Tell whether a program has steps with steps inside."""
    if not isinstance(node, list):
        return False
    return (node[:1] == ["work"] and len(node) > _LEAF) or any(map(has_long_bodies, node))
