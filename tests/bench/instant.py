"""An engine that takes no time, so that what is measured of it is what the harness does."""

import asyncio
import os
import time
from collections.abc import Sequence

from bench.driver import Driver, Figures


class Instant(Driver):
    """What is asked of it is done at once."""

    async def start(self) -> dict[str, str]:
        return {"instant": "1"}

    async def many(self, instances: int, steps: int) -> None:
        """Do nothing."""

    async def one(self) -> None:
        """Do nothing."""

    async def sequence(self, steps: int) -> Sequence[float]:
        return [float(number) for number in range(steps)]

    async def parallel(self, steps: int) -> None:
        if self.variant == "cannot":
            raise RuntimeError("no steps at once")

    async def sleep(self, moments: Sequence[float]) -> None:
        self._asleep = moments
        if self.variant == "slow":
            await asyncio.sleep(moments[0] - time.time())

    async def woken(self) -> int:
        return sum(moment <= time.time() for moment in self._asleep)

    async def lateness(self) -> Sequence[float]:
        return [0.001 * number for number in range(101)]

    async def reads(self) -> Figures:
        return {"per_s": 5.0}

    async def wait(self, instances: int) -> None:
        """Do nothing."""

    async def wake(self, number: int) -> float:
        return time.time() + 0.5

    def pids(self) -> list[int]:
        return [os.getpid()]
