"""How many instances of a workflow may be queued, with limits and without: exact, and hardly ever counted."""

import asyncio
from bisect import bisect_left
from itertools import pairwise
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from stepwell.core.records import Created
from stepwell.errors import InstanceAlreadyExists, QueueFull
from stepwell.flow import Flow, to_text
from stepwell.store import Store, codec
from stepwell.store.operations import ClaimDue, CreateInstance, RegisterWorker, RegisterWorkflow
from stepwell.store.sql import queue_room
from stepwell.store.sql.queue_room import QueueRoom
from tests.store.difference import open_sqlite
from tests.store.scenes import NOW


def _creation(n: int, most: int | None = 3, now: int = NOW, workflow: str = "orders") -> CreateInstance:
    record = codec.to_row(Created(now, "api", "{}"))
    return CreateInstance("acme", workflow, f"i{n}", "api", record, now, most_queued=most)


async def _register(store: Store, flow: Flow | None = None, workflow: str = "orders") -> None:
    declared = to_text(flow, "Orders")
    await store.run(RegisterWorkflow("acme", workflow, "shop", "Orders", "aa", "w", "v", NOW, flow=declared))


async def _create(store: Store, *creations: CreateInstance) -> list[str]:
    """Create instances at the same time, and return what became of each."""
    outcomes = await asyncio.gather(*map(store.run, creations), return_exceptions=True)
    return ["full" if isinstance(outcome, QueueFull) else outcome.id for outcome in outcomes]  # type: ignore[union-attr]  # what else it is fails here


FLOWS = [
    pytest.param(None, id="without limits"),
    pytest.param(Flow(limit=1), id="limited"),
    pytest.param(Flow(key="k", singleton="queue"), id="one of a key"),
]


@pytest.mark.parametrize("flow", FLOWS)
async def test_no_more_are_queued_than_may_be(store: Store, flow: Flow | None) -> None:
    """Of ten that are created at once, as many are as may be queued, and one more where that has a slot at once."""
    await _register(store, flow)

    outcomes = await _create(store, *map(_creation, range(10)))

    created = 3 if flow is None else 4
    assert sorted(outcomes) == [*(["full"] * (10 - created)), *sorted(set(outcomes) - {"full"})]
    assert await _create(store, _creation(20, None)) == ["i20"]


async def test_what_a_worker_has_taken_makes_room(store: Store) -> None:
    """Where two have begun, two more may be queued."""
    await _register(store)
    await _create(store, *map(_creation, range(3)))
    worker = await store.run(RegisterWorker("w", 2**62, NOW))
    await store.run(ClaimDue(worker, NOW, 2))

    outcomes = [*await _create(store, _creation(10)), *await _create(store, _creation(11))]

    assert outcomes == ["i10", "i11"]
    assert await _create(store, _creation(12)) == ["full"]


async def test_long_queue_is_counted_in_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small a part is, and however many come in a millisecond: all are counted after some looks, each once."""
    _in_parts(monkeypatch, 4)
    # Stores in one database may remember what others have of `orders`.
    await _register(store, workflow="long")
    await _create(store, *(_creation(n, None, NOW + n // 3, "long") for n in range(20)))

    outcomes = [await _create(store, _creation(100 + n, 31, NOW + 100 + n, "long")) for n in range(30)]

    assert outcomes == [*([f"i{100 + n}"] for n in range(11)), *[["full"]] * 19]


async def test_id_that_is_there_takes_no_room(store: Store) -> None:
    """Who asks for an id that is there leaves the room to others."""
    await _register(store, workflow="ids")
    await _create(store, *(_creation(n, 310, workflow="ids") for n in range(300)))

    again = await asyncio.gather(
        *(store.run(_creation(0, 310, workflow="ids")) for _ in range(20)), return_exceptions=True
    )

    assert {type(outcome) for outcome in again} == {InstanceAlreadyExists}
    others = await _create(store, *(_creation(1_000 + n, 310, workflow="ids") for n in range(20)))
    assert sorted(others)[:10] == ["full"] * 10
    assert "full" not in others[:10]


async def test_what_another_host_creates_is_seen_within_seconds(hosts: list[Store]) -> None:
    """A host that had seen room for more looks again ten seconds later."""
    await _register(hosts[0])
    await _create(hosts[0], _creation(0))
    await _create(hosts[1], _creation(1), _creation(2))

    outcomes = await _create(hosts[0], _creation(3, now=NOW + 11_000))

    assert outcomes == ["full"]


class Queue:
    """A database in which instances are queued, by the moments of their creation; it knows what it was asked."""

    def __init__(self, *created_at: int) -> None:
        self.created_at = list(created_at)
        self.asked: list[int] = []

    def execute(self, _sql: str, values: tuple[Any, ...] = (), /) -> Any:
        """Answer."""
        _, _, since, until, most = values
        first = bisect_left(self.created_at, since)
        part = self.created_at[first : min(first + most, bisect_left(self.created_at, until))]
        self.asked.append(most)
        last = part[-1] if part else None
        return SimpleNamespace(fetchone=lambda: (len(part), last, part.count(last)))  # type: ignore[arg-type]  # of none there is none

    def create(self, room: QueueRoom, times: int, most: int, now: int = NOW) -> int:
        """Create instances one after the other, as many as are let in; return how many."""
        before = len(self.created_at)
        for n in range(times):
            let_in = room.let_in(self, {n: _creation(n, most, now)})  # type: ignore[arg-type]  # it asks no more
            self.created_at += [now] * len(let_in)
        return len(self.created_at) - before


def _in_parts(monkeypatch: pytest.MonkeyPatch, most: int = 10) -> None:
    monkeypatch.setattr(queue_room, "_SEEN_AT_ONCE", most)


def test_queued_are_counted_once_in_as_many_creations_as_there_is_room() -> None:
    """Where 400 more may be queued, the look before the first lets them all in, and nobody looks again for that."""
    queue, room = Queue(*range(600)), QueueRoom()

    let_in = queue.create(room, 400, 1_000)

    assert (let_in, len(queue.asked)) == (400, 1)


def test_look_sees_a_bounded_part() -> None:
    """Of two million entries a look sees 10,000 at the most; a rest follows, and at last all have been counted."""
    queue, room = Queue(*range(2_000_000)), QueueRoom()
    looks = []

    for now in range(NOW, NOW + 40_000, 10):
        asked = len(queue.asked)
        queue.create(room, 2, 2_000_000, now)
        looks += [now] * (len(queue.asked) - asked)

    assert set(queue.asked) == {10_000}
    assert min(late - early for early, late in pairwise(looks)) >= 100
    refused = queue.create(room, 1_000, 2_000_000, NOW + 40_001)
    assert (refused, len(queue.created_at) >= 2_000_000) == (0, True)


def test_full_queue_is_not_counted_at_each_creation() -> None:
    """Once all have been counted, a full queue is looked at for a hundredth of the time, whoever asks meanwhile."""
    queue, room = Queue(*range(100_000)), QueueRoom()
    for n in range(20):
        queue.create(room, 1, 100_000, NOW + n * 1_000)
    queue.asked.clear()

    let_in = sum(queue.create(room, 1, 100_000, NOW + 20_000 + n) for n in range(10_000))

    assert let_in == 0
    assert sum(queue.asked) <= 12 * 10_000


def test_what_has_left_a_long_queue_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever leave, as many are let in instead: a part that is not looked at counts as it was seen before."""
    _in_parts(monkeypatch)
    queue, room, random = Queue(*range(100)), QueueRoom(), Random(1)
    seen = []

    for n in range(20):
        for now in range(1_000):
            queue.create(room, 1, 100, NOW + n * 1_000 + now)
        seen.append(len(queue.created_at))
        for _ in range(random.randrange(60)):
            queue.created_at.pop(random.randrange(len(queue.created_at)))
    assert max(queue.asked) == 10
    # In the beginning some came before all had been seen.
    assert seen[0] <= 112
    assert seen[3:] == [100] * 17


def test_no_more_are_let_in_while_it_is_counted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full queue stays full in the middle of a count."""
    _in_parts(monkeypatch)
    queue, room = Queue(*range(100)), QueueRoom()
    for n in range(30):
        queue.create(room, 1, 1_000, NOW + n)

    let_in = [queue.create(room, 5, 100, NOW + 1_000 + n) for n in range(1_000)]

    assert sum(let_in) == 0


def test_creations_pass_while_it_is_counted_for_the_first_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has been counted leaves room: nobody is refused. Those that come meanwhile count, each once."""
    _in_parts(monkeypatch)
    queue, room = Queue(*range(60)), QueueRoom()

    let_in = [queue.create(room, 1, 100, NOW + n) for n in range(60)]

    assert sum(let_in) == 40
    assert let_in[:40] == [1] * 40


def test_entries_of_one_millisecond_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that would end in the middle of a millisecond has none of it; the next has all."""
    _in_parts(monkeypatch)
    queue, room = Queue(*range(7), *[7] * 8, *[8] * 5), QueueRoom()

    let_in = [queue.create(room, 1, 30, NOW + n) for n in range(30)]

    assert let_in == [*[1] * 10, *[0] * 20]


def test_millisecond_with_more_than_a_part_is_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of thirty of one millisecond ten are seen, and a count comes to its end behind them."""
    _in_parts(monkeypatch)
    queue, room = Queue(*[5] * 30, *range(6, 12)), QueueRoom()
    for n in range(5):
        queue.create(room, 1, 1_000, NOW + n)

    let_in = [queue.create(room, 1, 30, NOW + 5 + n) for n in range(20)]

    assert sum(let_in) == 30 - 10 - 6 - 5


def test_clock_that_is_set_back_does_not_refuse_for_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rest is over when the clock is an hour before its beginning."""
    _in_parts(monkeypatch, 1_000)
    queue, room = Queue(*range(900)), QueueRoom()
    assert queue.create(room, 1, 900, NOW) == 0
    del queue.created_at[:5]

    assert queue.create(room, 9, 900, NOW - 3_600_000) == 5


def test_setting_that_changes_holds_at_once() -> None:
    """What was seen under another limit holds for this one."""
    queue, room = Queue(*range(10)), QueueRoom()
    queue.create(room, 1, 1_000)

    let_in = queue.create(room, 5, 11)

    assert let_in == 0
    assert queue.create(room, 5, 13) == 2


def test_what_is_known_of_workflows_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of workflows beyond a number nothing is remembered but that they are asked about anew."""
    monkeypatch.setattr(queue_room, "_MOST_KNOWN", 2)
    queue: Any = Queue()
    room = QueueRoom()

    for name in "abcde":
        creation = CreateInstance("acme", name, "i", "api", codec.to_row(Created(NOW, "api", "{}")), NOW, most_queued=9)
        assert room.let_in(queue, {0: creation})

    assert len(room._known) <= 2


def test_queued_are_counted_by_an_index() -> None:
    """A look goes along the queued ones of one workflow, and reads no instance."""
    side, connection = open_sqlite()
    asked = ("acme", "orders", 0, 9, 9)
    plan = [row[3] for row in connection.execute(f"explain query plan {queue_room.QUEUED}", asked)]
    side.close()

    by_index = "COVERING INDEX instances_by_status (workflow=? AND status=? AND created_at>? AND created_at<?)"
    assert any(by_index in str(step) for step in plan), plan
