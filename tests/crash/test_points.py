"""The engine is dropped behind any commit, and started again: what comes of it is what comes of a run without that."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import get_args

import pytest

from stepwell.core.records import Record
from stepwell.store.audit_operations import Audited, ForgetAudit
from stepwell.store.encryption_operations import Reencrypt
from stepwell.store.fact_operations import NoteFacts
from stepwell.store.operations import AbandonUnknown, RenewLease
from stepwell.store.situation_operations import NoteBlocked
from stepwell.store.sql.writes import WRITES
from stepwell.store.trace_operations import DropTraces, TakeTraces
from stepwell.store.transfer_operations import TellExport
from stepwell.store.upkeep_operations import Recount, RepairInstance
from tests import postgres
from tests.crash.points import Database, Files, Played, play

HAS_POSTGRES = postgres.is_there()
# All points are gone through in so many tests, so that none of them takes more than a few minutes.
PARTS = 5
# What no instance brings about, and a process of its own has to: each is tested where its name says.
NOT_PLAYED = {
    Audited,  # what it does is played without: the entry is in its transaction, tests/store/test_audit.py
    TellExport,  # it writes its entry alone: tests/store/test_audit.py
    ForgetAudit,  # nothing is a year old: tests/store/test_audit.py
    AbandonUnknown,  # an answer is lost, and the store is not: tests/store/test_claims.py
    NoteBlocked,  # a worker hangs: tests/crash/test_hangs.py
    TakeTraces,  # spans are sent: tests/traces/test_export.py
    DropTraces,  # as above
    Recount,  # a count is wrong, which none is: tests/store/test_upkeep.py
    Reencrypt,  # the store is encrypted, and its keys change: tests/store/test_encryption.py
    NoteFacts,  # a server says something in its log: tests/store/test_facts.py
    RenewLease,  # a worker that was taken for dead says something: tests/crash/test_fleet.py
    RepairInstance,  # a row is wrong, which none is: tests/store/test_upkeep.py
}


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The scenario, with nothing in its way."""
    return _on_files(tmp_path_factory.mktemp("straight"))


@pytest.mark.sqlite
def test_scenario_uses_everything(straight: Played) -> None:
    """A kind of record or an operation that is new has to be in the scenario, so that crashes meet it too."""
    assert set(get_args(Record)) - straight.ending.kinds == set()
    assert set(WRITES) - straight.operations == NOT_PLAYED


@pytest.mark.sqlite
def test_scenario_comes_to_what_it_should(straight: Played) -> None:
    """What crashed runs are compared with is right: all instances have ended as they should, and nothing is left."""
    rest = straight.ending.rest

    assert rest["counts"] == [
        ("brief", {}),
        ("desk", {"complete": 3, "terminated": 1}),
        ("family", {"terminated": 1}),
        ("order", {"complete": 3}),
        ("parcel", {"complete": 2, "errored": 1, "terminated": 1}),
        ("report", {"complete": 3}),
        ("single", {"complete": 2}),
        ("sleeper", {"complete": 6, "terminated": 2}),
        ("stuck", {"complete": 1}),
        ("trip", {"errored": 2, "terminated": 1}),
    ]
    assert {(held, waiting) for _, held, waiting in rest["slots"]} == {(0, 0)}
    assert rest["shared slots"] == [("desk", 0, 0, False)]
    assert rest["jobs"] == [("pause", 2, True), ("resume", 2, True)]
    outcomes = straight.ending.outcomes
    assert outcomes["stuck/h"].output == '["by hand","by hand","word","yes"]'
    assert outcomes["order/o"].labels == {"customer": "ann", "stage": "late"}


@pytest.mark.sqlite
@pytest.mark.parametrize("place", [0.13, 0.5, 0.87])
def test_drop_behind_some_commits_changes_nothing(straight: Played, tmp_path: Path, place: float) -> None:
    """Behind a commit of any operation the engine may be dropped, whether that was answered or not."""
    n = round(straight.commits * place)

    dropped = _on_files(tmp_path, n, answers_last=n % 2 == 0)

    assert straight.differences(dropped) == [], f"dropped behind commit {n} of {straight.commits}"


@pytest.mark.long
@pytest.mark.sqlite
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(PARTS))
def test_drop_behind_each_commit_changes_nothing(straight: Played, tmp_path: Path, part: int) -> None:
    """The same behind each commit there is, in a file."""
    wrong = {}
    for n, answers_last in _points(straight, part):
        folder = tmp_path / f"{n} {answers_last}"
        folder.mkdir()
        wrong[n, answers_last] = straight.differences(_on_files(folder, n, answers_last=answers_last))

    assert {point: differences for point, differences in wrong.items() if differences} == {}


@pytest.fixture
def database(require: Callable[..., None]) -> Iterator[str]:
    """A database of PostgreSQL, which each user leaves empty."""
    require(postgres.REASON, "crash points of a store in it", HAS_POSTGRES)
    url = postgres.databases.take()
    yield url
    postgres.databases.give_back(url)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(PARTS))
def test_drop_behind_each_commit_changes_nothing_in_postgres(database: str, part: int) -> None:
    """The same on PostgreSQL; what the dropped host held is another's when its lease is over."""
    straight = _on_database(database)

    # A tenth as fast as a file: of each commit either what was answered is tried, or what was not.
    wrong = {
        n: straight.differences(_on_database(database, n, answers_last=n % 2 == 0))
        for n in range(1 + part, straight.commits + 1, PARTS)
    }

    assert {n: differences for n, differences in wrong.items() if differences} == {}


def _points(straight: Played, part: int) -> Sequence[tuple[int, bool]]:
    """Return behind which commits the engine is dropped: before each is answered, and each third also after that."""
    numbers = range(1 + part, straight.commits + 1, PARTS)
    return [(n, answers_last) for n in numbers for answers_last in ((False, True) if n % 3 == 0 else (False,))]


def _on_files(folder: Path, drops_behind: int = 0, *, answers_last: bool = False) -> Played:
    files = Files(folder)
    try:
        return asyncio.run(play(files, drops_behind, answers_last=answers_last))
    finally:
        files.close()


def _on_database(url: str, drops_behind: int = 0, *, answers_last: bool = False) -> Played:
    async def run() -> Played:
        database = Database(url)
        try:
            return await play(database, drops_behind, answers_last=answers_last)
        finally:
            await database.close()
            await asyncio.to_thread(postgres.query, url, postgres.EMPTY)

    return asyncio.run(run())
