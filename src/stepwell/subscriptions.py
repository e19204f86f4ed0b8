"""Subscriptions: what one subscriber is told of an instance, from its past on and then as it happens.

A subscription reads the history in pieces and keeps one piece; a value that lies apart is read when it is told. It is
asked for each notice, so a slow subscriber holds back nobody. It is over behind the end of the instance if no restart
is on record behind that, and when the instance has been deleted.
"""

import asyncio
import weakref
from collections import deque
from collections.abc import Collection

from msgspec import Struct

from stepwell import values
from stepwell.core.notices import Notice, Notices, NoticeType
from stepwell.core.records import Payload, PayloadRef
from stepwell.errors import InstanceNotFound, InvalidInput, StoreDamaged, WorkflowNotFound
from stepwell.store import Store, codec
from stepwell.store.operations import GetInstance, InstanceRow, ReadHistory, ReadPayload, RecordRow

RECORDS_AT_ONCE = 100
_ALL = frozenset(NoticeType)


class Wanted(Struct, frozen=True):
    """What a subscriber wants to be told: notices behind the one of the number `cursor`, and of which types."""

    cursor: int = 0
    types: frozenset[NoticeType] = _ALL


class Told(Struct, frozen=True):
    """A notice, with its params or output whole, as JSON text for people; None: it has none."""

    notice: Notice
    value: str | None


def types_of(names: Collection[str]) -> frozenset[NoticeType]:
    """Return the types that a filter names; no names: all types. Raises InvalidInput."""
    known = {type.value: type for type in NoticeType}
    for name in names:
        if name not in known:
            raise InvalidInput("filter", f'filter must be any of: {", ".join(known)}, got "{name!s:.100}"')
    return frozenset(known[name] for name in names) or _ALL


class Subscriptions(Struct, frozen=True):
    """Where subscriptions of a store's instances are had."""

    store: Store

    async def open(self, account: str, workflow: str, instance: str, wanted: Wanted) -> "Subscription":
        """Return a subscription of an instance. Raises WorkflowNotFound or InstanceNotFound."""
        found = await self.store.run(GetInstance(account, workflow, instance, with_steps=False))
        return Subscription(self.store, found.row, wanted)


class Subscription:
    """One subscriber's; one task at a time asks for the next notice, and any may close it.

    `cursor` is the number up to which everything has been told, or is not wanted.
    """

    def __init__(self, store: Store, row: InstanceRow, wanted: Wanted) -> None:
        self.cursor = wanted.cursor
        self.row = row
        self._store = store
        self._types = wanted.types
        self._made = Notices()
        self._pending: deque[Notice] = deque()
        self._seq = 0
        self._has_read_all = False
        self._is_over = False
        self._changed = asyncio.Event()
        self._watch: weakref.finalize[..., Subscription] | None = None

    async def next(self) -> Told | None:
        """Return the next notice, now or when there is one; None: there will be no more.

        Nothing is lost if the call is cancelled. Raises StoreError.
        """
        while not self._is_over:
            if not self._pending and not await self._read_on():
                self.close()
                break
            while self._pending and not self._is_wanted(self._pending[0]):
                self._pass(self._pending.popleft())
            if self._pending:
                return await self._tell(self._pending[0])
        return None

    def close(self) -> None:
        """End it: whoever waits for the next notice gets None."""
        self._is_over = True
        self._pending.clear()
        self._changed.set()
        if self._watch is not None:
            self._watch()

    def _is_wanted(self, notice: Notice) -> bool:
        return notice.id > self.cursor and notice.type in self._types

    def _pass(self, notice: Notice) -> None:
        self.cursor = max(self.cursor, notice.id)

    async def _tell(self, notice: Notice) -> Told | None:
        value = None
        try:
            value = await self._value(notice)
        except StoreDamaged:
            if await self._is_there():
                raise
            self.close()
        if self._is_over:
            return None
        self._pass(self._pending.popleft())
        return Told(notice, value)

    async def _value(self, notice: Notice) -> str | None:
        if notice.params is not None:
            return await self._text(notice.params)
        return None if notice.output is None else values.readable(await self._text(notice.output))

    async def _text(self, value: Payload) -> str:
        return await self._store.run(ReadPayload(value.id)) if isinstance(value, PayloadRef) else value

    async def _read_on(self) -> bool:
        """Read the next records, when there are some; False: there will be none."""
        if self._watch is None:
            stop = self._store.watch(self.row, self._changed.set)
            # One that is dropped without a word is not watched for either.
            self._watch = weakref.finalize(self, stop)
            self._watch.atexit = False
        elif self._has_read_all and not self._made.has_ended:
            await self._changed.wait()
        # Until they are read: a call that is cancelled meanwhile is made up for by the next one.
        self._has_read_all = False
        self._changed.clear()
        records = await self._records()
        is_first = self._seq == 0
        if not records and self._made.has_ended:
            return False
        # What was deleted before the watch began was told to nobody; nor is there a record of it.
        if (is_first or not records) and not await self._is_there():
            return False
        for recorded in codec.from_rows(records):
            self._pending.extend(self._made.of(recorded))
            self._seq = recorded.seq
        self._has_read_all = len(records) < RECORDS_AT_ONCE
        return not self._is_over

    async def _records(self) -> list[RecordRow]:
        try:
            return await self._store.run(ReadHistory(self.row.row, self._seq, RECORDS_AT_ONCE))
        except StoreDamaged:
            # A history that is being deleted has gaps.
            if await self._is_there():
                raise
            return []

    async def _is_there(self) -> bool:
        row = self.row
        try:
            found = await self._store.run(GetInstance(row.account, row.workflow, row.id, with_steps=False))
        except (InstanceNotFound, WorkflowNotFound):
            return False
        return found.row.row == row.row
