"""Other code than a server began with: what another host serves, and what is deployed here.

A server whose code comes from a database follows what was served last. It is looked for when something may be due,
which a host that begins to serve tells, too; now and then in any case.
"""

import asyncio
import logging
import os
import re
from contextlib import suppress
from pathlib import Path

import msgspec

from stepwell.audit import who_asks
from stepwell.clock import Clock, SystemClock
from stepwell.errors import ScriptError, StoreError
from stepwell.facts import fact
from stepwell.pinned import FailedSnapshots, PinnedWorkers, lay_out_served, remove_served_but
from stepwell.store import DueListener, Store
from stepwell.store.snapshot_operations import FindServed, Snapshot
from stepwell.supervisor import Supervisor
from stepwell.worker_options import CodeOptions

logger = logging.getLogger(__name__)

# By this number the store knows who listens here; workers have others.
_EAR = -2
# Between two looks there is at least the one time, and at most the other: what is told may not arrive.
_LOOK_AFTER_S, _LOOK_EVERY_S = 2.0, 20.0


class Adoption(DueListener):
    """Gives a server's workers other code: that which was served last, wherever that was, or what is deployed here."""

    def __init__(self, store: Store, supervisor: Supervisor, pinned: PinnedWorkers, code: CodeOptions) -> None:
        """Begin with the code that is served. What was run before is left to the workers for earlier code."""
        self.clock: Clock = SystemClock()
        self.pinned = pinned
        self._code = code
        self._store = store
        self._supervisor = supervisor
        self._failed = FailedSnapshots()
        self._look = asyncio.Event()
        # One change at a time: each is between what runs and what is to run.
        self._changing = asyncio.Lock()
        self._deploying: set[asyncio.Task[None]] = set()

    @property
    def serves_fetch(self) -> bool:
        """Whether the code that is run answers HTTP requests."""
        return self._supervisor.serves_fetch

    async def run(self, account: str) -> None:
        """Follow what an account serves, for ever."""
        self._store.listen(_EAR, self)
        try:
            while True:
                await asyncio.sleep(_LOOK_AFTER_S)
                # Not `wait_for`: before Python 3.12 it may lose the cancellation that ends this.
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._wait_s()):
                        await self._look.wait()
                self._look.clear()
                try:
                    await self._follow(account)
                except StoreError as error:
                    logger.debug("whether other code is served cannot be seen now: %s", error)
                except Exception:  # a defect must not leave this server on old code for ever
                    logger.exception("other code could not be looked for", extra=fact("code.unknown"))
        finally:
            self._store.ignore(_EAR)

    def instance_due(self, at: int) -> None:  # noqa: ARG002 - what it is the store is asked
        """Look whether other code is served."""
        self._look.set()

    async def deploy(self, snapshot: Snapshot) -> None:
        """Run a snapshot, and make it what the account serves: nothing has changed where that raises ScriptError.

        The report is for its author, who knows nothing of where code lies on this machine. Whoever asks for it and is
        cancelled ends nothing: what was begun is done, or refused.
        """
        deploying = asyncio.get_running_loop().create_task(self._deploy(snapshot))
        self._deploying.add(deploying)
        deploying.add_done_callback(self._deployed)
        await asyncio.shield(deploying)

    async def _deploy(self, snapshot: Snapshot) -> None:
        async with self._changing:
            try:
                await self._run(snapshot, is_known=False)
            except ScriptError as error:
                raise ScriptError(_without_place(str(error), self.pinned.layouts.folder)) from error
        logger.info(
            "snapshot %d was deployed, and is run here",
            snapshot.row,
            extra=fact("code.deployed", snapshot=snapshot.row),
        )

    def _deployed(self, deploying: asyncio.Task[None]) -> None:
        self._deploying.discard(deploying)
        if not deploying.cancelled():
            # Whoever asked is told; if he is gone, nobody has to be.
            deploying.exception()

    async def _follow(self, account: str) -> None:
        async with self._changing:
            served = await self._store.run(FindServed(account))
            if served is None or served.row == self._code.snapshot or self._has_failed(served.row):
                return
            try:
                await self._run(served, is_known=True)
            except ScriptError as error:
                self._failed.add(served.row, self.clock.now())
                logger.error(  # noqa: TRY400 - the author's error, whose report this is
                    "snapshot %d, which is served now, cannot be run here; it is tried again soon, and then each "
                    "minute: %s",
                    served.row,
                    error,
                    extra=fact("code.refused", snapshot=served.row, error=error),
                )
                return
            self._failed.forget(served.row)
        logger.info(
            "snapshot %d is served now, and run here", served.row, extra=fact("code.adopted", snapshot=served.row)
        )

    def _wait_s(self) -> float:
        """Return for how many seconds there is nothing to look for, unless it is told."""
        now = self.clock.now()
        return min([_LOOK_EVERY_S, *(max(moment - now, 0) / 1000 for moment in self._failed)])

    def _has_failed(self, snapshot: int) -> bool:
        return self._failed.until(snapshot) > self.clock.now()

    async def _run(self, snapshot: Snapshot, *, is_known: bool) -> None:
        """Put workers with a snapshot in the place of those that there are. Raises ScriptError, or StoreError."""
        layouts, before = self.pinned.layouts, self._code
        laid_out = await lay_out_served(self._store, snapshot, layouts)
        # `.dev.vars` is this server's, for whatever code it runs.
        code = msgspec.structs.replace(laid_out, is_known=is_known, is_deployed=True, secrets=before.secrets)
        # Its worker has it served, in a process that nobody asks anything of.
        code = msgspec.structs.replace(code, asked=None if is_known else who_asks())
        await self._supervisor.change_code(code)
        self._code = code
        self.pinned.serve(code)
        # The workers of the one before may still be ending.
        await asyncio.to_thread(remove_served_but, layouts.folder, (code, before))


def _without_place(report: str, folder: Path) -> str:
    """Return a report without the place, below a folder, in which a snapshot was laid out."""
    either = "|".join(sorted({re.escape(str(folder)), re.escape(os.path.realpath(folder))}, key=len, reverse=True))
    laid_out = rf"(?:{either})/(?:\w+/)?[0-9a-f]{{12}}(?P<file>/)?"
    return re.sub(laid_out, lambda found: "" if found["file"] else "what was uploaded", report)
