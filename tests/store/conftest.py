"""The stores that keep the contract."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stepwell.store import Store
from stepwell.store.sqlite import SqliteStore


@pytest.fixture(params=["file", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store of each kind in turn."""
    opened = await _open(request.param, tmp_path)
    yield opened
    await opened.close()


async def _open(kind: str, folder: Path) -> Store:
    if kind == "memory":
        return SqliteStore.in_memory()
    return await asyncio.to_thread(SqliteStore.open, folder / "store.db")
