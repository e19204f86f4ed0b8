"""Five hundred steps side by side."""

import pytest

from tests.engine.stores import CheckedStore, DyingStore
from tests.engine.ways import Job, Outcome, outcome
from tests.flows.data import PartsLoad

JOB = Job(PartsLoad, {"table": "rides", "parts": 500, "corrupt": [3, 17]})
LOADED = Outcome("complete", {"rows": 622730, "checksum": "0ede22c4", "corrupt": {3: 21, 17: 119}}, None)


class UncheckedStore(CheckedStore):
    """A store that only counts its writes: to fold a history of 1,500 records after each of them takes too long."""

    def _check_instance(self, row: int) -> None:
        pass


class UncheckedDyingStore(UncheckedStore, DyingStore):
    """A store that does not look at what is written, and whose workers die."""


@pytest.mark.parametrize("parks_always", [pytest.param(False, id="straight"), pytest.param(True, id="replayed")])
async def test_five_hundred_parts_are_loaded(parks_always: bool) -> None:
    """A workflow may have 500 steps at the same time."""
    assert await outcome(JOB, UncheckedStore(), parks_always=parks_always) == LOADED


async def test_five_hundred_parts_survive_crashes_on_the_way() -> None:
    """Workers that die again and again, each after fifty writes, load all of them in the end."""
    assert await outcome(JOB, UncheckedDyingStore(50), lifetime=50) == LOADED


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_five_hundred_parts_survive_a_crash_anywhere() -> None:
    """Whatever write the worker dies after, the outcome is the same."""
    straight = UncheckedStore()
    await outcome(JOB, straight)
    for n in range(1, straight.writes):
        for answers_last in (False, True):
            ended = await outcome(JOB, UncheckedDyingStore(n, answers_last=answers_last))
            assert ended == LOADED, f"crash after write {n}, answered: {answers_last}"
