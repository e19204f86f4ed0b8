"""A database as what a copy of a store is made of, and as what it is made into.

Either is one transaction, under a lock that keeps all hosts away: who opens the store meanwhile waits until it is over.
"""

from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

import asyncpg
from asyncpg.cursor import Cursor

from stepwell.errors import InvalidInput, StoreInUse
from stepwell.store.copying import Numbers
from stepwell.store.postgres.address import Address
from stepwell.store.postgres.connection import LoopThread, close_open
from stepwell.store.postgres.dialect import to_columns, to_row
from stepwell.store.postgres.faults import ConnectionLost, translate
from stepwell.store.postgres.schema import bring_up_to_date, has_store
from stepwell.store.sql.rows import Row
from stepwell.store.sql.tables import GAPS, TABLES, Table

A = TypeVar("A")

_APPLICATION = "stepwell copy"
# A lease that is being renewed takes milliseconds.
_PATIENCE = "set local lock_timeout = '5s'"
# The one side waits for the other, however long that takes.
_WITHOUT_HASTE = """
    set local lock_timeout = 0;
    set local statement_timeout = 0;
    set local idle_in_transaction_session_timeout = 0
    """
# Taken before the transaction sees anything: so nothing is written between its moment and the lock.
_LOCK_HOSTS = "lock table hosts in exclusive mode"
_LIVING = """
    select name
    from hosts
    where lease_until > cast(extract(epoch from clock_timestamp()) * 1000 as bigint)
    order by row
    limit 1
    """
_LAST = "select coalesce(pg_sequence_last_value(cast(pg_get_serial_sequence($1, 'row') as regclass)), 0)"
_SET_LAST = """
    select setval(
        cast(pg_get_serial_sequence($1, 'row') as regclass),
        greatest($2, pg_sequence_last_value(cast(pg_get_serial_sequence($1, 'row') as regclass)))
    )
    """
_LAST_TRANSACTION = "select cast(cast(pg_snapshot_xmax(pg_current_snapshot()) as text) as bigint)"
_NUMBER = "select cast(cast(pg_current_xact_id() as text) as bigint)"
# Columns that this database alone has. No host is number 0: the leases of its workers are over.
_OWN: dict[str, dict[str, int]] = {"workers": {"host": 0}}


class PostgresSource:
    """A store in a database, as it is at one moment."""

    @classmethod
    @contextmanager
    def open(cls, url: str) -> Iterator["PostgresSource"]:
        """Open it, with an older schema brought up to date. Blocks.

        Raises InvalidInput if there is none; StoreInUse, StoreUnavailable, StoreError, StoreDamaged or StoreTooNew.
        """
        with _Session.open(url) as session:
            session.do(_take_source(session))
            yield cls(session)

    def __init__(self, session: "_Session") -> None:
        self.where = session.address.where
        self._session = session

    def count(self, table: Table) -> int:
        """Return how many rows a table has."""
        return self._session.count(table)

    def rows(self, table: Table) -> Iterator[Row]:
        """Yield the rows of a table."""
        cursor: Cursor[Any] = self._session.do(_begin_reading(self._session.connection, table))
        while rows := self._session.do(cursor.fetch(table.at_once)):
            yield from map(to_row, rows)

    def gap(self) -> Row | None:
        """Return what lacks something, if anything does: a text and the number of an instance."""
        found = self._session.do(self._session.connection.fetchrow(GAPS))
        return None if found is None else to_row(found)

    def numbers(self) -> Numbers:
        """Return the last numbers that were given out."""
        last = {table.name: self._session.ask(_LAST, table.name) for table in TABLES if table.is_numbered}
        return Numbers(last, self._session.ask(_LAST_TRANSACTION))


class PostgresTarget:
    """A store in a database that has none, or an empty one."""

    @classmethod
    @contextmanager
    def open(cls, url: str) -> Iterator["PostgresTarget"]:
        """Begin the one transaction that makes it. Blocks. On leaving all is undone that was not finished.

        Raises InvalidInput if it is not empty; StoreInUse, StoreUnavailable, StoreError, StoreDamaged or StoreTooNew.
        """
        with _Session.open(url) as session:
            session.do(_take_target(session))
            yield cls(session)

    def __init__(self, session: "_Session") -> None:
        self.where = session.address.where
        self._session = session
        # Numbers of transactions are the server's to give: in this database all that comes was written by this one.
        self._tx: int = session.ask(_NUMBER)

    def count(self, table: Table) -> int:
        """Return how many rows a table has."""
        return self._session.count(table)

    def write(self, table: Table, rows: Sequence[Row]) -> None:
        """Write rows of a table."""
        own = _OWN.get(table.name, {})
        # The last column, where there is one.
        kept = len(table.columns) - table.columns.count("tx")
        more = (*([self._tx] if kept < len(table.columns) else []), *own.values())
        records = [(*to_columns(row[:kept]), *more) for row in rows]
        self._session.do(
            self._session.connection.copy_records_to_table(table.name, records=records, columns=[*table.columns, *own])
        )

    def finish(self, numbers: Numbers) -> None:
        """Make it durable, and known to the planner."""
        for name, last in numbers.rows.items():
            if last:
                self._session.ask(_SET_LAST, name, last)
        for table in TABLES:
            self._session.do(self._session.connection.execute(f"analyze {table.name}"))
        self._session.commit()


class _Session:
    """A connection, and the one transaction on it."""

    @classmethod
    @contextmanager
    def open(cls, url: str) -> Iterator["_Session"]:
        address = Address.of(url)
        loop = LoopThread()
        try:
            session = cls(address, loop)
            try:
                yield session
            finally:
                # What was not committed is undone with it.
                loop.do(close_open(session.connection))
        finally:
            loop.close()

    def __init__(self, address: Address, loop: LoopThread) -> None:
        self.address = address
        self._loop = loop
        self.connection: Any = None
        self.connection = self.do(address.connect(_APPLICATION))
        self._transaction: Any = None

    def do(self, work: Coroutine[Any, Any, A]) -> A:
        """Do some work on the connection's loop. Blocks. Raises errors of ours."""
        try:
            return self._loop.do(work)
        except Exception as error:  # what is not a fault of the database comes back as it is
            told = translate(self._meant(error), self.address.where)
            if told is error:
                raise
            raise told from error

    def ask(self, sql: str, *values: object) -> int:
        """Return the number that a statement answers."""
        return int(self.do(self.connection.fetchval(sql, *values)))

    def count(self, table: Table) -> int:
        """Return how many rows a table has."""
        return self.ask(table.count)

    async def begin(self, isolation: Literal["read_committed", "repeatable_read"]) -> None:
        """Begin the transaction, on the connection's loop."""
        self._transaction = self.connection.transaction(isolation=isolation)
        await self._transaction.start()

    def commit(self) -> None:
        """Make the transaction durable."""
        self.do(self._transaction.commit())

    def _meant(self, error: Exception) -> Exception:
        """Return an error for what it is: a connection that ends under rows on their way confuses the driver."""
        is_cut = isinstance(error, asyncpg.InternalClientError) or (self.connection and self.connection.is_closed())
        return ConnectionLost(str(error)) if is_cut else error


async def _take_source(session: _Session) -> None:
    connection, where = session.connection, session.address.where
    if not await has_store(connection):
        raise InvalidInput("from", f"there is no store in {where}")
    await bring_up_to_date(connection, session.address)
    await session.begin("repeatable_read")
    await _keep_hosts_away(connection, where)


async def _take_target(session: _Session) -> None:
    connection, where = session.connection, session.address.where
    await session.begin("read_committed")
    await bring_up_to_date(connection, session.address)
    await _keep_hosts_away(connection, where)
    # Those of a host that died, and that held nothing; the others are seen by what they hold.
    await connection.execute(
        "delete from workers where row not in (select owner from instances where owner is not null)"
    )
    for table in TABLES:
        if await connection.fetchval(f"select exists (select 1 from {table.name})"):
            raise InvalidInput(
                "to",
                f"the store in {where} is not empty, its table {table.name} has rows: name a database, or a schema "
                "(?schema=NAME), that has no store yet",
            )


async def _keep_hosts_away(connection: "asyncpg.Connection[Any]", where: str) -> None:
    """Raise StoreInUse if somebody has the store open; else nobody opens it before the transaction ends."""
    await connection.execute(_PATIENCE)
    try:
        await connection.execute(_LOCK_HOSTS)
    except asyncpg.LockNotAvailableError as error:
        raise StoreInUse(f"Store {where} is in use by another copy: wait for its end") from error
    await connection.execute(_WITHOUT_HASTE)
    if (name := await connection.fetchval(_LIVING)) is not None:
        raise StoreInUse(
            f"Store {where} is in use by {name}: stop that one first; one that was killed is believed alive for a few "
            "seconds"
        )


async def _begin_reading(connection: "asyncpg.Connection[Any]", table: Table) -> "Cursor[Any]":
    # Prepared by hand: of its own accord asyncpg names the statement, which a pooler would leave to somebody else.
    return await (await connection.prepare(table.read)).cursor()
