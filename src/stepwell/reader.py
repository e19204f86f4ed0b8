"""Reads from the store for one turn, however long the store takes to answer."""

import asyncio
import logging
from typing import Any, TypeVar

from stepwell import values
from stepwell.clock import Clock, sleep_ms
from stepwell.core.records import Created, Payload, PayloadRef
from stepwell.errors import StoreUnavailable, TurnLost
from stepwell.facts import fact
from stepwell.store import Store
from stepwell.store.operations import Claim, Operation, ReadHistory, ReadPayload, RecordRow
from stepwell.workflow import to_moment

logger = logging.getLogger(__name__)

A = TypeVar("A")

_READ_AGAIN_AFTER_MS = 1_000


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

    async def history(self, claim: Claim) -> list[RecordRow]:
        """Return the records of a turn's instance. Raises TurnLost if the turn is lost, or the instance deleted."""
        rows = claim.history
        if rows is None:
            rows = await self.read(ReadHistory(claim.row, turn=claim.turn))
        if not rows:
            raise TurnLost(claim.row, claim.turn)
        return rows

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
