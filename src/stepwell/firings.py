"""Has schedules fired when they are due. Every host does so: whoever comes first fires, and the others find nothing.

It is woken for the next firing that the store has named, and for earlier ones of which it hears. Firings are at whole
minutes, so each of these is looked at in any case: what others have changed may not have been told.
"""

import asyncio
import logging

from stepwell.alarms import MovableAlarm
from stepwell.clock import Clock
from stepwell.durations import MINUTE_MS, SECOND_MS
from stepwell.errors import StoreError
from stepwell.facts import fact
from stepwell.store import DueListener, Store
from stepwell.store.schedule_operations import FireSchedules

logger = logging.getLogger(__name__)

# By this number the store knows who listens here; workers have others.
_EAR = -3


class Firings(DueListener):
    """Fires the schedules of a store."""

    def __init__(self, store: Store, clock: Clock, catch_up_ms: int, *, every_minute: bool = True) -> None:
        """`every_minute`: whether others may change schedules without being heard here."""
        self._store = store
        self._clock = clock
        self._catch_up_ms = catch_up_ms
        self._every_minute = every_minute
        self._wake = asyncio.Event()
        self._alarm = MovableAlarm(clock, self._wake.set)
        # The earliest of what was heard of since the store was last asked.
        self._heard_at: int | None = None
        self.is_firing = False

    async def run(self) -> None:
        """Fire what is due, for ever."""
        self._store.listen(_EAR, self)
        try:
            while True:
                self._wake.clear()
                self._heard_at = None
                self._set_alarm(await self._fire_or_complain())
                await self._wake.wait()
        finally:
            self._alarm.set(None)
            self._store.ignore(_EAR)

    def instance_due(self, at: int) -> None:
        """Wake up then, if it may be a schedule that is due: most of what is at another moment is none."""
        if at % MINUTE_MS == 0 and (self._heard_at is None or at < self._heard_at):
            self._heard_at = at
            if self._alarm.at is None or at < self._alarm.at:
                self._alarm.set(at)

    def _set_alarm(self, next_at: int | None) -> None:
        whole_minute = (self._clock.now() // MINUTE_MS + 1) * MINUTE_MS if self._every_minute else None
        moments = [at for at in (next_at, self._heard_at, whole_minute) if at is not None]
        self._alarm.set(min(moments, default=None))

    async def _fire_or_complain(self) -> int | None:
        """Fire what is due; return when to look again, None: when something is heard."""
        self.is_firing = True
        try:
            return await self._fire()
        except StoreError as error:
            logger.warning(
                "schedules that are due have to wait; the store is asked again in a second: %s",
                error,
                extra=fact("store.refused", error=error),
            )
            return self._clock.now() + SECOND_MS
        except Exception:  # a defect must not keep schedules from firing for ever
            logger.exception("schedules that are due have to wait for a minute", extra=fact("schedules.failed"))
            return self._clock.now() + MINUTE_MS
        finally:
            self.is_firing = False

    async def _fire(self) -> int | None:
        missed = 0
        while True:
            fired = await self._store.run(FireSchedules(self._clock.now(), self._catch_up_ms))
            missed += fired.missed
            if not fired.is_full:
                break
        if missed:
            logger.warning(
                "%d schedules have missed their last firing by more than `schedule_catch_up`; it is left out",
                missed,
                extra=fact("schedules.missed", count=missed),
            )
        return fired.next_at
