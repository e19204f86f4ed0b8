"""How other processes of the same user reach a store whose file a server has: a Unix socket beside the file.

Over it goes what goes between a server and its workers. The socket is for its owner alone.
"""

import asyncio
import logging
import os
import socket
from pathlib import Path

from stepwell.errors import StoreInUse
from stepwell.facts import fact
from stepwell.store import Store
from stepwell.store.remote import RemoteStore
from stepwell.store.serving import WorkerLine

logger = logging.getLogger(__name__)

# What the systems' socket addresses hold.
_LONGEST_PATH = 100
# Until callers are let in again after a failure.
_PAUSE_S = 0.5


def socket_path(store: Path) -> Path:
    """Return where the socket of a store's file lies."""
    return store.with_name(store.name + ".sock")


class SharedStore:
    """Lets other processes use a store, as long as it is open."""

    def __init__(self, store: Store, path: Path) -> None:
        """Take the socket beside the store's file, whose lock is ours. Blocks for a moment."""
        self._store = store
        self._path = socket_path(path.absolute())
        self._sock = _bind(self._path)
        self._accepting: asyncio.Task[None] | None = None
        self._lines: set[WorkerLine] = set()

    def start(self) -> None:
        """Listen."""
        if self._sock is not None:
            self._accepting = asyncio.get_running_loop().create_task(self._accept(self._sock))

    async def close(self) -> None:
        """Hang up on everybody."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait([self._accepting])
        for line in list(self._lines):
            line.close()
        if self._sock is not None:
            self._sock.close()
            await asyncio.to_thread(self._path.unlink, missing_ok=True)

    async def _accept(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(sock)
                await self._serve(connection)
            except OSError as error:
                # A caller that is gone already, or no file descriptor left: the next one may be luckier.
                logger.warning(
                    "another command could not reach the store: %s", error, extra=fact("command.unheard", error=error)
                )
                await asyncio.sleep(_PAUSE_S)

    async def _serve(self, connection: socket.socket) -> None:
        def forget() -> None:
            self._lines.discard(line)

        line = WorkerLine(self._store, lambda _: None, forget, refused=())
        self._lines.add(line)
        await line.connect(connection)


async def reach(path: Path) -> RemoteStore:
    """Return the store of a file, an absolute path, that a server has.

    Raises StoreInUse if the server cannot be reached.
    """
    where = socket_path(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, str(where))
    except OSError as error:
        sock.close()
        raise StoreInUse(f"Store {path}: a server has the file, and cannot be reached at {where}: {error}") from error
    store = RemoteStore(lambda _: None, lambda: None)
    await store.connect(sock)
    return store


def _bind(path: Path) -> socket.socket | None:
    if len(os.fsencode(path)) > _LONGEST_PATH:
        logger.warning(
            "%s is too long a path for a socket: no other command can reach the store now",
            path,
            extra=fact("socket.unusable", path=path),
        )
        return None
    # What lies there is left from a server that died.
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(str(path))
    path.chmod(0o600)
    sock.listen()
    sock.setblocking(False)
    return sock
