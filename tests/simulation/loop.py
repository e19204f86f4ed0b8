"""An event loop in virtual time whose order is drawn from a seed.

When nothing is ready, it jumps to the next timer. What is ready lies in *lanes*, one for each process that a simulation
has: within a lane callbacks run in their order, as asyncio promises and code may rely on; which lane goes on is drawn.
Whatever a callback schedules is of its own lane. A lane can stand still, as a process that is stopped does: its
callbacks and timers stay where they are until it goes on.
"""

import asyncio
import heapq
import random
import selectors
from asyncio.events import Handle, TimerHandle
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any

# The lane of what no process does: the simulation's own.
WORLD = "world"
# No simulation comes near; one that does goes round in a circle.
_MOST_CALLBACKS = 3_000_000
_NAMED_AT_MOST = 12


class Stuck(Exception):
    """Nothing is ready and no timer is set, or it never ends: the simulated world can come to no end."""


class _Timer(TimerHandle):
    __slots__ = ("lane",)

    lane: str
    _scheduled: bool


class _Lanes:
    """What is ready; takes the place of the loop's own queue."""

    def __init__(self, loop: asyncio.AbstractEventLoop, rng: random.Random) -> None:
        self.current = WORLD
        self.still: set[str] = set()
        self._rng = rng
        self._queues: dict[str, deque[Handle]] = {}
        # How likely each lane is to go on, against the others.
        self._paces: dict[str, int] = {}
        self._left = _MOST_CALLBACKS
        self._nothing = Handle(lambda: None, (), loop, Context())

    def append(self, handle: Handle) -> None:
        lane = handle.lane if isinstance(handle, _Timer) else self.current
        if lane not in self._queues:
            self._queues[lane] = deque()
            self._paces[lane] = self._rng.choice((1, 4, 16))
        self._queues[lane].append(handle)

    def popleft(self) -> Handle:
        lanes = self._ready()
        if not lanes:
            # A lane has come to stand while a pass of the loop was under way.
            return self._nothing
        self._left -= 1
        if not self._left:
            raise Stuck("so many callbacks have run that it goes round in a circle")
        self.current = lanes[0] if len(lanes) == 1 else self._draw(lanes)
        return self._queues[self.current].popleft()

    def __len__(self) -> int:
        return sum(len(self._queues[lane]) for lane in self._ready())

    def __bool__(self) -> bool:
        return bool(self._ready())

    def clear(self) -> None:
        self._queues.clear()

    def _ready(self) -> list[str]:
        return [lane for lane, queue in self._queues.items() if queue and lane not in self.still]

    def _draw(self, lanes: list[str]) -> str:
        left = self._rng.randrange(sum(self._paces[lane] for lane in lanes))
        for lane in lanes:
            left -= self._paces[lane]
            if left < 0:
                return lane
        raise AssertionError


class _NoSelector(selectors.SelectSelector):
    """Waits for no file: time passes instead."""

    def __init__(self, passes: Callable[[float | None], None]) -> None:
        super().__init__()
        self._passes = passes

    def select(self, timeout: float | None = None) -> list[Any]:
        self._passes(timeout)
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """A loop for one thread, without input and output. `lane` is that of the callback that runs."""

    def __init__(self, rng: random.Random) -> None:
        self._now = 0.0
        super().__init__(_NoSelector(self._pass))
        # Asked when nothing is ready, and no timer is set: whether it has set one, for what is done for ever.
        self.sets_a_timer: Callable[[], bool] = lambda: False
        self._lanes = _Lanes(self, rng)
        self._ready = self._lanes
        # After a year in seconds a float is not exact to the nanosecond that a loop takes for granted.
        self._clock_resolution = 1e-6

    @property
    def lane(self) -> str:
        """The lane of the callback that runs now."""
        return self._lanes.current

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._now

    def call_at(  # type: ignore[override]  # as asyncio has it, without its many type variables
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> TimerHandle:
        """Call back at a moment, in the lane of who asks."""
        return self._set(self.lane, _Timer(when, callback, args, self, context))

    def call_in(self, lane: str, delay_s: float, callback: Callable[..., object], *args: Any) -> None:
        """Call back in another lane, after a while."""
        self._set(lane, _Timer(self._now + delay_s, callback, args, self, Context()))

    def start_in(self, lane: str, begin: Callable[[], object]) -> None:
        """Call at once, and have what that schedules be of a lane."""
        before, self._lanes.current = self._lanes.current, lane
        try:
            begin()
        finally:
            self._lanes.current = before

    def stand_still(self, lane: str) -> None:
        """Let nothing of a lane run until `go_on`."""
        self._lanes.still.add(lane)

    def go_on(self, lane: str) -> None:
        """Let a lane run again."""
        self._lanes.still.discard(lane)

    def is_still(self, lane: str) -> bool:
        """Tell whether a lane stands still."""
        return lane in self._lanes.still

    def run_in_executor(  # type: ignore[override]  # as asyncio has it, without its type variables
        self, executor: object, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Call at once: there are no threads."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # whatever it is, the caller has to get it
            future.set_exception(error)
        return future

    def end(self) -> None:
        """Cancel what is left, let it end, and close the loop."""
        self._lanes.still.clear()
        left = asyncio.all_tasks(self)
        for task in left:
            task.cancel()
        if left:
            self.run_until_complete(asyncio.wait(left, timeout=60))
        self.close()

    def _set(self, lane: str, timer: _Timer) -> _Timer:
        """Do what asyncio's own call_at does, with a timer of a lane."""
        timer.lane = lane
        heapq.heappush(self._scheduled, timer)  # type: ignore[attr-defined]  # the loop's own heap of timers
        timer._scheduled = True
        return timer

    def _write_to_self(self) -> None:
        """Wake nobody: who calls from a thread is this thread."""

    def _pass(self, timeout: float | None) -> None:
        if timeout is None and self.sets_a_timer():
            # Nothing passes: in the next pass of the loop there is a timer to wait for.
            return
        if timeout is None:
            raise Stuck(f"nothing is ready, and no timer is set; these wait: {self._waiting()}")
        self._now += timeout

    def _waiting(self) -> str:
        names = sorted(f"{task.get_name()} at {_place(task)}" for task in asyncio.all_tasks(self))
        return "; ".join(names[:_NAMED_AT_MOST]) + ("; ..." if len(names) > _NAMED_AT_MOST else "")


def _place(task: asyncio.Task[Any]) -> str:
    coroutine: Any = task.get_coro()
    place = "?"
    while frame := getattr(coroutine, "cr_frame", None):
        place = f"{frame.f_code.co_qualname}:{frame.f_lineno}"
        coroutine = coroutine.cr_await
    return place
