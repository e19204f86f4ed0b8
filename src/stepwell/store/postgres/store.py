"""A store in PostgreSQL: threads that write and read, and a lease that is kept; or all in the caller's thread."""

import logging
from dataclasses import dataclass

from stepwell.facts import fact
from stepwell.limits import HOST_LEASE_MS, PAGE_TIMEOUT_MS
from stepwell.sealing import Vault
from stepwell.store.listeners import Listeners
from stepwell.store.postgres.address import Address
from stepwell.store.postgres.backoff import Patience
from stepwell.store.postgres.connection import Loop, LoopHere, LoopThread, PostgresConnection
from stepwell.store.postgres.faults import LOSSES, translate
from stepwell.store.postgres.hosts import FOR_EVER_MS, add_host, end_host
from stepwell.store.postgres.ledger import PostgresLedger, PostgresReading
from stepwell.store.postgres.pulse import Pulse
from stepwell.store.postgres.schema import prepare
from stepwell.store.sql.sealed import use_keys
from stepwell.store.sql.store import Inline, SqlStore, Threaded
from stepwell.store.sql.threads import ReaderThreads, WriterThread
from stepwell.store.tally import Tally

logger = logging.getLogger(__name__)

READERS = 2


@dataclass(frozen=True, slots=True)
class PostgresSettings:
    """How a store keeps to its database.

    `lease_ms`: how long it is believed alive when it says nothing. `page_timeout_ms`: how long a list may take to be
    read. `patience_s`: how long it waits, when it is opened, for a server that is not there yet. `vault`: what payloads
    are sealed with. `tally`: what counts what is written.
    """

    lease_ms: int = HOST_LEASE_MS
    page_timeout_ms: int = PAGE_TIMEOUT_MS
    patience_s: float = 60.0
    vault: Vault | None = None
    tally: Tally | None = None


class PostgresStore(SqlStore):
    """A store in a PostgreSQL database. See `Store` for what it promises."""

    @classmethod
    def open(cls, url: str, settings: PostgresSettings | None = None) -> "PostgresStore":
        """Open the store in a database, in which tables are made if need be. Blocks.

        Raises InvalidInput, StoreUnavailable, StoreError (also where its keys are not these), StoreDamaged or
        StoreTooNew.
        """
        listeners = Listeners()
        return cls(_Threads(Address.of(url), listeners, settings or PostgresSettings()), listeners)

    @classmethod
    def inline(cls, url: str, vault: Vault | None = None) -> "PostgresStore":
        """Open a store that does everything at once, in its caller's thread, and ends with `close`: for tests."""
        listeners = Listeners()
        return cls(_Inline(Address.of(url), listeners, vault), listeners)


class _Opened:
    """A database whose schema is up to date, with this store among its hosts; `first` is a connection to it."""

    def __init__(
        self, address: Address, loop: Loop, lease_ms: int, patience_s: float, vault: Vault | None = None
    ) -> None:
        """`loop` is that of the first connection."""
        self.address = address
        self.loop = loop
        self.host = 0
        self.first = PostgresConnection(loop, address, vault=vault)
        try:
            self._open(lease_ms, patience_s)
        except Exception as error:  # what is not a fault of the database comes back as it is
            self.first.close()
            self.loop.close()
            told = translate(error, address.where)
            if told is error:
                raise
            raise told from error

    def close(self) -> None:
        """Take this store from among the hosts; its lease ends by itself where the server does not answer."""
        try:
            end_host(self.first, self.host)
        except LOSSES as error:
            logger.warning(
                "the leases of this store end by themselves: %s",
                translate(error, self.address.where),
                extra=fact("leases.left", error=translate(error, self.address.where)),
            )
        self.first.close()
        self.loop.close()

    def _open(self, lease_ms: int, patience_s: float) -> None:
        patience = Patience(patience_s)
        while True:
            try:
                self.loop.do(prepare(self.address))
                self._check_keys()
                self.host = add_host(self.first, lease_ms)
                self.first.join(self.host)
                return
            except LOSSES as error:
                logger.warning(
                    "%s; it is tried again",
                    translate(error, self.address.where),
                    extra=fact("store.refused", error=translate(error, self.address.where)),
                )
                if not patience.wait():
                    raise

    def _check_keys(self) -> None:
        self.first.begin()
        try:
            use_keys(self.first)
            self.first.say("commit")
        finally:
            self.first.roll_back()


class _Threads(Threaded):
    """Threads round a database."""

    def __init__(self, address: Address, listeners: Listeners, settings: PostgresSettings) -> None:
        self.where = address.where
        vault = settings.vault
        self._opened = _Opened(address, LoopHere(), settings.lease_ms, settings.patience_s, vault)
        ledger = PostgresLedger(self._opened.first, self.where)
        self._loop = LoopThread()
        self._pulse = Pulse(address, self._opened.host, settings.lease_ms, listeners, settings.tally)
        # Each thread drives a loop of its own.
        self._reading_loops = [LoopHere() for _ in range(READERS)]
        connections = [PostgresConnection(loop, address, self._opened.host, vault) for loop in self._reading_loops]
        readings = [PostgresReading(connection, self.where, settings.page_timeout_ms) for connection in connections]
        writing = WriterThread(ledger, listeners, self._pulse.tell, settings.tally)
        super().__init__(writing, ReaderThreads(readings, settings.tally))
        self._loop.do(self._pulse.start())

    def mark(self) -> None:
        """Know nothing of what other hosts write."""

    def finish(self) -> None:
        super().finish()
        self._loop.do(self._pulse.stop())
        self._loop.close()
        for loop in self._reading_loops:
            loop.close()
        self._opened.close()


class _Inline(Inline):
    """One connection and the caller's own thread."""

    def __init__(self, address: Address, listeners: Listeners, vault: Vault | None) -> None:
        self.where = address.where
        self._opened = _Opened(address, LoopThread(), FOR_EVER_MS, 0, vault)
        ledger = PostgresLedger(self._opened.first, self.where)
        super().__init__(ledger, PostgresReading(self._opened.first, self.where), listeners)

    def mark(self) -> None:
        """Know nothing of what others write."""

    async def close(self) -> None:
        self._opened.close()
