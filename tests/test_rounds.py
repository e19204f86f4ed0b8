"""What a server does now and then goes on, whatever happens."""

import asyncio
import logging

import pytest

from stepwell.errors import StoreUnavailable
from stepwell.rounds import rounds


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
