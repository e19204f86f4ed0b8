"""What author code calls in one turn: steps, sleeps, waits, and what it says of itself."""

import logging
from collections.abc import Mapping
from typing import Any, Protocol

from stepwell import values
from stepwell.calls import CallScope, StepCall
from stepwell.capture import SINK
from stepwell.clock import Clock
from stepwell.core.execution import Execution, StepAnswer
from stepwell.core.records import StepKind
from stepwell.errors import TurnClosed
from stepwell.notes import Notebook
from stepwell.rollbacks import Rollbacks
from stepwell.scope import CURRENT
from stepwell.steps import StepBody
from stepwell.store.operations import Claim

logger = logging.getLogger(__name__)


class PortHost(Protocol):
    """The turn, as the calls of author code see it."""

    claim: Claim
    clock: Clock
    execution: Execution
    notebook: Notebook
    rollbacks: Rollbacks
    # The scope of `run`.
    main: CallScope
    is_over: bool

    async def result_of(self, scope: CallScope, call: StepCall, answer: StepAnswer) -> Any:
        """Return the result of a call, once it is on record."""


class TurnPort:
    """The step calls of one turn. Each belongs to the scope whose task makes it."""

    def __init__(self, host: PortHost) -> None:
        self._host = host

    async def do(self, name: Any, config: Mapping[str, Any] | None, body: StepBody) -> Any:
        """Run a step's body, or return what it returned before."""
        scope = self._scope()
        key = self._host.execution.next_key(StepKind.DO, name, scope.counts)
        call = StepCall(key, config, body)
        self._host.rollbacks.register(call)
        now, has_rollback = self._host.clock.now(), body.rollback is not None
        answer = self._host.execution.ask_step(key, config, now, has_rollback=has_rollback)
        return await self._host.result_of(scope, call, answer)

    async def sleep(self, name: Any, duration: object) -> None:
        """Sleep for a duration."""
        scope = self._scope()
        key = self._host.execution.next_key(StepKind.SLEEP, name, scope.counts)
        self._host.execution.ask_sleep(key, duration, self._host.clock.now())
        await scope.result(key)

    async def sleep_until(self, name: Any, until_ms: int) -> None:
        """Sleep until a moment."""
        scope = self._scope()
        key = self._host.execution.next_key(StepKind.SLEEP, name, scope.counts)
        self._host.execution.ask_sleep_until(key, until_ms, self._host.clock.now())
        await scope.result(key)

    async def wait_for_event(self, name: Any, event_type: object, timeout: object) -> dict[str, Any]:
        """Wait for an event of a type."""
        scope = self._scope()
        key = self._host.execution.next_key(StepKind.WAIT, name, scope.counts)
        self._host.execution.ask_wait(key, event_type, timeout, self._host.clock.now())
        event: dict[str, Any] = await scope.result(key)
        return event

    def set_progress(self, progress: object) -> None:
        """Take note of how far the instance is."""
        scope = self._scope()
        self._host.notebook.progress(values.encode_json(progress, "progress"), from_run=scope is self._host.main)

    def log(self, message: str) -> None:
        """Write a line into the instance's log."""
        sink = SINK.get()
        if sink is not None and sink.take("INFO", str(message), always=True):
            logger.info("%s/%s: %s", self._host.claim.workflow, self._host.claim.id, message)

    def places(self) -> tuple[object, ...]:
        """Return whose calls are being made, innermost first: those of an attempt, those of `run`."""
        scope = self._scope()
        return (scope,) if scope is self._host.main else (scope, self._host.main)

    def _scope(self) -> CallScope:
        scope = CURRENT.get()
        if self._host.is_over or not isinstance(scope, CallScope) or scope.is_closed:
            raise TurnClosed("a step was called after its turn had ended, or from outside of the workflow's own tasks")
        return scope
