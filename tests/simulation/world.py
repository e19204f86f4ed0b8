"""A simulated world: programs that several workers run while things go wrong, and clients that disturb them.

All that is drawn comes from one seed. In the end each instance has to have come to what its program comes to when
nothing disturbs it, and everything that a client was told is true.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

from stepwell import values
from stepwell.clock import VirtualClock
from stepwell.core.records import EventReceived, Key, PayloadRef, Recorded, StepKind, WaitEnded, WaitStarted
from stepwell.core.steplog import fold_log
from stepwell.engine import Engine
from stepwell.flow import Flow
from stepwell.settings import TurnContext, TurnSettings
from stepwell.store.flow_operations import AskSlot
from stepwell.store.operations import Operation, ReadPayload
from stepwell.sweeps import Sweeps
from stepwell.testing import ACCOUNT, TestEngine
from stepwell.threads import Threads
from tests.engine.programs import Work
from tests.engine.stores import CheckedStore
from tests.engine.ways import outcome
from tests.simulation.clients import Client, Told
from tests.simulation.faults import Fault, Faults
from tests.simulation.loop import WORLD, SimulatedLoop
from tests.simulation.pipe import Pipe
from tests.simulation.plans import DESKS, Plan, Steady, has_long_bodies, share_limits
from tests.simulation.processes import Fleet, Process, SimulatedClock
from tests.simulation.watched import LATEST_MS, WatchedStore

CLIENT = "client"
_MOST_RUNNING = 2
_OF_CLIENTS = (Fault.SLOW, Fault.REFUSED, Fault.UNANSWERED)
# The instance whose code runs.
_INSTANCE: ContextVar[str] = ContextVar("simulated_instance")
# After this nothing is late any more.
_SETTLED_S = 120.0


@dataclass(frozen=True)
class _AtWork:
    """A body that runs: the attempt of a step, in the turn of a process."""

    process: Process
    row: int
    turn: int
    step: tuple[str, Key]


class World:
    """Everything that there is in one simulation."""

    def __init__(self, loop: SimulatedLoop, rng: random.Random, plan: Plan) -> None:
        self.rng = rng
        self._plan = plan
        self.loop = loop
        self.trace: list[str] = []
        self.faults = Faults(rng)
        self.store = WatchedStore(loop, self.trace)
        self.bodies = 0
        self._errors = _Errors()
        self._at_work: dict[str, list[_AtWork]] = {name: [] for name in DESKS}
        self._is_sweeping = False
        # How often slots had been asked for at the last sweep for which nothing else gave a reason.
        self._asked = 0
        loop.sets_a_timer = self._sweeps_once_more
        self._failure: asyncio.Future[None] = loop.create_future()
        self._workflows = self._make_workflows()
        parks_always = rng.random() < 0.3
        settings = TurnSettings(
            lost_turns=1_000_000, parks_always=parks_always, hibernate_after_ms=rng.choice((1000, 1000, 60_000))
        )
        context = TurnContext(self.store, SimulatedClock(loop), Threads(), settings)
        self.fleet = Fleet(self.store, self.faults, context, self._workflows)
        self.fleet.disturbed = self._sweep_soon
        self._clock = SimulatedClock(loop)
        self._pipe = Pipe(CLIENT, self.store, rng, self._strike)
        self._engine = Engine(self._pipe, self._clock)

    async def run(self) -> None:
        """Live from the beginning to the end. Raises AssertionError or Stuck where something is not as it has to be."""
        self.loop.set_exception_handler(self._callback_failed)
        with self._errors.caught():
            told = await self._programs()
            await self._register()
            for _ in range(self.rng.randint(2, 4)):
                self.fleet.start_one()
            clients: list[asyncio.Task[None]] = []
            for one in told:
                self.loop.start_in(CLIENT, partial(self._begin, one, clients))
            living: asyncio.Future[Any] = asyncio.gather(*clients)
            await asyncio.wait([living, self._failure], return_when=asyncio.FIRST_COMPLETED)
            await (self._failure if self._failure.done() else living)
            await self._settle()
            for one in told:
                self._check(one)
            self.store.check_turns()
            self.store.check_slots(ACCOUNT)
        assert self._errors.told == [], self._errors.told

    def _begin(self, told: Told, clients: list[asyncio.Task[None]]) -> None:
        client = Client(told, self._engine, self._pipe, self._sweep_soon)
        clients.append(self.loop.create_task(client.live(), name=f"client of {told.id}"))

    def _strike(self, operation: Operation[Any]) -> Fault | None:
        fault = self.faults.next(operation, may_be=_OF_CLIENTS)
        if fault is not None:
            self._sweep_soon()
        return fault

    # ---- before it begins

    def _make_workflows(self) -> dict[str, type[Steady]]:
        world = self

        class Free(Steady):
            flow = Flow(shared=DESKS)
            witness = staticmethod(world.begins)

            async def run(self, event, step):
                _INSTANCE.set(event["instanceId"])
                return await super().run(event, step)

            async def labour(self, work, ctx):
                await world.labour(work, Key(StepKind.DO, ctx["step"]["name"], ctx["step"]["count"]))

        class Limited(Free):
            flow = Flow(limit=_MOST_RUNNING, shared=DESKS)

        self.store.most_running["limited"] = _MOST_RUNNING
        return {"free": Free, "limited": Limited}

    async def _programs(self) -> list[Told]:
        """Draw programs, and run each of them to its end while nothing disturbs it."""
        told = []
        for number in range(self.rng.randint(1, 4)):
            job = self._plan.draw(self.rng)
            expected = await outcome(job, CheckedStore())
            assert expected.status == "complete", expected
            if self._plan.is_crowded:
                share_limits(self.rng, job.params, ("desk",))
            elif self.rng.random() < 0.5:
                share_limits(self.rng, job.params, (None, *DESKS))
            # A body that sleeps for a month keeps its slot, and its place on its worker.
            name = "free" if has_long_bodies(job.params) else self.rng.choice(sorted(self._workflows))
            told.append(Told(f"i{number}", name, job, expected))
        if any(has_long_bodies(one.job.params) for one in told):
            self.fleet.capacity = 500
        return told

    async def _register(self) -> None:
        # It knows how workflows are made known.
        engine = TestEngine(self.store.inner, VirtualClock(self._clock.now()), self._workflows.values(), TurnSettings())
        await engine._register()

    # ---- what programs lead to

    def begins(self, key: Key) -> None:
        """See that no body begins whose success is on record, in a turn that is not lost."""
        self.bodies += 1
        id, process = _INSTANCE.get(), self._here()
        row = self.store.row_of(id)
        if process.is_dead or not self._holds(process, row):
            return
        if key in self.store.successes(row):
            self._fail(f"the body of {key} of {id} runs again on {process.name}: its success is on record")

    async def labour(self, work: Work, key: Key) -> None:
        """Take the time that a body takes, and see that no more share its limit than may."""
        duration_s = self.rng.choice((0.0, 0.0, 0.3, 20.0))
        if work.limit is None:
            await asyncio.sleep(duration_s)
            return
        id, process = _INSTANCE.get(), self._here()
        row = self.store.row_of(id)
        mine = _AtWork(process, row, process.turn_of(row) or 0, (id, key))
        at_work = self._at_work[work.limit]
        at_work.append(mine)
        try:
            steps = {one.step for one in at_work if self._is_at_work(one)}
            most = DESKS[work.limit].concurrency or 0
            if len(steps) > most:
                self._fail(f"{len(steps)} steps have a slot of {work.limit}, of {most}: {sorted(steps)}")
            await asyncio.sleep(duration_s)
        finally:
            at_work.remove(mine)

    def _here(self) -> Process:
        """Return the process whose code runs."""
        process = self.fleet.of_lane(self.loop.lane)
        assert process is not None
        return process

    def _holds(self, process: Process, row: int) -> bool:
        place, turn = self.store.place(row), process.turn_of(row)
        return place is not None and turn == place.turn

    def _is_at_work(self, one: _AtWork) -> bool:
        place = self.store.place(one.row)
        is_there = not (one.process.is_dead or self.loop.is_still(one.process.name))
        return is_there and place is not None and place.turn == one.turn and place.owner is not None

    # ---- what has to hold

    def _check(self, told: Told) -> None:
        history = self.store.history(ACCOUNT, told.workflow, told.id)
        received = Counter(
            (record.event_type, record.value) for _, record in history if isinstance(record, EventReceived)
        )
        assert received == told.events, f"{told.id} was sent {told.events}, and has {received}"
        kinds = Counter(type(record).__name__ for _, record in history)
        for kind, count in told.controls.items():
            name = kind.title().replace("_", "")
            assert kinds[name] >= count, f"{told.id}: {count} {kind} were acknowledged; on record are {kinds[name]}"
        self.store.check(ACCOUNT, told.workflow, told.id)
        _check_lateness(told.id, history)
        status, output = self._end_of(told, history)
        if told.is_terminated or (told.may_be_terminated and status == "terminated"):
            assert status == "terminated", f"{told.id} was terminated, and is {status}"
            return
        is_right = (status, output) == ("complete", told.expected.output)
        assert is_right, f"{told.id}: {status}, {output!r:.500}; undisturbed it comes to {told.expected.output!r:.500}"

    def _end_of(self, told: Told, history: Sequence[Recorded]) -> tuple[str, Any]:
        place, output = self.store.place(self.store.row_of(told.id)), fold_log(history).output
        assert place is not None
        if isinstance(output, PayloadRef):
            output = self.store.inner.run(ReadPayload(output.id)).result()
        return place.status, None if output is None else values.decode_json(output)

    async def _settle(self) -> None:
        """Let what is late arrive, and what is left be swept up."""
        await asyncio.sleep(_SETTLED_S)
        await self._sweeps().sweep()

    def _sweeps(self) -> Sweeps:
        return Sweeps(self.store.inner, self._clock, pause_s=0)

    def _sweep_soon(self) -> None:
        """Let be taken back what nobody will give back, as each server does now and then."""
        if not self._is_sweeping:
            self._is_sweeping = True
            self.loop.call_in(WORLD, 31.0, self._begin_sweep)

    def _sweeps_once_more(self) -> bool:
        """Sweep, if somebody has asked for slots since it was done for this reason: a server does so for ever."""
        asked, self._asked = self._asked, self.store.asked[AskSlot.__name__]
        if asked != self._asked:
            self._sweep_soon()
        return asked != self._asked

    def _begin_sweep(self) -> None:
        self._is_sweeping = False
        self.loop.create_task(self._sweeps().sweep(), name="sweep")

    def _fail(self, why: str | BaseException) -> None:
        if not self._failure.done():
            self._failure.set_exception(AssertionError(why) if isinstance(why, str) else why)

    def _callback_failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # What else is told there is of futures that nobody looks at, when they are collected.
        if "handle" in context:
            self._fail(context["exception"])


def _check_lateness(id: str, history: Sequence[Recorded]) -> None:
    """See that an event has been met soon after it came, or was waited for: not only when the wait was over."""
    began: dict[Key, int] = {}
    came: dict[int, int] = {}
    for seq, record in history:
        match record:
            case WaitStarted(key=key, at=at):
                began[key] = at
            case EventReceived(at=at):
                came[seq] = at
            case WaitEnded(key=key, at=at, event_seq=int() as event_seq):
                late_ms = at - max(began[key], came[event_seq])
                assert late_ms <= LATEST_MS, f"{id} has met an event {late_ms / 1000} s late"


class _Errors(logging.Handler):
    """Keeps the errors that the engine logs: each would be a defect."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(self.format(record))

    def caught(self) -> "_Caught":
        return _Caught(self)


class _Caught:
    def __init__(self, errors: _Errors) -> None:
        self._errors = errors

    def __enter__(self) -> None:
        logging.getLogger("stepwell").addHandler(self._errors)

    def __exit__(self, *_: object) -> None:
        logging.getLogger("stepwell").removeHandler(self._errors)
