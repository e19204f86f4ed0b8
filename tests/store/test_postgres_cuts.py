"""A connection that ends at any message of the server's is a lost one: all is done again on another, and once."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stepwell.store.operations import ListWorkflows
from tests import pgbouncer, postgres
from tests.store.cutter import Cut, Cutter
from tests.store.scenes import creation, happening, instance, register

HAS_POSTGRES = postgres.is_there()
if HAS_POSTGRES:
    from stepwell.store.postgres import backoff
    from stepwell.store.postgres.address import Address
    from stepwell.store.postgres.connection import LoopHere, LoopThread, PostgresConnection
    from stepwell.store.postgres.faults import is_loss
    from stepwell.store.postgres.ledger import PostgresLedger, PostgresReading
    from stepwell.store.postgres.store import PostgresStore, _Opened

ways = pytest.mark.parametrize("how", list(Cut), ids=[how.name.lower() for how in Cut])


@pytest.fixture
def direct(require: Callable[..., None]) -> Iterator[str]:
    """An empty database, without anybody before it."""
    require(postgres.REASON, "a store in it", HAS_POSTGRES)
    taken = postgres.databases.take()
    yield taken
    postgres.databases.give_back(taken)


@pytest.fixture
def cutter(direct: str) -> Iterator[Cutter]:
    """Whoever cuts."""
    own = Cutter(direct)
    yield own
    own.close()


@pytest.fixture
def url(cutter: Cutter, direct: str) -> str:
    """The database, behind whoever cuts."""
    return cutter.url(direct)


@pytest.fixture(autouse=True)
def _haste(monkeypatch: pytest.MonkeyPatch) -> None:
    if HAS_POSTGRES:
        monkeypatch.setattr(backoff, "FIRST_S", 0.001)


@pytest.fixture
def pooled(require: Callable[..., None], direct: str) -> Iterator[str]:
    """The database behind a pooler."""
    require(pgbouncer.REASON, "a store behind it", pgbouncer.is_there())
    own = pgbouncer.Pooler(direct)
    yield own.url(direct)
    own.remove()


def _cuts(cutter: Cutter, how: Cut, first: int = 1, step: int = 1) -> Iterator[int]:
    """Cut behind one message after the other, until there was none to cut behind."""
    for behind in itertools.count(first, step):
        cutter.cut(behind, how)
        yield behind
        if not cutter.has_cut:
            return


def _some_cuts(cutter: Cutter, how: Cut) -> Iterator[int]:
    """Cut at a seventh of the messages, at others in each of the ways."""
    return _cuts(cutter, how, 1 + list(Cut).index(how), 7)


async def _losses(url: str, cutter: Cutter, how: Cut) -> list[Exception]:
    """Connect, and cut at each of the messages; return what was raised."""
    raised = []
    for _ in _cuts(cutter, how):
        try:
            (await Address.of(url).connect()).terminate()
        except Exception as error:  # whatever it is, it is what the test is about
            raised.append(error)
    return raised


@ways
async def test_connection_that_is_cut_while_it_is_made_is_a_lost_one(url: str, cutter: Cutter, how: Cut) -> None:
    """Whatever asyncpg says of it: nobody may take it for a defect, or for a refusal."""
    raised = await _losses(url, cutter, how)

    assert len(raised) > 20
    assert [error for error in raised if not is_loss(error)] == []


@ways
async def test_connection_to_a_pooler_that_is_cut_is_a_lost_one(pooled: str, how: Cut) -> None:
    """The same where a pooler is between, which is found out on a connection that is given up then."""
    cutter = Cutter(pooled)

    raised = await _losses(cutter.url(pooled), cutter, how)

    cutter.close()
    assert len(raised) > 40
    assert [error for error in raised if not is_loss(error)] == []


@ways
def test_store_that_is_cut_while_it_is_opened_opens(
    url: str, cutter: Cutter, how: Cut, caplog: pytest.LogCaptureFixture
) -> None:
    """What is done before the first operation is done again, and the log says what is the matter."""
    hosts = []

    for _ in _some_cuts(cutter, how):
        opened = _Opened(Address.of(url), LoopThread(), 1000, patience_s=5)
        hosts.append(opened.host)
        cutter.pause()
        opened.close()

    assert len(hosts) > 10
    # The last cuts may come when all that opening waits for is there.
    assert len(hosts) - len(caplog.messages) in (1, 2, 3)
    assert [text for text in caplog.messages if "the server does not answer, or ended the connection" not in text] == []


@ways
def test_first_read_of_a_connection_that_is_cut_is_answered(url: str, cutter: Cutter, how: Cut) -> None:
    """Wherever it is cut, while it is made or under the statements: another one reads the same."""
    loop, answers = LoopHere(), []

    for _ in _some_cuts(cutter, how):
        reading = PostgresReading(PostgresConnection(loop, Address.of(url)), "here")
        answers.append(repr(reading.outcome(ListWorkflows("acme", 10, 0))))
        reading.close()

    loop.close()
    assert len(answers) > 6
    assert set(answers) == {"Workflows(rows=[], total=0)"}


@ways
async def test_first_write_of_a_connection_that_is_cut_is_done_once(
    direct: str, url: str, cutter: Cutter, how: Cut
) -> None:
    """Wherever it is cut: what is written is written once, and nobody hears of it."""
    store, loop = PostgresStore.inline(direct), LoopHere()
    await register(store)
    answers: dict[str, list[Any]] = {}

    for behind in _some_cuts(cutter, how):
        ledger = PostgresLedger(PostgresConnection(loop, Address.of(url)), "here")
        # Two of which the second needs the first are done in a transaction.
        id = f"i{behind}"
        answers[id] = ledger.write([creation(id), happening(id)]).outcomes
        ledger.close()

    loop.close()
    assert len(answers) > 20
    assert [(row.id, seq) for row, seq in answers.values()] == [(id, 2) for id in answers]
    assert [len((await instance(store, id)).records) for id in answers] == [2] * len(answers)
    await store.close()
