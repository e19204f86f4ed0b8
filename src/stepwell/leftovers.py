"""What a host that is gone has left half done, in a database that others have open, too: they go on with it.

Terminations of all instances of a workflow, jobs, and rows of what was deleted. Who has begun goes on at once, as long
as it lives; the others look now and then whether something is left, and leave it to whoever is at it at that moment.
"""

import asyncio

from stepwell.jobs import Jobs
from stepwell.rounds import rounds
from stepwell.store import Store
from stepwell.store.workflow_operations import PurgeDeleted
from stepwell.terminations import Terminations

LOOK_EVERY_S = 60.0


class Leftovers:
    """Goes on with what is left of other hosts."""

    def __init__(self, store: Store, terminations: Terminations, jobs: Jobs) -> None:
        self._store = store
        self._terminations = terminations
        self._jobs = jobs

    async def run(self) -> None:
        """Look for it, for ever."""
        await asyncio.sleep(LOOK_EVERY_S)
        await rounds("what other hosts have left", LOOK_EVERY_S, self._look)

    async def _look(self) -> None:
        await self._terminations.resume()
        await self._jobs.resume()
        while await self._store.run(PurgeDeleted()):
            pass
