"""A database is opened: by many at once, with its faults told, and without a word of the password."""

import asyncio
import re
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from stepwell.errors import InvalidInput, StoreDamaged, StoreError, StoreTooNew, StoreUnavailable
from stepwell.store import opening
from stepwell.store.operations import ListWorkflows
from tests import postgres
from tests.store.scenes import register

_SCHEMA = Path(opening.__file__).parent / "schema" / "postgres"

HAS_POSTGRES = postgres.is_there()
if HAS_POSTGRES:
    from stepwell.store.postgres.store import PostgresSettings, PostgresStore

    AT_ONCE = PostgresSettings(patience_s=0)


@pytest.fixture
def empty(require: Callable[..., None]) -> str:
    """A database without tables."""
    require(postgres.REASON, "a store in it", HAS_POSTGRES)
    return postgres.databases.make()


@pytest.fixture
def guarded(require: Callable[..., None]) -> Iterator[postgres.Server]:
    """A server of the test's own that asks for passwords; it is not started."""
    require(postgres.REASON, "a server that asks for passwords", HAS_POSTGRES and postgres.is_local())
    server = postgres.Server()
    yield server
    server.remove()


async def _close(*stores: "PostgresStore") -> None:
    for store in stores:
        await store.close()


def test_eight_openers_at_once_make_one_schema(empty: str) -> None:
    """The tables are made once, however many processes start."""
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(PostgresStore.open, [empty] * 8))

    made = postgres.query(empty, "select name from schema_version order by n")
    assert [name for (name,) in made] == sorted(file.name for file in _SCHEMA.glob("*.sql"))
    asyncio.run(_close(*stores))


def test_newer_schema_is_refused(empty: str) -> None:
    """What a newer Stepwell has written is not touched, and the text says what to do."""
    asyncio.run(_close(PostgresStore.open(empty)))
    postgres.query(empty, "insert into schema_version values (99, '0099_later.sql', 'x', 0)")

    with pytest.raises(StoreTooNew, match=r"has schema 99 \(0099_later\.sql\), .*upgrade this one"):
        PostgresStore.open(empty)


def test_other_schema_of_the_same_number_is_refused(empty: str) -> None:
    """A database whose tables are others is not written to."""
    asyncio.run(_close(PostgresStore.open(empty)))
    postgres.query(empty, "update schema_version set sha256 = 'other'")

    with pytest.raises(StoreDamaged, match="has a schema 1 that is not"):
        PostgresStore.open(empty)


async def test_two_schemas_of_a_database_are_two_stores(empty: str) -> None:
    """Several stores fit into one database, each in a schema that is made if need be."""
    query = "&" if "?" in empty else "?"
    one, other = [
        await asyncio.to_thread(PostgresStore.open, f"{empty}{query}schema={name}") for name in ("one", 'The "other"')
    ]

    await register(one)

    assert [(await store.run(ListWorkflows("acme", 1, 0))).total for store in (one, other)] == [1, 0]
    await _close(one, other)


def test_wrong_password_is_said_and_not_shown(guarded: postgres.Server) -> None:
    """A password that is wrong will be so the next time, too: the start fails at once."""
    guarded.start(asks_for_passwords=True)
    url = guarded.url.replace("postgres@", "postgres:hunter2@")

    with pytest.raises(StoreError, match=r'database "postgres": the password is wrong') as raised:
        PostgresStore.open(url)

    assert "hunter2" not in str(raised.value)
    assert not isinstance(raised.value, StoreUnavailable)


def test_missing_database_is_said(empty: str) -> None:
    """A database that is not there is not waited for."""
    with pytest.raises(StoreError, match="there is no such database: make it with createdb"):
        PostgresStore.open(empty.replace("/stepwell_", "/nothing_"))


def test_server_that_is_down_is_named(guarded: postgres.Server) -> None:
    """The text names host, port and database, and what to look at."""
    with pytest.raises(StoreUnavailable, match=r':5432, database "postgres": the server does not answer'):
        PostgresStore.open(guarded.url, AT_ONCE)


def test_server_that_comes_up_later_is_waited_for(guarded: postgres.Server) -> None:
    """A server and its database may be started in any order."""
    with ThreadPoolExecutor(1) as pool:
        opened = pool.submit(PostgresStore.open, guarded.url)
        guarded.start()
        store = opened.result()

    assert postgres.query(guarded.url, "select count(*) from hosts") == [(1,)]
    asyncio.run(_close(store))


def test_server_that_is_too_old_is_refused(empty: str, tmp_path: Path) -> None:
    """A server before version 15 is not written to; the text names its version, and which are taken."""
    old = _server_that_says("14.9", empty, tmp_path)

    with pytest.raises(StoreError, match=r"PostgreSQL 14 is too old: give one from 15 on") as raised:
        PostgresStore.open(old, AT_ONCE)

    assert not isinstance(raised.value, StoreUnavailable)
    assert postgres.query(empty, "select to_regclass('schema_version') is null") == [(True,)]


def _server_that_says(version: str, url: str, folder: Path) -> str:
    """Return the URL of a server that is another one with this version on its lips."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(folder / ".s.PGSQL.5432"))
    listening.listen()

    def serve() -> None:
        while True:
            client, _ = listening.accept()
            server = _connect(url)
            threading.Thread(target=_pass_on, args=(client, server, bytes), daemon=True).start()
            say = _Saying(version)
            threading.Thread(target=_pass_on, args=(server, client, say), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return f"postgresql://postgres@{urlsplit(url).path}?host={folder}"


def _connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    if parts.hostname is not None:
        return socket.create_connection((parts.hostname, parts.port or 5432))
    server = socket.socket(socket.AF_UNIX)
    server.connect(f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432")
    return server


def _pass_on(source: socket.socket, target: socket.socket, change: Callable[[bytes], bytes]) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(change(data))
        target.shutdown(socket.SHUT_WR)


class _Saying:
    """Puts another version into the message in which a server says its own."""

    def __init__(self, version: str) -> None:
        name = b"server_version\0" + version.encode() + b"\0"
        self._message = b"S" + (len(name) + 4).to_bytes(4, "big") + name

    def __call__(self, data: bytes) -> bytes:
        return re.sub(rb"S\0\0\0.server_version\0[^\0]*\0", lambda _: self._message, data, flags=re.DOTALL)


@pytest.mark.parametrize("url", ["postgresql://host:port/x", "postgresql://host/x?schema="])
def test_url_that_is_none_is_refused(url: str, empty: str) -> None:
    """What is wrong with it is said, and nothing is waited for."""
    with pytest.raises(InvalidInput, match="store"):
        PostgresStore.open(url)


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's package is an extra: without it a store says how to get it."""
    monkeypatch.setattr(opening, "find_spec", lambda name: None)

    with pytest.raises(InvalidInput, match=r"pip install 'stepwell\[postgres\]'"):
        opening.open_store("postgresql://localhost/stepwell")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        pytest.param("postgresql://a:secret@h:1/d?x=y", "postgresql://a@h:1/d?x=y", id="password"),
        pytest.param("postgresql://h/d?x=y&password=secret&z=1", "postgresql://h/d?x=y&z=1", id="in the query"),
        pytest.param("postgresql:///d?host=/tmp", "postgresql:///d?host=/tmp", id="none"),
        pytest.param("sqlite:///a.db", "sqlite:///a.db", id="file"),
    ],
)
def test_password_is_never_shown(url: str, shown: str) -> None:
    """A URL that is printed has no password."""
    assert opening.shown(url) == shown
