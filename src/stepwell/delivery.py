"""How what is on record reaches the author's code: as the value or the error of a call, decoded anew each time."""

import asyncio
import logging
from typing import Any, NamedTuple, TypeVar

from stepwell import values
from stepwell.clock import Clock, sleep_ms
from stepwell.core.execution import Execution
from stepwell.core.failures import rebuild
from stepwell.core.records import (
    Created,
    Payload,
    PayloadRef,
    Result,
    SleepEnded,
    StepCancelled,
    StepFailed,
    StepSucceeded,
    WaitEnded,
)
from stepwell.core.steplog import timed_out
from stepwell.errors import StoreUnavailable, TurnLost
from stepwell.scope import EngineFuture
from stepwell.store import Store
from stepwell.store.operations import Claim, Operation, ReadHistory, ReadPayload, RecordRow
from stepwell.values import Classes
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
        """Return the answer to a read, however long the store takes to give it."""
        has_complained = False
        while True:
            try:
                return await self._store.run(operation)
            except StoreUnavailable as error:
                if not has_complained:
                    has_complained = True
                    logger.warning("the store cannot be read, and is asked again each second: %s", error)
                await sleep_ms(self._clock, _READ_AGAIN_AFTER_MS)

    async def history(self, claim: Claim) -> list[RecordRow]:
        """Return the records of a turn's instance. Raises TurnLost if the turn is lost, or the instance deleted."""
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
        return {
            "payload": values.decode_json(await self.text(created.value)),
            "timestamp": to_moment(created.at),
            "instanceId": claim.id,
            "workflowName": claim.workflow,
        }


class Sources(NamedTuple):
    """What a result is read with: what is on record beside it, and the classes that its value may be made of."""

    execution: Execution
    classes: Classes


def payload_of(result: Result, execution: Execution) -> Payload | None:
    """Return the value that a result brings, if it brings one."""
    match result:
        case StepSucceeded(value=value):
            return value
        case WaitEnded(event_seq=int() as seq):
            return execution.inbox.events[seq].value
        case _:
            return None


def resolve(future: EngineFuture, result: Result, text: str | None, sources: "Sources") -> None:
    """Let a call return or raise what is on record; `text` is the stored text of its payload.

    Raises UnreadableValue if the author's classes no longer fit it; the call waits then.
    """
    execution, classes = sources
    match result:
        case StepSucceeded():
            assert text is not None
            future.set_result(values.decode(text, classes, f'the result of step "{result.key.label}"'))
        case WaitEnded(event_seq=None, error=error):
            _raise(future, rebuild(error or timed_out(execution.timeout_ms(result.key)), classes))
        case WaitEnded(event_seq=int() as seq):
            assert text is not None
            event = execution.inbox.events[seq]
            payload = values.decode_json(text)
            future.set_result({"payload": payload, "timestamp": to_moment(event.at), "type": event.event_type})
        case StepFailed(error=error):
            _raise(future, rebuild(error, classes))
        case SleepEnded():
            future.set_result(None)
        case StepCancelled():
            _raise(future, asyncio.CancelledError())


def _raise(future: EngineFuture, error: BaseException) -> None:
    future.set_exception(error)
    # Looking at it keeps asyncio from reporting an error that a cancelled caller never gets to see.
    future.exception()
