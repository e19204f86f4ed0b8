"""The slots of limits that steps share, in one turn: asked for before an attempt, and given back when it is over.

Who has to wait is told by a record, *slot given*, which comes from outside like an event. A turn whose instance is put
back while it waits leaves its place to the next turn; one that ends its instance, or pauses it, gives all back.
"""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from contextvars import Context, ContextVar
from typing import Any, Protocol

from msgspec import Struct

from stepwell.calls import StepCall
from stepwell.clock import Clock, sleep_ms
from stepwell.core.records import Key, Record, SlotGiven
from stepwell.errors import StoreUnavailable
from stepwell.facts import fact
from stepwell.store import Store, codec
from stepwell.store.flow_operations import AskSlot, LeaveSlot
from stepwell.store.operations import Claim

logger = logging.getLogger(__name__)

_AGAIN_AFTER_MS = 1_000

# The limits of which the step has slots in whose body the code runs: one more of them would wait for itself.
HELD_LIMITS: ContextVar[frozenset[str]] = ContextVar("stepwell_held_limits", default=frozenset())


class SlotHost(Protocol):
    """The turn, as its slots see it."""

    claim: Claim
    clock: Clock

    def begin(self, call: StepCall) -> None:
        """Let an attempt begin that has its slot, if its result is still waited for."""

    def advance(self) -> None:
        """Go on after something has become known."""

    def help(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the author's code, until the turn ends."""


class _Place(Struct):
    """What a step has of a limit: nothing, a slot from a moment to come on (`start_at`), or a slot."""

    call: StepCall
    limit: str
    start_at: int | None = None
    has_slot: bool = False
    is_asking: bool = False
    is_to_ask_again: bool = False


class SharedSlots:
    """The slots of one turn, and its places among those that wait."""

    # One for each turn, most of which have no limit.
    __slots__ = ("_host", "_is_silent", "_places", "_store")

    def __init__(self, host: SlotHost, store: Store) -> None:
        self._host = host
        self._store = store
        self._places: dict[Key, _Place] = {}
        self._is_silent = False

    @property
    def is_asking(self) -> bool:
        """Tell whether the store has yet to answer."""
        # Turns without any limit ask this several times for each step.
        return bool(self._places) and any(place.is_asking for place in self._places.values())

    @property
    def is_waiting(self) -> bool:
        """Tell whether a step waits for a slot."""
        return any(not place.has_slot for place in self._places.values())

    @property
    def next_at(self) -> int | None:
        """Return when the next slot begins that has been given for a moment to come; None: there is none."""
        if not self._places:
            return None
        places = [place for place in self._places.values() if not (place.has_slot or place.is_asking)]
        return min((place.start_at for place in places if place.start_at is not None), default=None)

    def admitted(self, calls: Iterable[StepCall]) -> list[StepCall]:
        """Return which attempts may begin now; slots are asked for the others."""
        return [
            call for call in calls if call.body.traits.limit is None or self._has_slot(call, call.body.traits.limit)
        ]

    def hear(self, record: Record) -> None:
        """Take note of a record from outside: a step may have got a slot. One that has not asked in this turn will."""
        place = self._places.get(record.key) if isinstance(record, SlotGiven) else None
        if not isinstance(record, SlotGiven) or place is None or place.limit != record.limit or place.has_slot:
            return
        if place.is_asking:
            # Whether the question came before it is not known.
            place.is_to_ask_again = True
        elif record.start_at <= record.at:
            self._give(place, record.start_at)
        else:
            # A moment to come may be another one's by then: when it has come, the store is asked.
            place.start_at = record.start_at

    def wake(self, now: int) -> None:
        """Ask again where the moment of a slot has come: so whoever is next is given a moment."""
        for place in self._places.values():
            if place.start_at is not None and place.start_at <= now and not place.has_slot:
                self._ask(place)

    def leave(self, key: Key) -> None:
        """Give back what a step has, if it has anything."""
        place = self._places.pop(key, None)
        if place is not None:
            self._give_back(place)

    def leave_all(self) -> None:
        """Give everything back."""
        for key in list(self._places):
            self.leave(key)

    def fall_silent(self) -> None:
        """Give nothing back, as if the process had died."""
        self._is_silent = True

    def _has_slot(self, call: StepCall, limit: str) -> bool:
        place = self._places.get(call.key)
        if place is None:
            place = self._places[call.key] = _Place(call, limit)
        if not place.has_slot:
            self._ask(place)
        return place.has_slot

    def _ask(self, place: _Place) -> None:
        if not place.is_asking:
            place.is_asking, place.is_to_ask_again = True, False
            self._host.help(self._asked(place))

    async def _asked(self, place: _Place) -> None:
        key, claim = place.call.key, self._host.claim
        start_at = None
        while self._places.get(key) is place:
            now = self._host.clock.now()
            asked = AskSlot(claim.row, claim.turn, claim.account, place.limit, codec.to_step(key), now)
            with suppress(StoreUnavailable):
                start_at = (await self._store.run(asked)).start_at
                break
            await sleep_ms(self._host.clock, _AGAIN_AFTER_MS)
        place.is_asking = False
        if self._places.get(key) is not place:
            # The step was given up meanwhile, and the question may have come behind that.
            self._give_back(place)
        elif start_at is not None:
            self._give(place, start_at)
        else:
            place.start_at = None
            if place.is_to_ask_again:
                self._ask(place)
        self._host.advance()

    def _give(self, place: _Place, start_at: int) -> None:
        place.start_at = start_at
        if start_at <= self._host.clock.now():
            place.has_slot = True
            self._host.begin(place.call)

    def _give_back(self, place: _Place) -> None:
        claim, now = self._host.claim, self._host.clock.now()
        key = place.call.key
        if self._is_silent or key in self._places:
            # A later attempt has it by now.
            return
        left = LeaveSlot(claim.row, claim.turn, claim.account, place.limit, codec.to_step(key), now)
        # An empty context: it is not work of the author's task that led to it.
        self._store.run(left).add_done_callback(lambda done: self._given_back(done, place), context=Context())

    def _given_back(self, done: asyncio.Future[None], place: _Place) -> None:
        if done.cancelled() or (error := done.exception()) is None:
            return
        if isinstance(error, StoreUnavailable):
            self._host.clock.call_at(self._host.clock.now() + _AGAIN_AFTER_MS, lambda: self._give_back(place))
        else:
            logger.error(
                "a slot of %s was not given back, and will be in a minute: %s",
                place.limit,
                error,
                extra=fact("slot.left", limit=place.limit, error=error),
            )
