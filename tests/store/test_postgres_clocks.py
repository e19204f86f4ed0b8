"""A machine whose clock is not the database's is named in the log."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from stepwell.clock import SystemClock
from tests import postgres

HAS_POSTGRES = postgres.is_there()
if HAS_POSTGRES:
    from stepwell.store.postgres.clock_watch import ClockWatch
    from stepwell.store.postgres.store import PostgresSettings, PostgresStore

NOW = 1_790_000_000_000


@pytest.fixture(autouse=True)
def _needs_postgres(require: Callable[..., None]) -> None:
    require(postgres.REASON, "what keeps a host's lease", HAS_POSTGRES)


@pytest.mark.parametrize(
    ("asked", "theirs", "heard", "said"),
    [
        pytest.param(NOW, NOW, NOW, None, id="equal"),
        pytest.param(NOW, NOW + 4_000, NOW + 5_000, None, id="somewhere in a long wait"),
        pytest.param(NOW, NOW + 1_999, NOW + 1_000, None, id="a little behind"),
        pytest.param(NOW, NOW - 1_000, NOW + 5, "1.0 s ahead of the database's", id="ahead"),
        pytest.param(NOW, NOW + 2_500, NOW + 100, "2.4 s behind the database's", id="behind"),
    ],
)
def test_clock_that_is_off_is_told_once(
    asked: int, theirs: int, heard: int, said: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """What can be explained by the time of the answer is not told, and what was told is not told again."""
    moments = iter([asked, heard, asked, heard])
    watch = ClockWatch(lambda: next(moments))

    for _ in range(2):
        watch.ask()
        watch.hear(theirs)

    assert len(caplog.messages) == (0 if said is None else 1)
    assert said is None or said in caplog.messages[0]


def test_clock_that_goes_wrong_again_is_told_again(caplog: pytest.LogCaptureFixture) -> None:
    """After a look at which the clocks agreed, the next difference is news."""
    moments = iter([NOW] * 6)
    watch = ClockWatch(lambda: next(moments))

    for theirs in (NOW - 5_000, NOW, NOW - 5_000):
        watch.ask()
        watch.hear(theirs)

    assert len(caplog.messages) == 2


async def test_host_hears_the_clock_with_each_renewal(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A store that is open finds out by itself that this machine is an hour ahead."""
    real = SystemClock.now
    monkeypatch.setattr(SystemClock, "now", lambda clock: real(clock) + 3_600_000)
    url = await asyncio.to_thread(postgres.databases.take)
    has_told, loop = asyncio.Event(), asyncio.get_running_loop()
    warning = logging.getLogger("stepwell.store.postgres.clock_watch").warning

    def warn(*said: Any, **more: Any) -> None:
        warning(*said, **more)
        loop.call_soon_threadsafe(has_told.set)

    monkeypatch.setattr("stepwell.store.postgres.clock_watch.logger.warning", warn)
    store = await asyncio.to_thread(PostgresStore.open, url, PostgresSettings(lease_ms=500))

    await asyncio.wait_for(has_told.wait(), 30)

    assert "s ahead of the database's: here sleeps end" in caplog.messages[0]
    await store.close()
    await asyncio.to_thread(postgres.databases.give_back, url)
