"""`stepwell migrate` and `stepwell version`: what they say, and their exit codes."""

import json
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from stepwell import __version__
from stepwell.store import migrations
from stepwell.store.sqlite.file import FileConnection, migrate, open_writer
from tests import postgres
from tests.cli.commands import ask, run
from tests.cli.scripted import Answer, scripted
from tests.crash.server import DevServer

NEWEST = migrations.known("sqlite")[-1]


@pytest.fixture
def older(tmp_path: Path) -> str:
    """The URL of a store of an older release."""
    connection = FileConnection(str(tmp_path / "older.db"))
    migrate(connection, migrations.known("sqlite")[:-1], "older")
    connection.close()
    return f"sqlite:///{tmp_path}/older.db"


def test_store_is_brought_up_to_date(older: str) -> None:
    """It is told what is lacking, exit code 1, and what was applied; then nothing is."""
    looked = run("migrate", "--check", "--store", older)
    done = run("migrate", "--store", older)
    again = [run("migrate", *options, "--store", older) for options in ((), ("--check",))]

    line = f"{NEWEST.n}\t{NEWEST.name}\n"
    assert (looked.exit_code, looked.stdout) == (1, line)
    assert looked.stderr == (
        f"{older} lacks this; `stepwell migrate`, or a server that is started on it, brings it up to date\n"
    )
    assert (done.exit_code, done.stdout) == (0, line)
    assert done.stderr == f"{older} has the schema of this release now; older releases open it no more\n"
    for told in again:
        assert (told.exit_code, told.stdout) == (0, "")
        assert told.stderr == f"{older} has the schema of this release\n"


@pytest.mark.parametrize("options", [(), ("--check",)])
@pytest.mark.parametrize(
    ("url", "exit_code", "message"),
    [
        pytest.param("sqlite:///{0}/no.db", 4, "there is no store at sqlite:///{0}/no.db", id="no store"),
        pytest.param("sqlite:///{0}/other.db", 1, "but not of Stepwell", id="other database"),
        pytest.param("sqlite:///{0}/newer.db", 1, "it was written by a newer Stepwell; upgrade this one", id="newer"),
        pytest.param("mysql://ann:hunter2@x/y", 2, "store must be", id="URL"),
    ],
)
def test_store_that_cannot_be_is_named(
    tmp_path: Path, url: str, exit_code: int, message: str, options: tuple[str, ...]
) -> None:
    """Nothing is made or changed."""
    connection = apsw.Connection(str(tmp_path / "other.db"))
    connection.execute("create table mine (x)")
    connection.close()
    open_writer(tmp_path / "newer.db").close()
    connection = apsw.Connection(str(tmp_path / "newer.db"))
    connection.execute("insert into schema_version (n, name, sha256, applied_at) values (999, '999_x.sql', 'x', 0)")
    connection.close()

    told = run("migrate", *options, "--store", url.format(tmp_path))

    assert (told.exit_code, told.stdout) == (exit_code, "")
    assert message.format(tmp_path) in told.stderr
    assert "hunter2" not in told.stderr
    assert not (tmp_path / "no.db").exists()


def test_database_is_looked_at(require: Callable[..., None]) -> None:
    """One without a store has none to bring up to date; one that is away is told, without its password."""
    require(postgres.REASON, "a store in it", postgres.is_there())
    url = postgres.databases.make()
    none = run("migrate", "--check", "--store", url)
    run("token", "create", "--store", url)

    there = run("migrate", "--check", "--store", url)
    away = run("migrate", "--store", "postgresql://ann:hunter2@127.0.0.1:1/x")

    assert (none.exit_code, there.exit_code, there.stdout) == (4, 0, "")
    assert away.exit_code == 1
    assert "the server does not answer" in away.stderr
    assert "hunter2" not in away.stderr


def test_both_releases_are_told(server: DevServer) -> None:
    """The server's too, if there is one."""
    told, whole = ask(server, "version"), ask(server, "version", "-o", "json")

    assert (told.exit_code, told.stdout) == (0, f"client\t{__version__}\t-\nserver\t{__version__}\t{server.url}\n")
    assert json.loads(whole.stdout) == [
        {"what": "client", "version": __version__, "where": None},
        {"what": "server", "version": __version__, "where": server.url},
    ]


def test_release_of_a_server_may_not_be_told() -> None:
    """By one that is not Stepwell's, or does not know the caller; one that is named and away is exit code 6."""
    with scripted([Answer.refusal(404, 7003, "no"), Answer.result({"version": "1\x1b[2J"})]) as other:
        told = [run("version", "--url", other.url) for _ in range(2)]
    away, alone = run("version", "--url", "http://127.0.0.1:1"), run("version")

    assert [one.stdout.splitlines()[1] for one in told] == [
        f"server\tnot told\t{other.url}",
        f"server\t1\ufffd\t{other.url}",
    ]
    assert (away.exit_code, away.stdout) == (6, "")
    assert (alone.exit_code, alone.stdout) == (0, f"client\t{__version__}\t-\n")
