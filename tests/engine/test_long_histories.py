"""A history that is longer than a page is read page by page."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from stepwell import WorkflowEntrypoint
from stepwell.clock import VirtualClock
from stepwell.core.records import Completed, Created, Record, Recorded, Running, Waiting
from stepwell.errors import TurnLost
from stepwell.reader import History, Reader
from stepwell.store import codec
from stepwell.store.operations import Claim, ReadHistory, RecordRow
from stepwell.testing import TestEngine
from tests.engine.flows import NOW
from tests.engine.stores import CheckedStore, refused

PAGE = 4
CLAIM = Claim(1, 2, 0, "local", "flow", "a", "v", NOW, 0)
RECORDS: list[Record] = [Created(NOW, "api", "null"), *(Running(NOW + n) for n in range(9)), Completed(NOW, "1")]


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pages be small."""
    monkeypatch.setattr("stepwell.reader.PAGE_RECORDS", PAGE)


class Pages:
    """A store that has one history; `fails` says of each read, by its number, whether that has no answer."""

    def __init__(self, records: list[Record], fails: Callable[[int], bool] = lambda read: False) -> None:
        rows = [codec.to_row(record) for record in records]
        self.rows = [RecordRow(row.kind, row.at, row.body, row.value, seq=seq) for seq, row in enumerate(rows, 1)]
        self.reads: list[tuple[int, int]] = []
        self._fails = fails

    def run(self, operation: ReadHistory) -> "asyncio.Future[list[RecordRow]]":
        """Read a page."""
        self.reads.append((operation.after, operation.limit or 0))
        if self._fails(len(self.reads)):
            return refused("it is not there")
        future: asyncio.Future[list[RecordRow]] = asyncio.get_running_loop().create_future()
        future.set_result([row for row in self.rows if row.seq > operation.after][: operation.limit])
        return future


async def read(store: Any) -> History:
    """Read the history of the claim."""
    return await Reader(store, VirtualClock(NOW), CLAIM).history(CLAIM)


@pytest.mark.parametrize("length", range(1, len(RECORDS) + 1))
async def test_history_is_whole_however_long_it_is(length: int) -> None:
    """Each record is there once, whether the last page is full or not."""
    store = Pages(RECORDS[:length])

    history = await read(store)

    assert history.whole() == [Recorded(seq, record) for seq, record in enumerate(RECORDS[:length], 1)]
    assert history.seq == length
    assert {limit for _, limit in store.reads} == {PAGE}


@pytest.mark.parametrize("left", range(1, len(RECORDS), 2))
async def test_turn_that_is_lost_between_two_pages_has_no_history(left: int) -> None:
    """What has been read of it is no history: the steps that the rest tells of would run once more."""

    class Losing(Pages):
        def run(self, operation: ReadHistory) -> "asyncio.Future[list[RecordRow]]":
            answer = super().run(operation)
            if sum(limit for _, limit in self.reads) > left:
                self.rows = []
            return answer

    with pytest.raises(TurnLost):
        await read(Losing(RECORDS))


async def test_page_that_has_no_answer_is_asked_for_again(caplog: pytest.LogCaptureFixture) -> None:
    """Whichever it is; the clock of the test is moved on meanwhile."""
    clock = VirtualClock(NOW)
    store = Pages(RECORDS, lambda read: read in (2, 4))
    reading = asyncio.create_task(Reader(store, clock, CLAIM).history(CLAIM))  # type: ignore[arg-type]  # a part of one
    await asyncio.sleep(0.01)
    clock.move_to(NOW + 2_000)

    assert len((await reading).whole()) == len(RECORDS)
    assert len(store.reads) == 6
    assert not caplog.records


@pytest.mark.parametrize("place", [1, 5, 10])
async def test_damaged_record_is_told_wherever_it_is(place: int) -> None:
    """What is in front of it is there, and the number of the last record."""
    store = Pages(RECORDS)
    store.rows[place] = RecordRow("unheard_of", NOW, "{}", None, seq=place + 1)

    history = await read(store)

    with pytest.raises(KeyError):
        history.whole()
    assert [record for _, record in history.records] == RECORDS[: len(history.records)]
    assert len(history.records) <= place
    assert history.seq == len(RECORDS)


@pytest.mark.usefixtures("bare_claims")
async def test_long_instance_is_replayed_over_its_pages() -> None:
    """No body runs again, and the next page is asked for before one is looked at."""
    ran: list[int] = []

    class Long(WorkflowEntrypoint):
        async def run(self, event, step):
            for number in range(10):
                await step.do(f"work {number}", ran.append, number)
            await step.sleep("nap", "1 hour")
            return len(ran)

    class Reading(CheckedStore):
        def run(self, operation):
            if isinstance(operation, ReadHistory):
                reads.append(operation.after)
            return super().run(operation)

    reads: list[int] = []
    store = Reading()
    async with TestEngine.open([Long], store=store) as engine:
        instance = await engine.create(Long)
        await engine.advance("2 hours")

        assert await instance.output() == 10
        assert ran == list(range(10))
        assert any(isinstance(record, Waiting) for _, record in store.history("local", "long", instance.id))
        assert len(reads) > 5
    await store.close()
