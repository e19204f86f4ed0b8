"""What a simulated world runs: random programs whose results hang on no clock, drawn from a seed."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import asdict, replace
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


def share_limits(rng: random.Random, node: Any) -> None:
    """Let some of the steps of a program that have no steps inside share limits."""
    if not isinstance(node, list):
        return
    if node[0] == "work" and len(node) == _LEAF:
        node[1]["limit"] = rng.choice((None, *DESKS))
    for inner in node:
        share_limits(rng, inner)


def has_long_bodies(node: Any) -> bool:
    """Tell whether a program has steps with steps inside."""
    if not isinstance(node, list):
        return False
    return (node[:1] == ["work"] and len(node) > _LEAF) or any(map(has_long_bodies, node))
