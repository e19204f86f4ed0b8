"""The contract of every store: limits hold exactly, and nobody who waits for a slot is forgotten."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepwell.core.records import Created, Terminated
from stepwell.flow import Flow
from stepwell.store import codec
from stepwell.store.control_operations import DeleteInstance, TerminateInstance
from stepwell.store.operations import ClaimDue, Claims, CreateInstance, InstanceRow, Operation, Release
from stepwell.store.sqlite.connections import open_ledger
from stepwell.store.sqlite.file import open_in_memory
from tests import postgres
from tests.store.conftest import HAS_POSTGRES
from tests.store.scenes import waiting
from tests.store.slots import ACCOUNT, FLOWS, STEPS, WORKFLOWS, Work
from tests.store.slots import STEPS_OF_CHANGING_CODE as CHANGES


def _in_memory(flows: tuple[Flow | None, ...]) -> Work:
    connection = open_in_memory()
    ledger = open_ledger(connection, "a file in memory")
    work = Work(lambda done: ledger.write(done).outcomes, connection, dict(zip(WORKFLOWS, flows, strict=True)))
    work.set_up()
    return work


@contextmanager
def in_database(flows: tuple[Flow | None, ...]) -> Iterator[Work]:
    """Have a store in an empty database."""
    from stepwell.store.postgres import PostgresStore

    url = postgres.databases.take()
    store = PostgresStore.inline(url)
    inline: Any = store._shell
    connection = inline._opened.first
    work = Work(lambda done: inline._writer.write(done).outcomes, connection, dict(zip(WORKFLOWS, flows, strict=True)))
    try:
        work.set_up()
        yield work
    finally:
        inline._opened.close()
        postgres.databases.give_back(url)


@contextmanager
def either(require: Callable[..., None], store: str, flow: Flow) -> Iterator[Work]:
    """Have a file in memory, or a database."""
    if store == "memory":
        yield _in_memory((flow, None))
        return
    require(postgres.REASON, "a store in it", HAS_POSTGRES)
    with in_database((flow, None)) as work:
        yield work


@pytest.mark.parametrize("store", ["memory", "postgres"])
@pytest.mark.parametrize("end", ["terminate", "delete"])
def test_what_has_ended_in_the_same_batch_holds_its_key_no_more(
    require: Callable[..., None], store: str, end: str
) -> None:
    """A creation is answered with the one that is there only while that is unfinished, and then there is one again."""
    with either(require, store, Flow(key="k", singleton="skip")) as work:
        first = _creation("first", work.now)
        ending: Operation[Any] = DeleteInstance(ACCOUNT, "orders", "first", work.now)
        if end == "terminate":
            record = codec.to_row(Terminated(work.now, "api"))
            ending = TerminateInstance(ACCOUNT, "orders", "first", record, None)

        work.write([first])
        _, made = work.write([ending, _creation("second", work.now)])
        (again,) = work.write([_creation("third", work.now)])

        assert [row.id for row in (made, again) if isinstance(row, InstanceRow)] == ["second", "second"]


@pytest.mark.parametrize("store", ["memory", "postgres"])
def test_claim_behind_a_release_in_its_batch_knows_when_that_goes_on(require: Callable[..., None], store: str) -> None:
    """Operations of a batch are done in their order, also where one needs more than the statement for many."""
    with either(require, store, Flow(limit=1)) as work:
        work.write([_creation("first", work.now)])
        claim = ClaimDue(work.workers[0], work.now, 5)
        (claims,) = work.write([claim])
        assert isinstance(claims, Claims)
        (turn,) = claims.turns
        later = work.now + 50

        _, again = work.write(
            [Release(turn.row, turn.turn, 1, 2, [waiting(work.now)], 0, "waiting", later, None, work.now), claim]
        )

        assert again == Claims([], later)


def _creation(id: str, now: int) -> CreateInstance:
    record = codec.to_row(Created(now, "api", "{}"))
    return CreateInstance(ACCOUNT, "orders", id, "api", record, now, None, "ann")


@pytest.mark.parametrize("flow", FLOWS, ids=str)
@settings(max_examples=12)
@given(other=st.sampled_from((None, *FLOWS)), concurrency=st.sampled_from([None, None, 1, 2, 4]), steps=STEPS)
def test_limits_hold_whatever_is_done(
    flow: Flow, other: Flow | None, concurrency: int | None, steps: list[Any]
) -> None:
    """Nothing is above a limit, no period has more starts than may be, whoever can run has a slot, all in order."""
    work = _in_memory((flow, other))
    if concurrency is not None:
        work.limit(concurrency)

    for step in steps:
        work.do(step)


@pytest.mark.parametrize("flow", FLOWS, ids=str)
@settings(max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(other=st.sampled_from(FLOWS), concurrency=st.sampled_from([None, 2]), steps=STEPS)
def test_limits_hold_in_a_database(
    require: Callable[..., None], flow: Flow, other: Flow, concurrency: int | None, steps: list[Any]
) -> None:
    """The same on PostgreSQL, with creations, claims and releases by the statements of their own that it has."""
    require(postgres.REASON, "a store in it", HAS_POSTGRES)
    with in_database((flow, other)) as work:
        if concurrency is not None:
            work.limit(concurrency)
        for step in steps:
            work.do(step)


# A rate, or that there is one of a key, says nothing of what ran before it was declared.
CHANGING = FLOWS[:6]


@pytest.mark.parametrize("flow", CHANGING, ids=str)
@settings(max_examples=12)
@given(other=st.sampled_from((None, *CHANGING)), concurrency=st.sampled_from([None, None, 2]), steps=CHANGES)
def test_limits_hold_while_they_come_and_go(
    flow: Flow, other: Flow | None, concurrency: int | None, steps: list[Any]
) -> None:
    """Code declares limits, and none any more; gates are forgotten, and made again: all that holds else holds."""
    work = _in_memory((flow, other))
    if concurrency is not None:
        work.limit(concurrency)

    for step in steps:
        work.do(step)
        if step[1] == 0:
            work.limit(None)


@pytest.mark.parametrize("flow", CHANGING[:3], ids=str)
@settings(max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(other=st.sampled_from((None, *CHANGING)), steps=CHANGES)
def test_limits_hold_in_a_database_while_they_come_and_go(
    require: Callable[..., None], flow: Flow, other: Flow | None, steps: list[Any]
) -> None:
    """The same on PostgreSQL."""
    require(postgres.REASON, "a store in it", HAS_POSTGRES)
    with in_database((flow, other)) as work:
        for step in steps:
            work.do(step)


@pytest.mark.long
@pytest.mark.parametrize("flow", FLOWS, ids=str)
@settings(max_examples=200)
@given(other=st.sampled_from((None, *FLOWS)), concurrency=st.sampled_from([None, None, 1, 2, 4]), steps=STEPS)
def test_limits_hold_at_length(flow: Flow, other: Flow | None, concurrency: int | None, steps: list[Any]) -> None:
    """The same for many more orders of what can be done."""
    work = _in_memory((flow, other))
    if concurrency is not None:
        work.limit(concurrency)

    for step in steps:
        work.do(step)
