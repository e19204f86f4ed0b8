"""A store whose file a server has, used by other processes of the same user."""

import asyncio
import errno
import socket
import stat
from pathlib import Path

import pytest

from stepwell.errors import StoreInUse
from stepwell.store.opening import reach_store
from stepwell.store.operations import ListWorkflows
from stepwell.store.sharing import SharedStore, socket_path
from stepwell.store.sqlite import SqliteStore
from tests.store.scenes import register


async def test_store_that_a_server_has_is_reached_through_it(tmp_path: Path) -> None:
    """What one process writes through the socket is in the store; the server writes on."""
    path = tmp_path / "store.db"
    store = await asyncio.to_thread(SqliteStore.open, path)
    shared = await asyncio.to_thread(SharedStore, store, path)
    shared.start()

    other = await reach_store(f"sqlite:///{path}")
    await register(other, "orders")
    await other.close()
    await register(store, "returns")

    assert (await store.run(ListWorkflows("acme", 10, 0))).total == 2
    await shared.close()
    await store.close()
    assert not await asyncio.to_thread(socket_path(path).exists)


async def test_store_that_nobody_has_is_opened(tmp_path: Path) -> None:
    """Without a server the file is opened, and let go of."""
    for _ in range(2):
        store = await reach_store(f"sqlite:///{tmp_path / 'store.db'}")
        await register(store)
        await store.close()


async def test_socket_is_for_its_owner_alone_and_replaces_a_dead_servers(tmp_path: Path) -> None:
    """No other user of the machine gets in; a socket that lies there from before is in nobody's way."""
    path = tmp_path / "store.db"
    store = await asyncio.to_thread(SqliteStore.open, path)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(socket_path(path)))

    shared = await asyncio.to_thread(SharedStore, store, path)
    shared.start()

    assert stat.S_IMODE((await asyncio.to_thread(socket_path(path).stat)).st_mode) == 0o600
    await shared.close()
    await store.close()


async def test_server_that_cannot_be_reached_is_told(tmp_path: Path) -> None:
    """A file that is locked, without a socket beside it, is in use."""
    path = tmp_path / "store.db"
    store = await asyncio.to_thread(SqliteStore.open, path)

    with pytest.raises(StoreInUse, match="a server has the file, and cannot be reached"):
        await reach_store(f"sqlite:///{path}")
    await store.close()


async def test_path_that_no_socket_can_have_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The server works without a socket then, and says so."""
    path = tmp_path / ("a" * 100) / "store.db"
    store = await asyncio.to_thread(SqliteStore.open, path)

    shared = await asyncio.to_thread(SharedStore, store, path)
    shared.start()
    await shared.close()

    assert "is too long a path for a socket" in caplog.text
    await store.close()


async def test_failure_to_let_one_in_does_not_keep_others_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where no file descriptor is left for a moment: it is in the log, and the next caller is let in."""
    path = tmp_path / "store.db"
    store = await asyncio.to_thread(SqliteStore.open, path)
    shared = await asyncio.to_thread(SharedStore, store, path)
    serve, calls = shared._serve, []

    async def fails_once(connection: socket.socket) -> None:
        calls.append(connection)
        if len(calls) == 1:
            connection.close()
            raise OSError(errno.EMFILE, "Too many open files")
        await serve(connection)

    monkeypatch.setattr(shared, "_serve", fails_once)
    monkeypatch.setattr("stepwell.store.sharing._PAUSE_S", 0)
    shared.start()
    with socket.socket(socket.AF_UNIX) as turned_away:
        await asyncio.to_thread(turned_away.connect, str(socket_path(path)))
        assert await asyncio.to_thread(turned_away.recv, 1) == b""

    other = await reach_store(f"sqlite:///{path}")
    await register(other, "orders")
    await other.close()
    await shared.close()
    await store.close()

    assert "Too many open files" in caplog.text
