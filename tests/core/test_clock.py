"""Clocks."""

import asyncio
import time
from contextvars import ContextVar

from stepwell.clock import SystemClock, VirtualClock, sleep_ms


def test_virtual_clock_stands_still_until_moved() -> None:
    """A virtual clock shows the moment that it was moved to."""
    clock = VirtualClock(1000)

    clock.move_to(1500)
    clock.move_to(1200)

    assert clock.now() == 1500


def test_alarms_ring_in_order_at_their_moments() -> None:
    """Alarms on the way of a move ring earliest first, each at its own time; those of one moment in their order."""
    clock, rung = VirtualClock(0), []
    for name, at in [("c", 30), ("a", 10), ("b", 10), ("d", 60)]:
        clock.call_at(at, lambda name=name: rung.append((name, clock.now())))  # type: ignore[misc]  # the default binds it

    clock.move_to(50)

    assert rung == [("a", 10), ("b", 10), ("c", 30)]
    assert clock.next_alarm_at() == 60


def test_alarm_set_on_the_way_rings_too() -> None:
    """An alarm that an alarm sets rings in the same move if its moment is passed."""
    clock, rung = VirtualClock(0), []

    def set_another() -> None:
        clock.call_at(20, lambda: rung.append(clock.now()))

    clock.call_at(10, set_another)

    clock.move_to(30)

    assert rung == [20]


def test_cancelled_alarm_is_silent() -> None:
    """A cancelled alarm neither rings nor is waited for."""
    clock, rung = VirtualClock(0), []
    clock.call_at(10, lambda: rung.append(1)).cancel()

    clock.move_to(20)

    assert rung == []
    assert clock.next_alarm_at() is None


async def test_system_clock_rings_at_its_time_and_never_early() -> None:
    """An alarm rings when the wall clock has reached its moment."""
    clock = SystemClock()
    at = clock.now() + 3
    rung: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    clock.call_at(at, lambda: rung.set_result(clock.now()))

    assert await rung >= at
    assert abs(clock.now() - time.time() * 1000) < 1000


async def test_system_alarm_can_be_a_year_away() -> None:
    """A far alarm is set in pieces, and can be cancelled."""
    clock = SystemClock()
    alarm = clock.call_at(clock.now() + 400 * 86_400_000, lambda: None)

    alarm.cancel()


async def test_sleep_passes_with_the_clock() -> None:
    """`sleep_ms` waits for a clock's time, and leaves no alarm behind when it is cancelled."""
    clock = VirtualClock(0)
    first, second = asyncio.create_task(sleep_ms(clock, 100)), asyncio.create_task(sleep_ms(clock, 200))
    await asyncio.sleep(0)

    clock.move_to(100)
    await first
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)

    assert clock.next_alarm_at() is None


class LateClock(SystemClock):
    """A wall clock that runs behind the loop's: it shows these times one after another, and stays at the last."""

    def __init__(self, *times: int) -> None:
        self.times = list(times)

    def now(self) -> int:
        return self.times.pop(0) if len(self.times) > 1 else self.times[0]


async def test_system_alarm_that_the_loop_rings_early_is_set_again() -> None:
    """The loop's clock may be ahead of the wall clock; only the latter counts."""
    clock, rung = LateClock(0, 1, 1, 2), asyncio.Event()

    clock.call_at(2, rung.set)
    await rung.wait()

    assert clock.times == [2]


async def test_cancelled_system_alarm_is_silent() -> None:
    """A cancelled alarm does not ring, the one after it does."""
    clock, done, rung = SystemClock(), asyncio.Event(), list[int]()
    clock.call_at(0, lambda: rung.append(1)).cancel()

    clock.call_at(0, done.set)
    await done.wait()

    assert rung == []


async def test_system_alarm_rings_outside_of_the_callers_context() -> None:
    """A timer of the engine is no work of the task that caused it."""
    variable: ContextVar[str] = ContextVar("variable", default="empty")
    clock, done, seen = SystemClock(), asyncio.Event(), list[str]()
    variable.set("the caller's")
    clock.call_at(0, lambda: seen.append(variable.get()))

    clock.call_at(0, done.set)
    await done.wait()

    assert seen == ["empty"]


async def test_sleep_does_not_end_before_its_time() -> None:
    """A sleep by a clock ends when that clock is there, not a millisecond earlier."""
    clock = VirtualClock(0)
    sleeping = asyncio.create_task(sleep_ms(clock, 50))
    await asyncio.sleep(0)

    clock.move_to(49)
    await asyncio.sleep(0)
    was_done_early = sleeping.done()
    clock.move_to(50)
    await sleeping

    assert not was_done_early
