"""`stepwell facts`, against a real server and on its store: what the servers have said, also when none goes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stepwell.cli.stores import with_store
from stepwell.store.fact_operations import Fact, NoteFacts
from tests.cli.commands import SOURCE, run
from tests.cli.scripted import Answer, scripted
from tests.cli.test_signing_in import TokenServer

# More than a page of the API has, but for the last two.
MANY = [Fact(n, "info", "turn.lost", f"no. {n}", "web-1:1", "worker 1", "acme", "order", "o-1") for n in range(700)]
LAST = [
    Fact(700, "error", "worker.died", "worker 2 died", "web-2:1", "server"),
    Fact(701, "warning", "turn.lost", "of another", "web-2:1", "worker 2", "other", "order", "o-1"),
]


@pytest.fixture(scope="module")
def noting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A server that asks for tokens, and has many facts."""
    folder = tmp_path_factory.mktemp("noting")
    (folder / "flows.py").write_text(SOURCE)
    with TokenServer(folder, "--account", "acme") as started:
        with_store(started.store, lambda opened: opened.run(NoteFacts([*MANY, *LAST])))
        yield started


def _listed(*options: str) -> list[dict[str, Any]]:
    told = run("facts", "list", "-o", "json", *options)
    assert told.exit_code == 0, told.stderr
    found: list[dict[str, Any]] = json.loads(told.stdout)
    return found


def test_server_and_store_tell_the_same(noting: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """All pages of it, the latest first, to a token that may see all as to whoever has the store."""
    monkeypatch.setenv("STEPWELL_TOKEN", noting.token("--scope", "read", "--scope", "metrics"))
    where, lost = ("--url", noting.url, "--account", "acme"), ("--event", "turn.lost", "--limit", "650")

    asked, read = _listed(*where, *lost), _listed("--store", noting.store, *lost)

    assert asked == read
    assert [fact["message"] for fact in asked] == ["of another", *(f"no. {n}" for n in range(699, 50, -1))]
    assert asked[0] == {
        "id": asked[0]["id"],
        "at": "1970-01-01T00:00:00.701Z",
        "level": "warning",
        "event": "turn.lost",
        "message": "of another",
        "host": "web-2:1",
        "process": "worker 2",
        "account": "other",
        "workflow_name": "order",
        "instance_id": "o-1",
    }


def test_token_sees_the_facts_of_its_account(noting: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """And of no host. On the store an account is named for the same."""
    monkeypatch.setenv("STEPWELL_TOKEN", noting.token("--scope", "read"))
    narrow = ("--account", "acme", "--workflow", "order", "--limit", "1")

    (asked,), (read,) = _listed("--url", noting.url, *narrow), _listed("--store", noting.store, *narrow)

    assert (asked["message"], asked["host"]) == ("no. 699", None)
    assert read == {**asked, "host": "web-1:1"}


@pytest.mark.parametrize("way", ["server", "store"])
@pytest.mark.parametrize(
    ("options", "messages"),
    [
        pytest.param(["--event", "worker.died", "--process", "server"], ["worker 2 died"], id="event"),
        pytest.param(["--process", "worker 2"], ["of another"], id="process"),
        pytest.param(["--workflow", "order", "--limit", "2"], ["of another", "no. 699"], id="workflow"),
        pytest.param(["--instance", "o-1", "--limit", "1"], ["of another"], id="instance"),
        pytest.param(["--instance", "o-2"], [], id="other-instance"),
        pytest.param(["--workflow", "orders"], [], id="other-workflow"),
    ],
)
def test_facts_are_narrowed(
    noting: TokenServer, monkeypatch: pytest.MonkeyPatch, way: str, options: list[str], messages: list[str]
) -> None:
    """By the same as on the dashboard, wherever they come from."""
    monkeypatch.setenv("STEPWELL_TOKEN", noting.token("--scope", "read", "--scope", "metrics"))
    where = {"server": ("--url", noting.url, "--account", "acme"), "store": ("--store", noting.store)}

    assert [fact["message"] for fact in _listed(*where[way], *options)] == messages


@pytest.mark.parametrize(
    ("options", "said"), [([], "nothing has been told"), (["--event", "a"], "nothing of that was told")]
)
def test_nothing_is_said_to_be_nothing(options: list[str], said: str) -> None:
    """On standard error, and to people alone."""
    with scripted([Answer.result([]), Answer.result([])]) as server:
        told = run("facts", "list", "--url", server.url, *options)
        as_json = run("facts", "list", "--url", server.url, "-o", "json", *options)

    assert (told.exit_code, told.stdout, told.stderr) == (0, "", f"{said}\n")
    assert (as_json.stdout, as_json.stderr) == ("[]\n", "")


def test_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """Whoever mistypes its place is told so, and nothing lies there afterwards."""
    told = run("facts", "list", "--store", f"sqlite:///{tmp_path}/none.db")

    assert (told.exit_code, "there is no store" in told.stderr) == (4, True)
    assert [*tmp_path.iterdir()] == []
