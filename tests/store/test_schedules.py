"""Schedules in every kind of store: a firing and what is due behind it are one, whoever asks, and however often."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator

import msgspec
import pytest

from stepwell.core.records import Firing
from stepwell.errors import ScheduleNotFound
from stepwell.store import Store, codec, operations
from stepwell.store.operations import GetInstance, GetWorkflow, ListInstances, NextFiring, VersionSettings
from stepwell.store.schedule_operations import (
    ChangeSchedule,
    Fired,
    FireSchedules,
    GetSchedule,
    ListSchedules,
    RunSchedule,
)
from stepwell.store.workflow_operations import DeleteWorkflow, PutWorkflow
from tests import postgres
from tests.store.scenes import NOW, register

# The whole minute behind NOW.
FIRST = 1_790_000_040_000
MINUTE = 60_000
DAY = 86_400_000
NAMED = ("acme", "orders", "* * * * *")


async def put(store: Store, *crons: str, name: str = "orders", n: int = 1) -> None:
    """Give a workflow these schedules."""
    ids = (f"w-{name}", f"v-{name}-{n}")
    settings = VersionSettings(schedules=crons)
    await store.run(PutWorkflow("acme", name, "shop", "Orders", *ids, settings, NOW, 1_000))


async def scene(store: Store, *crons: str) -> None:
    """Set a workflow that has these schedules."""
    await register(store)
    await put(store, *crons)


async def fired(store: Store, now: int, limit: int = 100) -> Fired:
    """Fire what is due."""
    return await store.run(FireSchedules(now, DAY, limit))


async def ids(store: Store) -> list[str]:
    """Return the ids of all instances, sorted."""
    found = await store.run(ListInstances("acme", "orders", 10_000))
    return sorted(row.id for row in found.rows)


async def test_firing_is_made_once(store: Store) -> None:
    """Who asks again, also at an earlier moment, finds nothing; the answer says when the next is due."""
    await scene(store, "* * * * *", "0 0 1 1 *")

    assert await fired(store, FIRST - 1) == Fired(0, 0, 0, False, FIRST)
    assert await fired(store, FIRST) == Fired(1, 0, 0, False, FIRST + MINUTE)
    assert await fired(store, FIRST) == Fired(0, 0, 0, False, FIRST + MINUTE)
    assert await ids(store) == [f"* * * * *-{FIRST}"]


async def test_instance_is_as_any_other(store: Store) -> None:
    """It is queued and due, of the newest version, and its first record has the firing."""
    await scene(store, "* * * * *")
    await fired(store, FIRST + 5)

    found = await store.run(GetInstance("acme", "orders", f"* * * * *-{FIRST}"))

    row = found.row
    assert (row.status, row.trigger, row.due_at, row.version) == ("queued", "cron", FIRST + 5, "v-orders-1")
    (created,) = codec.from_rows(found.records)
    assert created.record.schedule == Firing("* * * * *", FIRST)  # type: ignore[union-attr]  # the first is Created
    assert (await store.run(GetWorkflow("acme", "orders"))).triggered_at == FIRST + 5


async def test_firings_are_made_in_parts(store: Store) -> None:
    """An operation fires up to its limit, the earliest first, and says that there are more."""
    await scene(store, *(f"{minute} * * * *" for minute in range(14, 21)))

    answers = [await fired(store, FIRST + 30 * MINUTE, limit=3) for _ in range(3)]

    assert [(answer.created, answer.is_full) for answer in answers] == [(3, True), (3, True), (1, False)]
    assert (await ids(store))[0] == f"14 * * * *-{FIRST}"


async def test_firing_that_was_made_before_is_not_made_again(store: Store) -> None:
    """A schedule that is taken away and given again in the same minute finds the instance that it has made."""
    await scene(store, "* * * * *")
    await fired(store, FIRST + 10)
    await put(store, n=2)
    await put(store, "* * * * *", n=3)

    assert (await fired(store, FIRST + 20)).created == 1
    assert await ids(store) == [f"* * * * *-{FIRST}"]


async def test_schedules_of_a_workflow_are_told_with_it(store: Store) -> None:
    """A workflow says what creates its instances, and when."""
    await scene(store, "* * * * *", "0 0 1 1 *")

    found = await store.run(GetWorkflow("acme", "orders"))

    assert found.schedules == (NextFiring("* * * * *", FIRST), NextFiring("0 0 1 1 *", 1_798_761_600_000))


async def test_schedules_are_listed_by_workflow(store: Store) -> None:
    """A page has them by workflow and expression; a workflow's alone are asked for by its name."""
    await scene(store, "5 * * * *", "* * * * *")
    await put(store, "7 * * * *", name="bills")

    found = await store.run(ListSchedules("acme", 2, 1))
    ours = await store.run(ListSchedules("acme", 10, 0, "bills"))

    assert ([(row.workflow, row.cron) for row in found.rows], found.total) == (
        [("orders", "* * * * *"), ("orders", "5 * * * *")],
        3,
    )
    assert ([row.cron for row in ours.rows], ours.total) == (["7 * * * *"], 1)
    assert (await store.run(ListSchedules("other", 10))).total == 0


async def test_schedule_that_is_changed_is_the_one_that_is_read(store: Store) -> None:
    """What is said of a schedule is stored, and stays with it through a new version."""
    await scene(store, "* * * * *")

    changed = await store.run(ChangeSchedule(*NAMED, NOW, True, "skip", "UTC"))
    await put(store, "* * * * *", n=2)

    assert await store.run(GetSchedule(*NAMED)) == changed
    assert (changed.paused_at, changed.next_at, changed.overlap) == (NOW, None, "skip")
    assert (await fired(store, FIRST)).created == 0


async def test_schedule_of_a_deleted_workflow_is_gone(store: Store) -> None:
    """It neither fires, nor is it found, nor is anybody told that it will be due."""
    await scene(store, "* * * * *")
    await store.run(DeleteWorkflow("acme", "orders", NOW))
    await register(store)

    assert await fired(store, FIRST - 1) == Fired(0, 0, 0, False, None)
    assert await fired(store, FIRST) == Fired(0, 0, 0, False, None)
    with pytest.raises(ScheduleNotFound):
        await store.run(RunSchedule(*NAMED, "manual-1", NOW))


async def test_many_who_ask_at_once_make_each_firing_once(store: Store) -> None:
    """However many ask for what is due at the same moment, there is one instance for each firing."""
    await scene(store, *(f"{minute} * * * *" for minute in range(14, 24)))

    answers = await asyncio.gather(*(fired(store, FIRST + 12 * MINUTE) for _ in range(10)))

    assert sum(answer.created for answer in answers) == 10
    assert len(await ids(store)) == 10


# ---- several hosts


@pytest.fixture
def url(require: Callable[..., None]) -> Iterator[str]:
    """An empty database."""
    require(postgres.REASON, "a store in it", postgres.is_there())
    taken = postgres.databases.take()
    yield taken
    postgres.databases.give_back(taken)


async def test_hosts_compete_and_each_firing_is_made_once(url: str) -> None:
    """Of 200 firings each has exactly one instance, and is counted by the one host that made it."""
    from stepwell.store.postgres import PostgresStore

    hosts = [await asyncio.to_thread(PostgresStore.open, url) for _ in range(2)]
    await scene(hosts[0], *(f"{minute} * * * *" for minute in range(20, 40)))
    begin = FIRST - 14 * MINUTE

    async def fire_all(host: Store) -> Counter[str]:
        counts: Counter[str] = Counter()
        for hour in range(10):
            for minute in range(20, 40):
                answer = await fired(host, begin + (60 * hour + minute) * MINUTE, limit=3)
                counts.update({"created": answer.created, "skipped": answer.skipped, "missed": answer.missed})
        return counts

    counts = await asyncio.gather(*(fire_all(host) for host in hosts))
    for host in hosts:
        await fired(host, begin + (60 * 9 + 39) * MINUTE)

    expected = sorted(
        f"{minute} * * * *-{begin + (60 * hour + minute) * MINUTE}" for hour in range(10) for minute in range(20, 40)
    )
    assert await ids(hosts[1]) == expected
    assert sum(count["created"] for count in counts) == 200
    assert all(count["skipped"] + count["missed"] == 0 for count in counts)
    await asyncio.gather(*(host.close() for host in hosts))


async def test_schedules_that_were_stored_before_they_fired(url: str) -> None:
    """What an earlier release has stored of a workflow fires from the first look on, and makes up for nothing."""
    from stepwell.store.postgres import PostgresStore

    opened = await asyncio.to_thread(PostgresStore.open, url)
    await scene(opened, "* * * * *")
    await asyncio.to_thread(postgres.query, url, "update schedules set next_at = 0")

    assert await fired(opened, FIRST + 5) == Fired(0, 0, 0, False, FIRST + MINUTE)
    assert (await fired(opened, FIRST + MINUTE)).created == 1
    await opened.close()


def test_firing_is_a_record_that_older_ones_are_read_beside() -> None:
    """A history that was written before there were schedules has none in its first record."""
    row = operations.RecordRow("created", NOW, '{"trigger":"api"}', "{}", seq=1)

    assert codec.from_row(row).record.schedule is None  # type: ignore[union-attr]  # it is Created
    with_firing = msgspec.structs.replace(
        row, body='{"trigger":"cron","schedule":{"cron":"* * * * *","scheduled_at":5}}'
    )
    assert codec.from_row(with_firing).record.schedule == Firing("* * * * *", 5)  # type: ignore[union-attr]  # as above
