"""Limits over several hosts of a database: exact, whoever creates, claims and lets go at the same time."""

import asyncio
from collections import Counter
from random import Random

import pytest

from stepwell.clock import SystemClock
from stepwell.core.records import Completed, Created, Waiting
from stepwell.flow import Flow, to_text
from stepwell.store import Store, codec
from stepwell.store.flow_operations import LimitAccount, ListGates
from stepwell.store.operations import Claim, ClaimDue, CreateInstance, RegisterWorker, RegisterWorkflow, Release

FLOW = Flow(limit=4, key="k", limit_per_key=2)
INSTANCES, KEYS = 60, "abc"


class _Work:
    """What runs at a moment, over all hosts, and how often each instance was let go.

    Nobody lets go before as many run as may: so the limit is reached whoever is slow.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.full = asyncio.Event()
        self.running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.turns: Counter[str] = Counter()
        self.ended: set[str] = set()

    async def run(self, store: Store, worker: int, random: Random) -> None:
        """Claim and let go until all instances have ended: each sleeps once, for a moment."""
        while len(self.ended) < INSTANCES:
            claims = await store.run(ClaimDue(worker, SystemClock().now(), 3))
            for claim in claims.turns:
                self._count(claim, 1)
            if claims.turns:
                await self.full.wait()
            for claim in claims.turns:
                await asyncio.sleep(random.random() / 200)
                self._count(claim, -1)
                self.turns[claim.id] += 1
                await store.run(_release(claim, ends=self.turns[claim.id] > 1))
                if self.turns[claim.id] > 1:
                    self.ended.add(claim.id)
            if not claims.turns:
                await asyncio.sleep(0.002)

    def _count(self, claim: Claim, change: int) -> None:
        for what in ("", claim.id[0]):
            self.running[what] += change
            self.most[what] = max(self.most[what], self.running[what])
        if self.running[""] >= self.limit:
            self.full.set()


def _release(claim: Claim, *, ends: bool) -> Release:
    now = SystemClock().now()
    place = (claim.row, claim.turn, 1, len(claim.history or ()))
    if ends:
        return Release(*place, [codec.to_row(Completed(now, "1"))], 0, "complete", None, now, now)
    return Release(*place, [codec.to_row(Waiting(now))], 0, "waiting", now + 20, None, now)


async def _set_up(store: Store) -> None:
    flow = to_text(FLOW, "Orders")
    await store.run(RegisterWorkflow("acme", "orders", "shop", "Orders", "aa", "w", "v", 1, flow=flow))


async def _create(store: Store, n: int) -> None:
    now, key = SystemClock().now(), KEYS[n % len(KEYS)]
    record = codec.to_row(Created(now, "api", "{}"))
    await store.run(CreateInstance("acme", "orders", f"{key}{n}", "api", record, now, None, key))


# Conflicts between hosts are tried again; on a busy machine that takes its time.
@pytest.mark.timeout(120)
@pytest.mark.parametrize("concurrency", [None, 3], ids=["workflow", "account"])
async def test_hosts_together_run_no_more_than_may(hosts: list[Store], concurrency: int | None) -> None:
    """Two hosts with two workers each never run more than a limit allows, use it up, and end all instances."""
    await _set_up(hosts[0])
    if concurrency is not None:
        await hosts[0].run(LimitAccount("acme", concurrency, 1))
    limit = concurrency or FLOW.limit
    assert limit is not None
    work = _Work(limit)
    workers = [(host, await host.run(RegisterWorker("w", 2**62, 1))) for host in hosts for _ in range(2)]

    await asyncio.gather(
        *(_create(hosts[n % 2], n) for n in range(INSTANCES)),
        *(work.run(host, worker, Random(worker)) for host, worker in workers),
    )

    assert work.most[""] == work.limit
    assert max(work.most[key] for key in KEYS) <= 2
    assert set(work.turns.values()) == {2}
    (gate,) = (await hosts[1].run(ListGates("acme"))).gates
    assert (gate.held, gate.queued) == (0, 0)
