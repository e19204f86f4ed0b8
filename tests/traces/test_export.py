"""What has ended is sent at least once, whoever dies and whatever is away; over both stores."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from stepwell import WorkflowEntrypoint
from stepwell.clock import VirtualClock
from stepwell.spans import Span
from stepwell.store import Store
from stepwell.store.operations import RecordRow
from stepwell.store.sqlite import SqliteStore
from stepwell.store.trace_operations import TakeTraces
from stepwell.testing import TestEngine
from stepwell.trace_export import TraceExport, begin_traces
from stepwell.traces import Trace, Tracing
from tests import postgres
from tests.store.scenes import commit, ending, held

ON = Tracing(is_on=True)


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.do("charge", lambda: None)
        await step.sleep("rest", "1 minute")


class Kept:
    """Takes spans, unless it `is_away`; `dies`: it is gone before it can say that it has them."""

    def __init__(self) -> None:
        self.sent: list[tuple[Trace, Span]] = []
        self.is_away = self.dies = False

    def send(self, spans: Sequence[tuple[Trace, Span]]) -> bool:
        """Take them."""
        if self.is_away:
            return False
        self.sent += spans
        if self.dies:
            raise ConnectionResetError
        return True

    def close(self) -> None:
        """Do nothing."""

    @property
    def instances(self) -> list[str]:
        """Whose roots have come, in their order."""
        named = [span.attributes.get("stepwell.instance.id") for _, span in self.sent]
        return [str(name) for name in named if name]


@pytest.fixture(params=["file", "postgres"])
async def engine(request: pytest.FixtureRequest, require: Callable[..., None]) -> AsyncIterator[TestEngine]:
    """An engine of which ends are noted, on either store."""
    kept = None
    store: Store
    if request.param == "postgres":
        require(postgres.REASON, "a store in it", postgres.is_there())
        kept = postgres.Stores()
        store = await asyncio.to_thread(kept.open)
    else:
        store = SqliteStore.in_memory()
    clock = VirtualClock()
    await begin_traces(store, clock, ON)
    async with TestEngine.open([Order], store=store, clock=clock) as engine:
        yield engine
    if kept is None:
        await store.close()
    else:
        await asyncio.to_thread(kept.close)


def sender(engine: TestEngine, kept: Kept, tracing: Tracing = ON) -> TraceExport:
    """Return what sends to somebody."""
    return TraceExport(engine.store, engine.clock, tracing, kept, pause_s=0)


async def _run(engine: TestEngine, *ids: str) -> None:
    for id in ids:
        await engine.create(Order, id=id)
    await engine.advance("1 minute")


async def test_what_has_ended_is_sent_once(engine: TestEngine) -> None:
    """With all its spans, when it has ended and not before; the next look finds nothing more."""
    kept = Kept()
    await engine.create(Order, id="a")
    await engine.run_until_idle()
    await sender(engine, kept).look()
    before = list(kept.sent)
    await engine.advance("1 minute")
    await sender(engine, kept).look()
    # Longer than whoever has taken it has it for himself.
    await engine.advance("10 minutes")
    await sender(engine, kept).look()

    assert before == []
    assert [span.name for _, span in kept.sent] == ["order", "charge", "charge attempt", "rest"]


async def test_sender_that_dies_leaves_it_to_others(engine: TestEngine) -> None:
    """Others send it when he has had his time, and what they send are the same spans."""
    dead, living = Kept(), Kept()
    dead.dies = True
    await _run(engine, "a")
    with pytest.raises(ConnectionResetError):
        await sender(engine, dead).look()
    await sender(engine, living).look()
    too_soon = list(living.sent)
    await engine.advance("3 minutes")
    await sender(engine, living).look()

    assert too_soon == []
    assert living.sent == dead.sent != []


async def test_receiver_that_is_away_gets_it_later(engine: TestEngine, caplog: pytest.LogCaptureFixture) -> None:
    """The log says so once, however long it lasts."""
    kept = Kept()
    kept.is_away = True
    sending = sender(engine, kept)
    await _run(engine, "a", "b")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await sending.look()
            await engine.advance("3 minutes")
    kept.is_away = False
    await sending.look()

    assert sorted(kept.instances) == ["a", "b"]
    assert caplog.text.count("traces cannot be sent") == 1


async def test_history_that_cannot_be_read_keeps_no_others_from_being_sent(
    engine: TestEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever code has written there that speaks for itself, of any account: it is told of, and not tried again."""
    kept, turn = Kept(), await held(engine.store)
    await engine.store.run(commit(turn, RecordRow("attempt_started", engine.clock.now(), "{}")))
    await engine.store.run(ending(turn, n=2, seen=3))
    await _run(engine, "b")

    await sender(engine, kept).look()
    await engine.advance("10 minutes")
    await sender(engine, kept).look()

    assert kept.instances == ["b"]
    assert [record.getMessage() for record in caplog.records] == ["the trace of acme/orders/a cannot be made"]


async def test_two_hosts_share_what_there_is(engine: TestEngine) -> None:
    """What one has taken the other passes over."""
    await _run(engine, *"abcde")
    now = engine.clock.now()

    first = await engine.store.run(TakeTraces(now, now + 1_000, now + 9**9, 3))
    second = await engine.store.run(TakeTraces(now, now + 1_000, now + 9**9, 3))
    third = await engine.store.run(TakeTraces(now + 1_000, now + 2_000, now + 9**9, 9))

    assert [one.id for one in (*first, *second)] == [*"abcde"]
    assert [one.id for one in third] == [*"abcde"]


async def test_what_is_not_wanted_is_forgotten(engine: TestEngine) -> None:
    """By the ratio, or as it is gone or goes on again by then."""
    kept = Kept()
    await _run(engine, "a")
    await sender(engine, kept, Tracing(is_on=True, per_thousand=0)).look()
    await _run(engine, "gone", "again")
    await engine.instance(Order, "gone").delete()
    await engine.instance(Order, "again").restart()
    await sender(engine, kept).look()
    between = list(kept.sent)
    await engine.advance("10 minutes")
    await sender(engine, kept).look()

    assert (between, kept.instances) == ([], ["again"])


@pytest.mark.parametrize("records", [1, 20, 1_000])
async def test_all_are_sent_however_many_are_read_together(
    engine: TestEngine, monkeypatch: pytest.MonkeyPatch, records: int
) -> None:
    """Each by itself, where it is long; or some, or all of them."""
    monkeypatch.setattr("stepwell.trace_export.READ_AT_ONCE", records)
    kept = Kept()
    await _run(engine, *"abcde")

    await sender(engine, kept).look()

    assert kept.instances == [*"abcde"]


async def test_ends_are_not_noted_when_nobody_has_sent_for_a_day(engine: TestEngine) -> None:
    """A store whose last sender is gone does not fill up."""
    kept = Kept()
    await engine.advance("2 days")
    await _run(engine, "a")

    await sender(engine, kept).look()
    await _run(engine, "b")
    await sender(engine, kept).look()

    assert kept.instances == ["b"]
