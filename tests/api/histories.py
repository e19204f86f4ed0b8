"""Instances in every status, with every kind of log entry, written the way a worker writes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import uuid4

import msgspec

from stepwell.clock import VirtualClock
from stepwell.core.failures import Failure
from stepwell.core.instance import InstanceState, fold
from stepwell.core.instance import advance as advance_state
from stepwell.core.records import (
    AttemptFailed,
    AttemptInterrupted,
    AttemptLost,
    AttemptStarted,
    Completed,
    Failed,
    Key,
    Record,
    RollbackEnded,
    RollbackStarted,
    SleepEnded,
    SleepStarted,
    StepCancelled,
    StepConfig,
    StepFailed,
    StepKind,
    StepSucceeded,
    WaitEnded,
    Waiting,
    WaitStarted,
)
from stepwell.engine import Engine, NewInstance, WorkflowPut
from stepwell.flow import SharedLimit
from stepwell.graph.nodes import Graph
from stepwell.store import Store, codec
from stepwell.store.code_graph import CodeGraph
from stepwell.store.job_operations import StartJob
from stepwell.store.operations import (
    Claim,
    ClaimDue,
    Commit,
    ReadHistory,
    RegisterWorker,
    RegisterWorkflow,
    Release,
    VersionSettings,
)
from stepwell.store.search_operations import Wanted
from stepwell.store.snapshot_operations import SaveSnapshot, ServeSnapshot, SnapshotFile
from stepwell.store.webhook_operations import AddWebhook, TryWebhook
from tests.core.histories import do, sleep, wait

__all__ = [
    "ACCOUNT",
    "BROKEN",
    "CONFIG",
    "CRON",
    "DELIVERY_ID",
    "JOB_ID",
    "VERSION_ID",
    "WEBHOOK_ID",
    "WORKFLOW_ID",
    "Histories",
    "Turn",
    "do",
    "sleep",
    "wait",
]

ACCOUNT = "local"
WORKFLOW_ID = "11111111-1111-4111-8111-111111111111"
CRON = "*/30 * * * *"
JOB_ID = "33333333-3333-4333-8333-333333333333"
WEBHOOK_ID = "0123456789abcdef0123456789abcdef"
DELIVERY_ID = f"msg_{WEBHOOK_ID}_1"
VERSION_ID = "22222222-2222-4222-8222-222222222222"

CONFIG = StepConfig(limit=5, delay=10_000, backoff="exponential", timeout="10 minutes")
BROKEN = Failure("ValueError", "the card was refused")


@dataclass
class Turn:
    """A worker's turn; each record is written at the clock's time, which moves on by 10 ms before it."""

    store: Store
    clock: VirtualClock
    claim: Claim
    state: InstanceState
    n: int
    seen: int

    def now(self) -> int:
        """Move the clock on and return its time."""
        self.clock.move_to(self.clock.now() + 10)
        return self.clock.now()

    async def write(self, *records: Record) -> None:
        """Commit records."""
        for record in records:
            self.state = advance_state(self.state, record)
        rows = [codec.to_row(record) for record in records]
        commit = Commit(
            self.claim.row,
            self.claim.turn,
            self.n,
            self.seen,
            rows,
            self.state.step_count,
            records[-1].at,
            has_rollbacks=any(isinstance(record, AttemptStarted) and bool(record.rollback) for record in records),
            status="rollingBack" if any(isinstance(record, RollbackStarted) for record in records) else None,
        )
        committed = await self.store.run(commit)
        self.n, self.seen = self.n + len(records), committed.seq

    async def park(self, due_at: int | None = None) -> None:
        """Put the instance back."""
        at = self.now()
        await self._release(Waiting(at), due_at=due_at, ended_at=None, at=at)

    async def complete(self, output: str = "null") -> None:
        """End the instance with a value, as JSON text."""
        at = self.now()
        await self._release(Completed(at, output), due_at=None, ended_at=at, at=at)

    async def fail(self, error: Failure = BROKEN) -> None:
        """End the instance with an error."""
        at = self.now()
        await self._release(Failed(at, error), due_at=None, ended_at=at, at=at)

    async def _release(self, last: Record, *, due_at: int | None, ended_at: int | None, at: int) -> None:
        self.state = advance_state(self.state, last)
        assert self.state.status is not None
        released = await self.store.run(
            Release(
                self.claim.row,
                self.claim.turn,
                self.n,
                self.seen,
                [codec.to_row(last)],
                self.state.step_count,
                self.state.status,
                due_at,
                ended_at,
                at,
            )
        )
        assert released.done

    async def step(self, key: Key, value: str, config: StepConfig = CONFIG) -> None:
        """Write a step that succeeds at its first attempt."""
        await self.write(AttemptStarted(self.now(), key, 1, config), StepSucceeded(self.now(), key, 1, value))


@dataclass
class Histories:
    """Writes instances into a store."""

    engine: Engine
    clock: VirtualClock
    _worker: int | None = field(default=None)

    async def register(self, workflow: str) -> None:
        """Make a workflow known; `order` gets the ids above, any other new ones."""
        ids = (WORKFLOW_ID, VERSION_ID) if workflow == "order" else (str(uuid4()), str(uuid4()))
        await self.engine.store.run(
            RegisterWorkflow(ACCOUNT, workflow, "shop", "Order", "0" * 64, *ids, self.clock.now())
        )

    async def schedule(self, workflow: str) -> None:
        """Give a workflow a schedule, by a version of its own."""
        put = WorkflowPut("shop", "Order", VersionSettings(schedules=(CRON,)))
        await self.engine.put_workflow(ACCOUNT, workflow, put)

    async def draw(self, graph: Graph | None, note: str = "") -> None:
        """Make the graph of the code known, as the worker does that loads it."""
        found = CodeGraph(None, note) if graph is None else _kept(graph)
        made_of = ("order", "shop", "Order", "0" * 64)
        now = self.clock.now()
        await self.engine.store.run(RegisterWorkflow(ACCOUNT, *made_of, WORKFLOW_ID, VERSION_ID, now, graph=found))

    async def serve(
        self, source: str, texts: Mapping[str, str], params_schema: str | None = None, graph: Graph | None = None
    ) -> str:
        """Make a version of code that is served, as a worker does, with a graph or with none; return its id."""
        now, version = self.clock.now(), str(uuid4())
        files = [SnapshotFile(path, text.encode()) for path, text in sorted(texts.items())]
        saved = SaveSnapshot(ACCOUNT, "1" * 64, source, "3.13.1", "{}", files, now)
        snapshot = await self.engine.store.run(saved)
        made_of = ("order", "shop", "Order", "1" * 64, WORKFLOW_ID, version)
        read = CodeGraph(None, "it cannot be followed") if graph is None else _kept(graph)
        code = RegisterWorkflow(ACCOUNT, *made_of, now, params_schema, snapshot=snapshot, graph=read)
        await self.engine.store.run(ServeSnapshot(ACCOUNT, snapshot, now, (code,)))
        return version

    async def uploaded(self) -> None:
        """Let there be a version of the script `shop`, which was deployed."""
        text = b"from stepwell import WorkflowEntrypoint\n\n\nclass Order(WorkflowEntrypoint):\n    pass\n"
        files, now = [SnapshotFile("shop.py", text)], self.clock.now()
        saved = SaveSnapshot(ACCOUNT, "1" * 64, "shop.py", "3.13.1", "{}", files, now, script="shop")
        await self.engine.store.run(ServeSnapshot(ACCOUNT, await self.engine.store.run(saved), now))

    async def queued(self, workflow: str, id: str, params: str = "{}") -> str:
        """Create an instance that no worker takes. Write it last: the next turn would take it too."""
        self.clock.move_to(self.clock.now() + 10)
        return (await self.engine.create(ACCOUNT, workflow, NewInstance(id, params))).id

    async def turn(self, workflow: str, id: str, params: str = "{}") -> Turn:
        """Create an instance and take it."""
        await self.queued(workflow, id, params)
        return await self.take(id)

    async def take(self, id: str) -> Turn:
        """Take an instance that is due."""
        store, now = self.engine.store, self.clock.now()
        if self._worker is None:
            self._worker = await store.run(RegisterWorker("tests", now + 10**12, now))
        claims = await store.run(ClaimDue(self._worker, now, 1000))
        claim = next(turn for turn in claims.turns if turn.id == id)
        rows = await store.run(ReadHistory(claim.row))
        history = codec.from_rows(rows)
        state = fold(recorded.record for recorded in history)
        return Turn(store, self.clock, claim, state, claim.n, history[-1].seq)

    async def running(self, workflow: str, id: str) -> None:
        """Write an instance whose second step is between two attempts, and whose third is in its first."""
        turn = await self.turn(workflow, id)
        await turn.step(do("prepare"), "{}")
        await turn.write(
            AttemptStarted(turn.now(), do("charge"), 1, CONFIG),
            AttemptFailed(turn.now(), do("charge"), 1, BROKEN, self.clock.now() + 10_000),
            AttemptStarted(turn.now(), do("ship"), 1, CONFIG),
        )

    async def job(self, workflow: str) -> None:
        """A job that nobody goes on with."""
        started = StartJob("local", JOB_ID, "pause", workflow, Wanted(statuses=("errored",)), self.clock.now(), "ann")
        await self.engine.store.run(started)

    async def webhook(self) -> None:
        """A webhook, and a test that waits for it."""
        now = self.clock.now()
        made = AddWebhook("local", WEBHOOK_ID, "https://example.com/hook", "whsec_SECRET", [], [], now, "ann", 50)
        await self.engine.store.run(made)
        await self.engine.store.run(TryWebhook("local", WEBHOOK_ID, now))

    async def limited(self, workflow: str, id: str) -> None:
        """An instance that waits for its first turn, and a limit that steps share."""
        await self.queued(workflow, id)
        await self.engine.share_limit("local", "desk", SharedLimit(1))

    async def served(self, workflow: str, id: str) -> None:
        """An instance that waits for its first turn, and code that is served."""
        await self.queued(workflow, id)
        saved = SaveSnapshot("local", "a" * 64, ".", "3.13.1", "{}", [], self.engine.clock.now())
        row = await self.engine.store.run(saved)
        await self.engine.store.run(ServeSnapshot("local", row, self.engine.clock.now()))

    async def waiting(self, workflow: str, id: str) -> None:
        """Write an instance that sleeps and waits for an event, and is parked."""
        turn = await self.turn(workflow, id)
        at = turn.now()
        until = at + 60_000
        await turn.write(
            SleepStarted(at, sleep("cool down"), until),
            WaitStarted(turn.now(), wait("approval"), "approved", until + 1, 60_000),
        )
        await turn.park(until)

    async def complete(self, workflow: str, id: str, output: str = '{"paid":true}') -> None:
        """Write an instance that has seen every kind of entry that leads on, and has completed."""
        turn = await self.turn(workflow, id, '{"orderId":7}')
        await self._steps_of_all_kinds(turn)
        at = turn.now()
        await turn.write(SleepStarted(at, sleep("cool down"), at + 5), SleepEnded(turn.now(), sleep("cool down")))
        await turn.write(
            WaitStarted(turn.now(), wait("approval"), "approved", at + 99_000, 99_000),
            WaitStarted(turn.now(), wait("silence"), "never", at + 1_000, 1_000),
        )
        await self.engine.send_event(ACCOUNT, workflow, id, "approved", '{"by":"ann"}')
        turn.seen += 1
        await turn.write(WaitEnded(turn.now(), wait("approval"), turn.seen), WaitEnded(turn.now(), wait("silence")))
        await turn.complete(output)

    async def errored(self, workflow: str, id: str) -> None:
        """Write an instance whose only step has failed for good."""
        turn = await self.turn(workflow, id)
        await turn.write(
            AttemptStarted(turn.now(), do("charge"), 1, CONFIG),
            AttemptFailed(turn.now(), do("charge"), 1, BROKEN),
            StepFailed(turn.now(), do("charge"), 1, BROKEN),
        )
        await turn.fail()

    async def rolled_back(self, workflow: str, id: str, *, fails: bool = True) -> None:
        """Write an instance that has errored; of its two steps the second was rolled back, and the first or not."""
        undoings = [Key(StepKind.ROLLBACK, name, 1) for name in ("book", "pay")]
        turn = await self.turn(workflow, id)
        for name in ("book", "pay"):
            await turn.write(
                AttemptStarted(turn.now(), do(name), 1, CONFIG, rollback=True),
                StepSucceeded(turn.now(), do(name), 1, "1"),
            )
        await turn.write(RollbackStarted(turn.now(), BROKEN))
        await turn.step(undoings[1], "null")
        if fails:
            await turn.write(
                AttemptStarted(turn.now(), undoings[0], 1, CONFIG),
                StepFailed(turn.now(), undoings[0], 1, BROKEN),
                RollbackEnded(turn.now(), BROKEN),
            )
        else:
            await turn.step(undoings[0], "null")
            await turn.write(RollbackEnded(turn.now()))
        await turn.fail(Failure("LookupError", "no seats"))

    async def _steps_of_all_kinds(self, turn: Turn) -> None:
        secret = StepConfig(limit=0, delay="[dynamic]", backoff="linear", timeout=60_000.0, sensitive="output")
        await turn.step(do("charge"), '{"chargeId":"c_1"}', StepConfig(5.0, 0.5, "constant", "1 hour"))
        await turn.step(do("charge", 2), "null")
        await turn.step(do("card"), '"4242"', secret)
        retried, cancelled = do("retried"), do("cancelled")
        await turn.write(
            AttemptStarted(turn.now(), retried, 1, CONFIG),
            AttemptFailed(turn.now(), retried, 1, BROKEN, self.clock.now() + 5),
            AttemptStarted(turn.now(), retried, 2),
            AttemptLost(turn.now(), retried, 2),
            AttemptStarted(turn.now(), retried, 3),
            AttemptInterrupted(turn.now(), retried, 3),
            AttemptStarted(turn.now(), retried, 4),
            StepSucceeded(turn.now(), retried, 4, "12345678901234567890123"),
            AttemptStarted(turn.now(), cancelled, 1, CONFIG),
            StepCancelled(turn.now(), cancelled),
        )


def _kept(graph: Graph) -> CodeGraph:
    """Return a graph as stores have it."""
    return CodeGraph(msgspec.json.encode(graph).decode())
