"""`stepwell doctor`: what it finds on this machine, in code, in stores and at servers, and what it says helps."""

import asyncio
import fcntl
import json
import os
import resource
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import apsw
import pytest

from stepwell import __version__
from stepwell.cli.doctor import machine, stores
from stepwell.store.opening import open_store
from stepwell.store.sqlite import SqliteStore
from stepwell.store.sqlite.file import open_writer
from tests import postgres
from tests.cli.commands import run
from tests.cli.screen import run_on_terminal
from tests.cli.scripted import Answer, scripted
from tests.crash.server import DevServer
from tests.store.scenes import creation, held, release

WORKFLOW = """
from stepwell import WorkflowEntrypoint


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        {}step.sleep("nap", "1 minute")
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in, with room on its disk."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=2**39))
    return tmp_path


@pytest.fixture
def store(folder: Path) -> Path:
    """A store at its usual place."""
    (folder / ".stepwell").mkdir()
    open_writer(folder / ".stepwell" / "stepwell.db").close()
    return folder / ".stepwell" / "stepwell.db"


def _found(*arguments: str) -> dict[str, tuple[str, str]]:
    """Return what is found: state, and finding, by check."""
    lines = [line.split("\t") for line in run("doctor", *arguments).stdout.splitlines()]
    return {check: (state, said) for state, check, said in lines}


def _json(*arguments: str) -> dict[str, dict[str, str]]:
    return {found["check"]: found for found in json.loads(run("doctor", *arguments, "-o", "json").stdout)}


# ---- this machine, and code


def test_all_is_well_where_nothing_is_yet(folder: Path) -> None:
    """A line for each thing; how many on standard error; exit code 0."""
    told = run("doctor")

    assert told.exit_code == 0
    assert [line.split("\t")[:2] for line in told.stdout.splitlines()] == [
        ["ok", "python"],
        ["ok", "sqlite"],
        ["ok", "libraries"],
        ["ok", "file descriptors"],
        ["ok", "settings"],
        ["ok", "store"],
        ["ok", "profile"],
        ["ok", "server"],
    ]
    assert f"ok\tstore\tnone at {folder}/.stepwell/stepwell.db yet\n" in told.stdout
    assert told.stdout.endswith("ok\tserver\tnone at http://127.0.0.1:8787, and none is named\n")
    assert told.stderr == "8 checks: 0 faults, 0 warnings\n"


def test_code_is_looked_at_and_not_run(folder: Path) -> None:
    """What `stepwell check` finds is a warning, a file that is no Python too; a wrong setting is a fault."""
    (folder / "flows.py").write_text(WORKFLOW.format("await "))
    good = _found()["workflows"]
    (folder / "flows.py").write_text("raise SystemExit(3)\n" + WORKFLOW.format(""))
    found = _found()["workflows"]
    (folder / "stepwell.toml").write_text("[settings]\ngrace = -1\n")
    wrong = run("doctor")

    assert good == ("ok", f"`stepwell check` finds nothing in {folder}")
    assert found[0] == "warning"
    assert found[1].startswith("1 finding, the first: flows.py:8:9: not-awaited: ")
    assert found[1].endswith("; `stepwell check` lists all")
    assert wrong.exit_code == 1
    assert "fault\tsettings\tgrace (" in wrong.stdout
    assert "; `stepwell settings` lists all, and where each value comes from\n" in wrong.stdout


def test_path_that_is_not_there_is_a_fault(folder: Path) -> None:
    """It is named."""
    assert _found("gone")["workflows"] == (
        "fault",
        f"{folder}/gone does not exist; give a Python file, or a folder of them, that has a workflow; "
        "give another PATH, or mend the file",
    )


def test_library_that_is_missing_or_too_old_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what installs it."""
    lines = ["click>=8.1", "rich>=999", "nothing-like-it>=1.2; sys_platform != 'win32'", 'odd>=1; extra == "dev"']
    monkeypatch.setattr(machine, "requires", lambda _: lines)

    found = [
        (one.state, one.said.split()[0], one.remedy) for one in machine.look_at_machine() if one.check == "libraries"
    ]

    assert found == [
        ("fault", "rich", "`pip install 'rich>=999'`"),
        ("fault", "nothing-like-it", "`pip install 'nothing-like-it>=1.2'`"),
        ("ok", "2", ""),
    ]


def test_few_descriptors_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that allows more."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))

    assert _found()["file descriptors"] == (
        "warning",
        "a process may have 256 files open; `ulimit -n 4096` before the server (at most 4,096), or LimitNOFILE= of its "
        "systemd unit",
    )


# ---- a file


def test_store_that_is_well_is_told_of(store: Path) -> None:
    """Its size and schema, its pages, its disk, its log, who may read it, and who has it."""
    found = _found()

    assert {check: state for check, (state, _) in found.items() if state != "ok"} == {}
    assert found["store"][1].startswith(f"{store}, 0.")
    assert found["integrity"][1] == "every page is as it should be"
    assert found["disk"][1] == f"512.0 GB are free below {store.parent}"
    assert found["log"][1] == "0.0 MB are not in the database yet"
    assert found["permissions"][1] == f"mode 0600, owner {os.getuid()}"
    assert found["host"][1] == "no server has the file"


def test_damage_is_a_fault(store: Path) -> None:
    """Exit code 1."""
    content = bytearray(store.read_bytes())
    content[4096 * 3 : 4096 * 3 + 64] = b"\xff" * 64
    store.write_bytes(content)

    told = run("doctor")

    assert told.exit_code == 1
    assert "fault\tintegrity\t" in told.stdout
    assert "; `stepwell restore` makes a store of a backup\n" in told.stdout


def test_file_that_is_no_store_is_a_fault(folder: Path) -> None:
    """Whether it is no database, somebody else's, of a newer release, or no URL."""
    (folder / "text.db").write_text("mine and not a database at all " * 50)
    connection = apsw.Connection("other.db")
    connection.execute("create table mine (x)")
    connection.close()
    open_writer(folder / "newer.db").close()
    connection = apsw.Connection("newer.db")
    connection.execute("insert into schema_version (n, name, sha256, applied_at) values (999, '999_x.sql', 'x', 0)")
    connection.close()

    found = [_found("--store", f"sqlite:///{name}.db")["store"] for name in ("text", "other", "newer")]
    found.append(_found("--store", "mysql://ann:hunter2@x/y")["store"])

    assert [state for state, _ in found] == ["fault"] * 4
    assert "is no SQLite database" in found[0][1]
    assert found[1][1] == f"{folder}/other.db is a database, but not of Stepwell; --store names another"
    assert "it was written by a newer Stepwell; upgrade this one" in found[2][1]
    assert "store must be" in found[3][1]
    assert "hunter2" not in found[3][1]


def test_older_schema_is_a_warning(store: Path) -> None:
    """It is brought up to date by the next server, after a backup."""
    connection = apsw.Connection(str(store))
    connection.execute("delete from schema_version where n = (select max(n) from schema_version)")
    connection.close()

    state, said = _found()["store"]

    assert state == "warning"
    assert said.endswith(
        "lacks 1 part of this release's schema; the first server that is started on it brings it up to date; make a "
        "backup before"
    )


@pytest.mark.parametrize(("free", "state"), [(2**20, "fault"), (2**29, "warning"), (2**31, "ok")])
def test_little_room_is_told(store: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: str) -> None:
    """A warning, and a fault where next to nothing is left."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free))

    assert _found()["disk"][0] == state


def test_what_others_may_read_and_what_was_left_is_told(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mode, a log that grew, a socket of a server that was killed, a copy that was ended."""
    store.chmod(0o644)
    monkeypatch.setattr(stores, "_LARGE_LOG_BYTES", -1)
    store.with_name("stepwell.db.copying").write_text("")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(os.path.relpath(store.with_name("stepwell.db.sock")))

    found = _json()

    assert {check: one["state"] for check, one in found.items() if one["state"] != "ok"} == {
        "log": "warning",
        "permissions": "warning",
        "host": "warning",
        "leftovers": "warning",
    }
    assert found["permissions"] == {
        "state": "warning",
        "check": "permissions",
        "said": f"{store} has mode 0644: other users may read it",
        "remedy": f"`chmod 600 {store}`",
    }
    assert found["host"]["said"] == f"{store}.sock is left of a server that was killed"
    assert found["leftovers"]["remedy"] == f"`rm {store}.copying`, if none goes on"


def test_hostile_path_is_cleaned(folder: Path) -> None:
    """A terminal obeys nothing of it."""
    told = run("doctor", "x\x1b[2J")

    assert told.exit_code == 1
    assert "\x1b" not in told.output


# ---- what is in a file


def _with_instances(file: Path) -> None:
    """Have an instance that waits for nothing, and one that is due, in a store that nobody has."""

    async def work() -> None:
        opened = await asyncio.to_thread(SqliteStore.open, file)
        turn = await held(opened, "asleep")
        await opened.run(release(turn))
        await opened.run(creation("due"))
        await opened.close()

    asyncio.run(work())


def _change(file: Path, *statements: str) -> None:
    connection = apsw.Connection(str(file))
    for statement in statements:
        connection.execute(statement)
    connection.close()


_WRONG = (
    "update instances set step_count = 7 where id = 'due'",
    "insert into ended_counts (workflow, status, host, n) values (1, 'complete', 0, 3)",
)
_ASLEEP = "orders/asleep of account acme does not go on: nobody has it, and nothing will make it due"
_STEPS = "orders/due of account acme: its row says step_count 7, its history 0"
_COUNTS = "1 count wrong: 3 instances of workflow orders of account acme that ended as complete, and 0 are"


def test_instances_that_are_well_are_counted_by_their_reasons(store: Path) -> None:
    """Where nobody serves the store, what is due is none to worry."""
    _with_instances(store)
    _change(store, "update instances set due_at = 4000000000000 where id = 'asleep'")

    found = _found()

    assert found["instances"] == ("ok", "2 instances, 1 have no class, 1 are due, 0 have ended, no server runs them")
    assert found["counts"] == ("ok", "all that is counted is there")


def test_what_is_wrong_with_instances_is_told_and_changed_by_fix_alone(store: Path) -> None:
    """Each with what helps; what was put right is well at the next look."""
    _with_instances(store)
    _change(store, *_WRONG)

    looked, again = _states(), _states()
    mended, after = _states("--fix"), _states()

    assert looked == again == {("warning", _ASLEEP), ("fault", _STEPS), ("fault", _COUNTS)}
    assert mended == {("fixed", _ASLEEP), ("fixed", _STEPS), ("fixed", _COUNTS)}
    assert after == set()


def test_fix_says_what_was_done_and_leaves_what_it_cannot_mend(store: Path) -> None:
    """Exit code 1 as long as a fault is left."""
    _with_instances(store)
    _change(store, *_WRONG, "update instances set status = 'paused' where id = 'asleep'")

    told = run("doctor", "--fix")

    lines = [line for line in told.stdout.splitlines() if not line.startswith("ok\t")]
    assert told.exit_code == 1
    assert lines == [
        "fault\tinstances\torders/asleep of account acme: its row says status paused, its history waiting; "
        "`stepwell restore` makes a store of a backup; `stepwell export` of it shows what is wrong",
        f"fixed\tinstances\t{_STEPS}; 1 instance put right",
        f"fixed\tcounts\t{_COUNTS}; 1 count put right",
    ]
    assert told.stderr.endswith("checks: 1 fault, 0 warnings, 2 fixed\n")


def test_lease_without_a_worker_is_told_and_mended(store: Path) -> None:
    """Nobody would ever claim what it holds."""
    _with_instances(store)
    _change(store, "update instances set owner = 999, due_at = null where id = 'due'")
    said = "orders/due of account acme does not go on: nobody has it, and nothing will make it due"

    looked, mended, after = _states(), _states("--fix"), _states()

    assert ("warning", said) in looked
    assert ("fixed", said) in mended
    assert after == set()


def test_many_that_are_wrong_are_some_lines(store: Path) -> None:
    """And how many more there are; all of them are mended."""
    _with_instances(store)

    async def more() -> None:
        opened = await asyncio.to_thread(SqliteStore.open, store)
        for n in range(12):
            await opened.run(creation(f"i{n}"))
        await opened.close()

    asyncio.run(more())
    _change(store, "update instances set step_count = 7")

    looked = [line for line in run("doctor").stdout.splitlines() if "\tinstances\t" in line]
    run("doctor", "--fix")

    assert len(looked) == 12
    assert looked[-1].startswith("fault\tinstances\t4 more are stalled, or not what they should be; ")
    assert _states() == set()


def test_modes_and_leftovers_are_mended(store: Path) -> None:
    """A copy that goes on is none."""
    store.chmod(0o644)
    beside = store.with_name("stepwell.db.copying")
    beside.write_text("")
    with beside.open("rb+") as writing:
        fcntl.flock(writing, fcntl.LOCK_EX)
        while_written = _json("--fix")["leftovers"]

    mended = _json("--fix")

    assert while_written["state"] == "warning"
    assert while_written["remedy"].startswith(f"it could not be fixed: {beside} is being written; ")
    assert (mended["leftovers"]["state"], beside.exists()) == ("fixed", False)
    assert (_json()["permissions"]["state"], store.stat().st_mode & 0o777) == ("ok", 0o600)


def _states(*arguments: str) -> set[tuple[str, str]]:
    """Return what is not well: state, and what is said without the remedy."""
    lines = [line.split("\t") for line in run("doctor", *arguments).stdout.splitlines()]
    return {(state, said.partition(";")[0]) for state, _, said in lines if state != "ok"}


# ---- a server


@pytest.mark.sqlite
def test_store_and_server_in_use_are_looked_at(server: DevServer) -> None:
    """The store beside the server that has it, which goes on; its clock, that it asks for no token, its hosts."""
    told = _found("--store", f"sqlite:///{server.folder}/data/stepwell.db", "--url", server.url)

    assert {check: state for check, (state, _) in told.items() if state != "ok"} == {}
    assert told["host"][1].startswith("a server has the file, and is reached at ")
    assert told["profile"][1] == f"{server.url} by --url, account local"
    assert told["server"][1] == f"{server.url} answers, Stepwell {__version__}"
    assert told["server's clock"][1] == "the same as the server's, as far as that can be told"
    assert told["token"][1] == "the server asks for none"
    assert told["hosts"][1] == "1 host with 1 worker"
    server.create("order", "goes-on")
    server.wait_for_status("order", "goes-on", "complete")


def _whoami(**more: Any) -> Answer:
    token = {"id": "5d0c", "name": "ci", "expires_on": None}
    return Answer.result(
        {"account": "local", "token": token, "permissions": ["deploy"], "version": __version__, "now": _at(), **more}
    )


def _at(**span: int) -> str:
    return (datetime.now(UTC) + timedelta(**span)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_what_is_wrong_with_a_server_is_told() -> None:
    """Another release, another time, a token that is good for an hour, hosts that were lost, workers that hang."""
    lost = {"name": "web\x1b[2J-1:42", "state": "lost", "workers": 2, "blocked_workers": 1}
    alive = {"name": "web-2:7", "state": "alive", "workers": 2, "blocked_workers": 1}
    hosts = {"hosts": [alive, lost], "waiting": {"due": 3, "lag_ms": 120_000, "queued": 0}, "database": {}}
    token = {"id": "5d0c", "name": "ci", "expires_on": _at(hours=1)}
    answers = [_whoami(version="9.9.9", now=_at(minutes=-1), token=token), Answer.result(hosts)]
    with scripted(answers) as server:
        told = run("doctor", "--url", server.url)

    lines = [line.split("\t") for line in told.stdout.splitlines()]
    found = [(state, check, said.partition(";")[0]) for state, check, said in lines[7:]]
    assert told.exit_code == 0
    assert found[0] == ("warning", "server", f"{server.url} is Stepwell 9.9.9, this is {__version__}")
    assert found[1][:2] == ("warning", "server's clock")
    assert "s ahead of the server's" in found[1][2]
    assert found[2] == ("warning", "token", "5d0c: deploy")
    assert found[3:] == [
        ("warning", "hosts", "1 host lost, such as web\ufffd-1:42"),
        ("warning", "workers", "1 hang in code that blocks their event loop"),
        ("warning", "workers", "what is due first has waited for 2 min"),
    ]


@pytest.mark.parametrize(
    ("answers", "check", "state", "said"),
    [
        pytest.param(
            [Answer.refusal(401, 10000, "Authentication error")],
            "token",
            "fault",
            "Authentication error (10000); `stepwell login` keeps another one",
            id="bad token",
        ),
        pytest.param(
            [_whoami(), Answer.refusal(403, 10000, "no")],
            "hosts",
            "warning",
            "no (10000); a token that may read sees more",
            id="may not read",
        ),
        pytest.param(
            [Answer.refusal(404, 7003, "x"), Answer.refusal(403, 9109, "Invalid access token")],
            "token",
            "fault",
            "Invalid access token (9109); `stepwell login` keeps another one",
            id="bad token of Cloudflare",
        ),
    ],
)
def test_token_is_looked_at(answers: list[Answer], check: str, state: str, said: str) -> None:
    """One that is not taken is a fault."""
    with scripted(answers) as server:
        assert _found("--url", server.url)[check] == (state, said)


def test_cloudflare_is_looked_at() -> None:
    """As far as it has the same routes."""
    with scripted([Answer.refusal(404, 7003, "x"), Answer.result([])]) as server:
        found = _found("--url", server.url)["server"]

    assert found == ("ok", f"{server.url} answers as Cloudflare's API does, and takes the token")


def test_server_that_is_named_and_away_is_a_fault() -> None:
    """By whatever it is named; a profile that is not there is one, too."""
    away, unknown = run("doctor", "--url", "http://127.0.0.1:1"), run("doctor", "--profile", "gone")

    assert (away.exit_code, unknown.exit_code) == (1, 1)
    assert "fault\tserver\thttp://127.0.0.1:1 does not answer: " in away.stdout
    assert "fault\tprofile\tno profile 'gone'; there is: none; " in unknown.stdout
    assert away.stderr == "8 checks: 1 fault, 0 warnings\n"


# ---- PostgreSQL


def test_database_is_looked_at(require: Callable[..., None]) -> None:
    """Its release, what it is set to, its connections, its clock; without a store, and with one of an older release."""
    require(postgres.REASON, "a store in it", postgres.is_there())
    url = postgres.databases.make()
    empty = _found("--store", url)
    run("token", "create", "--store", url)
    postgres.query(url, "delete from schema_version where n = (select max(n) from schema_version) returning n")

    older = _found("--store", url)

    assert empty["store"][0] == "ok"
    assert empty["store"][1].endswith(" yet")
    assert empty["postgresql"][1].startswith("PostgreSQL ")
    assert [empty[check][0] for check in ("postgresql", "pooler", "database's clock")] == ["ok"] * 3
    assert {"durability", "connections"} <= empty.keys()
    assert older["store"][0] == "warning", older["store"]
    assert "lacks 1 part of this release's schema" in older["store"][1]


def test_instances_of_a_database_are_looked_at_and_mended(require: Callable[..., None]) -> None:
    """As those of a file; of each kind of wrong one."""
    require(postgres.REASON, "a store in it", postgres.is_there())
    url = postgres.databases.make()

    async def work() -> None:
        opened = await asyncio.to_thread(open_store, url)
        turn = await held(opened, "asleep")
        await opened.run(release(turn))
        await opened.run(creation("due"))
        await opened.close()

    asyncio.run(work())
    for statement in _WRONG:
        postgres.query(url, f"{statement} returning 1")

    server = {("fault", "fsync and full_page_writes off: a crash of its machine can damage the database")}
    looked, mended, after = (_states("--store", url, *more) - server for more in ([], ["--fix"], []))

    assert looked == {("warning", _ASLEEP), ("fault", _STEPS), ("fault", _COUNTS)}
    assert mended == {("fixed", _ASLEEP), ("fixed", _STEPS), ("fixed", _COUNTS)}
    assert after == set()


def test_database_that_is_away_is_a_fault(require: Callable[..., None]) -> None:
    """Without its password."""
    require(postgres.REASON, "a driver for it", postgres.is_there())

    told = run("doctor", "--store", "postgresql://ann:hunter2@127.0.0.1:1/x")

    assert told.exit_code == 1
    assert "fault\tstore\t" in told.stdout
    assert "hunter2" not in told.output


# ---- on a terminal


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_finding_fits_its_terminal(folder: Path, columns: int) -> None:
    """Nothing is left out: what is long is broken into lines."""
    (folder / "flows.py").write_text(WORKFLOW.format(""))

    code, written = run_on_terminal("doctor", "--color", "never", columns=columns)

    lines = written.replace("\r", "").splitlines()
    assert code == 0
    assert lines[0].split() == ["STATE", "CHECK", "FINDING"]
    assert max(map(len, lines[:-1])) <= columns
    assert "`stepwell check` lists all" in " ".join(" ".join(lines).split())
