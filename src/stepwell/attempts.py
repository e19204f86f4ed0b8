"""The attempts in flight of one turn: how each begins, runs out of time, and ends.

A body runs as a task of a scope of its own. Once an attempt is closed, by its outcome, its time-out, a cancelled call
or the end of the turn, whatever it still returns or raises is ignored, and what its body had begun is ended with it.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterable, Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from contextvars import Context
from typing import Any, Protocol

from msgspec import Struct, structs

from stepwell import durations, values
from stepwell.alarms import Deadlines
from stepwell.attributes import merged
from stepwell.bodies import DelayQuestion, QuickBodies, ask_delay, base_delay_ms, call_body, step_facts, stored
from stepwell.calls import CallPort, CallScope, StepCall
from stepwell.capture import SINK
from stepwell.clock import Alarm, Clock
from stepwell.contexts import StepContext
from stepwell.core.failures import Failure, describe
from stepwell.core.records import Attributes, Key
from stepwell.core.retries import delay_function
from stepwell.core.step_answers import Attempt
from stepwell.core.steplog import timed_out
from stepwell.errors import (
    InstanceTooLarge,
    NonRetryableDelayError,
    TurnClosed,
    UnreadableValue,
    WorkflowInternalError,
    WorkflowTimeoutError,
)
from stepwell.isolation import Isolation
from stepwell.notes import AttemptSink, Notebook
from stepwell.problems import Unstorable, problem_of
from stepwell.scope import AuthorExit, TaskScope
from stepwell.shared_slots import HELD_LIMITS, SharedSlots
from stepwell.stage import StandIns
from stepwell.step_processes import StepProcesses
from stepwell.store.link import RunStep
from stepwell.store.operations import Claim
from stepwell.streams import StoredResult, TurnStreams
from stepwell.threads import Threads
from stepwell.trace_context import enter_attempt
from stepwell.traces import HandedOn, Trace
from stepwell.values import Classes


class Finishing(Protocol):
    """The order in which attempts end that are in flight at the same time."""

    async def turn_comes(self) -> None:
        """Wait until an attempt whose body has ended may end."""


class AttemptHost(CallPort, Protocol):
    """The turn, as its attempts see it."""

    claim: Claim
    clock: Clock
    threads: Threads
    streams: TurnStreams
    classes: Classes
    notebook: Notebook
    slots: SharedSlots
    stand_ins: StandIns | None
    quick_bodies: QuickBodies
    # Who decides in which order attempts end whose bodies have ended; None: nobody.
    finishing: Finishing | None
    # Where steps run in processes of their own; None: those run where all do.
    processes: StepProcesses | None
    trace: Trace | HandedOn | None

    def instance_key(self) -> str:
        """Return what tells the instance from all others."""

    async def before_body(self, *, is_elsewhere: bool) -> None:
        """Wait until an attempt's body may run, which it does in this process or elsewhere."""

    def quiet(self, scope: TaskScope) -> None:
        """All tasks of a scope are blocked."""

    def advance(self) -> None:
        """Go on after an attempt has failed, or what is waited for has changed."""

    def flush(self, *, may_wait: bool) -> None:
        """Send what is new; `may_wait`: with what else comes in this pass of the loop. The answer leads on."""

    def fatal(self, error: Failure) -> None:
        """End the instance: an attempt failed in a way that nothing can catch."""

    def broke(self, error: BaseException) -> None:
        """End the turn: the engine has a defect."""

    def help(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the author's code, until the turn ends."""


class AttemptSignals:
    """What goes between an attempt and its body, which may be in a thread: signs of life one way, the end the other."""

    def __init__(self, hear: Callable[[], None], classes: Classes) -> None:
        self.is_cancelled = False
        self.details: Any = None
        self.attributes: Attributes = {}
        # Stored text of what was said last, until it is taken note of.
        self.latest: str | None = None
        self._hear = hear
        self._classes = classes
        self._loop = asyncio.get_running_loop()

    def end(self) -> None:
        """Let the body know that nothing comes of it any more."""
        self.is_cancelled = True
        # It leads back to the attempt: without the ring no garbage collection is needed for each of them.
        self._hear = _nothing

    def beat(self, details: Any) -> None:
        """Take note of a sign of life. Raises TurnClosed if the attempt is over, or NotSerialisable."""
        if self.is_cancelled:
            raise TurnClosed("the attempt was ended; nothing comes of what it still does")
        self.latest = values.encode(details, "details", self._classes)
        # An empty context: it is not work of the author's.
        self._loop.call_soon_threadsafe(self._hear, context=Context())

    def describe(self, given: object) -> None:
        """Take note of attributes. Raises WorkflowFatalError."""
        self.attributes = merged(self.attributes, given)


class RunningAttempt(Struct, eq=False):
    """An attempt in flight."""

    call: StepCall
    attempt: Attempt
    scope: CallScope
    signals: AttemptSignals
    sink: AttemptSink
    task: asyncio.Task[None] | None = None
    # That of the next look at its signs of life, if it is to give any.
    alarm: Alarm | None = None
    began_at: int = 0
    heard_at: int = 0
    is_closed: bool = False


class Attempts:
    """The attempts in flight of one turn, by key."""

    def __init__(self, host: AttemptHost) -> None:
        self._host = host
        self._running: dict[Key, RunningAttempt] = {}
        self._time_outs = Deadlines(host.clock, self._time_out)
        # Results of steps called inside a step, kept for its next attempt, which calls them again.
        self._nested: dict[Key, list[Key]] = defaultdict(list)
        # What closed attempts have left behind: tasks that have yet to end, or that swallowed their cancellation.
        self._left: dict[asyncio.Task[Any], None] = {}

    def __len__(self) -> int:
        return len(self._running)

    def __iter__(self) -> Iterator[Key]:
        return iter(list(self._running))

    def are_blocked(self) -> bool:
        """Tell whether no body can go on, as it waits for steps of its own alone; also if there are none."""
        return all(
            scope.unanswered() and scope.is_settled and not scope.has_timer() and scope.foreign_wait() is None
            for scope in self.scopes()
        )

    def scopes(self) -> list[CallScope]:
        """Return the scopes of the bodies."""
        return [running.scope for running in self._running.values()]

    def start(self, call: StepCall, now: int) -> RunningAttempt:
        """Record that an attempt begins; `launch` runs it."""
        execution = self._host.execution
        attempt = execution.start_attempt(call.key, now)
        scope = CallScope(self._host.quiet, self._host, call.key)
        if call.key in self._nested:
            # A call that an earlier attempt cancelled has no outcome any more.
            nested = self._nested[call.key] = [key for key in self._nested[call.key] if key in execution.outcomes]
            scope.results.extend(nested)
        sink = self._host.notebook.attempt_sink(call.key, attempt.number, sensitive=bool(attempt.config.sensitive))
        signals = AttemptSignals(lambda: self.hear(running), self._host.classes)
        running = self._running[call.key] = RunningAttempt(call, attempt, scope, signals, sink)
        return running

    def launch(self, running: RunningAttempt, now: int) -> None:
        """Run the body of an attempt that was started."""
        running.began_at = now
        if self._isolation(running.call) is None:
            self.begin_time(running, now)
        context = running.call.context.copy()
        context.run(SINK.set, running.sink)
        if (limit := running.call.body.traits.limit) is not None:
            context.run(HELD_LIMITS.set, context.get(HELD_LIMITS, frozenset()) | {limit})
        running.task = running.scope.run_in(context, self._attempt(running), running.call.key.label)

    def may_be_forgotten(self, begun: Sequence[RunningAttempt]) -> bool:
        """Tell whether the beginnings of attempts may reach the store with their ends: they will be there at once.

        Not where it would have to be undone, or is the last, should the process die in the middle of it; nor where it
        may take long, as people want to see what is in flight even while a body holds up the loop.
        """
        return bool(begun) and all(map(self._may_be_forgotten, begun))

    def begin_time(self, running: RunningAttempt, now: int) -> None:
        """Let the time of an attempt begin."""
        self._time_outs.set(running.call.key, now + timeout_ms(running.attempt))
        running.heard_at = now
        self._watch_heartbeat(running)

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
        self._host.slots.leave(key)

    def end_cut(self) -> None:
        """End the attempts of steps that were completed or failed by hand."""
        for key in self._host.execution.forcing.take_cut():
            self.end(key)

    async def stop(self, grace_ms: int) -> None:
        """End all attempts, and wait a little for what is left of them."""
        for key in self:
            self.end(key)
        self._time_outs.cancel()
        if self._left:
            await asyncio.wait(list(self._left), timeout=grace_ms / 1000)

    def left(self) -> list[asyncio.Task[Any]]:
        """Return what still lives of attempts that have ended."""
        return list(self._left)

    def _may_be_forgotten(self, running: RunningAttempt) -> bool:
        body = running.call.body
        is_free = body.traits.rollback is None and body.traits.isolation is None
        return is_free and running.attempt.may_be_forgotten and body.function in self._host.quick_bodies

    def _isolation(self, call: StepCall) -> Isolation | None:
        return None if self._host.processes is None else call.body.traits.isolation

    async def _attempt(self, running: RunningAttempt) -> None:
        isolation = self._isolation(running.call)
        try:
            await self._host.before_body(is_elsewhere=isolation is not None)
            details = await self._details(running) if running.attempt.ordinal > 1 else None
            # Not since it was launched: others' bodies may have held the loop until now.
            running.began_at = self._host.clock.now()
            if isolation is not None:
                result = await self._elsewhere(running, isolation, details)
            else:
                result = await self._here(running, details)
            # One that was ended, and goes on all the same, must not touch what the next one stores.
            if isinstance(result, AsyncIterable) and not running.is_closed:
                result = await self._host.streams.store(result, running.call.key, running.attempt.ordinal)
        except BaseException as error:  # the author's code may raise anything
            if running.is_closed:
                raise
            self._conclude(running, error)
        else:
            if not running.is_closed:
                self._succeed(running, result)

    async def _here(self, running: RunningAttempt, details: str | None) -> Any:
        """Run the body of an attempt in this process."""
        if details is not None:
            # What cannot be read any more is nothing.
            with suppress(UnreadableValue):
                running.signals.details = values.decode(details, self._host.classes)
        stand_in = self._stand_in(running)
        context = StepContext(self._facts(running) if running.call.body.wants_ctx else {}, running.signals)
        enter_attempt(self._host.trace, running.attempt)
        try:
            return stand_in() if stand_in is not None else await call_body(running.call, context, self._host.threads)
        finally:
            if self._host.finishing is not None and not running.is_closed:
                await self._host.finishing.turn_comes()

    def _stand_in(self, running: RunningAttempt) -> Callable[[], Any] | None:
        stand_ins, call = self._host.stand_ins, running.call
        return None if stand_ins is None else stand_ins.body(call.key, running.attempt.number, call.body)

    def _facts(self, running: RunningAttempt) -> dict[str, Any]:
        return step_facts(running.attempt, self._host.instance_key(), self._host.trace)

    async def _elsewhere(self, running: RunningAttempt, isolation: Isolation, details: str | None) -> StoredResult:
        """Run the body of an attempt in a process of its own. Raises BodyFailed or StepProcessDied."""
        assert self._host.processes is not None
        claim = structs.replace(self._host.claim, history=None)
        asked = RunStep(claim, running.attempt, isolation, details)
        # An empty context: the process, and what it asks of the store, are no work of the author's tasks.
        work = self._host.processes.run(asked, _Listener(self, running, self._host))
        return await asyncio.get_running_loop().create_task(work, context=Context())

    def _succeed(self, running: RunningAttempt, result: object) -> None:
        key, now = running.call.key, self._host.clock.now()
        self._note_time(running, now)
        try:
            text, stream = self._text(running.call, result)
            self.end(key)
            self._host.execution.succeeded(key, text, now, stream)
            self._host.flush(may_wait=True)
        except InstanceTooLarge as error:
            self._conclude(running, Unstorable(error))
        except (Unstorable, WorkflowInternalError) as error:
            self._conclude(running, error)
        except Exception as error:  # a defect must end this turn, not hang it
            self._host.broke(error)

    def _note_time(self, running: RunningAttempt, now: int) -> None:
        self._host.quick_bodies.ran(running.call.body.function, now - running.began_at)

    def _text(self, call: StepCall, result: object) -> StoredResult:
        if isinstance(result, StoredResult):
            return result
        return StoredResult(stored(call, result, self._host.classes, self._host.execution.rules.result_bytes))

    def _conclude(self, running: RunningAttempt, error: BaseException) -> None:
        self._note_time(running, self._host.clock.now())
        try:
            self._fail(running, error.error if isinstance(error, AuthorExit) else error)
        except Exception as defect:  # a defect must end this turn, not hang it
            self._host.broke(defect)

    def _fail(self, running: RunningAttempt, error: BaseException) -> None:
        problem = problem_of(error, running.call.config, self._host.classes)
        key, failure, now = running.call.key, problem.failure, self._host.clock.now()
        self._host.notebook.failure(key, running.attempt.number, problem.trace)
        if problem.ruins:
            self._give_up(key, failure)
            self._host.fatal(failure)
        elif problem.is_last:
            self._give_up(key, failure)
            self._host.advance()
        elif self._host.stand_ins is not None and self._host.stand_ins.retries_at_once(key):
            self._try_again(key, failure, 0)
        elif problem.wait_ms is not None:
            self._try_again(key, failure, problem.wait_ms)
        elif delay_function(running.call.config) is not None and not self._host.execution.is_last_attempt(key):
            self._close(running)
            self._host.help(self._fail_after_asking(running, failure))
        else:
            self.end(key)
            delay_ms = base_delay_ms(running.attempt.config, self._host.execution.rules.defaults)
            self._host.execution.failed(key, failure, delay_ms, now)
            self._host.advance()

    def _try_again(self, key: Key, failure: Failure, wait_ms: int) -> None:
        """Fail an attempt whose wait for the next one no backoff multiplies."""
        self.end(key)
        self._host.execution.failed_until(key, failure, wait_ms, self._host.clock.now())
        self._host.advance()

    def _give_up(self, key: Key, failure: Failure) -> None:
        self.end(key)
        self._host.execution.gave_up(key, failure, self._host.clock.now())

    async def _fail_after_asking(self, running: RunningAttempt, failure: Failure) -> None:
        """Fail an attempt whose delay is told by the author's function. It counts as in flight meanwhile."""
        execution, key = self._host.execution, running.call.key
        answer = await self._asked_delay(running, failure)
        if self._running.get(key) is not running:
            return
        # It was closed when it failed.
        del self._running[key]
        self._host.slots.leave(key)
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
        question = DelayQuestion(self._facts(running), failure, running.call.key.label)
        try:
            return await ask_delay(function, question, self._host.threads, self._host.clock)
        except NonRetryableDelayError as error:
            return describe(error)

    def _time_out(self, key: Key) -> None:
        running = self._running[key]
        self._conclude(running, WorkflowTimeoutError(timed_out(timeout_ms(running.attempt)).message))

    def _watch_heartbeat(self, running: RunningAttempt) -> None:
        """Fail the attempt when it has been silent for too long; look again when it has not."""
        silence_ms = durations.to_ms(running.attempt.config.heartbeat) if running.attempt.config.heartbeat else None
        if silence_ms is None or running.is_closed:
            return
        due_at = running.heard_at + silence_ms
        if self._host.clock.now() >= due_at:
            self._conclude(running, WorkflowTimeoutError(f"No heartbeat came for {silence_ms}ms"))
            return
        running.alarm = self._host.clock.call_at(due_at, lambda: self._watch_heartbeat(running))

    def hear(self, running: RunningAttempt) -> None:
        """Take note of the last sign of life, if there is one that was not heard yet."""
        details, running.signals.latest = running.signals.latest, None
        if details is not None and not running.is_closed:
            running.heard_at = self._host.clock.now()
            self._host.notebook.heartbeat(running.call.key, running.attempt.generation, details)

    async def _details(self, running: RunningAttempt) -> str | None:
        """Return what an earlier attempt said of itself last, as stored text."""
        return await self._host.notebook.heartbeat_details(running.call.key, running.attempt.generation)

    def _close(self, running: RunningAttempt) -> None:
        """Let nothing more come of an attempt, and end what its body had begun."""
        self.hear(running)
        if running.signals.attributes:
            self._host.execution.describe(running.call.key, running.signals.attributes)
        running.is_closed = True
        running.signals.end()
        running.sink.close()
        self._time_outs.drop(running.call.key)
        if running.alarm is not None:
            running.alarm.cancel()
        scope = running.scope
        scope.is_closed = True
        for key in [*scope.unanswered(), *(call.key for call in scope.to_begin)]:
            self.end(key)
            self._host.execution.forget(key, self._host.clock.now())
        current = asyncio.current_task()
        for task in list(scope.tasks):
            if task is not current:
                task.cancel()
                self._left[task] = None
                task.add_done_callback(self._forget, context=Context())

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._left.pop(task, None)


class _Listener:
    """Hears of an attempt in a process of its own."""

    def __init__(self, attempts: Attempts, running: RunningAttempt, host: AttemptHost) -> None:
        self._attempts = attempts
        self._running = running
        self._host = host

    def begins(self) -> None:
        if not self._running.is_closed:
            self._attempts.begin_time(self._running, self._host.clock.now())

    def said(self, level: str, text: str, *, always: bool) -> None:
        self._running.sink.take(level, text, always=always)

    def beat(self, details: str) -> None:
        self._running.signals.latest = details
        self._attempts.hear(self._running)

    def described(self, attributes: Attributes) -> None:
        self._running.signals.attributes = attributes

    def progressed(self, value: str) -> None:
        if not self._running.is_closed:
            self._host.notebook.progress(value, from_run=False)


def timeout_ms(attempt: Attempt) -> int:
    """Return how long an attempt may take."""
    return durations.to_ms(attempt.config.timeout) or 0


def _nothing() -> None:
    """Nobody hears it."""
