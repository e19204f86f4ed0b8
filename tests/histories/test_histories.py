"""Histories of earlier versions of Stepwell are gone on with by this one."""

from pathlib import Path

import pytest

from stepwell import __version__
from stepwell.testing import ACCOUNT, TestEngine
from stepwell.transfers import export
from tests.engine.stores import CheckedStore
from tests.histories.keep import CASES
from tests.histories.replaying import (
    FOLDER,
    SETTINGS,
    Ended,
    bring_in,
    ended,
    instance_of,
    kept_histories,
    load,
    read,
    replayed,
)

PATHS = kept_histories()
HISTORIES = [pytest.param(path, id=f"{path.parent.name}/{path.stem}") for path in PATHS]
# One that was ended from outside does not end by itself.
GOING_ON = [history for history, path in zip(HISTORIES, PATHS, strict=True) if read(path).cuts()]


@pytest.mark.parametrize("path", GOING_ON)
async def test_history_that_was_kept_ends_as_it_did(path: Path) -> None:
    """Cut off in each third of the places, as if its worker had died there, it goes on to the same end."""
    await _ends_as_it_did(path, apart=3)


@pytest.mark.long
@pytest.mark.parametrize("path", GOING_ON)
async def test_history_that_was_kept_ends_as_it_did_from_anywhere(path: Path) -> None:
    """The same, cut off in each of them."""
    await _ends_as_it_did(path, apart=1)


async def _ends_as_it_did(path: Path, apart: int) -> None:
    """See that from each cut a history goes on to the same end; no step succeeds twice."""
    kept, workflows = read(path), load(path.parent)
    expected, cuts = await _as_it_ended(path), list(kept.cuts())[::apart]

    found = {count: await replayed(kept, count, workflows) for count in cuts}

    assert found == dict.fromkeys(cuts, expected)


@pytest.mark.parametrize("path", HISTORIES)
async def test_history_that_was_kept_is_exported_as_it_came_in(path: Path) -> None:
    """Nothing of an instance is lost by going out and in."""
    kept = read(path)
    store = CheckedStore()
    async with TestEngine.open(load(path.parent), settings=SETTINGS, store=store) as engine:
        await bring_in(engine, *kept.others, kept.lines)

        lines = [
            line.rstrip(b"\n") async for line in export(store, ACCOUNT, kept.workflow, kept.id, with_sensitive=True)
        ]

        assert lines == kept.lines


def test_this_version_has_kept_its_histories() -> None:
    """A release keeps one of each case (`make histories`), for all that come after it."""
    kept = {path.stem for path in (FOLDER / __version__).glob("*.jsonl")}

    assert kept == {case.name for case in CASES}
    assert len(GOING_ON) >= len(CASES) - 1


async def _as_it_ended(path: Path) -> Ended:
    kept, workflows = read(path), load(path.parent)
    async with TestEngine.open(workflows, settings=SETTINGS) as engine:
        await bring_in(engine, *kept.others, kept.lines)
        return await ended(instance_of(engine, kept, workflows))
