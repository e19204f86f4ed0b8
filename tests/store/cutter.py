"""Stands before a server, passes its messages on, and cuts a connection behind as many of them as a test says."""

import asyncio
import shutil
import struct
import tempfile
import threading
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

_LAST_WORDS = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
# What a server says when it is stopped.
_FATAL = b"E" + struct.pack("!i", len(_LAST_WORDS) + 4) + _LAST_WORDS


class Cut(StrEnum):
    """How a connection ends."""

    BETWEEN = "between two messages"
    WITHIN = "within a message"
    SAID = "with the server's last words, which come together with a message"


class Cutter:
    """Listens in a folder of its own, on a thread of its own."""

    def __init__(self, url: str) -> None:
        """`url`: any database of the server."""
        self.folder = Path(tempfile.mkdtemp(prefix="sw-cut-"))
        parts = urlsplit(url)
        asked = dict(parse_qsl(parts.query))
        self._host = parts.hostname or asked["host"]
        self._port = parts.port or int(asked.get("port", 5432))
        self._how = Cut.BETWEEN
        self._left = 0
        self._loop = asyncio.new_event_loop()
        self._writers: list[asyncio.StreamWriter] = []
        listening = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(listening,), daemon=True)
        self._thread.start()
        listening.wait()

    def url(self, direct: str) -> str:
        """Return the URL of a database by this way."""
        parts = urlsplit(direct)
        user = parts.netloc.rpartition("@")[0]
        return f"postgresql://{user}@{parts.path}?host={self.folder}"

    def cut(self, behind: int, how: Cut) -> None:
        """Cut whichever connection the server's message of this number, from now on, goes over."""
        self._how = how
        self._left = behind

    def pause(self) -> None:
        """Cut nothing until the next word; `has_cut` stays as it is."""
        if not self.has_cut:
            self._left = 2**62

    @property
    def has_cut(self) -> bool:
        """Tell whether the message came that was to be the last."""
        return self._left <= 0

    def close(self) -> None:
        """End all connections, and the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, listening: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        path = self.folder / ".s.PGSQL.5432"
        server = self._loop.run_until_complete(asyncio.start_unix_server(self._serve, path))
        listening.set()
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _end(self) -> None:
        for writer in self._writers:
            writer.close()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)

    async def _serve(self, asks: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        if self._host.startswith("/"):
            reads, writes = await asyncio.open_unix_connection(f"{self._host}/.s.PGSQL.{self._port}")
        else:
            reads, writes = await asyncio.open_connection(self._host, self._port)
        self._writers += [answers, writes]
        pump = self._loop.create_task(_pump(asks, writes))
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                while await self._pass_on(reads, answers):
                    pass
        finally:
            answers.close()
            writes.close()
            await pump

    async def _pass_on(self, reads: asyncio.StreamReader, answers: asyncio.StreamWriter) -> bool:
        """Pass on a message of the server; tell whether more are to follow."""
        head = await reads.readexactly(5)
        message = head + await reads.readexactly(struct.unpack("!i", head[1:])[0] - 4)
        self._left -= 1
        if self._left:
            answers.write(message)
            return True
        match self._how:
            case Cut.BETWEEN:
                answers.write(message)
            case Cut.WITHIN:
                answers.write(message[: len(message) // 2])
            case Cut.SAID:
                answers.write(message + _FATAL)
        return False


async def _pump(reads: asyncio.StreamReader, writes: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while some := await reads.read(2**16):
            writes.write(some)
    writes.close()
