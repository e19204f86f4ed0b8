"""The step calls of a scope that wait for their results, and the one order in which they get them."""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context, copy_context
from typing import Any, Protocol

from msgspec import Struct, field

from stepwell.core.execution import Execution
from stepwell.core.keys import Scope
from stepwell.core.records import Key, Result, StepCancelled
from stepwell.scope import EngineFuture, TaskScope
from stepwell.steps import StepBody

# What is asked of the store.
Work = Callable[[], Coroutine[Any, Any, Any]]

# In a loop that sleeps, a cancellation that new code has dropped would let timers ring for ever.
_TIMERS_RUNG = 10_000

# So many results are given in a row, and so many attempts begun, before other turns have the loop. A fan-out of ten
# thousand steps would hold it for seconds, and the store with a commit of as many records.
AT_ONCE = 100


class StepCall(Struct, eq=False):
    """What the author asked for with `step.do`, and the context he asked in."""

    key: Key
    config: Mapping[str, Any] | None
    body: StepBody
    context: Context = field(default_factory=copy_context)


class _Waiter(Struct, eq=False):
    future: EngineFuture
    is_cancelling: bool = False


class Deliveries(Protocol):
    """What reaches the author's code."""

    def deliver(self, scope: "CallScope", future: EngineFuture, result: Result) -> None:
        """Let a call return or raise what is on record."""

    def at_once(self, result: Result) -> tuple[Any] | None:
        """Return what a call returns without waiting for it, in a tuple; None: it is delivered."""

    def do(self, scope: "CallScope", future: EngineFuture, work: Work) -> None:
        """Ask the store for what the code has to wait for, and deliver nothing meanwhile."""


class CallPort(Protocol):
    """The turn, as its step calls see it."""

    execution: Execution

    @property
    def delivery(self) -> Deliveries:
        """What reaches the author's code."""

    def cancelled(self, key: Key) -> Result | None:
        """Take note that the author cancels a call; return what is, or now will be, on record of it."""


class CallScope(TaskScope):
    """A scope whose code calls steps: that of `run`, or of one attempt (`parent` is then its step).

    Results are delivered one at a time, in the order of their records. One that nobody has asked for is set
    aside and given at once when asked.
    """

    def __init__(self, on_quiet: Callable[[TaskScope], None], port: CallPort, parent: Key | None = None) -> None:
        super().__init__(on_quiet)
        self.counts = Scope(parent)
        self.results: deque[Key] = deque()
        self.to_begin: list[StepCall] = []
        # The code has called something since the turn last looked.
        self.has_asked = False
        # The store is being asked for the author; nothing else is delivered meanwhile.
        self.is_loading = False
        self._port = port
        # The code runs because of a result, not because of a timer or anything else outside of the engine.
        self._is_answering = True
        self._waiting: dict[Key, _Waiter] = {}
        self._aside: set[Key] = set()
        # Those of the results set aside that have been asked for since.
        self._asked: deque[Key] = deque()
        # What the code wants of the store, such as the next piece of a stream.
        self._to_do: deque[tuple[EngineFuture, Work]] = deque()
        self._timers_rung = 0
        self._given_at_once = 0

    @property
    def is_settled(self) -> bool:
        """Tell whether all tasks are blocked and have everything that is on record for them."""
        return not (self.pending or self.results or self._asked or self._to_do or self.is_loading)

    def begin_loading(self) -> None:
        """Deliver nothing while the store is being asked."""
        self.is_loading, self._is_answering = True, False

    def end_loading(self) -> None:
        """Deliver again, beginning with what has been answered."""
        self.is_loading, self._is_answering = False, True

    async def work(self, work: Work) -> Any:
        """Ask the store for something: before the next result is delivered, so that a replay meets the same order."""
        future = EngineFuture(loop=asyncio.get_running_loop())
        self._to_do.append((future, work))
        return await future

    def is_to_begin(self, key: Key) -> bool:
        """Tell whether a call still waits for an attempt to begin."""
        return key in self._waiting and key not in self._port.execution.outcomes

    def take_to_begin(self) -> list[StepCall]:
        """Return the calls that ask for an attempt, once; some may have been cancelled since they did."""
        asked, self.to_begin = self.to_begin, []
        return [call for call in asked if self.is_to_begin(call.key)]

    def unanswered(self) -> list[Key]:
        """Return the keys that are waited for."""
        return list(self._waiting)

    async def result(self, key: Key) -> Any:
        """Wait for the result of a call. If the author cancels it, that is on record before the call ends.

        Where his timer meets a result that is on record, the record has decided that race, and the call returns it.
        """
        if self._is_next(key) and (given := self._port.delivery.at_once(self._port.execution.outcomes[key])):
            self.results.popleft()
            self.has_asked = self._is_answering = True
            self._given_at_once += 1
            return given[0]
        self._given_at_once = 0
        while True:
            waiter = self._expect(key)
            try:
                return await waiter.future
            except asyncio.CancelledError:
                if self.is_closed:
                    raise
                if not waiter.future.cancelled():
                    # Delivered in the same moment; and until a delivery has been met, only a timer can cancel.
                    return waiter.future.result()
                self._waiting.pop(key, None)
                match self._port.cancelled(key):
                    case None:
                        raise
                    case StepCancelled():
                        await self._cancellation(key)
                        raise
                    case _ if self._is_answering:
                        raise

    def deliver_next(self) -> bool:
        """Give the next result to the call that waits for it; False if none is left, or none can be given now.

        What the code wants of the store comes first, in the order in which it was asked for.
        """
        self._is_answering = False
        if self._to_do:
            self._port.delivery.do(self, *self._to_do.popleft())
            return True
        while queue := self._asked or self.results:
            key = queue[0]
            result = self._port.execution.outcomes[key]
            waiter = self._waiting.get(key)
            is_to_come = waiter and isinstance(result, StepCancelled) and not waiter.is_cancelling
            if is_to_come and self._brings_about(result):
                return True
            queue.popleft()
            if waiter is None:
                self._aside.add(key)
                continue
            del self._waiting[key]
            self._is_answering = True
            if waiter.is_cancelling:
                waiter.future.set_result(None)
            else:
                self._port.delivery.deliver(self, waiter.future, result)
            return True
        return False

    def _is_next(self, key: Key) -> bool:
        """Tell whether all tasks are as good as blocked, as the only one calls this, and would get its result next.

        Without the way over the event loop a replay takes a quarter less CPU time.
        """
        if not self.results or self.results[0] != key or self.pending != 1 or len(self.tasks) != 1:
            return False
        return not (self._asked or self._to_do or self.is_loading) and self._given_at_once < AT_ONCE

    def _brings_about(self, cancelled: Result) -> bool:
        """Let the author cancel a call that he cancelled before; False if nothing that he waits for can make him.

        A cancellation is his own act, and a result has brought it about, or a timer of his, or something foreign.
        The results before it are delivered; a timer is made to ring, or a replay would take as long as the first
        run did; what is foreign is waited for.
        """
        started_at = self._port.execution.state.started_at or cancelled.at
        took_s = (cancelled.at - started_at) / 1000
        if self._rings_timer(took_s + 1) or self.foreign_wait() is not None:
            return True
        # Nothing else is left: a clock that was set back does not tell how long a timer had run, nor does one that
        # new code has made longer.
        return self._rings_timer(math.inf)

    def _rings_timer(self, within_s: float) -> bool:
        if self._timers_rung == _TIMERS_RUNG or not self.ring_next_timer(within_s):
            return False
        self._timers_rung += 1
        return True

    async def _cancellation(self, key: Key) -> None:
        while True:
            waiter = self._expect(key, is_cancelling=True)
            try:
                await waiter.future
            except asyncio.CancelledError:
                if self.is_closed:
                    raise
                # Cancelled once more. The record of the first time may have been delivered in the same moment.
                if not waiter.future.cancelled():
                    return
            else:
                return

    def _expect(self, key: Key, *, is_cancelling: bool = False) -> _Waiter:
        self.has_asked = True
        waiter = _Waiter(EngineFuture(loop=asyncio.get_running_loop()), is_cancelling)
        self._waiting[key] = waiter
        if key in self._aside:
            self._aside.discard(key)
            self._asked.append(key)
        return waiter
