"""The attempts in flight of one turn: how each begins, runs out of time, and ends.

A body runs as a task of a scope of its own. Once an attempt is closed, by its outcome, its time-out, a cancelled call
or the end of the turn, whatever it still returns or raises is ignored, and what its body had begun is ended with it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Iterator
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Protocol

from stepwell import durations
from stepwell.bodies import DelayQuestion, ask_delay, base_delay_ms, call_body, step_context
from stepwell.calls import CallPort, CallScope, StepCall
from stepwell.clock import Alarm, Clock
from stepwell.core.execution import Attempt
from stepwell.core.failures import Failure, describe
from stepwell.core.records import Key
from stepwell.core.retries import delay_function
from stepwell.core.steplog import timed_out
from stepwell.errors import (
    NonRetryableDelayError,
    NonRetryableError,
    NotSerialisable,
    WorkflowFatalError,
    WorkflowTimeoutError,
)
from stepwell.scope import AuthorExit, TaskScope
from stepwell.threads import Threads

_NOT_RETRYABLE = (NonRetryableError, WorkflowFatalError, NonRetryableDelayError)


class AttemptHost(CallPort, Protocol):
    """The turn, as its attempts see it."""

    clock: Clock
    threads: Threads

    def instance_key(self) -> str:
        """Return what tells this run of the instance from all others."""

    async def before_body(self) -> None:
        """Wait until an attempt's body may run."""

    def quiet(self, scope: TaskScope) -> None:
        """All tasks of a scope are blocked."""

    def advance(self) -> None:
        """Go on after an attempt has ended."""

    def fatal(self, error: Failure) -> None:
        """End the instance: an attempt failed in a way that nothing can catch."""

    def broke(self, error: BaseException) -> None:
        """End the turn: the engine has a defect."""

    def help(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the author's code, until the turn ends."""


@dataclass(slots=True)
class RunningAttempt:
    """An attempt in flight."""

    call: StepCall
    attempt: Attempt
    scope: CallScope
    task: asyncio.Task[None] | None = None
    alarm: Alarm | None = None
    is_closed: bool = False


class Attempts:
    """The attempts in flight of one turn, by key."""

    def __init__(self, host: AttemptHost) -> None:
        self._host = host
        self._running: dict[Key, RunningAttempt] = {}
        # Results of steps called inside a step, kept for its next attempt, which calls them again.
        self._nested: dict[Key, list[Key]] = defaultdict(list)
        # What closed attempts have left behind: tasks that have yet to end, or that swallowed their cancellation.
        self._left: dict[asyncio.Task[Any], None] = {}

    def __len__(self) -> int:
        return len(self._running)

    def __iter__(self) -> Iterator[Key]:
        return iter(list(self._running))

    def scopes(self) -> list[CallScope]:
        """Return the scopes of the bodies."""
        return [running.scope for running in self._running.values()]

    def start(self, call: StepCall, now: int) -> RunningAttempt:
        """Record that an attempt begins; `launch` runs it."""
        execution = self._host.execution
        attempt = execution.start_attempt(call.key, now)
        scope = CallScope(self._host.quiet, self._host, call.key)
        # A call that an earlier attempt cancelled has no outcome any more.
        nested = self._nested[call.key] = [key for key in self._nested[call.key] if key in execution.outcomes]
        scope.results.extend(nested)
        running = self._running[call.key] = RunningAttempt(call, attempt, scope)
        return running

    def launch(self, running: RunningAttempt, now: int) -> None:
        """Run the body of an attempt that was started."""
        timeout_ms = durations.to_ms(running.attempt.config.timeout) or 0
        running.alarm = self._host.clock.call_at(now + timeout_ms, lambda: self._time_out(running, timeout_ms))
        context = running.call.context.copy()
        running.task = running.scope.run_in(context, self._attempt(running), running.call.key.label)

    def route_nested(self, parent: Key, key: Key) -> CallScope | None:
        """Queue a result for the body that called it; None if that is over."""
        self._nested[parent].append(key)
        running = self._running.get(parent)
        if running is None:
            return None
        running.scope.results.append(key)
        return running.scope

    def end(self, key: Key) -> None:
        """End an attempt whose result nobody waits for any more."""
        running = self._running.pop(key, None)
        if running is not None:
            self._close(running)

    async def stop(self, grace_ms: int) -> None:
        """End all attempts, and wait a little for what is left of them."""
        for key in self:
            self.end(key)
        if self._left:
            await asyncio.wait(list(self._left), timeout=grace_ms / 1000)

    def left(self) -> list[asyncio.Task[Any]]:
        """Return what still lives of attempts that have ended."""
        return list(self._left)

    async def _attempt(self, running: RunningAttempt) -> None:
        try:
            await self._host.before_body()
            context = step_context(running.attempt, self._host.instance_key())
            text = await call_body(running.call, context, self._host.threads)
        except BaseException as error:  # the author's code may raise anything
            if running.is_closed:
                raise
            self._conclude(running, error)
        else:
            if not running.is_closed:
                self._succeed(running, text)

    def _succeed(self, running: RunningAttempt, text: str) -> None:
        try:
            self.end(running.call.key)
            self._host.execution.succeeded(running.call.key, text, self._host.clock.now())
            self._host.advance()
        except Exception as error:  # a defect must end this turn, not hang it
            self._host.broke(error)

    def _conclude(self, running: RunningAttempt, error: BaseException) -> None:
        try:
            self._fail(running, error.error if isinstance(error, AuthorExit) else error)
        except Exception as defect:  # a defect must end this turn, not hang it
            self._host.broke(defect)

    def _fail(self, running: RunningAttempt, error: BaseException) -> None:
        key, failure, now = running.call.key, describe(error), self._host.clock.now()
        function = delay_function(running.call.config)
        if isinstance(error, NotSerialisable):
            # Source: developers.cloudflare.com/workflows/build/rules-of-workflows/
            self.end(key)
            self._host.execution.gave_up(key, failure, now)
            self._host.fatal(failure)
        elif isinstance(error, _NOT_RETRYABLE):
            self.end(key)
            self._host.execution.gave_up(key, failure, now)
            self._host.advance()
        elif function is not None and not self._host.execution.is_last_attempt(key):
            self._close(running)
            self._host.help(self._fail_after_asking(running, failure))
        else:
            self.end(key)
            self._host.execution.failed(key, failure, base_delay_ms(running.attempt.config), now)
            self._host.advance()

    async def _fail_after_asking(self, running: RunningAttempt, failure: Failure) -> None:
        """Fail an attempt whose delay is told by the author's function. It counts as in flight meanwhile."""
        execution, key = self._host.execution, running.call.key
        answer = await self._asked_delay(running, failure)
        if self._running.get(key) is not running:
            return
        del self._running[key]
        now = self._host.clock.now()
        if isinstance(answer, Failure):
            execution.attempt_failed(key, failure, now)
            execution.gave_up(key, answer, now)
        else:
            execution.failed(key, failure, answer, now)
        self._host.advance()

    async def _asked_delay(self, running: RunningAttempt, failure: Failure) -> int | Failure:
        function = delay_function(running.call.config)
        assert function is not None
        question = DelayQuestion(
            step_context(running.attempt, self._host.instance_key()), failure, running.call.key.label
        )
        try:
            return await ask_delay(function, question, self._host.threads, self._host.clock)
        except NonRetryableDelayError as error:
            return describe(error)

    def _time_out(self, running: RunningAttempt, timeout_ms: int) -> None:
        if running.is_closed:
            return
        self._conclude(running, WorkflowTimeoutError(timed_out(timeout_ms).message))

    def _close(self, running: RunningAttempt) -> None:
        """Let nothing more come of an attempt, and end what its body had begun."""
        running.is_closed = True
        if running.alarm is not None:
            running.alarm.cancel()
        scope = running.scope
        scope.is_closed = True
        for key in [*scope.unanswered(), *(call.key for call in scope.to_begin)]:
            self.end(key)
            self._host.execution.forget(key, self._host.clock.now())
        for task in list(scope.tasks):
            if task is not asyncio.current_task():
                task.cancel()
                self._left[task] = None
                task.add_done_callback(self._forget, context=Context())

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._left.pop(task, None)
