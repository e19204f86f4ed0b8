"""A store in PostgreSQL: threads that write and read, and a lease that is kept; or all in the caller's thread."""

import asyncio
import logging
from dataclasses import dataclass

from stepwell.limits import HOST_LEASE_MS
from stepwell.store.listeners import Listeners
from stepwell.store.postgres.address import Address
from stepwell.store.postgres.backoff import Patience
from stepwell.store.postgres.connection import LoopThread, PostgresConnection
from stepwell.store.postgres.faults import LOSSES, translate
from stepwell.store.postgres.hosts import FOR_EVER_MS, add_host, end_host
from stepwell.store.postgres.ledger import PostgresLedger, PostgresReading, look_for_rubbish
from stepwell.store.postgres.pulse import Pulse
from stepwell.store.postgres.schema import prepare
from stepwell.store.sql.reads import READS
from stepwell.store.sql.store import Inline, SqlStore, announce
from stepwell.store.sql.threads import ReaderThreads, Request, WriterThread

logger = logging.getLogger(__name__)

READERS = 2


@dataclass(frozen=True, slots=True)
class PostgresSettings:
    """How a store keeps to its database.

    `lease_ms`: how long it is believed alive when it says nothing. `patience_s`: how long it waits, when it is opened,
    for a server that is not there yet.
    """

    lease_ms: int = HOST_LEASE_MS
    patience_s: float = 60.0


class PostgresStore(SqlStore):
    """A store in a PostgreSQL database. See `Store` for what it promises."""

    @classmethod
    def open(cls, url: str, settings: PostgresSettings | None = None) -> "PostgresStore":
        """Open the store in a database, in which tables are made if need be. Blocks.

        Raises InvalidInput, StoreUnavailable, StoreError, StoreDamaged or StoreTooNew.
        """
        listeners = Listeners()
        return cls(_Threads(Address.of(url), listeners, settings or PostgresSettings()), listeners)

    @classmethod
    def inline(cls, url: str) -> "PostgresStore":
        """Open a store that does everything at once, in its caller's thread, and ends with `close`: for tests."""
        listeners = Listeners()
        return cls(_Inline(Address.of(url), listeners), listeners)


class _Opened:
    """A database whose schema is up to date, with this store among its hosts."""

    def __init__(self, address: Address, lease_ms: int, patience_s: float) -> None:
        self.address = address
        self.loop = LoopThread()
        self.host = 0
        try:
            self._open(lease_ms, patience_s)
        except Exception as error:  # what is not a fault of the database comes back as it is
            self.loop.close()
            told = translate(error, address.where)
            if told is error:
                raise
            raise told from error

    def connection(self) -> PostgresConnection:
        """Return a connection of this host, which is made when it is used."""
        return PostgresConnection(self.loop, self.address, self.host)

    def close(self, connection: PostgresConnection) -> None:
        """Take this store from among the hosts; its lease ends by itself where the server does not answer."""
        try:
            end_host(connection, self.host)
        except LOSSES as error:
            logger.warning("the leases of this store end by themselves: %s", translate(error, self.address.where))
        connection.close()
        self.loop.close()

    def _open(self, lease_ms: int, patience_s: float) -> None:
        patience = Patience(patience_s)
        while True:
            try:
                self.loop.do(prepare(self.address))
                connection = self.connection()
                self.host = add_host(connection, lease_ms)
                connection.close()
                return
            except LOSSES as error:
                logger.warning("%s; it is tried again", translate(error, self.address.where))
                if not patience.wait():
                    raise


class _Threads:
    """Threads round a database."""

    def __init__(self, address: Address, listeners: Listeners, settings: PostgresSettings) -> None:
        self.where = address.where
        self._opened = _Opened(address, settings.lease_ms, settings.patience_s)
        self._ledger = PostgresLedger(self._opened.connection(), self.where)
        self._writer = WriterThread(self._ledger, lambda tidings: announce(listeners, tidings))
        readings = [PostgresReading(self._opened.connection(), self.where) for _ in range(READERS)]
        self._readers = ReaderThreads(readings)
        self._pulse = Pulse(address, self._opened.host, settings.lease_ms, listeners)
        self._opened.loop.do(self._pulse.start())

    def put(self, request: Request) -> None:
        if type(request.operation) in READS:
            self._readers.put(request)
        else:
            self._writer.put(request)

    async def close(self) -> None:
        await asyncio.to_thread(self._finish)

    def _finish(self) -> None:
        self._readers.finish()
        self._writer.finish()
        self._opened.loop.do(self._pulse.stop())
        self._opened.close(self._opened.connection())


class _Inline(Inline):
    """Two connections and the caller's own thread."""

    def __init__(self, address: Address, listeners: Listeners) -> None:
        self.where = address.where
        self._opened = _Opened(address, FOR_EVER_MS, 0)
        self._written = self._opened.connection()
        self._read = self._opened.connection()
        ledger = PostgresLedger(self._written, self.where)
        ledger.has_rubbish = look_for_rubbish(self._read)
        super().__init__(ledger, PostgresReading(self._read, self.where), listeners)

    async def close(self) -> None:
        self._read.close()
        self._opened.close(self._written)
