"""Alarms: one that can be moved; those of a turn: when time decides next, and when a foreign wait has been too long."""

from collections.abc import Callable

from stepwell.clock import Alarm, Clock


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
        self.at = None
        self._ring()


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
