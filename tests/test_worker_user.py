"""The user as whom workers run: who he is, and where the setting is refused. What he may do is in tests/crash."""

import asyncio
import grp
import os
import pwd
from pathlib import Path

import pytest

from stepwell.errors import InvalidSetting
from stepwell.hosting import HostOptions, open_host
from stepwell.places import layouts_for
from stepwell.snapshots import lay_out
from stepwell.store.opening import open_store
from stepwell.store.snapshot_operations import SaveSnapshot, ServeSnapshot, SnapshotFile
from stepwell.worker_user import WorkerUser, find, wanted

OTHER = WorkerUser("54321:54321", 54321, 54321, "54321", "/")


def test_user_is_named_by_name_or_number() -> None:
    """With the group that he has, or another; one whom the machine does not know has no home."""
    known = next(entry for entry in pwd.getpwall() if entry.pw_uid and entry.pw_gid)
    group = next(entry for entry in grp.getgrall() if entry.gr_gid)
    name, gid, home = known.pw_name, known.pw_gid, known.pw_dir

    assert find("none") is None
    assert find(name) == WorkerUser(name, known.pw_uid, gid, name, home)
    assert find(str(known.pw_uid)) == WorkerUser(str(known.pw_uid), known.pw_uid, gid, name, home)
    by_names = f"{name}:{group.gr_name}"
    assert find(by_names) == WorkerUser(by_names, known.pw_uid, group.gr_gid, name, home)
    assert find("54321:54321") == OTHER


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        pytest.param("nobody-at-all", "no user has this name; make one, such as with: useradd", id="unknown"),
        pytest.param("54321:no-such-group", "no group is called no-such-group; make one", id="unknown group"),
        pytest.param("54321", "no user has this number; give a group, too, as in 54321:54321", id="no group"),
        pytest.param("root", "it must be neither root nor in root's group", id="root"),
        pytest.param("0:54321", "it must be neither root nor", id="zero"),
        pytest.param("54321:0", "it must be neither root nor", id="root's group"),
        # The number that leaves a process what it is.
        pytest.param("4294967295:54321", "it must be neither root nor", id="as it is"),
        pytest.param("54321:4294967295", "it must be neither root nor", id="group as it is"),
    ],
)
def test_user_who_is_none_is_refused(said: str, problem: str) -> None:
    """The message says who, and the remedy."""
    with pytest.raises(InvalidSetting, match=f"worker_user is {said}: .*{problem}"):
        find(said)


def test_server_that_is_not_roots_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is that user already, as nothing would be kept from its workers then."""
    monkeypatch.setattr(os, "geteuid", lambda: 54321)

    with pytest.raises(InvalidSetting, match="only root can run workers as another user, and this is not root; start"):
        wanted("54321:54321")

    assert wanted("none") is None


def test_system_without_the_calls_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the first that is missing."""
    monkeypatch.delattr(os, "setgroups")

    with pytest.raises(InvalidSetting, match="this system has no setgroups; leave it out: --set worker_user=none"):
        wanted("54321:54321")


def test_environment_has_what_is_harmless_or_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What opens the store, and whatever else the server was given, stays there."""
    for name in ("STEPWELL_TOKEN", "STEPWELL_STORE", "STEPWELL_ENCRYPTION_KEYS", "PGPASSWORD", "AWS_SECRET", "TMPDIR"):
        monkeypatch.setenv(name, "secret")
    for name in ("GIVEN", "LC_ALL", "PYTHONPATH"):
        monkeypatch.setenv(name, name)

    found = OTHER.environment(["GIVEN", "NOT_SET"])

    assert "secret" not in found.values()
    assert [found[name] for name in ("GIVEN", "LC_ALL", "PYTHONPATH", "HOME")] == ["GIVEN", "LC_ALL", "PYTHONPATH", "/"]


def test_folder_that_keeps_a_user_out_is_named(tmp_path: Path) -> None:
    """The first on the way, or the file itself."""
    file = tmp_path / "a" / "b" / "file"
    file.parent.mkdir(parents=True)
    file.touch(0o644)
    # Those that pytest makes are for their owner alone.
    ways = WorkerUser("", tmp_path.stat().st_uid, 54321, "", "")
    (tmp_path / "a" / "b").chmod(0o755)

    assert ways.barred_at(file) is None
    file.chmod(0o044)
    assert ways.barred_at(file) == file
    file.parent.chmod(0o600)
    assert ways.barred_at(file) == file.parent


def test_code_is_laid_out_for_its_owner_and_one_group(tmp_path: Path) -> None:
    """Or for its owner alone, where there is none; whatever the umask is."""
    files = [SnapshotFile("a/b.py", b"")]
    before = os.umask(0o022)
    try:
        lay_out(files, tmp_path / "x" / "own")
        os.umask(0o077)
        lay_out(files, tmp_path / "y" / "given", os.getgid())
    finally:
        os.umask(before)

    modes = [(tmp_path / path).stat().st_mode & 0o777 for path in ("x", "x/own", "x/own/a")]
    assert modes == [0o700] * 3
    shared = [(tmp_path / path).stat() for path in ("y", "y/given", "y/given/a", "y/given/a/b.py")]
    assert [found.st_mode & 0o777 for found in shared] == [0o750, 0o750, 0o750, 0o640]
    assert {found.st_gid for found in shared} == {os.getgid()}


def test_what_a_killed_server_has_laid_out_goes_with_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file there is one server; one that ends leaves nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    # What other servers have there is for their user alone.
    (tmp_path / "stepwell").mkdir(mode=0o700)
    user = WorkerUser("", os.getuid(), os.getgid(), "", "")
    place = tmp_path / "data" / "store.db"
    killed = layouts_for(f"sqlite:///{place}", place, user)
    left = killed.__enter__().folder
    (left / "old.py").touch()

    with layouts_for(f"sqlite:///{place}", place, user) as layouts:
        assert (layouts.folder, list(layouts.folder.iterdir())) == (left, [])
        assert layouts.folder.stat().st_mode & 0o777 == 0o750
        with layouts_for("postgresql:///x", place, user) as one, layouts_for("postgresql:///x", place, user) as two:
            assert len({layouts.folder, one.folder, two.folder}) == 3

    assert list((tmp_path / "stepwell-code").iterdir()) == []
    assert (tmp_path / "stepwell-code").stat().st_mode & 0o777 == 0o711


async def test_stored_code_does_not_say_as_whom_it_is_run(tmp_path: Path) -> None:
    """Whoever deploys it has written its settings; so it is not run, rather than as root."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    files = [SnapshotFile("flows.py", b""), SnapshotFile("stepwell.toml", b'[settings]\nworker_user = "54321:54321"\n')]
    store = await asyncio.to_thread(open_store, url)
    row = await store.run(SaveSnapshot("local", "a" * 64, "flows.py", "3.13.1", "{}", files, 1))
    await store.run(ServeSnapshot("local", row, 1, ()))
    await store.close()

    with pytest.raises(InvalidSetting, match="worker_user is 54321:54321 in the settings of the code that is stored"):
        async with open_host(HostOptions(path="", store=url, is_stored=True)):
            pass


@pytest.mark.parametrize(("user", "told"), [pytest.param(0, 1, id="root"), pytest.param(1000, 0, id="somebody")])
async def test_server_that_runs_uploaded_code_as_root_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, user: int, told: int
) -> None:
    """One line, with the remedy; others are told nothing."""
    monkeypatch.setattr(os, "geteuid", lambda: user)
    options = HostOptions(path="", store=f"sqlite:///{tmp_path / 'store.db'}", is_stored=True, allows_deploy=True)

    async with open_host(options):
        lines = [record.getMessage() for record in caplog.records if "runs as root here" in record.getMessage()]

    assert len(lines) == told
    assert all(line.endswith("name a user who has no rights: --set worker_user=NAME") for line in lines)
