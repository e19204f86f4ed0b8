"""The same operations on SQLite and on PostgreSQL, and what differs.

A step is some operations that are done as one batch, or one that reads. What is compared: the answers, what listeners
hear, and every column of every table but those named here. And in each of them what is counted is what is there.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from stepwell.errors import StepwellError, StoreDamaged
from stepwell.store.child_operations import StartChild
from stepwell.store.host_operations import Hosts
from stepwell.store.once import Once
from stepwell.store.operations import CreateInstance, Operation
from stepwell.store.schedule_operations import FireSchedules, RunSchedule
from stepwell.store.sql.ledger import Written
from stepwell.store.sql.reads import READS
from stepwell.store.sql.rows import Connection, Row, every
from stepwell.store.sql.tables import TABLES
from stepwell.store.sql.threads import Reading
from stepwell.store.sql.transaction import Tidings
from stepwell.store.sql.upkeep import ENDED
from stepwell.store.sqlite.connections import FileReading, open_ledger
from stepwell.store.sqlite.file import open_in_memory
from stepwell.store.workflow_operations import PurgeDeleted

Step = tuple[Operation[Any], ...]
# How often a kind of operation was done, said no, or raised an error of this name.
Told = Counter[tuple[type[Operation[Any]], str]]
# Does a query.
Look = Callable[[str], list[Row]]

# What each database counts for itself: transactions; and pieces and starts, whose numbers nobody is told.
OWN_COLUMNS = ("tx", "pieces.row", "starts.row")
OWN_TABLES = ("commits", "schema_version", "sqlite_sequence")
# What is errored is found by its error, and nothing else is; labels and errors have workflow and creation of theirs.
_MISFILED = """
    select i.row, i.status, 'has no error'
    from instances as i
    left join errors as e on e.instance = i.row
    where i.status = 'errored'
        and e.instance is null
    union all
    select i.row, i.status, 'has an error, or one of elsewhere'
    from errors as e
    join instances as i on i.row = e.instance
    where i.workflow in (select row from workflows)
        and (i.status <> 'errored' or (i.workflow, i.created_at) <> (e.workflow, e.created_at))
    union all
    select i.row, i.status, 'has a label of elsewhere'
    from labels as l
    join instances as i on i.row = l.instance
    where i.workflow in (select row from workflows)
        and (i.workflow, i.created_at) <> (l.workflow, l.created_at)
    """
# What is an instance's goes with it. A stream that was dropped is nobody's, with the number 0.
_LEFT = "union all".join(
    f"""
    select '{table.name}', o.instance
    from {table.name} as o
    where o.instance <> 0
        and o.instance not in (select row from instances)
    """
    for table in TABLES
    if "instance" in table.columns
)
# Where an insertion meets a row that is there already, PostgreSQL leaves a number out. A number is only never to be
# used again: so both begin at the same one again, and all that names an instance stays comparable.
_GOES_ON = """
    select setval(
        pg_get_serial_sequence('{table}', 'row'), greatest(cast(:last as bigint), 1), cast(:last as bigint) > 0
    )
    """
CREATIONS = (CreateInstance, StartChild, Once, RunSchedule, FireSchedules)
_WITH_GAPS = ("instances", "idempotency_keys")
# More than any purge has to do here.
_MOST_ROUNDS = 10_000


@dataclass(frozen=True)
class Side:
    """A database without a shell, which would tidy up: what was deleted is there until an operation purges it."""

    write: Callable[[Sequence[Operation[Any]]], Written]
    reading: Reading
    look: Look
    close: Callable[[], None]

    def do(self, step: Step) -> Written:
        """Do a step. A purge is done until there is nothing left: which part comes first is nobody's business."""
        if type(step[0]) in READS:
            return Written([self.reading.outcome(step[0])], Tidings())
        written = self.write(step)
        rounds = 0
        while len(step) == 1 and isinstance(step[0], PurgeDeleted) and written.outcomes == [True]:
            rounds += 1
            assert rounds < _MOST_ROUNDS, "a purge has no end"
            written = self.write(step)
        return written


def open_sqlite() -> tuple[Side, Connection]:
    """Open an empty store in memory; return its connection, too."""
    connection = open_in_memory()
    ledger = open_ledger(connection, ":memory:")
    reading = FileReading(connection, ":memory:")
    return Side(ledger.write, reading, lambda sql: every(connection, sql), connection.close), connection


def open_postgres(url: str) -> Side:
    """Open the store in a database whose tables are empty."""
    from stepwell.store.postgres.address import Address
    from stepwell.store.postgres.connection import LoopThread, PostgresConnection
    from stepwell.store.postgres.hosts import FOR_EVER_MS, add_host
    from stepwell.store.postgres.ledger import PostgresLedger, PostgresReading

    loop, address = LoopThread(), Address.of(url)
    first = PostgresConnection(loop, address, 0)
    host = add_host(first, FOR_EVER_MS)
    writes, reads = (PostgresConnection(loop, address, host) for _ in range(2))
    writes.ready()
    reads.ready()

    def close() -> None:
        for connection in (first, writes, reads):
            connection.close()
        loop.close()

    ledger, reading = PostgresLedger(writes, "postgres"), PostgresReading(reads, "postgres")
    return Side(ledger.write, reading, lambda sql: every(first, sql), close)


@dataclass
class Comparison:
    """Two stores that have done the same; `told` counts what became of each kind of operation."""

    sqlite: Side
    postgres: Side
    told: Told = field(default_factory=Counter)

    def do(self, step: Step) -> list[str]:
        """Do a step on both; return in words how what they answer and tell differs."""
        here, there = self.sqlite.do(step), self.postgres.do(step)
        if any(isinstance(operation, CREATIONS) for operation in step):
            self._align()
        for operation, outcome in zip(step, here.outcomes, strict=True):
            self.told[type(operation), _became(outcome)] += 1
        return list(_differing(step, here, there))

    def look(self) -> list[str]:
        """Return in words how the tables differ."""
        return [
            *differing_tables(self.sqlite.look, self.postgres.look),
            *(f"SQLite: {words}" for words in miscounted(self.sqlite.look)),
            *(f"PostgreSQL: {words}" for words in miscounted(self.postgres.look)),
        ]

    def _align(self) -> None:
        number_as(self.postgres.look, dict(self.sqlite.look("select name, seq from sqlite_sequence")))


@dataclass(frozen=True)
class Table:
    """A table of both databases, by SQLite's schema."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]

    def differing(self, sqlite: Look, postgres: Look) -> Iterator[str]:
        """Yield in words what differs, row by row."""
        query = f"select {', '.join(self.columns)} from {self.name} order by {', '.join(self.key)}"
        here, there = sqlite(query), postgres(query)
        if here == there:
            return
        for row in sorted({*here} ^ {*there}, key=repr):
            side = "SQLite" if row in here else "PostgreSQL"
            yield f"{self.name}: only {side} has {dict(zip(self.columns, row, strict=True))}"


def number_as(postgres: Look, last: dict[str, int]) -> None:
    """Let PostgreSQL go on behind the last number of each table that SQLite has given a row."""
    for table in _WITH_GAPS:
        postgres(_GOES_ON.format(table=table).replace(":last", str(last.get(table, 0))))


def differing_tables(sqlite: Look, postgres: Look) -> list[str]:
    """Return in words how the tables differ."""
    return [words for table in _tables(sqlite) for words in table.differing(sqlite, postgres)]


def miscounted(look: Look) -> list[str]:
    """Return in words what is counted or filed as what it is not, or not at all, and what is left of what is gone."""
    counts = [
        f"of the workflow {workflow} {counted} are counted as {status}, and {there} are"
        for workflow, status, counted, there in look(ENDED)
    ]
    misfiled = [f"the instance {row}, {status}, {what}" for row, status, what in look(_MISFILED)]
    return counts + misfiled + [f"the instance {row} is gone, its {table} are not" for table, row in look(_LEFT)]


def _tables(sqlite: Look) -> Iterator[Table]:
    for (name,) in sqlite("select name from sqlite_schema where type = 'table' order by name"):
        if name in (*OWN_TABLES, "ended_counts"):
            continue
        found = sqlite(f"select name, pk from pragma_table_info('{name}')")
        columns = tuple(column for column, _ in found if not {column, f"{name}.{column}"} & {*OWN_COLUMNS})
        key = tuple(column for column, pk in found if pk and column in columns)
        yield Table(name, columns, key or columns[:2])


def shortest(steps: Sequence[Step], fails: Callable[[Sequence[Step]], bool], most_tries: int = 200) -> Sequence[Step]:
    """Leave out of steps that fail whatever they fail without: what reads, then ever smaller parts."""
    writing = [step for step in steps if type(step[0]) not in READS]
    steps = writing if writing and fails(writing) else steps
    size = len(steps) // 4
    while size:
        place = 0
        while place < len(steps) and most_tries:
            without = [*steps[:place], *steps[place + size :]]
            most_tries -= 1
            if without and fails(without):
                steps = without
            else:
                place += size
        size //= 2
    return _smaller(list(steps), fails)


def _smaller(steps: list[Step], fails: Callable[[Sequence[Step]], bool]) -> list[Step]:
    """Leave out of batches the operations without which all of them fail, too."""
    for place, step in enumerate(steps):
        for operation in step:
            without = tuple(one for one in steps[place] if one is not operation)
            if without and fails([*steps[:place], without, *steps[place + 1 :]]):
                steps[place] = without
    return steps


def comparable(outcome: object) -> object:
    """Return of an answer, or an error, what has to be the same."""
    if isinstance(outcome, StoreDamaged):
        # It names the store.
        return StoreDamaged
    if isinstance(outcome, Exception):
        return type(outcome), str(outcome)
    if isinstance(outcome, Hosts):
        # What each is called, and since when it is one, is its own; a database has the hosts of earlier tests, too.
        hosts = [msgspec.structs.replace(host, row=0, name="", opened_at=0, renewed_at=0) for host in outcome.hosts]
        return [host for host in hosts if host.workers or host.held], outcome.waiting
    # As it goes over the line to a worker. The counts of statuses are in no order.
    return msgspec.msgpack.encode(outcome, order="deterministic")


@contextmanager
def both(url: str) -> Iterator[tuple[Comparison, Connection]]:
    """Open both stores, empty; the connection is SQLite's."""
    sqlite, connection = open_sqlite()
    postgres = open_postgres(url)
    try:
        yield Comparison(sqlite, postgres), connection
    finally:
        sqlite.close()
        postgres.close()


def _differing(step: Step, here: Written, there: Written) -> Iterator[str]:
    for operation, ours, theirs in zip(step, here.outcomes, there.outcomes, strict=True):
        if comparable(ours) != comparable(theirs):
            yield f"{operation}: SQLite {ours!r}, PostgreSQL {theirs!r}"
    if _heard(here.tidings) != _heard(there.tidings):
        yield f"{step}: SQLite tells {here.tidings}, PostgreSQL {there.tidings}"


def _heard(tidings: Tidings) -> object:
    # Who is told first is nobody's business.
    return tidings.due_at, Counter(tidings.told), tidings.changed, tidings.has_rubbish


def _became(outcome: object) -> str:
    if isinstance(outcome, StepwellError):
        return type(outcome).__name__
    assert not isinstance(outcome, Exception), repr(outcome)
    return "done" if outcome else "no"
