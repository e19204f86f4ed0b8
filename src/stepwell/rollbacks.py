"""The rollbacks of one turn: which functions undo which steps, and how they run.

Functions cannot be stored: they are known from the step calls of `run`, in the turn that makes them, or in a replay.
Rolling back is a coroutine of the engine's own that calls each rollback as `run` calls steps: attempts, waits and
replays are the same.

Source: developers.cloudflare.com/workflows/build/workers-api/#rollback
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from stepwell import values
from stepwell.bodies import classes_of, step_facts
from stepwell.calls import StepCall
from stepwell.contexts import RollbackContext, StepContext
from stepwell.core.execution import Execution
from stepwell.core.failures import rebuild
from stepwell.core.records import Key, Payload, StepKind, StepSucceeded
from stepwell.errors import RollbackMissing, WorkflowFatalError
from stepwell.steps import StepBody, parameters_of
from stepwell.streams import TurnStreams
from stepwell.traces import HandedOn, Trace
from stepwell.values import Classes


class RollbackHost(Protocol):
    """The turn, as its rollbacks see it."""

    execution: Execution
    classes: Classes
    streams: TurnStreams
    trace: Trace | HandedOn | None

    def instance_key(self) -> str:
        """Return what tells the instance from all others."""

    async def text(self, value: Payload) -> str:
        """Return a value's stored text, wherever it lies."""

    async def undo(self, call: StepCall) -> None:
        """Run a rollback, or find that it has run. Raises what it raised at last."""


class Rollbacks:
    """What undoes the steps of one turn."""

    def __init__(self, host: RollbackHost) -> None:
        self._host = host
        self._known: dict[Key, StepCall] = {}

    def register(self, call: StepCall) -> None:
        """Take note of what undoes a step that has a rollback. Raises WorkflowFatalError or InvalidStepConfig."""
        rollback, key = call.body.traits.rollback, call.key
        assert rollback is not None
        if self._host.execution.parent_of(key) is not None:
            raise WorkflowFatalError(
                f'Rollback for "{key.name}": a step that is called inside another one cannot have a rollback, as a '
                "replay does not run that body; give it to the outer step"
            )
        self._host.execution.merged(_undoing(key), rollback.config)
        self._known[key] = call

    async def run(self) -> None:
        """Run the rollbacks of all steps that have begun and have one, the latest first; the first failure ends it."""
        for key in self._host.execution.to_roll_back():
            await self._run_one(key)

    async def _run_one(self, key: Key) -> None:
        call, undoing = self._known.get(key), _undoing(key)
        rollback = None if call is None else call.body.traits.rollback
        if call is None or rollback is None:
            if not isinstance(self._host.execution.outcomes.get(undoing), StepSucceeded):
                raise RollbackMissing(key.label)
            return
        facts = await self._facts(call)

        def undo(ctx: StepContext) -> Any:
            given = {name: ctx[name] for name in ("attempt", "idempotency_key", "traceparent") if name in ctx}
            return _call(rollback.function, RollbackContext({**facts, **given}, ctx.port))

        config = dict(rollback.config or {})
        if sensitive := self._host.execution.attempt_of(key).config.sensitive:
            # It is given what nothing may be kept of.
            config["sensitive"] = sensitive
        await self._host.undo(StepCall(undoing, config, StepBody(undo, rollback.function), call.context))

    async def _facts(self, call: StepCall) -> dict[str, Any]:
        execution, classes = self._host.execution, self._host.classes
        cause, result = execution.rollback, execution.outcomes.get(call.key)
        assert cause is not None
        output: Any = None
        if isinstance(result, StepSucceeded) and result.stream is not None:
            output = self._host.streams.replay(result.stream)
        elif isinstance(result, StepSucceeded):
            text = await self._host.text(result.value)
            output = values.decode(text, classes_of(call, classes), f'the result of step "{call.key.label}"')
        return {
            "ctx": StepContext(step_facts(execution.attempt_of(call.key), self._host.instance_key(), self._host.trace)),
            "error": rebuild(cause.error, classes),
            "output": output,
            "stepName": call.key.label,
        }


def _undoing(key: Key) -> Key:
    return Key(StepKind.ROLLBACK, key.name, key.count)


def _call(function: Callable[..., Any], context: RollbackContext) -> Any:
    """Call it, or begin to. Nothing comes of what it returns, so it need be nothing that can be stored."""
    result = function(context) if parameters_of(function) else function()
    return _end(result) if hasattr(result, "__await__") else None


async def _end(result: Awaitable[object]) -> None:
    await result
