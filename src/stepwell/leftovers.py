"""What a host that is gone has left half done, in a database that others have open, too: they go on with it.

Terminations of all instances of a workflow, and rows of what was deleted. Who has begun goes on at once, as long as it
lives; the others look now and then whether something is left, and leave it to whoever is at it at that moment.
"""

import asyncio
import logging

from stepwell.errors import StoreError
from stepwell.store import Store
from stepwell.store.workflow_operations import PurgeDeleted
from stepwell.terminations import Terminations

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 60.0


class Leftovers:
    """Goes on with what is left of other hosts."""

    def __init__(self, store: Store, terminations: Terminations) -> None:
        self._store = store
        self._terminations = terminations

    async def run(self) -> None:
        """Look for it, for ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self._terminations.resume()
                while await self._store.run(PurgeDeleted()):
                    pass
            except StoreError as error:
                logger.debug("what other hosts have left cannot be seen now: %s", error)
            except Exception:  # a defect must not keep this from being done for ever
                logger.exception("what other hosts have left could not be looked for")
