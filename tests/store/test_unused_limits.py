"""The contract of every store: limits to which nothing refers are forgotten, and no others."""

from collections.abc import Callable
from itertools import count

import pytest

from stepwell.core.records import Key, StepKind
from stepwell.flow import Flow, Rate, SharedLimit, shared_text, to_text
from stepwell.store import Store, codec
from stepwell.store.flow_operations import (
    AskSlot,
    ForgetLimits,
    ForgetQueues,
    LeaveSlot,
    LimitAccount,
    ListGates,
    ShareLimit,
)
from stepwell.store.operations import Claim, CreateInstance, RegisterWorkflow
from tests.store.scenes import NOW, claim, create, creation, ending, worker
from tests.store.slots import ACCOUNT, WORKFLOWS, Work
from tests.store.test_slots import either

WORK = codec.to_step(Key(StepKind.DO, "work", 1))
MINUTE = 60_000
_numbers = count(1)


async def _declare(store: Store, flow: Flow | None, name: str = "orders") -> None:
    """Let new code declare a flow."""
    n = next(_numbers)
    ids = (f"{name}-id", f"{name}-version-{n}")
    text = to_text(flow, name)
    await store.run(RegisterWorkflow("acme", name, "shop", name.title(), f"{n:064}", *ids, NOW, flow=text))


async def _turn(store: Store, id: str = "a") -> Claim:
    await create(store, id)
    (turn,) = (await claim(store, await worker(store))).turns
    return turn


async def _gates(store: Store) -> list[str]:
    return [gate.workflow for gate in (await store.run(ListGates("acme"))).gates]


async def _shared(store: Store) -> list[str]:
    return [limit.name for limit in (await store.run(ListGates("acme"))).shared]


async def _ask(store: Store, turn: Claim, at: int = NOW) -> int | None:
    return (await store.run(AskSlot(turn.row, turn.turn, "acme", "desk", WORK, at))).start_at


async def test_gate_goes_with_the_last_that_has_a_slot(store: Store) -> None:
    """Code declares no limit any more: the gate stays while an instance has its slot, and is gone then."""
    await _declare(store, Flow(limit=1))
    turn = await _turn(store)
    await _declare(store, None)

    early = await store.run(ForgetLimits(NOW)), await _gates(store)
    await store.run(ending(turn))
    late = await store.run(ForgetLimits(NOW)), await _gates(store)

    assert (early, late) == ((0, ["orders"]), (1, []))
    await create(store, "b", "c")
    assert len((await claim(store, await worker(store))).turns) == 2


@pytest.mark.parametrize("said", ["flow", "account", "concurrency of others"])
async def test_gate_stays_while_something_limits_its_workflow(store: Store, said: str) -> None:
    """The code, or the account: what limits a workflow keeps its gate, and says nothing of another's."""
    await _declare(store, Flow(limit=1) if said == "flow" else None)
    if said == "account":
        await store.run(LimitAccount("acme", 1, NOW))
    if said == "concurrency of others":
        await store.run(LimitAccount("other", 1, NOW))

    await store.run(ForgetLimits(NOW))

    assert await _gates(store) == ([] if said == "concurrency of others" else ["orders"])


async def test_account_that_is_limited_no_more_has_no_gates(store: Store) -> None:
    """An account's limit gives all its workflows gates; without it they have none again."""
    await _declare(store, None)
    await _declare(store, None, "mails")
    await store.run(LimitAccount("acme", 1, NOW))
    limited = await _gates(store)
    await store.run(LimitAccount("acme", None, NOW))

    await store.run(ForgetLimits(NOW))

    assert (limited, await _gates(store)) == (["mails", "orders"], [])


@pytest.mark.parametrize("kind", ["memory", "postgres"])
def test_what_is_created_while_its_gate_is_forgotten_runs(require: Callable[..., None], kind: str) -> None:
    """A creation has seen the gate, and another operation of the same transaction forgets it: nobody waits for ever."""
    with either(require, kind, Flow(limit=1)) as work:
        work.declare(WORKFLOWS[0], None)

        work.write([_creation(work, "a"), ForgetLimits(work.now), _creation(work, "b")])

        work._claim(0, 4)
        assert len(work.turns) == 2


def _creation(work: Work, id: str) -> CreateInstance:
    return creation(id, account=ACCOUNT, at=work.now)


async def test_shared_limit_goes_when_no_code_declares_it(store: Store) -> None:
    """What only earlier code has declared is gone; what other code declares stays, and what somebody has set."""
    shared = {"desk": SharedLimit(1), "till": SharedLimit(1), "door": SharedLimit(1)}
    await _declare(store, Flow(shared=shared))
    await _declare(store, Flow(shared={"till": SharedLimit(1)}), "mails")
    await store.run(ShareLimit("acme", "door", shared_text(SharedLimit(2)), NOW))
    await store.run(ForgetLimits(NOW))
    before = await _shared(store)
    await _declare(store, None)

    forgotten = await store.run(ForgetLimits(NOW))

    assert (before, forgotten, await _shared(store)) == (["desk", "door", "till"], 1, ["door", "till"])


async def test_shared_limit_stays_while_a_step_has_a_slot_or_waits(store: Store) -> None:
    """A limit that is used is not forgotten, and goes with the last that uses it."""
    await _declare(store, Flow(shared={"desk": SharedLimit(1)}))
    first, second = await _turn(store, "a"), await _turn(store, "b")
    assert [await _ask(store, first), await _ask(store, second)] == [NOW, None]
    await _declare(store, None)
    seen = []

    for turn in (first, second):
        await store.run(ForgetLimits(NOW))
        seen.append(await _shared(store))
        await store.run(LeaveSlot(turn.row, turn.turn, "acme", "desk", WORK, NOW))
    await store.run(ForgetLimits(NOW))

    assert (seen, await _shared(store)) == ([["desk"], ["desk"]], [])


async def test_shared_limit_stays_while_a_start_counts(store: Store) -> None:
    """One in a minute: what has begun is remembered for a minute, whatever code says by then."""
    await _declare(store, Flow(shared={"desk": SharedLimit(rate=Rate(1, MINUTE))}))
    turn = await _turn(store)
    assert await _ask(store, turn) == NOW
    await store.run(LeaveSlot(turn.row, turn.turn, "acme", "desk", WORK, NOW))
    await _declare(store, None)

    await store.run(ForgetLimits(NOW + MINUTE - 1))
    early = await _shared(store)
    await store.run(ForgetLimits(NOW + MINUTE))

    assert (early, await _shared(store)) == (["desk"], [])


async def test_instance_of_earlier_code_has_the_limit_that_this_declares(store: Store) -> None:
    """The newest code names a limit no more, and it is forgotten: an instance of the version before still finds it."""
    await _declare(store, Flow(shared={"desk": SharedLimit(1)}))
    first, second = await _turn(store, "a"), await _turn(store, "b")
    await _declare(store, None)
    await store.run(ForgetLimits(NOW))
    assert await _shared(store) == []

    answers = [await _ask(store, first), await _ask(store, second)]

    assert answers == [NOW, None]


async def test_name_that_nobody_declares_is_forgotten_with_its_last_step(store: Store) -> None:
    """A typing mistake is listed while steps wait for it, and no longer."""
    await _declare(store, None)
    turn = await _turn(store)
    assert await _ask(store, turn) is None
    await store.run(ForgetLimits(NOW))
    waiting = await _shared(store)

    await store.run(LeaveSlot(turn.row, turn.turn, "acme", "desk", WORK, NOW))
    await store.run(ForgetLimits(NOW))

    assert (waiting, await _shared(store)) == (["desk"], [])


@pytest.mark.parametrize("kind", ["memory", "postgres"])
def test_queue_of_a_key_goes_when_its_starts_count_no_more(require: Callable[..., None], kind: str) -> None:
    """One start of each key in 500 ms: the queues stay so long, and are forgotten however few are looked at a time."""
    with either(require, kind, Flow(key="k", rate_per_key=Rate(1, 500))) as work:
        for which in range(3):
            work.do(("create", 0, which))
        work.do(("claim", 0, 4))
        for _ in range(3):
            work.do(("end", 0, 0))
        work.now += 499
        work._forget(0, 0)
        early = _queues(work)
        work.now += 1
        work._forget(0, 0)

        assert (early, _queues(work), work.connection.execute("select * from starts").fetchall()) == (3, 0, [])


@pytest.mark.parametrize("kind", ["memory", "postgres"])
def test_queue_of_a_key_in_use_stays(require: Callable[..., None], kind: str) -> None:
    """Where one has a slot, or holds its key, or waits, the queue stays, however late it is."""
    with either(require, kind, Flow(limit=1, key="k", rate_per_key=Rate(5, 500))) as work:
        work._create(0, 0)
        work._create(0, 1)
        work.now += 10_000

        work._forget(0, 0)

        assert _queues(work) == 2


def _queues(work: Work) -> int:
    return len(work.connection.execute("select * from queues").fetchall())


def test_forgetting_queues_goes_on_where_it_was() -> None:
    """A place is passed on: of three queues one is looked at a time, and after the last there is none."""
    from tests.store.test_slots import _in_memory

    work = _in_memory((Flow(limit=1, key="k"), None))
    for which in range(3):
        work._create(0, which)

    (first,) = work.write([ForgetQueues(work.now, None, 2)])
    (last,) = work.write([ForgetQueues(work.now, first, 2)])  # type: ignore[arg-type]  # a place

    assert (first.key, last) == ("bob", None)  # type: ignore[attr-defined]  # a place
