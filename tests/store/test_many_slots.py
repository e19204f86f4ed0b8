"""The contract of every store: all who can have a slot get one, however many they are, and whoever is before them."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count

import pytest

from stepwell.core.records import Key, StepKind, Waiting
from stepwell.flow import Flow, SharedLimit, shared_text, to_text
from stepwell.store import Store, codec
from stepwell.store.flow_operations import AskSlot, ListGates, ShareLimit
from stepwell.store.operations import Claim, RegisterWorkflow, Release
from tests.store.scenes import NOW, claim, create, creation, ending, worker

WORK = codec.to_step(Key(StepKind.DO, "work", 1))
# More than two transactions give.
MANY = 250
_numbers = count(1)


async def _declare(store: Store, flow: Flow | None) -> None:
    n = next(_numbers)
    ids, text = ("orders-id", f"version-{n}"), to_text(flow, "Orders")
    await store.run(RegisterWorkflow("acme", "orders", "shop", "Orders", f"{n:064}", *ids, NOW, flow=text))


async def _becomes(look: Callable[[], Awaitable[object]], wanted: object) -> None:
    """Wait until what is looked at is as wanted: a writer goes on beside other work."""
    async with asyncio.timeout(20):
        while await look() != wanted:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.02)


async def _ask(store: Store, turn: Claim, at: int) -> int | None:
    return (await store.run(AskSlot(turn.row, turn.turn, "acme", "desk", WORK, at))).start_at


async def test_all_who_can_have_a_slot_get_one_when_a_limit_is_raised(store: Store) -> None:
    """One may run, then a thousand: nobody has to wait until one of the others ends."""
    await _declare(store, Flow(limit=1))
    await asyncio.gather(*(store.run(creation(f"i{n}")) for n in range(MANY)))

    await _declare(store, Flow(limit=1_000))

    async def gate() -> tuple[int, int]:
        (found,) = (await store.run(ListGates("acme"))).gates
        return found.held, found.queued

    await _becomes(gate, (MANY, 0))
    assert len((await claim(store, await worker(store), limit=1_000)).turns) == MANY


async def test_all_steps_that_can_have_a_slot_get_one_when_a_shared_limit_is_raised(store: Store) -> None:
    """No step may begin, then a thousand may: all that wait do."""
    await _declare(store, None)
    turns = await _turns(store, MANY)
    for n, turn in enumerate(turns):
        assert await _ask(store, turn, NOW + n) is None

    await store.run(ShareLimit("acme", "desk", shared_text(SharedLimit(1_000)), NOW + MANY))

    await _becomes(lambda: _shared(store), (MANY, 0))


@pytest.mark.parametrize("how", ["ended", "paused"])
async def test_those_who_want_no_slot_any_more_keep_nobody_from_one(store: Store, how: str) -> None:
    """Before one that waits stand many whose instances have ended, or are paused: it gets the only slot at once."""
    await _declare(store, None)
    *dead, alive = await _turns(store, MANY)
    for n, turn in enumerate((*dead, alive)):
        await _ask(store, turn, NOW + n)
    for turn in dead:
        # As where a worker died just before it would have given its place back.
        await store.run(ending(turn) if how == "ended" else _pause(turn))

    await store.run(ShareLimit("acme", "desk", shared_text(SharedLimit(1)), NOW + MANY))

    await _becomes(lambda: _shared(store), (1, 0))
    assert await _ask(store, alive, NOW + MANY + 1) == NOW + MANY


async def _turns(store: Store, many: int) -> list[Claim]:
    await create(store, *(f"i{n}" for n in range(many)))
    claims = (await claim(store, await worker(store), limit=1_000)).turns
    return sorted(claims, key=lambda one: one.row)


async def _shared(store: Store) -> tuple[int, int]:
    (found,) = (await store.run(ListGates("acme"))).shared
    return found.held, found.waiting


def _pause(turn: Claim) -> Release:
    return Release(turn.row, turn.turn, 1, 2, [codec.to_row(Waiting(NOW))], 0, "paused", None, None, NOW)
