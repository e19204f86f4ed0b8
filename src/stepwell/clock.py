"""Where time comes from. Everything that waits asks a clock, so that tests can pass a month in a millisecond."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from contextvars import Context
from typing import Protocol


class Alarm(Protocol):
    """A call that has been asked for."""

    def cancel(self) -> None:
        """Forget the call; nothing happens if it has been made."""


class Clock(Protocol):
    """Tells the time in milliseconds since 1970 (UTC) and calls back at a moment."""

    def now(self) -> int:
        """Return the time in milliseconds since the epoch."""

    def call_at(self, when_ms: int, callback: Callable[[], None]) -> Alarm:
        """Call back at a moment, never earlier, in an empty context (not the caller's)."""


async def sleep_ms(clock: Clock, duration_ms: int) -> None:
    """Wait for a while of a clock's time."""
    rung = asyncio.get_running_loop().create_future()
    alarm = clock.call_at(clock.now() + duration_ms, lambda: rung.set_result(None))
    try:
        await rung
    finally:
        alarm.cancel()


class SystemClock:
    """The machine's clock, carried on by the monotonic one between calls of the event loop."""

    def now(self) -> int:
        """Return the time in milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def call_at(self, when_ms: int, callback: Callable[[], None]) -> Alarm:
        """Call back on the running loop; the wait is cut into days, so that a year is no overflow."""
        return _SystemAlarm(self, when_ms, callback)


class _SystemAlarm:
    _LONGEST_S = 86_400.0

    def __init__(self, clock: SystemClock, when_ms: int, callback: Callable[[], None]) -> None:
        self._clock = clock
        self._when_ms = when_ms
        self._callback = callback
        self._loop = asyncio.get_running_loop()
        self._arm()

    def cancel(self) -> None:
        self._handle.cancel()

    def _arm(self) -> None:
        seconds = min((self._when_ms - self._clock.now()) / 1000, self._LONGEST_S)
        # An empty context: a timer of the engine must not count as work of the author's task that caused it.
        self._handle = self._loop.call_later(max(seconds, 0.0), self._ring, context=Context())

    def _ring(self) -> None:
        # The loop's clock and the wall clock drift apart, and a wake-up must never be early.
        if self._clock.now() < self._when_ms:
            self._arm()
        else:
            # It leads back here, and is not needed any more.
            self._handle.cancel()
            self._callback()


class VirtualClock:
    """A clock that stands still until it is moved. For tests."""

    def __init__(self, now_ms: int = 1_790_000_000_000) -> None:
        self._now = now_ms
        self._alarms: list[tuple[int, int, _VirtualAlarm]] = []
        self._numbers = itertools.count()

    def now(self) -> int:
        """Return the time in milliseconds since the epoch."""
        return self._now

    def call_at(self, when_ms: int, callback: Callable[[], None]) -> Alarm:
        """Call back when the clock is moved to that moment or past it."""
        alarm = _VirtualAlarm(callback)
        heapq.heappush(self._alarms, (when_ms, next(self._numbers), alarm))
        return alarm

    def next_alarm_at(self) -> int | None:
        """Return the moment of the earliest alarm, or None if there is none."""
        while self._alarms and self._alarms[0][2].cancelled:
            heapq.heappop(self._alarms)
        return self._alarms[0][0] if self._alarms else None

    def move_to(self, when_ms: int) -> None:
        """Move forward and make the calls that are due, earliest first. It never moves back."""
        while (due := self.next_alarm_at()) is not None and due <= when_ms:
            _, _, alarm = heapq.heappop(self._alarms)
            self._now = max(self._now, due)
            alarm.callback()
        self._now = max(self._now, when_ms)


class _VirtualAlarm:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True
