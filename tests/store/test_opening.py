"""Stores are named by URLs."""

import asyncio
from pathlib import Path

import pytest

from stepwell.errors import InvalidInput
from stepwell.store import Store
from stepwell.store.opening import open_store
from stepwell.store.operations import ListWorkflows
from tests.store.scenes import register


async def test_absolute_url_names_a_file(tmp_path: Path) -> None:
    """Four slashes and a path are a file; its folders are made."""
    path = tmp_path / "deep" / "down" / "store.db"

    store = await _opened(f"sqlite:///{path}")

    await store.close()
    assert path.is_file()


async def test_relative_url_names_a_file_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three slashes and a name are a file where the program runs."""
    monkeypatch.chdir(tmp_path)

    store = await _opened("sqlite:///store.db")

    await register(store)
    monkeypatch.chdir("/")
    assert (await store.run(ListWorkflows("acme", limit=1, offset=0))).total == 1
    await store.close()
    assert (tmp_path / "store.db").is_file()


@pytest.mark.parametrize("url", ["", "store.db", "sqlite://", "sqlite:///", "mysql://localhost/stepwell"])
def test_other_url_is_refused_with_what_is_possible(url: str) -> None:
    """A URL that names no store says what a URL must be."""
    with pytest.raises(InvalidInput, match=r"sqlite:///file\.db") as raised:
        open_store(url)

    assert raised.value.field == "store"


async def _opened(url: str) -> Store:
    return await asyncio.to_thread(open_store, url)
