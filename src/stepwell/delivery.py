"""How what is on record reaches the author's code: as the value or the error of a call, decoded anew each time."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from stepwell import values
from stepwell.bodies import classes_of
from stepwell.calls import CallScope, StepCall, Work
from stepwell.core.execution import Execution
from stepwell.core.failures import rebuild
from stepwell.core.records import (
    Key,
    Payload,
    PayloadRef,
    Result,
    SleepEnded,
    StepCancelled,
    StepFailed,
    StepSucceeded,
    StreamRef,
    WaitEnded,
)
from stepwell.core.steplog import timed_out
from stepwell.reader import Reader
from stepwell.scope import EngineFuture, TaskScope
from stepwell.streams import TurnStreams
from stepwell.values import Classes
from stepwell.workflow import to_moment


class DeliveryHost(Protocol):
    """The turn, as its deliveries see it."""

    execution: Execution
    classes: Classes
    streams: TurnStreams

    def quiet(self, scope: TaskScope) -> None:
        """All tasks of a scope are blocked."""

    def help(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the author's code, until the turn ends."""


class Delivery:
    """Hands to the calls of one turn what is on record; `calls` are those that wait, each with its scope.

    What has to be read first is read alone: nothing else reaches the scope meanwhile.
    """

    def __init__(self, host: DeliveryHost, reader: Reader, calls: dict[Key, tuple[CallScope, StepCall]]) -> None:
        self._host = host
        self._reader = reader
        self._calls = calls

    def deliver(self, scope: CallScope, future: EngineFuture, result: Result) -> None:
        """Let a call return or raise what is on record. A value that lies apart is read first."""
        payload = _payload_of(result, self._host.execution)
        if isinstance(payload, PayloadRef):
            scope.begin_loading()
            self._host.help(self._read_payload(scope, future, result, payload))
        else:
            self._resolve(future, result, payload)

    def at_once(self, result: Result) -> tuple[Any] | None:
        """Return what a call returns without waiting for it, in a tuple; None: it is delivered."""
        if not isinstance(result, StepSucceeded):
            return (None,) if isinstance(result, SleepEnded) else None
        if result.stream is not None or not isinstance(result.value, str):
            return None
        try:
            value = self._value(result.key, result.value, self._calls.get(result.key))
        except Exception:  # whatever is wrong ends the turn where it is delivered, and is none of the author's errors
            return None
        self._calls.pop(result.key, None)
        return (value,)

    def do(self, scope: CallScope, future: EngineFuture, work: Work) -> None:
        """Ask the store for what the code has to wait for, and deliver nothing meanwhile."""
        scope.begin_loading()
        self._host.help(self._do(scope, future, work))

    async def _read_payload(self, scope: CallScope, future: EngineFuture, result: Result, payload: Payload) -> None:
        text = await self._reader.text(payload)
        scope.end_loading()
        if future.done():
            # The author cancelled the call meanwhile; whether he gets the result is decided once more.
            scope.results.appendleft(result.key)
            self._host.quiet(scope)
        else:
            self._resolve(future, result, text)

    async def _do(self, scope: CallScope, future: EngineFuture, work: Work) -> None:
        answer = await work()
        scope.end_loading()
        if future.done():
            self._host.quiet(scope)
        else:
            future.set_result(answer)

    def _resolve(self, future: EngineFuture, result: Result, text: str | None) -> None:
        """Let a call return or raise what is on record; `text` is the stored text of its payload.

        Raises UnreadableValue if the author's classes no longer fit it; the call waits then.
        """
        call = self._calls.pop(result.key, None)
        inbox = self._host.execution.inbox
        match result:
            case StepSucceeded(stream=StreamRef() as stream):
                future.set_result(self._host.streams.replay(stream))
            case StepSucceeded():
                assert text is not None
                future.set_result(self._value(result.key, text, call))
            case WaitEnded(event_seq=None, error=error):
                _raise(future, rebuild(error or timed_out(inbox.timeout_ms(result.key)), self._classes(call)))
            case WaitEnded(event_seq=int() as seq):
                assert text is not None
                event = inbox.events[seq]
                payload = values.decode_json(text)
                future.set_result({"payload": payload, "timestamp": to_moment(event.at), "type": event.event_type})
            case StepFailed(error=error):
                _raise(future, rebuild(error, self._classes(call)))
            case SleepEnded():
                future.set_result(None)
            case StepCancelled():
                _raise(future, asyncio.CancelledError())

    def _value(self, key: Key, text: str, call: tuple[CallScope, StepCall] | None) -> Any:
        """Return the value of a step's result. Raises UnreadableValue."""
        if not values.has_forms(text):
            # Most are plain JSON, which is of no class.
            return values.decode_json(text)
        return values.decode(text, self._classes(call), f'the result of step "{key.label}"')

    def _classes(self, call: tuple[CallScope, StepCall] | None) -> Classes:
        return self._host.classes if call is None else classes_of(call[1], self._host.classes)


def _payload_of(result: Result, execution: Execution) -> Payload | None:
    """Return the value that a result brings, if it brings one."""
    match result:
        case StepSucceeded(value=value, stream=None):
            return value
        case WaitEnded(event_seq=int() as seq):
            return execution.inbox.events[seq].value
        case _:
            return None


def _raise(future: EngineFuture, error: BaseException) -> None:
    future.set_exception(error)
    # Looking at it keeps asyncio from reporting an error that a cancelled caller never gets to see.
    future.exception()
