"""Answers about an instance that are kept while nothing changes: never an old one, and never too many."""

import asyncio
import tracemalloc
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import ASGIApp

from stepwell.api import create_app
from stepwell.api.kept import InstanceAnswer, InstanceQuestion, KeptAnswers
from stepwell.api.paging import StepPage
from stepwell.clock import VirtualClock
from stepwell.core.failures import Failure
from stepwell.core.records import (
    AttemptFailed,
    AttemptStarted,
    SleepEnded,
    SleepStarted,
    StepCancelled,
    StepConfig,
    StepFailed,
    StepSucceeded,
    WaitEnded,
    WaitStarted,
)
from stepwell.engine import Engine, WorkflowPut
from stepwell.store.note_operations import LogLine, WriteNotes
from stepwell.store.operations import EndLease, GetInstance, InstanceHistory, InstanceRow, Operation, Release
from stepwell.store.sqlite import SqliteStore
from tests.api.asgi import Answer, ask
from tests.api.conftest import NOW
from tests.api.histories import BROKEN, CONFIG, Histories, Turn, do, sleep, wait
from tests.store import scenes
from tests.store.test_row_is_the_fold import ACTS, Life

INSTANCE = "workflows/order/instances/a"
FORMS = ("", "?order=desc", "?simple=true", "?per_page=2", "?order=desc&per_page=1", "?per_page=1&cursor=c2FzYywx")


class ReadStore:
    """A store that counts the records that looks at an instance have read."""

    def __init__(self, inner: SqliteStore) -> None:
        self._inner = inner
        self.counts: list[int] = []

    def run(self, operation: Operation[Any]) -> asyncio.Future[Any]:
        """Do an operation."""
        future = self._inner.run(operation)
        if isinstance(operation, GetInstance):
            found: InstanceHistory = future.result()
            self.counts.append(len(found.records))
        return future


@pytest.fixture
def read_store(store: SqliteStore) -> ReadStore:
    """The store, counting."""
    return ReadStore(store)


@pytest.fixture
def counted(read_store: ReadStore, clock: VirtualClock) -> ASGIApp:
    """An application whose reads are counted."""
    engine = Engine(read_store, clock)  # type: ignore[arg-type]  # no worker listens
    return create_app(engine, account="local", hosts=None)


async def told(app: ASGIApp, form: str = "", instance: str = INSTANCE) -> Answer:
    """Ask about an instance."""
    return await ask(app, instance + form)


# ---- what has not changed


@pytest.mark.parametrize("form", FORMS)
async def test_unchanged_instance_is_not_folded_again(
    counted: ASGIApp, read_store: ReadStore, histories: Histories, form: str
) -> None:
    """The second answer is the first, to the byte, and one look at the row was enough for it."""
    await histories.complete("order", "a")

    first, second = await told(counted, form), await told(counted, form)

    assert (second.status, second.headers, second.body) == (200, first.headers, first.body)
    assert (read_store.counts[0] > 0, read_store.counts[1:]) == (True, [0])


async def test_each_form_has_its_own_answer(app: ASGIApp, engine: Engine, histories: Histories) -> None:
    """Order, steps, size of the page and cursor tell answers apart, and so does the instance."""
    await histories.complete("order", "a")
    await histories.running("order", "b")
    asked = [(form, f"workflows/order/instances/{id}") for form in FORMS for id in "ab"]
    new = [(await told(create_app(engine, account="local", hosts=None), *one)).body for one in asked]

    for _ in range(2):
        assert [(await told(app, *one)).body for one in asked] == new
    assert len(set(new)) == len(new)


async def test_long_log_is_kept_too(counted: ASGIApp, read_store: ReadStore, histories: Histories) -> None:
    """A log that is shown beside the event loop, as it takes a while, is the whole log, and is not made twice."""
    turn = await histories.turn("order", "a")
    at = turn.now()
    await turn.write(*(AttemptStarted(at, do("work", count), 1, CONFIG) for count in range(1, 1_002)))

    first, second = await told(counted), await told(counted)

    names = [step["name"] for step in first.json()["result"]["steps"]]
    assert (len(names), names[-1], second.body == first.body) == (1_001, "work-1001", True)
    assert read_store.counts == [1_003, 0]


# ---- what has changed

Change = Callable[[Histories, Turn], Coroutine[Any, Any, object]]

# What the instance has when it is changed: a step in its first attempt, a sleep, and a wait for an event.
STEP, SLEEP, WAIT = do("charge"), sleep("nap"), wait("approval")


async def _changeable(histories: Histories) -> Turn:
    turn = await histories.turn("order", "a")
    at = turn.now()
    await turn.write(
        AttemptStarted(at, STEP, 1, CONFIG),
        SleepStarted(at, SLEEP, at + 60_000),
        WaitStarted(at, WAIT, "approved", at + 60_000, 60_000),
    )
    return turn


async def _send_event(histories: Histories, turn: Turn) -> None:
    await histories.engine.send_event("local", "order", "a", "approved", '{"by":"ann"}')
    turn.seen += 1


async def _wait_ends(histories: Histories, turn: Turn) -> None:
    await _send_event(histories, turn)
    await turn.write(WaitEnded(turn.now(), WAIT, turn.seen))


async def _turn_is_lost(histories: Histories, turn: Turn) -> None:
    await histories.engine.store.run(EndLease(1))
    worker = await scenes.worker(histories.engine.store, lease_until=NOW * 2)
    await scenes.claim(histories.engine.store, worker, at=turn.now())


async def _released_without_a_record(histories: Histories, turn: Turn) -> None:
    """End a turn as one ends whose history could not be read: with a status, and nothing to record."""
    release = Release(turn.claim.row, turn.claim.turn, turn.n, turn.seen, [], 1, "waiting", NOW, None, NOW)
    assert (await histories.engine.store.run(release)).done


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda _, turn: turn.step(do("more"), "1"), id="new step"),
        pytest.param(lambda _, turn: turn.write(StepSucceeded(turn.now(), STEP, 1, "1")), id="step succeeded"),
        pytest.param(
            lambda _, turn: turn.step(do("secret"), '"4242"', StepConfig(0, 0, "constant", 1, sensitive="output")),
            id="sensitive step",
        ),
        pytest.param(lambda _, turn: turn.write(AttemptFailed(turn.now(), STEP, 1, BROKEN, NOW)), id="attempt failed"),
        pytest.param(lambda _, turn: turn.write(StepFailed(turn.now(), STEP, 1, BROKEN)), id="step failed"),
        pytest.param(lambda _, turn: turn.write(StepCancelled(turn.now(), STEP)), id="step cancelled"),
        pytest.param(lambda _, turn: turn.write(SleepEnded(turn.now(), SLEEP)), id="sleep ended"),
        pytest.param(_wait_ends, id="wait ended"),
        pytest.param(lambda _, turn: turn.park(), id="parked"),
        pytest.param(lambda _, turn: turn.complete('"' + "x" * 9_000 + '"'), id="complete"),
        pytest.param(lambda _, turn: turn.fail(Failure("E", "because")), id="errored"),
        pytest.param(_released_without_a_record, id="released without a record"),
    ],
)
@pytest.mark.parametrize("form", ["", "?simple=true", "?order=desc&per_page=1"])
async def test_change_is_seen_at_once(
    app: ASGIApp, engine: Engine, histories: Histories, change: Change, form: str
) -> None:
    """After each kind of change the answer is the one of a server that has kept nothing."""
    turn = await _changeable(histories)
    before = await told(app)
    await told(app, form)

    await change(histories, turn)

    after = await told(app, form)
    new = await told(create_app(engine, account="local", hosts=None), form)
    assert (after.headers, after.body) == (new.headers, new.body)
    assert (await told(app)).body != before.body


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_send_event, id="event"),
        pytest.param(_turn_is_lost, id="turn lost"),
        pytest.param(
            lambda histories, _: histories.engine.put_workflow("local", "order", WorkflowPut("shop", "Order")),
            id="new version",
        ),
        pytest.param(
            lambda histories, turn: histories.engine.store.run(
                WriteNotes(turn.claim.row, turn.claim.turn, 0, [LogLine(NOW, None, None, "INFO", "hello")], [], 1)
            ),
            id="notes",
        ),
    ],
)
async def test_change_that_shows_nothing_leaves_the_answer_right(
    app: ASGIApp, engine: Engine, histories: Histories, change: Change
) -> None:
    """What is no part of the answer changes at most the tag: the instance keeps its version, status and log."""
    turn = await _changeable(histories)
    before = await told(app)

    await change(histories, turn)

    after, new = await told(app), await told(create_app(engine, account="local", hosts=None))
    assert (after.body, after.headers) == (before.body, new.headers)


async def test_claim_is_seen_at_once(app: ASGIApp, histories: Histories) -> None:
    """An instance that was queued runs, and has begun."""
    await histories.queued("order", "a")
    before = (await told(app)).json()["result"]

    await histories.take("a")

    after = (await told(app)).json()["result"]
    assert [(result["status"], result["start"] is None) for result in (before, after)] == [
        ("queued", True),
        ("running", False),
    ]


async def test_deleted_instance_is_not_answered_any_more(app: ASGIApp, histories: Histories) -> None:
    """Its workflow's end is its own, whatever is still kept of it."""
    await histories.complete("order", "a")
    await told(app)

    await ask(app, "workflows/order", "DELETE")

    assert (await told(app)).refusal()[:2] == (404, 10200)


async def test_instance_of_the_same_name_is_another(app: ASGIApp, histories: Histories) -> None:
    """A workflow and an instance that take the names of deleted ones have answers of their own."""
    await histories.queued("order", "a", '"old"')
    old = await told(app)
    await ask(app, "workflows/order", "DELETE")
    await histories.register("order")
    await histories.queued("order", "a", '"new"')

    new = await told(app)

    assert (old.json()["result"]["params"], new.json()["result"]["params"]) == ("old", "new")
    assert old.headers["etag"] == new.headers["etag"]


async def test_accounts_are_told_apart(engine: Engine) -> None:
    """Instances of one name in two accounts have an answer each."""
    app = create_app(engine, account=None, hosts=None)
    for account in ("one", "two"):
        await scenes.register(engine.store, account=account)
        await engine.store.run(scenes.creation("a", account=account, params=f'"{account}"'))

    paths = [f"/client/v4/accounts/{account}/workflows/orders/instances/a" for account in ("one", "two")] * 2

    assert [(await ask(app, path)).json()["result"]["params"] for path in paths] == ["one", "two", "one", "two"]


# A step that ends without having begun is no history that a log can be made of.
@given(st.lists(st.sampled_from([act for act in ACTS if act != "succeed"]), max_size=25))
def test_answer_is_the_new_one_whatever_happens(acts: list[str]) -> None:
    """No order of events, commits, losses, parks and repeats leaves an answer that is no longer true."""

    async def live() -> None:
        store = SqliteStore.in_memory()
        await scenes.register(store)
        await scenes.create(store, "a")
        life, engine = Life(store), Engine(store)
        kept = create_app(engine, account="acme", hosts=None)
        for act in acts:
            await life.happens(act)
            old, new = [
                await ask(app, "workflows/orders/instances/a")
                for app in (kept, create_app(engine, account="acme", hosts=None))
            ]
            assert (old.headers, old.body) == (new.headers, new.body)
        await store.close()

    asyncio.run(live())


# ---- how much is kept

LONGEST = "x" * 260


def _question(number: int) -> InstanceQuestion:
    return InstanceQuestion(f"{number:064}", f"{number:064}", f"{LONGEST}{number}", True, StepPage())


def _answer(number: int, size: int, seq: int = 1) -> InstanceAnswer:
    row = InstanceRow(
        row=number,
        account=f"{number:064}",
        workflow=f"{number:064}",
        workflow_id=f"{number:036}",
        id=f"{LONGEST}{number}",
        version=f"{number:036}",
        status="complete",
        trigger="api",
        step_count=10**6 + number,
        seq=seq,
        turn=10**6 + number,
        due_at=None,
        created_at=NOW + number,
        modified_at=NOW + number,
        started_at=NOW + number,
        ended_at=NOW + number,
    )
    return InstanceAnswer(row, bytes(size))


def test_answers_take_no_more_than_they_may() -> None:
    """However many are asked for, what is kept is within the bound, counted with what is round a body."""
    kept = KeptAnswers(100_000)

    sizes = []
    for number in range(500):
        kept.keep(_question(number), _answer(number, 10 * number))
        sizes.append(kept.size)

    assert max(sizes) <= 100_000
    assert max(sizes) > 90_000


def test_size_is_that_of_the_memory_taken() -> None:
    """What is counted is no less than what the interpreter needs, also where bodies are small and names long."""
    kept = KeptAnswers(10**9)
    tracemalloc.start()

    before = tracemalloc.get_traced_memory()[0]
    for number in range(2_000):
        kept.keep(_question(number), _answer(number, 300))
    taken = tracemalloc.get_traced_memory()[0] - before

    tracemalloc.stop()
    assert taken <= kept.size <= 2 * taken


def test_answer_that_nobody_asks_for_goes_first() -> None:
    """Room is made by those that were asked for longest ago."""
    kept = KeptAnswers(40_000)
    for number in range(3):
        kept.keep(_question(number), _answer(number, 10_000))
    kept.find(_question(0))

    kept.keep(_question(3), _answer(3, 10_000))

    assert [kept.find(_question(number)) is not None for number in range(4)] == [True, False, True, True]


def test_new_answer_takes_the_place_of_the_old() -> None:
    """An instance that changes again and again takes the room of one answer."""
    kept = KeptAnswers(40_000)
    kept.keep(_question(0), _answer(0, 10_000))
    size = kept.size

    for seq in range(2, 100):
        kept.keep(_question(0), _answer(0, 10_000, seq))

    found = kept.find(_question(0))
    assert found is not None
    assert (kept.size, found.row.seq) == (size, 99)


def test_answer_that_is_too_large_is_not_kept() -> None:
    """It costs no other its place, and the one that it replaces is gone."""
    kept = KeptAnswers(40_000)
    kept.keep(_question(0), _answer(0, 10_000))
    kept.keep(_question(1), _answer(1, 10_000))

    kept.keep(_question(1), _answer(1, 40_000, 2))

    assert [kept.find(_question(number)) is not None for number in range(2)] == [True, False]
