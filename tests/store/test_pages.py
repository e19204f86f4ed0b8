"""Lists that take too long are given up, and nothing else is."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stepwell.errors import PageTooSlow
from stepwell.store import Store
from stepwell.store.operations import GetWorkflow, ListInstances, ListWorkflows, Operation
from stepwell.store.sqlite import SqliteStore, connections
from stepwell.store.workflow_operations import ListVersions
from tests import postgres
from tests.store.scenes import create, instance, register

HAS_POSTGRES = postgres.is_there()
if HAS_POSTGRES:
    import asyncpg

    from stepwell.store.postgres.store import PostgresSettings, PostgresStore

LIST = ListInstances("acme", "orders", 10)
PAGES: list[Operation[Any]] = [
    LIST,
    ListWorkflows("acme", 10, 0),
    ListVersions("acme", "orders", 10, 0),
    GetWorkflow("acme", "orders"),
]


@pytest.fixture
async def slow_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    """A store whose lists may take no time, and that looks at the time at each of its machine's instructions."""
    monkeypatch.setattr(connections, "LOOK_AT_THE_TIME_EVERY", 1)
    opened = await asyncio.to_thread(SqliteStore.open, tmp_path / "store.db", -1)
    yield opened
    await opened.close()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: type(page).__name__)
async def test_page_of_a_file_that_takes_too_long_is_given_up(slow_file: Store, page: Operation[Any]) -> None:
    """Whoever asks is told, and the connection reads on for others: what is no list has all its time."""
    await register(slow_file)
    await create(slow_file, "a")

    with pytest.raises(PageTooSlow, match="took longer than"):
        await slow_file.run(page)

    assert (await instance(slow_file)).row.id == "a"


@pytest.fixture
def url(require: Callable[..., None]) -> Iterator[str]:
    """An empty database."""
    require(postgres.REASON, "a store in it", HAS_POSTGRES)
    taken = postgres.databases.take()
    yield taken
    postgres.databases.give_back(taken)


async def test_page_of_a_database_that_takes_too_long_is_given_up(url: str) -> None:
    """The text says what took how long, and how to ask for less; what is no list waits as long as it has to."""
    store = await asyncio.to_thread(PostgresStore.open, url, PostgresSettings(page_timeout_ms=200))
    await register(store)
    await create(store, "a")
    other = await asyncio.to_thread(_lock_instances, url)

    with pytest.raises(PageTooSlow) as raised:
        await store.run(LIST)
    read = asyncio.ensure_future(instance(store))
    await asyncio.sleep(0.4)
    waited = not read.done()
    await asyncio.to_thread(other)

    assert str(raised.value) == (
        "the list of instances took longer than 0.2 seconds: ask for fewer of them, by `status`, `date_start` or "
        "`date_end`, or go on with `cursor` instead of `page`, or raise the setting page_timeout"
    )
    assert waited
    assert (await read).row.id == "a"
    assert (await store.run(LIST)).total == 1
    await store.close()


def _lock_instances(url: str) -> Callable[[], None]:
    """Let whoever reads instances wait; return what ends that."""
    loop = asyncio.new_event_loop()
    connection = loop.run_until_complete(asyncpg.connect(url))
    loop.run_until_complete(connection.execute("begin; lock table instances in access exclusive mode"))

    def end() -> None:
        loop.run_until_complete(connection.close())
        loop.close()

    return end
