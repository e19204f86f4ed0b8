"""What goes wrong with files, with the real fault: a clear refusal, and nothing acknowledged is lost."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from stepwell.errors import StoreDamaged, StoreInUse, StoreTooNew, StoreUnavailable
from stepwell.store.operations import GetInstance, ListInstances, Operation, ReadHistory, ReadPayload
from stepwell.store.sqlite import SqliteStore
from stepwell.store.trace_operations import ReadEnded
from tests.store.scenes import commit, create, creation, ending, held, instance, outcomes, register, succeeded

ROOT = Path(__file__).parents[2]


async def _open(path: Path) -> SqliteStore:
    return await asyncio.to_thread(SqliteStore.open, path)


def _start(program: str, path: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.store.children", program, str(path)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _run(program: str, path: Path) -> dict[str, Any]:
    with _start(program, path) as child:
        output, _ = child.communicate(timeout=50)
    assert child.returncode == 0
    facts: dict[str, Any] = json.loads(output.splitlines()[-1])
    return facts


def _hear(child: "subprocess.Popen[str]") -> dict[str, Any]:
    assert child.stdout is not None
    facts: dict[str, Any] = json.loads(child.stdout.readline())
    return facts


async def _filled(path: Path) -> None:
    """Make a store of 400 KB with one instance, and close it."""
    store = await _open(path)
    turn = await held(store, "a")
    records = [succeeded(f"step-{number}", '"' + "x" * 4_000 + '"') for number in range(100)]
    await store.run(commit(turn, *records))
    await store.close()


def _damage(path: Path) -> None:
    """Overwrite the second half of a file, as a broken disk does."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 8192 * 4096)
        file.write(b"\xa5" * (size // 2))


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that others may enter; pytest's own are closed to them."""
    folder = Path(tempfile.mkdtemp(prefix="stepwell-test-"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture
def locker(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another program that holds the file `store.db`."""
    with _start("lock", tmp_path / "store.db") as child:
        assert _hear(child) == {"locked": True}
        yield child
        child.kill()


# ---- a disk without space


async def test_full_disk_refuses_clearly_and_loses_nothing(tmp_path: Path) -> None:
    """What cannot be written is refused, what was acknowledged stays, and with space again all goes on."""
    path = tmp_path / "store.db"

    told = await asyncio.to_thread(_run, "full_disk", path)

    store = await _open(path)
    listed = await store.run(ListInstances("acme", "orders", limit=200))
    whole = [(await instance(store, row.id)).records[0].size for row in listed.rows]
    await store.close()
    assert told["error"] == "StoreUnavailable"
    assert str(path) in told["text"]
    assert "disk" in told["text"]
    assert told["refused"] == ["StoreUnavailable"]
    assert sorted(row.id for row in listed.rows) == sorted(told["acknowledged"])
    assert len(told["acknowledged"]) > 5
    assert set(whole) == {20_002}


def test_room_that_cannot_be_given_back_ends_nothing(tmp_path: Path) -> None:
    """A full disk keeps what was deleted in the file until something else is deleted, and the writer goes on."""
    told = _run("wipe_on_a_full_disk", tmp_path / "store.db")

    assert told == {"was_given_up": True, "is_there": False}


# ---- files and folders that may not be written


async def test_read_only_folder_is_refused_with_its_path(open_folder: Path) -> None:
    """A store that cannot be made says where and why."""
    open_folder.chmod(0o555)

    told = await asyncio.to_thread(_run, "open_as_nobody", open_folder / "store.db")

    assert told["error"] == "StoreUnavailable"
    assert str(open_folder / "store.db") in told["text"]
    assert "writable" in told["text"]


async def test_read_only_file_is_refused_with_its_path(open_folder: Path) -> None:
    """A store that can only be read is not opened for writing."""
    store = await _open(open_folder / "store.db")
    await register(store)
    await store.close()
    for file in open_folder.iterdir():
        file.chmod(0o444)
    (open_folder / "store.db.lock").chmod(0o666)
    open_folder.chmod(0o777)

    told = await asyncio.to_thread(_run, "open_as_nobody", open_folder / "store.db")

    assert told["error"] == "StoreUnavailable"
    assert str(open_folder / "store.db") in told["text"]


async def test_path_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    """A folder is no store."""
    with pytest.raises(StoreUnavailable, match=str(tmp_path)):
        await _open(tmp_path)


# ---- damage


async def test_damaged_page_is_found_when_the_store_is_opened(tmp_path: Path) -> None:
    """A store whose pages are damaged is not served."""
    path = tmp_path / "store.db"
    await _filled(path)
    _damage(path)

    with pytest.raises(StoreDamaged, match=r"store\.db: the file is damaged: restore it from a backup"):
        await _open(path)


async def test_damaged_page_is_an_error_of_the_read_not_a_wrong_answer(tmp_path: Path) -> None:
    """Damage that happens while the store is open is told to whoever reads it."""
    path = tmp_path / "store.db"
    await _filled(path)
    store = await _open(path)
    _damage(path)

    with pytest.raises(StoreDamaged, match=r"store\.db: the file is damaged: restore it from a backup"):
        await store.run(GetInstance("acme", "orders", "a"))

    await store.close()


@pytest.mark.parametrize(
    ("text", "operation", "message"),
    [
        pytest.param(
            '"' + "r" * 4_000 + '"',
            GetInstance("acme", "orders", "a"),
            r"store\.db: the file is damaged: .* \(Damaged: record 3 of instance row 1 is damaged\)",
            id="in a record",
        ),
        pytest.param(
            '"' + "p" * 9_000 + '"',
            ReadPayload(1),
            r"store\.db: the file is damaged: .* \(Damaged: the value 1 is damaged or missing\)",
            id="in a large value",
        ),
    ],
)
async def test_damaged_value_is_not_answered(
    tmp_path: Path, text: str, operation: Operation[Any], message: str
) -> None:
    """A sector of zeros inside a value, which SQLite itself does not notice, is told and not served."""
    path = tmp_path / "store.db"
    store = await _open(path)
    turn = await held(store, "a")
    await store.run(commit(turn, succeeded(value=text)))
    await store.close()
    content = path.read_bytes()
    middle = content.rindex(text[1:2].encode() * 2_000) + 50
    path.write_bytes(content[:middle] + bytes(512) + content[middle + 512 :])
    store = await _open(path)

    with pytest.raises(StoreDamaged, match=message):
        await store.run(operation)

    await store.close()


async def test_history_with_a_gap_is_not_answered(tmp_path: Path) -> None:
    """A history that lacks a record is told, instead of running again what it had recorded."""
    path = tmp_path / "store.db"
    await _filled(path)
    connection = apsw.Connection(str(path))
    connection.execute("delete from records where seq = 50")
    connection.close()
    store = await _open(path)

    with pytest.raises(StoreDamaged, match="the history of instance row 1 has a gap"):
        await store.run(ReadHistory(1))

    await store.close()


async def test_damaged_history_is_not_passed_over_where_several_are_read(tmp_path: Path) -> None:
    """Who reads histories together hears of the one that lacks a record, instead of getting the others without it."""
    path = tmp_path / "store.db"
    store = await _open(path)
    rows = []
    for turn in (await held(store, "a"), await held(store, "b")):
        await store.run(ending(turn))
        rows.append(turn.row)
    whole = await store.run(ReadEnded(rows))
    await store.close()
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("delete from records where instance = ? and seq = 2", rows[:1])
    store = await _open(path)

    with pytest.raises(StoreDamaged, match=f"the history of instance row {rows[0]} has a gap"):
        await store.run(ReadEnded(rows))

    assert [one.row.id for one in whole] == ["a", "b"]
    await store.close()


async def test_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    """A file of another kind is refused and not changed."""
    path = tmp_path / "notes.txt"
    path.write_text("Dear diary, " * 500)

    with pytest.raises(StoreDamaged, match=r"notes\.txt: the file is no SQLite database"):
        await _open(path)

    assert path.read_text() == "Dear diary, " * 500


async def test_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    """A database that is not Stepwell's is refused and not changed."""
    path = tmp_path / "music.db"
    connection = apsw.Connection(str(path))
    connection.execute("create table songs (title text)")
    connection.close()
    before = path.read_bytes()

    with pytest.raises(StoreDamaged, match=r"music\.db: the file is a database, but not of Stepwell"):
        await _open(path)

    assert path.read_bytes() == before


async def test_newer_schema_is_refused(tmp_path: Path) -> None:
    """A store that a newer Stepwell wrote is not touched by an older one."""
    path = tmp_path / "store.db"
    await (await _open(path)).close()
    connection = apsw.Connection(str(path))
    connection.execute("insert into schema_version values (9999, '9999_future.sql', 'ff', 0)")
    connection.close()

    with pytest.raises(StoreTooNew, match=r"store\.db has schema 9999 \(9999_future\.sql\).*upgrade this one"):
        await _open(path)


async def test_changed_schema_is_refused(tmp_path: Path) -> None:
    """A store whose schema is not the one of this program is not used."""
    path = tmp_path / "store.db"
    await (await _open(path)).close()
    connection = apsw.Connection(str(path))
    connection.execute("update schema_version set sha256 = 'ff'")
    connection.close()

    with pytest.raises(StoreDamaged, match=r"store\.db has a schema 1 that is not this program's"):
        await _open(path)


# ---- others at the file


async def test_file_held_by_another_program_is_refused(tmp_path: Path, locker: "subprocess.Popen[str]") -> None:
    """A file that somebody has locked is not waited for without end."""
    with pytest.raises(StoreInUse, match=r"store\.db is locked by another program"):
        await _open(tmp_path / "store.db")

    locker.kill()
    await asyncio.to_thread(locker.wait)
    store = await _open(tmp_path / "store.db")
    await store.close()


async def test_write_while_another_program_holds_the_file_is_refused(tmp_path: Path) -> None:
    """Writes that meet a lock are all refused, reads go on, and once the lock is gone so do writes."""
    path = tmp_path / "store.db"
    store = await _open(path)
    await register(store)
    await create(store, "a")
    other = apsw.Connection(str(path))
    other.execute("begin exclusive")

    refused = await outcomes(store, [creation("b"), creation("c")])
    found = await instance(store, "a")
    other.execute("rollback")
    rows = await create(store, "b", "c")

    other.close()
    await store.close()
    assert [type(outcome) for outcome in refused] == [StoreUnavailable, StoreUnavailable]
    assert "another program holds a lock" in str(refused[0])
    assert found.row.id == "a"
    assert [row.id for row in rows] == ["b", "c"]


# ---- a process that dies


async def test_everything_acknowledged_survives_sigkill(tmp_path: Path) -> None:
    """A create, an event or a commit that was answered is there after the process was killed."""
    path = tmp_path / "store.db"
    with _start("work", path) as child:
        told = await asyncio.to_thread(lambda: [_hear(child) for _ in range(400)])
        child.kill()
        assert child.stdout is not None
        rest = await asyncio.to_thread(child.stdout.read)
    told += [json.loads(line) for line in rest.splitlines() if line.endswith("}")]

    store = await _open(path)
    history = (await instance(store, "turn")).records
    created = [facts["created"] for facts in told if "created" in facts]
    events = [(await instance(store, id)).row.seq for id in created]
    await store.close()

    committed = max(facts["committed"] for facts in told if "committed" in facts)
    assert told[0] == {"pid": child.pid}
    assert len(created) > 20
    assert set(events) == {2}
    assert committed > 20
    assert len(history) >= committed + 1
    assert [record.seq for record in history] == list(range(1, len(history) + 1))


async def test_killed_server_leaves_no_lock(tmp_path: Path) -> None:
    """A server that was killed does not keep the next one out."""
    path = tmp_path / "store.db"
    with _start("work", path) as child:
        pid = (await asyncio.to_thread(_hear, child))["pid"]
        with pytest.raises(StoreInUse, match=f"in use by process {pid}:"):
            await _open(path)
        child.kill()

    store = await _open(path)

    await store.close()
    assert pid != os.getpid()
