"""What the store's tests have in common: how a scene is set, and records as short words."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from stepwell.core.instance import InstanceState, fold
from stepwell.core.records import (
    AttemptStarted,
    Completed,
    Created,
    EventReceived,
    Key,
    PauseAsked,
    Paused,
    Recorded,
    Restarted,
    Resumed,
    SleepStarted,
    StepConfig,
    StepKind,
    StepSucceeded,
    Terminated,
    Waiting,
)
from stepwell.core.standing import find_start
from stepwell.errors import StoreUnavailable
from stepwell.store import Store, codec
from stepwell.store.control_operations import (
    PauseInstance,
    RestartInstance,
    ResumeInstance,
    TerminateInstance,
)
from stepwell.store.operations import (
    AppendEvent,
    Claim,
    ClaimDue,
    Claims,
    Commit,
    CreateInstance,
    GetInstance,
    InstanceHistory,
    InstanceRow,
    Operation,
    RecordRow,
    RegisterWorker,
    RegisterWorkflow,
    Release,
    WorkflowRow,
)

A = TypeVar("A")
NOW = 1_790_000_000_000
LEASE = NOW + 60_000


async def register(
    store: Store,
    name: str = "orders",
    *,
    account: str = "acme",
    sha256: str = "aa",
    n: int = 1,
    at: int = NOW,
) -> WorkflowRow:
    """Make a workflow known."""
    ids = (f"{account}-{name}-{n}", f"{account}-{name}-version-{n}")
    return (await store.run(RegisterWorkflow(account, name, "shop", "Orders", sha256, *ids, at))).workflow


def creation(
    id: str = "a", *, workflow: str = "orders", account: str = "acme", params: str = "{}", at: int = NOW
) -> CreateInstance:
    """Say that an instance is to be created."""
    return CreateInstance(account, workflow, id, "api", codec.to_row(Created(at, "api", params)), at)


async def create(store: Store, *ids: str, at: int = NOW) -> list[InstanceRow]:
    """Create instances of `orders`, one after the other."""
    return [await store.run(creation(id, at=at)) for id in ids]


async def worker(store: Store, *, lease_until: int = LEASE) -> int:
    """Add a worker."""
    return await store.run(RegisterWorker("worker", lease_until, NOW))


async def claim(store: Store, worker: int, *, at: int = NOW, limit: int = 10, snapshot: int = 0) -> Claims:
    """Take what is due."""
    return await store.run(ClaimDue(worker, at, limit, snapshot))


async def held(store: Store, id: str = "a", *, workflow: str = "orders") -> Claim:
    """Register a workflow, create an instance and claim it; its history is then *created*, *running*."""
    await register(store, workflow)
    await store.run(creation(id, workflow=workflow))
    (turn,) = (await claim(store, await worker(store))).turns
    return turn


async def instance(store: Store, id: str = "a", *, workflow: str = "orders") -> InstanceHistory:
    """Return an instance and its history."""
    return await store.run(GetInstance("acme", workflow, id))


async def kinds(store: Store, id: str = "a") -> list[str]:
    """Return the kinds of an instance's records, in order."""
    return [record.kind for record in (await instance(store, id)).records]


def folded(found: InstanceHistory) -> InstanceState:
    """Return the state that a history tells."""
    return fold(recorded.record for recorded in codec.from_rows(found.records))


def commit(turn: Claim, *records: RecordRow, n: int = 1, seen: int = 2, step_count: int = 0, **others: Any) -> Commit:
    """Say what a turn commits; by default right after *running*."""
    return Commit(turn.row, turn.turn, n, seen, list(records), step_count, NOW + 1, **others)


def release(
    turn: Claim,
    *records: RecordRow,
    n: int = 1,
    seen: int = 2,
    step_count: int = 0,
    due_at: int | None = None,
) -> Release:
    """Say how a turn parks its instance; by default right after *running*."""
    rows = list(records) or [waiting()]
    return Release(turn.row, turn.turn, n, seen, rows, step_count, "waiting", due_at, None, NOW + 1)


def ending(turn: Claim, *, n: int = 1, seen: int = 2, step_count: int = 0, value: str = "42") -> Release:
    """Say that a turn ends its instance."""
    completed = codec.to_row(Completed(NOW + 1, value))
    return Release(turn.row, turn.turn, n, seen, [completed], step_count, "complete", None, NOW + 1, NOW + 1)


def happening(id: str = "a", *, payload: str = "{}", at: int = NOW, workflow: str = "orders") -> AppendEvent:
    """Say that an event is sent."""
    return AppendEvent("acme", workflow, id, codec.to_row(EventReceived(at, "approved", payload)))


def control(act: str, history: Sequence[Recorded] = (), *, at: int = NOW + 2) -> Operation[str]:
    """Say what is done to the instance `a`: pause, resume, terminate, restart, or restart from the step `charge`.

    That one is found in its history; where it is not, the restart is as a whole.
    """
    where = ("acme", "orders", "a")
    match act:
        case "pause":
            return PauseInstance(*where, codec.to_row(PauseAsked(at)), codec.to_row(Paused(at)))
        case "resume":
            return ResumeInstance(*where, codec.to_row(Resumed(at)))
        case "terminate":
            return TerminateInstance(*where, codec.to_row(Terminated(at, "api")))
    start = find_start(history, StepKind.DO, "charge", 1) if act == "restart from" else None
    if start is None:
        return RestartInstance(*where, "api", codec.to_row(Restarted(at, "api")))
    record = codec.to_row(Restarted(at, "api", start.seq, start.step_count))
    return RestartInstance(*where, "api", record, start.step_count, NOW)


def started(name: str = "charge") -> RecordRow:
    """A first attempt began."""
    config = StepConfig(5, 1_000, "exponential", 60_000)
    return codec.to_row(AttemptStarted(NOW, Key(StepKind.DO, name, 1), 1, config))


def succeeded(name: str = "charge", value: str = "42") -> RecordRow:
    """A step returned a value."""
    return codec.to_row(StepSucceeded(NOW, Key(StepKind.DO, name, 1), 1, value))


def sleeping(name: str = "nap", until: int = NOW + 1_000) -> RecordRow:
    """A sleep began."""
    return codec.to_row(SleepStarted(NOW, Key(StepKind.SLEEP, name, 1), until))


def waiting(at: int = NOW + 1) -> RecordRow:
    """The instance was put back."""
    return codec.to_row(Waiting(at))


async def outcomes(store: Store, operations: Sequence[Operation[Any]]) -> list[Any]:
    """Ask for many operations at once and return what became of each."""
    return await asyncio.gather(*map(store.run, operations), return_exceptions=True)


class LossyStore:
    """A store whose answers are lost on the way: everything is done, and nobody hears of it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self, operation: Operation[Any]) -> None:
        """Do an operation and lose its answer."""
        await self._store.run(operation)
        raise StoreUnavailable("the answer was lost")


@dataclass
class Ear:
    """Hears what a worker is told."""

    due: "asyncio.Queue[int]" = field(default_factory=asyncio.Queue)
    told: "asyncio.Queue[int]" = field(default_factory=asyncio.Queue)
    given: "asyncio.Queue[Sequence[Claim] | None]" = field(default_factory=asyncio.Queue)

    def instance_due(self, at: int) -> None:
        """Hear of something due."""
        self.due.put_nowait(at)

    def instance_told(self, row: int) -> None:
        """Hear of an instance that is held."""
        self.told.put_nowait(row)

    def turns_given(self, claims: Sequence[Claim] | None) -> None:
        """Hear of turns that an idle worker has got."""
        self.given.put_nowait(claims)


async def heard(queue: "asyncio.Queue[A]") -> A:
    """Return what is heard next; never hearing it fails the test."""
    return await asyncio.wait_for(queue.get(), timeout=30)
