"""Alarms: one that can be moved; one for many deadlines; those of a turn.

A turn is woken when time decides something next, and when a foreign wait has been too long.
"""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from stepwell.clock import Alarm, Clock

T = TypeVar("T", bound=Hashable)


def _nobody(_: object = None) -> None:
    """Nobody hears it."""


class MovableAlarm:
    """Rings at one moment, `at`; each that is set takes the place of the one before. None: at no moment."""

    def __init__(self, clock: Clock, ring: Callable[[], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._alarm: Alarm | None = None
        self.at: int | None = None

    def set(self, at: int | None) -> None:
        """Ring at a moment, and no more at an earlier or later one; None: not at all."""
        if at == self.at:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self.at = at
        self._alarm = None if at is None else self._clock.call_at(at, self._rung)

    def _rung(self) -> None:
        self.at = self._alarm = None
        self._ring()


class Deadlines(Generic[T]):
    """The moments at which things are over that are left by then. `over` is called with each, the earliest first.

    They share one alarm, which stays where it is when a thing is dropped: almost all are dropped in time, and an alarm
    for each would cost more than all else that is done for its end.
    """

    def __init__(self, clock: Clock, over: Callable[[T], None]) -> None:
        self._clock = clock
        self._over: Callable[[T], object] = over
        self._moments: dict[T, int] = {}
        self._alarm = MovableAlarm(clock, self._ring)

    def set(self, thing: T, at: int) -> None:
        """Let a thing be over at a moment."""
        self._moments[thing] = at
        if self._alarm.at is None or at < self._alarm.at:
            self._alarm.set(at)

    def drop(self, thing: T) -> None:
        """Forget a thing."""
        self._moments.pop(thing, None)

    def cancel(self) -> None:
        """Ring no more, ever."""
        self._moments.clear()
        self._alarm.set(None)
        # What it was led back here, and to whom would have been told.
        self._alarm, self._over = MovableAlarm(self._clock, _nobody), _nobody

    def _ring(self) -> None:
        now = self._clock.now()
        for thing, at in sorted(self._moments.items(), key=lambda one: one[1]):
            # What one of them brings about may have dropped the next, or set it anew.
            if at <= now and self._moments.get(thing) == at:
                del self._moments[thing]
                self._over(thing)
        self._alarm.set(min(self._moments.values(), default=None))


class TurnAlarms(MovableAlarm):
    """What a turn is woken for. `ring` is called when time decides something; `stick` with what was waited for."""

    def __init__(
        self, clock: Clock, foreign_wait_ms: int, ring: Callable[[], None], stick: Callable[[str], None]
    ) -> None:
        super().__init__(clock, ring)
        self._foreign_wait_ms = foreign_wait_ms
        self._stick = stick
        self._foreign: Alarm | None = None

    def watch_foreign(self, where: str | None) -> None:
        """Keep an eye on a wait for something that the engine does not know; None: there is none now."""
        if where is None:
            if self._foreign is not None:
                self._foreign.cancel()
                self._foreign = None
        elif self._foreign is None:
            at = self._clock.now() + self._foreign_wait_ms
            self._foreign = self._clock.call_at(at, lambda: self._stick(where))

    def cancel(self) -> None:
        """Ring no more."""
        self.set(None)
        self.watch_foreign(None)
