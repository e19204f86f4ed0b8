"""A whole engine inside the process, for tests: the store in memory, a worker, and a clock that stands still.

    async def test_order() -> None:
        async with TestEngine.open([Order]) as engine:
            instance = await engine.create(Order, id="42", params={"item": "book"})
            await engine.run_until_idle()
            assert await instance.output() == {"paid": True}

Sleeps, retry delays, time-outs and waits take no time: `advance` moves the clock past them, in order.
"""

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from stepwell import durations, flow, reasons, values
from stepwell.bindings import Env, WorkflowBinding
from stepwell.clock import VirtualClock
from stepwell.control import FromStep
from stepwell.core.failures import Failure
from stepwell.core.steplog import InstanceLog
from stepwell.core.why import Why
from stepwell.engine import Engine, InstanceView, NewInstance
from stepwell.expiry import Expiry
from stepwell.firings import Firings
from stepwell.forcing import Decision
from stepwell.limits import MOST_RETENTION_MS
from stepwell.scripts import schedules_of, workflow_name
from stepwell.server_settings import Settings
from stepwell.settings import TurnContext, TurnSettings
from stepwell.store import Store
from stepwell.store.label_operations import ReadLabels
from stepwell.store.operations import EndLease, RegisterWorkflow, VersionSettings
from stepwell.store.sqlite import SqliteStore
from stepwell.sweeps import Sweeps
from stepwell.testing.finishing import SeededOrder
from stepwell.testing.replays import Found
from stepwell.threads import Threads
from stepwell.values import Classes
from stepwell.worker import Worker
from stepwell.workflow import WorkflowEntrypoint, params_schema

ACCOUNT = "local"
_SCRIPT = "tests"

Workflow = type[WorkflowEntrypoint[Any]]


@dataclass(frozen=True, slots=True)
class TestInstance:
    """One instance, as a test sees it."""

    __test__ = False

    engine: Engine
    workflow: str
    id: str
    classes: Classes

    async def view(self) -> InstanceView:
        """Return everything about the instance."""
        return await self.engine.get(ACCOUNT, self.workflow, self.id)

    async def status(self) -> str:
        """Return the status."""
        return (await self.view()).row.status

    async def output(self) -> Any:
        """Return what `run` returned, or None."""
        output = (await self.view()).log.output
        return None if output is None else values.decode(await self.engine.payload(output), self.classes)

    async def error(self) -> Failure | None:
        """Return the error that ended the instance, if one did."""
        return (await self.view()).log.error

    async def log(self) -> InstanceLog:
        """Return the step log."""
        return (await self.view()).log

    async def labels(self) -> dict[str, str]:
        """Return its labels, by name."""
        return (await self.engine.store.run(ReadLabels((await self.view()).row.row))).labels

    async def why(self) -> Why:
        """Return why it does not go on."""
        return await reasons.explain(self.engine, ACCOUNT, self.workflow, self.id)

    async def force(self, decision: Decision) -> None:
        """Decide by hand what becomes of a step."""
        await self.engine.forcing.force(ACCOUNT, self.workflow, self.id, decision)

    async def pause(self) -> str:
        """Pause the instance; return its status then."""
        return await self.engine.control.pause(ACCOUNT, self.workflow, self.id)

    async def resume(self) -> str:
        """Let it go on; return its status then."""
        return await self.engine.control.resume(ACCOUNT, self.workflow, self.id)

    async def terminate(self, *, rollback: bool = False) -> str:
        """End it at once, or once its steps are rolled back; return its status then."""
        return await self.engine.control.terminate(ACCOUNT, self.workflow, self.id, rollback=rollback)

    async def resume_rollback(self) -> str:
        """Go on with its rollback, which has failed; return its status then."""
        return await self.engine.control.resume_rollback(ACCOUNT, self.workflow, self.id)

    async def restart(self, name: str | None = None, count: int = 1, type: str = "do") -> str:
        """Begin it again, as a whole or from a step; return its status then."""
        step = None if name is None else FromStep(name, count, type)
        return await self.engine.control.restart(ACCOUNT, self.workflow, self.id, step)

    async def delete(self) -> None:
        """Delete it."""
        await self.engine.control.delete(ACCOUNT, self.workflow, self.id)

    async def send_event(self, event_type: str, payload: Any = None) -> None:
        """Send an event."""
        await self.engine.send_event(
            ACCOUNT, self.workflow, self.id, event_type, values.encode_json(payload, "payload")
        )


class TestEngine:
    """An engine with its worker, in this process and on this event loop."""

    __test__ = False

    def __init__(
        self,
        store: Store,
        clock: VirtualClock,
        workflows: Iterable[Workflow],
        settings: TurnSettings,
        env: Mapping[str, Any] | None = None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.engine = Engine(store, clock)
        # What nobody says how long to keep is kept for ever: a test may look at it whenever it wants.
        kept = Settings(success_retention=MOST_RETENTION_MS, error_retention=MOST_RETENTION_MS)
        self._expiry = Expiry(store, clock, kept, pause_s=0)
        self._sweeps = Sweeps(store, clock, pause_s=0)
        self.threads = Threads()
        self._workflows = {workflow_name(workflow): workflow for workflow in workflows}
        self._classes = Classes(self._modules)
        bindings = {name.upper().replace("-", "_"): name for name in self._workflows}
        self.env = Env(
            {binding: WorkflowBinding(self.engine, ACCOUNT, name) for binding, name in bindings.items()}, env or {}
        )
        self._settings = settings
        self._worker: Worker | None = None
        self._task: asyncio.Task[None] | None = None
        self._found = Found()
        self._order = SeededOrder()
        self._firings = Firings(store, clock, self.engine.settings.schedule_catch_up, every_minute=False)
        self._firing: asyncio.Task[None] | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        workflows: Iterable[Workflow],
        *,
        settings: TurnSettings | None = None,
        store: Store | None = None,
        clock: VirtualClock | None = None,
        env: Mapping[str, Any] | None = None,
    ) -> AsyncIterator["TestEngine"]:
        """Open an engine that runs these workflows; on leaving it stops without waiting for anything.

        `env` has the variables of `self.env`, which also has a binding for each workflow: `ORDER_WORKFLOW`.
        """
        engine = cls(
            store if store is not None else SqliteStore.in_memory(),
            clock or VirtualClock(),
            workflows,
            settings or TurnSettings(),
            env,
        )
        await engine._register()
        await engine.start_worker()
        engine.start_firing()
        try:
            yield engine
        finally:
            await engine.stop_firing()
            await engine.crash()
            await engine.engine.terminations.stop()
            await engine.engine.jobs.stop()
            if store is None:
                await engine.store.close()
        engine._found.check()

    async def create(
        self, workflow: Workflow, *, id: str | None = None, params: Any = None, labels: Mapping[str, str] | None = None
    ) -> TestInstance:
        """Create an instance; nothing of it runs before the test awaits something."""
        name = workflow_name(workflow)
        text = "{}" if params is None else values.encode_json(params, "params")
        row = await self.engine.create(ACCOUNT, name, NewInstance(id, text, labels=labels or {}))
        return TestInstance(self.engine, name, row.id, self._classes_of(workflow))

    def instance(self, workflow: Workflow, id: str) -> TestInstance:
        """Return a handle of an instance that exists."""
        return TestInstance(self.engine, workflow_name(workflow), id, self._classes_of(workflow))

    async def run_until_idle(self) -> None:
        """Let everything happen that can happen without the clock moving on."""
        while True:
            await _until_loop_is_quiet()
            if not self.threads.running and self._order.let_one_go():
                continue
            if self._waits_for_real():
                await asyncio.sleep(0.001)
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
        end = self.clock.now() + ms
        await self.run_until_idle()
        while (moment := await self._next_moment()) is not None and moment <= end:
            self.clock.move_to(moment)
            await self.run_until_idle()
        self.clock.move_to(end)
        await self.run_until_idle()
        await self._expiry.look()
        await self._sweeps.sweep()
        await self.run_until_idle()

    async def _next_moment(self) -> int | None:
        """Delete what has expired, and return when the next alarm rings or the next instance expires."""
        moments = (await self._expiry.look(), self.clock.next_alarm_at())
        return min((moment for moment in moments if moment is not None), default=None)

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
        )
        classes = {(_SCRIPT, workflow.__name__): workflow for workflow in self._workflows.values()}
        self._worker = Worker(context, self._workflows, classes=classes)
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

    def _modules(self) -> list[ModuleType]:
        """Return the modules that the workflows are defined in."""
        return [sys.modules[workflow.__module__] for workflow in self._workflows.values()]

    def _classes_of(self, workflow: Workflow) -> Classes:
        output = values.annotation_of(workflow.run)
        return self._classes if output is None else self._classes.plus(output)

    def _take_worker(self) -> tuple[Worker | None, asyncio.Task[None] | None]:
        worker, task, self._worker, self._task = self._worker, self._task, None, None
        return worker, task

    async def _register(self) -> None:
        for name, workflow in self._workflows.items():
            await self.store.run(
                RegisterWorkflow(
                    ACCOUNT,
                    name,
                    _SCRIPT,
                    workflow.__name__,
                    "0" * 64,
                    _uuid(name, 1),
                    _uuid(name, 2),
                    self.clock.now(),
                    params_schema(workflow),
                    VersionSettings(schedules=schedules_of(workflow)),
                    flow=flow.to_text(workflow.flow, workflow.__name__),
                )
            )

    def _waits_for_real(self) -> bool:
        """Tell whether something is under way that passes in real time: a thread, a timer of the author's."""
        if self.threads.running or self._firings.is_firing:
            return True
        worker = self._worker
        return worker is not None and (worker.is_claiming or any(t.waits_for_real() for t in worker.turns.values()))


async def _until_loop_is_quiet() -> None:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0)
    # The loop's own queue of callbacks: when it is empty after a pass, nothing is left to run.
    while loop._ready:  # type: ignore[attr-defined]  # noqa: ASYNC110 - no public way to ask, nor to be told
        await asyncio.sleep(0)


def _uuid(name: str, number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name}/{number}"))
