"""One turn: the whole meeting of author code and core.

The author's `run` is a task of a scope that tells when all its tasks are blocked. Only then does the turn act, in
this order: it hands the author the next result that is on record; when there is none left it lets time and events
decide and begins the attempts that were asked for; when nothing is left to do it puts the instance back.

A turn that has ended is closed: the instance is let go, then every task is cancelled (Python runs `finally` then).
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context, copy_context
from typing import Any

from stepwell import endings
from stepwell.alarms import TurnAlarms
from stepwell.attempts import Attempts
from stepwell.bodies import classes_for
from stepwell.calls import AT_ONCE, CallScope, StepCall
from stepwell.capture import SINK, Sink
from stepwell.core.execution import Execution
from stepwell.core.failures import Failure
from stepwell.core.instance import fold_as_far_as_possible
from stepwell.core.records import OUTCOMES, RESULTS, Created, Key, Payload, Record, Recorded, Result, StepKind
from stepwell.core.step_answers import RunAttempt, StepAnswer
from stepwell.delivery import Delivery
from stepwell.divergences import Replay
from stepwell.endings import Endings, Park, Reason
from stepwell.errors import TurnClosed, TurnLost
from stepwell.facts import fact_of
from stepwell.labels import RunLabels
from stepwell.notes import Notebook
from stepwell.port import TurnPort, run_workflow
from stepwell.reader import Reader
from stepwell.recorder import Recorder, RecorderEvents
from stepwell.rollbacks import Rollbacks
from stepwell.scope import TaskScope, look_away
from stepwell.settings import TurnContext
from stepwell.shared_slots import SharedSlots
from stepwell.side_tasks import SideTasks
from stepwell.store.operations import Claim
from stepwell.streams import TurnStreams
from stepwell.traces import HandedOn, Trace
from stepwell.workflow import WorkflowEntrypoint

logger = logging.getLogger(__name__)


class Turn:
    """A stretch in which this process holds an instance."""

    _port_class: type[TurnPort] = TurnPort

    def __init__(self, claim: Claim, workflow: type[WorkflowEntrypoint[Any]], context: TurnContext) -> None:
        self.claim = claim
        self.classes, self.quick_bodies = classes_for(workflow, context.classes), context.quick_bodies
        self.notebook = Notebook(context.store, claim, context.clock, context.settings.output)
        # How many turns in a row were lost before this one, until it has an outcome; and who is to hear that it has.
        self.losses = claim.lost_turns
        self.cleared: Callable[[], None] = lambda: None
        # Tasks that were still alive when the turn was closed and given up.
        self.abandoned = 0
        self.clock, self.threads, self.processes = context.clock, context.threads, context.processes
        self.stand_ins, self.finishing = context.stand_ins(claim), context.finishing
        self.trace: Trace | HandedOn | None = None
        self.execution = Execution((), 0)
        self._workflow, self._context = workflow, context
        self._reader = Reader(context.store, context.clock, claim)
        events = RecorderEvents(self._heard, self._lost, self.broke)
        self._recorder = Recorder(context.store, claim, context.clock, events)
        self.main = CallScope(self.quiet, self)
        self.rollbacks = Rollbacks(self)
        self.labels = RunLabels(claim, self._reader.read)
        self.replay = Replay(self, context.divergences, is_strict=context.settings.fails_diverging)
        self._port = self._port_class(self)
        self.slots = SharedSlots(self, context.store)
        self.streams = TurnStreams(self, self._reader, self._port.work)
        self._calls: dict[Key, tuple[CallScope, StepCall]] = {}
        self.delivery = Delivery(self, self._reader, self._calls)
        # The scope of `run`, once the instance is rolled back in this turn.
        self._forward: CallScope | None = None
        self._attempts = Attempts(self)
        self._endings = Endings(self, context, self._recorder, self._attempts)
        self.notebook.idle = self.advance
        self._sink = self.notebook.run_sink()
        self._asking: dict[CallScope, None] = {}  # scopes with attempts to begin
        self._side_tasks = SideTasks(self._help_failed)
        self._run_task: asyncio.Task[Any] | None = None
        self._wish = endings.Wish()
        self._alarms = TurnAlarms(context.clock, context.settings.foreign_wait_ms, self.advance, self._stick)
        self._was_told = self._is_draining = self.is_over = self._is_closing = False

    # ---- what the worker calls

    async def run(self) -> None:
        """Hold the turn until the instance is put back, has ended, or is lost."""
        try:
            await self._open()
            await self._meet()
        except TurnLost:
            claim = self.claim
            logger.info("turn of %s/%s was lost", claim.workflow, claim.id, extra=fact_of(claim, "turn.lost"))
        finally:
            await self._close()

    def told(self) -> None:
        """Look for records from outside."""
        if self._run_task is None:
            self._was_told = True
        elif not self.is_over:
            self._recorder.refresh()

    def drain(self) -> None:
        """Begin no further attempt, and put the instance back when those in flight have ended."""
        self._is_draining = True
        self.advance()

    def interrupt(self) -> None:
        """Put the instance back now; attempts in flight are interrupted and do not count."""
        self._end_for(endings.Drained())

    def abandon(self) -> None:
        """Write nothing more, as if the process had died."""
        self.is_over = True
        self._recorder.stop()
        self.slots.fall_silent()

    def let_go(self) -> None:
        """Part with what leads back here, once the turn is over and nothing of it is alive."""
        if self.is_over and not self._alive():
            self._wish.forget()
            endings.part(self)

    def waits_for_real(self) -> bool:
        """Tell whether the author's code waits for a timer of its own, or is being ended: it, or what attempts left."""
        is_ending = self._is_closing or (self.is_over and bool(self._attempts.left()))
        return is_ending or any(scope.has_timer() for scope in self.scopes())

    def scopes(self) -> list[CallScope]:
        """Return the scopes of the author's code: that of `run`, and those of the attempts in flight."""
        return [self.main, *self._attempts.scopes()]

    def left_behind(self) -> list[str]:
        """Return where the tasks are that `run` has begun and that are still alive."""
        return self.main.places()

    # ---- what step calls lead to

    async def undo(self, call: StepCall) -> None:
        """Run a rollback, or find that it has run. Raises what it raised at last."""
        answer = self.execution.ask_rollback(call.key, call.config, self.clock.now())
        await self.result_of(self.main, call, answer)

    async def text(self, value: Payload) -> str:
        """Return a value's stored text, wherever it lies."""
        return await self._reader.text(value)

    def result_of(self, scope: CallScope, call: StepCall, answer: StepAnswer) -> Coroutine[Any, Any, Any]:
        """Return the result of a call, once it is on record; begin it if that is the answer to it."""
        self._calls[call.key] = (scope, call)
        if isinstance(answer, RunAttempt):
            self._ask(scope, call)
        return scope.result(call.key)

    def begin(self, call: StepCall) -> None:
        """Let an attempt begin that has its slot, if its result is still waited for."""
        scope, latest = self._calls[call.key]
        if scope.is_to_begin(call.key):
            self._ask(scope, latest)

    def _ask(self, scope: CallScope, call: StepCall) -> None:
        scope.to_begin.append(call)
        self._asking[scope] = None

    # ---- the beginning

    async def _open(self) -> None:
        """Read the history and start the author's code, unless the instance has to be given up."""
        history = await self._reader.history(self.claim)
        settings, now = self._context.settings, self.clock.now()
        try:
            self.execution = Execution(history.whole(), now, settings, step_limit=self.claim.step_limit)
        except Exception as error:  # whatever is wrong with it, the history is damaged
            self.execution.state = fold_as_far_as_possible(history.records)
            self.broke(error)
        self._recorder.begin(history.seq, self.execution.state.step_count)
        if self._wish.reason is not None:
            return
        if self.claim.lost_turns >= settings.lost_turns:
            self._end_for(endings.Fatal(endings.poisoned(self.claim.lost_turns)))
            return
        for key in self.execution.outcomes:
            if key.kind is not StepKind.ROLLBACK:
                self._route(key)
        created = history.records[0].record
        assert isinstance(created, Created)
        self.trace = self._context.tracing.of_instance(self.instance_key(), created)
        self._start(await self._reader.event(self.claim, created))

    def _start(self, event: dict[str, Any]) -> None:
        # A context of its own: what the worker's context holds is no business of the author's.
        work = run_workflow(self._workflow, self._context.env, event, self._port)
        self._begin(work, f"{self.claim.workflow}/{self.claim.id}", self._sink)
        if self._was_told:
            self.told()

    def _begin(self, work: Coroutine[Any, Any, Any], name: str, sink: Sink | None) -> None:
        context = copy_context()
        context.run(SINK.set, sink)
        task = self._run_task = self.main.run_in(context, work, name)
        # Whether it returns is not asked when all tasks are blocked: those that it leaves behind may never be.
        task.add_done_callback(self._returned, context=Context())

    def _returned(self, task: asyncio.Task[Any]) -> None:
        if task is not self._run_task:
            # The author's `run` has been left for its rollbacks.
            look_away(task)
            return
        self._sink.close()
        if self.is_over or not self._strays(task, may_begin=False):
            self._end_for(endings.Returned(task))

    # ---- the middle: what happens while the author's code runs

    def quiet(self, scope: TaskScope) -> None:
        """Act when all tasks of a scope are blocked: deliver the next result, or go on."""
        assert isinstance(scope, CallScope)
        if self.is_over or scope.is_closed or scope.is_loading:
            return
        try:
            if scope.deliver_next():
                if not (scope.pending or scope.is_loading):
                    self._alarms.watch_foreign(scope.foreign_wait())
            elif scope is self.main or scope.has_asked:
                scope.has_asked = False
                self._advance()
        except Exception as error:  # a defect must end this turn, not the loop
            self.broke(error)

    def advance(self) -> None:
        """Let time and events decide, begin what was asked for, and rest if there is nothing else to do."""
        if self.is_over:
            return
        try:
            self._advance()
        except Exception as error:  # a defect must end this turn, not the loop
            self.broke(error)

    def _advance(self) -> None:
        run = self._run_task
        if self._wish.reason or run is None or run.done() or not self.main.is_settled:
            return
        now = self.clock.now()
        for key in self.execution.settle(now):
            self._ask(*self._calls[key])
        self._attempts.end_cut()
        if self.execution.is_rolling_back and self._forward is None:
            self._collect()
            return
        may_begin = not (self._is_draining or self.execution.is_pausing)
        self.slots.wake(now)
        ready = self.slots.admitted(self._ready_calls()) if may_begin else []
        is_replayed = self.replay.may_diverge and self._awaited() is None
        if is_replayed and self._strays(run, may_begin=bool(ready or self._attempts)):
            return
        begun = [self._attempts.start(call, now) for call in ready[:AT_ONCE]]
        if not begun and self._may_rest(now):
            return
        # Sent before their bodies run, which may block the loop; or behind those that are over at once.
        may_wait = self._attempts.may_be_forgotten(begun) and not self.execution.has_new_results
        if not may_wait:
            self.flush()
        for running in begun:
            self._attempts.launch(running, now)
        self.flush(may_wait=may_wait)
        if later := ready[AT_ONCE:]:
            # Behind whatever else wants the loop.
            for call in later:
                self._ask(*self._calls[call.key])
            asyncio.get_running_loop().call_soon(self.advance, context=Context())
        self._alarms.set(self._next_due())

    def _next_due(self) -> int | None:
        """Return when time will decide something next; None: nothing waits for time."""
        due_at, slot_at = self.execution.next_due(), self.slots.next_at
        if due_at is None or slot_at is None:
            return due_at if slot_at is None else slot_at
        return min(due_at, slot_at)

    def _collect(self) -> None:
        """End the replay of an instance that is rolled back, when `run` has made all calls that it can make."""
        self._alarms.watch_foreign(where := self._awaited())
        if where is None:
            self._end_for(endings.Collected())

    def _awaited(self) -> str | None:
        """Return what `run` waits for outside of the engine; None: nothing."""
        return "a timer of the workflow's own code" if self.main.has_timer() else self.main.foreign_wait()

    def _ready_calls(self) -> list[StepCall]:
        ready: list[StepCall] = []
        for scope in [scope for scope in self._asking if scope.is_settled]:
            del self._asking[scope]
            ready += scope.take_to_begin()
        return ready

    def _may_rest(self, now: int) -> bool:
        """Give the reason to let the instance go if nothing keeps the turn open; tell whether it was given."""
        is_busy = self._recorder.is_busy or self.notebook.is_busy or self.execution.has_new_results
        is_busy = is_busy or self.slots.is_asking
        if self.execution.is_pausing and self._attempts.are_blocked() and not is_busy:
            # What is left of the attempts waits for steps of its own, which stand still.
            return self._end_for(endings.Drained())
        if self._attempts or is_busy:
            self._alarms.watch_foreign(None)
            return False
        if self._is_draining:
            return self._end_for(endings.Drained())
        due_at = self._next_due()
        where = self._awaited()
        if where is None and due_at is None and not self.slots.is_waiting:
            where = "something that only the workflow's own code can bring about"
        self._alarms.watch_foreign(where)
        return where is None and self._context.parks(due_at, now) and self._end_for(Park(due_at))

    def _strays(self, run: asyncio.Task[Any], *, may_begin: bool) -> bool:
        """Look whether the code goes another way than its history; tell whether the instance is to fail of it."""
        failure = self.replay.look(run, getattr(self._workflow.run, "__code__", None), may_begin=may_begin)
        return failure is not None and self._end_for(endings.Fatal(failure))

    def flush(self, *, may_wait: bool = False) -> None:
        """Send what is new; `may_wait`: with what else comes in this pass of the loop. The answer leads on."""
        if self.execution.has_new_results:
            # What a step has printed is stored no later than its result.
            self.notebook.flush()
        if records := self.execution.take():
            self._recorder.record(records, self.execution.state.step_count, may_wait=may_wait)

    def _heard(self, records: Sequence[Record], outside: Sequence[Recorded]) -> None:
        """Take note of what is durable, and of what came from outside."""
        for recorded in outside:
            self.execution.receive(recorded)
            self.slots.hear(recorded.record)
        if self.losses and any(isinstance(record, OUTCOMES) for record in records):
            self.losses = 0
            self.cleared()
        scopes: dict[CallScope, None] = {}
        for record in records:
            if isinstance(record, RESULTS):
                # One that was completed or failed by hand may have waited for a slot.
                self.slots.leave(record.key)
                if scope := self._route(record.key):
                    scopes[scope] = None
        if self.main in scopes and self._context.settings.replays_always and not self._attempts:
            self._end_for(endings.Drained())
            return
        for scope in scopes:
            if not scope.pending:
                self.quiet(scope)
        if outside or not self._recorder.is_busy:
            self.advance()

    def _route(self, key: Key) -> CallScope | None:
        """Queue a result for the scope that called it; None if that is over."""
        if key not in self.execution.outcomes:
            # Cancelled by an attempt of a body, and wanted again by the next before the cancellation was durable.
            return None
        parent = self.execution.parent_of(key)
        if parent is None:
            self.main.results.append(key)
            return self.main
        return self._attempts.route_nested(parent, key)

    # ---- what step calls and attempts need

    def cancelled(self, key: Key) -> Result | None:
        """Take note that the author cancels a call; return what is, or now will be, on record of it."""
        self._attempts.end(key)
        if self.is_over:
            return None
        result = self.execution.cancel(key, self.clock.now())
        self.flush()
        return result

    def instance_key(self) -> str:
        """Return what tells the instance from all others."""
        claim = self.claim
        return f"{claim.account}\0{claim.workflow}\0{claim.id}\0{self.execution.state.created_at}"

    async def before_body(self, *, is_elsewhere: bool) -> None:
        """Wait until an attempt's body may run: after a lost turn its start is durable first, so that it counts.

        Only until the instance has an outcome again: it waits for each start. A body elsewhere finds it in the store.
        """
        if self.losses or is_elsewhere:
            await self._recorder.durable()
            if self.is_over:
                raise TurnClosed("the turn ended before the attempt could begin")

    def fatal(self, error: Failure) -> None:
        """End the instance: an attempt failed in a way that nothing can catch."""
        self._end_for(endings.Fatal(error))

    def broke(self, error: BaseException) -> None:
        """End the turn: the engine has a defect, or the history is damaged."""
        self._end_for(endings.Broken(error))

    def help(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the author's code, until the turn ends."""
        self._side_tasks.begin(work)

    def _help_failed(self, error: BaseException) -> None:
        if isinstance(error, TurnLost):
            self._lost()
        else:
            self.broke(error)

    # ---- reasons to end

    def _stick(self, where: str) -> None:
        self._end_for(endings.Stuck(where))

    def _lost(self) -> None:
        self.is_over = True
        self._end_for(endings.Lost())

    def _end_for(self, reason: Reason) -> bool:
        self._wish.end_for(reason, is_over=self.is_over)
        return True

    # ---- the end

    async def _meet(self) -> None:
        """Wait for a reason to end the turn, until one holds."""
        while True:
            await self._wish.wait()
            if isinstance(self._wish.reason, Park) and not self.is_over:
                # Other callbacks have run since. It is decided again, and none runs until the release is sent.
                self._wish.forget()
                self.advance()
            if self._wish.reason is None:
                continue
            if self._is_collected():
                self._roll_back()
                continue
            self.is_over = True
            if await self._endings.end(self._wish.reason, self.execution):
                return
            self.is_over = False
            if self.execution.is_rolling_back and self._forward is None:
                self._roll_back()
                continue
            self._wish.forget()
            if not self.main.pending:
                self.quiet(self.main)

    def _is_collected(self) -> bool:
        is_replayed = isinstance(self._wish.reason, endings.Collected | endings.Returned | endings.Stuck)
        return is_replayed and self.execution.is_rolling_back and self._forward is None

    def _roll_back(self) -> None:
        """Leave `run`, which may call nothing more, and run the rollbacks in a scope of their own."""
        if isinstance(self._wish.reason, endings.Returned):
            # A replay has met once more what the instance is rolled back for.
            look_away(self._wish.reason.task)
        self._wish.forget()
        self._alarms.cancel()
        self._forward, self.main = self.main, CallScope(self.quiet, self)
        self._forward.is_closed = True
        for task in list(self._forward.tasks):
            task.add_done_callback(look_away, context=Context())
            task.cancel()
        self._asking.clear()
        self.slots.leave_all()
        self.main.results.extend(key for key in self.execution.outcomes if key.kind is StepKind.ROLLBACK)
        self._begin(self.rollbacks.run(), "rollbacks", None)

    async def _close(self) -> None:
        """Cancel what is left of the author's code and wait a little for it."""
        self.is_over = self._is_closing = True
        self._recorder.stop()
        self._alarms.cancel()
        self._side_tasks.cancel()
        await self._attempts.stop(0)
        if isinstance(self._wish.reason, endings.Lost) or self.execution.is_pausing or self.execution.state.ended_at:
            self.slots.leave_all()
        self.main.is_closed = True
        for task in list(self.main.tasks):
            task.cancel()
        self.abandoned = await endings.abandoned(self._alive, self.claim, self._context.settings.close_grace_ms)
        self.notebook.close()
        self._is_closing = False

    def _alive(self) -> list[asyncio.Task[Any]]:
        forward = () if self._forward is None else self._forward.tasks
        return [*self.main.tasks, *forward, *self._attempts.left()]
