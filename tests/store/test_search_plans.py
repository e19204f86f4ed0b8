"""Searches look at indexes: SQLite scans and sorts nothing, and PostgreSQL's planner, which may, does not want to."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stepwell.store.search_operations import SearchInstances, Wanted
from stepwell.store.sql import search
from stepwell.store.sql.rows import Connection, Row, Rows, Statement, Values, every
from tests import postgres
from tests.store.difference import open_postgres, open_sqlite
from tests.store.scenes import NOW
from tests.store.searching import ASKED_AT, Population

HAS_POSTGRES = postgres.is_there()


class Watched:
    """A connection that keeps what it is asked."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.vault, self.accounts = connection.vault, connection.accounts
        self.asked: list[tuple[str, Values]] = []

    def execute(self, sql: str, values: Values = (), /) -> Rows:
        """Do a statement."""
        self.asked.append((sql, values))
        return self._connection.execute(sql, values)


def explained(sql: str, how: str) -> Statement:
    """Return the statement that tells how another one is done."""
    there = sql.postgres if isinstance(sql, Statement) else sql
    return Statement(f"explain query plan {sql}", postgres=f"{how} {there}")


WISHES = [
    pytest.param(Wanted(), id="all"),
    pytest.param(Wanted(statuses=("errored",)), id="a status"),
    pytest.param(Wanted(statuses=("errored", "running", "complete")), id="statuses"),
    pytest.param(Wanted(labels={"env": "prod", "by": "u1"}), id="labels"),
    pytest.param(Wanted(id_prefix="order-12"), id="a prefix"),
    pytest.param(Wanted(version="v1"), id="a version"),
    pytest.param(Wanted(trigger="cron"), id="a trigger"),
    pytest.param(Wanted(error_name="E1"), id="an error"),
    pytest.param(Wanted(error_text="77"), id="a text"),
    pytest.param(Wanted(least_ms=5, most_ms=7), id="a duration"),
    pytest.param(Wanted(created_from=NOW + 100, created_to=NOW + 900), id="creation"),
    pytest.param(Wanted(ended_from=NOW + 100, ended_to=NOW + 900), id="end"),
]
# Forty thousand instances of one workflow, three quarters of them ended, as quickly as a database can make them.
_FILL = """
    insert into instances (
        account, workflow, id, version, status, trigger, seq, created_at, modified_at, started_at, ended_at, tx
    )
    select 'acme', w.row, 'order-' || n, 'v' || (n % 20),
        case n % 4 when 0 then 'running' when 1 then 'complete' else 'errored' end,
        case when n % 50 = 0 then 'cron' else 'api' end, 2, {now} + n, {now} + n, {now} + n,
        case when n % 4 = 0 then null else {now} + n + n % 100 end, 1
    from workflows as w, {numbers}
    """
_LABEL = """
    insert into labels (instance, name, value, given, workflow, created_at)
    select row, {name}, {value}, '', workflow, created_at
    from instances
    """
_ERRORS = """
    insert into errors (instance, workflow, created_at, name, message)
    select row, workflow, created_at, 'E' || (row % 30), 'message ' || row
    from instances
    where status = 'errored'
    """


def _fill(connection: Connection, numbers: str) -> None:
    connection.execute(_FILL.format(now=NOW, numbers=numbers))
    connection.execute(_LABEL.format(name="'env'", value="case when row % 2 = 0 then 'prod' else 'test' end"))
    connection.execute(_LABEL.format(name="'by'", value="'u' || (row % 400)"))
    connection.execute(_ERRORS)


def _plans(connection: Connection, wanted: Wanted, how: str, ascending: bool) -> Iterator[tuple[str, list[Row]]]:
    """Yield what a search asks of a database, and how each of that is done."""
    watched: Any = Watched(connection)
    search.search_instances(
        watched, SearchInstances("acme", "orders", wanted, ASKED_AT, 51, None, ascending, 3_600_000)
    )
    last = (NOW + 15_000, 15_000)
    search.search_instances(
        watched, SearchInstances("acme", "orders", wanted, ASKED_AT, 51, last, ascending, 3_600_000)
    )
    for sql, values in dict.fromkeys(watched.asked):
        yield sql, every(connection, explained(sql, how), values)


@pytest.fixture(scope="module")
def filled_sqlite() -> Iterator[Connection]:
    """A connection to a file with many instances."""
    side, connection = open_sqlite()
    Population(side)
    _fill(
        connection, "(with recursive c (n) as (select 1 union all select n + 1 from c where n < 40000) select n from c)"
    )
    yield connection
    side.close()


@pytest.mark.parametrize("few", [0, search.FEW])
@pytest.mark.parametrize("wanted", WISHES)
def test_search_in_a_file_uses_indexes(
    filled_sqlite: Connection, wanted: Wanted, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is scanned but what was chosen before, and nothing is sorted but what comes from several places."""
    monkeypatch.setattr(search, "FEW", few)

    for ascending in (False, True):
        for sql, plan in _plans(filled_sqlite, wanted, "", ascending):
            steps = [str(columns[3]) for columns in plan]
            # What is scanned is what was found just before, by an index.
            assert not [
                step for step in steps if re.match(r"SCAN (i|e|l|r|instances|errors|labels|records)\b", step)
            ], (
                sql,
                steps,
            )
            is_of_many = any(words in sql for words in ("union all", "order by l.instance", "order by r.instance"))
            assert is_of_many or not [step for step in steps if "TEMP B-TREE" in step], (sql, steps)


@pytest.fixture(scope="module")
def filled_postgres(require: Callable[..., None]) -> Iterator[Any]:
    """A connection to a database with many instances, whose planner may scan tables if it finds that better."""
    require(postgres.REASON, "the plans of its planner", HAS_POSTGRES)
    from stepwell.store.postgres.address import Address
    from stepwell.store.postgres.connection import LoopThread, PostgresConnection

    url = postgres.databases.take()
    side = open_postgres(url)
    Population(side)
    side.close()
    loop = LoopThread()
    connection = PostgresConnection(loop, Address.of(url), 0)
    connection.ready()
    _fill(connection, "generate_series(1, 40000) as n")
    for table in ("instances", "labels", "errors", "workflows"):
        connection.execute(f"vacuum analyze {table}")
    yield connection
    connection.close()
    loop.close()
    postgres.databases.give_back(url)


@pytest.mark.long
@pytest.mark.parametrize("few", [0, search.FEW])
@pytest.mark.parametrize("wanted", WISHES)
def test_search_in_a_database_uses_indexes(
    filled_postgres: Any, wanted: Wanted, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planner, which may scan the tables, does not."""
    monkeypatch.setattr(search, "FEW", few)

    for ascending in (False, True):
        for sql, plan in _plans(filled_postgres, wanted, "explain", ascending):
            lines = "\n".join(str(columns[0]) for columns in plan)
            assert not re.search(r"Seq Scan on (instances|labels|errors|records)", lines), (sql, lines)


@pytest.mark.parametrize("few", [0, search.FEW])
@pytest.mark.parametrize("wanted", WISHES)
def test_search_asks_once_however_many_parts_of_indexes_there_are(
    filled_sqlite: Connection, wanted: Wanted, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each statement is a way to a server and back: all of a condition is counted in one, and read in one."""
    monkeypatch.setattr(search, "FEW", few)
    watched: Any = Watched(filled_sqlite)

    search.search_instances(watched, SearchInstances("acme", "orders", wanted, ASKED_AT, 50, None, False, 0))

    asked = [sql for sql, _ in watched.asked]
    assert sum("count(*)" in sql for sql in asked) <= 2
    assert sum("as piece_" in sql for sql in asked) <= 1


def test_search_asks_nothing_of_no_instances(filled_sqlite: Connection) -> None:
    """Where none is errored, and none runs, nobody asks for errors or for what instances do."""
    watched: Any = Watched(filled_sqlite)

    search.search_instances(
        watched,
        SearchInstances("acme", "orders", Wanted(statuses=("complete",)), ASKED_AT, 50, None, False, 3_600_000),
    )

    assert not [sql for sql, _ in watched.asked if "errors as e" in sql or "records as r" in sql]


@pytest.mark.parametrize(
    ("size", "took", "left", "wanted"),
    [
        pytest.param(64, 0.001, 10.0, 256, id="time enough: four times as many"),
        pytest.param(256, 0.002, 0.004, 512, id="as many as there is time for"),
        pytest.param(1_000, 0.001, 1.0, 1_000, id="no more than a part has"),
        pytest.param(256, 0.5, 0.001, 64, id="no fewer than the first"),
        pytest.param(256, 0.5, -1.0, 64, id="the time is over"),
        pytest.param(256, 0.0, 1.0, 1_000, id="no time at all"),
    ],
)
def test_part_is_as_large_as_there_is_time_for(
    size: int, took: float, left: float, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is busy looks at fewer at a time: a search ends near the end of its time."""
    monkeypatch.setattr(search, "monotonic", lambda: 100.0)

    assert search._next_size(size, 100.0 - took, 100.0 + left) == wanted
