"""What a server does now and then goes on, whatever happens."""

import asyncio
import logging

import pytest

from stepwell.clock import VirtualClock
from stepwell.errors import StoreUnavailable
from stepwell.rounds import rounds
from stepwell.store.snapshot_operations import ListUploads, SaveSnapshot
from stepwell.store.sqlite import SqliteStore
from stepwell.sweeps import Sweeps


async def test_round_goes_on_after_faults(caplog: pytest.LogCaptureFixture) -> None:
    """A store that cannot be asked is for who debugs, a defect is told; after both it is looked again."""
    faults: list[Exception | None] = [StoreUnavailable("away"), ValueError("a defect"), None]
    has_looked = asyncio.Event()

    async def look() -> None:
        fault = faults.pop(0)
        if fault is not None:
            raise fault
        has_looked.set()
        await asyncio.Event().wait()

    with caplog.at_level(logging.DEBUG, "stepwell.rounds"):
        task = asyncio.create_task(rounds("what is lost", 0, look))
        await asyncio.wait_for(has_looked.wait(), 10)
    task.cancel()
    await asyncio.wait([task])

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("DEBUG", "what is lost cannot be looked for now: away"),
        ("ERROR", "what is lost could not be looked for"),
    ]


async def test_code_that_was_never_served_is_swept_up(caplog: pytest.LogCaptureFixture) -> None:
    """When whoever tried it would be done long ago: a server may have died meanwhile."""
    store, clock = SqliteStore.in_memory(), VirtualClock()
    sweeps = Sweeps(store, clock)
    kept_until = clock.now() + 1_000
    await store.run(SaveSnapshot("acme", "1" * 64, "a.py", "3.13.1", "{}", [], clock.now(), kept_until, "shop"))

    left = []
    for moment in (kept_until - 1, kept_until):
        clock.move_to(moment)
        with caplog.at_level(logging.INFO, "stepwell.sweeps"):
            await sweeps.sweep()
        uploads = await store.run(ListUploads("acme", "shop", 9))
        left.append(len(uploads))
    await store.close()

    assert left == [1, 0]
    assert caplog.messages == ["code that was never served was left, and is gone: 1 of the snapshots"]
