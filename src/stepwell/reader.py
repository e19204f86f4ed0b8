"""Reads from the store for one turn, however long the store takes to answer."""

import asyncio
import logging
from collections.abc import Sequence
from contextvars import Context
from typing import Any, TypeVar

from msgspec import Struct

from stepwell import values
from stepwell.clock import Clock, sleep_ms
from stepwell.core.records import Created, Payload, PayloadRef, Recorded
from stepwell.errors import StoreUnavailable, TurnLost
from stepwell.facts import fact
from stepwell.scope import look_away
from stepwell.store import Store, codec
from stepwell.store.operations import Claim, Operation, ReadHistory, ReadPayload, RecordRow
from stepwell.workflow import to_moment

logger = logging.getLogger(__name__)

A = TypeVar("A")

_READ_AGAIN_AFTER_MS = 1_000
# A history is read so many records at a time: few are longer.
PAGE_RECORDS = 1_000


class History(Struct):
    """The records of an instance, and the seq of the last; `problem`: why those from some place on cannot be read."""

    records: list[Recorded] = []
    seq: int = 0
    problem: Exception | None = None

    def add(self, rows: Sequence[RecordRow]) -> None:
        """Add a page; it may begin with what is there already."""
        new = [row for row in rows if row.seq > self.seq]
        self.seq = rows[-1].seq
        if self.problem is None:
            try:
                self.records.extend(map(codec.from_row, new))
            except Exception as error:  # whatever is wrong with it, the history is damaged
                self.problem = error

    def whole(self) -> list[Recorded]:
        """Return all records. Raises whatever is wrong with them."""
        if self.problem is not None:
            raise self.problem
        return self.records


def _page_from(claim: Claim, seq: int) -> ReadHistory:
    # It begins with the last record of the one before: a page that has none says that the turn is lost.
    return ReadHistory(claim.row, max(seq - 1, 0), PAGE_RECORDS, claim.turn)


class Reader:
    """Reads for a turn, and asks again while the store is unavailable."""

    def __init__(self, store: Store, clock: Clock, claim: Claim) -> None:
        self._store = store
        self._clock = clock
        self._claim = claim

    async def read(self, operation: Operation[A]) -> A:
        """Return the answer to what may be asked twice, however long the store takes to give it."""
        has_complained = False
        while True:
            try:
                return await self._store.run(operation)
            except StoreUnavailable as error:
                if not has_complained:
                    has_complained = True
                    logger.warning(
                        "the store does not answer, and is asked again each second: %s",
                        error,
                        extra=fact("store.refused", error=error),
                    )
                await sleep_ms(self._clock, _READ_AGAIN_AFTER_MS)

    async def answer(self, operation: Operation[A], future: "asyncio.Future[A]") -> None:
        """Give the answer to a future, unless that is done by then."""
        answer = await self.read(operation)
        if not future.done():
            future.set_result(answer)

    async def history(self, claim: Claim) -> History:
        """Return the history of a turn's instance. Raises TurnLost if the turn is lost, or the instance deleted.

        While a page of a long one is decoded, the store reads the next.
        """
        history = History()
        rows = await self._page(claim, 0) if claim.history is None else claim.history
        while rows:
            following: asyncio.Future[list[RecordRow]] | None = None
            if claim.history is None and len(rows) == PAGE_RECORDS:
                following = self._store.run(_page_from(claim, rows[-1].seq))
                following.add_done_callback(look_away, context=Context())
                # What is asked goes out at the end of a pass of the loop.
                await asyncio.sleep(0)
            history.add(rows)
            if following is None:
                return history
            try:
                rows = await following
            except StoreUnavailable:
                rows = await self._page(claim, history.seq)
        raise TurnLost(claim.row, claim.turn)

    async def _page(self, claim: Claim, seq: int) -> list[RecordRow]:
        return await self.read(_page_from(claim, seq))

    async def text(self, value: Payload) -> str:
        """Return a value's JSON text, wherever it lies. Raises TurnLost."""
        if isinstance(value, PayloadRef):
            return await self.read(ReadPayload(value.id, self._claim.row, self._claim.turn))
        return value

    async def event(self, claim: Claim, created: Created) -> dict[str, Any]:
        """Return what `run` receives as its event.

        Source: developers.cloudflare.com/workflows/build/workers-api/#workflowevent
        """
        facts = {
            "payload": values.decode_json(await self.text(created.value)),
            "timestamp": to_moment(created.at),
            "instanceId": claim.id,
            "workflowName": claim.workflow,
        }
        if created.schedule is not None:
            facts["schedule"] = {"cron": created.schedule.cron, "scheduledTime": created.schedule.scheduled_at}
        return facts
