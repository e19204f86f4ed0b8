"""Limits that steps share over several hosts of a database: exact, whoever asks and leaves at the same time."""

import asyncio
from collections import Counter
from random import Random
from typing import Any

import pytest

from stepwell.clock import SystemClock
from stepwell.core.records import Completed, Created, Key, StepKind, Terminated, Waiting
from stepwell.flow import Flow, SharedLimit, shared_text, to_text
from stepwell.store import Store, codec
from stepwell.store.control_operations import DeleteInstance, StartTermination, TerminateInstance, TerminateSome
from stepwell.store.flow_operations import AskSlot, LeaveSlot, ListGates, ShareLimit
from stepwell.store.operations import (
    Claim,
    ClaimDue,
    CreateInstance,
    Operation,
    RegisterWorker,
    RegisterWorkflow,
    Release,
)
from stepwell.store.workflow_operations import PurgeDeleted
from tests.store.conftest import HAS_POSTGRES
from tests.store.scenes import NOW, claim, create, register, worker

LIMITS = {"one": SharedLimit(1), "some": SharedLimit(3)}
INSTANCES = 40
STEP = codec.to_step(Key(StepKind.DO, "work", 1))


if HAS_POSTGRES:
    import asyncpg


class _Work:
    """What works with a slot at a moment, over all hosts."""

    def __init__(self) -> None:
        self.working: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.parked = 0
        self.ended: set[str] = set()
        # As many work together once as may; until then they wait for each other.
        self.are_all = asyncio.Event()

    async def run(self, store: Store, worker: int, random: Random) -> None:
        """Claim, ask for a slot, work or park, until all instances have ended."""
        while len(self.ended) < INSTANCES:
            claims = await store.run(ClaimDue(worker, SystemClock().now(), 4))
            await asyncio.gather(*(self._turn(store, claim, random) for claim in claims.turns))
            if not claims.turns:
                await asyncio.sleep(0.002)

    async def _turn(self, store: Store, claim: Claim, random: Random) -> None:
        limit, now = claim.id.split("-")[0], SystemClock().now()
        answer = await store.run(AskSlot(claim.row, claim.turn, claim.account, limit, STEP, now))
        if answer.start_at is None:
            self.parked += 1
            await self._release(store, claim, ends=False)
            return
        self.working[limit] += 1
        self.most[limit] = max(self.most[limit], self.working[limit])
        if self.most["some"] == LIMITS["some"].concurrency:
            self.are_all.set()
        if limit == "some":
            await self.are_all.wait()
        await asyncio.sleep(random.random() / 100)
        self.working[limit] -= 1
        self.ended.add(claim.id)
        left = store.run(LeaveSlot(claim.row, claim.turn, claim.account, limit, STEP, SystemClock().now()))
        await self._release(store, claim, ends=True)
        await left

    async def _release(self, store: Store, claim: Claim, *, ends: bool) -> None:
        now = SystemClock().now()
        last = codec.to_row(Completed(now, "1") if ends else Waiting(now))
        status, ended_at = ("complete", now) if ends else ("waiting", None)
        seen = len(claim.history or ())
        released = await store.run(Release(claim.row, claim.turn, 1, seen, [last], 0, status, None, ended_at, now))
        if not released.done:
            # The slot came before it was put back: the next turn meets that.
            retry = Release(claim.row, claim.turn, 1, released.seq, [last], 0, status, now, ended_at, now)
            assert (await store.run(retry)).done


# Conflicts between hosts are tried again; on a busy machine that takes its time.
@pytest.mark.timeout(120)
async def test_hosts_together_give_no_more_slots_than_there_are(hosts: list[Store]) -> None:
    """Two hosts with two workers each give a slot to one step at a time, use all, forget nobody, and leave none."""
    flow = to_text(Flow(shared=LIMITS), "Orders")
    await hosts[0].run(RegisterWorkflow("acme", "orders", "shop", "Orders", "aa", "w", "v", 1, flow=flow))
    work = _Work()
    workers = [(host, await host.run(RegisterWorker("w", 2**62, 1))) for host in hosts for _ in range(2)]

    async def create(n: int) -> None:
        now = SystemClock().now()
        record = codec.to_row(Created(now, "api", "{}"))
        await hosts[n % 2].run(CreateInstance("acme", "orders", f"{[*LIMITS][n % 2]}-{n}", "api", record, now))

    await asyncio.gather(
        *(create(n) for n in range(INSTANCES)),
        *(work.run(host, worker, Random(worker)) for host, worker in workers),
    )

    assert work.most == {"one": 1, "some": 3}
    assert work.parked > 0
    shared = (await hosts[1].run(ListGates("acme"))).shared
    assert [(limit.name, limit.held, limit.waiting) for limit in shared] == [("one", 0, 0), ("some", 0, 0)]


async def test_slot_is_given_back_once_where_its_instance_is_deleted_meanwhile(
    hosts: list[Store], hosts_database: str
) -> None:
    """Its worker gives it back while another host deletes the rows: that one counts when it has the lock."""
    store = hosts[0]
    await register(store)
    await store.run(ShareLimit("acme", "desk", shared_text(SharedLimit(1)), NOW))
    await create(store, "a")
    (a,) = (await claim(store, await worker(store))).turns
    await store.run(AskSlot(a.row, a.turn, "acme", "desk", STEP, NOW))
    connection = await asyncpg.connect(hosts_database)
    # Until the slot's limit is held, no host may delete rows.
    purging = "hashtext('stepwell purge'), hashtext(current_schema())"
    await connection.execute(f"select pg_advisory_lock({purging})")
    await store.run(DeleteInstance("acme", "orders", "a", NOW))
    async with connection.transaction():
        await connection.execute("select 1 from shared_limits for update")
        await connection.execute(f"select pg_advisory_unlock({purging})")
        deleting = asyncio.ensure_future(store.run(PurgeDeleted()))
        await _until(connection, "select count(*) from pg_locks where not granted")
        await connection.execute("delete from shared_slots")
        await connection.execute("update shared_limits set held = 0")
    await deleting
    assert await connection.fetchval("select count(*) from instances") == 0
    await connection.close()

    assert [limit.held for limit in (await store.run(ListGates("acme"))).shared] == [0]


async def _until(connection: "asyncpg.Connection[Any]", question: str) -> None:
    async with asyncio.timeout(20):
        while not await connection.fetchval(question):  # noqa: ASYNC110 - a database cannot tell
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("how", ["alone", "all"])
async def test_termination_that_waits_for_a_limit_keeps_no_instance_from_its_slot(
    hosts: list[Store], hosts_database: str, how: str
) -> None:
    """Who has the limit's lock may give a slot to that very instance: the two would wait for each other."""
    store = hosts[0]
    await register(store)
    await store.run(ShareLimit("acme", "desk", shared_text(SharedLimit(1)), NOW))
    await create(store, "a", "b")
    turns = (await claim(store, await worker(store))).turns
    for turn in turns:
        await store.run(AskSlot(turn.row, turn.turn, "acme", "desk", STEP, NOW))
    record = codec.to_row(Terminated(NOW, "api"))
    ways: dict[str, Operation[Any]] = {
        "alone": TerminateInstance("acme", "orders", "b", record),
        "all": TerminateSome("acme", "orders", record),
    }
    await store.run(StartTermination("acme", "orders", ["running"]))
    connection = await asyncpg.connect(hosts_database)
    await connection.execute("update instances set owner = null")
    async with connection.transaction():
        await connection.execute("select 1 from shared_limits for update")
        ending = asyncio.ensure_future(store.run(ways[how]))
        await _until(connection, "select count(*) from pg_locks where not granted")
        await connection.execute("select 1 from instances for no key update nowait")
    await ending
    await connection.close()
