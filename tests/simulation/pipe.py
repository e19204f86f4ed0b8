"""A store at the far end of a line on which everything takes time, and on which things go wrong.

Operations of one caller reach the store in the order in which they were asked, and those that write are answered in
that order, as on a socket.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from stepwell.errors import StoreUnavailable
from stepwell.store import Listener
from stepwell.store.flow_operations import AskSlot, LeaveSlot
from stepwell.store.label_operations import SetLabels
from stepwell.store.note_operations import WriteNotes
from stepwell.store.operations import AbandonUnknown, Claim, Commit, InstanceRow, Operation, Release
from tests.simulation.faults import Fault
from tests.simulation.loop import WORLD
from tests.simulation.watched import WatchedStore

A = TypeVar("A")

_LATENCIES_S = (0.0001, 0.0001, 0.0005, 0.002)
# What follows something on a line is behind it.
_APART_S = 1e-6
_SLOW_S = (2.0, 20.0, 90.0)
# How long it takes until what was not told is found by looking.
LOOK_S = 4.0
# Their contract says that done twice is done once, one right behind the other or whenever.
_TWICE = (Commit, Release, WriteNotes, SetLabels, AskSlot, LeaveSlot, AbandonUnknown)
_ECHOES = (Commit, Release)


class Pipe:
    """A store as one process sees it. `strike` is asked what goes wrong with an operation."""

    def __init__(
        self,
        lane: str,
        store: WatchedStore,
        rng: random.Random,
        strike: Callable[[Operation[Any]], Fault | None],
    ) -> None:
        self.lane = lane
        # Until when what is told comes late.
        self.deaf_until = 0.0
        # Who is at this end is gone.
        self.is_dead = False
        self._store = store
        self.rng = rng
        self._strike = strike
        self._arrives_at = 0.0
        self._answered_at = 0.0
        # What waits until the line is mended; None: it is whole.
        self._held: list[tuple[str, float, Callable[..., object], Sequence[Any]]] | None = None
        self._loop = store.loop

    def run(self, operation: Operation[A]) -> "asyncio.Future[A]":
        """Send an operation on its way."""
        future: asyncio.Future[A] = self._loop.create_future()
        if self.is_dead:
            return future
        fault = self._strike(operation)
        if fault is Fault.TWICE and not isinstance(operation, _TWICE):
            fault = Fault.UNANSWERED
        if fault is Fault.ECHO and not isinstance(operation, _ECHOES):
            fault = Fault.REFUSED
        delay = self.rng.choice(_SLOW_S) if fault is Fault.SLOW else self.rng.choice(_LATENCIES_S)
        self._arrives_at = max(self._loop.time() + delay, self._arrives_at + _APART_S)
        self._in(WORLD, self._arrives_at, self._arrive, operation, future, fault)
        return future

    def listen(self, worker: int, listener: Listener) -> None:
        """Let a listener hear of things, a little later."""
        self._store.listen(worker, _Ear(self, listener))

    def ignore(self, worker: int) -> None:
        """Let it hear nothing more."""
        self._store.ignore(worker)

    def watch(
        self, instance: InstanceRow | None, told: Callable[[], None], *, of_turns: bool = True
    ) -> Callable[[], None]:
        """Let somebody hear of changes, a little later."""
        return self._store.watch(instance, lambda: self.tell(told), of_turns=of_turns)

    def note(self, what: str) -> None:
        """Write into the trace what is done at this end."""
        self._store.note(self.lane, what)

    async def close(self) -> None:
        """Close nothing: the store is not this one's."""

    def die(self) -> None:
        """Let nothing more pass; of what is on its way some arrives."""
        self.is_dead = True

    def cut(self) -> None:
        """Let nothing pass that is sent from now on, in either direction."""
        if self._held is None:
            self._held = []

    def mend(self) -> None:
        """Let pass, in its order, what was held up; and what is sent from now on."""
        held, self._held = self._held or [], None
        now = self._loop.time()
        for number, (lane, at, callback, args) in enumerate(held):
            # What is slow was sent before, and is in front of it still.
            self._loop.call_in(lane, max(at - now, 0.0) + number * _APART_S, callback, *args)
        self._arrives_at = max(self._arrives_at, now) + len(held) * _APART_S
        self._answered_at = max(self._answered_at, now) + len(held) * _APART_S

    def tell(self, told: Callable[..., None], *args: Any) -> None:
        """Tell something of the store's own accord: at once, or as late as it is found by looking."""
        now = self._loop.time()
        delay = LOOK_S if now < self.deaf_until else self.rng.choice(_LATENCIES_S)
        self._in(self.lane, now + delay, self._heard, told, args)

    def _heard(self, told: Callable[..., None], args: Sequence[Any]) -> None:
        if not self.is_dead:
            told(*args)

    def _arrive(self, operation: Operation[A], future: "asyncio.Future[A]", fault: Fault | None) -> None:
        if self.is_dead and self.rng.random() < 0.5:
            self._store.note(self.lane, operation, "is lost with its sender")
            return
        if fault is Fault.REFUSED:
            self._store.note(self.lane, operation, "is refused")
            self._answer(future, StoreUnavailable("the disk is full"))
            return
        answer = self._store.do(self.lane, operation)
        if fault is Fault.TWICE:
            answer = self._store.do(self.lane, operation)
        if fault is Fault.ECHO:
            self._loop.call_in(WORLD, self.rng.choice((0.001, 1.0, 30.0)), self._store.do, self.lane, operation)
        if fault is Fault.UNANSWERED:
            self._answer(future, StoreUnavailable("the connection was lost"))
        else:
            self._answer(future, answer)

    def _answer(self, future: "asyncio.Future[A]", answer: A | BaseException) -> None:
        delay = self.rng.choice(_LATENCIES_S)
        self._answered_at = max(self._loop.time() + delay, self._answered_at + _APART_S)
        self._in(self.lane, self._answered_at, self._answered, future, answer)

    def _answered(self, future: "asyncio.Future[A]", answer: A | BaseException) -> None:
        if self.is_dead or future.done():
            return
        if isinstance(answer, BaseException):
            future.set_exception(answer)
            # Looking at it keeps asyncio from reporting what nobody asks for any more.
            future.exception()
        else:
            future.set_result(answer)

    def _in(self, lane: str, at: float, callback: Callable[..., object], *args: Any) -> None:
        if self._held is None:
            self._loop.call_in(lane, at - self._loop.time(), callback, *args)
        else:
            self._held.append((lane, at, callback, args))


class _Ear:
    """Passes on what a worker is told."""

    def __init__(self, pipe: Pipe, listener: Listener) -> None:
        self._pipe = pipe
        self._listener = listener

    def instance_due(self, at: int) -> None:
        self._pipe.tell(self._listener.instance_due, at)

    def instance_told(self, row: int) -> None:
        self._pipe.tell(self._listener.instance_told, row)

    def turns_given(self, claims: Sequence[Claim] | None) -> None:
        self._pipe.tell(self._listener.turns_given, claims)
