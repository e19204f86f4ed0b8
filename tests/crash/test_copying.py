"""A copy of a store is killed in the middle."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stepwell.store.sqlite import SqliteStore
from tests import postgres
from tests.crash.processes import running
from tests.store.copies import copied, tables_of
from tests.store.scenes import create, register

# It stops when the first rows of records are in the target.
PROGRAM = """
import sys
from stepwell.store.copying import copy, counts_of
from stepwell.store.opening import open_source, open_target

def told(table, rows):
    if table == "records":
        print(table, flush=True)
        sys.stdin.read()

with open_source(sys.argv[1]) as source, open_target(sys.argv[2]) as target:
    copy(source, target, counts_of(source), told)
"""


@pytest.mark.parametrize("kind", ["file", "database"])
def test_copy_that_is_killed_leaves_no_store(kind: str, tmp_path: Path, require: Callable[..., None]) -> None:
    """There is nothing that could be taken for one, the source is whole, and the same copy goes well afterwards."""
    require(postgres.REASON, "a store in it", kind == "file" or postgres.is_there())
    source = f"sqlite:///{tmp_path}/from.db"
    target = f"sqlite:///{tmp_path}/to.db" if kind == "file" else postgres.databases.make()
    asyncio.run(_fill(tmp_path / "from.db"))

    with running([sys.executable, "-c", PROGRAM, source, target], stdin=-1) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "records\n"
        process.kill()
        process.wait()

    assert not _is_there(target, tmp_path)
    copied(source, target)
    assert tables_of(target, but="tx") == tables_of(source, but="tx")


async def _fill(path: Path) -> None:
    store = await asyncio.to_thread(SqliteStore.open, path)
    await register(store)
    await create(store, *(f"id {number}" for number in range(1_500)))
    await store.close()


def _is_there(target: str, folder: Path) -> bool:
    if target.startswith("sqlite"):
        return (folder / "to.db").exists()
    return bool(postgres.query(target, "select 1 from pg_tables where schemaname = 'public'"))
