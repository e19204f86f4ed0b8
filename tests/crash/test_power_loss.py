"""The power is cut at any moment: the store opens, is sound, and has all that was acknowledged.

A failure names a seed and a moment. `Cuts(...).wrong(seed, [moment])` builds the same image again.
"""

import asyncio
import random
from pathlib import Path

import apsw
import pytest

from stepwell.store.sqlite import file
from tests.crash.disk import SECTOR, Committed, CutOff, Disk, Happening, Made, Removed, Synced, Wrote
from tests.crash.points import play
from tests.crash.power import Cuts, Recorder, Recording, recorded
from tests.store.scenes import create, register

pytestmark = pytest.mark.sqlite

SEEDS = 4


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """All that happens to the file in the scenario that uses everything, and when it is closed and opened again."""
    with pytest.MonkeyPatch.context() as patched, recorded(tmp_path_factory.mktemp("store"), patched) as recorder:
        asyncio.run(play(recorder))
        recorder.close()
        asyncio.run(_create_some(recorder))
    return recorder.recording()


def test_recording_has_all_that_can_happen_to_a_file(recording: Recording) -> None:
    """The log is taken into the database, begun anew, wiped and removed; room is given back."""
    happened = {(type(what), what.name) for what in recording.happenings if not isinstance(what, Committed)}

    logs = ("store.db-journal", "store.db-wal")
    assert happened == {
        *((kind, name) for kind in (Made, Wrote, Synced, Removed) for name in logs),
        *((kind, "store.db") for kind in (Made, Wrote, Synced, CutOff)),
        (CutOff, "store.db-wal"),
    }


def test_power_cut_leaves_what_was_acknowledged(recording: Recording, tmp_path: Path) -> None:
    """At some moments, whatever of what was not synced is on the disk."""
    cuts, chance = Cuts(recording, tmp_path), random.Random(1)

    wrong = cuts.wrong(1, chance.sample(range(len(recording.happenings) + 1), 40))

    assert wrong == []


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(2, 2 + SEEDS))
def test_power_cut_at_any_moment_leaves_what_was_acknowledged(recording: Recording, tmp_path: Path, seed: int) -> None:
    """The same at each moment there is."""
    cuts = Cuts(recording, tmp_path)

    wrong = cuts.wrong(seed, range(len(recording.happenings) + 1))

    assert wrong == []
    assert cuts.images == len(recording.happenings) + 1


@pytest.mark.parametrize(("synchronous", "is_damaged"), [("normal", False), ("off", True)])
def test_power_cut_is_seen_where_nobody_waits_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synchronous: str, is_damaged: bool
) -> None:
    """A store that answers before what it has written is on the disk loses commits; images of that are found."""

    def set_other(connection: apsw.Connection) -> None:
        connection.execute(f"pragma synchronous = {synchronous}")

    monkeypatch.setattr(file, "_make_durable", set_other)
    store, images = tmp_path / "store", tmp_path / "images"
    store.mkdir()
    images.mkdir()
    with recorded(store, monkeypatch) as recorder:
        asyncio.run(_create_some(recorder))
    recording = recorder.recording()

    wrong = Cuts(recording, images).wrong(1, range(0, len(recording.happenings), 40))

    assert any("were acknowledged" in each for each in wrong)
    assert any("damaged" in each or "Corrupt" in each for each in wrong) == is_damaged


async def _create_some(recorder: Recorder) -> None:
    store = await asyncio.to_thread(recorder.open)
    await register(store)
    await create(store, *(f"more {n}" for n in range(40)))
    await store.close()


def _images(*happenings: Happening) -> set[tuple[tuple[str, bytes], ...]]:
    """Return the images that many power cuts leave."""
    disk = Disk()
    for what in happenings:
        disk.happens(what)
    return {tuple(sorted(disk.image(random.Random(seed)).items())) for seed in range(1_000)}


MADE = (Made("db", False), Made("log", True), Synced("log"))


def test_what_was_synced_is_there() -> None:
    """A file that was synced, and its folder after it was made, are as they were."""
    images = _images(*MADE, Wrote("db", 0, b"abc"), Synced("db"))

    assert images == {(("db", b"abc"), ("log", b""))}


def test_what_was_not_synced_may_be_there_in_any_part() -> None:
    """Each of the writes may be missing, also an earlier one, behind which bytes are that nobody wrote."""
    images = _images(*MADE, Wrote("db", 0, b"ab"), Wrote("db", 2, b"c"), CutOff("db", 1))

    contents = {dict(image)["db"] for image in images}
    assert contents == {b"", b"\0", b"a", b"ab", b"abc", b"\0\0c"}


def test_write_may_be_torn_at_sectors() -> None:
    """Of a write, any of its sectors may be there, and no part of one."""
    begin = SECTOR - 2
    images = _images(
        *MADE, Wrote("db", 0, bytes(begin)), Synced("db"), Wrote("db", begin, b"ab" + b"c" * SECTOR + b"d")
    )

    tails = {dict(image)["db"][begin:] for image in images}
    assert {b"", b"ab", b"ab" + b"c" * SECTOR, b"\0\0" + b"c" * SECTOR + b"d"} < tails
    assert all(len(tail) in (0, 2, 2 + SECTOR, 3 + SECTOR) for tail in tails)


@pytest.mark.parametrize(
    ("happenings", "names"),
    [
        pytest.param([Made("db", False), Synced("db")], [(), ("db",)], id="the database alone"),
        pytest.param([Made("db", False), Made("log", True)], [(), ("db",), ("log",), ("db", "log")], id="not synced"),
        pytest.param([*MADE, Removed("log", False)], [("db",), ("db", "log")], id="removed"),
        pytest.param([*MADE, Removed("log", True)], [("db",)], id="removed, and synced"),
    ],
)
def test_name_is_there_if_the_folder_was_synced(happenings: list[Happening], names: list[tuple[str, ...]]) -> None:
    """A file that is synced may have no name yet, and one that was removed may have it still."""
    found = {tuple(name for name, _ in image) for image in _images(*happenings)}

    assert found == set(names)
