"""What another host serves is run here, too: a server whose code comes from the store follows what was served last.

It is looked for when something may be due, which a host that begins to serve tells, too; now and then in any case.
"""

import asyncio
import logging
from contextlib import suppress
from pathlib import Path

import msgspec

from stepwell.clock import Clock, SystemClock
from stepwell.errors import ScriptError, StoreError
from stepwell.pinned import PinnedWorkers, lay_out_served, remove_served_but
from stepwell.store import DueListener, Store
from stepwell.store.snapshot_operations import FindServed, Snapshot
from stepwell.supervisor import Supervisor
from stepwell.worker_options import CodeOptions

logger = logging.getLogger(__name__)

# By this number the store knows who listens here; workers have others.
_EAR = -2
# Between two looks there is at least the one time, and at most the other: what is told may not arrive.
_LOOK_AFTER_S, _LOOK_EVERY_S = 2.0, 20.0
_RETRY_AFTER_MS = 60_000


class Adoption(DueListener):
    """Gives a server's workers the code that was served last, wherever that was."""

    def __init__(self, store: Store, supervisor: Supervisor, pinned: PinnedWorkers, folder: Path) -> None:
        """Lay code out in `folder`. What was run before is left to the workers for earlier code."""
        self.clock: Clock = SystemClock()
        self._store = store
        self._supervisor = supervisor
        self._pinned = pinned
        self._folder = folder
        self._failed: dict[int, int] = {}
        self._look = asyncio.Event()

    async def run(self, account: str, code: CodeOptions) -> None:
        """Follow what an account serves, from some code on, for ever."""
        self._store.listen(_EAR, self)
        try:
            while True:
                await asyncio.sleep(_LOOK_AFTER_S)
                # Not `wait_for`: before Python 3.12 it may lose the cancellation that ends this.
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_EVERY_S):
                        await self._look.wait()
                self._look.clear()
                try:
                    code = await self._follow(account, code)
                except StoreError as error:
                    logger.debug("whether other code is served cannot be seen now: %s", error)
                except Exception:  # a defect must not leave this server on old code for ever
                    logger.exception("other code could not be looked for")
        finally:
            self._store.ignore(_EAR)

    def instance_due(self, at: int) -> None:  # noqa: ARG002 - what it is the store is asked
        """Look whether other code is served."""
        self._look.set()

    async def _follow(self, account: str, code: CodeOptions) -> CodeOptions:
        served = await self._store.run(FindServed(account))
        if served is None or served.row == code.snapshot or self._failed.get(served.row, 0) > self.clock.now():
            return code
        try:
            return await self._adopt(served, code)
        except ScriptError as error:
            self._failed[served.row] = self.clock.now() + _RETRY_AFTER_MS
            logger.error(  # noqa: TRY400 - the author's error, whose report this is
                "snapshot %d, which is served now, cannot be run here; it is tried again in a minute: %s",
                served.row,
                error,
            )
            return code

    async def _adopt(self, served: Snapshot, before: CodeOptions) -> CodeOptions:
        laid_out = await lay_out_served(self._store, served, self._folder)
        code = msgspec.structs.replace(laid_out, is_known=True)
        await self._supervisor.change_code(code)
        self._pinned.serve(code)
        logger.info("snapshot %d is served now, and run here", served.row)
        # The workers of the one before may still be ending.
        await asyncio.to_thread(remove_served_but, self._folder, (code, before))
        return code
