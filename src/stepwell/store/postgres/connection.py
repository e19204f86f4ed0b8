"""The seam of the operations over asyncpg: a connection that is waited for.

A thread that does nothing else drives the loop of its connection itself: each way to the server and back is spared two
hand-overs to another thread. Where the caller's thread has a running loop, the connection's has a thread of its own.
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any, Protocol, TypeVar

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from stepwell.sealing import Vault
from stepwell.store.postgres.address import Address
from stepwell.store.postgres.backoff import Patience
from stepwell.store.postgres.dialect import to_columns, to_postgres, to_row
from stepwell.store.postgres.faults import ConnectionLost, is_loss
from stepwell.store.postgres.pooler import is_pooled, keep_settings
from stepwell.store.sql.rows import Row, Values

A = TypeVar("A")
# How long something is tried again after the connection was lost. Callers have patience of their own: a worker sends
# its records again, a request is answered with an error.
PATIENCE_S = 5.0
# How long a connection that is closed is waited for; then it is dropped.
_CLOSE_S = 2.0
# A connection that was not used for so long is looked at before: the server may have ended it.
_IDLE_S = 0.5


class Loop(Protocol):
    """What drives a connection."""

    def do(self, work: Coroutine[Any, Any, A]) -> A:
        """Do some work on the loop, and wait for it. Blocks."""

    def close(self) -> None:
        """End the loop, on which nothing may be under way. Blocks."""


class LoopHere:
    """An event loop that turns in the thread of whoever waits for it, one at a time, and only while somebody waits."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def do(self, work: Coroutine[Any, Any, A]) -> A:
        """Do some work there, and wait for it. Blocks."""
        if not _runs_a_loop():
            return self._loop.run_until_complete(work)
        # A store is opened on a running loop, and a thread runs one loop at a time.
        with ThreadPoolExecutor(1) as elsewhere:
            return elsewhere.submit(self._loop.run_until_complete, work).result()

    def close(self) -> None:
        """End the loop. Blocks."""
        # What was dropped is closed on the next pass.
        self.do(asyncio.sleep(0))
        self._loop.close()


class LoopThread:
    """An event loop in a thread of its own, which has a store's connections."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="stepwell-postgres", daemon=True)
        self._thread.start()

    def do(self, work: Coroutine[Any, Any, A]) -> A:
        """Do some work there, and wait for it. Blocks."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """End the loop, on which nothing may be under way. Blocks."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()


class PostgresConnection:
    """A connection, as the operations use one. It is made when a transaction begins, and again after it was lost."""

    def __init__(self, loop: Loop, address: Address, host: int = 0, vault: Vault | None = None) -> None:
        """`host` is the number of this store among those that have the database open; 0: it has none yet.

        What is done goes over `loop`, which may be that of other connections, too. Payloads are sealed by `vault`.
        """
        self.vault = vault
        self.accounts: dict[int, str] = {}
        self._loop = loop
        self._address = address
        self._host = host
        self._open: asyncpg.Connection[Any] | None = None
        self._prepared: dict[str, PreparedStatement[Any]] = {}
        self._changes = 0
        self._is_down = False
        self._used_at = 0.0

    @property
    def is_pooled(self) -> bool:
        """Tell whether a pooler is known to be between, where each statement that is no transaction's costs three."""
        return is_pooled(self._open)

    def patience(self) -> Patience:
        """Return how long something is to be tried; once only, when all patience has ended without a connection.

        Else everybody in a queue would wait as long for a server that is down.
        """
        return Patience(0 if self._is_down else PATIENCE_S)

    def execute(self, sql: str, values: Values = ()) -> "_Rows":
        """Do a statement. Raises ConnectionLost, and what PostgreSQL says."""
        rows, done = self._do(self._fetch(to_postgres(sql), to_columns(values)))
        # "UPDATE 3", "INSERT 0 1"
        count = done.rpartition(" ")[2]
        self._changes = int(count) if count.isdigit() else 0
        return _Rows(rows)

    def executemany(self, sql: str, values: Iterable[Values]) -> None:
        """Do a statement once for each of many values."""
        self._do(self._connected().executemany(to_postgres(sql), [to_columns(row) for row in values]))

    def changes(self) -> int:
        """Return how many rows the last statement has changed."""
        return self._changes

    def begin(self, kind: str = "") -> None:
        """Begin a transaction, on a new connection if there is none any more."""
        self.ready()
        self.say(f"begin {kind}")

    def ready(self) -> None:
        """Make a connection if there is none any more. Raises what makes that impossible."""
        if self._open is not None and monotonic() > self._used_at + _IDLE_S:
            # What the server has said meanwhile is heard while the loop turns.
            self._loop.do(_turn())
        if self._open is None or self._open.is_closed():
            self._prepared.clear()
            self._is_down = True
            self._open = self._loop.do(self._address.connect(settings=_of_host(self._host)))
            self._is_down = False

    def join(self, host: int) -> None:
        """Be a connection of this host from now on."""
        self._host = host
        self._do(keep_settings(self._connected(), _of_host(host)))

    def say(self, command: str) -> None:
        """Do a command that takes no values and returns none."""
        self._do(self._connected().execute(command))

    def roll_back(self) -> None:
        """Undo what the transaction has done. Without a connection there is nothing to undo."""
        if self._open is not None and self._open.is_in_transaction():
            self.say("rollback")

    def close(self) -> None:
        """Close the connection."""
        if self._open is not None:
            self._loop.do(close_open(self._open))
            self._open = None

    async def _fetch(self, sql: str, values: Values) -> tuple[list[Any], str]:
        connection = self._connected()
        if is_pooled(connection):
            async with connection.alone():
                return await self._fetch_prepared(connection, sql, values)
        return await self._fetch_prepared(connection, sql, values)

    async def _fetch_prepared(
        self, connection: "asyncpg.Connection[Any]", sql: str, values: Values
    ) -> tuple[list[Any], str]:
        statement = self._prepared.get(sql)
        if statement is None:
            statement = self._prepared[sql] = await connection.prepare(sql)
        rows = await statement.fetch(*values)
        return rows, statement.get_statusmsg()

    def _connected(self) -> "asyncpg.Connection[Any]":
        if self._open is None:
            raise ConnectionLost("there is no connection")
        return self._open

    def _do(self, work: Coroutine[Any, Any, A]) -> A:
        self._used_at = monotonic()
        try:
            return self._loop.do(work)
        except Exception as error:  # whatever it is, asyncpg may have closed the connection over it
            if self._open is None or not (self._open.is_closed() or is_loss(error)):
                raise
            self._open.terminate()
            self._open = None
            raise ConnectionLost(str(error)) from error


class _Rows:
    """Rows that have been fetched."""

    def __init__(self, rows: list[Any]) -> None:
        self._left = iter(rows)

    def fetchone(self) -> Row | None:
        found = next(self._left, None)
        return None if found is None else to_row(found)

    def fetchall(self) -> list[Row]:
        return [to_row(found) for found in self._left]

    def __iter__(self) -> Iterator[Row]:
        return map(to_row, self._left)


def _runs_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _turn() -> None:
    """Let a loop look what has come, and do what follows."""
    for _ in range(3):
        await asyncio.sleep(0)


def _of_host(host: int) -> dict[str, str]:
    return {"stepwell.host": f"'{host}'"}


async def close_open(connection: "asyncpg.Connection[Any]") -> None:
    """Close a connection, or drop it where the server does not answer."""
    try:
        await connection.close(timeout=_CLOSE_S)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        # The server is gone, or does not answer: it will find the connection closed.
        connection.terminate()
