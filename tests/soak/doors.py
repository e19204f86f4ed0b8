"""Where clients find a server whatever becomes of it: a port that stays, and whose connections can be cut."""

import asyncio
import threading
from contextlib import suppress

_PIECE = 65_536


class Door:
    """A port of this machine's, behind which a server listens, or the next one in its place."""

    def __init__(self) -> None:
        self.port = 0
        # That of the server behind it; 0: there is none.
        self.behind = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        is_listening = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(is_listening,), daemon=True)
        self._thread.start()
        is_listening.wait()

    @property
    def url(self) -> str:
        """What clients are told."""
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """End all connections in the middle of whatever they say."""
        self._loop.call_soon_threadsafe(self._cut)

    def close(self) -> None:
        """Let nobody in any more."""
        self._loop.call_soon_threadsafe(self._is_over.set)
        self._thread.join()

    def _run(self, is_listening: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen(is_listening))
        self._loop.close()

    async def _listen(self, is_listening: threading.Event) -> None:
        self._is_over = asyncio.Event()
        server = await asyncio.start_server(self._let_in, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        is_listening.set()
        await self._is_over.wait()
        server.close()
        self._cut()
        # Those that let somebody through see that it is over, and end.
        await asyncio.gather(*self._tasks)

    def _cut(self) -> None:
        for end in self._open:
            end.transport.abort()

    async def _let_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._let_through(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _let_through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            theirs, ours = await asyncio.open_connection("127.0.0.1", self.behind)
        except OSError:
            writer.transport.abort()
        else:
            self._open.add(ours)
            await asyncio.gather(_pass_on(reader, ours), _pass_on(theirs, writer))
            self._open.discard(ours)
        self._open.discard(writer)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say on one side what is heard on the other, to its end."""
    with suppress(OSError):
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
    # What goes the other way has no end to go to.
    writer.transport.abort() if reader.exception() else writer.close()
