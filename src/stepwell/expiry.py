"""Deletes instances whose retention is over, old entries of the audit log, and sessions that have ended by themselves.

Each store that is open looks for them.

How long each is kept is reckoned when it is looked at, so a setting that is changed holds also for what has ended
before. They go a few at a time, with a pause in which others write.
"""

import asyncio
import logging

from msgspec import Struct

from stepwell import durations, limits
from stepwell.clock import Clock
from stepwell.errors import InvalidInput
from stepwell.facts import fact
from stepwell.rounds import rounds
from stepwell.server_settings import Settings
from stepwell.store import Store
from stepwell.store.audit_operations import ForgetAudit
from stepwell.store.operations import Retention
from stepwell.store.retention_operations import DeleteExpired, FindExpired
from stepwell.store.session_operations import ForgetSessions

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 10.0
# The audit log is looked at less often: it is asked of the writer.
LOOK_AT_AUDIT_EVERY_S = 600.0
# So many instances at once, and so long for others in between.
AT_ONCE = 25
PAUSE_S = 0.02


def to_retention_ms(name: str, given: object, where: str) -> int | None:
    """Return how long instances are to be kept, in milliseconds; None: not said. Raises InvalidInput.

    `where`: what the error begins with.
    """
    if given is None:
        return None
    ms = durations.to_ms(given)
    if ms is None:
        raise InvalidInput(name, f'{where}: {name} must be {durations.EXPECTED}, got "{given!s:.100}"')
    if ms > limits.MOST_RETENTION_MS:
        most = f"at most {limits.MOST_RETENTION_MS} milliseconds"
        raise InvalidInput(name, f'{where}: {name} must be {most}, got "{given!s:.100}"')
    return ms


def said_of_instance(success_ms: int | None, error_ms: int | None) -> Retention | None:
    """Return what an instance says itself; None: nothing. 0 says nothing."""
    said = Retention(success_ms or None, error_ms or None)
    return None if said == Retention() else said


class Expiry(Struct, frozen=True):
    """Looks for what has expired, and deletes it. `told`: what the server says where nobody else does."""

    store: Store
    clock: Clock
    told: Settings
    pause_s: float = PAUSE_S

    async def run(self) -> None:
        """Look now and then, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(rounds("what has expired", LOOK_EVERY_S, self.look))
            tasks.create_task(rounds("old entries of the audit log", LOOK_AT_AUDIT_EVERY_S, self.forget_audit))
            tasks.create_task(rounds("sessions", LOOK_AT_AUDIT_EVERY_S, self.forget_sessions))

    async def forget_audit(self) -> None:
        """Forget entries of the audit log that are old enough, a bounded part at a time. Raises StoreError."""
        kept_ms, count = self.told.audit_retention, 0
        while kept_ms and (gone := await self.store.run(ForgetAudit(self.clock.now() - kept_ms))):
            count += gone
            await asyncio.sleep(self.pause_s)
        if count:
            logger.info(
                "entries of the audit log that were old enough to be forgotten: %d",
                count,
                extra=fact("audit.expired", count=count),
            )

    async def forget_sessions(self) -> None:
        """Forget sessions that have ended by themselves. Raises StoreError."""
        now, told = self.clock.now(), self.told
        await self.store.run(ForgetSessions(now - told.session_idle, now - told.session_lifetime))

    async def look(self) -> int | None:
        """Delete what has expired by now, and return when the next instance does; None: none, or another host is at it.

        Raises StoreError.
        """
        count = 0
        while True:
            told = self.told
            asked = FindExpired(self.clock.now(), told.success_retention, told.error_retention)
            expired = await self.store.run(asked)
            for first in range(0, len(expired.instances), AT_ONCE):
                gone = await self.store.run(DeleteExpired(expired.instances[first : first + AT_ONCE]))
                count += gone
                if gone == 0:
                    return None
                await asyncio.sleep(self.pause_s)
            if not expired.instances:
                if count:
                    logger.info("instances that have expired: %d", count, extra=fact("instances.expired", count=count))
                return expired.next_at
