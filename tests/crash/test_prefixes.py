"""Every prefix is a crash: random programs, run straight, replayed at each wait, and crashed after each write."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepwell.core.records import Key
from tests.engine.programs import Interpreter, programs
from tests.engine.stores import CheckedStore, DyingStore
from tests.engine.ways import Job, Outcome, outcome

# One takes a second, on a machine that does nothing else.
EACH_PROGRAM_S = 120
# Writes that each worker lives for; enough to get something done in each life.
LIFETIME = 12


async def witnessed(
    job: Job, store: CheckedStore, *, parks_always: bool = False, lifetime: int | None = None
) -> Outcome:
    """Run a job, and see that no body runs whose success is on record."""
    again: list[Key] = []

    def witness(key: Key) -> None:
        if key in store.succeeded:
            again.append(key)

    Interpreter.witness = witness
    ended = await outcome(job, store, parks_always=parks_always, lifetime=lifetime)
    assert again == []
    return ended


async def check(job: Job, *, answers_last: bool) -> None:
    """Run a job straight, replayed at each wait, crashed after each of its writes, and crashed all the time."""
    async with asyncio.timeout(EACH_PROGRAM_S):
        straight = CheckedStore()
        expected = await witnessed(job, straight)
        assert expected.status == "complete", expected
        assert await witnessed(job, CheckedStore(), parks_always=True) == expected
        for n in range(1, straight.writes):
            ended = await witnessed(job, DyingStore(n, answers_last=answers_last))
            assert ended == expected, f"crash after write {n} of {straight.writes}"
        ended = await witnessed(job, DyingStore(LIFETIME, answers_last=answers_last), lifetime=LIFETIME)
        assert ended == expected, f"crash after each {LIFETIME} writes"


@pytest.mark.timeout(300)  # ten seconds, on a machine that does nothing else
@settings(max_examples=8, suppress_health_check=list(HealthCheck))
@given(programs(depth=2), st.booleans())
def test_every_prefix_is_a_crash(job: Job, answers_last: bool) -> None:
    """From any prefix of a history the instance reaches the same result; no step succeeds twice."""
    asyncio.run(check(job, answers_last=answers_last))


@pytest.mark.long
@pytest.mark.timeout(1800)
@settings(max_examples=600, suppress_health_check=list(HealthCheck))
@given(programs(depth=3), st.booleans())
def test_every_prefix_of_a_long_program_is_a_crash(job: Job, answers_last: bool) -> None:
    """From any prefix of a history the instance reaches the same result; no step succeeds twice."""
    asyncio.run(check(job, answers_last=answers_last))
