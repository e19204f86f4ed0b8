"""Takes back what nobody will give back, and forgets limits to which nothing refers: now and then, beside other work.

Steps that end as they should give the slots of shared limits back at once. A worker that dies keeps those of its
instances, whose next turns go on with them; only if an instance ended or was deleted at that moment is something left.
Limits are forgotten when code declares them no more, and nobody uses them; the queues of keys, when they are empty.
Code that was uploaded and never served goes when it need not be kept: whoever tried it may be gone.
"""

import asyncio
import logging

from stepwell.clock import Clock
from stepwell.facts import fact
from stepwell.rounds import rounds
from stepwell.store import Store
from stepwell.store.flow_operations import ForgetLimits, ForgetQueues, GiveSlots, SweepSlots
from stepwell.store.snapshot_operations import DropSnapshots

logger = logging.getLogger(__name__)

SWEEP_EVERY_S = 30.0
# What was given so lately may be on its way to whoever gets it.
_SPARED_MS = 10_000
# Between two looks at some of the queues others write.
_PAUSE_S = 0.02


class Sweeps:
    """Looks for what is left now and then."""

    def __init__(self, store: Store, clock: Clock, pause_s: float = _PAUSE_S) -> None:
        self._store = store
        self._clock = clock
        self._pause_s = pause_s

    async def run(self) -> None:
        """Look for it, for ever."""
        await asyncio.sleep(SWEEP_EVERY_S)
        await rounds("slots, limits and code that are left", SWEEP_EVERY_S, self.sweep)

    async def sweep(self) -> None:
        """Take back, and forget, what is left. Raises StoreError."""
        count = await self._store.run(SweepSlots(self._clock.now(), _SPARED_MS))
        if count:
            logger.info(
                "%d slots of limits that steps share were left, and have been taken back",
                count,
                extra=fact("slots.swept", count=count),
            )
        dropped = await self._store.run(DropSnapshots(self._clock.now()))
        if dropped:
            logger.info(
                "code that was never served was left, and is gone: %d of the snapshots",
                dropped,
                extra=fact("snapshots.dropped", count=dropped),
            )
        # Who has begun to give many slots may be gone.
        await self._store.run(GiveSlots(self._clock.now()))
        await self._store.run(ForgetLimits(self._clock.now()))
        place = await self._store.run(ForgetQueues(self._clock.now()))
        while place is not None:
            await asyncio.sleep(self._pause_s)
            place = await self._store.run(ForgetQueues(self._clock.now(), place))
