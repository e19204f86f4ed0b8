"""The events of an instance, and the waits that they meet.

One event meets one wait: the oldest event the oldest wait of its type that it was in time for. Events that no wait has
met yet are kept for those to come.

Source: developers.cloudflare.com/workflows/build/events-and-parameters/
"""

import bisect
from collections import defaultdict, deque
from collections.abc import Callable, Iterator

from msgspec import Struct

from stepwell.core.records import EventReceived, Key, StepForced


class _Wait(Struct):
    # Waits are served in the order in which they first began, which a replay may ask in another.
    order: int
    event_type: str
    deadline: int
    timeout_ms: int


class Inbox:
    """Events by the seq of their receipt, and waits by their keys."""

    def __init__(self) -> None:
        self.events: dict[int, EventReceived] = {}
        # Waits that were completed by hand, and got no event.
        self.by_hand: set[Key] = set()
        self._buffered: dict[str, deque[int]] = defaultdict(deque)
        self._waits: dict[Key, _Wait] = {}
        self._begun = 0
        self._asked: dict[str, list[tuple[int, Key]]] = defaultdict(list)
        # Event types for which a wait or an event has come since they were last matched.
        self._unmatched: set[str] = set()

    @property
    def may_match(self) -> bool:
        """Whether a wait or an event has come since they were last matched."""
        return bool(self._unmatched)

    def __contains__(self, key: Key) -> bool:
        return key in self._waits

    def receive(self, seq: int, event: EventReceived) -> None:
        """Take an event."""
        self.events[seq] = event
        self._buffered[event.event_type].append(seq)
        self._unmatched.add(event.event_type)

    def force(self, seq: int, decision: StepForced) -> None:
        """Take the payload that completes a wait by hand, for that wait alone."""
        if decision.key in self._waits and decision.value is not None:
            self.events[seq] = EventReceived(decision.at, self._waits[decision.key].event_type, decision.value)

    def begin(self, key: Key, event_type: str, deadline: int, timeout_ms: int) -> None:
        """Begin a wait that times out at a moment."""
        self._begun += 1
        self._waits[key] = _Wait(self._begun, event_type, deadline, timeout_ms)

    def forget(self, key: Key) -> None:
        """Forget a wait that has failed: it may be begun once more."""
        del self._waits[key]

    def has(self, event_type: str) -> bool:
        """Tell whether an event of a type waits to be met."""
        return bool(self._buffered.get(event_type))

    def ask(self, key: Key) -> int:
        """Let a wait be served from now on; return when it times out."""
        wait = self._waits[key]
        bisect.insort(self._asked[wait.event_type], (wait.order, key))
        self._unmatched.add(wait.event_type)
        return wait.deadline

    def met(self, key: Key, seq: int) -> None:
        """Take note that a wait has got an event."""
        buffered = self._buffered[self._waits[key].event_type]
        if seq in buffered:
            buffered.remove(seq)
        else:
            self.by_hand.add(key)

    def timeout_ms(self, key: Key) -> int:
        """Return how long a wait was meant to last."""
        return self._waits[key].timeout_ms

    def move_on(self, ms: int) -> None:
        """Let all waits time out later."""
        for wait in self._waits.values():
            wait.deadline += ms
        self._unmatched.update(self._buffered)

    def matches(self, is_open: Callable[[Key], bool]) -> Iterator[tuple[Key, int]]:
        """Yield waits with the events that they get; the caller has them `met` before it goes on."""
        for event_type in sorted(self._unmatched):
            asked = [(order, key) for order, key in self._asked[event_type] if is_open(key)]
            for _, key in asked:
                event = self._in_time_for(key)
                # A wait that was asked for twice, by two attempts of a body, is listed twice.
                if event is not None and is_open(key):
                    yield key, event
            self._asked[event_type] = [(order, key) for order, key in asked if is_open(key)]
        self._unmatched.clear()

    def _in_time_for(self, key: Key) -> int | None:
        wait = self._waits[key]
        return next((seq for seq in self._buffered[wait.event_type] if self.events[seq].at <= wait.deadline), None)
