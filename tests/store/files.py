"""A store in a file that does everything at once, in its caller's thread: it writes the same each time."""

from contextlib import ExitStack
from pathlib import Path

from stepwell.store.listeners import Listeners
from stepwell.store.sql.ledger import Ledger
from stepwell.store.sql.store import Inline, SqlStore
from stepwell.store.sql.threads import Request
from stepwell.store.sqlite.connections import FileReading, open_ledger
from stepwell.store.sqlite.faults import translated
from stepwell.store.sqlite.file import FileLock, open_reader, open_writer


class InlineFile(Inline):
    """The same lock and connections as a server has; `writer` is the one that writes."""

    def __init__(self, path: Path, listeners: Listeners) -> None:
        self.where = str(path)
        with ExitStack() as opened, translated(path):
            self._lock = FileLock(path)
            opened.callback(self._lock.release)
            self.writer = open_writer(path)
            opened.callback(self.writer.close)
            self.reading = FileReading(open_reader(path), self.where)
            self.ledger: Ledger = open_ledger(self.writer, self.where)
            opened.pop_all()
        super().__init__(self.ledger, self.reading, listeners)

    def put(self, request: Request) -> None:
        """Do a request; then what a server does in the next pause: room is given back, and the log wiped."""
        super().put(request)
        while self.ledger.has_traces:
            self.ledger.wipe()

    async def close(self) -> None:
        """Leave one whole file behind."""
        self.release()

    def release(self) -> None:
        """Let go of the file."""
        self.reading.close()
        self.ledger.close()
        self._lock.release()


def open_inline(path: Path) -> SqlStore:
    """Open the store in a file, which is made if need be."""
    listeners = Listeners()
    return SqlStore(InlineFile(path.absolute(), listeners), listeners)
