"""The embedded store: one SQLite file that this process alone writes, or a store in memory for tests."""

import time
from contextlib import ExitStack
from pathlib import Path

from stepwell.limits import PAGE_TIMEOUT_MS
from stepwell.sealing import Vault
from stepwell.store.listeners import Listeners
from stepwell.store.sql.sealed import use_keys
from stepwell.store.sql.store import Inline, SqlStore, Threaded
from stepwell.store.sql.threads import ReaderThreads, WriterThread
from stepwell.store.sqlite.connections import FileReading, open_ledger
from stepwell.store.sqlite.faults import translated
from stepwell.store.sqlite.file import FileLock, open_in_memory, open_reader, open_writer
from stepwell.store.tally import Tally

READERS = 2


class SqliteStore(SqlStore):
    """A store in one SQLite file. See `Store` for what it promises."""

    @classmethod
    def open(
        cls,
        path: Path | str,
        page_timeout_ms: int = PAGE_TIMEOUT_MS,
        vault: Vault | None = None,
        tally: Tally | None = None,
    ) -> "SqliteStore":
        """Open the store in a file, which is made if need be, for this process alone. Blocks for a moment.

        `page_timeout_ms`: how long a list may take to be read. `vault`: what payloads are sealed with.
        `tally`: what counts what is written.

        Raises StoreUnavailable, StoreDamaged, StoreInUse or StoreTooNew; StoreError if its keys are not these.
        """
        listeners = Listeners()
        return cls(_File(Path(path).absolute(), listeners, page_timeout_ms, vault, tally), listeners)

    @classmethod
    def in_memory(cls, vault: Vault | None = None) -> "SqliteStore":
        """Open an empty store that does everything at once, without threads, and ends with `close`."""
        listeners = Listeners()
        return cls(_InMemory(listeners, vault), listeners)


class _File(Threaded):
    """Threads round a file."""

    def __init__(
        self, path: Path, listeners: Listeners, page_timeout_ms: int, vault: Vault | None, tally: Tally | None
    ) -> None:
        self.where = str(path)
        with ExitStack() as opened, translated(path):
            self._lock = FileLock(path)
            opened.callback(self._lock.release)
            writer = open_writer(path)
            opened.callback(writer.close)
            writer.vault = vault
            use_keys(writer)
            opened_at = time.time_ns() // 1_000_000
            connections = [open_reader(path, opened_at) for _ in range(READERS)]
            for connection in connections:
                connection.vault = vault
            readers = [FileReading(connection, self.where, page_timeout_ms) for connection in connections]
            ledger = open_ledger(writer, self.where)
            opened.pop_all()
        writing = WriterThread(ledger, listeners, tally=tally)
        super().__init__(writing, ReaderThreads(readers, tally))

    def finish(self) -> None:
        # The writer's connection is the last to close, so it takes the log into the database and removes it.
        super().finish()
        self._lock.release()


class _InMemory(Inline):
    """One connection and the caller's own thread."""

    where = "the store in memory"

    def __init__(self, listeners: Listeners, vault: Vault | None) -> None:
        connection = open_in_memory()
        connection.vault = vault
        use_keys(connection)
        self._ledger = open_ledger(connection, self.where)
        super().__init__(self._ledger, FileReading(connection, self.where), listeners)

    async def close(self) -> None:
        self._ledger.close()
