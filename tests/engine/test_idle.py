"""A worker that is idle is given what is created, and runs it: on a store that writes in a thread, in real time."""

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from stepwell import WorkflowEntrypoint
from stepwell.clock import SystemClock
from stepwell.engine import Engine, NewInstance
from stepwell.settings import TurnContext, TurnSettings
from stepwell.store import Store
from stepwell.store.listeners import Listeners
from stepwell.store.operations import (
    LEASE_FOR_EVER,
    Claim,
    ClaimDue,
    EndLease,
    GetInstance,
    Operation,
    ReadHistory,
    RegisterWorker,
    RegisterWorkflow,
)
from stepwell.store.sqlite import SqliteStore
from stepwell.threads import Threads
from stepwell.waits import Seen, wait_for_change
from stepwell.worker import Worker, WorkerSettings
from tests import postgres
from tests.store.conftest import in_postgres
from tests.store.scenes import creation

A = TypeVar("A")
SEVERAL = 5


class Doubled(WorkflowEntrypoint):
    async def run(self, event, step):
        return await step.do("double", lambda: event["payload"] * 2)


class Plain(WorkflowEntrypoint):
    async def run(self, event, step):
        return "done"


class Held(WorkflowEntrypoint):
    """Goes on when its test says so."""

    goes_on: asyncio.Event

    async def run(self, event, step):
        await step.do("hold", Held.goes_on.wait)


class Crossing(SqliteStore):
    """A store whose word crosses what its worker does: the first answer to a claim comes when `may_answer` is set.

    `claims`: a claim was asked for. `stops`: one of nothing was, or the worker listens no more.
    """

    def __init__(self, *opened: Any) -> None:
        super().__init__(*opened)
        self.claims, self.may_answer, self.stops = asyncio.Event(), asyncio.Event(), threading.Event()

    def run(self, operation: Operation[A]) -> "asyncio.Future[A]":
        answer = super().run(operation)
        if not isinstance(operation, ClaimDue):
            return answer
        if operation.limit == 0:
            self.stops.set()
        self.claims.set()
        return asyncio.ensure_future(self._late(answer))

    async def _late(self, answer: "asyncio.Future[A]") -> A:
        await asyncio.wait([answer])
        await self.may_answer.wait()
        return await answer

    def ignore(self, worker: int) -> None:
        self.stops.set()
        super().ignore(worker)


async def _filled(store: Store) -> None:
    await store.run(RegisterWorkflow("local", "doubled", "flows", "Doubled", "aa", "w", "v", 1))
    await store.run(RegisterWorkflow("local", "held", "flows", "Held", "aa", "w2", "v2", 1))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """A store in a file, which knows the workflows."""
    opened = await asyncio.to_thread(SqliteStore.open, tmp_path / "store.db")
    await _filled(opened)
    yield opened
    await opened.close()


@pytest.fixture
async def crossing(tmp_path: Path) -> AsyncIterator[Crossing]:
    """Another one, whose word crosses what is asked."""
    async with _crossing(tmp_path) as opened:
        yield opened


@asynccontextmanager
async def _crossing(tmp_path: Path) -> AsyncIterator[Crossing]:
    opened = await asyncio.to_thread(Crossing.open, tmp_path / "crossing.db")
    assert isinstance(opened, Crossing)
    await _filled(opened)
    yield opened
    await opened.close()


class Claiming:
    """A store that keeps the claims that it has answered."""

    def __init__(self, inner: Store) -> None:
        self.claims: asyncio.Queue[ClaimDue] = asyncio.Queue()
        self._inner = inner
        self.listen, self.ignore, self.watch, self.close = inner.listen, inner.ignore, inner.watch, inner.close

    def run(self, operation: Operation[A]) -> "asyncio.Future[A]":
        answer = self._inner.run(operation)
        if isinstance(operation, ClaimDue):
            answer.add_done_callback(lambda _: self.claims.put_nowait(operation))
        return answer


class Listening(Worker):
    """A worker that counts what it was given, and tells when it has `heard` anything."""

    given = 0

    def __init__(self, *parts: Any, **named: Any) -> None:
        super().__init__(*parts, **named)
        self.heard = asyncio.Event()

    def instance_due(self, at: int) -> None:
        """Note it, and do what a worker does."""
        self.heard.set()
        super().instance_due(at)

    def turns_given(self, claims: Sequence[Claim] | None) -> None:
        """Count it, and run it."""
        self.heard.set()
        self.given += len(claims or ())
        super().turns_given(claims)


def _worker(store: Store, capacity: int) -> Listening:
    context = TurnContext(store, SystemClock(), Threads(), TurnSettings())
    workflows = {"doubled": Doubled, "held": Held, "plain": Plain}
    return Listening(context, workflows, settings=WorkerSettings(capacity=capacity))


async def _run(engine: Engine, number: int) -> tuple[str | None, int]:
    """Run an instance to its end; return its output, and its row."""
    row = await engine.create("local", "doubled", NewInstance(f"i-{number}", str(number)))
    return await _end(engine, row.id)


async def _end(engine: Engine, id: str, workflow: str = "doubled") -> tuple[str | None, int]:
    """Wait until an instance has ended; return its output, and its row."""
    async with asyncio.timeout(20):
        while (view := await engine.get("local", workflow, id)).row.ended_at is None:
            await wait_for_change(
                engine.store, GetInstance("local", workflow, id), seen=Seen(view.row.seq), timeout_s=20
            )
    return view.output, view.row.row


@pytest.mark.parametrize("capacity", [1, 2, 500])
async def test_instances_one_after_the_other_are_run(store: Store, capacity: int) -> None:
    """Whether each is given or claimed: it is run once, in one turn."""
    worker, engine = _worker(store, capacity), Engine(store)
    await worker.start()
    running = asyncio.create_task(worker.run())

    done = [await _run(engine, number) for number in range(SEVERAL)]
    worker.drain()
    await running

    assert [output for output, _ in done] == ["0", "2", "4", "6", "8"]
    kinds = [[record.kind for record in await store.run(ReadHistory(row))] for _, row in done]
    assert kinds == [["created", "running", "attempt_started", "step_succeeded", "completed"]] * SEVERAL


async def test_worker_with_nothing_to_do_is_given_what_is_created(store: Store) -> None:
    """Once it has found nothing it need not ask."""
    worker, engine = _worker(store, 500), Engine(store)
    await worker.start()
    running = asyncio.create_task(worker.run())

    numbers = itertools.count()
    async with asyncio.timeout(20):
        while not worker.given:
            await _run(engine, next(numbers))
    worker.drain()
    await running

    assert worker.turns == {}


async def test_worker_that_has_all_looks_for_nothing_after_a_turn(require: Callable[..., None]) -> None:
    """It only says that it is idle again, and is given the next: what has become due meanwhile it would have heard."""
    require(postgres.REASON, "a store in it", postgres.is_there())
    async with in_postgres("postgres") as inner:
        claiming = Claiming(inner)
        await _filled(claiming)
        worker, engine = _worker(claiming, 500), Engine(claiming)
        await worker.start()
        running = asyncio.create_task(worker.run())

        async with asyncio.timeout(20):
            first = await claiming.claims.get()
            await _run(engine, 1)
            second = await claiming.claims.get()
            await _run(engine, 2)

        worker.drain()
        await running
    assert [(claim.limit, claim.is_idle) for claim in (first, second)] == [(100, True), (0, True)]
    assert worker.given == 2


async def test_worker_that_was_full_claims_what_is_left(store: Store) -> None:
    """What it had no room for is claimed when a turn has ended, though nobody tells of it again."""
    Held.goes_on = asyncio.Event()
    worker, engine = _worker(store, 2), Engine(store)
    rows = [await engine.create("local", "held", NewInstance(f"i-{number}", "1")) for number in range(SEVERAL)]
    await worker.start()
    running = asyncio.create_task(worker.run())

    Held.goes_on.set()

    for row in rows:
        await _end(engine, row.id, "held")
    worker.drain()
    await running


async def test_what_was_left_beside_a_suspect_is_claimed_after_it(store: Store) -> None:
    """Of instances that have lost three turns in a row a worker holds one at a time, and then the other."""
    await store.run(RegisterWorkflow("local", "plain", "flows", "Plain", "aa", "w3", "v3", 1))
    worker, engine = _worker(store, 500), Engine(store)
    rows = [await engine.create("local", "plain", NewInstance(f"i-{number}")) for number in range(2)]
    for _ in range(3):
        dead = await store.run(RegisterWorker("dead", LEASE_FOR_EVER, 1))
        assert len((await store.run(ClaimDue(dead, SystemClock().now(), 10, suspects=(0, 0)))).turns) == 2
        await store.run(EndLease(dead))
    await worker.start()
    running = asyncio.create_task(worker.run())

    for row in rows:
        await _end(engine, row.id, "plain")

    worker.drain()
    await running


async def test_worker_that_stops_is_given_nothing_more(store: Store) -> None:
    """What is created then is another's, and has lost no turn."""
    worker, engine = _worker(store, 500), Engine(store)
    await worker.start()
    running = asyncio.create_task(worker.run())
    await _run(engine, 1)

    worker.drain()
    await running
    await engine.create("local", "doubled", NewInstance("late", "1"))

    other = await store.run(RegisterWorker("other", LEASE_FOR_EVER, 1))
    (turn,) = (await store.run(ClaimDue(other, SystemClock().now(), 10))).turns
    assert (turn.id, turn.turn, turn.lost_turns) == ("late", 1, 0)


async def test_turn_that_is_given_as_its_worker_stops_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that stops takes back that it is idle before it listens no more: what comes by then is put back."""
    loop, has = asyncio.get_running_loop(), Listeners.has

    def has_and_stops(self: Listeners, number: int) -> bool:
        """Let the worker stop as soon as it is taken for idle, and go as far as it can meanwhile."""
        is_listening = has(self, number)
        loop.call_soon_threadsafe(worker.drain)
        crossing.stops.wait(timeout=20)
        return is_listening

    monkeypatch.setattr(Listeners, "has", has_and_stops)
    async with _crossing(tmp_path) as crossing:
        crossing.may_answer.set()
        worker = _worker(crossing, 500)
        await worker.start()
        running = asyncio.create_task(worker.run())
        await crossing.claims.wait()

        await Engine(crossing).create("local", "doubled", NewInstance("a", "1"))
        async with asyncio.timeout(20):
            await running

        other = await crossing.run(RegisterWorker("other", LEASE_FOR_EVER, 1))
        turns = (await crossing.run(ClaimDue(other, SystemClock().now(), 10))).turns
    assert worker.given == 1
    assert [(turn.id, turn.turn, turn.lost_turns) for turn in turns] == [("a", 2, 0)]


async def test_word_that_comes_before_the_answer_to_a_claim_is_kept(crossing: Crossing) -> None:
    """What will be due is claimed then, though the answer, which is older, knows of nothing."""
    worker, engine = _worker(crossing, 1), Engine(crossing)
    await worker.start()
    running = asyncio.create_task(worker.run())
    await crossing.claims.wait()

    later = SystemClock().now() + 500
    await crossing.run(creation("a", workflow="doubled", account="local", params="1", at=later))
    await worker.heard.wait()
    crossing.may_answer.set()

    output, _ = await _end(engine, "a")
    worker.drain()
    await running
    assert output == "2"


async def test_turn_that_is_given_before_the_answer_to_a_claim_takes_one_place(crossing: Crossing) -> None:
    """A worker of two places runs another instance beside it."""
    Held.goes_on = asyncio.Event()
    worker, engine = _worker(crossing, 2), Engine(crossing)
    await worker.start()
    running = asyncio.create_task(worker.run())
    await crossing.claims.wait()
    await engine.create("local", "held", NewInstance("a", "1"))
    await worker.heard.wait()
    crossing.may_answer.set()

    output, _ = await _run(engine, 2)

    Held.goes_on.set()
    worker.drain()
    await running
    assert (worker.given, output) == (1, "4")
