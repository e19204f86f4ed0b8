"""The workers of a simulated world: real ones, each in a lane of its own, with a clock and a line to the store."""

import asyncio
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from stepwell.clock import SystemClock
from stepwell.errors import StoreUnavailable
from stepwell.settings import TurnContext
from stepwell.store.operations import LEASE_FOR_EVER, EndLease, Operation, RenewLease
from stepwell.worker import Worker, WorkerSettings
from stepwell.workflow import WorkflowEntrypoint
from tests.simulation.faults import OF_OPERATIONS, OF_PROCESSES, Fault, Faults
from tests.simulation.loop import WORLD, SimulatedLoop
from tests.simulation.pipe import Pipe
from tests.simulation.watched import WatchedStore

EPOCH_MS = 1_790_000_000_000
# How long a worker is believed alive that does not renew its lease, as with hosts of a database.
LEASE_S = 8.0
# How far clocks are apart: by as much as hosts that agree, or by what a clock is set by.
SKEWS_MS = (0, 0, 40, -40, 900, -900)
JUMPS_MS = (-3_600_000, -30_000, -3_000, -100, 100, 3_000, 30_000, 3_600_000)
# How long a process stands still, or is cut off.
_PAUSES_S = (0.01, 1.0, 7.0, 12.0, 60.0, 300.0)
# After how long a death is seen, and another process started.
_SEEN_S = (0.0, 0.01, 3.0)
_REPLACED_S = (0.01, 1.0, 30.0)
# How long one that has lost its lease goes on as if nothing had been, until somebody ends it.
_UNDEAD_S = (0.5, 10.0, 60.0)
# How often one comes back just when a turn is taken from it, and how long after that.
_BACK_AT_ONCE = 0.5
_BACK_S = (0.0, 0.0002, 0.001, 0.003, 0.1)


class SimulatedClock(SystemClock):
    """A machine's clock in virtual time, which may be ahead or behind, and may be set."""

    def __init__(self, loop: SimulatedLoop, offset_ms: int = 0) -> None:
        self._loop = loop
        self.offset_ms = offset_ms

    def now(self) -> int:
        """Return the time in milliseconds since the epoch."""
        return EPOCH_MS + int(self._loop.time() * 1000) + self.offset_ms


class Process:
    """One worker's process, from its start to its death."""

    def __init__(self, fleet: "Fleet", name: str) -> None:
        self.name = name
        self.fleet = fleet
        self.is_dead = False
        self.worker: Worker | None = None
        self.clock = SimulatedClock(fleet.loop, fleet.faults.rng.choice(SKEWS_MS) if fleet.has_skew else 0)
        self.pipe = Pipe(name, fleet.store, fleet.faults.rng, self._strike)
        self._task: asyncio.Task[None] | None = None
        self._is_hit = False
        # It stands still, or is cut off.
        self.is_away = False
        # Now and then one has older code, without the last of the workflows. What it puts back for a minute it would be
        # the first to find due again, each time, if its clock were ahead of all others.
        may_be_older = any(not other.is_dead and not other.is_older for other in fleet.processes)
        self.is_older: bool = may_be_older and fleet.faults.rng.random() < 0.4 and fleet.has_one_time

    def start(self) -> None:
        """Begin, in a lane of its own."""
        self.fleet.loop.start_in(self.name, self._begin)

    def _begin(self) -> None:
        self._task = self.fleet.loop.create_task(self._live(), name=self.name)

    async def _live(self) -> None:
        context = replace(self.fleet.context, store=self.pipe, clock=self.clock)
        settings = WorkerSettings(self.name, capacity=self.fleet.capacity)
        known = [*self.fleet.workflows.items()]
        workflows = dict(known[:-1] if self.is_older else known)
        while True:
            worker = Worker(context, workflows, settings=settings)
            try:
                await worker.start()
            except StoreUnavailable:
                await asyncio.sleep(1)
            else:
                break
        self.worker = worker
        await worker.run()

    def turn_of(self, row: int) -> int | None:
        """Return the turn that it holds of an instance, as far as it knows."""
        turn = None if self.worker is None else self.worker.turns.get(row)
        return None if turn is None else turn.claim.turn

    # ---- what goes wrong

    def _strike(self, operation: Operation[Any]) -> Fault | None:
        """Say what goes wrong with an operation that is on its way."""
        is_ready = self.worker is not None and not self._is_hit
        may_be = OF_OPERATIONS + OF_PROCESSES if is_ready else OF_OPERATIONS
        fault = self.fleet.faults.next(operation, may_be=may_be)
        if fault is not None:
            self.fleet.disturbed()
        if fault is None or fault in OF_OPERATIONS:
            return fault
        if fault is Fault.CUT and self.fleet.faults.rng.random() < 0.5:
            # What is being sent is the first that does not get through.
            self._suffer(fault)
            return None
        # At some moment soon, not always just behind what has been sent.
        self._is_hit = True
        delay = self.fleet.faults.rng.choice((0.0, 0.0001, 0.001, 0.5))
        self.fleet.loop.call_in(WORLD, delay, self._suffer, fault)
        return None

    def _suffer(self, fault: Fault) -> None:
        self._is_hit = False
        if self.is_dead or self.worker is None:
            return
        rng, loop = self.fleet.faults.rng, self.fleet.loop
        self.fleet.store.note(self.name, f"suffers: {fault}")
        match fault:
            case Fault.STALL:
                loop.stand_still(self.name)
                self._go_away()
            case Fault.CUT:
                self.pipe.cut()
                self._go_away()
            case Fault.DEATH:
                self.die()
            case Fault.DRAIN:
                loop.start_in(self.name, lambda: loop.create_task(self._drain(), name=f"{self.name} stops"))
            case Fault.JUMP:
                self.clock.offset_ms = rng.choice(JUMPS_MS)
            case Fault.DEAF:
                self.pipe.deaf_until = loop.time() + rng.choice(_PAUSES_S)

    def _go_away(self) -> None:
        """Come back after a while. Where that is longer than the lease it is over: by time, or as somebody says so."""
        loop, rng = self.fleet.loop, self.fleet.faults.rng
        self._is_hit = self.is_away = True
        pause_s = rng.choice(_PAUSES_S)
        if pause_s > LEASE_S:
            if rng.choice((True, False)):
                loop.call_in(WORLD, LEASE_S, self._end_lease)
            else:
                self._renew(EPOCH_MS + int((loop.time() + LEASE_S) * 1000))
                # Whoever looks finds what is lost, by whatever clock.
                for later_s in (LEASE_S, LEASE_S + 10, LEASE_S + 60):
                    loop.call_in(WORLD, later_s, self.fleet.look)
        loop.call_in(WORLD, pause_s, self.come_back)

    def come_back(self) -> None:
        """Go on as if nothing had been; whoever finds the lease lost ends this process after a while."""
        if self.is_dead or not self.is_away:
            return
        loop = self.fleet.loop
        self._is_hit = self.is_away = False
        loop.go_on(self.name)
        self.pipe.mend()
        is_renewed = self._renew(LEASE_FOR_EVER)
        is_lost = self.number in self.fleet.store.robbed | self.fleet.store.ended
        assert not (is_lost and is_renewed), f"{self.name} has renewed a lease that was over for others"
        if not is_renewed:
            loop.call_in(WORLD, self.fleet.faults.rng.choice(_UNDEAD_S), self.die)

    @property
    def number(self) -> int:
        """The worker's number; 0: it has none yet."""
        return 0 if self.worker is None else self.worker.number

    def _renew(self, until: int) -> bool:
        renewed = self.fleet.store.do(WORLD, RenewLease(self.number, until))
        assert isinstance(renewed, bool)
        return renewed

    def _end_lease(self) -> None:
        if self.is_dead or self.is_away:
            self.fleet.store.do(WORLD, EndLease(self.number))
            self.fleet.store.ended.add(self.number)

    def die(self) -> None:
        """Die; that is seen after a while, and another takes its place."""
        if self.is_dead:
            return
        self.is_dead = True
        self.pipe.die()
        self.fleet.store.note(self.name, "is dead")
        loop, rng = self.fleet.loop, self.fleet.faults.rng
        loop.go_on(self.name)
        loop.start_in(self.name, lambda: loop.create_task(self._fall(), name=f"{self.name} falls"))
        self._is_followed(rng.choice(_SEEN_S))

    async def _fall(self) -> None:
        """Let go of what a dead process would not have any more."""
        if self._task is not None:
            self._task.cancel()
        if self.worker is not None:
            await self.worker.abandon()

    async def _drain(self) -> None:
        assert self.worker is not None
        assert self._task is not None
        self.worker.drain()
        await asyncio.sleep(self.fleet.faults.rng.choice((0.0, 0.01, 20.0)))
        self.worker.interrupt()
        await asyncio.wait([self._task])
        if not self.is_dead:
            self.is_dead = True
            self.fleet.store.note(self.name, "has stopped")
            self._is_followed(0.0)

    def _is_followed(self, seen_s: float) -> None:
        loop, rng = self.fleet.loop, self.fleet.faults.rng
        if self.worker is not None:
            loop.call_in(WORLD, seen_s, self._end_lease)
        loop.call_in(WORLD, seen_s + rng.choice(_REPLACED_S), self.fleet.start_one)


class Fleet:
    """All workers of a world."""

    def __init__(
        self,
        store: WatchedStore,
        faults: Faults,
        context: TurnContext,
        workflows: Mapping[str, type[WorkflowEntrypoint]],
    ) -> None:
        self.loop = store.loop
        self.store = store
        self.faults = faults
        self.context = context
        self.workflows = workflows
        self.capacity = faults.rng.choice((1, 2, 500, 500))
        self.has_skew = faults.rng.choice((True, False))
        self.has_one_time = not self.has_skew and Fault.JUMP not in faults.kinds
        self.processes: list[Process] = []
        # Is told when something goes wrong.
        self.disturbed = _nothing
        store.robs = self.robbed

    def start_one(self) -> None:
        """Start a worker."""
        process = Process(self, f"worker {len(self.processes) + 1}")
        self.processes.append(process)
        process.start()

    def look(self) -> None:
        """Let all workers look for what is due, or lost."""
        for process in self.processes:
            if not process.is_dead and process.worker is not None:
                process.pipe.tell(process.worker.instance_due, 0)

    def robbed(self, number: int) -> None:
        """Bring a worker back at the very moment at which somebody takes a turn from it, now and then."""
        rng = self.faults.rng
        for process in self.processes:
            if process.number == number and process.is_away and rng.random() < _BACK_AT_ONCE:
                self.loop.call_in(WORLD, rng.choice(_BACK_S), process.come_back)

    def of_lane(self, lane: str) -> Process | None:
        """Return the process that has a lane."""
        return next((process for process in self.processes if process.name == lane), None)


def _nothing() -> None:
    """Nobody wants to hear of it."""
