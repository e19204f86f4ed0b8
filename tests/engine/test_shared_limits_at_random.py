"""Limits that steps share, whatever happens: random work, and what has to hold after each part of it."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell.clock import sleep_ms
from stepwell.errors import InstanceFinished
from stepwell.flow import Flow, Rate, SharedLimit, shared_of
from stepwell.store.flow_operations import ListGates, ShareLimit
from stepwell.store.sql.rows import Connection, every
from stepwell.store.sqlite import SqliteStore
from stepwell.testing import ACCOUNT, TestEngine, TestInstance
from stepwell.workflow import WorkflowEntrypoint

LIMITS = {
    "desk": SharedLimit(2),
    "one": SharedLimit(1),
    "model": SharedLimit(rate=Rate(2, "1 minute")),
    "both": SharedLimit(2, Rate(3, "1 minute")),
}
_OTHERS = ('{"concurrency":1}', '{"concurrency":4}', '{"rate":{"limit":5,"period":30000}}', None)
_SECOND = 1_000

# What an instance does, part by part: steps of these limits at the same time, each for so many seconds; or a sleep.
PLANS = st.lists(
    st.lists(st.tuples(st.sampled_from([*LIMITS, None]), st.integers(0, 90), st.booleans()), min_size=1, max_size=3),
    min_size=1,
    max_size=3,
)
ACTS = st.lists(
    st.tuples(
        st.sampled_from(
            ["create"] * 8
            + ["tick"] * 8
            + ["terminate", "pause", "resume", "resume", "restart", "delete", "crash", "drain", "set"]
        ),
        st.integers(0, 50),
        PLANS,
    ),
    min_size=4,
    max_size=25,
)


class _Bodies:
    """The bodies at work: how many of each limit, and when attempts began."""

    def __init__(self) -> None:
        self.at_work: Counter[str] = Counter()
        self.began: dict[str, list[int]] = {name: [] for name in LIMITS}
        self.failed: set[tuple[str, str]] = set()


def _workflow(bodies: _Bodies, engine: list[TestEngine]) -> Any:
    async def body(ctx: Any, limit: str | None, seconds: int, who: tuple[str, str], *, fails: bool) -> str:
        clock = engine[0].clock
        if limit is not None:
            bodies.at_work[limit] += 1
            bodies.began[limit].append(clock.now())
        try:
            await sleep_ms(clock, seconds * _SECOND)
        finally:
            if limit is not None:
                bodies.at_work[limit] -= 1
        if fails and who not in bodies.failed:
            bodies.failed.add(who)
            raise ValueError("once")
        return f"{who}"

    class Work(WorkflowEntrypoint):
        """Does what its params say."""

        flow = Flow(shared=LIMITS)

        async def run(self, event: Any, step: Any) -> str:
            for n, part in enumerate(event["payload"]["plan"]):
                calls = []
                for m, (limit, seconds, fails) in enumerate(part):
                    name = f"{n} {m}"
                    who = (event["instanceId"], name)
                    config = {"retries": {"limit": 5, "delay": "20 seconds"}, "timeout": "1 hour"}
                    options = {"config": config} if limit is None else {"config": config, "limit": limit}

                    async def attempt(
                        ctx: Any, limit: Any = limit, seconds: int = seconds, who: Any = who, fails: Any = fails
                    ) -> str:
                        return await body(ctx, limit, seconds, who, fails=fails)

                    calls.append(step.do(name, attempt, **options))
                await asyncio.gather(*calls)
            return "done"

    return Work


class _World:
    """An engine at which random things are done."""

    def __init__(self, engine: TestEngine, workflow: Any, bodies: _Bodies) -> None:
        self.engine = engine
        self.workflow = workflow
        self.bodies = bodies
        self.instances: dict[str, TestInstance] = {}
        self.numbers = itertools.count()
        self.allowed = {name: limit.concurrency for name, limit in LIMITS.items()}
        self.rates: dict[str, Any] = {name: LIMITS[name].rate for name in LIMITS}

    async def act(self, what: str, n: int, plan: Any) -> None:
        """Do something."""
        if what == "create":
            id = f"i{next(self.numbers)}"
            self.instances[id] = await self.engine.create(self.workflow, id=id, params={"plan": plan})
        elif what == "tick":
            await self.engine.advance(f"{1 + n} seconds")
        elif what == "crash":
            await self.engine.crash()
            self.bodies.at_work.clear()
            await self.engine.start_worker()
        elif what == "drain":
            await self.engine.stop()
            await self.engine.start_worker()
        elif what == "set":
            await self._set([*LIMITS][n % len(LIMITS)], _OTHERS[n % 3])
        elif self.instances:
            id = [*self.instances][n % len(self.instances)]
            with suppress(InstanceFinished):
                await getattr(self.instances[id], what)()
            if what == "delete":
                del self.instances[id]
        await self.engine.run_until_idle()

    async def _set(self, name: str, text: str | None) -> None:
        said = LIMITS[name] if text is None else shared_of(text)
        await self.engine.store.run(ShareLimit(ACCOUNT, name, text, self.engine.clock.now()))
        # What runs, runs on: until then there may be more.
        self.allowed[name] = said.concurrency
        self.rates[name] = None

    async def check(self) -> None:
        """See that all that has to hold does."""
        connection = _connection_of(self.engine.store)
        now = self.engine.clock.now()
        for limit in (await self.engine.store.run(ListGates(ACCOUNT))).shared:
            where = f"shared_limit = (select row from shared_limits where name = '{limit.name}')"
            given = every(connection, f"select start_at from shared_slots where {where} and start_at is not null")
            assert limit.held == len(given), limit
            begun = sum(start_at <= now for (start_at,) in given)
            assert self.bodies.at_work[limit.name] <= begun, limit
            most = shared_of(limit.limit).concurrency
            waiting = every(
                connection,
                f"""
                select i.id, i.status
                from shared_slots as s
                join instances as i on i.row = s.instance
                where {where} and s.start_at is null and i.ended_at is null and i.status <> 'paused'
                """,
            )
            has_one_to_come = any(start_at > now for (start_at,) in given)
            if waiting and not has_one_to_come:
                assert most is not None, (limit, waiting)
                assert limit.held >= most, (limit, waiting)
        for name, rate in self.rates.items():
            if rate is not None:
                _check_rate(self.bodies.began[name], rate)

    async def end(self) -> None:
        """Let everything come to its end, and see that it does, and leaves nothing."""
        await self.engine.advance("1 hour")
        for instance in self.instances.values():
            if await instance.status() == "paused":
                await instance.resume()
        await self.engine.advance("10 hours")
        await self.check()
        statuses = {id: await instance.status() for id, instance in self.instances.items()}
        assert {id: status for id, status in statuses.items() if status not in ("complete", "terminated")} == {}
        found = (await self.engine.store.run(ListGates(ACCOUNT))).shared
        assert [(limit.name, limit.held, limit.waiting) for limit in found if limit.held or limit.waiting] == []


def _connection_of(store: Any) -> Connection:
    """Return the connection of a store in memory, or of what stands in for it in a database."""
    shell = store._shell
    if isinstance(store, SqliteStore):
        memory: Connection = shell._ledger._database.connection
        return memory
    database: Connection = getattr(shell, "inner", shell)._opened.first
    return database


def _check_rate(began: Sequence[int], rate: Rate) -> None:
    for first, last in zip(began, began[rate.limit :], strict=False):
        assert last - first >= 60_000, (began, rate)


async def _world(acts: Sequence[tuple[str, int, Any]]) -> None:
    bodies, engines = _Bodies(), list[TestEngine]()
    workflow = _workflow(bodies, engines)
    async with TestEngine.open([workflow]) as engine:
        engines.append(engine)
        world = _World(engine, workflow, bodies)
        for act in acts:
            await world.act(*act)
            await world.check()
        await world.end()


@settings(max_examples=40, deadline=None)
@given(acts=ACTS)
def test_limits_hold_whatever_happens(acts: Sequence[tuple[str, int, Any]]) -> None:
    """Never more than may; none waits while there is room; none is forgotten; in the end nobody has a slot."""
    asyncio.run(_world(acts))
