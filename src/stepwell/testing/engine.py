"""A whole engine inside the process, for tests: the store in memory, a worker, and a clock that stands still.

    async def test_order() -> None:
        async with TestEngine.open([Order]) as engine:
            order = await engine.create(Order, id="42", params={"item": "book"})

            assert await order.wait_for_output() == {"paid": True}

Sleeps, retry delays, time-outs and waits take no time: the clock moves past them, in order.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from stepwell import durations, limits, values
from stepwell.bindings import WorkflowBinding
from stepwell.calls import CallScope
from stepwell.clock import VirtualClock
from stepwell.core.steplog import iso
from stepwell.engine import Engine, NewInstance
from stepwell.env import Env
from stepwell.errors import CannotStandIn, InstanceNotFound
from stepwell.expiry import Expiry
from stepwell.firings import Firings
from stepwell.runner import Turn
from stepwell.scope import install
from stepwell.server_settings import Settings
from stepwell.settings import TurnContext, TurnSettings
from stepwell.store import Store
from stepwell.store.operations import EndLease, ListInstances
from stepwell.store.sqlite import SqliteStore
from stepwell.sweeps import Sweeps
from stepwell.testing.code import Code, Workflow
from stepwell.testing.finishing import SeededOrder
from stepwell.testing.instance import ACCOUNT, TestInstance
from stepwell.testing.introspection import (
    InstanceIntrospector,
    IntrospectedStore,
    Introspections,
    WorkflowIntrospector,
)
from stepwell.testing.moments import moment_ms
from stepwell.testing.replays import Found
from stepwell.testing.stuck import unfinished
from stepwell.testing.waiting import FAR_MS, Patience, Waiting
from stepwell.threads import Threads
from stepwell.values import Classes
from stepwell.worker import Worker

PATIENCE_MS = 5_000

# So many turns are kept open at most while the clock is moved; the worker has room for more.
_KEPT_OPEN = 100


class TestEngine:
    """An engine with its worker, in this process and on this event loop."""

    __test__ = False

    # Whether turns stay open while the clock is moved on, and have real time for what the engine does not know. Else
    # each wait of more than a second is a replay, and whoever waits for something foreign is overtaken by the clock.
    keeps_turns = True

    def __init__(
        self,
        store: Store,
        clock: VirtualClock,
        code: Workflow | Iterable[Workflow] | str | Path,
        settings: TurnSettings | None,
        env: Mapping[str, Any] | None = None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.code = Code.of(code)
        self._workflows = self.code.workflows
        self.patience_ms = PATIENCE_MS
        self._stage = Introspections(lambda: self._keeps_turns, self._handle)
        introspected = IntrospectedStore(store, self._stage)
        self.engine = Engine(introspected, clock)
        self._waiting = Waiting(self)
        # What nobody says how long to keep is kept for ever: a test may look at it whenever it wants.
        kept = Settings(success_retention=limits.MOST_RETENTION_MS, error_retention=limits.MOST_RETENTION_MS)
        self._expiry = Expiry(store, clock, kept, pause_s=0)
        self._sweeps = Sweeps(store, clock, pause_s=0)
        # Whoever reads in a test in which order side by side steps have begun had better find them in that of the code.
        self.threads = Threads(are_kept=False)
        self._classes = Classes(self.code.modules)
        bindings = {
            binding: WorkflowBinding(self.engine, ACCOUNT, name) for binding, name in self.code.bindings.items()
        }
        self.env = Env(bindings, {**self.code.variables, **(env or {})})
        self._settings = settings or TurnSettings()
        # Who has said how turns behave knows when they are to be put back.
        self._may_keep_turns = self.keeps_turns and settings is None
        self._is_moving = False
        # When the next instance expires, and whether another may have ended since that was asked.
        self._expires_at: int | None = None
        self._may_expire = True
        self._worker: Worker | None = None
        self._task: asyncio.Task[None] | None = None
        self._found = Found()
        self._order = SeededOrder()
        self._firings = Firings(introspected, clock, self.engine.settings.schedule_catch_up, every_minute=False)
        self._firing: asyncio.Task[None] | None = None

    @classmethod
    @asynccontextmanager
    async def open(  # noqa: PLR0913 - what a test may say, by name
        cls,
        code: Workflow | Iterable[Workflow] | str | Path,
        *,
        settings: TurnSettings | None = None,
        store: Store | None = None,
        clock: VirtualClock | None = None,
        env: Mapping[str, Any] | None = None,
        now: datetime | int | str | None = None,
        patience: object = PATIENCE_MS,
    ) -> AsyncIterator["TestEngine"]:
        """Open an engine that runs workflows: classes, or a project by its path; on leaving it stops at once.

        `env` has variables of `self.env`, which also has a binding for each workflow: `ORDER_WORKFLOW`. `now` is where
        the clock begins. `patience`: how long real time may pass for what the clock does not move. Raises ScriptError,
        or RuntimeError or TypeError where the loop is not asyncio's own.
        """
        _require_asyncio()
        patience_ms = durations.to_ms(patience)
        if patience_ms is None:
            raise ValueError(f"patience must be {durations.EXPECTED}, got {patience!r:.100}")
        engine = cls(
            store if store is not None else SqliteStore.in_memory(),
            clock or (VirtualClock() if now is None else VirtualClock(moment_ms(now))),
            code,
            settings,
            env,
        )
        engine.patience_ms = patience_ms
        await engine._register()
        await engine.start_worker()
        engine.start_firing()
        unwatch = engine.store.watch(None, engine._changed, of_turns=False)
        try:
            yield engine
        finally:
            unwatch()
            await engine.stop_firing()
            await engine.crash()
            await engine.engine.terminations.stop()
            await engine.engine.jobs.stop()
            if store is None:
                await engine.store.close()
        engine._found.check()

    async def create(
        self,
        workflow: Workflow | str,
        *,
        id: str | None = None,
        params: Any = None,
        labels: Mapping[str, str] | None = None,
    ) -> TestInstance:
        """Create an instance of a class, or of a workflow by name; nothing runs before the test awaits something."""
        name = self.code.name_of(workflow)
        text = "{}" if params is None else values.encode_json(params, "params")
        row = await self.engine.create(ACCOUNT, name, NewInstance(id, text, labels=labels or {}))
        return self._handle(name, row.id)

    def instance(self, workflow: Workflow | str, id: str) -> TestInstance:
        """Return a handle of an instance, which need not be there yet."""
        return self._handle(self.code.name_of(workflow), id)

    def _handle(self, name: str, id: str) -> TestInstance:
        workflow = self.code.workflows.get(name)
        output = None if workflow is None else values.annotation_of(workflow.run)
        classes = self._classes if output is None else self._classes.plus(output)
        return TestInstance(self.engine, name, id, classes, self._waiting)

    # ---- introspection

    @asynccontextmanager
    async def introspect_instance(self, workflow: Workflow | str, id: str) -> AsyncIterator[InstanceIntrospector]:
        """Say what stands in for parts of an instance that is not there yet; on leaving, the instance is deleted.

        Raises CannotStandIn if it is there.
        """
        instance = self.instance(workflow, id)
        with suppress(InstanceNotFound):
            await instance.view()
            raise CannotStandIn(
                f"{instance.workflow}/{id} is there already: an instance is introspected before it is created"
            )
        introspector = self._stage.begin_instance(instance)
        try:
            yield introspector
        finally:
            self._stage.end_instance(instance)
            await _dispose([instance])

    @asynccontextmanager
    async def introspect_workflow(self, workflow: Workflow | str) -> AsyncIterator[WorkflowIntrospector]:
        """Say what stands in for parts of all instances that are created from now on; on leaving, they are deleted.

        A workflow has one such session at a time. Raises CannotStandIn.
        """
        name = self.code.name_of(workflow)
        newest = (await self.store.run(ListInstances(ACCOUNT, name, 1))).rows
        introspector = self._stage.begin_workflow(name, newest[0].row if newest else 0)
        try:
            yield introspector
        finally:
            self._stage.end_workflow(name)
            await _dispose(introspector.get())

    # ---- time

    async def run_until_idle(self) -> None:
        """Let everything happen that can happen without the clock moving on."""
        patience = Patience(self.patience_ms)
        while True:
            await _until_loop_is_quiet()
            if not self.threads.running and self._order.let_one_go():
                continue
            if self._waits_for_real():
                await patience.wait(self._real_waits)
            elif (alarm_at := self.clock.next_alarm_at()) is not None and alarm_at <= self.clock.now():
                # Set for a moment that is over; a real clock rings such an alarm at once.
                self.clock.move_to(self.clock.now())
            else:
                break
        self._found.check()

    def shuffle(self, seed: int) -> None:
        """Let steps that run side by side end in an order that is drawn from a seed: the same for the same seed."""
        self._order.begin(seed)

    async def advance(self, duration: object) -> None:
        """Move the clock on by milliseconds or a duration such as "1 day", through every alarm on the way."""
        ms = durations.to_ms(duration)
        if ms is None:
            raise ValueError(f"duration must be {durations.EXPECTED}, got {duration!r}")
        await self._advance_to(self.clock.now() + ms)

    async def advance_to(self, moment: datetime | int | str) -> None:
        """Move the clock on to a moment, as `advance` does: a datetime, milliseconds since 1970, or ISO text in UTC."""
        at = moment_ms(moment)
        if at < self.clock.now():
            raise ValueError(f"the clock never moves back: it is {iso(self.clock.now())} already, not {iso(at)}")
        await self._advance_to(at)

    async def _advance_to(self, end: int) -> None:
        await self.begin_moving()
        try:
            await self._settle_on_the_way()
            while (moment := await self._next_moment()) is not None and moment <= end:
                self.clock.move_to(moment)
                await self._settle_on_the_way()
            self.clock.move_to(end)
            await self._settle_on_the_way()
        finally:
            await self.end_moving()
        await self._expiry.look()
        await self._sweeps.sweep()
        await self.run_until_idle()

    # ---- what waiting needs

    async def settle(self) -> None:
        """Let everything happen that can happen without the clock moving on, and what takes real time, too.

        Raises WaitsForReal.
        """
        patience = Patience(self.patience_ms)
        await self.run_until_idle()
        while self._foreign_waits():
            await patience.wait(self._foreign_waits)
            await self.run_until_idle()

    async def begin_moving(self) -> None:
        """Keep turns open from now on, as the clock is about to be moved: a replay at each moment would take longer.

        Not where they have slots that others wait for: who is put back gives his to the next.
        """
        # How long instances are kept may have been changed.
        self._may_expire = True
        held = await self.engine.limits(ACCOUNT)
        self._is_moving = self._may_keep_turns and held.concurrency is None and not held.gates

    async def end_moving(self) -> None:
        """Put back the turns that were kept open, as somebody is about to look."""
        self._is_moving = False
        for turn in self._turns():
            turn.advance()
        await self.run_until_idle()

    def is_held(self, workflow: str, id: str) -> bool:
        """Tell whether a turn has an instance, which has not ended, then."""
        return any((turn.claim.workflow, turn.claim.id) == (workflow, id) for turn in self._turns())

    async def move_on(self) -> bool:
        """Move the clock on to the next moment at which something happens; False: there is none."""
        moment = await self._next_moment()
        if moment is None or moment - self.clock.now() > FAR_MS:
            return False
        self.clock.move_to(moment)
        return True

    async def unfinished(self) -> list[str]:
        """Return what each unfinished instance waits for, and what would help."""
        return await unfinished(self.engine, ACCOUNT)

    @property
    def _keeps_turns(self) -> bool:
        return self._is_moving and len(self._turns()) <= _KEPT_OPEN

    async def _settle_on_the_way(self) -> None:
        await (self.settle() if self.keeps_turns else self.run_until_idle())

    async def _next_moment(self) -> int | None:
        """Delete what has expired, and return when the next alarm rings or the next instance expires."""
        if self._may_expire or (self._expires_at is not None and self._expires_at <= self.clock.now()):
            self._may_expire, self._expires_at = False, await self._expiry.look()
        moments = (self._expires_at, self.clock.next_alarm_at())
        return min((moment for moment in moments if moment is not None), default=None)

    def _changed(self) -> None:
        self._may_expire = True

    async def start_worker(self) -> None:
        """Start the worker, after `crash` or `stop`."""
        context = TurnContext(
            self.store,
            self.clock,
            self.threads,
            self._settings,
            self.env,
            self._classes,
            finishing=self._order,
            divergences=self._found,
            stage=self._stage,
        )
        self._worker = Worker(context, self._workflows, classes=self.code.classes_of(self._workflows))
        await self._worker.start()
        self._task = asyncio.get_running_loop().create_task(self._worker.run())

    def start_firing(self) -> None:
        """Let schedules fire, after `stop_firing`."""
        self._firing = asyncio.get_running_loop().create_task(self._firings.run())

    async def stop_firing(self) -> None:
        """Let no schedule fire, as while no server runs."""
        if self._firing is not None:
            self._firing.cancel()
            await asyncio.wait([self._firing])
            self._firing = None

    async def crash(self) -> None:
        """Drop the worker as a killed process would be dropped, and end its lease as its parent would."""
        worker, task = self._take_worker()
        if worker is None or task is None:
            return
        task.cancel()
        await worker.abandon()
        await asyncio.wait([task])
        await self.store.run(EndLease(worker.number))

    async def stop(self) -> None:
        """Stop the worker politely: attempts in flight are interrupted."""
        worker, task = self._take_worker()
        if worker is None or task is None:
            return
        worker.drain()
        worker.interrupt()
        await asyncio.wait([task])
        await self.store.run(EndLease(worker.number))

    @property
    def workflows(self) -> list[str]:
        """The names of the workflows that it runs."""
        return list(self._workflows)

    def _take_worker(self) -> tuple[Worker | None, asyncio.Task[None] | None]:
        worker, task, self._worker, self._task = self._worker, self._task, None, None
        return worker, task

    async def _register(self) -> None:
        for registration in self.code.registrations(ACCOUNT, self.clock.now()):
            await self.store.run(registration)

    def _waits_for_real(self) -> bool:
        """Tell whether something is under way that passes in real time: a thread, a timer of the author's."""
        if self.threads.running or self._firings.is_firing:
            return True
        is_claiming = self._worker is not None and self._worker.is_claiming
        return is_claiming or any(turn.waits_for_real() for turn in self._turns())

    def _turns(self) -> list[Turn]:
        return [] if self._worker is None else list(self._worker.turns.values())

    def _real_waits(self) -> list[str]:
        """Say what is under way that passes in real time."""
        waits = [_real_wait(turn, scope) for turn in self._turns() for scope in turn.scopes()]
        return [wait for wait in waits if wait is not None] or ["what is left of code that has been ended"]

    def _foreign_waits(self) -> list[str]:
        """Say what author code waits for that the engine does not know."""
        return [
            _told(turn, scope, where)
            for turn in self._turns()
            for scope in turn.scopes()
            if not scope.is_closed and (where := scope.foreign_wait()) is not None
        ]


async def _until_loop_is_quiet() -> None:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0)
    # The loop's own queue of callbacks: when it is empty after a pass, nothing is left to run.
    while loop._ready:  # type: ignore[attr-defined]  # noqa: ASYNC110 - no public way to ask, nor to be told
        await asyncio.sleep(0)


def _require_asyncio() -> None:
    """Teach the loop what the engine needs of it. Raises RuntimeError, or TypeError for a loop that cannot learn it."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "a test engine runs on asyncio, and no asyncio loop runs here: under AnyIO's pytest plugin choose asyncio "
            'for the test, by a fixture `anyio_backend` that returns "asyncio"'
        ) from None
    install(loop)


async def _dispose(instances: Iterable[TestInstance]) -> None:
    for instance in instances:
        with suppress(InstanceNotFound):
            await instance.delete()


def _real_wait(turn: Turn, scope: CallScope) -> str | None:
    """Say what a scope's code waits for in real time; None: nothing."""
    if scope.has_timer():
        return _told(turn, scope, "a timer of its own, such as asyncio.sleep")
    where = scope.foreign_wait()
    return None if where is None else _told(turn, scope, where)


def _told(turn: Turn, scope: CallScope, where: str) -> str:
    step, instance = scope.counts.parent, f"{turn.claim.workflow}/{turn.claim.id}"
    if step is None:
        return f"`run` of {instance}, outside of its steps, waits for {where}"
    return f"step {step.label} of {instance} waits for {'its thread' if where == step.label else where}"
