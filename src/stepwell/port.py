"""What author code calls in one turn: steps, sleeps, waits, and what it says of itself."""

import asyncio
import logging
import re
from collections.abc import Coroutine, Mapping
from typing import Any, Protocol

from stepwell import limits, values
from stepwell.calls import CallScope, StepCall, Work
from stepwell.capture import SINK
from stepwell.clock import Clock, sleep_ms
from stepwell.contexts import StepContext
from stepwell.core.execution import Execution
from stepwell.core.failures import rebuild
from stepwell.core.keys import Scope
from stepwell.core.records import Key, StepKind
from stepwell.core.step_answers import StepAnswer
from stepwell.divergences import Replay
from stepwell.errors import (
    ChildFailed,
    InvalidInput,
    InvalidStepConfig,
    InvalidStepName,
    NotSerialisable,
    StoreError,
    TurnClosed,
    WorkflowFatalError,
    WorkflowNotFound,
)
from stepwell.facts import fact
from stepwell.labels import RunLabels
from stepwell.notes import Notebook
from stepwell.rollbacks import Rollbacks
from stepwell.scope import CURRENT
from stepwell.shared_slots import HELD_LIMITS
from stepwell.stage import StandIns
from stepwell.step_traits import NO_TRAITS, StepTraits
from stepwell.steps import CURRENT_PORT, StepBody
from stepwell.store import codec
from stepwell.store.child_operations import ChildLink
from stepwell.store.operations import Claim
from stepwell.values import Classes
from stepwell.workflow import WorkflowEntrypoint, WorkflowEvent, WorkflowStep, params_type

logger = logging.getLogger(__name__)


_AGAIN_AFTER_MS = 1_000
# What is wrong with the params, or the workflow, is wrong the next time too.
_STARTING = {"dont_retry_on": [InvalidInput, WorkflowNotFound, NotSerialisable]}
_STARTS_A_CHILD = StepTraits(is_child=True)
_UNFIT = re.compile(r"[^a-zA-Z0-9_-]")
_PARENT_CHARACTERS = 60


def child_id(parent: str, idempotency_key: str) -> str:
    """Return the id of the child that a step starts: the same for all its attempts, and no other step's."""
    return f"{_UNFIT.sub('_', parent)[:_PARENT_CHARACTERS]}-{idempotency_key}"


def _told_by(workflow: "ChildStarter", id: str) -> str:
    # A colon is in no type that anybody can send.
    return f"child:{workflow.workflow_name}/{id}"


async def run_workflow(
    workflow: type[WorkflowEntrypoint[Any]], env: Any, facts: dict[str, Any], port: "TurnPort"
) -> Any:
    """Call the author's `run`, with the event that these facts make, and return what it returns."""
    CURRENT_PORT.set(port)
    event: WorkflowEvent[Any] = WorkflowEvent(facts, params_type(workflow))
    made = workflow(None, env)
    # Before anything is done: params that do not fit fail the instance at once.
    _ = event.payload
    step = WorkflowStep(port)
    try:
        result = made.run(event, step)
        return await result if hasattr(result, "__await__") else result
    finally:
        # They lead back to it, and a garbage collector would have to look for them.
        step.steps.clear()


class ChildStarter(Protocol):
    """A binding of a workflow, as a step that awaits a child sees it."""

    workflow_name: str

    async def start_child(self, id: str, params: object, link: ChildLink) -> None:
        """Create the instance, or find it."""

    async def await_child(self, id: str, link: ChildLink) -> None:
        """Let the parent hear of its end."""

    async def terminate_child(self, id: str) -> None:
        """End it, if it has not ended."""


class PortHost(Protocol):
    """The turn, as the calls of author code see it."""

    claim: Claim
    clock: Clock
    execution: Execution
    notebook: Notebook
    labels: RunLabels
    replay: Replay
    rollbacks: Rollbacks
    stand_ins: StandIns | None
    # The scope of `run`.
    main: CallScope
    is_over: bool

    classes: Classes

    def help(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the author's code, until the turn ends."""

    def result_of(self, scope: CallScope, call: StepCall, answer: StepAnswer) -> Coroutine[Any, Any, Any]:
        """Return the result of a call, once it is on record."""

    def instance_key(self) -> str:
        """Return what tells the instance from all others."""


class TurnPort:
    """The step calls of one turn. Each belongs to the scope whose task makes it."""

    def __init__(self, host: PortHost) -> None:
        self._host = host

    def do(self, name: Any, config: Mapping[str, Any] | None, body: StepBody) -> Coroutine[Any, Any, Any]:
        """Run a step's body, or return what it returned before."""
        scope, traits, host = self._scope(), body.traits, self._host
        if traits is not NO_TRAITS:
            self._check(name, traits, scope)
        key = self._key(StepKind.DO, name, scope.counts)
        call = StepCall(key, config, body)
        has_rollback = traits.rollback is not None
        if has_rollback:
            host.rollbacks.register(call)
        answer = host.execution.ask_step(key, config, host.clock.now(), has_rollback=has_rollback)
        return host.result_of(scope, call, answer)

    def _check(self, name: Any, traits: StepTraits, scope: CallScope) -> None:
        """Hold what an author gives a step against where it is called. Raises InvalidStepConfig."""
        if traits.limit in HELD_LIMITS.get():
            expected = "another one than that of the step in whose body it is called: it would wait for itself"
            raise InvalidStepConfig(name, "the limit", traits.limit, expected)
        if traits.isolation is not None and scope is not self._host.main:
            raise InvalidStepConfig(name, "isolated", True, "left out in the body of a step")

    async def sleep(self, name: Any, duration: object) -> None:
        """Sleep for a duration."""
        scope = self._scope()
        key = self._key(StepKind.SLEEP, name, scope.counts)
        if self._passes(key):
            # It is held against the rules all the same.
            duration = min(self._host.execution.rules.sleep_ms(key.name, duration), 0)
        self._host.execution.ask_sleep(key, duration, self._host.clock.now())
        await scope.result(key)

    async def sleep_until(self, name: Any, until_ms: int) -> None:
        """Sleep until a moment."""
        scope = self._scope()
        key = self._key(StepKind.SLEEP, name, scope.counts)
        now = self._host.clock.now()
        self._host.execution.ask_sleep_until(key, min(until_ms, now) if self._passes(key) else until_ms, now)
        await scope.result(key)

    async def wait_for_event(self, name: Any, event_type: object, timeout: object) -> dict[str, Any]:
        """Wait for an event of a type."""
        scope = self._scope()
        key = self._key(StepKind.WAIT, name, scope.counts)
        self._host.execution.ask_wait(key, event_type, timeout, self._host.clock.now())
        if self._host.stand_ins is not None and self._host.stand_ins.times_out(key):
            self._host.execution.time_out(key, self._host.clock.now())
        event: dict[str, Any] = await scope.result(key)
        return event

    async def child(self, name: Any, workflow: ChildStarter, params: object, *, follows: bool) -> Any:
        """Start an instance of a workflow, or find the one that was started; return its output once it completes."""
        parent = self._host.claim

        def link_to(id: str) -> ChildLink:
            return ChildLink(parent.row, parent.turn, _told_by(workflow, id), follows)

        async def start(ctx: StepContext) -> str:
            id = child_id(parent.id, ctx.idempotency_key)
            await workflow.start_child(id, params, link_to(id))
            return id

        scope = self._scope()
        id = await self.do(name, _STARTING, StepBody(start, start, _STARTS_A_CHILD))
        if not isinstance(id, str):
            raise WorkflowFatalError(
                f'Child "{name}": the step that starts it was completed by hand with a value that is not the id of an '
                "instance; restart the instance from this step"
            )
        key = self._key(StepKind.WAIT, name, scope.counts)
        link = link_to(id)
        self._host.execution.ask_child(key, link.event_type, self._host.clock.now())
        if key not in self._host.execution.outcomes and not self._host.execution.inbox.has(link.event_type):
            # A restart of this instance may have lost the event, or the child may be gone.
            self._host.help(self._make_sure(lambda: workflow.await_child(id, link)))
        try:
            event = await scope.result(key)
        except asyncio.CancelledError:
            if follows and not scope.is_closed:
                await scope.work(lambda: self._make_sure(lambda: workflow.terminate_child(id)))
            raise
        if key in self._host.execution.inbox.by_hand:
            return event["payload"]
        return self._output(workflow.workflow_name, id, event["payload"])

    def _output(self, workflow: str, id: str, end: Mapping[str, Any]) -> Any:
        """Return what a child returned. Raises ChildFailed."""
        if end["status"] == "complete":
            return values.decode(end["value"], self._host.classes, f'the output of child "{id}"')
        if "error" not in end:
            raise ChildFailed(workflow, id, end["status"])
        cause = rebuild(codec.from_error(end["error"]), self._host.classes)
        raise ChildFailed(workflow, id, end["status"], f": {end['error']['name']}: {cause}") from cause

    async def work(self, work: Work) -> Any:
        """Ask the store for something, such as a piece of a stream."""
        return await self._scope().work(work)

    async def _make_sure(self, work: Work) -> None:
        """Ask the store for something until it is done."""
        while True:
            try:
                await work()
            except StoreError:
                await sleep_ms(self._host.clock, _AGAIN_AFTER_MS)
            else:
                return

    def set_progress(self, progress: object) -> None:
        """Take note of how far the instance is."""
        scope = self._scope()
        self._host.notebook.progress(values.encode_json(progress, "progress"), from_run=scope is self._host.main)

    async def set_labels(self, labels: Any) -> None:
        """Set labels of the instance, and take away those whose value is None."""
        scope = self._scope()
        if scope is not self._host.main:
            raise WorkflowFatalError(
                "set_labels: labels are set by `run` itself, not in the body of a step: return what they are made of, "
                "and set them behind the step."
            )
        number, checked = self._host.labels.call(labels)
        await scope.work(lambda: self._host.labels.store(number, checked))

    def patched(self, name: Any) -> bool:
        """Tell whether the code may go the new way by this name."""
        if self._scope() is not self._host.main:
            raise WorkflowFatalError(
                f"patched({name!r:.100}): that is asked by `run` itself, not in the body of a step, which runs as it "
                "is now."
            )
        if not limits.is_step_name(name):
            expected = f"text of up to {limits.STEP_NAME_LENGTH} characters without control characters"
            raise InvalidStepName(name, expected)
        return self._host.execution.is_patched(name, self._host.clock.now())

    def log(self, message: str) -> None:
        """Write a line into the instance's log."""
        sink = SINK.get()
        if sink is not None and sink.take("INFO", str(message), always=True):
            logger.info(
                "%s/%s: %s",
                self._host.claim.workflow,
                self._host.claim.id,
                message,
                extra=fact("author.log", **sink.place),
            )

    def places(self) -> tuple[object, ...]:
        """Return whose calls are being made, innermost first: those of an attempt, those of `run`."""
        scope = self._scope()
        return (scope,) if scope is self._host.main else (scope, self._host.main)

    def instance_key(self) -> str:
        """Return what tells the instance from all others."""
        return self._host.instance_key()

    def _passes(self, key: Key) -> bool:
        return self._host.stand_ins is not None and self._host.stand_ins.passes(key)

    def _key(self, kind: StepKind, name: Any, counts: Scope) -> Key:
        key = self._host.execution.next_key(kind, name, counts)
        if counts.parent is None:
            self._host.replay.called(key)
        return key

    def _scope(self) -> CallScope:
        scope = CURRENT.get()
        if self._host.is_over or not isinstance(scope, CallScope) or scope.is_closed:
            raise TurnClosed(
                "a step was called, or a stream read, after its turn had ended or outside of the workflow's own tasks"
            )
        return scope
