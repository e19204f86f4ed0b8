"""`stepwell copy`: what it says, and its exit codes."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stepwell.store.sqlite import SqliteStore
from tests import postgres
from tests.cli.commands import run
from tests.cli.screen import run_on_terminal
from tests.store.scenes import create, register


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A small store."""
    path = tmp_path / "from.db"

    async def fill() -> None:
        opened = await asyncio.to_thread(SqliteStore.open, path)
        await register(opened)
        await create(opened, "a", "b")
        await opened.close()

    asyncio.run(fill())
    return path


def test_copy_says_what_it_has_copied_and_what_to_do_now(store: Path, tmp_path: Path) -> None:
    """Tables with their rows go to standard output; what comes, as it comes, and what to mind to standard error."""
    target = tmp_path / "to.db"

    told = run("copy", f"sqlite:///{store}", f"sqlite:///{target}")

    assert told.exit_code == 0, told.stderr
    lines = told.stdout.splitlines()
    assert [line for line in lines if not line.endswith("\t0")] == [
        "workflows\t1",
        "versions\t1",
        "scripts\t1",
        "instances\t2",
        "records\t2",
    ]
    assert told.stderr.splitlines() == [
        "workflows: 1 rows",
        "versions: 1 rows",
        "scripts: 1 rows",
        "instances: 2 rows",
        "records: 2 rows",
        f"7 rows are copied; serve sqlite:///{target} from now on",
        f"sqlite:///{store} is as it was: serve it no more, else its instances run twice",
    ]
    assert target.exists()


def test_dry_run_does_nothing(store: Path, tmp_path: Path) -> None:
    """It prints what there is, also as JSON, and makes no file."""
    told = run("copy", f"sqlite:///{store}", f"sqlite:///{tmp_path}/new/to.db", "--dry-run", "-o", "json")

    assert told.exit_code == 0
    assert {"table": "instances", "rows": 2} in json.loads(told.stdout)
    assert told.stderr == f"nothing is done; without --dry-run: copy 7 rows to sqlite:///{tmp_path}/new/to.db\n"
    assert not (tmp_path / "new").exists()


def test_dry_run_leaves_a_database_as_it_was(store: Path, require: Callable[..., None]) -> None:
    """No table is made, whatever there is to copy."""
    require(postgres.REASON, "a store in it", postgres.is_there())
    url = postgres.databases.make()

    told = run("copy", f"sqlite:///{store}", url, "--dry-run")

    assert told.exit_code == 0
    assert postgres.query(url, "select tablename from pg_tables where schemaname = 'public'") == []


@pytest.mark.parametrize("options", [pytest.param([], id="copy"), pytest.param(["--dry-run"], id="dry run")])
@pytest.mark.parametrize(
    ("source", "target", "exit_code", "message"),
    [
        pytest.param("mysql://a@b/c", "sqlite:///{0}/to.db", 2, "store must be", id="source is no URL"),
        pytest.param("sqlite:///{0}/from.db", "to.db", 2, "store must be", id="target is no URL"),
        pytest.param("sqlite:///{0}/no.db", "sqlite:///{0}/to.db", 4, "there is no store at {0}/no.db", id="no source"),
        pytest.param("sqlite:///{0}/from.db", "sqlite:///{0}/from.db", 5, "is there already", id="target is there"),
    ],
)
def test_mistake_is_named(  # noqa: PLR0917 - one for each thing that is wrong
    source: str, target: str, exit_code: int, message: str, options: list[str], store: Path, tmp_path: Path
) -> None:
    """An exit code for each kind, a line that says what is wrong and one that helps; nothing is made."""
    told = run("copy", source.format(tmp_path), target.format(tmp_path), *options)

    error, hint = told.stderr.splitlines()
    assert (told.exit_code, told.stdout) == (exit_code, "")
    assert message.format(tmp_path) in error
    assert "_URL" in hint
    assert not (tmp_path / "to.db").exists()


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("postgresql://ann:hunter2@127.0.0.1:1/x", id="beside the name"),
        pytest.param("postgresql://ann@127.0.0.1:1/x?a=b&password=hunter2", id="in the query"),
        pytest.param("postgresql://ann:hunter2@127.0.0.1:port/x", id="in what is no URL"),
        pytest.param("mysql://ann:hunter2@127.0.0.1/x", id="of another database"),
    ],
)
def test_password_is_never_printed(url: str, store: Path, tmp_path: Path, require: Callable[..., None]) -> None:
    """Whatever is wrong with a URL, and wherever it stands, its password is not in what is said."""
    require(postgres.REASON, "a driver for it", postgres.is_there())
    there, new = f"sqlite:///{store}", f"sqlite:///{tmp_path}/to.db"

    refused = [run("copy", *urls) for urls in ((url, new), (there, url), (there, url, "--dry-run"), (there, new, url))]

    assert [told.exit_code > 0 for told in refused] == [True] * 4
    assert [told.output for told in refused if "hunter2" in told.output] == []


def test_password_of_a_target_is_not_printed(store: Path, require: Callable[..., None]) -> None:
    """Nor where all goes well."""
    require(postgres.REASON, "a store in it", postgres.is_there())
    url = postgres.databases.make().replace("postgres@", "postgres:hunter2@")

    told = run("copy", f"sqlite:///{store}", url)

    assert told.exit_code == 0
    assert "serve postgresql://postgres@" in told.stderr
    assert "hunter2" not in told.output


def test_terminal_has_a_bar(store: Path, tmp_path: Path) -> None:
    """It is gone at the end; a table stays."""
    exit_code, written = run_on_terminal("copy", f"sqlite:///{store}", f"sqlite:///{tmp_path}/to.db")

    assert exit_code == 0
    assert "copy  [###.....................]  1/7" in written
    assert "TABLE" in written
    assert "records: 2 rows" not in written
