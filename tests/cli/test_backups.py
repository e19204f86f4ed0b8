"""`stepwell backup` and `stepwell restore`: what they say, that what they make is whole, and that it goes on."""

import json
import threading
from pathlib import Path

import apsw
import pytest
from click.testing import Result

from stepwell.store import migrations
from stepwell.store.sqlite.backup import back_up
from stepwell.store.sqlite.file import FileConnection, migrate, open_writer
from tests.cli.commands import run
from tests.cli.screen import run_on_terminal
from tests.crash.server import DevServer, wait_until

pytestmark = pytest.mark.sqlite

# As the bench's W1 has it: many at once, of ten steps each. Its last one waits, so that many have not ended.
STEPS = """
import asyncio

from stepwell import WorkflowEntrypoint


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        done = 0
        for number in range(10):
            @step.do(f"step {number}")
            async def one():
                return number
            done += await one()
        if event["payload"]["waits"]:
            await step.wait_for_event("approval", "approved")
        return done
"""
AT_ONCE = 40


def _store(folder: Path) -> Path:
    """Make an empty store."""
    folder.mkdir(exist_ok=True)
    open_writer(folder / "store.db").close()
    return folder / "store.db"


def test_backup_under_load_is_restored_and_goes_on(tmp_path: Path) -> None:
    """Whatever was acknowledged before it began is there; what had not ended goes on, and nothing is done again."""
    (tmp_path / "flows.py").write_text(STEPS)
    (tmp_path / "after").mkdir()
    (tmp_path / "after" / "flows.py").write_text(STEPS)
    acknowledged: list[str] = []
    is_over = threading.Event()

    with DevServer(tmp_path) as server:

        def load() -> None:
            for number in range(200):
                ids = [f"i{number}-{n}" for n in range(AT_ONCE)]
                params = [{"instance_id": id, "params": {"waits": n % 2 == 0}} for n, id in enumerate(ids)]
                server.call("/order/instances/batch", params)
                acknowledged.extend(ids)
                if is_over.is_set():
                    return

        loading = threading.Thread(target=load)
        loading.start()
        try:
            wait_until(lambda: len(acknowledged) > 3 * AT_ONCE, lambda: server.log)
            before = list(acknowledged)
            made = run("backup", str(tmp_path / "saved.db"), "--store", f"sqlite:///{tmp_path}/data/stepwell.db")
        finally:
            is_over.set()
            loading.join()
        # More than is in the backup.
        server.wait_for_status("order", acknowledged[-1], "complete")

    target = tmp_path / "after" / "data" / "stepwell.db"
    restored = run("restore", str(tmp_path / "saved.db"), "--store", f"sqlite:///{target}", "-o", "json")
    told = json.loads(restored.stdout)
    assert (made.exit_code, restored.exit_code) == (0, 0), made.stderr + restored.stderr
    assert AT_ONCE <= len(before) <= told["instances"] < len(acknowledged)
    assert {path.name for path in target.parent.iterdir()} == {"stepwell.db", "stepwell.db.lock"}
    with DevServer(tmp_path / "after") as server:
        for id in before:
            if int(id.partition("-")[2]) % 2 == 0:
                server.wait_for_status("order", id, "waiting")
                server.call(f"/order/instances/{id}/events/approved", {})
        ended = [server.wait_for_status("order", id, "complete") for id in before]

    assert {one["output"] for one in ended} == {45} or {one["output"] for one in ended} == {"45"}
    assert {one["step_count"] for one in ended} <= {10, 11}


def test_backup_says_what_it_has(tmp_path: Path) -> None:
    """The file with its size and instances; what to do with it goes to standard error; it is for its owner alone."""
    store, saved = _store(tmp_path / "data"), tmp_path / "saved.db"

    made = run("backup", str(saved), "--store", f"sqlite:///{store}")
    back = run("restore", str(saved), "--store", f"sqlite:///{tmp_path}/new/store.db")

    size = f"{saved.stat().st_size / 2**20:.1f} MB"
    assert (made.exit_code, made.stdout) == (0, f"{saved}\t{size}\t0\n")
    assert made.stderr == (
        f"sqlite:///{store} is as it was at one moment, and checked; "
        f"`stepwell restore {saved}` makes a store of it again\n"
    )
    assert (back.exit_code, back.stdout) == (0, f"{tmp_path}/new/store.db\t{size}\t0\n")
    assert back.stderr == (
        f"serve sqlite:///{tmp_path}/new/store.db from now on: what had not ended goes on from there\n"
        "serve the store that was backed up no more, else its instances run twice\n"
    )
    assert saved.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("command", "exit_code", "message"),
    [
        pytest.param("backup new.db --store sqlite:///no.db", 4, "there is no store at {0}/no.db", id="no store"),
        pytest.param("backup taken --store sqlite:///data/store.db", 5, "{0}/taken is there already", id="file"),
        pytest.param(
            "backup new.db --store sqlite:///taken", 1, "Store {0}/taken: the file is no SQLite data", id="no database"
        ),
        pytest.param("backup new.db --store sqlite:///other", 1, "but not of Stepwell", id="other database"),
        pytest.param("backup new.db --store mysql://a:b@c/d", 2, "store must be", id="URL"),
        pytest.param("backup new.db --store postgresql://a:b@c/d", 2, "by its own tools", id="PostgreSQL"),
        pytest.param("restore no.db --store sqlite:///new.db", 4, "there is no store at {0}/no.db", id="no file"),
        pytest.param(
            "restore taken --store sqlite:///new.db",
            1,
            "Store {0}/taken: the file is no SQLite data",
            id="file is none",
        ),
        pytest.param(
            "restore data/store.db --store sqlite:///taken", 5, "{0}/taken is there already", id="store is there"
        ),
        pytest.param(
            "restore data/store.db --store sqlite:///log", 5, "{0}/log-wal is there already", id="log is there"
        ),
        pytest.param("restore data/store.db --store postgresql://a:b@c/d", 2, "by its own tools", id="to PostgreSQL"),
    ],
)
def test_mistake_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, exit_code: int, message: str
) -> None:
    """An exit code for each kind, what is wrong, what helps; nothing is made, and no password printed."""
    monkeypatch.chdir(tmp_path)
    _store(tmp_path / "data")
    (tmp_path / "taken").write_text(
        "mine, and long enough to be read as the beginning of a database of somebody else" * 9
    )
    (tmp_path / "log-wal").write_text("")
    connection = apsw.Connection("other")
    connection.execute("create table mine (x)")
    connection.close()

    told = run(*command.split())

    error, hint = told.stderr.splitlines()
    assert (told.exit_code, told.stdout) == (exit_code, "")
    assert message.format(tmp_path) in error
    assert hint.startswith("hint: ")
    assert "a:b" not in told.output
    made = {"data", "taken", "log-wal", "other"}
    assert {path.name for path in tmp_path.iterdir()} - {"new.db.lock", "log.lock"} == made


def test_backup_of_an_older_release_is_restored(tmp_path: Path) -> None:
    """Its pages are checked; the first server that is started on it brings it up to date."""
    store = tmp_path / "store.db"
    connection = FileConnection(str(store))
    migrate(connection, migrations.known("sqlite")[:-1], str(store))
    connection.close()

    told = [run("backup", str(tmp_path / "saved.db"), "--store", f"sqlite:///{store}", "-o", "ids")]
    told.append(run("restore", str(tmp_path / "saved.db"), "--store", f"sqlite:///{tmp_path}/new.db", "-o", "ids"))

    assert [(one.exit_code, one.stdout) for one in told] == [(0, f"{tmp_path}/saved.db\n"), (0, f"{tmp_path}/new.db\n")]
    open_writer(tmp_path / "new.db").close()


def test_damage_is_found(tmp_path: Path) -> None:
    """A file whose pages are not what they were is no backup; nothing is left of it."""
    store = _store(tmp_path / "data")
    content = bytearray(store.read_bytes())
    content[4096 * 3 : 4096 * 3 + 64] = b"\xff" * 64
    store.write_bytes(content)

    refused = run("backup", str(tmp_path / "saved.db"), "--store", f"sqlite:///{store}")

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "is damaged" in refused.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_what_an_ended_backup_has_left_is_no_hindrance(tmp_path: Path) -> None:
    """It is written anew, and nothing of it stays."""
    store = _store(tmp_path / "data")
    (tmp_path / "saved.db.copying").write_text("half of one")

    made = run("backup", str(tmp_path / "saved.db"), "--store", f"sqlite:///{store}")

    assert made.exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"data", "saved.db"}
    assert (tmp_path / "saved.db").stat().st_mode & 0o777 == 0o600


def test_two_backups_into_one_file_are_not_mixed(tmp_path: Path) -> None:
    """The one that began first is made; the other one is refused, and takes nothing from under it."""
    store, saved = _store(tmp_path / "data"), tmp_path / "saved.db"
    refused: list[Result] = []

    def meanwhile(_what: str, _done: int, _total: int) -> None:
        if not refused:
            refused.append(run("backup", str(saved), "--store", f"sqlite:///{store}"))

    back_up(store, saved, meanwhile)

    assert (refused[0].exit_code, refused[0].stdout) == (5, "")
    assert f"another copy is being written at {saved}.copying" in refused[0].stderr
    assert {path.name for path in tmp_path.iterdir()} == {"data", "saved.db"}


def test_terminal_has_a_bar(tmp_path: Path) -> None:
    """It is gone at the end; a table stays."""
    store = _store(tmp_path / "data")

    code, written = run_on_terminal("backup", str(tmp_path / "s.db"), "--store", f"sqlite:///{store}", columns=200)

    assert code == 0
    assert "pages  [########################]" in written
    assert "INSTANCES" in written


def test_backup_makes_no_folder(tmp_path: Path) -> None:
    """Where the folder is not there, its name is wrong or a disk is missing: nothing is written elsewhere."""
    store = _store(tmp_path / "data")

    refused = run("backup", str(tmp_path / "disk" / "saved.db"), "--store", f"sqlite:///{store}")

    assert refused.exit_code == 4
    assert f"there is no folder {tmp_path}/disk" in refused.stderr
    assert not (tmp_path / "disk").exists()


def test_restore_makes_the_folder_of_the_store(tmp_path: Path) -> None:
    """A store is new there, as a server's would be."""
    store = _store(tmp_path / "data")
    run("backup", str(tmp_path / "saved.db"), "--store", f"sqlite:///{store}")

    restored = run("restore", str(tmp_path / "saved.db"), "--store", f"sqlite:///{tmp_path}/new/store.db")

    assert restored.exit_code == 0
    assert (tmp_path / "new" / "store.db").is_file()
